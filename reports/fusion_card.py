"""The card of a fusion, as a page to read: which detectors it weighs, and how much."""

from collections.abc import Mapping
from typing import Any

from .markdown import card_head, table


def render_fusion_card(card: Mapping[str, Any], model_sha256: str) -> str:
    """`card.json` as Markdown.

    Raises `KeyError` for what the card lacks; `TypeError`, `ValueError` or `AttributeError` for what is not in form.
    """
    rows = [[member["id"], member["detector"], f"{member['weight']:.4f}"] for member in card["members"]]
    sections = [*card_head(card, model_sha256), "## Members", table(["model", "detector", "weight"], rows)]
    return "\n\n".join(sections).rstrip() + "\n"
