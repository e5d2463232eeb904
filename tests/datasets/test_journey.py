"""The attack mix: repeatable, whole, and true about how fast it made the sound run."""

import numpy as np
import pytest
from speech_and_model import spoken

from covoguard.datasets.degrade.chain import Sounds
from covoguard.datasets.degrade.codec import CODECS, round_trip
from covoguard.datasets.degrade.journey import CODEC_SETTINGS, travel

PACES = {"speed", "tempo"}
DAMAGES = ["colour", "room", "noise", "band", "codec"]


@pytest.fixture(scope="module")
def speech():
    return spoken(1.5)


@pytest.fixture(scope="module")
def sounds():
    rng = np.random.default_rng(9)
    room = (rng.standard_normal(800) * np.exp(-np.arange(800) / 200)).astype(np.float32)
    return Sounds([rng.standard_normal(4000).astype(np.float32)], [room])


def journeys(speech, sounds, count, **chances):
    return [travel(speech, np.random.default_rng(seed), sounds, **chances) for seed in range(count)]


def test_every_stage_runs_and_leaves_sound(speech, sounds):
    made = journeys(speech, sounds, 25, clean=0.0, paced=0.5)
    assert {stage for journey in made for stage in journey.stages} == {*PACES, *DAMAGES}
    for journey in made:
        assert journey.samples.dtype == np.float32
        assert np.isfinite(journey.samples).all()
        assert 0 < np.abs(journey.samples).max() <= 1


def test_stages_come_in_the_order_of_a_recording_s_life(speech, sounds):
    order = ["speed", "tempo", *DAMAGES]
    for journey in journeys(speech, sounds, 20):
        places = [order.index(stage) for stage in journey.stages]
        assert places == sorted(places)
        assert len(set(places)) == len(places)


def test_the_speed_is_the_ratio_of_the_lengths(speech, sounds):
    made = journeys(speech, sounds, 24, paced=1.0)
    for journey in made:
        assert journey.stages[0] in PACES
        assert journey.speed == pytest.approx(len(speech) / len(journey.samples), rel=1e-4)
    assert min(journey.speed for journey in made) < 1 < max(journey.speed for journey in made)


def test_without_another_pace_the_length_stays(speech, sounds):
    for journey in journeys(speech, sounds, 12, paced=0.0):
        assert journey.speed == 1.0
        assert len(journey.samples) == len(speech)


def test_a_clean_journey_changes_the_level_only(speech):
    journey = travel(speech, np.random.default_rng(1), Sounds([], []), clean=1.0, paced=0.0)
    assert journey.stages == ()
    assert np.corrcoef(journey.samples, speech)[0, 1] == pytest.approx(1.0, abs=1e-3)


def test_the_same_draw_is_the_same_journey(speech, sounds):
    for seed in range(6):
        first, again = (travel(speech, np.random.default_rng(seed), sounds) for _ in range(2))
        assert (first.speed, first.stages) == (again.speed, again.stages)
        assert np.array_equal(first.samples, again.samples)


@pytest.mark.parametrize(("name", "bit_rate_bps", "weight"), CODEC_SETTINGS)
def test_every_codec_of_the_mix_takes_its_bit_rate(speech, name, bit_rate_bps, weight):
    assert len(round_trip(speech, CODECS[name], bit_rate_bps)) == len(speech)
    assert weight > 0
