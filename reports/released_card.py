"""The card of a detector that was trained elsewhere, as a page to read: where it is from and what is known of it."""

from collections.abc import Mapping
from typing import Any

from .markdown import bullets, card_head, table


def render_released_card(card: Mapping[str, Any], model_sha256: str) -> str:
    """`card.json` as Markdown.

    Raises `KeyError` for what the card lacks; `TypeError`, `ValueError` or `AttributeError` for what is not in form.
    """
    released: Mapping[str, Any] = card["released"]
    figures = [
        [figure["test_set"], f"{figure['eer_percent']} %", figure["source"]]
        for figure in card["figures"]["eer_by_test_set"]
    ]
    sections = [
        *card_head(card, model_sha256),
        "## Origin",
        bullets(
            [
                f"source: {released['source']}",
                *(f"trained on: {data}" for data in card["training"]["data"]),
                f"sha256 of the imported file: `{released['origin_sha256']}`",
            ]
        ),
        "## Equal error rates",
        table(["test set", "EER", "source"], figures) if figures else "None is known of these weights.",
    ]
    return "\n\n".join(sections).rstrip() + "\n"
