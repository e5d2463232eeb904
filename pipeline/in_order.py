"""Tasks done in several processes, results in the order of the tasks: the same for any number of processes."""

import contextlib
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from ..core.errors import CovoguardError

Task = TypeVar("Task")
Result = TypeVar("Result")
Hire = Callable[[], AbstractContextManager[Callable[[Task], Result]]]
"""Readies what does the tasks, once in each process; what it is must survive pickling."""

_AHEAD = 4
"""Results per process that may wait for their turn: what bounds memory."""
_CONTEXT = get_context("spawn")  # a fork would share locks, threads and random states of the parent


def in_order(tasks: Iterable[Task], hire: Hire[Task, Result], jobs: int) -> Generator[Result]:
    """Do each task in one of `jobs` processes, each with one thread of computation; results come in order.

    Raises what a task raised, in its turn, and `CovoguardError` for a process that was killed. The
    processes end with this iterator, and also when this process is killed.
    """
    with _Crew(hire, jobs) as crew:
        yield from crew.results(iter(tasks))


def one_thread() -> None:
    """Let torch, where it is in use, compute in one thread: sums then have one order, and jobs do not compete."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


class _Crew(Generic[Task, Result]):
    """Processes that are started as there is work for them; each has one task at a time."""

    def __init__(self, hire: Hire[Task, Result], jobs: int) -> None:
        self._hire, self._jobs = hire, jobs
        self._processes: list[BaseProcess] = []
        self._idle: deque[Connection[Any, Any]] = deque()
        self._busy: dict[Connection[Any, Any], int] = {}

    def __enter__(self) -> "_Crew[Task, Result]":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()  # it holds nothing that could be lost
        for process in self._processes:
            process.join()
        for ours in (*self._idle, *self._busy):
            ours.close()

    def results(self, tasks: Iterator[Task]) -> Iterator[Result]:
        """All results, in order."""
        done: dict[int, tuple[bool, Any]] = {}
        begun = given = 0
        while True:
            while begun < given + _AHEAD * self._jobs and self._has_hands():
                try:
                    task = next(tasks)
                except StopIteration:
                    break
                self._send(self._hands(), begun, task)
                begun += 1
            if given == begun:
                return
            while given not in done:
                for ready in connection.wait([*self._busy]):
                    assert isinstance(ready, connection.Connection)
                    done[self._busy.pop(ready)] = _received(ready)
                    self._idle.append(ready)
                if given not in done and begun < given + _AHEAD * self._jobs:
                    break  # there is work for those that are idle
            while given in done:
                is_error, outcome = done.pop(given)
                if is_error:
                    raise outcome
                yield outcome
                given += 1

    def _has_hands(self) -> bool:
        return bool(self._idle) or len(self._processes) < self._jobs

    def _hands(self) -> "Connection[Any, Any]":
        """An idle process, or a new one."""
        if self._idle:
            return self._idle.popleft()
        ours, theirs = _CONTEXT.Pipe()
        process = _CONTEXT.Process(target=_work, args=(theirs, self._hire), name="covoguard-worker", daemon=True)
        process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._processes.append(process)
        return ours

    def _send(self, ours: "Connection[Any, Any]", number: int, task: Task) -> None:
        self._busy[ours] = number
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # told when its answer is awaited
            ours.send(task)


def _received(ours: "Connection[Any, Any]") -> tuple[bool, Any]:
    """Whether it is an error, and the result or the error."""
    try:
        is_error, outcome = ours.recv()
    except (EOFError, ConnectionResetError):
        return True, CovoguardError(
            "a process that makes clips was killed, perhaps for want of memory; what was made is kept: run the same "
            "command again, with a smaller --jobs if it comes back"
        )
    return bool(is_error), outcome


def _work(theirs: "Connection[Any, Any]", hire: Hire[Any, Any]) -> None:
    """What a process does, until its pipe ends: with the crew, or with a parent that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal's processes; the parent decides
    with contextlib.ExitStack() as hired, contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        make: Callable[[Any], Any] | None = None
        while True:
            task = theirs.recv()
            try:
                if make is None:
                    make = hired.enter_context(hire())
                    one_thread()
                answer = (False, make(task))
            except CovoguardError as error:
                answer = (True, error)
            except Exception as error:  # which need not survive pickling
                answer = (True, CovoguardError(f"{type(error).__name__}: {error}"))
            theirs.send(answer)
