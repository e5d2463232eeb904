"""Members of a detector trained side by side on a CPU, each in a process of its own with one thread.

A small network gains little from a second thread, and members do not wait for each other. What a member learns lies in
its folder, where `Learner.fit` finds it finished, or goes on with it.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess

from ..detect.training.parallel import choose_device
from .training_config import TrainingConfig
from .training_members import Member, Surroundings, learner_of
from .training_sounds import TrainingSounds
from .training_tables import MIXTURES

log = logging.getLogger(__name__)


def fit_side_by_side(
    config: TrainingConfig, around: Surroundings, members: Sequence[Member], sounds: TrainingSounds
) -> None:
    """Train `members`, as many at a time as there are jobs; nothing is done where a process of its own is no gain.

    A member whose process fails is left as it is: whoever fits it next meets the same fault, and can tell it.
    """
    alone = around.jobs == 1 or around.world > 1 or len(members) == 1 or config.detector.kind == MIXTURES
    if alone or choose_device(around.device).type != "cpu":
        return
    waiting, ended = list(members), 0
    quiet = replace(around, jobs=1, progress=_Watch(os.getpid()))
    around.progress(0, len(members), f"training members, {min(around.jobs, len(members))} at a time")
    with _processes() as running:
        while waiting or running:
            while waiting and len(running) < around.jobs:
                member = waiting.pop(0)
                running[member.name] = get_context("spawn").Process(target=_fit, args=(config, quiet, member, sounds))
                running[member.name].start()
            connection.wait([process.sentinel for process in running.values()])
            for name in [name for name, process in running.items() if process.exitcode is not None]:
                exit_code = running.pop(name).exitcode
                ended += 1
                around.progress(ended, len(members), f"{name} trained" if not exit_code else f"{name} failed")
                if exit_code:
                    log.warning("the process that trained %s ended with %d; it is tried again alone", name, exit_code)


class _Watch:
    """Progress of a member that nobody sees; ends its process when the one that started it is gone."""

    def __init__(self, parent: int) -> None:
        self._parent = parent

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        if os.getppid() != self._parent:
            sys.exit(1)


def _fit(config: TrainingConfig, around: Surroundings, member: Member, sounds: TrainingSounds) -> None:
    import torch

    torch.set_num_threads(1)
    try:
        learner_of(config, around).fit(member, sounds)
    except (Exception, KeyboardInterrupt):
        sys.exit(1)  # told where it is tried again, in words rather than as a traceback


@contextlib.contextmanager
def _processes() -> Iterator[dict[str, SpawnProcess]]:
    """By name of member; those still running at the end are ended, and go on from their last checkpoint next time."""
    running: dict[str, SpawnProcess] = {}
    try:
        yield running
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.join()
