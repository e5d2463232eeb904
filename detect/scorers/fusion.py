"""Several detectors as one: the weighted sum of their scores."""

from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Self

from ...core.errors import IntegrityError, ModelMissing, UsageError
from ...core.jsonrecord import from_json
from ...core.modelcard import ModelFolder, open_model
from ...core.protocols import Scorer
from ...core.records import Audio, Evidence, Segment
from ..calibration import Calibration
from ..fusion import FUSION_NAME, Fusion, FusionMember, FusionWeights
from ..registry import SCORERS
from ..scoring import CALIBRATION_NAME, open_bundled_or, read_calibration, unusable


@SCORERS.register(FUSION_NAME)
class FusionScorer:
    """Prior-weighted logistic regression over the scores of its members. Source: `detect/fusion.py`."""

    name = FUSION_NAME
    how_to_get: str | None = (
        "fit weights on held-out scores of other detectors (covoguard.detect.fusion) and make a folder of them with "
        "covoguard.pipeline.make_fusion_detector"
    )

    def __init__(
        self, model: ModelFolder, calibration: Calibration | None, members: Sequence[Scorer], weights: FusionWeights
    ) -> None:
        """`weights` has one per member. Without a calibration there is a score and no log10 LR."""
        self.model = model
        self._calibration = calibration
        self._members = members
        self._weights = weights

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a model folder and those of its members. Raises `ModelMissing` (also for None) or `IntegrityError`."""
        if folder is None:
            raise ModelMissing(f"no model of {cls.name} comes with covoguard; {cls.how_to_get}")
        model = open_model(folder)
        model.check_part("detector", cls.name)
        weights_name = str(model.card["weights"])
        with unusable(model, weights_name, ValueError, UsageError):
            fusion = from_json(Fusion, model.read_json(weights_name))
            members = [_load_member(model, member) for member in fusion.members]
        calibration = read_calibration(model) if CALIBRATION_NAME in model.checksums else None
        return cls(model, calibration, members, fusion.weights)

    def score(self, audio: Audio, *, regions: Sequence[Segment] | None = None) -> Evidence:
        """Fuse the members' scores of the file; `not_scored` where one of them has none.

        The segments are all windows that a member heard. They have no ratios of their own, also where the file has
        one: members hear different windows. Of the members that know what they were made for, the one to which the
        recording is most foreign speaks.
        """
        nothing = Evidence("artifact", self.model.id, "not_scored", model_sha256=self.model.model_sha256)
        heard: list[Evidence] = []
        scores: list[float] = []
        for member in self._members:
            evidence = member.score(audio, regions=regions)
            if evidence.score is None:
                return nothing
            heard.append(evidence)
            scores.append(evidence.score)
        score = self._weights.fuse(scores)
        if not isfinite(score):
            return nothing
        spans = sorted({(window.start_s, window.end_s) for evidence in heard for window in evidence.segments})
        domains = [evidence.domain for evidence in heard if evidence.domain is not None]
        scored = replace(
            nothing,
            status="scored",
            score=score,
            segments=tuple(Segment(*span) for span in spans),
            domain=min(domains, key=lambda finding: finding.share_further_out, default=None),
        )
        if self._calibration is None:
            return scored
        speech = [Segment(0.0, len(audio.samples) / audio.rate_hz)] if regions is None else regions
        return replace(scored, log10_lr=self._calibration.apply(score, sum(region.duration_s for region in speech)))


def _load_member(model: ModelFolder, member: FusionMember) -> Scorer:
    scorer_class = SCORERS.get(member.detector)
    folder = None if member.path is None else model.path / member.path
    found = open_bundled_or(folder, member.detector)
    found.check_part("detector", member.detector)
    if found.model_sha256 != member.model_sha256:
        raise IntegrityError(
            f"{found.path}: not the model of {member.detector} that {model.path} was fitted with; "
            "install the fusion again, or fit a new one"
        )
    return scorer_class.load(folder)
