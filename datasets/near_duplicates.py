"""Near-duplicate audio: the same recording cut, re-encoded, resampled, made louder or a little noisy.

The fingerprint is that of Haitsma and Kalker, "A highly robust audio fingerprinting system" (ISMIR 2002), with
shorter frames, for clips of a few seconds: every 16 ms one word of 32 bits, each the sign of how the energy
difference of two neighbouring bands changes. Two clips that share words at one and the same offset are candidates;
what decides is the share of bits that differ over all of their common loud frames, 0.5 for unrelated sounds.
A change of speed or pitch makes another recording; a copy that a vocoder or codec made of the same recording
(copy-synthesis) is mostly found, as it keeps the energy where it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array

FRAME_SAMPLES = 4096
HOP_SAMPLES = 256
HOP_S = HOP_SAMPLES / DETECTOR_RATE_HZ
BANDS = 33
BAND_EDGES_HZ = (300.0, 3000.0)
"""Inside the telephone band, so that a telephone copy keeps all bits."""
LOUD_RANGE_DB = 25.0
"""Frames further below the loudest one say little: noise decides their bits."""
FLOOR_DBFS = -75.0
MIN_LOUD_FRAMES = 48
"""Common loud frames that a decision needs: 0.75 s."""
MAX_BIT_ERROR_RATE = 0.25

_WORD_BITS = 24
"""Bits of a word that must agree for a candidate; the upper and the lower ones are tried."""
_NEIGHBOURS = 8
"""Clips with the same bits are each compared with so many that follow in the list: linear for any number of copies."""
_MIN_VOTES = 2
_BINS_TRIED = 3
_BIN_FRAMES = 4
_BLOCK_FRAMES = 2048

UInt32Array = npt.NDArray[np.uint32]
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fingerprint:
    """`words` uint32 (n,), one per 16 ms, and `is_loud` bool (n,): the frames that count."""

    words: UInt32Array = field(compare=False, repr=False)
    is_loud: npt.NDArray[np.bool_] = field(compare=False, repr=False)


class NearDuplicate(NamedTuple):
    """Two clips (their places in the list, `first` < `second`) that hold the same recording."""

    first: int
    second: int
    offset_s: float
    """Where the second one's beginning lies in the first one."""
    common_s: float
    """Loud frames that were compared, in seconds."""
    bit_error_rate: float


def fingerprint(samples: Float32Array) -> Fingerprint:
    """The fingerprint of 16 kHz mono samples (n,); empty below 0.3 s."""
    parts = [_bands(samples, first) for first in range(0, _frames(len(samples)), _BLOCK_FRAMES)]
    bands = np.concatenate(parts) if parts else np.zeros((0, BANDS))
    if len(bands) < 2:
        return Fingerprint(np.zeros(0, np.uint32), np.zeros(0, np.bool_))
    slopes = bands[:, :-1] - bands[:, 1:]
    bits = np.packbits(slopes[1:] > slopes[:-1], axis=1)
    level_db = 10.0 * np.log10(bands[1:].sum(axis=1) + 1e-12)
    is_loud = level_db > max(float(level_db.max()) - LOUD_RANGE_DB, FLOOR_DBFS)
    return Fingerprint(bits.view(">u4")[:, 0].astype(np.uint32), is_loud)


def find_near_duplicates(prints: Sequence[Fingerprint]) -> list[NearDuplicate]:
    """Pairs of clips with the same recording, in order; memory and time grow with the sum of their lengths.

    Of more than a few copies of one recording not every pair is listed, but each copy is in one: the pairs link all
    of them.
    """
    found = []
    for first, second, offsets in _candidates(prints):
        best = min((_compared(prints[first], prints[second], offset) for offset in offsets), key=lambda each: each[0])
        bit_error_rate, common, offset = best
        if bit_error_rate <= MAX_BIT_ERROR_RATE:
            found.append(NearDuplicate(first, second, offset * HOP_S, common * HOP_S, bit_error_rate))
    return found


def _frames(samples: int) -> int:
    return max(0, (samples - FRAME_SAMPLES) // HOP_SAMPLES + 1)


def _bands(samples: Float32Array, first: int) -> npt.NDArray[np.float64]:
    """Power in each band of the frames from `first` on, (frames, BANDS); a full-scale sine is about 0 dB."""
    last = min(first + _BLOCK_FRAMES, _frames(len(samples)))
    piece = samples[first * HOP_SAMPLES : (last - 1) * HOP_SAMPLES + FRAME_SAMPLES]
    frames = np.lib.stride_tricks.sliding_window_view(piece, FRAME_SAMPLES)[::HOP_SAMPLES]
    window = np.hanning(FRAME_SAMPLES).astype(np.float32)
    edges = np.rint(np.geomspace(*BAND_EDGES_HZ, BANDS + 1) * FRAME_SAMPLES / DETECTOR_RATE_HZ).astype(int)
    spectrum = np.fft.rfft(frames * window, axis=1)[:, : edges[-1]] * (4.0 / FRAME_SAMPLES)
    power = spectrum.real.astype(np.float64) ** 2 + spectrum.imag.astype(np.float64) ** 2
    return np.asarray(np.add.reduceat(power, edges[:-1], axis=1))


def _candidates(prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, list[int]]]:
    """Pairs that share words at one offset, in order, with the offsets (in frames) that most of their words have."""
    votes = np.concatenate([_votes(prints, shift) for shift in (0, 32 - _WORD_BITS)])
    if not len(votes):
        return
    bins = np.concatenate([_offset_bins(votes, half) for half in (0, 1)])
    bins, counts = np.unique(bins, axis=0, return_counts=True)
    bins, counts = bins[counts >= _MIN_VOTES], counts[counts >= _MIN_VOTES]
    if not len(bins):
        return
    bins = bins[np.lexsort((-counts, bins[:, 1], bins[:, 0]))]
    for group in np.split(bins, np.flatnonzero(np.any(np.diff(bins[:, :2], axis=0), axis=1)) + 1):
        offsets = {int(start) + step for start in group[:_BINS_TRIED, 2] for step in range(_BIN_FRAMES)}
        yield int(group[0, 0]), int(group[0, 1]), sorted(offsets)


def _offset_bins(votes: Int64Array, half: int) -> Int64Array:
    """The votes with their offset rounded down to a bin's start; the two sets of bins overlap by half.

    The frames of two copies lie between each other, so words that belong together differ a little in their offset.
    """
    shift = half * _BIN_FRAMES // 2
    starts = (votes[:, 2] - shift) // _BIN_FRAMES * _BIN_FRAMES + shift
    return np.column_stack([votes[:, :2], starts])


def _votes(prints: Sequence[Fingerprint], shift: int) -> Int64Array:
    """(first, second, offset in frames) for every word, or `_WORD_BITS` of it, that two clips share; (n, 3)."""
    clips = np.repeat(np.arange(len(prints)), [np.count_nonzero(each.is_loud) for each in prints])
    frames = np.concatenate([np.flatnonzero(each.is_loud) for each in prints] or [np.zeros(0, np.int64)])
    words = np.concatenate([each.words[each.is_loud] for each in prints] or [np.zeros(0, np.uint32)])
    bits = (words >> np.uint32(shift)) & np.uint32((1 << _WORD_BITS) - 1)
    # Sorted by bits, then clip; of a word that one clip repeats, the first place.
    _, kept = np.unique(bits.astype(np.int64) * len(prints) + clips, return_index=True)
    bits, clips, frames = bits[kept], clips[kept], frames[kept]
    votes = []
    for step in range(1, _NEIGHBOURS + 1):
        same = np.flatnonzero(bits[:-step] == bits[step:])
        votes.append(np.column_stack([clips[same], clips[same + step], frames[same] - frames[same + step]]))
    return np.concatenate(votes)


def _compared(first: Fingerprint, second: Fingerprint, offset: int) -> tuple[float, int, int]:
    """(bit error rate, common loud frames, offset) where `second` begins `offset` frames into `first`."""
    start, skipped = max(offset, 0), max(-offset, 0)
    length = max(0, min(len(first.words) - start, len(second.words) - skipped))
    here, there = slice(start, start + length), slice(skipped, skipped + length)
    both = first.is_loud[here] & second.is_loud[there]
    common = int(np.count_nonzero(both))
    if common < MIN_LOUD_FRAMES:
        return 1.0, common, offset
    wrong = np.bitwise_count(first.words[here][both] ^ second.words[there][both])
    return float(wrong.mean()) / 32, common, offset
