"""Between a list of prompts and a generator: prompts with their sounds, and one outcome for each."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from ..core.audio import AudioReader, DecodeLimits, open_input
from ..core.errors import CovoguardError, InputError, UsageError
from ..core.keys import SecretKey
from ..core.protocols import BatchGenerator, Generator, SpeechRequest
from ..core.records import Audio, Clip, Prompt, Turn
from ..generate.prompt_turns import PromptTurn
from ..generate.prompts import PromptEntry
from ..generate.registry import GENERATORS
from .marking import Marking, table_of

log = logging.getLogger(__name__)

MAX_PROMPT_S = 600.0
"""Of one sound that is spoken to a generator."""


class PromptSounds:
    """Makes prompts of entries; sound files are decoded in a process of their own, started on first use."""

    def __init__(self, folder: Path, key: SecretKey | None) -> None:
        """Relative names begin in `folder`. What a partner says is marked under `key`, in its own table."""
        self._folder = folder
        self._key = key
        self._reader = AudioReader(DecodeLimits(max_duration_s=MAX_PROMPT_S))

    def prompt_of(self, entry: PromptEntry, voice: str, seed: int) -> Prompt:
        """The prompt, with its sounds at 16 kHz; a partner speaks what is written, by `seed`.

        Raises `UsageError` and `InputError` for one that cannot be used.
        """
        turns = [self._turn(turn) for turn in entry.turns]
        if entry.partner == "pocket":
            turns = [self._spoken(turn, seed, number) for number, turn in enumerate(turns)]
        first, *later = turns
        return Prompt(
            first.text,
            first.audio,
            tuple(later),
            two_sided=entry.partner == "pocket",
            exchanges=entry.exchanges,
            voice=voice,
        )

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the decoder."""
        self._reader.close()

    def _turn(self, turn: PromptTurn) -> Turn:
        return Turn(turn.text, None if turn.audio is None else self._sound(self._folder / turn.audio))

    def _spoken(self, turn: Turn, seed: int, number: int) -> Turn:
        """A written turn in the voice of the bundled model, which stands for the other side of a call."""
        if turn.text is None or turn.audio is not None:
            return turn
        generator, marking = self._partner
        seed = partner_seed(seed, number)
        mark = None if marking is None else marking.mark_for(seed)
        return Turn(audio=generator.generate(Prompt(turn.text), mark=mark, seed=seed).audio)

    @cached_property
    def _partner(self) -> tuple[Generator, Marking | None]:
        generator = GENERATORS.get("pocket").load()
        return generator, None if self._key is None else Marking(self._key, table_of(generator.model))

    def _sound(self, path: Path) -> Audio:
        with open_input(path) as opened:
            decoded = self._reader.read(opened)
        if decoded.facts.too_long:
            raise InputError(f"{path}: longer than {MAX_PROMPT_S:.0f} s; cut it", code="too_long")
        return decoded.audio


def partner_seed(seed: int, turn: int) -> int:
    """The seed of what the partner says in a turn of the clip with `seed`."""
    return int.from_bytes(hashlib.sha256(f"covoguard partner {seed} {turn}".encode("ascii")).digest()[:8], "big") >> 11


def outcomes_of(generator: Generator, requests: Iterable[SpeechRequest]) -> Iterator[Clip | Exception]:
    """One outcome per request, in order; many at a time where the generator can.

    Raises what concerns every clip: a model or a key that is missing or damaged.
    """
    if isinstance(generator, BatchGenerator):
        for outcome in generator.generate_many(requests):
            if isinstance(outcome, CovoguardError) and not isinstance(outcome, UsageError | InputError):
                raise outcome
            yield outcome
        return
    for request in requests:
        yield _one(generator, request)


def _one(generator: Generator, request: SpeechRequest) -> Clip | Exception:
    try:
        return generator.generate(request.prompt, mark=request.mark, seed=request.seed)
    except (UsageError, InputError) as error:
        return error
    except CovoguardError:
        raise  # a model or a key: it concerns every clip
    except Exception as error:
        log.warning("the generator failed: %s", error, exc_info=log.isEnabledFor(logging.INFO))
        return error
