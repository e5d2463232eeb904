"""Detectors as ONNX graphs: from 16 kHz samples (1, n) to one score (1,), front end and all members inside.

A graph may have the embedding (1, d) that the score rests on for a second output; see `detect/domain.py`.
"""

import copy
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import IntegrityError
from .session import SAMPLES_INPUT, SCORE_OUTPUT, open_graph

GRAPH_NAME = "model.onnx"
STATE_NAME = "model.safetensors"
"""The weights of the network that the graph was made of, beside it."""
MAX_DIFFERENCE = 1e-4
"""Between the scores of a graph and of the network that it was made of."""
_OPSET = 17


class MeanOfMembers(nn.Module):
    """Several networks as one: the mean of their logits."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        """Each member maps samples (b, n) to logits (b,)."""
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, samples: Tensor) -> Tensor:
        """Samples (b, n) -> (b,)."""
        return torch.stack([member(samples) for member in self.members]).mean(dim=0)


def export_graph(
    network: nn.Module, path: Path, *, samples: int, any_length: bool, outputs: Sequence[str] = (SCORE_OUTPUT,)
) -> None:
    """Write `network` as a graph of inputs with as many `samples`, or, with `any_length`, as many as it takes.

    `outputs` name what it gives, in order.
    """
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but the newer one needs onnxscript; torch is pinned to one minor version.
        # It also warns of sizes that become constants, which is right where a network hears one length only, and
        # `check_graph` finds out where it is not.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _with_plain_scales(network),
            (torch.zeros(1, samples),),
            path,
            input_names=[SAMPLES_INPUT],
            output_names=list(outputs),
            dynamic_axes={SAMPLES_INPUT: {1: "n"}} if any_length else None,
            opset_version=_OPSET,
            dynamo=False,
        )


def _with_plain_scales(network: nn.Module) -> nn.Module:
    """A copy whose batch norms without scales have scales of 1: without any, the exporter wants to know the width."""
    network = copy.deepcopy(network).eval()
    for part in network.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and not part.affine:
            part.weight = nn.Parameter(torch.ones(part.num_features))
            part.bias = nn.Parameter(torch.zeros(part.num_features))
    return network


@torch.inference_mode()
def check_graph(network: nn.Module, path: Path, lengths: Sequence[int], seed: int) -> None:
    """Hear noise of these lengths with both; raises `IntegrityError` where an output differs by more than 1e-4."""
    session = open_graph(path.read_bytes())
    rng = np.random.default_rng(seed)
    for length in lengths:
        samples = (0.1 * rng.standard_normal(length)).astype(np.float32)
        given = network.eval()(torch.from_numpy(samples)[None])
        expected = given if isinstance(given, tuple) else (given,)
        found = session.run(None, {SAMPLES_INPUT: samples[None]})
        for output, ours, theirs in zip(session.get_outputs(), expected, found, strict=True):
            difference = float(np.abs(theirs - ours.numpy()).max())
            if not difference <= MAX_DIFFERENCE:
                raise IntegrityError(
                    f"{path}: for {length} samples, graph and network differ by {difference:.6f} in {output.name}; "
                    "this is a fault of the export: the trained weights are kept in the work folder"
                )
