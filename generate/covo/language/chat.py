"""Conversations of several rounds: turns become requests for the engine, and its replies the history of the next.

The engine gives a history back without the last id that the model wrote, since nothing has read it yet. A
conversation goes on with it, or with the turn end that a reply which was cut lacks; the official code leaves it out
(Tencent/Covo-Audio, commit 710384c), so that its model sees every earlier turn of its own unclosed.

Two modes: text and audio in turn, which ends with the turn; and text only, for reasoning about what is heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ....core.errors import UsageError
from ....core.protocols import TokenMark
from ....core.records import Turn
from ..decoding.requests import History, Reply, Request
from ..decoding.sampling import CovoSampling
from .features import FrontEnd, mono_16k
from .language_model import CovoLanguageModel
from .prompt import PromptWriter, SpecialIds


def stop_ids(special: SpecialIds, *, text_only: bool) -> frozenset[int]:
    """Ids that end a reply: the turn end, and in text only the end of text as well.

    The official code waits for the end of text there; what would stand between the two is no part of the answer.
    """
    return frozenset({special.turn_end, special.end_of_text} if text_only else {special.turn_end})


@dataclass(frozen=True)
class Wanted:
    """How a round is to be answered."""

    sampling: CovoSampling
    seed: int
    mark: TokenMark | None = None
    first_slot: int = 0
    """Audio tokens already spoken of the file that is rendered."""
    goes_on: bool = True
    """Another round follows; False spares the copy of the history."""


class Rounds:
    """The rounds of one conversation as ids and rows of sound, and what they leave behind."""

    def __init__(
        self,
        model: CovoLanguageModel,
        *,
        turn_end: int,
        placeholder: int,
        max_tokens: int | None = None,
        text_only: bool = False,
        reference_history: bool = False,
    ) -> None:
        """`max_tokens`: what one row of the engine holds; None: as far as the model can count.

        With `reference_history` the last id of every reply is left out, as in the official code.
        """
        self._model = model
        self._turn_end = turn_end
        self._placeholder = placeholder
        self._max_tokens = model.config.language.max_positions if max_tokens is None else max_tokens
        self._text_only = text_only
        self._reference_history = reference_history
        self._reply: Reply | None = None

    @property
    def is_first(self) -> bool:
        """No round has been answered yet."""
        return self._reply is None

    def check_room(self, n: int, sampling: CovoSampling) -> None:
        """Raise `UsageError` unless a prompt of `n` ids and its reply fit behind what was said before."""
        earlier = self._history_tokens + len(self._unread_ids)
        if earlier + n + sampling.max_new_tokens > self._max_tokens:
            raise UsageError(
                f"the turn has {n} tokens, after {earlier} of earlier rounds, and its reply may have "
                f"{sampling.max_new_tokens}; together at most {self._max_tokens}: give less text or sound, lower "
                "max_new_tokens (--max-seconds), or begin a new conversation"
            )

    @torch.no_grad()
    def request(self, ids: Sequence[int], heard: Tensor | None, wanted: Wanted) -> Request:
        """The request for a prompt of `ids` with the rows `heard` (r, hidden) in place of its placeholders.

        Penalties see the ids of this round alone. Raises `UsageError` for a prompt that is too long, `ValueError`
        when the round before was the last, or for another number of rows than placeholders.
        """
        if self._reply is not None and self._reply.history is None:
            raise ValueError("the round before was asked for as the last one; nothing is left to go on with")
        self.check_room(len(ids), wanted.sampling)
        prompt = torch.tensor(ids, dtype=torch.int64)
        embeds = self._model.embed(prompt, heard, self._placeholder)
        if self._unread_ids:
            # looked up apart from the prompt: an id that the model wrote is never a place for sound
            unread = self._model.llm.model.embed_tokens(torch.tensor(self._unread_ids, device=embeds.device))
            embeds = torch.cat([unread, embeds])
        return Request(
            embeds=embeds,
            ids=prompt,
            seed=wanted.seed,
            sampling=wanted.sampling,
            mark=wanted.mark,
            first_slot=wanted.first_slot,
            history=self._history,
            text_only=self._text_only,
            keep_history=wanted.goes_on,
        )

    def receive(self, reply: Reply) -> None:
        """Take the answer to the last request; the next round follows on it."""
        self._reply = reply

    @property
    def _history(self) -> History | None:
        return None if self._reply is None else self._reply.history

    @property
    def _history_tokens(self) -> int:
        return 0 if self._history is None else self._history.tokens

    @property
    def _unread_ids(self) -> list[int]:
        """What closes the last reply, and the model has not read."""
        if self._reply is None or self._history is None or self._reference_history:
            return []
        return [self._turn_end] if self._reply.stopped else [self._history.unread_id, self._turn_end]


class Chat:
    """A conversation in turns of text and sound with one checkpoint."""

    def __init__(
        self,
        model: CovoLanguageModel,
        writer: PromptWriter,
        *,
        system_text: str,
        max_tokens: int | None = None,
        text_only: bool = False,
        reference_history: bool = False,
    ) -> None:
        """`system_text` opens the conversation; for the rest see `Rounds`."""
        self._model = model
        self._writer = writer
        self._front = FrontEnd.of(model.config)
        self._system_text = system_text
        self._rounds = Rounds(
            model,
            turn_end=writer.special.turn_end,
            placeholder=writer.special.placeholder,
            max_tokens=max_tokens,
            text_only=text_only,
            reference_history=reference_history,
        )

    def request(self, turn: Turn, wanted: Wanted) -> Request:
        """Put `turn` to the model: give the request to the engine, and what it answers to `receive`.

        Until then nothing has changed, and another turn may be put instead. Raises `UsageError` for an empty or too
        long turn, `InputError` for sound that is too short or silent.
        """
        sound = None
        if turn.audio is not None:
            source = turn.audio.source or "the prompt's sound"
            sound = torch.from_numpy(mono_16k(turn.audio.samples, turn.audio.rate_hz, source))
        rows = 0 if sound is None else self._front.rows(len(sound))
        ids = self._writer.prompt(turn.text, rows, self._system_text if self._rounds.is_first else None)
        # before the sound is heard, which takes the longest
        self._rounds.check_room(len(ids), wanted.sampling)
        heard = None if sound is None else self._model.hear(self._front.windows(sound.to(self._model.device)))
        return self._rounds.request(ids, heard, wanted)

    def receive(self, reply: Reply) -> str:
        """Take the answer to the last request, so that the next turn follows on it; -> the text in it."""
        self._rounds.receive(reply)
        return self._writer.text(reply.ids)
