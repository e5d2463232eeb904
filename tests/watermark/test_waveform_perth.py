"""Perth: real round trips where the package is installed, and its known faults simulated."""

import importlib.machinery
import sys
import types

import numpy as np
import pytest
from waveform_mark_parts import voice

from covoguard.core.errors import InputError
from covoguard.core.records import Audio, Segment
from covoguard.core.waveformsettings import WaveformSettings
from covoguard.datasets.degrade.playback import change_speed
from covoguard.watermark.pieces import PIECE_S
from covoguard.watermark.waveform import perth
from covoguard.watermark.waveform.perth import ALARMS, DETECTED, TRIALS, PerthMark


@pytest.fixture(scope="module")
def still():
    pytest.importorskip("perth", reason="needs the extra perth")
    return PerthMark(WaveformSettings(speed_sweep=False))


@pytest.fixture
def stand_in(monkeypatch):
    """`stand_in(watermarker)`: a package perth with that class."""

    def install(watermarker):
        package = types.ModuleType("perth")
        package.__spec__ = importlib.machinery.ModuleSpec("perth", None)
        package.PerthImplicitWatermarker = watermarker
        monkeypatch.setitem(sys.modules, "perth", package)

    return install


class Scores:
    """A watermarker that scores each call by `score(samples)`, and marks with `marked(samples)`."""

    def __init__(self, score=lambda samples: 0.0, marked=lambda samples: samples):
        self.score, self.marked, self.heard = score, marked, []

    def __call__(self):
        print("loaded at step 250,000")  # noqa: T201  (as the real one does)
        return self

    def get_watermark(self, samples, sample_rate, round):  # noqa: A002
        assert (sample_rate, round) == (32_000, False)
        self.heard.append(len(samples))
        return np.float32(self.score(samples))

    def apply_watermark(self, samples, sample_rate):
        assert sample_rate == 32_000
        assert len(samples) % 320 == 0
        return self.marked(samples)


@pytest.mark.parametrize("rate_hz", [8_000, 44_100])
def test_what_is_marked_is_found_with_its_bound_and_the_hash_of_the_weights(still, rate_hz):
    finding = still.find(still.embed(voice(rate_hz)))
    assert (finding.status, finding.speed, finding.segments) == ("detected", 1.0, (Segment(0.0, 4.0),))
    assert finding.score > 0.9
    assert (finding.false_alarms.alarms, finding.false_alarms.trials) == (ALARMS["detected"], TRIALS)
    assert len(finding.model_sha256) == 64
    assert finding.traits.keyless
    assert finding.traits.removable


def test_another_speed_is_found_by_the_sweep_alone(still):
    marked = still.embed(voice(duration_s=3.0))
    faster = Audio(change_speed(marked.samples, 1.04), 16_000)
    assert still.find(faster).status == "not_detected"
    found = PerthMark(WaveformSettings(speed_sweep=True)).find(faster)
    assert (found.status, found.reason, found.speed) == ("inconclusive", "mark_at_other_speed", 1.04)
    assert (found.false_alarms.alarms, found.false_alarms.trials) == (ALARMS["swept"], TRIALS)


def test_the_class_that_is_silently_none_is_named_with_what_is_missing(stand_in, monkeypatch):
    stand_in(None)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pkg_resources" else found(name))
    finding = PerthMark().find(voice())
    assert (finding.status, finding.reason) == ("not_checked", "mark_not_installed")
    assert "pkg_resources" in finding.detail
    assert "setuptools 81" in finding.detail
    assert "pip install 'covoguard[perth]'" in finding.detail


def test_loading_leaves_standard_output_alone(stand_in, capsys):
    stand_in(Scores())
    assert PerthMark().find(voice()).status == "not_detected"
    assert capsys.readouterr() == ("", "")


def test_nan_is_no_score(stand_in):
    stand_in(Scores(score=lambda samples: np.nan))
    finding = PerthMark().find(voice())
    assert (finding.status, finding.reason, finding.score) == ("not_checked", "mark_failed", None)


def test_nan_is_never_written(stand_in):
    stand_in(Scores(marked=lambda samples: samples * np.nan))
    with pytest.raises(InputError, match="not finite"):
        PerthMark().embed(voice())


def test_silent_pieces_are_neither_scored_nor_marked(stand_in):
    watermarker = Scores(score=lambda samples: 0.1, marked=lambda samples: samples + np.float32(0.01))
    stand_in(watermarker)
    piece = int(PIECE_S) * 16_000
    sound = np.concatenate([np.zeros(2 * piece, np.float32), voice(duration_s=PIECE_S).samples])
    mark = PerthMark(WaveformSettings(speed_sweep=False))
    assert mark.find(Audio(sound, 16_000)).false_alarms.pieces == 1
    assert len(watermarker.heard) == 1
    marked = mark.embed(Audio(sound, 16_000)).samples
    assert not marked[:piece].any()
    assert np.abs(marked[2 * piece :] - sound[2 * piece :]).min() > 0.005


@pytest.mark.parametrize(
    ("score", "status"), [(0.49, "not_detected"), (0.5, "inconclusive"), (0.94, "inconclusive"), (0.951, "detected")]
)
def test_thresholds(stand_in, score, status):
    stand_in(Scores(score=lambda samples: score))
    assert PerthMark(WaveformSettings(speed_sweep=False)).find(voice()).status == status


@pytest.mark.parametrize(("score", "status"), [(0.89, "not_detected"), (0.91, "inconclusive"), (1.0, "inconclusive")])
def test_no_score_at_another_speed_is_certain(stand_in, score, status):
    faster = Scores(score=lambda samples: 0.1 if len(samples) == 128_000 else score)
    stand_in(faster)
    finding = PerthMark(WaveformSettings(speed_sweep=True)).find(voice())
    assert finding.status == status
    assert finding.score == pytest.approx(0.1 if status == "not_detected" else score)


def test_each_piece_is_a_try_and_raises_the_bound(stand_in):
    stand_in(Scores())
    one, four = (PerthMark().find(voice(duration_s=seconds)).false_alarms for seconds in (4.0, 4 * PIECE_S))
    assert (one.pieces, four.pieces) == (1, 4)
    assert one.per_file == one.upper_limit
    assert four.per_file == pytest.approx(4 * one.per_file)
    assert one.per_file < 0.02


def test_the_sweep_starts_only_where_nothing_was_found_and_hears_a_bounded_part(stand_in):
    found, missed = Scores(score=lambda samples: 0.6), Scores()
    stand_in(found)
    PerthMark(WaveformSettings(speed_sweep=True)).find(voice())
    assert len(found.heard) == 1
    stand_in(missed)
    long = Audio(np.tile(voice(duration_s=PIECE_S).samples, 20), 16_000)
    assert PerthMark(WaveformSettings(speed_sweep=True)).find(long).status == "not_detected"
    swept = len(missed.heard) - 20
    assert 0 < swept <= len(perth.SWEEP_SPEEDS) * perth.SWEPT_PIECES
    assert swept % len(perth.SWEEP_SPEEDS) == 0


def test_only_the_marked_pieces_are_segments(stand_in):
    loud = Scores(score=lambda samples: 0.99 if np.abs(samples).max() > 0.5 else 0.0)
    stand_in(loud)
    quiet = voice(duration_s=PIECE_S).samples
    sound = np.concatenate([quiet, 3 * quiet, 3 * quiet, quiet])
    finding = PerthMark().find(Audio(sound, 16_000))
    assert finding.segments == (Segment(PIECE_S, 3 * PIECE_S),)
    assert finding.score >= DETECTED
