"""The networks of the literature as detectors: built from a state dict, and turned so that higher is more synthetic."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from ...core.records import Float32Array
from ..session import open_graph, score_of
from ..windows import fill_crop
from .aasist import AASIST, AASIST_L, BONA_FIDE, SPOOF, Aasist, config_of
from .lcnn import UNUSED_KEYS, Lcnn
from .rawnet2 import RAWNET2, RawNet2
from .weights import State, load_strictly

ScoreWindow = Callable[[Float32Array], float]


def detector_for(family: str, state: State) -> str:
    """The detector that weights of a `family` are for: AASIST comes in two sizes, told apart by their widths."""
    return "aasist-l" if family == "aasist" and config_of(state) == AASIST_L else family


def build_network(detector: str, state: State) -> nn.Module:
    """The network of `detector` with the weights `state`, ready to score; raises `WeightsError` and `KeyError`."""
    network, unused = _NETWORKS[detector]()
    # the same sums in another order, in little more than half the time: see the parity test
    ready: nn.Module = load_strictly(network, state, unused).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return ready


def window_scorer(detector: str, state: State) -> ScoreWindow:
    """From 16 kHz samples (n,) of a window to the detector's score.

    Two logits give spoof minus bona fide, as a log likelihood ratio would, over the window repeated to the length of
    training; `lcnn`, which was trained on whole files, its one logit with the sign turned, over the window as it is.
    """
    network = build_network(detector, state)

    @torch.inference_mode()
    def score(samples: Float32Array) -> float:
        if detector == "lcnn":
            return -float(network(_row(samples))[0])
        logits = network(_row(fill_crop(samples)))[0]
        return float(logits[SPOOF] - logits[BONA_FIDE])

    return score


def graph_window_scorer(graph: bytes) -> ScoreWindow:
    """As `window_scorer`, for an ONNX graph that was trained here, on crops; raises one of `graph_errors`."""
    session = open_graph(graph)
    return lambda samples: score_of(session, fill_crop(samples))


def _row(samples: Float32Array) -> Tensor:
    return torch.tensor(samples, dtype=torch.float32)[None]


_NETWORKS: Mapping[str, Callable[[], tuple[nn.Module, tuple[str, ...]]]] = {
    "aasist": lambda: (Aasist(AASIST), ()),
    "aasist-l": lambda: (Aasist(AASIST_L), ()),
    "lcnn": lambda: (Lcnn(), UNUSED_KEYS),
    "rawnet2": lambda: (RawNet2(RAWNET2), ()),
}
"""Each network with random weights, and the names in its released files that it never reads."""
