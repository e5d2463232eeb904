"""A self-supervised encoder that the user has (wav2vec 2.0, XLS-R, WavLM, HuBERT) with a head trained here."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from ...core.errors import ModelMissing
from ...core.jsonrecord import from_json
from ...core.modelcard import CARD_NAME, ModelFolder, open_model
from ...core.records import Audio, Evidence, Float32Array, Segment
from ..calibration import Calibration
from ..registry import SCORERS
from ..scoring import CALIBRATION_NAME, read_calibration, score_speech, unusable
from ..windows import crop_windows

ENCODER_CONFIG_NAME = "encoder.config.json"


@SCORERS.register("ssl")
class SslScorer:
    """Mean of spoof minus bona fide logit. Source: `detect/networks/ssl.py`; the encoder's maker is in its card."""

    name = "ssl"
    how_to_get: str | None = (
        "make one of a wav2vec2, XLS-R, WavLM or HuBERT checkpoint with covoguard.pipeline.make_ssl_detector, "
        "and train its head"
    )

    def __init__(
        self, model: ModelFolder, calibration: Calibration | None, score_window: Callable[[Float32Array], float]
    ) -> None:
        """Without a calibration there is a score and no log10 LR."""
        self.model = model
        self._calibration = calibration
        self._score_window = score_window

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a model folder. Raises `ModelMissing` (also for None, and for an untrained head) or `IntegrityError`."""
        from ..networks.ssl import SslDesign, ssl_window_scorer
        from ..networks.weights import WeightsError, parse_state

        if folder is None:
            raise ModelMissing(f"no model of {cls.name} comes with covoguard; {cls.how_to_get}")
        model = open_model(folder)
        model.check_part("detector", cls.name)
        if model.card.get("trained") is not True:
            raise ModelMissing(f"{folder}: its head was never trained, so a score would say nothing; train it first")
        weights_name = str(model.card["weights"])
        with unusable(model, ENCODER_CONFIG_NAME, ValueError):
            encoder_config = model.read_json(ENCODER_CONFIG_NAME)
            if not isinstance(encoder_config, dict):
                raise ValueError("not a configuration")
        with unusable(model, CARD_NAME, ValueError):
            design = from_json(SslDesign, model.card.get("network"))
        with unusable(model, weights_name, WeightsError):
            state = parse_state(model.read_bytes(weights_name), Path(weights_name).suffix)
            score_window = ssl_window_scorer(design, encoder_config, state)
        calibration = read_calibration(model) if CALIBRATION_NAME in model.checksums else None
        return cls(model, calibration, score_window)

    def score(self, audio: Audio, *, regions: Sequence[Segment] | None = None) -> Evidence:
        """Score windows of 64,600 samples over `regions` (None: the whole clip); see `score_speech`."""
        return score_speech(audio, regions, self._score_window, self.model, self._calibration, crop_windows)
