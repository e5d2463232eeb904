"""From a score per window to one piece of evidence: what all window detectors share."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.audio import resample
from ..core.errors import IntegrityError, UsageError
from ..core.modelcard import ModelFolder, open_model
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Evidence, Float32Array, ScoredSegment, Segment
from .calibration import Calibration
from .domain import DOMAIN_NAME, Domain
from .windows import pool, speech_windows

CALIBRATION_NAME = "calibration.json"
Windows = Callable[[Sequence[Segment], float], list[Segment]]
"""From regions of speech and the clip's length in seconds to windows, in order of time."""


class HeardWindow(NamedTuple):
    """What a network says of one window."""

    score: float
    embedding: npt.NDArray[np.float32] | None = None
    """(d,): its view of the window, for the model's `Domain`; None where there is none."""


HearWindow = Callable[[Float32Array], HeardWindow]
"""From 16 kHz samples (n,) of at least `windows.MIN_WINDOW_S`."""


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


def read_calibration_if_any(model: ModelFolder) -> Calibration | None:
    """As `read_calibration`; None for a model without one, which was never measured."""
    return read_calibration(model) if CALIBRATION_NAME in model.checksums else None


def read_domain(model: ModelFolder) -> Domain | None:
    """The model's gate; None for a model without one. Raises `IntegrityError` when the file cannot be one."""
    if DOMAIN_NAME not in model.checksums:
        return None
    with unusable(model, DOMAIN_NAME, UsageError):
        return Domain.from_bytes(model.read_bytes(DOMAIN_NAME))


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
    """As `hear_speech`, for a detector that gives a score and nothing else."""
    return hear_speech(
        audio,
        regions,
        lambda samples: HeardWindow(score_window(samples)),
        model,
        calibration,
        windows_over=windows_over,
    )


def hear_speech(
    audio: Audio,
    regions: Sequence[Segment] | None,
    hear_window: HearWindow,
    model: ModelFolder,
    calibration: Calibration | None,
    *,
    domain: Domain | None = None,
    windows_over: Windows = speech_windows,
) -> Evidence:
    """Score windows over `regions` (None: the whole clip), pool and calibrate. Other rates are resampled here.

    With a `domain`, `hear_window` must give embeddings; the recording's distance is the median over its windows.
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
    heard = [hear_window(_cut(samples, window)) for window in windows]
    scores = [each.score for each in heard]
    embeddings = [each.embedding for each in heard if each.embedding is not None]
    if not np.isfinite(scores).all() or not all(np.isfinite(each).all() for each in embeddings):
        return nothing
    score = pool(scores)
    scored = replace(nothing, status="scored", score=score, segments=tuple(windows))
    if domain is not None and embeddings:
        distance = float(np.median([domain.distance(each) for each in embeddings]))
        scored = replace(scored, domain=domain.finding(distance))
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
