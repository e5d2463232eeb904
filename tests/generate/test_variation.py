"""Variation laid on teacher features: everything is still said, in order, a little earlier or later."""

import numpy as np
import pytest

from covoguard.generate.pocket.acoustics import MEL_BANDS
from covoguard.generate.training.corpus import Utterance, load, save
from covoguard.generate.training.features import Features
from covoguard.generate.training.variation import PITCH_DRIFT, TEMPO_DRIFT, smooth_walk, vary

FRAMES = 240


@pytest.fixture(scope="module")
def utterance():
    """Eight phones of 0.3 s; band 0 of the envelope is the frame's number."""
    envelope = np.full((FRAMES, MEL_BANDS), -5, np.float32)
    envelope[:, 0] = np.arange(FRAMES)
    tracks = [np.full(FRAMES, value, np.float32) for value in (np.log(120), 1, -10)]
    phones = ("pau", "m", "iy", "t", "uw", "m", "ow", "pau")
    return Utterance("me too mow", "rms", Features(envelope, *tracks), phones, tuple(0.3 * (k + 1) for k in range(8)))


@pytest.mark.parametrize("seed", range(8))
def test_all_phones_stay_in_order_on_whole_tokens(utterance, seed):
    frames, phone, source = vary(utterance, np.random.default_rng(seed))
    assert frames.shape == (len(source), MEL_BANDS + 3)
    assert len(frames) % 4 == 0
    assert (np.diff(source) >= 0).all()
    assert source[0] == 0
    assert source[-1] < FRAMES
    assert (np.diff(phone) >= 0).all()
    assert set(phone) == set(range(8))
    assert np.allclose(frames[:, 0], source, atol=1e-3), "a frame shows the place that it says"
    assert np.array_equal(phone, np.minimum(source // 30, 7))


def test_tempo_stays_within_its_drift_and_pitch_wanders(utterance):
    lengths, drifts = [], []
    for seed in range(20):
        frames, _, source = vary(utterance, np.random.default_rng(seed))
        moving = np.diff(source)[4:]
        assert (np.abs(moving - 1) <= TEMPO_DRIFT + 1e-3).all()
        lengths.append(len(frames))
        drifts.append(frames[:, -3] - np.log(120))
        assert np.allclose(frames[:, -2], 1, atol=1e-6)
    assert len(set(lengths)) > 3
    assert 0.5 * PITCH_DRIFT < np.std(np.concatenate(drifts)) < 1.5 * PITCH_DRIFT


def test_the_same_draw_is_the_same_saying(utterance):
    first, again, other = (vary(utterance, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_the_token_grid_starts_at_any_of_four_frames(utterance):
    starts = {int((vary(utterance, np.random.default_rng(seed))[2] == 0).sum()) for seed in range(20)}
    assert starts == {1, 2, 3, 4}


@pytest.mark.parametrize("frames", [0, 1, 24, 26, 1000])
def test_a_slow_walk_is_slow(frames):
    curve = smooth_walk(frames, np.random.default_rng(5))
    assert curve.shape == (frames,)
    assert np.abs(np.diff(curve)).max(initial=0) < 0.4


def test_a_corpus_file_gives_back_what_was_put_in(utterance, tmp_path):
    save([utterance, utterance], tmp_path / "part.npz")
    read = load(tmp_path / "part.npz")
    assert len(read) == 2
    for one in read:
        assert (one.text, one.voice, one.phones) == (utterance.text, utterance.voice, utterance.phones)
        assert one.phone_ends_s == pytest.approx(utterance.phone_ends_s)
        assert np.array_equal(one.features.envelope, utterance.features.envelope)
        assert np.array_equal(one.features.log_f0, utterance.features.log_f0)
