"""Decoded FFmpeg frames as float32 arrays."""

from typing import Any

import numpy as np

from ..errors import InputError
from ..records import Float32Array

_DTYPES: dict[str, tuple[type[np.generic], float]] = {
    "u8": (np.uint8, 2.0**-7),
    "s16": (np.int16, 2.0**-15),
    "s32": (np.int32, 2.0**-31),
    "s64": (np.int64, 2.0**-63),
    "flt": (np.float32, 1.0),
    "dbl": (np.float64, 1.0),
}
"""Sample format without its `p` for planar -> numpy type, and the factor that brings full scale to 1."""


def frame_to_float32(frame: Any) -> Float32Array:
    """An `av.AudioFrame` -> float32 (channels, n), full scale 1. Raises `InputError` (unsupported_codec).

    PyAV's own `to_ndarray` is not used: it lacks 64-bit integers, and with more than eight planar channels it
    looks for the end of the list of planes behind that list.
    """
    name = frame.format.name.removesuffix("p")
    if name not in _DTYPES:
        raise InputError(f"samples of the kind {name!r} cannot be read", code="unsupported_codec")
    dtype, scale = _DTYPES[name]
    channels = frame.layout.nb_channels
    is_planar = frame.format.is_planar and channels > 1
    per_plane = frame.samples * (1 if is_planar else channels)
    planes = frame.planes[: channels if is_planar else 1]
    rows = [np.frombuffer(plane, dtype, per_plane) for plane in planes]
    samples = np.stack(rows) if is_planar else rows[0].reshape(frame.samples, channels).T
    return _scaled(samples, scale, is_unsigned=name == "u8")


def _scaled(samples: Any, scale: float, *, is_unsigned: bool) -> Float32Array:
    with np.errstate(over="ignore"):  # a double beyond float32 becomes inf, and the mixdown counts it as damage
        scaled: Float32Array = np.array(samples, dtype=np.float32, order="C")
    if is_unsigned:
        scaled -= np.float32(128)
    scaled *= np.float32(scale)
    return scaled
