"""Envelope, pitch and voicing into sound: pulses and noise, shaped frame by frame in the frequency domain.

No network and no training: a source-filter vocoder after Dudley (1939) with the mixed excitation of WORLD
(Morise et al. 2016): the noise share rises from none at 0 Hz through the `breath` level at 3 kHz to all at 8 kHz.
"""

import numpy as np
import numpy.typing as npt
import scipy.fft

from ...core.records import Float32Array
from .acoustics import HOP_SAMPLES, RATE_HZ, mel_centres_hz

ComplexArray = npt.NDArray[np.complex64]
BoolArray = npt.NDArray[np.bool_]

_OVERLAP_FRAMES = 4
_WINDOW_SAMPLES = _OVERLAP_FRAMES * HOP_SAMPLES
_WINDOW = np.sqrt(np.hanning(_WINDOW_SAMPLES + 1)[:-1]).astype(np.float32)
_BINS = _WINDOW_SAMPLES // 2 + 1
_BREATH_BAND_HZ = 3000.0


def synthesise(
    envelope: Float32Array, log_f0: Float32Array, voiced: Float32Array, breath_db: Float32Array, *, seed: int
) -> Float32Array:
    """Sound of `n` frames of 10 ms: float32 (n * 160,) at 16 kHz, about the level of the analysed speech.

    `envelope` (n, bands) is log amplitude per mel band, `log_f0` (n,) ln Hz, `voiced` (n,) in 0..1, `breath_db`
    (n,) the noise level of voiced frames at 3 kHz. The same seed gives the same noise.
    """
    frames = len(envelope)
    samples = frames * HOP_SAMPLES
    is_voiced = voiced > 0.5
    pulses = _pulse_train(log_f0, is_voiced, samples)
    noise = np.random.default_rng(seed).standard_normal(samples).astype(np.float32)
    noise_share = _noise_share(breath_db, is_voiced)
    excitation: ComplexArray = _stft(pulses, frames) * np.sqrt(1 - noise_share**2) + _stft(noise, frames) * noise_share
    return _overlap_add(excitation * _amplitude_per_bin(envelope), samples)


def _pulse_train(log_f0: Float32Array, is_voiced: BoolArray, samples: int) -> Float32Array:
    """Band-limited pulses of unit mean power: one per period, placed between samples by linear interpolation."""
    frame_of = np.arange(samples) / HOP_SAMPLES
    f0_hz = np.exp(np.interp(frame_of, np.arange(len(log_f0)) + 0.5, log_f0))
    phase = np.cumsum(f0_hz / RATE_HZ)
    crossings = np.flatnonzero(np.diff(np.floor(phase)) > 0)
    fraction = (np.floor(phase[crossings + 1]) - phase[crossings]) / (phase[crossings + 1] - phase[crossings])
    kept = is_voiced[np.minimum((crossings / HOP_SAMPLES).astype(int), len(is_voiced) - 1)]
    crossings, fraction = crossings[kept], fraction[kept]
    height = np.sqrt(RATE_HZ / f0_hz[crossings])
    train = np.zeros(samples + 1, dtype=np.float64)
    np.add.at(train, crossings, height * (1 - fraction))
    np.add.at(train, crossings + 1, height * fraction)
    return train[:samples].astype(np.float32)


def _amplitude_per_bin(envelope: Float32Array) -> Float32Array:
    """Log mel bands (n, bands) to amplitude per linear bin (n, bins), by interpolation along frequency."""
    bands = envelope.shape[1]
    centres_hz = mel_centres_hz(bands)[1:-1]
    position = np.interp(np.linspace(0, RATE_HZ / 2, _BINS), centres_hz, np.arange(bands))
    low = np.minimum(position.astype(int), bands - 2)
    weight = (position - low).astype(np.float32)
    log_amplitude = envelope[:, low] * (1 - weight) + envelope[:, low + 1] * weight
    amplitude: Float32Array = np.exp(np.clip(log_amplitude, -16, 4)).astype(np.float32)
    return amplitude


def _noise_share(breath_db: Float32Array, is_voiced: BoolArray) -> Float32Array:
    frequency_hz = np.linspace(0, RATE_HZ / 2, _BINS)
    rise = np.interp(frequency_hz, [0, _BREATH_BAND_HZ, RATE_HZ / 2], [0, 1, 1])
    above = np.interp(frequency_hz, [0, _BREATH_BAND_HZ, RATE_HZ / 2], [0, 0, 1])
    level_db = -60 * (1 - rise)[None] + breath_db[:, None] * (rise - above)[None]
    share = 10 ** (np.minimum(level_db, 0) / 20)
    share[~is_voiced] = 1.0
    return share.astype(np.float32)


def _stft(signal: Float32Array, frames: int) -> ComplexArray:
    """Spectra (frames, bins) of windows centred on the middle of each frame."""
    before = (_WINDOW_SAMPLES - HOP_SAMPLES) // 2
    padded = np.pad(signal, (before, before))
    views = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW_SAMPLES)[::HOP_SAMPLES][:frames]
    spectra: ComplexArray = scipy.fft.rfft(views * _WINDOW, axis=1)
    return spectra


def _overlap_add(spectra: ComplexArray, samples: int) -> Float32Array:
    """The sound of `_stft` spectra; the squared windows add up to half the overlap."""
    pieces = scipy.fft.irfft(spectra, axis=1) * _WINDOW
    parts = pieces.reshape(len(pieces), _OVERLAP_FRAMES, HOP_SAMPLES)
    frames = np.zeros((len(pieces) + _OVERLAP_FRAMES - 1, HOP_SAMPLES), dtype=np.float32)
    for shift in range(_OVERLAP_FRAMES):
        frames[shift : shift + len(pieces)] += parts[:, shift]
    start = (_WINDOW_SAMPLES - HOP_SAMPLES) // 2
    sound: Float32Array = frames.reshape(-1)[start : start + samples] * (2 / _OVERLAP_FRAMES)
    return sound
