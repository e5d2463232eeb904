"""Codec round trips in memory, through the encoders of the PyAV wheel."""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from ...core.rates import DETECTOR_RATE_HZ
from ...core.records import Float32Array


@dataclass(frozen=True)
class Codec:
    """An encoder, the container that carries it, and the rate that it runs at."""

    encoder: str
    container: str
    rate_hz: int
    bit_rates_bps: tuple[int, ...]
    """Bit rates to choose from; empty where the codec has one only."""
    sample_format: str


CODECS: dict[str, Codec] = {
    "mp3": Codec("libmp3lame", "mp3", 16_000, (16_000, 24_000, 32_000, 48_000, 64_000), "s16p"),
    "mp3-44k": Codec("libmp3lame", "mp3", 44_100, (48_000, 64_000, 96_000, 128_000), "s16p"),
    "aac": Codec("aac", "adts", 16_000, (16_000, 24_000, 32_000, 48_000), "fltp"),
    "aac-44k": Codec("aac", "adts", 44_100, (48_000, 64_000, 96_000), "fltp"),
    "opus": Codec("libopus", "ogg", 48_000, (8_000, 12_000, 16_000, 24_000, 32_000, 48_000), "s16"),
    "amr-nb": Codec("libopencore_amrnb", "amr", 8_000, (4_750, 7_950, 12_200), "s16"),
    "g722": Codec("g722", "wav", 16_000, (), "s16"),
    "mu-law": Codec("pcm_mulaw", "wav", 8_000, (), "s16"),
    "a-law": Codec("pcm_alaw", "wav", 8_000, (), "s16"),
}


def round_trip(samples: Float32Array, codec: Codec, bit_rate_bps: int | None = None) -> Float32Array:
    """Encode and decode 16 kHz mono samples; the codec's delay is removed by cross-correlation."""
    encoded = _encode(soxr.resample(samples, DETECTOR_RATE_HZ, codec.rate_hz), codec, bit_rate_bps)
    decoded = _decode(encoded, codec.container)
    return _align(samples, decoded)


def _encode(samples: Float32Array, codec: Codec, bit_rate_bps: int | None) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format=codec.container) as container:
        stream: Any = container.add_stream(codec.encoder, rate=codec.rate_hz, layout="mono")
        if bit_rate_bps is not None:
            stream.bit_rate = bit_rate_bps
        frame = av.AudioFrame.from_ndarray(_as_format(samples, codec.sample_format), codec.sample_format, "mono")
        frame.rate = codec.rate_hz
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def _as_format(samples: Float32Array, sample_format: str) -> Any:
    clipped = np.clip(samples, -1.0, 1.0)[None, :]
    if sample_format.startswith("flt"):
        return np.ascontiguousarray(clipped, dtype=np.float32)
    return np.ascontiguousarray(np.round(clipped * 32767.0), dtype=np.int16)


def _decode(encoded: bytes, container_name: str) -> Float32Array:
    import av

    with av.open(io.BytesIO(encoded), "r", format="aac" if container_name == "adts" else container_name) as container:
        stream = container.streams.audio[0]
        rate_hz = stream.rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate_hz)
        chunks = [out.to_ndarray()[0] for frame in container.decode(stream) for out in resampler.resample(frame)]
    decoded = np.concatenate(chunks) if chunks else np.zeros(0, dtype=np.float32)
    return np.asarray(soxr.resample(decoded, rate_hz, DETECTOR_RATE_HZ), dtype=np.float32)


def _align(reference: Float32Array, decoded: Float32Array) -> Float32Array:
    """Cut `decoded` to the length of `reference`, at the lag (up to 0.15 s) where the two agree best."""
    from scipy import signal

    limit = min(len(reference), 2 * DETECTOR_RATE_HZ)
    correlation = signal.fftconvolve(decoded[: limit + 2400], reference[:limit][::-1])
    lags = correlation[limit - 1 : limit - 1 + 2400]
    lag = int(np.argmax(np.abs(lags))) if len(lags) else 0
    aligned = np.zeros(len(reference), dtype=np.float32)
    kept = decoded[lag : lag + len(reference)]
    aligned[: len(kept)] = kept
    return aligned
