"""The audio front end: sound of any rate and channels -> log-mel windows, and how many rows the model hears of each.

One *row* is what the language model takes in at one position: with the released sizes 0.16 s, as the encoder halves
the 100 mel frames per second once and the adapter three times. One *window* is what the encoder takes: 30 s, which
is 187.5 rows.

Two paths lead here:

- `mono_16k` and `FrontEnd.windows`, our own: resampled once, straight to 16 kHz. A sound that fits one window is one,
  as in the official code; a longer one is cut into windows of 187 whole rows (29.92 s), so that row k is always the
  sound from k * 0.16 s on and nothing is dropped.
- `reference_wave` and `FrontEnd.reference_windows`, the official numerics (Tencent/Covo-Audio, commit 710384c):
  resampled to 24 kHz and from there to 16 kHz; windows of 30 s give 188 rows each, so that every full window shifts
  what follows by half a row, and the rows beyond the count for the whole are dropped at the end.

Log-mel as in Whisper (Radford et al. 2022, arXiv 2212.04356): Slaney filters, 25 ms windows every 10 ms.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ....core.audio.limits import DecodeLimits
from ....core.audio.resample import resample
from ....core.errors import InputError
from ....core.rates import COVO_RATE_HZ
from ....core.records import Float32Array
from ..config import CovoConfig

EAR_RATE_HZ = 16_000
"""Sample rate at which the encoder hears."""
FFT_SAMPLES = 400
HOP_SAMPLES = 160
MEL_FRAMES_PER_POSITION = 2
"""The encoder's second convolution halves the frame rate."""
MIN_SOUND_S = 0.01
SILENT_PEAK = 2.0**-15
"""What stays below one step of 16-bit sound is silence."""
REFERENCE_CUT_SAMPLES = 240
REFERENCE_PAD_SAMPLES = 480
"""At 24 kHz: the official code cuts to a multiple of the one, then pads to a multiple of the other."""
_LOG_STEP = np.log(6.4) / 27.0
"""Of Slaney's mel scale above 1 kHz, which is 15 mel."""


@dataclass(frozen=True)
class MelWindow:
    """One window for the encoder: `log_mel` float32 (mel_bins, frames), of which the first `rows` rows are heard."""

    log_mel: Tensor = field(compare=False, repr=False)
    rows: int


@dataclass(frozen=True)
class FrontEnd:
    """Sizes of a checkpoint's front end, and the two ways from sound to windows."""

    mel_bins: int
    window_frames: int
    """Mel frames per window: 3000."""
    row_frames: int
    """Mel frames per row: 16."""

    @classmethod
    def of(cls, config: CovoConfig) -> Self:
        """The front end that the encoder and adapter of `config` need."""
        frames = MEL_FRAMES_PER_POSITION
        encoder = config.encoder
        return cls(encoder.mel_bins, encoder.max_positions * frames, config.adapter_downsample * frames)

    @property
    def window_samples(self) -> int:
        """Samples of 16 kHz per window: 480000."""
        return self.window_frames * HOP_SAMPLES

    @property
    def row_samples(self) -> int:
        """Samples of 16 kHz per row: 2560."""
        return self.row_frames * HOP_SAMPLES

    @property
    def rows_per_window(self) -> int:
        """Rows that the adapter gives for every window, whatever is in it: 188."""
        return -(-self.window_frames // self.row_frames)

    def rows(self, samples: int) -> int:
        """Rows, and so placeholders, of a sound of so many samples at 16 kHz: one for each begun 0.16 s."""
        return -(-samples // self.row_samples)

    def spans(self, samples: int) -> list[range]:
        """The samples that each window holds: all in one if they fit, else whole rows in each but the last."""
        if samples <= self.window_samples:
            return [range(samples)]
        step = self.window_frames // self.row_frames * self.row_samples
        return [range(start, min(start + step, samples)) for start in range(0, samples, step)]

    def windows(self, sound: Tensor) -> Iterator[MelWindow]:
        """Windows of `sound`, float32 (n,) at 16 kHz as `mono_16k` gives it, on the device that it lies on."""
        for span in self.spans(len(sound)):
            yield MelWindow(self.log_mel(sound[span.start : span.stop]), self.rows(len(span)))

    def log_mel(self, sound: Tensor) -> Tensor:
        """Log-mel (mel_bins, window_frames) of up to a window of 16 kHz sound (n,), filled up with silence.

        Whisper's scale: log10 of the power, floored 8 below the window's largest, then (x + 4) / 4.
        """
        padded = torch.nn.functional.pad(sound, (0, self.window_samples - len(sound)))
        window = torch.hann_window(FFT_SAMPLES, device=sound.device)
        spectrum = torch.stft(padded, FFT_SAMPLES, HOP_SAMPLES, window=window, return_complex=True)
        # the last frame is centred on the end of the window and belongs to the next
        power = spectrum[:, :-1].abs() ** 2
        level = (mel_filters(self.mel_bins).to(sound.device) @ power).clamp(min=1e-10).log10()
        floored: Tensor = torch.maximum(level, level.max() - 8.0)
        return (floored + 4.0) / 4.0

    def reference_rows(self, samples: int) -> int:
        """The official number of placeholders for so many samples at 24 kHz: centiseconds, halved rounding up."""
        return halved(samples * 100 // COVO_RATE_HZ, self.row_frames.bit_length() - 1)

    def reference_segments(self, wave: Tensor) -> list[Tensor]:
        """What each window of `wave` (n,) at 24 kHz holds: 30 s, resampled for itself to 16 kHz."""
        cut = torch.split(wave, self.window_samples * COVO_RATE_HZ // EAR_RATE_HZ)
        return [_sinc_resample(segment, COVO_RATE_HZ, EAR_RATE_HZ) for segment in cut]

    def reference_windows(self, wave: Tensor, *, round_to_bfloat16: bool = True) -> Iterator[MelWindow]:
        """Windows of `wave`, float32 (n,) at 24 kHz from `reference_wave`, as the official code makes them.

        Official log-mels are rounded to bfloat16, whatever the type of the model.
        """
        left = self.reference_rows(len(wave))
        for segment in self.reference_segments(wave):
            log_mel = self.log_mel(segment)
            rows = min(left, self.rows_per_window)
            yield MelWindow(log_mel.bfloat16().float() if round_to_bfloat16 else log_mel, rows)
            left -= rows


def mono_16k(samples: Float32Array, rate_hz: int, source: str = "the prompt's sound") -> Float32Array:
    """What the encoder hears of `samples` (n,) or (channels, n): their mean at 16 kHz, float32 (m,) in [-1, 1].

    Samples that are not finite become 0, and all are limited to [-1, 1], as when a file is scanned; the sound is
    resampled once, or not at all. m is n * 16000 / rate_hz, rounded up. Raises `InputError`, which names `source`,
    for less than 10 ms, for silence, and for a rate outside 1 to 768 kHz; `ValueError` for another shape.
    """
    limits = DecodeLimits()
    if samples.ndim not in (1, 2):
        raise ValueError(f"expected samples (n,) or (channels, n), not an array of shape {samples.shape}")
    if not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz:
        raise InputError(f"{source}: {rate_hz} Hz is no sample rate of sound; obtain it again", code="bad_header")
    if samples.size == 0 or samples.shape[-1] < MIN_SOUND_S * rate_hz:
        raise InputError(
            f"{source}: shorter than {1000 * MIN_SOUND_S:.0f} ms, nothing to be heard; give a longer recording",
            code="too_short",
        )
    finite = np.nan_to_num(np.asarray(samples, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    limited = np.clip(finite, -1, 1)
    mono = limited if limited.ndim == 1 else limited.mean(axis=0, dtype=np.float32)
    heard = np.zeros(-(-len(mono) * EAR_RATE_HZ // rate_hz), np.float32)
    resampled = np.clip(resample(mono, rate_hz, EAR_RATE_HZ), -1, 1)[: len(heard)]
    heard[: len(resampled)] = resampled
    if np.abs(heard).max() < SILENT_PEAK:
        raise InputError(
            f"{source}: silent, nothing to be heard; check the recording, and whether its channels cancel each other",
            code="no_speech",
        )
    return heard


def reference_wave(samples: Float32Array, rate_hz: int) -> Tensor:
    """What the official front end makes of `samples` (n,) or (channels, n): float32 (m,) at 24 kHz.

    The mean of the channels, resampled, cut to a multiple of 240 and padded with zeros to one of 480 samples. Nothing
    is checked: it stands here to be compared with.
    """
    wave = torch.from_numpy(np.ascontiguousarray(samples, np.float32))
    wave = _sinc_resample(wave if wave.ndim == 1 else wave.mean(dim=0), rate_hz, COVO_RATE_HZ)
    wave = wave[: len(wave) // REFERENCE_CUT_SAMPLES * REFERENCE_CUT_SAMPLES]
    return torch.nn.functional.pad(wave, (0, -len(wave) % REFERENCE_PAD_SAMPLES))


def halved(count: int, times: int) -> int:
    """`count` halved so many times, each time rounding up."""
    return -(-count >> times)


@lru_cache
def mel_filters(bins: int) -> Tensor:
    """Triangular filters float32 (bins, 201) of equal area on Slaney's mel scale, from 0 to 8 kHz.

    Equal spacing up to 1 kHz (200/3 Hz per mel), above it 27 mel per factor 6.4. Source: M. Slaney, Auditory Toolbox
    (1998).
    """
    highest = 15.0 + np.log(EAR_RATE_HZ / 2 / 1000.0) / _LOG_STEP
    edges = _hz_of_mel(np.linspace(0.0, highest, bins + 2))
    frequencies = np.fft.rfftfreq(FFT_SAMPLES, 1 / EAR_RATE_HZ)
    distances = edges[:, None] - frequencies
    widths = np.diff(edges)[:, None]
    triangles = np.minimum(-distances[:-2] / widths[:-1], distances[2:] / widths[1:]).clip(min=0.0)
    # rounded before and after the scaling: so the published filter files were made, and they are met to the last bit
    return torch.from_numpy((triangles.astype(np.float32) * (2.0 / (edges[2:] - edges[:-2]))[:, None]).astype("f4"))


def _hz_of_mel(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = 200.0 / 3.0 * mel
    return np.where(mel < 15.0, linear, 1000.0 * np.exp(_LOG_STEP * (mel - 15.0)))


def _sinc_resample(wave: Tensor, from_hz: int, to_hz: int) -> Tensor:
    """Resample (n,) -> (ceil(n * to / from),) as the official code: windowed sinc, Hann, width 6, rolloff 0.99."""
    from torchaudio.functional import resample as sinc_resample

    resampled: Tensor = sinc_resample(wave, from_hz, to_hz, lowpass_filter_width=6, rolloff=0.99)
    return resampled
