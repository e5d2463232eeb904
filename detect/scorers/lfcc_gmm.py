"""The baseline: LFCC and Gaussian mixtures (`detect/gmm.py`), in numpy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

from safetensors import SafetensorError

from ...core.modelcard import ModelFolder
from ...core.records import Audio, Evidence, Float32Array, Segment
from ..calibration import Calibration
from ..gmm import MixturePair, load_pairs
from ..lfcc import lfcc
from ..registry import SCORERS
from ..scoring import open_bundled_or, read_calibration_if_any, score_speech, unusable


@SCORERS.register("lfcc-gmm")
class LfccGmmScorer:
    """Mean log likelihood ratio of the mixtures per window. Source: `detect/gmm.py`, trained by us."""

    name = "lfcc-gmm"
    how_to_get: str | None = None

    def __init__(self, model: ModelFolder, calibration: Calibration | None, pairs: Sequence[MixturePair]) -> None:
        """The score is the mean over `pairs`."""
        self.model = model
        self._calibration = calibration
        self._pairs = pairs

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a model folder (None: the bundled one). Raises `ModelMissing` or `IntegrityError`."""
        model = open_bundled_or(folder, cls.name)
        weights_name = str(model.card["weights"])
        with unusable(model, weights_name, SafetensorError, KeyError, ValueError):
            pairs = load_pairs(model.read_bytes(weights_name))
        return cls(model, read_calibration_if_any(model), pairs)

    def score(self, audio: Audio, *, regions: Sequence[Segment] | None = None) -> Evidence:
        """Score windows over `regions` (None: the whole clip); see `score_speech`."""
        return score_speech(audio, regions, self._score_window, self.model, self._calibration)

    def _score_window(self, samples: Float32Array) -> float:
        frames = lfcc(samples)
        return sum(pair.score(frames) for pair in self._pairs) / len(self._pairs)
