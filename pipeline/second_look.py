"""A second look: does a detector stand by its ratio when the recording goes through mild codecs?

What any upload does to a file must not turn a verdict round. Costs a score more per codec, so it is taken where the
first ratio decides something.
"""

from collections.abc import Sequence
from math import ceil, inf, isfinite
from typing import Literal

import numpy as np

from ..core.audio import resample
from ..core.protocols import Scorer
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Evidence, Float32Array, SecondScore, Segment, Stability
from ..datasets.degrade.codec import CODECS, round_trip
from ..detect.policy import Policy

LookTwiceAt = Literal["off", "decisive", "all"]

MILD_CODECS = {"mp3-64k": ("mp3", 64_000), "opus-24k": ("opus", 24_000), "aac-64k": ("aac", 64_000)}
"""By name in the record: codec and bits per second, all for 16 kHz mono; each leaves speech sounding as it was."""
PIECE_S = 60.0
"""Copies are made in pieces of at most this length, so that memory does not grow with the recording."""


class SecondLook:
    """Scores copies of a recording and compares. One serves all threads."""

    def __init__(self, scorer: Scorer, low_log10_lr: float, high_log10_lr: float) -> None:
        """Look again at ratios at or below `low_log10_lr` and at or above `high_log10_lr`."""
        self._scorer = scorer
        self._low_log10_lr = low_log10_lr
        self._high_log10_lr = high_log10_lr

    def look(self, audio: Audio, regions: Sequence[Segment], first: Evidence) -> Stability | None:
        """How the ratio of `first` fares in copies of `audio`, over the same `regions`.

        None where the first ratio is missing or lies between the two bounds.
        """
        ratio = first.log10_lr
        if ratio is None or not isfinite(ratio) or self._low_log10_lr < ratio < self._high_log10_lr:
            return None
        samples = resample(audio.samples, audio.rate_hz, DETECTOR_RATE_HZ)
        copies = ((name, Audio(_copy(samples, name), DETECTOR_RATE_HZ)) for name in MILD_CODECS)
        scores = tuple(SecondScore(name, self._ratio(copy, regions)) for name, copy in copies)
        ratios = [each.log10_lr for each in scores if each.log10_lr is not None]
        whole = len(ratios) == len(scores)
        return Stability(scores, max(ratio, *ratios) - min(ratio, *ratios) if whole else None)

    def _ratio(self, copy: Audio, regions: Sequence[Segment]) -> float | None:
        log10_lr = self._scorer.score(copy, regions=regions).log10_lr
        return float(log10_lr) if log10_lr is not None and isfinite(log10_lr) else None


def second_look_for(scorer: Scorer, policy: Policy, at: LookTwiceAt) -> SecondLook | None:
    """A second look at scores that reach a threshold of `policy`, or at all; None for none, or none that it judges."""
    if at == "all":
        return SecondLook(scorer, inf, -inf)
    if at == "off" or policy.stability is None:
        return None
    thresholds = policy.thresholds
    return SecondLook(scorer, thresholds.no_evidence_max_log10_lr, thresholds.synthetic_min_log10_lr)


def _copy(samples: Float32Array, name: str) -> Float32Array:
    """16 kHz samples (n,) through a mild codec; -> (n,)."""
    codec, bit_rate_bps = MILD_CODECS[name]
    pieces = np.array_split(samples, max(1, ceil(len(samples) / DETECTOR_RATE_HZ / PIECE_S)))
    return np.concatenate([round_trip(each, CODECS[codec], bit_rate_bps) for each in pieces])
