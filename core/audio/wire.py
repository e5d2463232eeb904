"""What the reader and its decoder process say to each other: JSON with a length in front, then raw samples.

The reader trusts nothing that comes back: a hostile file may have taken over the decoder.
"""

import dataclasses
import json
import re
import socket
import struct
import time
from typing import Any, get_args

import numpy as np

from ..errors import InputError
from ..rates import DETECTOR_RATE_HZ
from ..reasons import REASONS
from ..records import Float32Array
from .facts import Mix, SourceFacts, Tags
from .limits import DecodeLimits

MAX_MESSAGE_BYTES = 512 * 1024
"""A hundred tags of two times 200 characters, each escaped as JSON at its worst."""
MAX_BLOCK_SAMPLES = 1 << 20
"""Of one block at the file's own rate, over all channels; larger ones are sent in parts."""
_LENGTH = struct.Struct(">I")
_RECEIVE_BYTES = 1 << 20


class ProtocolError(Exception):
    """The other side closed the connection, or said what it may not say."""


def send_message(connection: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    """Send one JSON object, and open file descriptors along with it."""
    body = json.dumps(message, allow_nan=False).encode()
    data = _LENGTH.pack(len(body)) + body
    sent = socket.send_fds(connection, [data], list(descriptors)) if descriptors else 0
    connection.sendall(data[sent:])


def receive_message(connection: socket.socket, deadline_s: float | None = None) -> dict[str, Any]:
    """Receive one JSON object. Raises `ProtocolError`, or `TimeoutError` after `deadline_s` (monotonic clock)."""
    header = receive_bytes(connection, _LENGTH.size, deadline_s)
    return receive_body(connection, header, deadline_s)


def receive_body(connection: socket.socket, header: bytes, deadline_s: float | None = None) -> dict[str, Any]:
    """Receive the JSON object whose length stands in `header`."""
    (length,) = _LENGTH.unpack(header)
    if length > MAX_MESSAGE_BYTES:
        raise ProtocolError("the message is too long")
    try:
        message = json.loads(receive_bytes(connection, length, deadline_s))
    except (ValueError, RecursionError) as error:
        raise ProtocolError("the message is not JSON") from error
    if not isinstance(message, dict):
        raise ProtocolError("the message is not an object")
    return message


def receive_bytes(connection: socket.socket, count: int, deadline_s: float | None = None) -> bytes:
    """Receive exactly `count` bytes."""
    data = bytearray(count)
    _receive_into(connection, memoryview(data), deadline_s)
    return bytes(data)


def receive_samples(connection: socket.socket, count: int, deadline_s: float | None = None) -> Float32Array:
    """Receive `count` float32 samples; raises `ProtocolError` unless all are finite and in [-1, 1]."""
    data = bytearray(4 * count)
    _receive_into(connection, memoryview(data), deadline_s)
    samples = np.frombuffer(data, dtype="<f4").astype(np.float32, copy=False)
    # A comparison with NaN is False, so this refuses it too.
    if count and not (samples.min() >= -1 and samples.max() <= 1):
        raise ProtocolError("samples outside [-1, 1]")
    return samples


def facts_to_json(facts: SourceFacts) -> dict[str, Any]:
    """Plain values, ready for `send_message`."""
    return dataclasses.asdict(facts)


def facts_from_json(value: Any, limits: DecodeLimits) -> SourceFacts:
    """Check every field's type and range. Raises `ProtocolError`."""
    if not isinstance(value, dict) or value.keys() != {field.name for field in dataclasses.fields(SourceFacts)}:
        raise ProtocolError("the facts do not have the expected fields")
    levels = value["channel_levels_dbfs"]
    if not isinstance(levels, list) or len(levels) != value["channels"]:
        raise ProtocolError("the levels do not match the channels")
    if value["mix"] not in get_args(Mix):
        raise ProtocolError("unknown mix")
    return SourceFacts(
        container=_word(value["container"]),
        codec=_word(value["codec"]),
        rate_hz=_integer(value["rate_hz"], limits.min_rate_hz, limits.max_rate_hz),
        channels=_integer(value["channels"], 1, limits.max_channels),
        bits_per_sample=_optional(_integer, value["bits_per_sample"], 1, 64),
        bit_rate_bps=_optional(_integer, value["bit_rate_bps"], 0, 1 << 63),
        duration_s=_number(value["duration_s"], 0, limits.max_duration_s + 1),
        declared_duration_s=_optional(_number, value["declared_duration_s"], 0, 1e15),
        bad_packets=_integer(value["bad_packets"], 0, 1 << 63),
        partial=_flag(value["partial"]),
        too_long=_flag(value["too_long"]),
        mix=value["mix"],
        channel_levels_dbfs=tuple(_optional(_number, level, -2000, 1) for level in levels),
        peak=_number(value["peak"], 0, 3.5e38),
        dc_offset=_number(value["dc_offset"], 0, 1),
        clipping_share=_number(value["clipping_share"], 0, 1),
        bandwidth_hz=_optional(_number, value["bandwidth_hz"], 0, limits.max_rate_hz / 2),
    )


def tags_from_json(value: Any) -> Tags:
    """Names and values of the file's tags. Raises `ProtocolError`; what cannot be Unicode is replaced."""
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise ProtocolError("the tags are no list of pairs")
    return tuple((_text(name), _text(text)) for name, text in value)


def block_shape_from_json(value: Any, limits: DecodeLimits) -> tuple[int, int, int]:
    """Channels, samples per channel and rate in Hz of the block that will follow. Raises `ProtocolError`."""
    if not isinstance(value, list) or len(value) != 3:
        raise ProtocolError("the block has no shape")
    channels = _integer(value[0], 1, limits.max_channels)
    samples = _integer(value[1], 1, MAX_BLOCK_SAMPLES // channels)
    return channels, samples, _integer(value[2], limits.min_rate_hz, limits.max_rate_hz)


def sample_count_from_json(value: Any, limits: DecodeLimits) -> int:
    """The number of samples that will follow. Raises `ProtocolError` beyond the cap on decoded seconds."""
    return _integer(value, 0, int((limits.max_duration_s + 1) * DETECTOR_RATE_HZ))


def error_from_json(value: Any) -> InputError:
    """The error that the decoder reports; raises `ProtocolError` for a code that no record can carry."""
    if not isinstance(value, dict) or value.get("code") not in REASONS:
        raise ProtocolError("unknown error code")
    message = str(value.get("message", ""))[:500]
    return InputError("".join(c if c.isprintable() else " " for c in message), code=value["code"])


def _receive_into(connection: socket.socket, view: memoryview, deadline_s: float | None) -> None:
    while len(view):
        if deadline_s is not None:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0:
                raise TimeoutError
            connection.settimeout(remaining_s)
        received = connection.recv_into(view, min(len(view), _RECEIVE_BYTES))
        if received == 0:
            raise ProtocolError("the connection was closed")
        view = view[received:]


def _word(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_.+-]{1,40}", value):
        raise ProtocolError("not a name")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ProtocolError("not a text")
    return value.encode("utf-8", "replace").decode("utf-8")


def _integer(value: Any, low: float, high: float) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ProtocolError("not an integer in its range")
    return value


def _number(value: Any, low: float, high: float) -> float:
    if type(value) not in (int, float) or not low <= value <= high:
        raise ProtocolError("not a number in its range")
    return float(value)


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ProtocolError("not a flag")
    return value


def _optional(check: Any, value: Any, low: float, high: float) -> Any:
    return None if value is None else check(value, low, high)
