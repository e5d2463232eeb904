"""LFCC-LCNN-LSTM: its cepstra of one input, scores of all, and a batch against its rows."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from covoguard.detect.networks.released import build_network
from covoguard.detect.networks.weights import parse_state

from ..report import Report

FILES = ["lfcc_lcnn_lstm_state.npz", "lfcc_lcnn_lstm_golden.npz"]
TOLERANCE = 1e-4
"""Relative for scores, which reach 90; the README gives none."""
BATCH_TOLERANCE = 1e-5


def check(folder: Path, goldens: Mapping[str, np.ndarray], report: Report) -> None:
    """Everything of the network."""
    state = parse_state((folder / FILES[0]).read_bytes(), ".npz")
    network = build_network("lcnn", state)
    inputs = torch.from_numpy(goldens["x"])
    with np.load(folder / FILES[1]) as file:
        golden = dict(file)
    names = [str(name) for name in goldens["names"]]
    for name, samples in zip(names, inputs, strict=True):
        key = f"lfcc_{name.split('_')[0]}"
        if key in golden:
            cepstra = network.get_submodule("m_frontend.0")(samples[None])[0]
            report.close(f"cepstra of {name}", cepstra, golden[key], TOLERANCE, relative=True)
    scores = network(inputs)
    report.close("scores", scores, golden["scores"], TOLERANCE, relative=True)
    rows = torch.cat([network(samples[None]) for samples in inputs])
    report.close("batch and rows", scores, rows, BATCH_TOLERANCE, relative=True)
