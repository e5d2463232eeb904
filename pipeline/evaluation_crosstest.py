"""Bona fide cross-testing: every generator against every pool of genuine speech by itself.

Source: "Bona fide Cross Testing Reveals Weak Spot in Audio Deepfake Detection Systems", arXiv:2509.09204. Genuine
speech that is easy to tell hides, in a mixture, the pool for which a generator is taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..core.evaluationrecord import CrossTest, CrossTestGenerator, CrossTestSource
from ..detect.metrics.eer import eer
from ..detect.metrics.trials import Float64Array
from .evaluation_scores import ScoredClip, ScoreSet


class _Pool(NamedTuple):
    name: str
    scores: Float64Array


def cross_test(scores: ScoreSet, min_clips: int) -> CrossTest | None:
    """Generators (a clip without one: its family) and sources with at least `min_clips` scored clips.

    None without such a generator, or with fewer than two such sources, where a pooled EER says the same.
    """
    clips = scores.scored
    generators = _pools([clip for clip in clips if clip.is_spoof], min_clips)
    sources = _pools([clip for clip in clips if not clip.is_spoof], min_clips)
    if not generators or len(sources) < 2:
        return None
    rates = np.array([[_eer(source, generator) for source in sources] for generator in generators])
    rows = sorted(range(len(generators)), key=lambda row: (-rates[row].max(), generators[row].name))
    columns = sorted(range(len(sources)), key=lambda column: (-rates[:, column].mean(), sources[column].name))
    generators, sources = [generators[row] for row in rows], [sources[column] for column in columns]
    rates = rates[np.ix_(rows, columns)]
    return CrossTest(
        mean_eer=float(rates.mean()),
        mean_of_worst_eer=float(rates.max(axis=1).mean()),
        generators=tuple(
            CrossTestGenerator(each.name, len(each.scores), float(row.mean()), float(row.max()), _worst(sources, row))
            for each, row in zip(generators, rates, strict=True)
        ),
        sources=tuple(
            CrossTestSource(
                each.name, len(each.scores), float(column.mean()), float(column.max()), _worst(generators, column)
            )
            for each, column in zip(sources, rates.T, strict=True)
        ),
        eer=tuple(tuple(map(float, row)) for row in rates),
    )


def _pools(clips: Sequence[ScoredClip], min_clips: int) -> list[_Pool]:
    members: dict[str, list[float]] = {}
    for clip in clips:
        name = (clip.row.generator or clip.row.family) if clip.is_spoof else clip.row.source
        if name and clip.score is not None:
            members.setdefault(name, []).append(clip.score)
    return [_Pool(name, np.array(values)) for name, values in members.items() if len(values) >= min_clips]


def _eer(source: _Pool, generator: _Pool) -> float:
    is_spoof = np.arange(len(source.scores) + len(generator.scores)) >= len(source.scores)
    value = eer(np.concatenate((source.scores, generator.scores)), is_spoof)
    assert value is not None, "both classes are present by construction"
    return value


def _worst(pools: Sequence[_Pool], rates: Float64Array) -> str:
    return pools[int(np.argmax(rates))].name
