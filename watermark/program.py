"""Runs a program of the user's machine: by an argument list, for a limited time, with limited output."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Sequence

from ..core.errors import InputError

MAX_OUTPUT_BYTES = 1 << 20


def program_path(name: str) -> str | None:
    """Absolute path of a program on the search path; None: there is none. What a relative entry names is not run."""
    found = shutil.which(name)
    return found if found is not None and os.path.isabs(found) else None


def run_program(command: Sequence[str], time_limit_s: float) -> str:
    """Standard output of `command`, which is a program's path and its arguments; no shell reads it.

    The program and all that it started end with the call. Raises `InputError` (`mark_failed`) when it cannot be
    started, takes too long, prints more than `MAX_OUTPUT_BYTES` or ends with another code than 0.
    """
    name = os.path.basename(command[0])
    try:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        raise _failed(name, f"cannot be started ({error.strerror})") from error
    late = threading.Event()

    def stop() -> None:
        late.set()
        _end_group(child.pid)

    timer = threading.Timer(time_limit_s, stop)
    timer.start()
    assert child.stdout is not None
    try:
        output = child.stdout.read(MAX_OUTPUT_BYTES + 1)
        if len(output) <= MAX_OUTPUT_BYTES:
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # not reaped: its id stays its own until below
    finally:
        timer.cancel()
        _end_group(child.pid)
        child.stdout.close()
        code = child.wait()
    if late.is_set():
        raise _failed(name, f"took longer than {time_limit_s:g} s and was stopped")
    if len(output) > MAX_OUTPUT_BYTES:
        raise _failed(name, f"printed more than {MAX_OUTPUT_BYTES} bytes and was stopped")
    if code:
        raise _failed(name, f"ended with code {code}")
    return output.decode("utf-8", errors="replace")


def _end_group(process: int) -> None:
    """The child leads a group of its own, which bears its id."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def _failed(name: str, what: str) -> InputError:
    return InputError(f"the program {name} {what}; run it by hand to see why", code="mark_failed")
