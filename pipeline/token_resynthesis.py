"""Speech through speech tokens and back: what a token model makes of a recording, in a voice of its own."""

import numpy as np

from ..core.cliprecord import Settings, SpeechKind
from ..core.rates import DETECTOR_RATE_HZ, TOKEN_RATE_HZ
from ..core.records import Audio, Float32Array, Int32Array, Posteriors, Tokens

_SEEDS = 2**31
_TOKEN_SAMPLES = DETECTOR_RATE_HZ // TOKEN_RATE_HZ


class PocketResynthesis:
    """A `CopyMethod`: tokens that pocket's recoverer reads from the recording, decoded in one of pocket's voices.

    The words stay as far as 1024 codes tell them; the voice is pocket's, drawn for each clip. No key was used, so
    there is no token mark.
    """

    name = "pocket-resynthesis"
    kind: SpeechKind = "codec"
    family = "pocket"

    def __init__(self) -> None:
        """Load the bundled model. Raises `ModelMissing` or `IntegrityError`."""
        from ..generate.pocket.acoustics import VOICES
        from ..generate.pocket.model import open_pocket
        from ..generate.pocket.speech import PocketDecoder
        from .mark_evidence import load_recoverer

        self._recoverer = load_recoverer()
        self._decoder = PocketDecoder.load(open_pocket())
        self._voices = VOICES
        self.model_sha256: str | None = self._recoverer.model.model_sha256
        self.settings: Settings = (("model", self._recoverer.model.id),)

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
        ahead = _TOKEN_SAMPLES - row * DETECTOR_RATE_HZ // posteriors.rate_hz
        return self._decoder.decode(tokens, voice=voice, seed=seed).samples[ahead : ahead + len(samples)]


def most_likely_tokens(posteriors: Posteriors) -> tuple[int, Int32Array]:
    """The row of the first token, and the likeliest ids (n,): of the grids that are possible, the surest one."""
    step = posteriors.rate_hz // TOKEN_RATE_HZ
    sureness = [np.log(posteriors.probs[row::step, 0] + 1e-12) for row in range(step)]
    means = [float(each.mean()) if len(each) else -np.inf for each in sureness]
    row = int(np.argmax(means))
    return row, posteriors.ids[row::step, 0].astype(np.int32)
