"""Speech through speech tokens and back: what a token model makes of a recording, in a voice of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.audio import resample
from ..core.cliprecord import Settings, SpeechKind
from ..core.errors import UsageError
from ..core.generatorsettings import GeneratorSettings
from ..core.protocols import TokenRecoverer
from ..core.rates import DETECTOR_RATE_HZ, TOKEN_RATE_HZ
from ..core.records import Audio, Float32Array, Int32Array, Posteriors, Tokens
from .recoverer_pairs import VoiceDecoder

_SEEDS = 2**31
_TOKEN_SAMPLES = DETECTOR_RATE_HZ // TOKEN_RATE_HZ


@dataclass(frozen=True)
class TokenModel:
    """Where a Covo-Audio checkpoint and its recoverer lie, and on which device they run (None: the best there is)."""

    model: Path | None = None
    recoverer: Path | None = None
    """None: the folder `recoverer` in that of the model."""
    device: str | None = None


class TokenResynthesis:
    """A `CopyMethod`: tokens that a recoverer reads from the recording, decoded in one of the model's voices.

    The words stay as far as the codes tell them; the voice is the model's, drawn for each clip. No key was used, so
    there is no token mark.
    """

    name: str
    kind: SpeechKind = "codec"
    family: str

    def __init__(
        self, recoverer: TokenRecoverer, decoder: VoiceDecoder, voices: Sequence[str], settings: Settings,
        model_sha256: str,
    ) -> None:  # fmt: skip
        """`settings` and `model_sha256` are for the recipe."""
        self._recoverer, self._decoder, self._voices = recoverer, decoder, voices
        self.model_sha256: str | None = model_sha256
        self.settings = settings

    def copy(self, samples: Float32Array, rng: np.random.Generator) -> Float32Array:
        """As `CopyMethod.copy`, in another voice."""
        voice, seed = self._voices[int(rng.integers(len(self._voices)))], int(rng.integers(_SEEDS))
        if not np.any(samples):
            return np.zeros_like(samples)
        # a token of silence on either side: whichever grid is taken covers the recording, and no end stays empty
        padded = np.pad(samples, (_TOKEN_SAMPLES, 2 * _TOKEN_SAMPLES))
        posteriors = self._recoverer.recover(Audio(padded, DETECTOR_RATE_HZ))
        row, ids = most_likely_tokens(posteriors)
        tokens = Tokens(ids, TOKEN_RATE_HZ, self._recoverer.codebook_size)
        made = self._decoder.decode(tokens, voice=voice, seed=seed)
        ahead = _TOKEN_SAMPLES - row * DETECTOR_RATE_HZ // posteriors.rate_hz
        return resample(made.samples, made.rate_hz, DETECTOR_RATE_HZ)[ahead : ahead + len(samples)]


class PocketResynthesis(TokenResynthesis):
    """Through the 1024 codes of the bundled model."""

    name = "pocket-resynthesis"
    family = "pocket"

    def __init__(self) -> None:
        """Load the bundled model. Raises `ModelMissing` or `IntegrityError`."""
        from ..generate.pocket.acoustics import VOICES
        from ..generate.pocket.model import open_pocket
        from ..generate.pocket.speech import PocketDecoder
        from .mark_evidence import load_recoverer

        recoverer, decoder = load_recoverer(), PocketDecoder.load(open_pocket())
        settings: Settings = (("model", recoverer.model.id),)
        super().__init__(recoverer, decoder, VOICES, settings, recoverer.model.model_sha256)


class CovoResynthesis(TokenResynthesis):
    """Through the tokens and the token2wav of a Covo-Audio checkpoint that the user has, with a recoverer for it."""

    name = "covo-resynthesis"

    def __init__(self, where: TokenModel) -> None:
        """Load both. Raises `UsageError` without a folder or for a recoverer of another model, and as its parts."""
        from .clip_check import marks_of
        from .generate import load_generator
        from .mark_evidence import load_recoverer
        from .train_recoverer import check_decoder

        if where.model is None:
            raise UsageError(f"{self.name} decodes with a checkpoint that you have; name its folder with --model")
        generator = load_generator("covo", where.model, GeneratorSettings(device=where.device))
        recoverer = load_recoverer(marks_of(generator, where.recoverer).path)
        settings: Settings = (
            ("model", generator.model.id), ("recoverer", recoverer.model.id),
            ("recoverer_sha256", recoverer.model.model_sha256), ("licence", str(generator.model.card["licence"])),
        )  # fmt: skip
        self.family = str(generator.model.card.get("family", generator.name))  # that of what it says itself
        decoder = check_decoder(generator).decoder
        super().__init__(recoverer, decoder, generator.voices, settings, generator.model.model_sha256)


def most_likely_tokens(posteriors: Posteriors) -> tuple[int, Int32Array]:
    """The row of the first token, and the likeliest ids (n,): of the grids that are possible, the surest one."""
    step = posteriors.rate_hz // TOKEN_RATE_HZ
    sureness = [np.log(posteriors.probs[row::step, 0] + 1e-12) for row in range(step)]
    means = [float(each.mean()) if len(each) else -np.inf for each in sureness]
    row = int(np.argmax(means))
    return row, posteriors.ids[row::step, 0].astype(np.int32)
