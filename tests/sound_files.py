"""Audio files for tests, made on the spot: a speech-like signal, and every encoder that PyAV brings.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import io
import struct
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]


def speech_like(seconds: float, rate_hz: int, *, seed: int = 0, peak: float = 0.5) -> Float32Array:
    """Harmonics of a gliding pitch under syllables, plus a little noise: float32 (n,)."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / rate_hz
    harmonics = [h for h in range(1, 30) if h * 150 < min(rate_hz / 2, 4000)]
    voice = sum(np.sin(h * phase + h) / h for h in harmonics)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * time)
    sound = voice * syllables + 0.01 * rng.standard_normal(len(time))
    return (peak * sound / np.abs(sound).max()).astype(np.float32)


def pcm16(samples: Float32Array) -> bytes:
    """float32 (n,) or (channels, n) -> interleaved 16-bit little-endian."""
    return np.clip(np.rint(samples.T * 32768), -32768, 32767).astype("<i2").tobytes()


def wave(data: bytes, *, rate_hz: int = 16_000, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    """A WAVE file with a plain `fmt ` chunk; `tag` 1 integer, 3 float, 6 A-law, 7 mu-law."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz & 0xFFFFFFFF, rate_hz * block & 0xFFFFFFFF, block, bits)
    return _riff(fmt, data)


def extensible_wave(data: bytes, *, rate_hz: int, channels: int, bits: int) -> bytes:
    """A WAVE file with the extensible format chunk (integer samples)."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", 0xFFFE, channels, rate_hz, rate_hz * block, block, bits)
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    return _riff(fmt + struct.pack("<HHI", 22, bits, 0) + guid, data)


def _riff(fmt: bytes, data: bytes) -> bytes:
    body = b"WAVE" + b"fmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def encode(
    container: str,
    codec: str,
    samples: Float32Array,
    rate_hz: int,
    *,
    layout: str = "mono",
    bit_rate: int | None = None,
    options: dict[str, str] | None = None,
    with_video: bool = False,
) -> bytes:
    """Encode float32 (n,) or (channels, n) with FFmpeg; `with_video` adds a track of small grey pictures."""
    # A real file: FFmpeg opens the output a second time to move an MP4 index to the front.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoded"
        _encode_to(path, container, codec, samples, rate_hz, layout, bit_rate, options or {}, with_video)
        return path.read_bytes()


def _encode_to(
    path: Path,
    container: str,
    codec: str,
    samples: Float32Array,
    rate_hz: int,
    layout: str,
    bit_rate: int | None,
    options: dict[str, str],
    with_video: bool,
) -> None:
    import av

    with av.open(str(path), "w", format=container, options=options) as output:
        video = output.add_stream("mpeg4", rate=10) if with_video else None
        stream = output.add_stream(codec, rate=rate_hz, layout=layout)
        if bit_rate:
            stream.bit_rate = bit_rate
        if video is not None:
            video.width = video.height = 32
            video.pix_fmt = "yuv420p"
            _mux_pictures(output, video, samples.shape[-1] / rate_hz)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(np.atleast_2d(samples)), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        stream.codec_context.open(strict=False)
        fitted = av.AudioResampler(
            format=stream.codec_context.format,
            layout=layout,
            rate=rate_hz,
            frame_size=stream.codec_context.frame_size or 4096,
        )
        for piece in [*fitted.resample(frame), *fitted.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))


def video_without_sound(seconds: float = 0.5) -> bytes:
    """An MP4 file with pictures only."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        _mux_pictures(output, video, seconds)
    return buffer.getvalue()


def flac_of_silence(path: Path, seconds: int, rate_hz: int = 8_000) -> None:
    """A long, small FLAC file, written piece by piece."""
    import soundfile

    second = np.zeros(60 * rate_hz, np.int16)
    with soundfile.SoundFile(path, "w", rate_hz, 1, subtype="PCM_16", format="FLAC") as file:
        for _ in range(seconds // 60):
            file.write(second)


def _mux_pictures(output: object, video: object, seconds: float) -> None:
    import av

    for _ in range(max(1, round(seconds * 10))):
        picture = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), format="rgb24")
        output.mux(video.encode(picture))  # type: ignore[attr-defined]
    output.mux(video.encode(None))  # type: ignore[attr-defined]
