"""Writing audio: 16-bit WAV or FLAC, whole or not at all."""

import io
import os
import secrets
from pathlib import Path

import numpy as np

from ..errors import UsageError
from ..records import Float32Array

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
FULL_SCALE = 1 << 15


def write_audio(path: Path, samples: Float32Array, rate_hz: int) -> None:
    """Write mono float32 (n,) as 16-bit PCM; the format follows from the suffix, `.wav` or `.flac`.

    Samples are rounded to steps of 2**-15 and limited to [-1, 1), so what is read back is at most half a step
    off, and a whole number of steps comes back exactly. The file appears under its name when it is complete.
    Raises `UsageError` for another suffix, `ValueError` for samples that are not finite or not mono, `OSError` when the
    disk is full or the folder refuses the file.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: cannot write {path.suffix or 'a name without suffix'}; use .wav or .flac")
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"expected finite mono samples (n,), not an array of shape {samples.shape}")
    import soundfile

    # Rounded here: libsndfile scales floats by 32767 on the way out and by 1/32768 on the way in.
    steps = np.clip(np.rint(samples.astype(np.float64) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    # Encoded in memory: libsndfile hides a full disk or reports it on standard error only.
    encoded = io.BytesIO()
    soundfile.write(encoded, steps.astype(np.int16), rate_hz, format=FORMATS[path.suffix.lower()], subtype="PCM_16")
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
    try:
        with temporary.open("xb") as file:
            file.write(encoded.getbuffer())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
