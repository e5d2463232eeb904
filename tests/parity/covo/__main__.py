"""Compares our Covo-Audio with reference outputs: `python -m tests.parity.covo GOLDENS_DIR`.

The folder holds inputs, weights and outputs of the official code under any configuration, in the format that its
README describes. Prints each largest difference beside its tolerance; exit code 1 when one is beyond it, 2 when the
folder lacks something.
"""

import sys
from pathlib import Path

import torch

from ..report import Report
from . import decoder, language, mel, processors

PARTS = (("front end", mel), ("language model", language), ("penalties and warpers", processors), ("decoder", decoder))
FILES = (
    "lm_config.json",
    "lm_meta.json",
    "lm_state.safetensors",
    "lm_golden.safetensors",
    "mel_meta.json",
    "mel_golden.safetensors",
    "proc_golden.safetensors",
    "t2w_config.json",
    "t2w_meta.json",
    "t2w_state.safetensors",
    "t2w_golden.safetensors",
    "global_mean_var.npy",
)


def main(arguments: list[str]) -> int:
    """Check every part of the folder and say what was found."""
    if len(arguments) != 1:
        print("usage: python -m tests.parity.covo GOLDENS_DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        print(f"{folder}: not a folder of goldens: {', '.join(missing)} missing", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    report = compare(folder)
    print(f"{report.compared - len(report.failures)} of {report.compared} comparisons within tolerance")
    for name in report.failures:
        print(f"beyond tolerance: {name}")
    return 1 if report.failures else 0


def compare(folder: Path, *, quiet: bool = False) -> Report:
    """All comparisons with the goldens in `folder`."""
    report = Report(quiet)
    for title, part in PARTS:
        if not quiet:
            print(f"-- {title}")
        part.check(folder, report)
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
