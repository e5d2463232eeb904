"""Which clips of a collection hold one utterance: a fold is measured by models that never heard its sentences."""

from collections.abc import Iterable

import numpy as np

from ..core.progress import Progress, silent
from ..datasets.near_duplicates import find_near_duplicates, fingerprint
from ..datasets.utterances import same_utterances, utterance_spectrum
from .sound_file import SoundFile


def utterances_of(clips: SoundFile, originals: Iterable[int | None], progress: Progress = silent) -> tuple[int, ...]:
    """A number for each clip; clips with one number are linked by one recording, by one utterance, or as a copy.

    `originals` are the places of what each clip is known to be a copy of.
    """
    prints, spectra = [], []
    for number in range(len(clips)):
        samples = clips.read(number)
        prints.append(fingerprint(samples))
        spectra.append(utterance_spectrum(samples))
        progress(number + 1, len(clips), "listening for sentences that come twice")
    pairs = [(pair.first, pair.second) for pair in find_near_duplicates(prints)]
    pairs += same_utterances(spectra)
    pairs += [(place, original) for place, original in enumerate(originals) if original is not None]
    return _linked(len(clips), pairs)


def _linked(count: int, pairs: list[tuple[int, int]]) -> tuple[int, ...]:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(count, count))
    return tuple(int(label) for label in connected_components(graph, directed=False)[1])
