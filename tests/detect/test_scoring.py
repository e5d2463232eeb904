"""From window scores to evidence, with a made-up detector so that every number is known."""

import numpy as np
import pytest

from covoguard.core.modelcard import ModelFolder
from covoguard.core.records import Audio, Segment
from covoguard.detect.calibration import Calibration, CalibrationBin
from covoguard.detect.domain import fit_domain
from covoguard.detect.scoring import HeardWindow, hear_speech, score_speech

MODEL = ModelFolder("folder", {"id": "made-up", "version": "1", "weights": "w"}, {"w": "0" * 64})
CALIBRATION = Calibration((CalibrationBin(0.0, 10.0, -1.0),), clip_log10_lr=3.0)


def peak(samples):
    return float(np.abs(samples).max())


def ramp(duration_s, rate_hz=16_000):
    """Level 0 to 1 over the clip."""
    count = int(duration_s * rate_hz)
    return Audio(np.linspace(0.0, 1.0, count, dtype=np.float32), rate_hz)


def test_the_mean_over_windows_is_calibrated_and_every_window_is_kept():
    evidence = score_speech(ramp(8.0), None, peak, MODEL, CALIBRATION)
    assert (evidence.kind, evidence.status, evidence.method) == ("artifact", "scored", "made-up@1")
    assert [(s.start_s, s.end_s) for s in evidence.segments] == [(0.0, 4.0), (2.0, 6.0), (4.0, 8.0)]
    assert evidence.score == pytest.approx(0.75, abs=1e-3)
    assert evidence.log10_lr == 3.0  # 10 * 0.75 - 1 is cut off
    assert evidence.segments[0].log10_lr == 3.0
    assert evidence.model_sha256 == "0" * 64


def test_only_the_regions_are_scored():
    evidence = score_speech(ramp(10.0), [Segment(0.2, 1.5)], peak, MODEL, CALIBRATION)
    assert evidence.score == pytest.approx(0.165, abs=1e-3)
    assert evidence.log10_lr == pytest.approx(0.65, abs=1e-2)


def test_other_rates_are_brought_to_16_khz():
    lengths = []
    score_speech(ramp(2.0, 8_000), None, lambda window: lengths.append(len(window)) or 0.0, MODEL, CALIBRATION)
    assert lengths == [32_000]


@pytest.mark.parametrize(
    ("audio", "regions"),
    [
        (Audio(np.zeros(32_000, np.float32), 16_000), None),
        (Audio(np.zeros(0, np.float32), 16_000), None),
        (Audio(np.ones(160, np.float32), 16_000), None),
        (Audio(np.full(32_000, np.nan, np.float32), 16_000), None),
        (Audio(np.ones((2, 32_000), np.float32), 16_000), None),
        (Audio(np.ones(32_000, np.float32), 16_000), []),
    ],
    ids=["silence", "empty", "10 ms", "NaN", "stereo", "no speech"],
)
def test_what_cannot_be_scored_says_so(audio, regions):
    evidence = score_speech(audio, regions, peak, MODEL, CALIBRATION)
    assert evidence.status == "not_scored"
    assert evidence.score is None
    assert evidence.log10_lr is None
    assert evidence.segments == ()


# --- embeddings --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def domain():
    """Known recordings have embeddings about (0.5, 0)."""
    rng = np.random.default_rng(5)
    return fit_domain(
        rng.normal([0.5, 0.0], 0.1, (400, 2)), ["spoof", "bonafide"] * 200, rng.normal([0.5, 0.0], 0.1, (999, 2))
    )


def level(samples, second=0.0):
    return HeardWindow(0.1, np.array([samples.mean(), second], dtype=np.float32))


def test_the_distance_of_a_recording_is_the_median_over_its_windows(domain):
    heard = []

    def hear(samples):
        heard.append(level(samples))
        return heard[-1]

    evidence = hear_speech(ramp(8.0), None, hear, MODEL, CALIBRATION, domain=domain)
    assert len(heard) == 3
    assert evidence.domain.distance == np.median([domain.distance(each.embedding) for each in heard])
    assert evidence.domain.verdict == "in"
    away = hear_speech(ramp(8.0), None, lambda samples: level(samples, 3.0), MODEL, CALIBRATION, domain=domain)
    assert (away.domain.verdict, away.domain.share_further_out) == ("out", 1 / 1000)
    assert away.log10_lr == evidence.log10_lr


def test_without_a_gate_or_without_embeddings_nothing_is_said(domain):
    assert hear_speech(ramp(4.0), None, level, MODEL, CALIBRATION).domain is None
    assert score_speech(ramp(4.0), None, peak, MODEL, CALIBRATION).domain is None
    silence = Audio(np.zeros(32_000, np.float32), 16_000)
    assert hear_speech(silence, None, level, MODEL, CALIBRATION, domain=domain).domain is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_embedding_that_is_no_number_is_not_scored(domain, value):
    evidence = hear_speech(ramp(4.0), None, lambda samples: level(samples, value), MODEL, CALIBRATION, domain=domain)
    assert (evidence.status, evidence.score, evidence.domain) == ("not_scored", None, None)
