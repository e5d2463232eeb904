"""The shapes that the layers agree on. A sibling layer receives another's work as one of these, never by import.

Batches are lists in and lists out; a return type never depends on the size of the batch.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from .modelcard import ModelFolder
from .records import Audio, Clip, Evidence, Float32Array, Int32Array, Posteriors, Prompt, Segment, Tokens


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


class Generator(Protocol):
    """Makes speech from a prompt."""

    def generate(self, prompt: Prompt, *, mark: TokenMark | None, seed: int) -> Clip:
        """Same prompt, mark and seed give the same tokens."""
        ...


class TokenDecoder(Protocol):
    """Turns speech tokens into sound."""

    def decode(self, tokens: Tokens) -> Audio:
        """`n` tokens give `n / tokens.rate_hz` seconds."""
        ...


class TokenRecoverer(Protocol):
    """Reads speech tokens back from sound alone."""

    def recover(self, audio: Audio) -> Posteriors:
        """Audio at any rate gives one row of posteriors per 40 ms."""
        ...


class MarkTest(Protocol):
    """Tests whether a mark under one key is present."""

    def test(self, posteriors: Posteriors, key: bytes) -> Evidence:
        """The p-value holds for any audio whatever that was not marked under `key`."""
        ...


class WaveformMark(Protocol):
    """A mark laid on the waveform."""

    def embed(self, audio: Audio) -> Audio:
        """Same length and rate, marked."""
        ...

    def find(self, audio: Audio) -> Evidence:
        """Status `detected`, `not_detected` or `not_checked`."""
        ...


class Scorer(Protocol):
    """Scores how much speech sounds generated. Registered by name in `detect/scorers`."""

    name: str
    model: ModelFolder

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
