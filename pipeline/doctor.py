"""Checks an installation: versions, models, codecs, and one clip through the whole chain."""

import io
import platform
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import numpy as np

from ..core.audio import AudioReader, DecodeLimits, VoiceActivity, measure_quality, spool_stream
from ..core.errors import CovoguardError
from ..core.rates import DETECTOR_RATE_HZ
from ..core.version import __version__
from .generate import DEFAULT_BACKEND
from .models import DEFAULT_DETECTOR, installed_models, load_scorer

Status = Literal["ok", "warning", "failed"]

PACKAGES = ("numpy", "av", "soxr", "onnxruntime", "silero-vad", "pyarrow", "click", "rich")
"""What scanning stands on; all of it comes with a plain install."""

CODECS = (
    "pcm_s16le", "pcm_mulaw", "pcm_alaw", "flac", "alac", "mp3", "aac", "vorbis", "opus", "amrnb", "amrwb",
    "wmav2", "ac3", "speex", "gsm", "adpcm_ima_wav", "adpcm_ms",
)  # fmt: skip
"""Decoders for what analysts receive."""


@dataclass(frozen=True)
class Check:
    """One check: what was looked at, how it went, and what was found or must be done."""

    name: str
    status: Status
    detail: str


def check_installation() -> Iterator[Check]:
    """All checks, cheapest first. A failed one means that scanning, generating or verifying does not work."""
    yield Check("covoguard", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    for package in PACKAGES:
        yield _package(package)
    yield from _models()
    yield _codecs()
    yield _self_test()


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", version(name))
    except PackageNotFoundError:
        return Check(name, "failed", "not installed; install covoguard again")


def _models() -> Iterator[Check]:
    for installed in installed_models():
        name = f"model {installed.name}"
        if installed.model is not None:
            yield Check(name, "ok", f"{installed.kind} {installed.model.id}, checksums right")
        else:
            needed = installed.name in (DEFAULT_DETECTOR, DEFAULT_BACKEND)
            yield Check(name, "failed" if needed else "warning", f"{installed.kind}: {installed.problem}")


def _codecs() -> Check:
    try:
        import av
    except ImportError as error:
        return Check("codecs", "failed", f"PyAV cannot be loaded ({error}); install covoguard again")
    missing = [name for name in CODECS if not _can_decode(name)]
    if missing:
        return Check("codecs", "warning", f"PyAV {av.__version__} lacks {', '.join(missing)}")
    return Check("codecs", "ok", f"PyAV {av.__version__} decodes {', '.join(CODECS)}")


def _can_decode(codec: str) -> bool:
    import av

    try:
        av.Codec(codec, "r")
    except ValueError:  # PyAV's UnknownCodecError is one
        return False
    return True


def _self_test() -> Check:
    """One clip of sound made here, from bytes to a score. The score means nothing; that there is one does."""
    try:
        scorer = load_scorer(None, None)
        with AudioReader(DecodeLimits()) as reader, spool_stream(io.BytesIO(_clip())) as opened:
            decoded = reader.read(opened)
        quality = measure_quality(decoded, VoiceActivity())
        evidence = scorer.score(decoded.audio, regions=None)
    except CovoguardError as error:
        return Check("self-test", "failed", error.message)
    if evidence.log10_lr is None:
        return Check("self-test", "failed", "the detector gave no score; install covoguard again")
    measured = f"{decoded.facts.duration_s:.1f} s decoded, bandwidth {quality.bandwidth_hz or 0:.0f} Hz"
    return Check("self-test", "ok", f"{measured}, log10 LR {evidence.log10_lr:+.2f}")


def _clip() -> bytes:
    """Two seconds of a buzz in noise as a 16-bit WAV file; the same bytes every time."""
    rng = np.random.default_rng(0)
    n = 2 * DETECTOR_RATE_HZ
    time_s = np.arange(n) / DETECTOR_RATE_HZ
    buzz = sum(np.sin(2 * np.pi * 120 * harmonic * time_s) / harmonic for harmonic in range(1, 30))
    samples = 0.1 * buzz + 0.01 * rng.standard_normal(n)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(DETECTOR_RATE_HZ)
        out.writeframes((samples * 32767).astype("<i2").tobytes())
    return file.getvalue()
