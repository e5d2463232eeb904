"""A recoverer's card as a page to read: whose tokens it reads, from what it learned, and how well."""

from collections.abc import Mapping
from typing import Any

from .markdown import bullets, card_head, table


def render_recoverer_card(card: Mapping[str, Any], model_sha256: str) -> str:
    """`card.json` as Markdown.

    Raises `KeyError` for what the card lacks; `TypeError`, `ValueError` or `AttributeError` for what is not in form.
    """
    training, measured, made_for = card["training"], card["measured"], card["for_model"]
    bits, seconds = measured["bits_per_token"], measured["seconds_at_1e-6"]
    parts = [(part["name"], part["what"], f"{part['parameters']:,}") for part in card["parts"]]
    rows = [
        ("best guess right", *(_percent(measured["top1"][name]) for name in ("clean", "attack_mix"))),
        ("among the best five", *(_percent(measured["top5"][name]) for name in ("clean", "attack_mix"))),
        ("bits per token, one level", _shown(bits["clean"], measured["levels"] == 1), bits["attack_mix_one_level"]),
        ("bits per token, two levels", _shown(bits["clean"], measured["levels"] == 2), bits["attack_mix_two_levels"]),
        ("seconds of marked speech at 1e-6", *(_shown(seconds[name]) for name in ("clean", "attack_mix"))),
    ]
    sections = [
        *card_head(card, model_sha256),
        "## Reads",
        bullets([f"{made_for['id']}, weights sha256 `{made_for['model_sha256']}`", f"{card['codebook_size']:,} codes"]),
        "## Parts",
        table(["part", "what it does", "parameters"], parts),
        "## Data and training",
        bullets(
            [
                *training["data"],
                *(f"{name}: {value}" for name, value in training["recipe"].items()),
                f"{training['seconds'] / 3600:.2f} h in all, the network on {training['device']}",
            ]
        ),
        "## Figures",
        f"On held-out pairs; chance is {_percent(measured['chance_top1'])}. The table has {measured['levels']} "
        f"level{'s' if measured['levels'] == 2 else ''}. Held-out loss {measured['held_out_loss_nats']:.3f} nats.",
        table(["", "clean", "under the attack mix"], rows),
    ]
    return "\n\n".join(sections).rstrip() + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _shown(value: float | None, measured: bool = True) -> str:
    return str(value) if measured and value is not None else "not measured" if not measured else "no mark shows"
