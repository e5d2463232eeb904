"""Tasks in several processes: results in order, errors in their turn, a killed process told and nobody left behind."""

import math
import multiprocessing
import signal
from contextlib import nullcontext
from functools import partial
from itertools import count, islice

import pytest

from covoguard.core.errors import CovoguardError, InputError
from covoguard.generate.prompts import read_prompts
from covoguard.pipeline.in_order import in_order


def doing(function):
    """A hire of a function that a new process can import."""
    return partial(nullcontext, function)


def test_results_come_in_the_order_of_the_tasks_and_few_tasks_are_taken_ahead():
    assert list(in_order(range(30), doing(math.sqrt), 3)) == [math.sqrt(each) for each in range(30)]
    assert list(in_order([], doing(math.sqrt), 3)) == []
    taken = count()
    endless = in_order((next(taken) for _ in count()), doing(math.sqrt), 2)
    assert len(list(islice(endless, 5))) == 5
    endless.close()
    assert next(taken) < 20
    assert not multiprocessing.active_children()


def test_what_a_task_raised_comes_in_its_turn():
    results = in_order([4, 9, -1, 16], doing(math.sqrt), 2)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(CovoguardError, match="ValueError"):
        next(results)
    with pytest.raises(InputError, match="no such file") as caught:
        list(in_order(["missing.txt"], doing(read_prompts), 1))
    assert caught.value.code == "not_found"
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_told():
    with pytest.raises(CovoguardError, match=r"was killed.*run the same command again"):
        list(in_order([signal.SIGKILL, signal.SIGKILL], doing(signal.raise_signal), 2))
    assert not multiprocessing.active_children()
