"""Every error has an exit code, and every code that it can carry by default is explained."""

import pytest

from covoguard.core import errors
from covoguard.core.reasons import REASONS


def all_errors():
    return [errors.CovoguardError, *errors.CovoguardError.__subclasses__()]


@pytest.mark.parametrize(
    ("name", "exit_code"),
    [
        ("CovoguardError", 1),
        ("UsageError", 2),
        ("InputError", 3),
        ("ModelMissing", 4),
        ("KeyMissing", 4),
        ("IntegrityError", 4),
    ],
)
def test_exit_codes_are_those_of_the_table(name, exit_code):
    assert getattr(errors, name).exit_code == exit_code


def test_the_table_is_complete():
    assert {error.__name__ for error in all_errors()} >= {
        "CovoguardError", "UsageError", "InputError", "ModelMissing", "KeyMissing", "IntegrityError",
    }  # fmt: skip


def test_an_error_keeps_its_sentence_and_its_word():
    error = errors.InputError("a.wav: empty; obtain it again", code="empty_file")
    assert str(error) == error.message == "a.wav: empty; obtain it again"
    assert error.code == "empty_file"
    assert errors.InputError("x").code in REASONS


@pytest.mark.parametrize("reason", REASONS.values(), ids=lambda reason: reason.code)
def test_every_reason_is_explained_in_sentences(reason):
    assert REASONS[reason.code] is reason
    assert reason.meaning.endswith(".")
    assert reason.advice.endswith(".")
