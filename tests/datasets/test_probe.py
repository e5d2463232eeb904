"""The probe finds a planted shortcut and stays at chance where there is none."""

import numpy as np

from covoguard.datasets.probe import (
    STATISTICS,
    probe_scores,
    recording_numbers,
    simple_statistics,
    warn_of_shortcuts,
)
from covoguard.detect.metrics.eer import eer


def collection(offset):
    """Noise clips of two classes; `offset` is added to one class only."""
    rng = np.random.default_rng(11)
    is_spoof = rng.random(400) < 0.5
    clips = [rng.standard_normal(1600) * 0.1 + offset * spoof for spoof in is_spoof]
    numbers = np.array([simple_statistics(clip.astype(np.float32)) for clip in clips])
    return numbers, is_spoof, [str(index % 4) for index in range(400)]


def test_a_planted_offset_is_found():
    numbers, is_spoof, folds = collection(offset=0.02)
    assert eer(probe_scores(numbers, is_spoof, folds, seed=0), is_spoof) < 0.02


def test_without_a_shortcut_the_probe_is_at_chance():
    numbers, is_spoof, folds = collection(offset=0.0)
    assert 0.4 < eer(probe_scores(numbers, is_spoof, folds, seed=0), is_spoof) < 0.6


def test_statistics_read_edges_and_peak():
    clip = np.zeros(16_000, np.float32)
    clip[4_800:12_800] = 0.5
    measured = dict(zip(STATISTICS, simple_statistics(clip), strict=True))
    assert measured["leading_silence_s"] == 0.3
    assert measured["trailing_silence_s"] == 0.2
    assert measured["peak"] == 0.5
    assert measured["dc_offset"] == 0.25


def test_words_become_numbers_and_gaps_stay_gaps():
    numbers = recording_numbers([{"a": "mp3", "b": "1"}, {"a": "wav", "b": ""}, {"a": "mp3", "b": "3"}])
    assert numbers[:, 0].tolist() == [0, 1, 0]
    assert np.isnan(numbers[1, 1])


def test_a_collection_that_gives_its_labels_away_is_warned_of(caplog):
    warn_of_shortcuts({"recording_metadata": 0.32, "simple_statistics": 0.49, "unknown": None})
    assert [record.getMessage() for record in caplog.records] == [
        "recording_metadata alone tell the labels with an EER of 32.0 %; 50 % is chance"
    ]
