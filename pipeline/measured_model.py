"""The files that a measured detector has beside its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.modelcard import seal_model
from ..core.version import __version__
from ..detect.scoring import CALIBRATION_NAME
from .held_out import fit_final_calibration, held_out_figures
from .new_model_folder import write_card
from .trials import Trials

HELD_OUT_NAME = "held_out.csv"


def write_model(
    folder: Path,
    detector: str,
    weights_name: str,
    trials: Trials,
    about: Mapping[str, Any],
    seed: int,
    shorter: Sequence[Trials] = (),
) -> Mapping[str, Any]:
    """Put calibration, held-out scores, card and checksums beside the weights; -> the card."""
    trials.write(folder / HELD_OUT_NAME, shorter)
    (folder / CALIBRATION_NAME).write_text(fit_final_calibration(trials, shorter).to_json(), encoding="utf-8")
    identity = {"id": detector, "detector": detector, "version": __version__, "weights": weights_name}
    card = {**identity, **about, "figures": held_out_figures(trials, seed=seed, shorter=shorter)}
    write_card(folder, card)
    seal_model(folder)
    return card
