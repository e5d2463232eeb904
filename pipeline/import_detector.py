"""Import the released weights of a detector of the literature: check them to the last tensor, seal a model folder."""

import hashlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..core.errors import IntegrityError, ModelMissing
from ..core.modelcard import ModelFolder, open_model
from ..detect.released import WEIGHTS_NAME
from ..detect.releases import RELEASES, Release
from .new_model_folder import new_model_folder, write_card

_DIGEST_DIGITS = 12
WARNING = (
    "Deciding whether speech is generated. AASIST and its like are near chance on modern generators (43 to 51 % EER "
    "on In-the-Wild and CD-ADD) and score the collection that a recording is from; use them to compare with."
)
LIMITS = (
    "The score is not calibrated: without a calibration.json in the folder there is no likelihood ratio and no verdict",
    "The networks hear level, pauses and edges as they are; nothing is normalised, as in training",
)
UNKNOWN = Release("", "not a release that covoguard knows", "not known; ask its maker", "not known", ())


def import_detector(family: str, weights: Path, out: Path) -> ModelFolder:
    """Make the new folder `out` of the file `weights`: .pth or .pt, .npz, or .safetensors.

    `family` is aasist (either size), lcnn or rawnet2. Raises `UsageError` for a folder that is there already or
    cannot be written, `ModelMissing` without the file, and `IntegrityError` that names every tensor that is not as
    the network has it.
    """
    from ..detect.networks.released import build_network, detector_for
    from ..detect.networks.weights import WeightsError, digest, parse_state, to_safetensors

    try:
        content = weights.read_bytes()
    except OSError as error:
        raise ModelMissing(f"{weights}: cannot be read ({error.strerror}); give the released file") from error
    try:
        state = parse_state(content, weights.suffix)
        detector = detector_for(family, state)
        build_network(detector, state)
    except WeightsError as error:
        raise IntegrityError(f"{weights}: not the weights of {family}: {error}; give the released file") from error
    with new_model_folder(out) as folder:
        (folder / WEIGHTS_NAME).write_bytes(to_safetensors(state))
        write_card(folder, _card(detector, digest(state), hashlib.sha256(content).hexdigest()))
    return open_model(out)


def _card(detector: str, digest: str, origin_sha256: str) -> dict[str, Any]:
    release = RELEASES.get(digest, UNKNOWN)
    return {
        "id": release.id or detector,
        "detector": detector,
        "version": digest[:_DIGEST_DIGITS],
        "licence": release.licence,
        "weights": WEIGHTS_NAME,
        "summary": f"{detector} of the literature, to compare with; source: {release.source}.",
        "not_for": [WARNING],
        "limits": list(LIMITS),
        "released": {"source": release.source, "origin_sha256": origin_sha256},
        "training": {"data": [release.trained_on]},
        "figures": {"eer_by_test_set": [asdict(figure) for figure in release.figures]},
    }
