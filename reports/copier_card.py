"""The card of a network that copies speech, as a page to read: its shape, what it heard, how like its copies are."""

from collections.abc import Mapping
from typing import Any

from .markdown import bullets, card_head, table


def render_copier_card(card: Mapping[str, Any], model_sha256: str) -> str:
    """`card.json` as Markdown.

    Raises `KeyError` for what the card lacks; `TypeError`, `ValueError` or `AttributeError` for what is not in form.
    """
    training, measured = card["training"], card["measured"]
    data = training["data"]
    heard = "clips that it was trained on" if measured["clips_were_trained_on"] else "clips that it never heard"
    sections = [
        *card_head(card, model_sha256),
        "## Network",
        bullets(
            [
                f"{card['copier']}, {card['parameters']:,} parameters",
                f"its copies are of the kind {card['kind']} and the family {card['family']}",
                *(f"{name}: {value}" for name, value in card["shape"].items()),
            ]
        ),
        "## Data and training",
        bullets(
            [
                f"{data['clips']} genuine clips, {data['hours']:.2f} h; sha256 of their ids `{data['clips_sha256']}`",
                f"{training['steps']} steps in {training['seconds'] / 60:.0f} minutes",
                *(f"{name}: {value}" for name, value in training["plan"].items()),
            ]
        ),
        table(["source", "clips"], data["sources"].items()),
        table(["licence", "clips"], data["licences"].items()),
        "## Figures",
        f"Of {measured['clips']} {heard}: log-mel distance {measured['log_mel_distance_db']:.2f} dB, spectral loss "
        f"{measured['spectral_loss']:.2f}. Higher is less like the recording.",
    ]
    return "\n\n".join(sections).rstrip() + "\n"
