"""Compares our AASIST and LFCC-LCNN-LSTM with reference outputs: `python -m tests.parity.aasist GOLDENS_DIR`.

The folder holds inputs, weights and outputs of the official code, in the format that its README describes: every
`TAG_logits` in goldens.npz with its `TAG_state.npz`, and LFCC-LCNN-LSTM where its two files are. The networks are
built as the detectors build them. Prints each largest difference beside its tolerance; exit code 1 when one is beyond
it, 2 when the folder lacks something.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from covoguard.detect.networks.weights import WeightsError

from ..report import Report
from . import aasist, lcnn

GOLDENS = "goldens.npz"


def main(arguments: list[str]) -> int:
    """Check everything in the folder and say what was found."""
    if len(arguments) != 1:
        print("usage: python -m tests.parity.aasist GOLDENS_DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    missing = missing_from(folder)
    if missing:
        print(f"{folder}: not a folder of goldens: {', '.join(missing)} missing", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    try:
        report = compare(folder)
    except WeightsError as error:
        print(f"{folder}: weights that do not load: {error}", file=sys.stderr)
        return 2
    print(f"{report.compared - len(report.failures)} of {report.compared} comparisons within tolerance")
    for name in report.failures:
        print(f"beyond tolerance: {name}")
    return 1 if report.failures else 0


def missing_from(folder: Path) -> list[str]:
    """Files and arrays that a comparison needs and the folder has not."""
    if not (folder / GOLDENS).is_file():
        return [GOLDENS]
    with np.load(folder / GOLDENS) as goldens:
        tags = aasist.tags(goldens)
        arrays = ("names", "x", *(f"{tag}_emb" for tag in tags))
        needed = [f"{name} in {GOLDENS}" for name in arrays if name not in goldens]
    files = [f"{tag}_state.npz" for tag in tags] or ["TAG_logits with TAG_state.npz"]
    if any((folder / name).is_file() for name in lcnn.FILES):
        files += lcnn.FILES
    return needed + [name for name in files if not (folder / name).is_file()]


@torch.inference_mode()
def compare(folder: Path) -> Report:
    """All comparisons with the goldens in `folder`."""
    report = Report()
    with np.load(folder / GOLDENS) as file:
        goldens = dict(file)
    for tag in aasist.tags(goldens):
        print(f"-- {tag}")
        aasist.check(folder, tag, goldens, report)
    if (folder / lcnn.FILES[0]).is_file():
        print("-- lfcc_lcnn_lstm")
        lcnn.check(folder, goldens, report)
    return report


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
