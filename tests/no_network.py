"""A kernel filter under which a process, and all that it starts, dies when it asks for an internet socket.

Native code and isolated child processes are held to it too, unlike by a patched `socket` module; local sockets between
processes stay allowed. There is no IPv6 under it, for libraries merely probe for that (urllib3 when it is imported):
whoever wants the network has to ask for IPv4 or a name, and dies. Loaded by `conftest.py` under its own name.
"""

import ctypes
import errno
import platform
import socket
import struct
import subprocess
import sys
from typing import Any

KILLED = -31
"""Exit status of a process that tried: SIGSYS."""

_SYSCALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""Machine: its audit architecture, and the number of socket(2)."""
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _KILL_PROCESS, _FAIL_WITH = 0x7FFF0000, 0x80000000, 0x00050000
_NUMBER_AT, _ARCHITECTURE_AT, _FAMILY_AT = 0, 4, 16
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2


def run_without_network(command: list[str], **settings: Any) -> subprocess.CompletedProcess[bytes]:
    """As `subprocess.run`; the process is killed at its first attempt at an internet socket."""
    return subprocess.run(command, capture_output=True, check=False, preexec_fn=_forbid, **settings)


def can_forbid() -> bool:
    """Whether this machine's kernel holds processes to it."""
    if sys.platform != "linux" or platform.machine() not in _SYSCALLS:
        return False
    attempt = [sys.executable, "-I", "-c", "import socket; socket.socket()"]
    try:
        return run_without_network(attempt).returncode == KILLED
    except subprocess.SubprocessError:
        return False


def _forbid() -> None:
    architecture, number = _SYSCALLS[platform.machine()]
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT), (_JUMP_IF_EQUAL, 1, 0, architecture), (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, _NUMBER_AT), (_JUMP_IF_EQUAL, 0, 5, number), (_LOAD, 0, 0, _FAMILY_AT),
        (_JUMP_IF_EQUAL, 0, 1, socket.AF_INET), (_RETURN, 0, 0, _KILL_PROCESS),
        (_JUMP_IF_EQUAL, 0, 1, socket.AF_INET6), (_RETURN, 0, 0, _FAIL_WITH | errno.EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
    ]  # fmt: skip
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *each) for each in program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SET_SECCOMP, _FILTER, described):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")
