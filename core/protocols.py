"""The shapes that the layers agree on. A sibling layer receives another's work as one of these, never by import.

Batches are lists in and lists out; a return type never depends on the size of the batch.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, runtime_checkable

from .cliprecord import SpeechKind
from .generatorsettings import DEFAULTS, GeneratorSettings
from .modelcard import ModelFolder
from .records import Audio, Clip, Evidence, Float32Array, Int32Array, Posteriors, Prompt, Segment, Tokens
from .waveformrecord import MarkTraits, WaveformFinding
from .waveformsettings import WAVEFORM_DEFAULTS, WaveformSettings

if TYPE_CHECKING:
    import torch


class Progress(Protocol):
    """Told how far a long job is; draws it or ignores it."""

    def __call__(self, done: int, total: int | None, note: str = "") -> None:
        """`done` of `total` steps (None: not known) are finished; `note` names the current one."""


class TokenMark(Protocol):
    """A mark laid on speech tokens while they are sampled."""

    scheme: str

    def sample(self, probs: Float32Array, slot: int) -> Int32Array:
        """Choose one id per row of `probs` (b, vocabulary) for time slot `slot`; -> (b,)."""
        ...


@dataclass(frozen=True)
class SpeechRequest:
    """One clip that a generator is asked for."""

    prompt: Prompt
    mark: TokenMark | None
    seed: int


class BatchMark(Protocol):
    """The marks of the rows of a batch, on the device where the rows are sampled; a row without one is left alone."""

    codebook_size: int
    version: int
    """Rises when tensors moved: what was captured with `choose` in it (a CUDA graph) must be captured again."""

    def put(self, row: int, mark: TokenMark | None, first_slot: int, positions: int) -> None:
        """Give `row` its mark for the next `positions` tokens, the first of which is token `first_slot` of its file.

        Raises `UsageError` for a mark that does not fit the others.
        """
        ...

    def choose(
        self, probs: "torch.Tensor", ids: "torch.Tensor", position: "torch.Tensor", ordinary: "torch.Tensor"
    ) -> "torch.Tensor":
        """Choose a candidate in each row: an index into it, int64 (b,); `ordinary` (b,) int64 where there is no mark.

        `probs` float32 (b, k) of the candidates `ids` int64 (b, k) in the codebook, `position` int64 (b,) counted
        from the row's first token. Never waits for the device.
        """
        ...


@runtime_checkable
class DeviceMark(TokenMark, Protocol):
    """A mark that many rows can carry at once without the host looking at every token."""

    def on_device(self, rows: int, positions: int, device: "torch.device") -> BatchMark:
        """A batch of `rows` rows, of at most `positions` tokens each, for marks of this table; no row has one yet.

        Raises `UsageError` when marks of this kind cannot be laid on a batch.
        """
        ...


class Generator(Protocol):
    """Makes speech from a prompt. Registered by name in `generate/backends`."""

    name: str
    kind: SpeechKind
    """Of all clips that it makes, as their records say it."""
    has_tokens: bool
    """Whether a clip comes with the speech tokens that it was made of; only tokens can carry a token mark."""
    model: ModelFolder
    """Holds `mark_table.json` beside the weights, where clips can be marked."""
    voices: tuple[str, ...]
    """The first is the default."""
    rate_hz: int
    """Sample rate of the sound."""
    how_to_get: str | None
    """What to do to have a model of it; None: one comes with the package."""

    @classmethod
    def load(cls, folder: Path | None = None, settings: GeneratorSettings = DEFAULTS) -> Self:
        """Read a model folder (None: the bundled one).

        Raises `ModelMissing` or `IntegrityError`, and `UsageError` for a setting that the generator has not.
        """
        ...

    def generate(self, prompt: Prompt, *, mark: TokenMark | None, seed: int) -> Clip:
        """Same prompt, mark and seed give the same tokens; `n` tokens give `n / tokens.rate_hz` seconds.

        Without tokens the same prompt and seed give the same sound. Raises `UsageError` or `InputError` for a prompt
        that cannot be said, and `UsageError` for a mark where there are no tokens.
        """
        ...


@runtime_checkable
class BatchGenerator(Generator, Protocol):
    """A generator that makes many clips at once."""

    def generate_many(self, requests: Iterable[SpeechRequest]) -> Iterator[Clip | Exception]:
        """One outcome per request, in their order; further requests are taken as there is room for them.

        Each clip is the one that `generate` makes of its request alone, up to rounding. A request that fails by
        itself gives its error; what concerns every clip is raised.
        """
        ...


class TokenDecoder(Protocol):
    """Turns speech tokens into sound."""

    def decode(self, tokens: Tokens) -> Audio:
        """`n` tokens give `n / tokens.rate_hz` seconds."""
        ...


class TokenRecoverer(Protocol):
    """Reads speech tokens back from sound alone."""

    codebook_size: int
    model: ModelFolder

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        """Audio at any rate gives rows of posteriors at `Posteriors.rate_hz`.

        `speed`: take the sound to have been played so many times too fast, pitch and all, and undo that first;
        the rows then run along the undone time.
        """
        ...


class MarkFinding(Protocol):
    """What a test of presence found in one sound."""

    @property
    def status(self) -> Literal["present", "absent", "not_checked"]:
        """`present` when the certified p-value is at or below the test's alpha."""
        ...

    def to_evidence(self, *, model_sha256: str | None = None) -> Evidence:
        """The record of it; `model_sha256` is the recoverer's."""
        ...


class MarkTest(Protocol):
    """Tests whether a mark under one key is present."""

    def prepare(self, subkeys: Mapping[str, bytes], *, payload: bool = False) -> Any:
        """Expand a key's subkeys once, for any number of sounds."""
        ...

    def test(
        self,
        posteriors: Mapping[float, Posteriors] | Callable[[float], Posteriors],
        tables: Any,
        speech: Sequence[Segment] | None = None,
    ) -> MarkFinding:
        """`posteriors` by speed hypothesis, `tables` from `prepare`, `speech` where to look (None: everywhere).

        The p-value holds for any sound whatever that was not marked under the key.
        """
        ...


class WaveformMark(Protocol):
    """A mark laid on the waveform. Registered by name in `watermark/waveform`."""

    traits: MarkTraits
    message_bytes: int
    """Length of the message that every mark carries; 0: it carries none."""

    @classmethod
    def open(cls, settings: WaveformSettings = WAVEFORM_DEFAULTS) -> Self:
        """Check what the user gave: cheap, and no more than that.

        Raises `ModelMissing`, `KeyMissing` or `IntegrityError` for a file that was named and is not as it must be.
        What was not named, or is not installed, only keeps `find` from looking.
        """
        ...

    def embed(self, audio: Audio, message: bytes = b"") -> Audio:
        """Same rate and number of samples, marked; the same input gives the same samples.

        Raises `UsageError` for a message of another length than `message_bytes`, `InputError` for sound that cannot
        be marked, `ModelMissing` or `KeyMissing` for what is not there.
        """
        ...

    def find(self, audio: Audio) -> WaveformFinding:
        """Look for the mark in sound at any rate.

        Never raises on sound of any kind: what cannot be looked at comes back as `not_checked`, with the reason.
        """
        ...


class Scorer(Protocol):
    """Scores how much speech sounds generated. Registered by name in `detect/scorers`."""

    name: str
    model: ModelFolder
    how_to_get: str | None
    """What to do to have a model of it; None: one comes with the package."""

    @classmethod
    def load(cls, folder: Path | None = None) -> Self:
        """Read a model folder (None: the bundled one). Raises `ModelMissing` or `IntegrityError`."""
        ...

    def score(self, audio: Audio, *, regions: Sequence[Segment] | None = None) -> Evidence:
        """Score 16 kHz audio inside `regions` (None: all of it).

        Never raises on sound of any kind: what cannot be scored comes back with status `not_scored` and a
        score of None.
        """
        ...
