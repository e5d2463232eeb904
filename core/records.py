"""The records that travel between the layers: frozen, typed, with units in the names.

Arrays take no part in equality or in `repr`. A higher score means more synthetic, everywhere. What is not
known is `None`, never a good score.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from .rates import TOKEN_RATE_HZ

Float32Array = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]

Label = Literal["bonafide", "spoof"]
EvidenceKind = Literal["artifact", "token_mark", "waveform_mark", "credentials"]
VerdictLabel = Literal["synthetic", "inconclusive", "no_evidence", "not_analysable"]
VERDICT_LABELS: tuple[VerdictLabel, ...] = ("synthetic", "inconclusive", "no_evidence", "not_analysable")


@dataclass(frozen=True)
class Audio:
    """Mono sound: float32 samples (n,) in [-1, 1] at `rate_hz`, and the file that it came from."""

    samples: Float32Array = field(compare=False, repr=False)
    rate_hz: int
    source: str | None = None
    sha256: str | None = None
    """Hash of the file's bytes, not of the samples."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True, order=True)
class Segment:
    """A stretch of time, `start_s` inclusive to `end_s` exclusive."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True, order=True)
class ScoredSegment(Segment):
    """A stretch of time with the log10 likelihood ratio that it alone gives; higher is more synthetic."""

    log10_lr: float


@dataclass(frozen=True)
class Tokens:
    """Speech tokens: int32 ids (n,) in [0, codebook_size) at `rate_hz` (25 for Covo-Audio)."""

    ids: Int32Array = field(compare=False, repr=False)
    rate_hz: int
    codebook_size: int


@dataclass(frozen=True)
class Posteriors:
    """A token recoverer's best `k` guesses per row, `rate_hz` rows per second.

    `ids` int32 (n, k), `probs` float32 (n, k) in descending order, `rest` float32 (n,): the mass of all others.
    A rate that is a multiple of the tokens' 25 Hz leaves open where in the sound a token begins.
    """

    ids: Int32Array = field(compare=False, repr=False)
    probs: Float32Array = field(compare=False, repr=False)
    rest: Float32Array = field(compare=False, repr=False)
    rate_hz: int = TOKEN_RATE_HZ
    surprisal: Float32Array | None = field(default=None, compare=False, repr=False)
    """float32 (n,): bits, the estimate from the sound alone of -log2 of the probability that the row's token had."""


@dataclass(frozen=True)
class Turn:
    """What is said to a generator at one time: text, sound, or sound and then text."""

    text: str | None = None
    audio: Audio | None = None


@dataclass(frozen=True)
class Prompt:
    """What a generator is asked to say or to answer, in whose voice, and why that is allowed."""

    text: str | None = None
    audio: Audio | None = None
    later: tuple[Turn, ...] = ()
    """What is said to it after each of its replies, in a conversation."""
    two_sided: bool = False
    """The sound that is said to it stands in the clip too."""
    exchanges: int = 0
    """Above 0: the generator talks with itself, which begins with this prompt and has so many replies."""
    voice: str | None = None
    purpose: str | None = None
    consent_ref: str | None = None


@dataclass(frozen=True)
class Recipe:
    """How a clip was made: enough to make it again, without any secret."""

    generator: str
    model_sha256: str | None
    seed: int
    sampling: tuple[tuple[str, float | int | str], ...] = ()
    mark_scheme: str | None = None
    key_id: str | None = None


HEARD = "heard"
"""The speaker of what was said to a generator."""


@dataclass(frozen=True)
class Reply:
    """What was said in one turn, in words where there are any, where in the clip, and by whom."""

    text: str
    start_s: float
    end_s: float
    speaker: str
    """A voice of the generator, or `HEARD`."""


@dataclass(frozen=True)
class Clip:
    """What a generator returns."""

    audio: Audio
    tokens: Tokens | None
    recipe: Recipe
    replies: tuple[Reply, ...] = ()
    """Of generators that answer; empty for those that read a text aloud."""


@dataclass(frozen=True)
class Row:
    """One labelled clip of a dataset. `path` is relative to the manifest, or an index into an HDF5 store."""

    clip_id: str
    path: str
    label: Label
    sha256: str | None = None
    generator: str | None = None
    family: str | None = None
    kind: str | None = None
    speaker: str | None = None
    source: str | None = None
    licence: str | None = None
    split: str | None = None
    recipe: Recipe | None = None
    text: str | None = None
    """What is said, or a hash of it: equal where the words are."""
    duration_s: float | None = None


DomainVerdict = Literal["in", "edge", "out"]


@dataclass(frozen=True)
class DomainFinding:
    """How like the recordings that a detector was trained and calibrated for one recording is."""

    distance: float
    """About 1 for recordings of the known kind; larger is less like any of them."""
    share_further_out: float
    """Share, in (0, 1], of known recordings held out of training that are at least as unlike the rest."""
    verdict: DomainVerdict
    """`edge` and `out`: about 1 and 0.1 % of known recordings lie further out."""


@dataclass(frozen=True)
class SecondScore:
    """What a detector says of a copy of the recording that went through a mild codec."""

    codec: str
    log10_lr: float | None
    """None: the copy could not be scored."""


@dataclass(frozen=True)
class Stability:
    """Whether a detector stands by its ratio when the recording changes in ways that nobody would hear."""

    scores: tuple[SecondScore, ...]
    range_log10_lr: float | None
    """Largest less smallest ratio, the first one included; None where a copy could not be scored."""


@dataclass(frozen=True)
class Evidence:
    """One finding on one file: what was looked for, by which method, and what came of it.

    `score` is the method's own scale. `log10_lr` is calibrated: above 0 speaks for a machine, below 0 against.
    """

    kind: EvidenceKind
    method: str
    status: str
    score: float | None = None
    log10_lr: float | None = None
    p_value: float | None = None
    segments: tuple[Segment, ...] = ()
    model_sha256: str | None = None
    domain: DomainFinding | None = None
    """None: the model does not know what it was made for."""
    stability: Stability | None = None
    """None: there was no second look."""
    says: str | None = None
    """What somebody asserts by it. Credentials: how the sound came to be (`ContentKind`). Waveform marks: `issued`,
    where the message is one that was issued here."""
    reason: str | None = None
    """Code of `core/reasons.py` that tells more than the status."""


@dataclass(frozen=True)
class Change:
    """The least that would give another verdict under the same policy, all else as it is."""

    verdict: VerdictLabel
    without: tuple[str, ...]
    """Reasons that would have to go; empty: none."""
    log10_lr: float | None
    """What the detectors' ratios would have to reach: at least this for `synthetic`, at most this for `no_evidence`.
    None: they may stay."""


@dataclass(frozen=True)
class Verdict:
    """What a policy makes of the evidence. There is no label "human" or "real"."""

    label: VerdictLabel
    reasons: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    policy_id: str
    policy_sha256: str
