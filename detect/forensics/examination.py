"""Runs every check over one file: the sound block by block as it is decoded, then the bytes and tags."""

import sys
from collections.abc import Mapping, Sequence

import numpy as np

from ...core.observationrecord import Observation, Quantity
from ...core.records import Float32Array
from ...core.registry import Registry
from .exhibit import Check, Exhibit, Kind

CHECKS: Registry[Check] = Registry("check", f"{__package__}.checks")
"""The checks that are installed, by name."""

FORMAT_CHANGE = Kind(
    "format_change",
    "Sound of different formats was joined without decoding it, or a broadcast changed its format.",
    "Damaged streams can look like a change of format to the decoder. The sample checks looked at the first format "
    "only; tags and structure were read as always.",
)


def observation_kinds() -> dict[str, Kind]:
    """Every kind of observation that a check can make, by its code: what the checks' modules name."""
    kinds = {FORMAT_CHANGE.code: FORMAT_CHANGE}
    for name in CHECKS.names():
        named = vars(sys.modules[CHECKS.get(name).__module__]).values()
        groups = [each.values() if isinstance(each, Mapping) else [each] for each in named]
        kinds |= {kind.code: kind for group in groups for kind in group if isinstance(kind, Kind)}
    return kinds


class Examination:
    """One file's examination: `hear` while it is decoded, then `observe`, once."""

    def __init__(self, names: Sequence[str] | None = None) -> None:
        """`names` of checks; None takes all. Raises `UsageError` for one that is not known."""
        self.names = tuple(CHECKS.names() if names is None else names)
        self.skipped: tuple[str, ...] = ()
        """After `observe`: those of `names` that could not look, so that their silence says nothing."""
        self._checks = [CHECKS.get(name)() for name in self.names]
        self._format: tuple[int, int] | None = None
        self._other: dict[tuple[int, int], int] = {}

    def hear(self, block: Float32Array, rate_hz: int) -> None:
        """Take in samples (channels, n); fits `AudioReader.read`."""
        form = (len(block), rate_hz)
        self._format = self._format or form
        if form != self._format:
            self._other[form] = self._other.get(form, 0) + block.shape[1]
            return
        # Checks keep views of what they hear, so a block is theirs to read only.
        view = np.asarray(block)
        view.flags.writeable = False
        for check in self._checks:
            check.hear(view, rate_hz)

    def observe(self, exhibit: Exhibit) -> tuple[Observation, ...]:
        """All observations, those that are notable first, otherwise in the order of the checks' names."""
        answers = [check.observe(exhibit) for check in self._checks]
        self.skipped = tuple(name for name, answer in zip(self.names, answers, strict=True) if answer is None)
        seen = [observation for answer in answers for observation in answer or ()]
        if self._other and self._format is not None:
            seen.append(self._format_change())
        return tuple(sorted(seen, key=lambda observation: observation.strength != "notable"))

    def _format_change(self) -> Observation:
        forms = ", ".join(f"{channels} channels at {rate_hz} Hz" for channels, rate_hz in self._other)
        seconds = sum(samples / rate_hz for (_, rate_hz), samples in self._other.items())
        seen = f"the format changes along the file: {forms} for {seconds:.1f} s"
        return FORMAT_CHANGE.observed(seen, "notable", [Quantity("other_format", seconds, "s")])
