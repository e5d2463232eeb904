"""Many conversations with Covo at once: prompts in, clips out, in the order of the requests.

Round by round, the language model answers the current turn of every conversation in one continuous batch, and the
decoder speaks the answers together. A clip holds the replies one after another, and its mark goes on through them; of
a two-sided call it holds what the model heard as well, and of Covo in talk with itself the replies of both sides.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from ...core.audio import resample
from ...core.errors import CovoguardError, UsageError
from ...core.protocols import SpeechRequest
from ...core.rates import TOKEN_RATE_HZ
from ...core.records import HEARD, Audio, Clip, Float32Array, Int32Array, Recipe, Tokens, Turn
from ...core.records import Reply as SpokenReply
from .decoding.engine import Engine
from .decoding.requests import Reply, Request
from .decoding.sampling import CovoSampling
from .language.chat import Chat, Wanted
from .token2wav.decoder import CovoDecoder

TALKS_PER_ROW = 2
"""Conversations in hand for each row of the engine, so that few rows stand still while the longest answer ends."""

Check = Callable[[SpeechRequest], tuple[str, ...]]
"""The voices of a request's sides; raises `CovoguardError` for what cannot be asked."""


@dataclass
class _Talk:
    """One conversation on its way. With two chats, each hears what the other says."""

    request: SpeechRequest
    chats: tuple[Chat, ...]
    turns: tuple[Turn, ...]
    voices: tuple[str, ...] = ()
    heard: list[Turn] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    codes: list[Int32Array] = field(default_factory=list)
    """The audio codes of each reply that are spoken."""
    texts: list[str] = field(default_factory=list)
    sounds: list[Audio] = field(default_factory=list)
    failure: CovoguardError | None = None

    @property
    def replies_wanted(self) -> int:
        """How many replies the whole clip is to have."""
        return self.request.prompt.exchanges or len(self.turns)

    @property
    def goes_on(self) -> bool:
        """A turn is still to be put to the model."""
        return self.failure is None and len(self.replies) < self.replies_wanted

    @property
    def chat(self) -> Chat:
        """Whose turn it is."""
        return self.chats[len(self.replies) % len(self.chats)]

    @property
    def turn(self) -> Turn:
        """What is put to it."""
        number = len(self.replies)
        return self.turns[number] if number < len(self.turns) else Turn(audio=self.sounds[-1])

    def request_now(self, sampling: CovoSampling) -> Request:
        """The next turn as the engine takes it. Raises `CovoguardError`."""
        number = len(self.replies)
        wanted = Wanted(
            sampling,
            seed=turn_seed(self.request.seed, number),
            mark=self.request.mark,
            first_slot=sum(map(len, self.codes)),
            goes_on=number + len(self.chats) < self.replies_wanted,
        )
        return self.chat.request(self.turn, wanted)


class CovoSpeaker:
    """Makes clips of requests."""

    def __init__(
        self,
        engine: Engine,
        decoder: CovoDecoder,
        new_chat: Callable[[], Chat],
        sampling: CovoSampling,
        *,
        at_once: int,
        max_tokens: int,
        check: Check,
        recipe: Callable[[SpeechRequest, tuple[str, ...]], Recipe],
    ) -> None:
        """`at_once` conversations are in hand at a time; each side begins with `new_chat`.

        Of a reply, `max_tokens` audio tokens are spoken. `recipe` is asked for the recipe of a request and its voices.
        """
        self._engine, self._decoder = engine, decoder
        self._new_chat, self._sampling = new_chat, sampling
        self._at_once, self._max_tokens = at_once, max_tokens
        self._check, self._recipe = check, recipe

    def clips(self, requests: Iterable[SpeechRequest]) -> Iterator[Clip | Exception]:
        """One outcome per request, in order."""
        waiting = iter(requests)
        while talks := [self._begin(request) for request in islice(waiting, self._at_once)]:
            while active := [talk for talk in talks if talk.goes_on]:
                self._round(active)
            for talk in talks:
                yield self._clip(talk) if talk.failure is None else talk.failure

    def _begin(self, request: SpeechRequest) -> _Talk:
        prompt = request.prompt
        chats = tuple(self._new_chat() for _ in range(2 if prompt.exchanges else 1))
        talk = _Talk(request, chats, (Turn(prompt.text, prompt.audio), *prompt.later))
        try:
            talk.voices = self._check(request)
        except CovoguardError as error:
            talk.failure = error
        return talk

    def _round(self, talks: list[_Talk]) -> None:
        """The next turn of each conversation, its answer, and the answer's sound."""
        asked: list[_Talk] = []
        answered: list[tuple[_Talk, Reply]] = []
        for index, answer in self._engine.run(self._requests(talks, asked)):
            if isinstance(answer, CovoguardError):
                asked[index].failure = answer
            else:
                answered.append((asked[index], answer))
        for talk, reply in answered:
            self._take(talk, reply)
        speaking = [talk for talk, _ in answered if talk.failure is None]
        sounds = self._decoder.decode_many(
            [self._tokens(talk.codes[-1]) for talk in speaking],
            voices=[talk.voices[(len(talk.replies) - 1) % len(talk.voices)] for talk in speaking],
            seeds=[turn_seed(talk.request.seed, len(talk.replies) - 1) for talk in speaking],
        )
        for talk, sound in zip(speaking, sounds, strict=True):
            talk.sounds.append(sound)

    def _requests(self, talks: list[_Talk], asked: list[_Talk]) -> Iterator[Request]:
        """Made when a row is free, so that few prompts lie in memory; what cannot be asked is its talk's failure."""
        for talk in talks:
            try:
                request = talk.request_now(self._sampling)
            except CovoguardError as error:
                talk.failure = error
                continue
            asked.append(talk)
            yield request

    def _take(self, talk: _Talk, reply: Reply) -> None:
        """Put an answer down; one without speech has no place in a clip."""
        talk.heard.append(talk.turn)
        text, codes = talk.chat.receive(reply), reply.audio_codes[: self._max_tokens]
        talk.replies.append(reply)
        talk.texts.append(text)
        talk.codes.append(codes)
        if not len(codes):
            said = " ".join(text.split())[:120]
            talk.failure = UsageError(
                f"turn {len(talk.replies)}: the model answered without speech ({said!r}); let the system text ask for "
                "text and audio, or give another seed"
            )

    def _clip(self, talk: _Talk) -> Clip:
        parts: list[Float32Array] = []
        replies: list[SpokenReply] = []

        def add(sound: Audio, text: str, speaker: str) -> None:
            samples = resample(sound.samples, sound.rate_hz, self._decoder.config.rate_hz)
            start = sum(map(len, parts))
            parts.append(samples)
            times_s = (start / self._decoder.config.rate_hz, (start + len(samples)) / self._decoder.config.rate_hz)
            replies.append(SpokenReply(text, round(times_s[0], 6), round(times_s[1], 6), speaker))

        for number, sound in enumerate(talk.sounds):
            heard = talk.heard[number]
            if talk.request.prompt.two_sided and heard.audio is not None:
                add(heard.audio, heard.text or "", HEARD)
            add(sound, talk.texts[number], talk.voices[number % len(talk.voices)])
        recipe = self._recipe(talk.request, talk.voices)
        entropy_bits = np.concatenate([reply.entropy_bits for reply in talk.replies])
        measured = (
            ("entropy_bits_per_token", round(float(entropy_bits.mean()), 3)),
            ("replies_cut", sum(not reply.stopped for reply in talk.replies)),
        )
        return Clip(
            Audio(np.concatenate(parts), self._decoder.config.rate_hz),
            self._tokens(np.concatenate(talk.codes)),
            replace(recipe, sampling=(*recipe.sampling, *measured)),
            tuple(replies),
        )

    def _tokens(self, codes: Int32Array) -> Tokens:
        return Tokens(codes, TOKEN_RATE_HZ, self._decoder.config.flow.token_vocab_size)


def turn_seed(seed: int, turn: int) -> int:
    """A seed of its own for each turn of a conversation, below 2^63."""
    return int.from_bytes(hashlib.sha256(f"covo turn {seed} {turn}".encode("ascii")).digest()[:8], "big") >> 1
