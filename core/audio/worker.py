"""The decoder process: `python -P -m covoguard.core.audio.worker FD`. Started by `AudioReader` only.

FD is an inherited socket. Each request carries the descriptor of an open file; the answer is facts and
samples, or an error; before it, where asked for, blocks of samples as the file holds them. The process ends when
the socket closes, when its own alarm rings, or after it ran out of memory.
"""

import contextlib
import math
import os
import resource
import signal
import socket
import sys
from typing import Any

import av.logging

from ..errors import InputError
from ..records import Float32Array
from .decode import decode
from .limits import DecodeLimits
from .wire import (
    MAX_BLOCK_SAMPLES,
    ProtocolError,
    facts_to_json,
    receive_body,
    receive_bytes,
    send_message,
)

ALARM_GRACE_S = 5
"""The reader kills a decoder that is late; the alarm ends one whose reader is gone."""


def main() -> None:
    """Serve decode requests on the socket whose descriptor is the only argument."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    os.set_inheritable(connection.fileno(), False)
    av.logging.restore_default_callback()
    av.logging.set_libav_level(av.logging.PANIC)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    send_message(connection, {"ready": True})
    while (request := _receive_request(connection)) is not None:
        limits, descriptor, wants_blocks = request
        _limit("RLIMIT_AS", limits.memory_bytes)
        _set_alarm(limits)
        _answer(connection, descriptor, limits, wants_blocks=wants_blocks)
        signal.alarm(0)


def _receive_request(connection: socket.socket) -> tuple[DecodeLimits, int, bool] | None:
    header, descriptors, _, _ = socket.recv_fds(connection, 4, 1)
    if not header:
        return None
    header += receive_bytes(connection, 4 - len(header))
    body = receive_body(connection, header)
    return DecodeLimits(**body["limits"]), descriptors[0], body["blocks"]


def _set_alarm(limits: DecodeLimits) -> None:
    signal.alarm(math.ceil(limits.timeout_s) + ALARM_GRACE_S)


def _answer(connection: socket.socket, descriptor: int, limits: DecodeLimits, *, wants_blocks: bool) -> None:
    def send_block(block: Float32Array, rate_hz: int) -> None:
        step = max(MAX_BLOCK_SAMPLES // len(block), 1)
        for start in range(0, block.shape[1], step):
            part = block[:, start : start + step]
            send_message(connection, {"block": [*part.shape, rate_hz]})
            connection.sendall(part.astype("<f4").tobytes())
        _set_alarm(limits)  # the reader takes its time over a block, and counts only what the decoder needs

    with os.fdopen(descriptor, "rb") as file:
        try:
            decoded = decode(file, limits, send_block if wants_blocks else None)
        except InputError as error:
            _send_error(connection, error.code, error.message)
            return
        except MemoryError:
            _send_error(connection, "decode_memory", "decoding needed more memory than its limit")
            sys.exit(0)  # the reader starts a fresh process, with nothing left behind in its memory
        except ConnectionError:
            raise
        except OSError as error:
            _send_error(connection, "read_error", f"{error.strerror}; check the disk or network drive")
            return
        except Exception as error:  # a hostile file costs its own record only
            _send_error(connection, "decoder_crashed", f"the decoder failed: {type(error).__name__}: {error}")
            return
    count = sum(len(piece) for piece in decoded.pieces)
    send_message(connection, {"facts": facts_to_json(decoded.facts), "samples": count, "tags": decoded.tags})
    for piece in decoded.pieces:
        connection.sendall(piece.astype("<f4", copy=False).tobytes())


def _send_error(connection: socket.socket, code: str, message: str) -> None:
    error: dict[str, Any] = {"code": code, "message": message[:500]}
    send_message(connection, {"error": error})


def _limit(name: str, value: int) -> None:
    """Lower a limit for good, where the system knows it and does not refuse (macOS refuses RLIMIT_AS)."""
    kind = getattr(resource, name, None)
    if kind is None:
        return
    _, hard = resource.getrlimit(kind)
    lowered = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(kind, (lowered, lowered))


if __name__ == "__main__":
    try:
        main()
    except (ProtocolError, BrokenPipeError, ConnectionResetError):
        sys.exit(0)  # the reader is gone
