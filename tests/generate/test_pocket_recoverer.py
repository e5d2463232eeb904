"""The recoverer's rows: 50 a second of whatever comes in, proper probabilities, no seams in long files."""

import numpy as np
import pytest
import soxr
import torch
from speech_and_model import spoken

from covoguard.core.records import Audio
from covoguard.generate.pocket.recoverer import TOP_K, PocketRecoverer
from covoguard.generate.pocket.recoverer_network import RecovererNetwork


@pytest.fixture(scope="module")
def recoverer(pocket_folder):
    return PocketRecoverer.load(pocket_folder)


@pytest.fixture(scope="module")
def speech():
    return spoken(3.0)


def check_rows(posteriors, n):
    assert posteriors.rate_hz == 50
    assert posteriors.ids.shape == posteriors.probs.shape == (n, TOP_K)
    assert posteriors.rest.shape == posteriors.surprisal.shape == (n,)
    assert (posteriors.ids.dtype, posteriors.probs.dtype) == (np.int32, np.float32)
    assert (posteriors.rest.dtype, posteriors.surprisal.dtype) == (np.float32, np.float32)
    for values in (posteriors.probs, posteriors.rest, posteriors.surprisal):
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (np.diff(posteriors.probs, axis=1) <= 0).all()
    assert np.allclose(posteriors.probs.sum(axis=1) + posteriors.rest, 1, atol=1e-5)
    assert ((posteriors.ids >= 0) & (posteriors.ids < 1024)).all()
    assert all(len(set(row)) == TOP_K for row in posteriors.ids)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000])
def test_any_rate_gives_fifty_rows_a_second(recoverer, speech, rate_hz):
    audio = Audio(soxr.resample(speech, 16_000, rate_hz), rate_hz)
    posteriors = recoverer.recover(audio)
    check_rows(posteriors, len(posteriors.ids))
    assert len(posteriors.ids) in (149, 150)


@pytest.mark.parametrize("n", [0, 1, 160, 319, 320, 400, 641])
def test_rows_of_the_shortest_sounds(recoverer, speech, n):
    check_rows(recoverer.recover(Audio(speech[4000 : 4000 + n], 16_000)), n // 320)


@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_nothing_at_another_rate_is_nothing(recoverer, rate_hz):
    check_rows(recoverer.recover(Audio(np.zeros(0, np.float32), rate_hz)), 0)


@pytest.mark.parametrize("value", [0.0, 1e-30, 1.0, np.nan, np.inf])
def test_sound_without_anything_in_it_is_no_crash(recoverer, value):
    check_rows(recoverer.recover(Audio(np.full(8000, value, np.float32), 16_000)), 25)


def test_samples_that_are_no_numbers_count_as_silence(recoverer, speech):
    holes, silent = speech.copy(), speech.copy()
    holes[5000:5100:2], holes[5001:5100:2], silent[5000:5100] = np.nan, -np.inf, 0
    expected, posteriors = recoverer.recover(Audio(silent, 16_000)), recoverer.recover(Audio(holes, 16_000))
    assert np.array_equal(posteriors.ids, expected.ids)


def test_the_same_sound_gives_the_same_rows_at_any_level(recoverer, speech):
    first, again = recoverer.recover(Audio(speech, 16_000)), recoverer.recover(Audio(speech, 16_000))
    assert np.array_equal(first.ids, again.ids)
    assert np.array_equal(first.probs, again.probs)
    softer = recoverer.recover(Audio(speech * np.float32(0.1), 16_000))
    assert np.allclose(softer.probs, first.probs, atol=0.02)


def test_rows_at_the_seams_of_a_long_file_are_those_of_its_surroundings(recoverer):
    samples = np.tile(spoken(13.0), 10)
    samples[16_000 * 55 : 16_000 * 58] *= np.float32(4)
    posteriors = recoverer.recover(Audio(samples, 16_000))
    check_rows(posteriors, 130 * 50)
    for seam_s in (60, 120):
        around = recoverer.recover(Audio(samples[(seam_s - 10) * 16_000 : (seam_s + 10) * 16_000], 16_000))
        rows = slice(seam_s * 50 - 100, seam_s * 50 + 100)
        assert np.allclose(posteriors.probs[rows], around.probs[400:600], atol=5e-3)
        assert np.allclose(posteriors.surprisal[rows], around.surprisal[400:600], atol=5e-3)
    assert np.std(posteriors.probs[:, 0]) > 0.02, "rows must differ, or this test says nothing"


def test_a_speed_hypothesis_undoes_that_speed(recoverer, speech):
    fast = soxr.resample(speech, 16_000 * 1.25, 16_000)
    undone = recoverer.recover(Audio(fast, 16_000), speed=1.25)
    check_rows(undone, len(undone.ids))
    assert len(undone.ids) in (149, 150)
    plain = recoverer.recover(Audio(soxr.resample(fast, 16_000, 20_000), 16_000))
    assert np.allclose(undone.probs[:149], plain.probs[:149], atol=5e-3)


def test_the_network_leaves_half_a_cell_out():
    network = RecovererNetwork(width=16, blocks=1).eval()
    with torch.no_grad():
        logits, surprisal = network(torch.randn(2, 7, 80, generator=torch.Generator().manual_seed(1)))
    assert logits.shape == (2, 3, 1024)
    assert surprisal.shape == (2, 3)
    assert ((surprisal >= 0) & (surprisal <= 20)).all()
