"""The gate of a trained detector: where what it was trained on lies, judged by clips that it was not trained on."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..detect.domain import MIN_HELD_OUT, MIN_PER_CLASS, Domain, fit_domain_judged_by, held_out_distances
from .training_sounds import TrainingSounds
from .training_trials import HearClip

COPY = "copy"
"""The kind of a clip that was made from a genuine one for training."""

Embeddings = npt.NDArray[np.float32]
Distances = npt.NDArray[np.float64]


def fold_distances(
    hear: HearClip, sounds: TrainingSounds, inside: Sequence[int], held_out: Sequence[Embeddings]
) -> Distances | None:
    """How far from the clips `inside` each of the `held_out` lies, embeddings (windows, d) of clips not trained on.

    A clip lies as far as the median of its windows, as in a scan. None without embeddings, or of too few clips.
    """
    known = _training_embeddings(hear, sounds, inside)
    if known is None or not held_out:
        return None
    distances = held_out_distances(*known, np.concatenate(held_out))
    ends = np.cumsum([len(each) for each in held_out])
    return np.array([np.median(part) for part in np.split(distances, ends[:-1])])


def fit_gate(
    hear: HearClip, sounds: TrainingSounds, inside: Sequence[int], distances: Sequence[Distances]
) -> Domain | None:
    """The gate of a detector trained on `inside`, by the `fold_distances` of all folds; None: nothing to make it of."""
    known = _training_embeddings(hear, sounds, inside)
    if known is None or sum(map(len, distances)) < MIN_HELD_OUT:
        return None
    return fit_domain_judged_by(*known, np.concatenate(distances))


def _training_embeddings(
    hear: HearClip, sounds: TrainingSounds, inside: Sequence[int]
) -> tuple[Embeddings, npt.NDArray[np.str_]] | None:
    """What a detector makes of its own training clips, as they are and damaged once, and the kind of each.

    The copies that it learnt from are sound of a known kind too, of one that lies far from both labels. None for a
    detector without embeddings, and where a label has fewer clips than a Gaussian needs.
    """
    found: list[Embeddings] = []
    labels: list[str] = []
    for number in inside:
        heard = [sounds.clean(number), *([sounds.damaged_copy(number, 0)] if sounds.plan.copies else [])]
        for samples in heard:
            embeddings = hear(samples).embeddings
            if embeddings is None:
                return None
            found.append(embeddings)
            labels += [_kind(sounds, number)] * len(embeddings)
    if min(labels.count(label) for label in ("bonafide", "spoof")) < MIN_PER_CLASS:
        return None
    kinds = np.array(labels)
    enough = kinds != COPY if labels.count(COPY) < MIN_PER_CLASS else np.ones(len(kinds), dtype=bool)
    return np.concatenate(found)[enough], kinds[enough]


def _kind(sounds: TrainingSounds, number: int) -> str:
    item = sounds.items[number]
    return COPY if item.is_made else str(item.row.label)
