"""Reads any audio file, in a process of its own, under limits of time, memory and length."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

from ..errors import InputError
from ..rates import DETECTOR_RATE_HZ
from ..records import Audio
from .facts import DecodedAudio, HearBlock
from .limits import DecodeLimits
from .source import OpenedInput, named
from .wire import (
    ProtocolError,
    block_shape_from_json,
    error_from_json,
    facts_from_json,
    receive_message,
    receive_samples,
    sample_count_from_json,
    send_message,
    tags_from_json,
)

START_TIMEOUT_S = 60.0
"""The first start on a cold disk loads a hundred megabytes of libraries; it is no part of a file's own limit."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""A thread pool would reserve address space that the memory limit counts."""


class AudioReader:
    """Decodes files one after the other in one child process, which is started on first use.

    Use as a context manager, and from one thread; several readers may work at once. A child that dies, hangs
    or grows costs the file that it was reading: the next `read` starts a fresh one.
    """

    def __init__(self, limits: DecodeLimits = DecodeLimits()) -> None:  # noqa: B008  (frozen)
        """`limits` hold for each file."""
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None

    def read(self, opened: OpenedInput, hear: HearBlock | None = None) -> DecodedAudio:
        """Decode to mono float32 at 16 kHz, with the facts of the source.

        `hear` is given every block of samples on the way, in order, at the file's own rate and channels; the time
        that it takes is no part of the limit, and it must not raise. Blocks of a file that fails later have been heard.

        Raises `InputError` with one of the codes that `core.audio.decode` lists, or decode_timeout,
        decode_memory, decoder_crashed, changed_while_read, or internal_error when no decoder can be started.
        """
        try:
            decoded = self._decoded(opened, hear)
        except InputError:
            opened.check_unchanged()  # then the failure is none of the bytes that were hashed
            raise
        opened.check_unchanged()
        return decoded

    def close(self) -> None:
        """End the child process, if there is one; the next `read` starts another."""
        if self._connection is not None:
            self._connection.close()
        if self._child is not None:
            # Its own session: whatever it may have started goes with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()
        self._connection = self._child = None

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the child process."""
        self.close()

    def _decoded(self, opened: OpenedInput, hear: HearBlock | None) -> DecodedAudio:
        connection = self._connect()
        deadline_s = time.monotonic() + self.limits.timeout_s
        try:
            return self._exchange(connection, opened, deadline_s, hear)
        except TimeoutError:
            self.close()
            raise InputError(
                f"{named(opened.path)}: decoding took longer than {self.limits.timeout_s:g} s and was stopped",
                code="decode_timeout",
            ) from None
        except (ProtocolError, OSError) as error:
            end = self._how_it_ended()
            raise InputError(
                f"{named(opened.path)}: the decoder process {end}; treat the file as hostile",
                code="decoder_crashed",
            ) from error
        except InputError as error:
            if error.code == "decode_memory":
                self.close()
            raise InputError(f"{named(opened.path)}: {error.message}", code=error.code) from None
        except BaseException:  # interrupted in the middle of an answer: the rest of it must not meet the next file
            self.close()
            raise

    def _connect(self) -> socket.socket:
        if self._child is not None and self._child.poll() is not None:
            self.close()  # it died between two files
        if self._connection is None:
            self._start()
        assert self._connection is not None
        return self._connection

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._connection = ours
        try:
            with theirs:
                self._child = _start_decoder(theirs)
            receive_message(ours, time.monotonic() + START_TIMEOUT_S)
        except (ProtocolError, OSError) as error:
            started = self._child is not None
            end = self._how_it_ended()
            what = f"{end} before it was ready" if started else f"cannot be started ({error})"
            raise InputError(f"the decoder process {what}; run `covoguard doctor`", code="internal_error") from error

    def _exchange(
        self, connection: socket.socket, opened: OpenedInput, deadline_s: float, hear: HearBlock | None
    ) -> DecodedAudio:
        connection.settimeout(self.limits.timeout_s)
        request = {"limits": dataclasses.asdict(self.limits), "blocks": hear is not None}
        send_message(connection, request, (opened.fd,))
        reply: dict[str, Any] = receive_message(connection, deadline_s)
        while hear is not None and "block" in reply:
            channels, count, rate_hz = block_shape_from_json(reply["block"], self.limits)
            block = receive_samples(connection, channels * count, deadline_s).reshape(channels, count)
            handed_over_s = time.monotonic()
            hear(block, rate_hz)
            deadline_s += time.monotonic() - handed_over_s
            reply = receive_message(connection, deadline_s)
        if "error" in reply:
            raise error_from_json(reply["error"])
        facts = facts_from_json(reply.get("facts"), self.limits)
        count = sample_count_from_json(reply.get("samples"), self.limits)
        samples = receive_samples(connection, count, deadline_s)
        audio = Audio(samples, DETECTOR_RATE_HZ, str(opened.path), opened.sha256)
        return DecodedAudio(audio, facts, tags_from_json(reply.get("tags")))

    def _how_it_ended(self) -> str:
        child = self._child
        code = None
        if child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = child.wait(timeout=1.0)
        self.close()
        if code is None:
            return "answered nonsense"
        return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _start_decoder(connection: socket.socket) -> "subprocess.Popen[bytes]":
    # -P: the current folder, which may hold anything, is not searched for modules.
    command = [sys.executable, "-P", "-m", f"{__package__}.worker", str(connection.fileno())]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=(connection.fileno(),),
        start_new_session=True,
        env=os.environ | _ONE_THREAD,
    )
