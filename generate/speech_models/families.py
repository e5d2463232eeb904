"""Which adapter runs a checkpoint, by the `model_type` of its configuration."""

from collections.abc import Mapping

from ...core.errors import UsageError
from .bark import Bark
from .checkpoint import CheckpointFolder
from .family import SpeechFamily
from .fastspeech2 import WITH_VOCODER, FastSpeech2
from .seamless import SeamlessM4T
from .speecht5 import SpeechT5
from .vits import Vits

FAMILIES: Mapping[str, type[SpeechFamily]] = {
    "vits": Vits,
    "speecht5": SpeechT5,
    "bark": Bark,
    "seamless_m4t": SeamlessM4T,
    "seamless_m4t_v2": SeamlessM4T,
    "fastspeech2_conformer": FastSpeech2,
    WITH_VOCODER: FastSpeech2,
}


def family_of(checkpoint: CheckpointFolder) -> type[SpeechFamily]:
    """The adapter for a checkpoint. Raises `UsageError` that lists the known types."""
    try:
        return FAMILIES[checkpoint.model_type]
    except KeyError:
        found = repr(checkpoint.model_type) if checkpoint.model_type else "no model_type"
        raise UsageError(
            f"{checkpoint.path}: {found}; the speech models that run here are {', '.join(sorted(FAMILIES))}"
        ) from None
