"""Pieces of Markdown that the pages about models are made of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with a row of headings; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def bullets(lines: Iterable[object]) -> str:
    """A list, or the statement that there is nothing in it."""
    return "\n".join(f"- {line}" for line in lines) or "- not stated"


def card_head(card: Mapping[str, Any], model_sha256: str) -> list[str]:
    """The sections with which the page of every model begins: what it is, what it is not for, its limits."""
    return [
        f"# {card['id']}@{card['version']}",
        str(card.get("summary", "")),
        bullets(
            [
                f"weights: `{card['weights']}`, sha256 `{model_sha256}`",
                f"licence: {card.get('licence', 'not stated')}",
            ]
        ),
        "## Not for",
        bullets(card.get("not_for", [])),
        "## Limits",
        bullets(card.get("limits", [])),
    ]
