"""Writes the bundled model's card from what the benchmarks measured.

python benchmarks/pocket_card.py FOLDER --about docs/models/pocket.about.toml --speech SPEECH.json \
        --marks WATERMARK.json --false-alarms SELFCHECK.json
"""

import argparse
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open

from covoguard.core.modelcard import seal_model
from covoguard.core.version import __version__

Figure = dict[str, Any]


def speech_figures(speech: Mapping[str, Any]) -> list[Figure]:
    """Word error rates, entropy and speeds."""
    rates = {**speech.get("teacher", {}), **speech["speech"]}
    rows = [
        [name, percent(row["wer"]), percent(row["standard_error"]), row["words"]]
        for name, row in rates.items()
        if isinstance(row, dict)
    ]
    speeds = [[name.replace("_", " "), value] for name, value in speech["speed"].items()]
    speeds.append(["entropy bits per token", speech["speech"]["entropy_bits_per_token"]])
    return [
        {
            "title": "Word error rate",
            "header": ["speech, recogniser's language model", "WER", "standard error", "words"],
            "rows": rows,
            "note": "pocketsphinx; the domain model is a bigram of the templates and flatters all rows alike.",
        },
        {"title": "Speed and entropy", "header": ["one CPU thread", "value"], "rows": speeds, "note": None},
    ]


def mark_figures(marks: Mapping[str, Any]) -> list[Figure]:
    """Found shares beside the published marks, special cases, recovery."""
    others = list(marks.get("baselines", {}))
    rows = [
        [name, percent(row["found_1e-6"]), row["median_log10_p"]]
        + [percent(marks["baselines"][other][name]["found_1e-6"]) for other in others]
        for name, row in marks["ours"].items()
    ]
    special = [
        [name, percent(row["found_1e-6"]), percent(row["found_1e-3"]), row["median_log10_p"]]
        for name, row in marks["special"].items()
    ]
    recovery = [[name, percent(row["top1"]), percent(row["top5"])] for name, row in marks["recovery"].items()]
    inside = marks["special"]["10 s in 60 s"]
    clips = next(iter(marks["ours"].values()))["clips"]
    return [
        {
            "title": "Mark found in 10 s at certified p <= 1e-6",
            "header": ["damage", "found", "median log10 p", *(f"{other}, found" for other in others)],
            "rows": rows,
            "note": f"{clips} clips per cell, each under a key of its own, everything searched blind. The published "
            "marks use the same model, sentences and recoverer, exact p-values on hard tokens, and are told the speed.",
        },
        {
            "title": "Other lengths and settings",
            "header": ["what", "found at 1e-6", "found at 1e-3", "median log10 p"],
            "rows": special,
            "note": f"10 s in 60 s: mean intersection over union of the spans {inside['mean_iou_of_found']}. "
            f"Another key: largest log10 E {marks['special']['another key']['largest_log10_e']}.",
        },
        {
            "title": "Tokens recovered from sound, the grid known",
            "header": ["damage", "best guess", "among five best"],
            "rows": recovery,
            "note": "Sampled tokens at the default temperature, held-out sentences.",
        },
    ]


def false_alarm_figures(check: Mapping[str, Any]) -> list[Figure]:
    """The QQ summary of the self-check on real sound."""
    rows = [[f"{s['bound']:.0e}", s["pairs"], f"{s['share']:.2e}", f"{s['upper_limit']:.2e}"] for s in check["shares"]]
    return [
        {
            "title": "False alarms on real sound",
            "header": ["p at most", "pairs", "share", "upper limit (95 %)"],
            "rows": rows,
            "note": f"{check['pairs']} pairs of a real or generated recording and a key that marked nothing; largest "
            f"log10 E {check['largest_log10_e']:.2f}, mean E {check['mean_e']:.2f} (at most 1 is promised).",
        }
    ]


def percent(share: float) -> str:
    """A share for people."""
    return f"{100 * share:.1f} %"


def main() -> None:
    """Write card.json and seal the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name in ("--about", "--speech", "--marks", "--false-alarms"):
        parser.add_argument(name, type=Path, required=True)
    options = parser.parse_args()
    about = tomllib.loads(options.about.read_text(encoding="utf-8"))
    speech, marks, alarms = (
        json.loads(path.read_text(encoding="utf-8")) for path in (options.speech, options.marks, options.false_alarms)
    )
    with safe_open(options.folder / "pocket.safetensors", "np") as weights:
        sizes = {name: weights.get_slice(name).get_shape() for name in weights.keys()}  # noqa: SIM118
    for part in about["parts"]:
        own = (shape for name, shape in sizes.items() if name.startswith(part["part"] + "."))
        part["parameters"] = sum(product(shape) for shape in own)
        del part["part"]
    card = {
        "id": "pocket",
        "version": __version__,
        "generator": "pocket",
        "weights": "pocket.safetensors",
        "family": "pocket",
        **about,
        "figures": speech_figures(speech) + mark_figures(marks) + false_alarm_figures(alarms),
    }
    (options.folder / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    seal_model(options.folder)


def product(shape: list[int]) -> int:
    """How many numbers a tensor holds."""
    total = 1
    for size in shape:
        total *= size
    return total


if __name__ == "__main__":
    main()
