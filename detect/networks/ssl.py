"""A self-supervised encoder with a head: wav2vec 2.0 (XLS-R too), WavLM or HuBERT, as transformers has them.

The encoder is built from its configuration alone and filled from our own file of weights: nothing is fetched, and no
code that came with a checkpoint is run.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...core.records import Float32Array
from ..windows import fill_crop
from .aasist import BONA_FIDE, SPOOF
from .ssl_head import HEADS
from .weights import State, WeightsError, load_strictly

ENCODER_KINDS = ("wav2vec2", "wavlm", "hubert")
"""`model_type` in the checkpoint's config.json; XLS-R and MMS call themselves wav2vec2."""
_LEAST_VARIANCE = 1e-7
"""Of a window, as in transformers' Wav2Vec2FeatureExtractor."""


@dataclass(frozen=True)
class SslDesign:
    """What a network is, beside its weights. The attribute names are the keys in the model's card."""

    encoder: str
    """One of `ENCODER_KINDS`."""
    head: str
    """A name in `HEADS`."""
    normalise: bool
    """Whether the encoder was trained on sound of mean 0 and deviation 1 (`do_normalize` of its preprocessor)."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for an encoder or a head that is not known."""
        for what, name, known in (("encoder", self.encoder, ENCODER_KINDS), ("head", self.head, tuple(HEADS))):
            if name not in known:
                raise ValueError(f"there is no {what} {name!r}; known: {', '.join(known)}")


class SslNetwork(nn.Module):
    """From samples to two logits."""

    def __init__(self, design: SslDesign, encoder_config: Mapping[str, Any]) -> None:
        """Random weights; raises `WeightsError` for a configuration that makes no encoder."""
        super().__init__()
        self.design = design
        self.encoder = _build_encoder(design.encoder, encoder_config)
        config = self.encoder.config
        self.head = HEADS[design.head](config.num_hidden_layers + 1, config.hidden_size)

    def forward(self, samples: Tensor) -> Tensor:
        """16 kHz samples (b, n) -> logits (b, 2), spoof and bona fide."""
        if self.design.normalise:
            exact = samples.double()  # the square of a very loud sample is beyond float32
            variance, mean = torch.var_mean(exact, dim=1, correction=0, keepdim=True)
            samples = ((exact - mean) / torch.sqrt(variance + _LEAST_VARIANCE)).to(samples.dtype)
        hidden = self.encoder(samples, output_hidden_states=True).hidden_states
        logits: Tensor = self.head(torch.stack(hidden, dim=1))
        return logits


def encoder_class(kind: str) -> Any:
    """The model class of transformers for one of `ENCODER_KINDS`; its `config_class` goes with it."""
    from transformers import HubertModel, Wav2Vec2Model, WavLMModel

    return {"wav2vec2": Wav2Vec2Model, "wavlm": WavLMModel, "hubert": HubertModel}[kind]


def ssl_window_scorer(
    design: SslDesign, encoder_config: Mapping[str, Any], state: State
) -> Callable[[Float32Array], float]:
    """From 16 kHz samples (n,) of a window to spoof minus bona fide logit, over the window repeated to a crop's length.

    Raises `WeightsError` that names every tensor of encoder or head that is not as it should be.
    """
    network = load_strictly(SslNetwork(design, encoder_config), state)

    @torch.inference_mode()
    def score(samples: Float32Array) -> float:
        logits = network(torch.tensor(fill_crop(samples), dtype=torch.float32)[None])[0]
        return float(logits[SPOOF] - logits[BONA_FIDE])

    return score


def _build_encoder(kind: str, config: Mapping[str, Any]) -> Any:
    made = encoder_class(kind)
    try:
        # named here, so that a configuration cannot ask for kernels from elsewhere
        return made(made.config_class.from_dict({**config, "attn_implementation": "eager"}))
    except Exception as error:  # a configuration that does not hold together raises what it likes
        raise WeightsError(f"no {kind} can be built of its configuration ({type(error).__name__}: {error})") from error
