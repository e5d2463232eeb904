"""Make one detector of several whose weights were fitted on held-out scores."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import UsageError
from ..core.jsonrecord import json_line
from ..core.modelcard import CHECKSUMS_NAME, ModelFolder, open_model
from ..core.protocols import Scorer
from ..detect.fusion import FUSION_NAME, Fusion, FusionMember, FusionWeights
from ..detect.scoring import bundled_folder
from .new_model_folder import new_model_folder, write_card

_WEIGHTS_NAME = "fusion.json"
_DIGEST_DIGITS = 12


def make_fusion_model(members: Sequence[Scorer], weights: FusionWeights, out: Path) -> ModelFolder:
    """Make the new folder `out` of `weights` and of the models of `members`, in the order of the fit.

    A member with a bundled model is named, any other model is copied into a folder of its own inside `out`. Raises
    `UsageError` for a member too many or too few, a fusion among them, and a folder that is there already or cannot
    be written.
    """
    try:
        fusion = Fusion(tuple(_member(index, scorer) for index, scorer in enumerate(members)), weights)
    except ValueError as error:
        raise UsageError(f"no fusion can be made of these: {error}") from error
    with new_model_folder(out) as staged:
        for scorer, member in zip(members, fusion.members, strict=True):
            if member.path is not None:
                _copy(scorer.model, staged / member.path)
        (staged / _WEIGHTS_NAME).write_text(json_line(fusion) + "\n", encoding="utf-8")
        write_card(staged, _card(fusion, [scorer.model.id for scorer in members]))
    return open_model(out)


def _member(index: int, scorer: Scorer) -> FusionMember:
    is_bundled = scorer.model.path.resolve() == bundled_folder(scorer.name).resolve()
    path = None if is_bundled else f"member-{index}-{scorer.name}"
    return FusionMember(scorer.name, path, scorer.model.model_sha256)


def _copy(model: ModelFolder, folder: Path) -> None:
    """The files that the model is of, checked when the fusion is loaded, and nothing else that lies there."""
    folder.mkdir()
    for name in (*model.checksums, CHECKSUMS_NAME):
        shutil.copyfile(model.path / name, folder / name)


def _card(fusion: Fusion, ids: Sequence[str]) -> dict[str, Any]:
    return {
        "id": FUSION_NAME,
        "detector": FUSION_NAME,
        "version": hashlib.sha256(json_line(fusion).encode()).hexdigest()[:_DIGEST_DIGITS],
        "licence": "those of the members",
        "weights": _WEIGHTS_NAME,
        "summary": f"Weighted sum of the scores of {', '.join(ids)}.",
        "not_for": ["Whatever a member is not for: see the members' cards."],
        "limits": ["The score is a likelihood ratio only on speech like that of the fit; calibrate it for any other."],
        "members": [
            {"id": model_id, "detector": member.detector, "weight": weight}
            for model_id, member, weight in zip(ids, fusion.members, fusion.weights.weights, strict=True)
        ],
    }
