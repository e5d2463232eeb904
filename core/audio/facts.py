"""What is known about a file before anyone scores it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..records import Audio, Float32Array, Segment

Mix = Literal["mono", "mean", "loudest_channel"]
HearBlock = Callable[[Float32Array, int], None]
"""Takes a block of samples as the file holds them, (channels, n) in [-1, 1], and its rate in Hz."""
Tags = tuple[tuple[str, str], ...]
"""Names and values as the container spells them, in its order; the sound track's own after the container's."""


@dataclass(frozen=True)
class SourceFacts:
    """What the decoder found in the file, at the file's own rate and channels.

    Levels are RMS in dB relative to full scale (0 dBFS = a square wave at full scale); a silent channel has `None`.
    """

    container: str
    codec: str
    rate_hz: int
    channels: int
    bits_per_sample: int | None
    bit_rate_bps: int | None
    duration_s: float
    """Seconds decoded."""
    declared_duration_s: float | None
    """Seconds that the container declares; None where it declares nothing that can be relied on."""
    bad_packets: int
    partial: bool
    """Less could be read than the file declares, or packets were damaged."""
    too_long: bool
    """Decoding stopped at the cap on decoded seconds."""
    mix: Mix
    """How the channels became one: their mean, or the loudest alone where the mean cancels them out."""
    channel_levels_dbfs: tuple[float | None, ...]
    peak: float
    dc_offset: float
    """Largest absolute mean over the channels."""
    clipping_share: float
    """Share of samples inside runs at the ceiling, over all channels."""
    bandwidth_hz: float | None
    """Effective bandwidth from the long-term spectrum; None for silence."""


@dataclass(frozen=True)
class DecodedAudio:
    """Mono audio at 16 kHz, and the facts of the file that it was decoded from."""

    audio: Audio
    facts: SourceFacts
    tags: Tags = ()


@dataclass(frozen=True)
class Quality:
    """What decides whether a score can be relied on. Thresholds on these live in the policy, not here."""

    speech_s: float
    speech: tuple[Segment, ...]
    """Speech regions from voice activity detection, in order, not overlapping."""
    snr_db: float | None
    """Speech level over noise floor; None where there is no speech."""
    bandwidth_hz: float | None
    clipping_share: float
    dc_offset: float
    partial: bool
    too_long: bool
