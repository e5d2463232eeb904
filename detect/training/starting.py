"""Parts of which trainable networks are put together: weights to begin with, exact front ends, a last layer apart."""

from typing import TypeVar

import torch
from torch import Tensor, nn

from ...core.errors import UsageError
from ...core.modelcard import ModelFolder, open_model
from ..networks.weights import State, WeightsError, load_strictly, parse_state
from ..scoring import unusable
from .networks import DetectorNetwork, NetworkStart

N = TypeVar("N", bound=nn.Module)


class LastLayerApart(DetectorNetwork):
    """A network of the literature whose last linear layer is taken off: what that layer would hear is the embedding.

    Two outputs are spoof and bona fide, and the logit is their difference; one output is bona fide, and the logit is
    its negative.
    """

    def __init__(self, body: nn.Module, last: str) -> None:
        """Take the layer with the dotted name `last` off `body`, which then gives the embedding."""
        super().__init__()
        layer = body.get_submodule(last)
        if not isinstance(layer, nn.Linear) or layer.out_features not in (1, 2):
            raise ValueError(f"{last} is no linear layer with one or two outputs")
        body.set_submodule(last, nn.Identity())
        self.body, self.last = body, layer
        self.embedding_size = layer.in_features
        self._last_name = last

    def embedding(self, features: Tensor) -> Tensor:
        """Everything before the last layer."""
        embedding: Tensor = self.body(features)
        return embedding

    def classify(self, embedding: Tensor) -> Tensor:
        """The last layer, turned so that higher is more synthetic."""
        outputs = self.last(embedding)
        logit: Tensor = outputs[:, 0] - outputs[:, 1] if outputs.shape[1] == 2 else -outputs[:, 0]
        return logit

    def scorer_state(self) -> dict[str, Tensor]:
        """As in the released files: the last layer back in its place."""
        last = {f"{self._last_name}.{name}": value for name, value in self.last.state_dict().items()}
        return {**self.body.state_dict(), **last}


class ExactFrontEnd(nn.Module):
    """Put before a front end's class: it computes in float32, also where the network after it does not.

    Half precision keeps 8 or 11 bits of a sample, and artefacts lie below that.
    """

    def forward(self, samples: Tensor) -> Tensor:
        """As the front end."""
        with torch.autocast(samples.device.type, enabled=False):
            features: Tensor = super().forward(samples.float())
            return features


def freeze_unused(body: nn.Module) -> None:
    """Turn off the gradient of every `bn1`: AASIST and RawNet2 hold them and never apply them."""
    for name, part in body.named_modules():
        if name.split(".")[-1] == "bn1":
            part.requires_grad_(False)


def begin_with(body: N, start: NetworkStart, detector: str, unused: tuple[str, ...] = ()) -> N:
    """Fill `body` with the weights of the folder, if one is given; `unused` names there are left out.

    Raises `UsageError` for `train_encoder`, and as `read_state`.
    """
    refuse_encoder(start, detector)
    if start.folder is not None:
        model, state = read_state(start, detector)
        with unusable(model, str(model.card["weights"]), WeightsError):
            load_strictly(body, state, unused)
    return body


def refuse_encoder(start: NetworkStart, detector: str) -> None:
    """Raise `UsageError` where a network without an encoder is asked to train one."""
    if start.train_encoder:
        raise UsageError(f"{detector} has no pre-trained encoder; leave out train_encoder")


def read_state(start: NetworkStart, detector: str) -> tuple[ModelFolder, State]:
    """The start's folder and the weights in it.

    Raises `ModelMissing` for one that is not there, `IntegrityError` for one of another detector or damaged.
    """
    if start.folder is None:
        raise UsageError(f"{detector} cannot begin with random weights; give a model folder to start from")
    model = open_model(start.folder)
    model.check_part("detector", detector)
    name = str(model.card["weights"])
    with unusable(model, name, WeightsError):
        return model, parse_state(model.read_bytes(name), (start.folder / name).suffix)
