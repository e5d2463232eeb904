"""A generator's card as a page to read: what it is made of, how it samples, how it fares, what it is not for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .markdown import bullets, card_head, table


def render_generator_card(card: Mapping[str, Any], model_sha256: str) -> str:
    """`card.json` as Markdown.

    Raises `KeyError` for what the card lacks; `TypeError`, `ValueError` or `AttributeError` for what is not in form.
    """
    training: Mapping[str, Any] = card["training"]
    sections = [
        *card_head(card, model_sha256),
        "## Parts",
        _parts(card["parts"]),
        "## Default sampling",
        bullets(f"{name}: {value}" for name, value in card["sampling"].items()),
        "## Data and training",
        bullets([*training["data"], *(f"{name}: {value}" for name, value in training["recipe"].items())]),
        "## Figures",
        *(_figure(figure) for figure in card["figures"]),
    ]
    return "\n\n".join(sections).rstrip() + "\n"


def _parts(parts: Iterable[Mapping[str, Any]]) -> str:
    rows = [(part["name"], part["what"], part["parameters"]) for part in parts]
    total = sum(parameters for *_, parameters in rows)
    lines = [*rows, ("all", "", total)]
    return table(["part", "what it does", "parameters"], [(*words, f"{count:,}") for *words, count in lines])


def _figure(figure: Mapping[str, Any]) -> str:
    """One table of measurements, under its title and its note if it has one."""
    header: Sequence[str] = figure["header"]
    rows: Sequence[Sequence[object]] = figure["rows"]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"figure {figure['title']!r} has a row of {len(row)} cells under {len(header)} headings")
    cells = [["not measured" if cell is None else cell for cell in row] for row in rows]
    return "\n\n".join(filter(None, [f"### {figure['title']}", figure.get("note"), table(header, cells)]))
