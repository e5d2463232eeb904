"""A self-check of false alarms in words."""

from ..core.selfcheckrecord import SelfCheck

_VERDICTS = {
    "within_bounds": "No share is above its bound by more than chance: on this sound the test keeps its promise, as "
    "far as so many pairs can show.",
    "above_bounds": "A share is above its bound by more than chance, which no sound should bring about: please report "
    "it as a defect, with the seed and the hashes that --json prints.",
    "nothing_tested": "Nothing was tested: no file had enough sound, or no key was tried.",
}


def selfcheck_lines(result: SelfCheck) -> list[str]:
    """Counts, the points of the QQ plot, the largest e-value, and what they mean."""
    lines = [f"{result.files} files x {result.keys} dummy keys = {result.pairs} pairs (seed {result.seed})"]
    if result.pairs:
        lines.append("  p at most     pairs   share     upper limit (95 %)   bound kept")
        lines += [
            f"  {share.bound:9.0e} {share.pairs:9d}   {share.share:7.1e}   {share.upper_limit:18.1e}   "
            f"{'NO' if share.above else 'yes'}"
            for share in result.shares
        ]
    if result.mean_e is not None and result.largest_log10_e is not None:
        lines.append(
            f"e-values: mean {result.mean_e:.2g} (at most 1 is promised), largest 10^{result.largest_log10_e:.1f} "
            f"on {result.largest_e_path}"
        )
    return [*lines, _VERDICTS[result.outcome]]
