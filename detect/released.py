"""What the detectors of the literature share: a model that the user brings or trains, and crops as in training.

Released weights are anchors to compare with: they come without a calibration, so they decide nothing alone.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..core.errors import ModelMissing
from ..core.modelcard import ModelFolder, open_model
from ..core.records import Audio, Evidence, Segment
from .calibration import Calibration
from .scoring import CALIBRATION_NAME, read_calibration, score_speech, unusable
from .windows import crop_windows

if TYPE_CHECKING:
    from .networks.released import ScoreWindow

WEIGHTS_NAME = "weights.safetensors"
GRAPH_SUFFIX = ".onnx"
"""Of a mean of networks that were trained here, with `covoguard train`."""


class ReleasedScorer:
    """Mean over windows of a network's score; `name` and `how_to_get` are those of the detector."""

    name: str
    how_to_get: str | None

    def __init__(self, model: ModelFolder, calibration: Calibration | None, score_window: "ScoreWindow") -> None:
        """Without a calibration there is a score and no log10 LR."""
        self.model = model
        self._calibration = calibration
        self._score_window = score_window

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a model folder. Raises `ModelMissing` (also for None: none is bundled) or `IntegrityError`."""
        from .networks.released import graph_window_scorer, window_scorer
        from .networks.weights import WeightsError, parse_state
        from .session import graph_errors

        if folder is None:
            raise ModelMissing(f"no model of {cls.name} comes with covoguard; {cls.how_to_get}")
        model = open_model(folder)
        model.check_part("detector", cls.name)
        weights_name = str(model.card["weights"])
        content, suffix = model.read_bytes(weights_name), Path(weights_name).suffix
        if suffix == GRAPH_SUFFIX:
            with unusable(model, weights_name, *graph_errors()):
                score_window = graph_window_scorer(content)
        else:
            with unusable(model, weights_name, WeightsError):
                score_window = window_scorer(cls.name, parse_state(content, suffix))
        calibration = read_calibration(model) if CALIBRATION_NAME in model.checksums else None
        return cls(model, calibration, score_window)

    def score(self, audio: Audio, *, regions: Sequence[Segment] | None = None) -> Evidence:
        """Score windows of 64,600 samples over `regions` (None: the whole clip); see `score_speech`."""
        return score_speech(audio, regions, self._score_window, self.model, self._calibration, crop_windows)
