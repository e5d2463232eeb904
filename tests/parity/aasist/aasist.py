"""AASIST in its sizes: taps of one input, embeddings and logits of all, and a batch against its rows."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from covoguard.detect.networks.released import build_network, detector_for
from covoguard.detect.networks.weights import parse_state
from covoguard.detect.windows import fill_crop

from ..report import Report

Goldens = Mapping[str, np.ndarray]
TOLERANCE = 1e-4
"""Of the README for logits and embeddings, taken over for the taps."""
BATCH_TOLERANCE = 1e-5
"""Relative; the official code differs from itself by 2e-6."""
TAPPED = "vowel_0p7"
SHORT, REPEATED = "short_20000", "short_20000_repeat_padded"


def tags(keys: Iterable[str]) -> list[str]:
    """The networks in goldens.npz."""
    return sorted(key.removesuffix("_logits") for key in keys if key.endswith("_logits"))


def check(folder: Path, tag: str, goldens: Goldens, report: Report) -> None:
    """Everything of one network."""
    state = parse_state((folder / f"{tag}_state.npz").read_bytes(), ".npz")
    network = build_network(detector_for("aasist", state), state)
    names = [str(name) for name in goldens["names"]]
    inputs = torch.from_numpy(goldens["x"])
    # the embedding is what goes into the last layer
    embeddings: list[Tensor] = []
    network.get_submodule("out_layer").register_forward_pre_hook(lambda _, given: embeddings.append(given[0]))
    logits = network(inputs)
    report.close(f"{tag} logits", logits, goldens[f"{tag}_logits"], TOLERANCE)
    report.close(f"{tag} embeddings", embeddings[0], goldens[f"{tag}_emb"], TOLERANCE)
    with _taps(network, tag, goldens) as tapped:
        rows = []
        for name, samples in zip(names, inputs, strict=True):
            rows.append(network(samples[None])[0])
            if name == TAPPED:
                _check_taps(tag, dict(tapped), goldens, report)
    report.close(f"{tag} batch and rows", logits, torch.stack(rows), BATCH_TOLERANCE, relative=True)
    if SHORT in goldens and REPEATED in names:
        expected = inputs[names.index(REPEATED)]
        report.close(f"{tag} short clip repeated", fill_crop(goldens[SHORT])[: len(expected)], expected, 0.0)


@contextmanager
def _taps(network: nn.Module, tag: str, goldens: Goldens) -> Iterator[dict[str, Tensor]]:
    """The last output of every module that the goldens have a tap of; of several tensors, the first."""
    tapped: dict[str, Tensor] = {}

    def keep(module: str, output: Tensor | tuple[Tensor, ...]) -> None:
        tapped[module] = output[0] if isinstance(output, tuple) else output

    prefixes = (f"{tag}_tap_", f"{tag}_tapstat_")
    modules = {key.removeprefix(prefix) for key in goldens for prefix in prefixes if key.startswith(prefix)}
    hooks = [
        network.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: keep(name, output))
        for name in sorted(modules)
    ]
    yield tapped
    for hook in hooks:
        hook.remove()


def _check_taps(tag: str, tapped: Mapping[str, Tensor], goldens: Goldens, report: Report) -> None:
    for module, output in tapped.items():
        if (whole := goldens.get(f"{tag}_tap_{module}")) is not None:
            report.close(f"{tag} {module}", output, whole, TOLERANCE, relative=True)
        if (summary := goldens.get(f"{tag}_tapstat_{module}")) is not None:
            # theirs was taken after the SELU that follows in place
            values = torch.selu(output) if module == "first_bn" else output
            report.close(f"{tag} {module}, summary", _summary(values), summary, TOLERANCE, relative=True)


def _summary(values: Tensor) -> np.ndarray:
    """Mean, standard deviation, largest magnitude, first and last element."""
    flat = values.contiguous().numpy().astype(np.float64).ravel()
    return np.array([flat.mean(), flat.std(), np.abs(flat).max(), flat[0], flat[-1]])
