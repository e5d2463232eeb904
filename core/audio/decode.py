"""Decodes one file. Runs inside the decoder process only, because FFmpeg reads hostile bytes here.

What can be read is read: one bad packet costs that packet, and the facts say that the sound is partial.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import av
import av.error

from ..errors import InputError
from ..records import Float32Array
from . import completeness, sniff
from .container import check_rate_and_channels, open_container, short_name, sound_stream, unknown_content
from .facts import HearBlock, Mix, SourceFacts, Tags
from .frames import frame_to_float32
from .limits import DecodeLimits
from .mixdown import Mixdown

UNMARKED_CONTAINERS = frozenset({"aac", "ac3", "eac3", "mp3", "mpeg", "mpegts"})
"""Streams without a signature: random bytes can look like the start of one."""

MAX_DEMUX_ERRORS = 20

MAX_TAGS = 100
MAX_TAG_CHARACTERS = 200
"""A tag can hold a book; what tells of a file's origin is short."""


@dataclass(frozen=True)
class Decoded:
    """16 kHz mono float32 in [-1, 1] as consecutive pieces, and the facts of its source."""

    pieces: list[Float32Array]
    facts: SourceFacts
    tags: Tags


@dataclass
class _Pass:
    """One run over the file: what its header says and what its packets gave."""

    container: str
    codec: str
    sample_format: str
    bit_rate_bps: int | None
    declared_s: float | None
    has_own_duration: bool
    """The declared length is the sound track's own, not that of a file with pictures too."""
    mixdown: Mixdown
    tags: Tags
    pieces: list[Float32Array] = field(default_factory=list)
    good_packets: int = 0
    bad_packets: int = 0
    last_end_s: float = 0.0
    seconds: float = 0.0
    too_long: bool = False
    ran_out_of_memory: bool = False
    impossible: tuple[int, int] | None = None
    """Rate and channels of a frame that were outside the limits."""


def decode(file: BinaryIO, limits: DecodeLimits, hear: HearBlock | None = None) -> Decoded:
    """Decode an open regular file within `limits` (time and memory are the caller's to enforce).

    `hear` is given every block once, in order, at the file's own rate and channels.
    Raises `InputError` with code not_audio, encrypted_or_unknown, no_audio_stream, unsupported_codec,
    nothing_decoded or bad_header. `MemoryError` passes through, and so does `OSError` from reading the file.
    """
    file.seek(0)
    head = file.read(sniff.HEAD_BYTES)
    sniff.refuse_other_content(head)
    sniff.refuse_impossible_wave(head)
    first = _run(file, head, limits, Mixdown(hear=hear))
    statistics = first.mixdown.statistics
    mix: Mix = "mono" if statistics.channels == 1 else "mean"
    pieces = first.pieces
    if statistics.cancels_in_mix():
        mix = "loudest_channel"
        pieces = _run(file, head, limits, Mixdown(statistics.loudest_channel())).pieces
    return Decoded(pieces, _facts(first, mix, file), first.tags)


def _run(file: BinaryIO, head: bytes, limits: DecodeLimits, mixdown: Mixdown) -> _Pass:
    with open_container(file, head) as container:
        name = short_name(container)
        stream = sound_stream(container, is_cut=completeness.is_cut_short(name, file))
        check_rate_and_channels(stream.codec_context, limits)
        one = _describe(name, container, stream, file, mixdown)
        _decode_stream(container, stream, one, limits)
    one.pieces = one.mixdown.finish()
    _refuse_noise(one, head)
    return one


def _describe(name: str, container: Any, stream: Any, file: BinaryIO, mixdown: Mixdown) -> _Pass:
    declared_s = None
    has_own_duration = False
    if completeness.declares_duration(name, file):
        if stream.duration is not None and stream.time_base is not None:
            declared_s = float(stream.duration * stream.time_base)
            has_own_duration = name not in completeness.SHARED_DURATION
        elif container.duration is not None:
            declared_s = container.duration / av.time_base
    codec = stream.codec_context.codec.canonical_name
    if name == "wav" and codec.startswith("pcm_"):
        declared_s = completeness.declared_wave_s(file) or declared_s
    return _Pass(
        container=name,
        codec=codec,
        sample_format=stream.codec_context.format.name if stream.codec_context.format else "",
        bit_rate_bps=stream.codec_context.bit_rate or container.bit_rate or None,
        declared_s=declared_s if declared_s is not None and declared_s > 0 else None,
        has_own_duration=has_own_duration,
        mixdown=mixdown,
        tags=_tags(container, stream),
    )


def _tags(container: Any, stream: Any) -> Tags:
    """Those of the container and of the sound track, as far as the caps on their number and length allow."""
    found = [*container.metadata.items(), *stream.metadata.items()][:MAX_TAGS]
    return tuple((name[:MAX_TAG_CHARACTERS], value[:MAX_TAG_CHARACTERS]) for name, value in found)


def _decode_stream(container: Any, stream: Any, one: _Pass, limits: DecodeLimits) -> None:
    if one.codec in completeness.LOSSLESS_CODECS:
        # FFmpeg checks these codecs' own checksums on request only.
        stream.codec_context.options = {"err_detect": "crccheck+explode"}
    stream.codec_context.thread_count = 1
    held = None
    for frame in _frames(container, stream, one):
        if held is not None and not _push(held, held.samples, one, limits):
            return
        held = frame
    if held is not None:
        _push(held, _samples_of_last(held, one), one, limits)


def _frames(container: Any, stream: Any, one: _Pass) -> Iterator[Any]:
    """All frames that can be decoded; one bad packet costs that packet."""
    for packet in _packets(container, stream, one):
        # FFmpeg calls the last packet of every WAVE file from a pipe corrupt; WAVE's own header tells more.
        is_corrupt = packet.is_corrupt and one.container != "wav"
        try:
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError as error:
            _note_bad_packet(error, one)
            continue
        one.bad_packets += is_corrupt
        one.good_packets += bool(frames) and not is_corrupt
        yield from frames


def _packets(container: Any, stream: Any, one: _Pass) -> Iterator[Any]:
    """The sound track's packets, last the empty one that flushes the decoder."""
    wanted = [stream] if one.has_own_duration else list(container.streams)
    for _ in range(MAX_DEMUX_ERRORS):
        try:
            for packet in container.demux(wanted):
                if not one.has_own_duration and packet.pts is not None and packet.size:
                    end = (packet.pts + (packet.duration or 0)) * packet.time_base
                    one.last_end_s = max(one.last_end_s, float(end))
                if packet.stream.index == stream.index:
                    yield packet
            return
        except av.error.FFmpegError as error:
            _note_bad_packet(error, one)


def _note_bad_packet(error: av.error.FFmpegError, one: _Pass) -> None:
    """A packet that states an absurd size is refused memory: it is as bad as any other, and the rest can be read."""
    one.bad_packets += 1
    one.ran_out_of_memory |= isinstance(error, MemoryError)


def _push(frame: Any, samples: int, one: _Pass, limits: DecodeLimits) -> bool:
    """Hand a frame's first `samples` on; False when the cap on decoded seconds is reached."""
    rate_hz, channels = frame.sample_rate, frame.layout.nb_channels
    if not limits.min_rate_hz <= rate_hz <= limits.max_rate_hz or not 0 < channels <= limits.max_channels:
        one.bad_packets += 1
        one.impossible = (rate_hz, channels)
        return True
    room = round((limits.max_duration_s - one.seconds) * rate_hz)
    if samples > room:
        one.too_long = True
        samples = max(room, 0)
    if samples:
        one.mixdown.push(frame_to_float32(frame)[:, :samples], rate_hz)
        one.seconds += samples / rate_hz
    return not one.too_long


def _samples_of_last(frame: Any, one: _Pass) -> int:
    """MP4 states the encoder's padding as a shorter duration of the last packet; FFmpeg leaves it in."""
    samples = int(frame.samples)
    if one.container != "mp4" or not frame.duration or frame.time_base is None:
        return samples
    stated: int = round(frame.duration * frame.time_base * frame.sample_rate)
    return min(samples, stated)


def _refuse_noise(one: _Pass, head: bytes) -> None:
    """Raise where nothing was decoded, or where bytes without any signature mostly failed to decode."""
    if one.ran_out_of_memory and one.seconds == 0:
        raise MemoryError
    is_unmarked = one.container in UNMARKED_CONTAINERS and not sniff.is_known_media(head)
    if is_unmarked and one.bad_packets >= max(one.good_packets, 1):
        raise unknown_content()
    if one.seconds > 0:
        return
    if one.impossible is not None:
        raise sniff.bad_header(*one.impossible)
    raise InputError("not one piece of sound could be decoded; obtain the file again", code="nothing_decoded")


def _facts(one: _Pass, mix: Mix, file: BinaryIO) -> SourceFacts:
    statistics = one.mixdown.statistics
    bits = _bits_per_sample(one.codec, one.sample_format)
    is_damaged = one.bad_packets > 0 or one.mixdown.non_finite_samples > 0
    is_short = not one.too_long and (_falls_short(one) or completeness.is_cut_short(one.container, file))
    return SourceFacts(
        container=one.container,
        codec=one.codec,
        rate_hz=statistics.rate_hz,
        channels=statistics.channels,
        bits_per_sample=bits,
        bit_rate_bps=one.bit_rate_bps,
        duration_s=statistics.duration_s,
        declared_duration_s=one.declared_s,
        bad_packets=one.bad_packets,
        partial=is_damaged or is_short,
        too_long=one.too_long,
        mix=mix,
        channel_levels_dbfs=statistics.levels_dbfs(),
        peak=one.mixdown.peak,
        dc_offset=statistics.dc_offset(),
        clipping_share=statistics.clipping_share(),
        bandwidth_hz=statistics.bandwidth_hz(bits),
    )


def _falls_short(one: _Pass) -> bool:
    if one.declared_s is None:
        return False
    reached_s = one.seconds if one.has_own_duration else max(one.seconds, one.last_end_s)
    tolerance_s = completeness.tolerance_s(one.container, one.codec, one.mixdown.statistics.rate_hz)
    return one.declared_s - reached_s > tolerance_s


def _bits_per_sample(codec: str, sample_format: str) -> int | None:
    """Of codecs that keep samples as they are; None for lossy ones, whose bits are their decoder's choice."""
    if match := re.fullmatch(r"pcm_[suf](\d+)(?:le|be)?(?:_planar)?", codec):
        return int(match[1])
    if codec in completeness.LOSSLESS_CODECS:
        return {"u8": 8, "s16": 16, "s32": 24}.get(sample_format.removesuffix("p"))
    return None
