"""The metadata-only probe: how far the classes can be told apart without listening to the speech.

A collection whose labels follow from file formats, levels or silence teaches a detector those. The probe tries to
learn the label from such numbers alone, across folds; the nearer to chance it stays, the better the collection.
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array

log = logging.getLogger(__name__)

STATISTICS = (
    "duration_s",
    "leading_silence_s",
    "trailing_silence_s",
    "peak",
    "rms_dbfs",
    "dc_offset",
    "share_above_7_khz_db",
    "noise_floor_dbfs",
)
FRAME_SAMPLES = 320
CHANCE_EER = (0.45, 0.55)
"""A probe outside this range has found a shortcut."""


def simple_statistics(samples: Float32Array) -> tuple[float, ...]:
    """Eight numbers about a 16 kHz clip of at least 20 ms that say nothing of its speech; see `STATISTICS`."""
    whole = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    levels_db = 10.0 * np.log10(np.mean(np.square(whole, dtype=np.float64), axis=1) + 1e-12)
    loud = np.flatnonzero(levels_db > levels_db.max() - 40.0)
    power = np.abs(np.fft.rfft(samples)) ** 2
    above = power[np.fft.rfftfreq(len(samples), 1.0 / DETECTOR_RATE_HZ) > 7000.0].sum()
    frame_s = FRAME_SAMPLES / DETECTOR_RATE_HZ
    return (
        len(samples) / DETECTOR_RATE_HZ,
        float(loud[0]) * frame_s,
        float(len(levels_db) - 1 - loud[-1]) * frame_s,
        float(np.max(np.abs(samples))),
        float(10.0 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12)),
        abs(float(np.mean(samples, dtype=np.float64))),
        float(10.0 * np.log10((above + 1e-12) / (power.sum() + 1e-12))),
        float(np.percentile(levels_db, 10)),
    )


def recording_numbers(columns: Sequence[Mapping[str, str]]) -> npt.NDArray[np.float64]:
    """Number the values of each column: figures as they are, words by their place in sorted order; (n, columns)."""
    names = sorted(columns[0]) if columns else []
    numbered = [_numbers([line[name] for line in columns]) for name in names]
    return np.column_stack(numbered) if numbered else np.zeros((len(columns), 0))


def probe_scores(
    numbers: npt.NDArray[np.float64], is_spoof: npt.NDArray[np.bool_], folds: Sequence[str], *, seed: int
) -> npt.NDArray[np.float64]:
    """Out-of-fold scores (n,) of gradient boosting on `numbers` (n, d); higher is more synthetic."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    scores = np.zeros(len(is_spoof))
    fold_of = np.array(folds)
    for fold in sorted(set(folds)):
        test = fold_of == fold
        model = HistGradientBoostingClassifier(class_weight="balanced", random_state=seed)
        model.fit(numbers[~test], is_spoof[~test])
        scores[test] = model.predict_proba(numbers[test])[:, 1]
    return scores


def warn_of_shortcuts(probe: Mapping[str, float | None]) -> None:
    """Log a warning for each probe that is not near chance: a detector may have learned what the probe did."""
    for name, value in probe.items():
        if value is not None and not CHANCE_EER[0] <= value <= CHANCE_EER[1]:
            log.warning("%s alone tell the labels with an EER of %.1f %%; 50 %% is chance", name, 100 * value)


def _numbers(values: Sequence[str]) -> npt.NDArray[np.float64]:
    try:
        return np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        known = {value: float(index) for index, value in enumerate(sorted(set(values)))}
        return np.array([known[value] for value in values])
