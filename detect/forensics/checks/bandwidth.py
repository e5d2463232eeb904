"""What bandwidth the sound really has, against what its sample rate and bit rate would carry, and along the time."""

import numpy as np
import numpy.typing as npt

from ....core.observationrecord import Observation, Quantity
from ....core.records import Float32Array, Segment
from ..examination import CHECKS
from ..exhibit import Exhibit, Kind

SPECTRUM_SAMPLES = 2048
PIECE_S = 1.0
MIN_CUTOFF_HZ = 2_000.0
SIDE_HZ = 500.0
"""Levels are compared over this width, on either side of a cut-off."""
TRANSITION_HZ = 300.0
"""What a filter's slope may take; a voice that ends by itself does so over more."""
MIN_STEP_DB = 20.0
"""See docs/decisions/021 for what this finds and how often it errs."""
MAX_REVIVAL_DB = 6.0
"""Nothing above a cut-off may be so much louder than what lies directly above it."""
MIN_EMPTY_SHARE = 0.1
"""Of the spectrum must lie above a cut-off: converters filter just below half the sample rate, down to 92 % of it."""
SAME_CUTOFF_HZ = 400.0
MIN_CHANGE_HZ = 1_000.0
MAX_CHANGES = 20
SHELF_BIT_RATE_BPS = 200_000
SHELF_HZ = 16_800.0
"""Encoders keep more than this at 200 kbit/s for two channels; a shelf below is that of about 128 kbit/s or less."""
USUAL_CUTOFFS = (
    (3_300, 4_100, "telephone sound, or sampled at 8 kHz before"),
    (5_200, 5_600, "sampled at 11.025 kHz before"),
    (6_900, 8_100, "wideband telephone sound, or sampled at 16 kHz before"),
    (10_200, 11_100, "sampled at 22.05 kHz before, or a low bit rate"),
    (11_300, 12_100, "sampled at 24 kHz before, as many speech generators do, or a low bit rate"),
    (15_500, 16_300, "the shelf of MP3 at 128 kbit/s and similar, or sampled at 32 kHz before"),
    (19_000, 20_600, "the shelf of MP3, AAC or Opus at high bit rates"),
)

CUTOFF = Kind(
    "spectral_cutoff",
    "The sound ends at a sharp frequency below what the file could carry: it was sampled at a lower rate, sent through "
    "a telephone, or lossily encoded before, and this file is a later version.",
    "Microphones, radios, loudspeakers and filters against hiss cut sharply as well, and some speech corpora were "
    "published only after such a step. Noise or music mixed in later fills the empty part.",
)
BELOW_BIT_RATE = Kind(
    "cutoff_below_bit_rate",
    "An encoder at this bit rate would have kept more: the sound had been through a lower bit rate before, and was "
    "encoded again.",
    "Some encoders and services cut at the same frequency whatever the bit rate.",
)
CHANGE = Kind(
    "cutoff_change",
    "The bandwidth changes along the file: a passage of another origin was joined in, or a call changed its codec.",
    "Voice calls and streams change their bandwidth with the network; speakers on one call come through different "
    "ones. Quiet seconds are left out.",
)

Float64Array = npt.NDArray[np.float64]


@CHECKS.register("bandwidth")
class Bandwidth:
    """Keeps one power spectrum of 1,025 numbers per second, 15 MB an hour; looks at the mean of the channels."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._rest = np.zeros(0, np.float32)
        self._pieces: list[Float32Array] = []
        self._rate_hz = 0

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Whole pieces; what is left over waits."""
        self._rate_hz = rate_hz
        sound = np.concatenate([self._rest, block.mean(axis=0, dtype=np.float32)])
        length = max(round(PIECE_S * rate_hz), SPECTRUM_SAMPLES)
        whole = len(sound) // length * length
        self._pieces += [_power(piece) for piece in sound[:whole].reshape(-1, length)]
        self._rest = sound[whole:].copy()

    def observe(self, exhibit: Exhibit) -> list[Observation] | None:
        """The whole file's cut-off, and where it changes."""
        pieces = self._pieces
        if not pieces and len(self._rest) >= SPECTRUM_SAMPLES:
            pieces = [_power(self._rest)]
        if not pieces:
            return None
        power = np.array(pieces, dtype=np.float64)
        seen = []
        found = cutoff(power.mean(axis=0), self._rate_hz)
        if found is not None:
            seen += self._of_cutoff(*found, exhibit)
        changes = self._changes(power)
        if changes:
            at = ", ".join(f"{second * PIECE_S:.0f} s ({before} to {after})" for second, before, after in changes[:5])
            where = [Segment((second - 1) * PIECE_S, (second + 1) * PIECE_S) for second, _, _ in changes[:MAX_CHANGES]]
            values = [Quantity("changes", len(changes), "1")]
            seen.append(
                CHANGE.observed(f"the sharp upper end of the sound changes at about {at}", "notable", values, where)
            )
        return seen

    def _of_cutoff(self, cutoff_hz: float, step_db: float, exhibit: Exhibit) -> list[Observation]:
        half_hz = self._rate_hz / 2
        usual = next((words for low, high, words in USUAL_CUTOFFS if low <= cutoff_hz <= high), "of no usual kind")
        words = f"the sound ends sharply at {cutoff_hz:.0f} Hz, the file could carry {half_hz:.0f} Hz: {usual}"
        values = [Quantity("cutoff", round(cutoff_hz), "Hz"), Quantity("step", round(step_db, 1), "dB")]
        strength = "note" if exhibit.facts.bits_per_sample is None else "notable"
        seen = [CUTOFF.observed(words, strength, values)]  # type: ignore[arg-type]
        bit_rate_bps = exhibit.facts.bit_rate_bps
        is_lossy = exhibit.facts.bits_per_sample is None
        if is_lossy and bit_rate_bps and bit_rate_bps >= SHELF_BIT_RATE_BPS and cutoff_hz < SHELF_HZ <= half_hz:
            words = f"at {bit_rate_bps / 1000:.0f} kbit/s the sound still ends at {cutoff_hz:.0f} Hz"
            seen.append(BELOW_BIT_RATE.observed(words, "notable", [Quantity("bit_rate", bit_rate_bps, "bit/s")]))
        return seen

    def _changes(self, power: Float64Array) -> list[tuple[int, str, str]]:
        """Piece at which the cut-off changes for at least two pieces on both sides, with both in words."""
        loud = power.sum(axis=1) >= 1e-3 * power.sum(axis=1).max()
        found = [
            (second, (cutoff(piece, self._rate_hz) or (self._rate_hz / 2, 0.0))[0])
            for second, piece in enumerate(power)
            if loud[second]
        ]
        changes = []
        for (_, a), (_, b), (second, c), (_, d) in zip(found, found[1:], found[2:], found[3:], strict=False):
            is_steady = abs(a - b) <= SAME_CUTOFF_HZ and abs(c - d) <= SAME_CUTOFF_HZ
            if is_steady and abs(b - c) >= MIN_CHANGE_HZ:
                changes.append((second, f"{b:.0f} Hz", f"{c:.0f} Hz"))
        return changes


def _power(samples: Float32Array) -> Float32Array:
    """Mean power spectrum (bins,) of samples (n,), n at least one frame."""
    frames = len(samples) // SPECTRUM_SAMPLES
    window = np.hanning(SPECTRUM_SAMPLES).astype(np.float32)
    cut = samples[: frames * SPECTRUM_SAMPLES].reshape(frames, SPECTRUM_SAMPLES) * window
    power: Float32Array = np.square(np.abs(np.fft.rfft(cut, axis=1))).mean(axis=0).astype(np.float32)
    return power


def cutoff(power: Float64Array, rate_hz: int) -> tuple[float, float] | None:
    """Frequency in Hz above which a power spectrum (bins,) holds nothing, and the step there in dB.

    None where the sound reaches the top or fades out by itself.
    """
    bin_hz = rate_hz / SPECTRUM_SAMPLES
    side, gap = max(2, round(SIDE_HZ / bin_hz)), max(1, round(TRANSITION_HZ / bin_hz))
    level_db = 10 * np.log10(np.maximum(power, 1e-20))
    means = np.convolve(level_db, np.full(side, 1 / side), mode="valid")  # means[i]: bins i to i + side
    steps = means[: -(side + gap)] - means[side + gap :]
    if not len(steps):
        return None
    at = int(np.argmax(np.where(np.arange(len(steps)) * bin_hz >= MIN_CUTOFF_HZ - SIDE_HZ, steps, -np.inf)))
    cutoff_hz = (at + side + gap / 2) * bin_hz
    above = means[at + side + gap :]
    is_empty = above.max() <= above[0] + MAX_REVIVAL_DB and cutoff_hz <= (1 - MIN_EMPTY_SHARE) * rate_hz / 2
    return (float(cutoff_hz), float(steps[at])) if steps[at] >= MIN_STEP_DB and is_empty else None
