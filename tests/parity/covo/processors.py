"""Penalties and warpers against reference scores."""

import re
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.decoding.warpers import (
    ranked,
    repetition_penalty,
    top_k,
    top_p,
    windowed_penalty,
    with_temperature,
)

from ..report import Report

TOLERANCE = 1e-6
NAMED = re.compile(r"(?P<kind>rep|win)_p(?P<penalty>[\d.]+)_(?:full|w(?P<window>\d+))")
CHAINED = re.compile(r"chain_after_(?P<step>temp|topk|topp)(?P<value>[\d.]+)")


def check(folder: Path, report: Report) -> None:
    """Every tensor of `proc_golden.safetensors`; penalties, windows and the like are read from their names."""
    golden = load_file(folder / "proc_golden.safetensors")
    ids, scores = golden["input_ids"], golden["scores_in"]
    lengths = torch.full((len(ids),), ids.shape[1])
    for name in sorted(golden):
        if match := NAMED.fullmatch(name):
            penalty, window = float(match["penalty"]), int(match["window"] or 0)
            _close(report, name, penalised(scores, ids, lengths, match["kind"], penalty, window), golden[name])
    _check_chain(report, golden, ids, lengths, scores)


def penalised(scores: Tensor, ids: Tensor, lengths: Tensor, kind: str, penalty: float, window: int) -> Tensor:
    """One penalty, the same for every row."""
    strength = torch.full((len(ids),), penalty)
    if kind == "rep":
        return repetition_penalty(scores, ids, lengths, strength)
    return windowed_penalty(scores, ids, lengths, strength, torch.full((len(ids),), window))


def _check_chain(report: Report, golden: dict[str, Tensor], ids: Tensor, lengths: Tensor, scores: Tensor) -> None:
    """The chain begins with both penalties at the official strengths, which its names leave out."""
    official = CovoSampling()
    both = penalised(scores, ids, lengths, "rep", official.repetition_penalty, 0)
    both = penalised(both, ids, lengths, "win", official.window_penalty, official.window_tokens)
    _close(report, "rep_then_win", both, golden["rep_then_win"])
    steps = {match["step"]: (name, float(match["value"])) for name in golden if (match := CHAINED.fullmatch(name))}
    values, order = ranked(both, both.shape[1])
    for step, warp in (("temp", with_temperature), ("topk", top_k), ("topp", top_p)):
        name, value = steps[step]
        values = warp(values, torch.full((len(ids),), value, dtype=torch.int64 if step == "topk" else torch.float32))
        _close(report, name, in_vocabulary(values, order), golden[name])
    _close(report, "chain_probs", in_vocabulary(values, order).softmax(dim=1), golden["chain_probs"])


def in_vocabulary(values: Tensor, ids: Tensor) -> Tensor:
    """Ranked values back at the places of their ids."""
    return torch.empty_like(values).scatter(1, ids, values)


def _close(report: Report, name: str, got: Tensor, expected: Tensor) -> None:
    report.close(f"processors.{name}", got, expected, TOLERANCE, relative=True)
