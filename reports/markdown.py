"""Pieces of Markdown that the pages about models are made of."""

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a row of headings; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def bullets(lines: Iterable[object]) -> str:
    """A list, or the statement that there is nothing in it."""
    return "\n".join(f"- {line}" for line in lines) or "- not stated"
