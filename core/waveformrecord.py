"""What a search for one waveform mark says about one file. The attribute names are the keys of the JSON form.

Four answers, and no two mean the same: `detected`; `inconclusive`, more than unmarked sound gives but too little to
act on; `not_detected`, looked for and not there, which is no evidence of human speech; `not_checked`, not looked for.
"""

from dataclasses import dataclass
from typing import Literal

from .proportion import upper_limit
from .records import Evidence, Segment

WaveformStatus = Literal["detected", "inconclusive", "not_detected", "not_checked"]
WAVEFORM_STATUSES: tuple[WaveformStatus, ...] = ("detected", "inconclusive", "not_detected", "not_checked")


@dataclass(frozen=True)
class MarkTraits:
    """What is true of a mark whatever the file."""

    method: str
    keyless: bool
    """No secret is needed to put it on: anyone can lay it on any recording, a real one too."""
    removable: bool
    """No secret is needed to take it off, with the sound left as good."""
    limits: str
    """What a finding does not mean, in words."""


@dataclass(frozen=True)
class FalseAlarms:
    """How often a method cried wolf where it was tried, and what follows for one file."""

    alarms: int
    trials: int
    """Unmarked recordings, each searched as one piece of the file was."""
    upper_limit: float
    """Of the rate per piece: Clopper-Pearson (1934), one-sided 95 %."""
    pieces: int
    """Of the file that were searched: each is another chance of an alarm."""
    per_file: float
    """`pieces` times `upper_limit`, at most 1: holds whatever the pieces have to do with each other."""
    trials_of: str
    """What the trials were. The limit is one for sound like that."""

    @classmethod
    def counted(cls, alarms: int, trials: int, trials_of: str, *, pieces: int = 1) -> "FalseAlarms":
        """From the counts."""
        limit = upper_limit(alarms, trials)
        return cls(alarms, trials, limit, pieces, min(1.0, pieces * limit), trials_of)


@dataclass(frozen=True)
class WaveformFinding:
    """The answer for one mark and one file."""

    status: WaveformStatus
    traits: MarkTraits
    reason: str | None = None
    """Code of `core/reasons.py`: why it was not checked, or why no more can be said than `inconclusive`."""
    detail: str | None = None
    """The same for this file or this machine, with what to do."""
    score: float | None = None
    """On the method's own scale; higher speaks for the mark."""
    threshold: float | None = None
    """From which score on the mark counts as there."""
    p_value: float | None = None
    """Over the random choice of messages, for sound made without knowledge of any; None: nothing earns one."""
    speed: float | None = None
    """How many times too fast the sound is played, by the hypothesis that gave the score."""
    segments: tuple[Segment, ...] = ()
    """Where the mark was found, to the precision of a piece."""
    message: str | None = None
    """In hex; None: the mark carries none, or is not certain enough for one to be shown."""
    issued_utc: str | None = None
    """When this very message was issued here."""
    false_alarms: FalseAlarms | None = None
    """Of the answer that was given, and of `detected` where that is `not_detected`. None: never measured."""
    model_sha256: str | None = None

    def to_evidence(self) -> Evidence:
        """The part of it that counts in a verdict."""
        return Evidence(
            kind="waveform_mark",
            method=self.traits.method,
            status=self.status,
            score=self.score,
            p_value=self.p_value,
            segments=self.segments,
            model_sha256=self.model_sha256,
            says=None if self.issued_utc is None else "issued",
            reason=self.reason,
        )


def not_checked(traits: MarkTraits, reason: str, detail: str) -> WaveformFinding:
    """The answer where nothing was looked for."""
    return WaveformFinding("not_checked", traits, reason=reason, detail=detail)
