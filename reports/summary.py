"""Counts over a run: what the analyst reads first and the exit code is made from."""

from collections import Counter

from ..core.records import VERDICT_LABELS, VerdictLabel
from ..core.scanrecord import ScanRecord


class Tally:
    """Counts records by verdict and by reason."""

    def __init__(self) -> None:
        """Start at zero."""
        self.files = 0
        self.duplicates = 0
        self.verdicts: Counter[VerdictLabel] = Counter()
        self.reasons: Counter[str] = Counter()

    def add(self, record: ScanRecord) -> None:
        """Count one record."""
        self.files += 1
        self.duplicates += record.duplicate_of is not None
        self.verdicts[record.decision.verdict] += 1
        self.reasons.update(record.decision.reasons)


def summary_lines(tally: Tally, elapsed_s: float) -> list[str]:
    """The run in a few lines of plain text."""
    noun = "file" if tally.files == 1 else "files"
    lines = [f"{tally.files} {noun} in {elapsed_s:.1f} s"]
    if not tally.files:
        return lines
    if tally.duplicates:
        lines[0] += f" ({tally.duplicates} with the bytes of an earlier one)"
    lines.append(_counts("verdicts", [(label, tally.verdicts[label]) for label in VERDICT_LABELS]))
    lines.append(_counts("reasons", tally.reasons.most_common()))
    if tally.verdicts["no_evidence"]:
        lines.append("no_evidence is not proof of a human voice: see `covoguard explain below_threshold`")
    return lines


def _counts(title: str, counts: list[tuple[VerdictLabel, int]] | list[tuple[str, int]]) -> str:
    return f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts)
