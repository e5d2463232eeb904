"""Where the token sequences come from that a recoverer is trained on, and the marked ones that its table is fitted to.

Best is what the generator's own language model says (`lm`). Where that cannot be run, the tokens of clips that it
has made (a manifest), and without either, codes drawn evenly (`uniform`). The last two cannot be marked by the model,
so a synthetic language of stated entropy is marked in its place.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..core.errors import CovoguardError, InputError, UsageError
from ..core.protocols import Generator, SpeechRequest, TokenMark
from ..core.records import Clip, Float32Array, Int32Array, Prompt

_CANDIDATES = 256
"""Codes that a step of the synthetic language chooses among."""
_LINES_PER_CLIP = 4
_TRIES = 8
"""Prompts that are tried for a clip before the generator is given up."""


@dataclass(frozen=True)
class TokenClip:
    """Token ids (n,), the surprisal in bits with which each was drawn (n,) or None where that is unknown, a voice."""

    ids: Int32Array
    surprisal_bits: Float32Array | None
    voice: str


class TokenSource(Protocol):
    """Gives token sequences by seed: the same seeds, the same sequences."""

    knows_surprisal: bool
    about: str
    """One sentence for the card."""
    sha256: str
    """Of all that decides the sequences beside the seed and the generator."""

    def clips(self, seeds: Sequence[int]) -> list[TokenClip]:
        """One sequence for each seed, without a mark."""
        ...

    def marked(self, marks: Sequence[TokenMark], seed: int) -> list[TokenClip]:
        """One sequence for each mark."""
        ...


@runtime_checkable
class LineSampler(Protocol):
    """A generator that says many lines at once and tells each token's surprisal, as pocket does."""

    def line(self, text: str, voice: int, seed: int, mark: TokenMark | None = None, first_slot: int = 0) -> Any:
        """One line to say, the voice by its number."""
        ...

    def sample(self, lines: Sequence[Any]) -> Sequence[Any]:
        """For each line an object with `ids` (n,) and `surprisal_bits` (n,)."""
        ...


@runtime_checkable
class GeneratesMany(Protocol):
    """What is used of a `BatchGenerator`."""

    def generate_many(self, requests: Iterable[SpeechRequest]) -> Iterator[Clip | Exception]:
        """One outcome per request, in their order."""
        ...


class PromptedTokens:
    """What the generator's language model says to `prompts`, each clip several of them one after another."""

    def __init__(self, generator: Generator, prompts: Sequence[str]) -> None:
        """Raises `UsageError` without prompts."""
        if not prompts:
            raise UsageError("there are no prompts to draw tokens with; give some, or train with --tokens uniform")
        self._generator = generator
        self._prompts = prompts
        self.knows_surprisal = isinstance(generator, LineSampler)
        self.about = f"sampled by the generator's own language model from {len(prompts):,} prompts"
        self.sha256 = _sha256(*prompts)

    def clips(self, seeds: Sequence[int]) -> list[TokenClip]:
        """See `TokenSource`."""
        return self._said(seeds, [None] * len(seeds))

    def marked(self, marks: Sequence[TokenMark], seed: int) -> list[TokenClip]:
        """See `TokenSource`."""
        seeds = [int(each) for each in np.random.default_rng([seed, 3]).integers(2**53, size=len(marks))]
        return self._said(seeds, marks)

    def _said(self, seeds: Sequence[int], marks: Sequence[TokenMark | None]) -> list[TokenClip]:
        rngs = [np.random.default_rng([seed, 5]) for seed in seeds]
        voices = [int(rng.integers(len(self._generator.voices))) for rng in rngs]
        if isinstance(self._generator, LineSampler):
            return self._said_together(self._generator, rngs, voices, marks)
        if isinstance(self._generator, GeneratesMany):
            return self._said_many(self._generator, rngs, voices, marks)
        return [self._said_alone(*each) for each in zip(rngs, voices, marks, strict=True)]

    def _said_together(
        self, generator: LineSampler, rngs: Sequence[np.random.Generator], voices: Sequence[int],
        marks: Sequence[TokenMark | None],
    ) -> list[TokenClip]:  # fmt: skip
        ids = [np.zeros(0, np.int32) for _ in rngs]
        bits = [np.zeros(0, np.float32) for _ in rngs]
        for _ in range(_LINES_PER_CLIP):
            lines = [
                generator.line(self._prompt(rng), voice, int(rng.integers(2**62)), mark, len(before))
                for rng, voice, mark, before in zip(rngs, voices, marks, ids, strict=True)
            ]
            for number, said in enumerate(generator.sample(lines)):
                ids[number] = np.concatenate([ids[number], said.ids])
                bits[number] = np.concatenate([bits[number], said.surprisal_bits])
        named = [self._generator.voices[voice] for voice in voices]
        return [TokenClip(*each) for each in zip(ids, bits, named, strict=True)]

    def _said_many(
        self, generator: GeneratesMany, rngs: Sequence[np.random.Generator], voices: Sequence[int],
        marks: Sequence[TokenMark | None],
    ) -> list[TokenClip]:  # fmt: skip
        """As `_said_alone`, all clips at once; a prompt that failed is tried again with another."""
        said: dict[int, TokenClip] = {}
        for _ in range(_TRIES):
            waiting = [number for number in range(len(rngs)) if number not in said]
            requests = [
                SpeechRequest(
                    Prompt(text=self._prompt(rngs[n]), voice=self._generator.voices[voices[n]]),
                    marks[n],
                    int(rngs[n].integers(2**53)),
                )
                for n in waiting
            ]
            for number, outcome in zip(waiting, generator.generate_many(requests), strict=True):
                if isinstance(outcome, Exception):
                    if not isinstance(outcome, UsageError | InputError):
                        raise outcome
                elif outcome.tokens is not None and len(outcome.tokens.ids):
                    said[number] = TokenClip(outcome.tokens.ids, None, self._generator.voices[voices[number]])
            if len(said) == len(rngs):
                return [said[number] for number in range(len(rngs))]
        raise self._nothing_said("it gave no tokens")

    def _said_alone(self, rng: np.random.Generator, voice: int, mark: TokenMark | None) -> TokenClip:
        """One prompt per clip: a mark counts its slots from the beginning of what is generated."""
        name, failure = self._generator.voices[voice], "it gave no tokens"
        for _ in range(_TRIES):
            prompt = Prompt(text=self._prompt(rng), voice=name)
            try:
                clip = self._generator.generate(prompt, mark=mark, seed=int(rng.integers(2**53)))
            except (UsageError, InputError) as error:
                failure = error.message
                continue
            if clip.tokens is not None and len(clip.tokens.ids):
                return TokenClip(clip.tokens.ids, None, name)
        raise self._nothing_said(failure)

    def _nothing_said(self, failure: str) -> UsageError:
        return UsageError(
            f"{self._generator.name} said none of {_TRIES} prompts ({failure}); "
            "give other prompts, or train with --tokens uniform"
        )

    def _prompt(self, rng: np.random.Generator) -> str:
        return self._prompts[int(rng.integers(len(self._prompts)))]


class SyntheticTokens:
    """Codes drawn one by one; marked ones from a language whose every step has the same stated entropy.

    Each step of that language draws candidate codes anew and gives them falling chances, so there is nothing to learn
    in it but the frequency of its codes, and a recoverer cannot guess a token from its neighbours.
    """

    knows_surprisal = False

    def __init__(
        self, codes: int, voices: Sequence[str], entropy_bits: float, tokens_per_clip: int,
        frequency: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """`frequency` (codes,): how often each code is said (None: all alike).

        Raises `UsageError` for an entropy that the language cannot have.
        """
        said = codes if frequency is None else int(np.count_nonzero(frequency))
        most_bits = float(np.log2(min(_CANDIDATES, said)))
        if not 0 < entropy_bits <= 0.95 * most_bits:
            raise UsageError(
                f"a synthetic language over {said} codes has an entropy above 0 and up to {0.95 * most_bits:.1f} bits "
                f"per token, not {entropy_bits}; give another --entropy-bits"
            )
        self._codes = codes
        self._voices = voices
        self._tokens = tokens_per_clip
        self._frequency = None if frequency is None else frequency / frequency.sum()
        self._chances = falling_chances(min(_CANDIDATES, said), entropy_bits)
        evenly = "evenly" if frequency is None else "as often as in the manifest"
        self.about = (
            f"drawn {evenly} from the {codes:,} codes; marked ones from a synthetic language of {entropy_bits} bits "
            "per token"
        )
        self.sha256 = _sha256(self.about, str(tokens_per_clip), *([] if frequency is None else frequency.astype(str)))

    def clips(self, seeds: Sequence[int]) -> list[TokenClip]:
        """See `TokenSource`."""
        clips = []
        for seed in seeds:
            rng = np.random.default_rng([seed, 7])
            ids = rng.choice(self._codes, self._tokens, p=self._frequency)
            clips.append(TokenClip(ids.astype(np.int32), None, self._voice(rng)))
        return clips

    def marked(self, marks: Sequence[TokenMark], seed: int) -> list[TokenClip]:
        """See `TokenSource`."""
        clips = []
        for number, mark in enumerate(marks):
            rng = np.random.default_rng([seed, 9, number])
            ids = np.empty(self._tokens, np.int32)
            for position in range(self._tokens):
                probs = np.zeros((1, self._codes), np.float32)
                probs[0, self._candidates(rng, len(self._chances))] = self._chances
                ids[position] = mark.sample(probs, position)[0]
            clips.append(TokenClip(ids, None, self._voice(rng)))
        return clips

    def _candidates(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Different codes in a random order, by their frequency (Gumbel top-k, Vieira 2014)."""
        if self._frequency is None:
            return rng.choice(self._codes, count, replace=False)
        scores = np.log(np.maximum(self._frequency, 1e-300)) + rng.gumbel(size=self._codes)
        best = np.argpartition(-scores, count - 1)[:count]
        return np.asarray(best[np.argsort(-scores[best])])

    def _voice(self, rng: np.random.Generator) -> str:
        return self._voices[int(rng.integers(len(self._voices)))]


class RecordedTokens:
    """The sequences that a generated dataset has kept; marked ones come from a synthetic language."""

    knows_surprisal = False

    def __init__(self, clips: Sequence[TokenClip], synthetic: SyntheticTokens) -> None:
        """Raises `UsageError` without clips."""
        if not clips:
            raise UsageError("the manifest keeps no tokens of this model; give another, or train with --tokens uniform")
        self._clips = clips
        self._synthetic = synthetic
        self.about = f"of {len(clips):,} clips of a generated dataset; codes {synthetic.about}"
        self.sha256 = _sha256(synthetic.sha256, *(f"{clip.voice} {clip.ids.tolist()}" for clip in clips))

    def clips(self, seeds: Sequence[int]) -> list[TokenClip]:
        """See `TokenSource`."""
        return [self._clips[int(np.random.default_rng([seed, 7]).integers(len(self._clips)))] for seed in seeds]

    def marked(self, marks: Sequence[TokenMark], seed: int) -> list[TokenClip]:
        """See `TokenSource`."""
        return self._synthetic.marked(marks, seed)


def _sha256(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode()).digest())
    return digest.hexdigest()


def falling_chances(count: int, entropy_bits: float) -> Float32Array:
    """Geometric chances (count,) that sum to 1 and have this entropy; found by bisection.

    Raises `CovoguardError` for an entropy that is not below log2(count).
    """
    low, high = 0.0, 1.0
    chances = np.ones(1)
    for _ in range(60):
        ratio = (low + high) / 2
        chances = ratio ** np.arange(count, dtype=np.float64)
        chances /= chances.sum()
        entropy = -float((chances[chances > 0] * np.log2(chances[chances > 0])).sum())
        low, high = (ratio, high) if entropy < entropy_bits else (low, ratio)
    if not np.isclose(entropy, entropy_bits, atol=1e-3):
        raise CovoguardError(f"no {count} falling chances have {entropy_bits} bits")
    return chances.astype(np.float32)
