"""Progress of long jobs: library code calls back, the command line draws."""

from .protocols import Progress

__all__ = ["Progress", "silent"]


def silent(done: int, total: int | None, note: str = "") -> None:
    """Draw nothing."""
