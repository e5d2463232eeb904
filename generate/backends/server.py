"""A generator that a vLLM-Omni server runs: the same clips, made elsewhere, marked there under a key of the server's.

Only the tokens are seeded. The server's decoder draws its noise unseeded, so the same request gives the same tokens
(as far as the server's own arithmetic repeats itself) in a sound that differs a little.
"""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from ...core.cliprecord import SpeechKind
from ...core.errors import InputError, ModelMissing, UsageError
from ...core.generatorsettings import DEFAULTS, GeneratorSettings
from ...core.modelcard import ModelFolder, open_model
from ...core.protocols import SpeechRequest, TokenMark
from ...core.rates import COVO_RATE_HZ, TOKEN_RATE_HZ
from ...core.records import Clip, Prompt, Recipe, Reply, Tokens
from ..covo.decoding.sampling import CovoSampling
from ..registry import GENERATORS
from ..serving.connection import DEFAULT_LIMITS, Limits, ServerAddress, ServerConnection
from ..serving.errors import ServerError
from ..serving.in_order import in_order
from ..serving.mark_request import MAX_SEED, RemoteMark
from ..serving.served_model import ServedModel
from ..serving.speech_chat import MAX_NEW_TOKENS, SpokenAnswer, chat_body, read_answer

IN_FLIGHT = 8
"""Requests under way at once, unless the user says otherwise."""
AHEAD = 4
"""So many times as many may be finished and wait for an earlier one."""
TOKENS_PER_AUDIO_TOKEN = 4 / 3
"""Five text tokens to fifteen audio tokens."""


@GENERATORS.register("server")
class ServerGenerator:
    """A `BatchGenerator`. The model folder holds what stays on this side: card, mark table, recoverer."""

    name = "server"
    kind: SpeechKind = "speech-lm"
    has_tokens = True
    voices: tuple[str, ...] = ("default",)
    """The server has one voice prompt of its own."""
    rate_hz = COVO_RATE_HZ
    how_to_get: str | None = "see docs/serving.md for the server, and import the model's folder for this side"

    def __init__(
        self,
        folder: ModelFolder,
        url: str | None = None,
        settings: GeneratorSettings = DEFAULTS,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`url` None: that of the settings, else of the card. Nothing is sent yet.

        Raises `UsageError` without a URL and for settings that cannot be, `IntegrityError` for the folder.
        """
        settings.only(self.name, "batch", "system_text", "temperature", "top_k", "top_p", "max_seconds", "url")
        self.model = folder
        served = ServedModel.of(folder)
        where = url or settings.url or served.url
        if where is None:
            raise UsageError(f"{folder.path}: where is the server that runs it? give --url http://HOST:PORT")
        self._served = replace(served, system_text=settings.system_text or served.system_text)
        self.address = ServerAddress.parse(where)
        self.sampling = _sampling(settings)
        self._in_flight = IN_FLIGHT if settings.batch is None else settings.batch
        if self._in_flight < 1:
            raise UsageError(f"--batch {self._in_flight}: at least one request must be under way; give 1 or more")
        self._limits = limits

    @classmethod
    def load(cls, folder: Path | None = None, settings: GeneratorSettings = DEFAULTS) -> Self:
        """Read the model folder, which must be given. Raises as the constructor, and `ModelMissing`."""
        if folder is None:
            raise ModelMissing("no model of a server is bundled; give the folder of the served model with --model")
        return cls(open_model(folder), settings=settings)

    def generate(self, prompt: Prompt, *, mark: TokenMark | None, seed: int) -> Clip:
        """One clip; raises what `generate_many` gives or raises."""
        (outcome,) = self.generate_many([SpeechRequest(prompt, mark, seed)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def generate_many(self, requests: Iterable[SpeechRequest]) -> Iterator[Clip | Exception]:
        """One outcome per request, in order: a clip, or the `UsageError` or `InputError` of this one request.

        Up to `batch` requests are under way at once. Raises `ServerError` and `KeyMissing`, which concern all. Leaving
        the iterator early ends what is under way.
        """
        # the connection closes first: it wakes the threads that the executor then waits for
        with (
            ThreadPoolExecutor(self._in_flight, thread_name_prefix="covoguard-server") as executor,
            ServerConnection(self.address, self._limits) as server,
        ):
            name = self._served_name(server)

            def outcome(request: SpeechRequest) -> Clip | Exception:
                try:
                    return self._clip(server, name, request)
                except (UsageError, InputError) as error:
                    return error

            yield from in_order(executor, outcome, requests, ahead=self._in_flight * AHEAD)

    def _clip(self, server: ServerConnection, name: str, request: SpeechRequest) -> Clip:
        mark = request.mark
        if mark is not None and not isinstance(mark, RemoteMark):
            raise UsageError("a server puts its marks on itself; ask for one with a RemoteMark")
        if request.prompt.voice not in (None, *self.voices):
            raise UsageError(f"the server has no voice {request.prompt.voice!r}; its voice is {self.voices[0]}")
        if not 0 <= request.seed <= MAX_SEED:
            raise UsageError(f"the seed {request.seed} is outside 0 to 2^63 - 1; choose another")
        wanted = mark.request(request.seed) if mark else None
        body = chat_body(request.prompt, self._served, name, self.sampling, seed=request.seed, mark=wanted)
        answer = read_answer(server.ask("chat/completions", body), self._served)
        return self._recorded(answer, name, request.seed, mark)

    def _recorded(self, answer: SpokenAnswer, name: str, seed: int, mark: RemoteMark | None) -> Clip:
        sampling = self.sampling
        recipe = Recipe(
            generator=self.model.id,
            model_sha256=self.model.model_sha256,
            seed=seed,
            sampling=(
                ("temperature", sampling.temperature),
                ("top_k", sampling.top_k),
                ("top_p", sampling.top_p),
                ("repetition_penalty", sampling.repetition_penalty),
                ("max_new_tokens", sampling.max_new_tokens),
                ("served_model", name),
                ("ended", "stop" if answer.is_whole else "length"),
            ),
            mark_scheme=mark.scheme if mark else None,
            key_id=mark.key_id if mark else None,
        )
        tokens = Tokens(answer.codes, TOKEN_RATE_HZ, self._served.codebook_size)
        replies = (Reply(answer.text, 0.0, answer.audio.duration_s, self.voices[0]),) if answer.text else ()
        return Clip(answer.audio, tokens, recipe, replies)

    def _served_name(self, server: ServerConnection) -> str:
        """The name that the server knows the model by. Raises `ServerError` when it runs another one."""
        answer = server.ask("models")
        listed = answer.get("data") if isinstance(answer, dict) else None
        names = [_name(each) for each in listed] if isinstance(listed, list) else []
        known = [name for name in names if name]
        if self._served.name is None and len(known) == 1:
            return known[0]
        if self._served.name in known:
            return str(self._served.name)
        wanted = self._served.name or "one model only"
        raise ServerError(f"{self.address}: runs {', '.join(known) or 'no model'}; this folder needs {wanted}")


def _name(entry: Any) -> str | None:
    name = entry.get("id") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else None


def _sampling(settings: GeneratorSettings) -> CovoSampling:
    """The official settings of turns that sample, but for the user's; a server has no windowed penalty."""
    official = CovoSampling()
    seconds = MAX_NEW_TOKENS if settings.max_seconds is None else min(settings.max_seconds, MAX_NEW_TOKENS)
    if not seconds > 0:
        raise UsageError(f"--max-seconds {seconds}: a reply takes time; give more than 0")
    return replace(
        official,
        temperature=official.temperature if settings.temperature is None else settings.temperature,
        top_k=official.top_k if settings.top_k is None else settings.top_k,
        top_p=official.top_p if settings.top_p is None else settings.top_p,
        max_new_tokens=min(math.ceil(seconds * TOKEN_RATE_HZ * TOKENS_PER_AUDIO_TOKEN), MAX_NEW_TOKENS),
    )
