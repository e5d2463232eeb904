"""Copies of a recording are scored where asked, over the same regions, and compared."""

import math
from dataclasses import replace

import numpy as np
import pytest
from speech_and_model import spoken

from covoguard.core.records import Audio, Evidence, Segment
from covoguard.detect.policy import StabilityLimits, load_policy
from covoguard.pipeline import second_look
from covoguard.pipeline.second_look import MILD_CODECS, SecondLook, second_look_for

REGIONS = (Segment(0.2, 1.8),)


class Told:
    """Answers with the given ratios in turn, and keeps what it was asked."""

    def __init__(self, *ratios):
        self.ratios = list(ratios)
        self.asked = []

    def score(self, audio, *, regions=None):
        self.asked.append((audio, regions))
        ratio = self.ratios.pop(0)
        return Evidence("artifact", "told@1", "scored" if ratio is not None else "not_scored", log10_lr=ratio)


def evidence(log10_lr):
    return Evidence("artifact", "told@1", "scored", score=0.0, log10_lr=log10_lr)


@pytest.fixture(scope="module")
def voice():
    return Audio(spoken(2.0), 16_000)


def test_each_copy_is_scored_over_the_same_regions_and_still_sounds_like_the_recording(voice):
    scorer = Told(1.5, 2.5, 2.0)
    stability = SecondLook(scorer, -1.0, 1.0).look(voice, REGIONS, evidence(2.25))
    assert [(each.codec, each.log10_lr) for each in stability.scores] == list(
        zip(MILD_CODECS, (1.5, 2.5, 2.0), strict=True)
    )
    assert stability.range_log10_lr == 1.0
    for copy, regions in scorer.asked:
        assert regions == REGIONS
        assert copy.samples.shape == voice.samples.shape
        assert not np.array_equal(copy.samples, voice.samples)
        assert np.corrcoef(copy.samples, voice.samples)[0, 1] > 0.9


@pytest.mark.parametrize("ratio", [None, math.nan, -0.99, 0.0, 0.99])
def test_a_ratio_that_decides_nothing_gets_no_second_look(voice, ratio):
    scorer = Told()
    assert SecondLook(scorer, -1.0, 1.0).look(voice, REGIONS, evidence(ratio)) is None
    assert scorer.asked == []


@pytest.mark.parametrize("ratio", [-1.0, 1.0])
def test_a_ratio_at_a_threshold_gets_one(voice, ratio):
    stability = SecondLook(Told(ratio, ratio, ratio), -1.0, 1.0).look(voice, REGIONS, evidence(ratio))
    assert stability.range_log10_lr == 0.0


@pytest.mark.parametrize("missing", [None, math.nan])
def test_a_copy_that_cannot_be_scored_leaves_the_range_unknown(voice, missing):
    stability = SecondLook(Told(2.0, missing, 2.0), -1.0, 1.0).look(voice, REGIONS, evidence(2.0))
    assert stability.scores[1].log10_lr is None
    assert stability.range_log10_lr is None


def test_long_recordings_are_copied_in_pieces_of_the_same_length_together(voice, monkeypatch):
    monkeypatch.setattr(second_look, "PIECE_S", 0.7)
    scorer = Told(2.0, 2.0, 2.0)
    SecondLook(scorer, -1.0, 1.0).look(voice, REGIONS, evidence(2.0))
    assert {copy.samples.shape for copy, _ in scorer.asked} == {voice.samples.shape}


def test_the_policy_says_where_to_look_twice(voice):
    policy = load_policy()
    assert isinstance(policy.stability, StabilityLimits)
    decisive = second_look_for(Told(0.0, 0.0, 0.0), policy, "decisive")
    assert decisive.look(voice, REGIONS, evidence(0.0)) is None
    assert decisive.look(voice, REGIONS, evidence(policy.thresholds.synthetic_min_log10_lr)) is not None
    assert second_look_for(Told(0.0, 0.0, 0.0), policy, "all").look(voice, REGIONS, evidence(0.0)) is not None
    assert second_look_for(Told(), policy, "off") is None
    assert second_look_for(Told(), replace(policy, stability=None), "decisive") is None
