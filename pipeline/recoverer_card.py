"""The card of a recoverer folder: what it reads, from what it was made, how well it reads, what its mark shows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..core.modelcard import ModelFolder
from ..core.version import __version__
from .fit_mark_table import FittedTable, seconds_to_show

if TYPE_CHECKING:
    from ..generate.recovery.network import RecovererShape
    from ..generate.training.recoverer_figures import Accuracy

ALPHA = 1e-6
"""The bound on false alarms for which a card says how many seconds it takes."""


@dataclass(frozen=True)
class Measured:
    """What training came to, on pairs that it did not see."""

    pairs: int
    hours: float
    logit_scale: float
    mixed: "Accuracy"
    """Under the attack mix."""
    clean: "Accuracy"


@dataclass(frozen=True)
class Effort:
    """What training took: steps of `batch` crops, where, and seconds in all, pairs and measuring included."""

    steps: int
    batch: int
    device: str
    seconds: float


def recoverer_card(
    model: ModelFolder,
    tokens: str,
    shape: "RecovererShape",
    measured: Measured,
    fitted: FittedTable,
    effort: Effort,
    parameters: int,
) -> dict[str, Any]:
    """The card; `tokens` says where the sequences came from, `model` is the generator's."""
    from ..generate.recovery.frames import FRAMES, WEIGHTS

    return {
        "id": f"{model.card['id']}-recoverer",
        "version": __version__,
        "recoverer": FRAMES,
        "weights": WEIGHTS,
        "for_model": {"id": model.id, "model_sha256": model.model_sha256},
        # what a server that runs the model must know stands with the mark table
        **{name: model.card[name] for name in ("family", "serving") if name in model.card},
        "codebook_size": shape.codes,
        "settings": shape.to_card(),
        "summary": f"Reads the speech tokens of {model.id} back from sound, for the test of its token mark.",
        "licence": f"made with {model.id} and bound by its licence: {model.card.get('licence', 'not stated')}",
        "not_for": [f"speech of any model but {model.id}", "telling a machine's speech from a person's"],
        "limits": [
            "Measured under the attack mix alone; nothing is claimed against an attacker who makes the speech anew.",
            "Bits per token are those of the marked sequences that are named under training; other sampling settings, "
            "text or voices have others.",
        ],
        "parts": [
            {
                "name": "recoverer",
                "what": f"{shape.blocks} ConvNeXt blocks of width {shape.width}: sound to posteriors over "
                f"{shape.codes:,} codes per 20 ms, and an estimate of each token's surprisal",
                "parameters": parameters,
            }
        ],
        "training": {
            "data": [f"{measured.pairs:,} pairs of tokens and damaged decoded sound, {measured.hours:.2f} h", tokens],
            "recipe": {
                "everything": "covoguard recover train",
                "steps": f"{effort.steps:,} of {effort.batch} crops of 2.56 s",
            },
            "pairs": measured.pairs,
            "hours": round(measured.hours, 4),
            "steps": effort.steps,
            "device": effort.device,
            "seconds": round(effort.seconds, 1),
        },
        "measured": _figures(measured, fitted, shape.codes),
    }


def _figures(measured: Measured, fitted: FittedTable, codes: int) -> dict[str, Any]:
    """What was measured on pairs and clips that nothing was trained on."""
    clean_bits = fitted.bits_per_token_clean
    mixed_bits = fitted.bits_per_token[fitted.table.levels]
    return {
        "held_out_loss_nats": round(measured.mixed.loss, 4),
        "logit_scale": round(measured.logit_scale, 4),
        "chance_top1": 1 / codes,
        "top1": {"clean": round(measured.clean.top1, 4), "attack_mix": round(measured.mixed.top1, 4)},
        "top5": {"clean": round(measured.clean.top5, 4), "attack_mix": round(measured.mixed.top5, 4)},
        "levels": fitted.table.levels,
        "bits_per_token": {
            "clean": round(clean_bits, 4),
            "attack_mix_one_level": round(fitted.bits_per_token[1], 4),
            "attack_mix_two_levels": round(fitted.bits_per_token[2], 4),
        },
        "seconds_at_1e-6": {
            "clean": _rounded(seconds_to_show(fitted.table, clean_bits, ALPHA)),
            "attack_mix": _rounded(seconds_to_show(fitted.table, mixed_bits, ALPHA)),
        },
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
