"""From a score per window to one piece of evidence: what all window detectors share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np

from ..core.audio import resample
from ..core.errors import IntegrityError, UsageError
from ..core.modelcard import ModelFolder, open_model
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Evidence, Float32Array, ScoredSegment, Segment
from .calibration import Calibration
from .windows import pool, speech_windows

CALIBRATION_NAME = "calibration.json"
Windows = Callable[[Sequence[Segment], float], list[Segment]]
"""From regions of speech and the clip's length in seconds to windows, in order of time."""


def bundled_folder(name: str) -> Path:
    """Where the bundled model of detector `name` lies."""
    return Path(str(files(f"{__package__}.models"))) / name


def open_bundled_or(folder: Path | None, name: str) -> ModelFolder:
    """The model in `folder`, or the bundled one called `name`."""
    return open_model(folder or bundled_folder(name))


def read_calibration(model: ModelFolder) -> Calibration:
    """The calibration that lies beside the model's weights; raises `IntegrityError` when it cannot be one."""
    with unusable(model, CALIBRATION_NAME, UsageError, ValueError):
        return Calibration.from_object(model.read_json(CALIBRATION_NAME))


@contextmanager
def unusable(model: ModelFolder, name: str, *errors: type[Exception]) -> Iterator[None]:
    """Turn `errors` of whoever reads file `name` into an `IntegrityError`: its checksum fits, its content does not."""
    try:
        yield
    except errors as error:
        raise IntegrityError(
            f"{model.path / name}: whole, but not usable ({error}); train or install the model again"
        ) from error


def score_speech(
    audio: Audio,
    regions: Sequence[Segment] | None,
    score_window: Callable[[Float32Array], float],
    model: ModelFolder,
    calibration: Calibration | None,
    windows_over: Windows = speech_windows,
) -> Evidence:
    """Score windows over `regions` (None: the whole clip), pool and calibrate.

    `score_window` takes 16 kHz samples (n,) of at least `windows.MIN_WINDOW_S`. Other rates are resampled here.
    Without a calibration the log10 LR is None, and the segments say only what was heard. Status `not_scored` with
    scores of None: no speech, too little of it, silence, samples that are not finite or not mono, or too loud for
    a finite score.
    """
    nothing = Evidence("artifact", model.id, "not_scored", model_sha256=model.model_sha256)
    if audio.samples.ndim != 1 or not np.isfinite(audio.samples).all():
        return nothing
    samples = resample(audio.samples, audio.rate_hz, DETECTOR_RATE_HZ)
    duration_s = len(samples) / DETECTOR_RATE_HZ
    speech = [Segment(0.0, duration_s)] if regions is None else regions
    windows = [window for window in windows_over(speech, duration_s) if np.any(_cut(samples, window))]
    if not windows:
        return nothing
    scores = [score_window(_cut(samples, window)) for window in windows]
    if not np.isfinite(scores).all():
        return nothing
    score = pool(scores)
    scored = replace(nothing, status="scored", score=score, segments=tuple(windows))
    if calibration is None:
        return scored
    return replace(
        scored,
        log10_lr=calibration.apply(score, sum(region.duration_s for region in speech)),
        segments=tuple(
            ScoredSegment(window.start_s, window.end_s, calibration.apply(window_score, window.duration_s))
            for window, window_score in zip(windows, scores, strict=True)
        ),
    )


def _cut(samples: Float32Array, window: Segment) -> Float32Array:
    return samples[round(window.start_s * DETECTOR_RATE_HZ) : round(window.end_s * DETECTOR_RATE_HZ)]
