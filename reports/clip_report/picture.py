"""A sound as a picture: the peaks of its waveform, and its spectrogram as a PNG, without a plotting library."""

import struct
import zlib

import numpy as np
import numpy.typing as npt

from ...core.records import Float32Array

PEAKS = 1600
MAX_COLUMNS = 1200
_FRAME_SAMPLES = 512
_HOP_SAMPLES = 160
_RANGE_DB = 80.0
"""Below the loudest spot of the picture: what is softer is shown as black."""
_FRAMES_AT_ONCE = 4096
_STOPS = ((0.0, 6, 8, 24), (0.25, 52, 22, 88), (0.5, 148, 38, 98), (0.75, 236, 110, 62), (1.0, 252, 244, 180))
"""Palette: share of the range, red, green, blue. Ever lighter, so that it reads in grey and in print too."""


def peaks_of(samples: Float32Array, count: int = PEAKS) -> tuple[float, ...]:
    """Largest magnitude in each of at most `count` equal stretches of mono samples (n,), in [0, 1], 3 decimals."""
    if not len(samples):
        return ()
    edges = np.linspace(0, len(samples), min(count, len(samples)) + 1).astype(np.int64)
    largest = np.maximum.reduceat(np.abs(samples), edges[:-1])
    return tuple(round(float(peak), 3) for peak in largest)


def spectrogram_png(samples: Float32Array) -> bytes:
    """A PNG of mono samples (n,): time from left to right, 0 Hz to half the rate from bottom to top.

    At most `MAX_COLUMNS` columns of 256 rows. A column is the mean power of its frames, in dB.
    """
    power = _column_powers(samples)[:, 1:]
    level_db = 10 * np.log10(np.maximum(power, 1e-12))
    share = 1 + (level_db - level_db.max(initial=-120.0)) / _RANGE_DB
    steps = np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)
    return _indexed_png(steps.T[::-1])


def _column_powers(samples: Float32Array) -> npt.NDArray[np.float64]:
    """Mean power spectra (columns, bins)."""
    padded = np.pad(samples, (_FRAME_SAMPLES // 2, _FRAME_SAMPLES))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[::_HOP_SAMPLES][
        : max(1, -(-len(samples) // _HOP_SAMPLES))
    ]
    columns = min(MAX_COLUMNS, len(frames))
    column_of = np.arange(len(frames)) * columns // len(frames)
    window = np.hanning(_FRAME_SAMPLES).astype(np.float32)
    sums = np.zeros((columns, _FRAME_SAMPLES // 2 + 1))
    for start in range(0, len(frames), _FRAMES_AT_ONCE):
        block = np.abs(np.fft.rfft(frames[start : start + _FRAMES_AT_ONCE] * window)) ** 2
        np.add.at(sums, column_of[start : start + _FRAMES_AT_ONCE], block)
    counts: npt.NDArray[np.int64] = np.bincount(column_of, minlength=columns)
    means: npt.NDArray[np.float64] = sums / counts[:, None]
    return means


def _palette() -> bytes:
    at = np.linspace(0, 1, 256)
    stops = np.array(_STOPS)
    channels = [np.interp(at, stops[:, 0], stops[:, channel]) for channel in (1, 2, 3)]
    palette: npt.NDArray[np.uint8] = np.rint(np.stack(channels, axis=1)).astype(np.uint8)
    return palette.tobytes()


def _indexed_png(steps: npt.NDArray[np.uint8]) -> bytes:
    """An 8-bit picture (height, width) under the palette (PNG specification, third edition, section 11)."""
    height, width = steps.shape
    rows = np.zeros((height, width + 1), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = steps
    parts = (
        _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"PLTE", _palette()),
        _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
        _chunk(b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
