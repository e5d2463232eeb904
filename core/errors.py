"""The errors of covoguard, and the exit code of each.

    CovoguardError                 1
    ├── UsageError                 2   a wrong option, policy or configuration
    ├── InputError                 3   a file that cannot be analysed
    ├── ModelMissing               4   a model that is not there
    ├── KeyMissing                 4   a secret key that is not there
    └── IntegrityError             4   a file whose content is not what its checksum says

Every message says what happened, to which file, and what to do. `code` is a stable word for machines; each
one is listed with its meaning in `core/reasons.py`.
"""

from typing import ClassVar


class CovoguardError(Exception):
    """Root of all errors that covoguard raises on purpose."""

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "internal_error"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        """Keep the sentence for people (`message`) and the stable word for machines (`code`)."""
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code


class UsageError(CovoguardError):
    """The command, option, policy or configuration is wrong; the input was not looked at."""

    exit_code = 2
    default_code = "usage"


class InputError(CovoguardError):
    """One input cannot be analysed. In a batch this becomes that input's record, never a stop."""

    exit_code = 3
    default_code = "encrypted_or_unknown"


class ModelMissing(CovoguardError):  # noqa: N818  (the name is part of the architecture)
    """A model file that the command needs is not there."""

    exit_code = 4
    default_code = "model_missing"


class KeyMissing(CovoguardError):  # noqa: N818
    """A secret key that the command needs is not there."""

    exit_code = 4
    default_code = "key_missing"


class IntegrityError(CovoguardError):
    """A file is not what its checksum says: it was damaged or swapped."""

    exit_code = 4
    default_code = "integrity"
