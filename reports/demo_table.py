"""The one table of `covoguard demo`: what was made, what was done to it, what was found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..core.markrecord import TokenMark
from ..core.records import VerdictLabel

_WIDTHS = (11, 17, 10, 9, 8, 14)
_HEADER = ("clip", "damage", "mark", "p at most", "seconds", "verdict")


@dataclass(frozen=True)
class DemoRow:
    """One file of the demonstration."""

    clip: str
    damage: str
    is_marked: bool
    """Whether the clip was made with a mark."""
    mark: TokenMark | None
    """None: the file could not be read."""
    verdict: VerdictLabel

    @property
    def is_found(self) -> bool:
        """Whether the mark was found in it."""
        return self.mark is not None and self.mark.status == "present"

    @property
    def as_made(self) -> bool:
        """Whether it could be read, and what was found is what was made."""
        return self.mark is not None and self.mark.status != "not_checked" and self.is_found == self.is_marked


def demo_header() -> str:
    """The line of column names."""
    return _line(_HEADER)


def demo_line(row: DemoRow) -> str:
    """One file, in less than 80 columns; an exclamation mark where what was found is not what was made."""
    found = "unread" if row.mark is None else {"present": "found", "absent": "not found"}.get(row.mark.status, "unread")
    cells = (
        row.clip, row.damage, found if row.as_made else f"{found} !", _p_at_most(row.mark),
        f"{row.mark.seconds_used:.1f} s" if row.mark else "", row.verdict,
    )  # fmt: skip
    return _line(cells)


def demo_lines_at_end(rows: Sequence[DemoRow]) -> list[str]:
    """What the table shows and what it does not, in words."""
    marked = [row for row in rows if row.is_marked]
    unmarked = [row for row in rows if not row.is_marked]
    missed = [row for row in unmarked if row.verdict != "synthetic"]
    lines = [
        f"marked: the mark was found in {sum(row.is_found for row in marked)} of {len(marked)} files",
        f"unmarked: a mark was found in {sum(row.is_found for row in unmarked)} of {len(unmarked)} files",
        "A found mark says that this model made at least a part of the speech under this",
        "key. p bounds the chance, over random keys, that sound made without the key gives",
        "such evidence. That no mark is found proves nothing.",
    ]
    if missed:
        lines += [
            f"The unmarked clips are machine-made too. In {len(missed)} of {len(unmarked)} files the scan,",
            "which has only the sound to go by, does not say so.",
        ]
    wrong = sum(not row.as_made for row in rows)
    lines.append(
        f"NOT as made: {wrong} of {len(rows)} files, those with !" if wrong else "What was found is what was made."
    )
    return lines


def _p_at_most(mark: TokenMark | None) -> str:
    if mark is None or mark.log10_p is None:
        return ""
    if mark.log10_p > -2:
        return f"{10**mark.log10_p:.2f}"
    return f"1e{math.ceil(mark.log10_p)}"


def _line(cells: Sequence[str]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
