"""Copy-synthesis: one contract for every method, and that a copy is the same speech but not the same sound."""

import sys

import numpy as np
import pytest
import sound_files as sounds

from covoguard.core.errors import UsageError
from covoguard.core.rates import DETECTOR_RATE_HZ
from covoguard.datasets.copies import COPIES


@pytest.fixture(params=COPIES.names())
def method(request):
    if request.param == "world":
        pytest.importorskip("pyworld", reason="pyworld is not installed")
    return COPIES.get(request.param)()


def rng(seed=0):
    return np.random.default_rng(seed)


def log_bands(samples):
    """Mean log power in 20 bands up to 5 kHz."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / DETECTOR_RATE_HZ)
    return np.log(np.array([power[(hz >= low) & (hz < low + 250)].mean() for low in range(0, 5000, 250)]))


def test_the_methods_say_what_they_are(method):
    assert method.name in COPIES.names()
    assert COPIES.get(method.name) is type(method)
    assert method.kind == "vocoder-copy-synthesis"
    assert method.family
    assert all(isinstance(value, int | float | str) for _, value in method.settings)
    assert "20" in sys.modules[type(method).__module__].__doc__, "the source, with its year"


@pytest.mark.parametrize("seconds", [0.01, 0.1, 1.0, 1.00007])
def test_length_type_and_finite(method, seconds):
    samples = sounds.speech_like(seconds, DETECTOR_RATE_HZ)
    copied = method.copy(samples, rng())
    assert (copied.dtype, copied.shape) == (np.float32, samples.shape)
    assert np.isfinite(copied).all()
    assert np.abs(copied).max() > 0


@pytest.mark.parametrize("count", [1, 160, 8000])
def test_silence_stays_silent(method, count):
    copied = method.copy(np.zeros(count, np.float32), rng())
    assert np.abs(copied).max() < 1e-5


def test_the_same_draws_give_the_same_copy_and_the_recording_is_left_alone(method):
    samples = sounds.speech_like(0.5, DETECTOR_RATE_HZ)
    before = samples.copy()
    first = method.copy(samples, rng(1))
    assert np.array_equal(first, method.copy(samples, rng(1)))
    assert np.array_equal(samples, before)


def test_a_copy_has_the_spectrum_of_the_speech_but_not_its_samples(method):
    samples = sounds.speech_like(2.0, DETECTOR_RATE_HZ)
    copied = method.copy(samples, rng())
    agreement = np.corrcoef(log_bands(samples), log_bands(copied))[0, 1]
    assert agreement > 0.9
    assert np.sqrt(np.mean((copied - samples) ** 2)) > 0.1 * np.sqrt(np.mean(samples**2))


def test_griffin_lim_starts_from_phases_that_are_drawn():
    samples = sounds.speech_like(0.5, DETECTOR_RATE_HZ)
    method = COPIES.get("griffin-lim")()
    assert not np.array_equal(method.copy(samples, rng(1)), method.copy(samples, rng(2)))


def test_without_pyworld_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(UsageError, match=r"pip install 'covoguard\[pocket-training\]'"):
        COPIES.get("world")()


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="griffin-lim, world"):
        COPIES.get("vocoder-9000")
