"""The gate of a trained detector knows the kinds of sound that it learnt from, the copies among them."""

from types import SimpleNamespace

import numpy as np
import pytest

from covoguard.core.records import Row
from covoguard.detect.domain import MIN_HELD_OUT, MIN_PER_CLASS
from covoguard.pipeline.training_domain import COPY, fit_gate, fold_distances

WIDTH = 4
CENTRES = {"bonafide": 0.0, "spoof": 4.0, COPY: 40.0}


class Sounds:
    """Clips that are their own embeddings: one cloud per kind."""

    def __init__(self, counts):
        rng = np.random.default_rng(0)
        self.plan = SimpleNamespace(copies=0)
        self.items, self._clips = [], []
        for kind, count in counts.items():
            label = "spoof" if kind == COPY else kind
            for _ in range(count):
                row = Row("clip", "clip.wav", label)
                self.items.append(SimpleNamespace(is_made=kind == COPY, row=row))
                self._clips.append(CENTRES[kind] + rng.standard_normal((1, WIDTH)))

    def clean(self, number):
        return self._clips[number].astype(np.float32)


def hear(samples):
    return SimpleNamespace(embeddings=samples)


def gate(**counts):
    sounds = Sounds(counts)
    held_out = [CENTRES["bonafide"] + np.random.default_rng(n).standard_normal((1, WIDTH)) for n in range(MIN_HELD_OUT)]
    inside = range(len(sounds.items))
    return fit_gate(hear, sounds, inside, [fold_distances(hear, sounds, inside, held_out)])


@pytest.mark.parametrize(("copies", "verdict"), [(0, "out"), (MIN_PER_CLASS - 1, "out"), (3 * MIN_PER_CLASS, "in")])
def test_copies_that_were_learnt_from_are_a_kind_of_their_own(copies, verdict):
    fitted = gate(bonafide=100, spoof=100, **{COPY: copies})
    assert fitted.finding(fitted.distance(np.full(WIDTH, CENTRES[COPY]))).verdict == verdict
    assert fitted.finding(fitted.distance(np.full(WIDTH, CENTRES["bonafide"]))).verdict == "in"
    assert fitted.finding(fitted.distance(np.full(WIDTH, 20.0))).verdict == "out", "between the kinds is no kind"


def test_without_enough_of_a_label_there_is_no_gate():
    assert gate_of_few() is None


def gate_of_few():
    sounds = Sounds({"bonafide": 100, "spoof": MIN_PER_CLASS - 1, COPY: 100})
    return fit_gate(hear, sounds, range(len(sounds.items)), [np.ones(MIN_HELD_OUT)])
