"""A self-supervised encoder that the user has, with a head, as `detect/networks/ssl.py` has it."""

from typing import Self

from ....core.jsonrecord import from_json
from ....core.modelcard import CARD_NAME
from ...networks.ssl import SslDesign, SslNetwork
from ...networks.weights import WeightsError, load_strictly
from ...scorers.ssl import ENCODER_CONFIG_NAME
from ...scoring import unusable
from ..networks import TRAINABLE, NetworkStart
from ..starting import LastLayerApart, freeze_unused, read_state

_LAST_LAYERS = {"mean": "head.out", "attentive": "head.out", "aasist": "head.out_layer"}


@TRAINABLE.register("ssl")
class TrainableSsl(LastLayerApart):
    """Starts from a folder that `pipeline/make_ssl_detector.py` made of a checkpoint."""

    def __init__(self, body: SslNetwork, last: str, *, train_encoder: bool) -> None:
        """A frozen encoder is never in training mode, so that it hears as it did when it was made."""
        super().__init__(body, last)
        self._train_encoder = train_encoder
        freeze_unused(body.head)
        if train_encoder:
            _without_random_gaps(body)
        else:
            body.encoder.requires_grad_(False)

    @classmethod
    def build(cls, start: NetworkStart) -> Self:
        """See `DetectorNetwork`; raises `UsageError` without a folder."""
        model, state = read_state(start, "ssl")
        with unusable(model, CARD_NAME, ValueError):
            design = from_json(SslDesign, model.card.get("network"))
        with unusable(model, ENCODER_CONFIG_NAME, ValueError, WeightsError):
            body = SslNetwork(design, model.read_json(ENCODER_CONFIG_NAME))
        with unusable(model, str(model.card["weights"]), WeightsError):
            load_strictly(body, state)
        return cls(body, _LAST_LAYERS[design.head], train_encoder=start.train_encoder)

    def train(self, mode: bool = True) -> Self:
        """As ever, but for a frozen encoder."""
        super().train(mode)
        self.body.get_submodule("encoder").train(mode and self._train_encoder)
        return self


def _without_random_gaps(body: SslNetwork) -> None:
    """No masked stretches (transformers draws them from NumPy's global generator) and no layers left out at random."""
    config = body.encoder.config
    config.apply_spec_augment = False
    config.layerdrop = 0.0
    for name, parameter in body.encoder.named_parameters():
        if name == "masked_spec_embed":  # stands for masked frames, and there are none
            parameter.requires_grad_(False)
