"""One reason or error code in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """One code, in words for an analyst."""

    code: str
    meaning: str
    advice: str
