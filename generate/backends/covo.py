"""Covo-Audio, run by our own code: a speech language model that answers, in speech, what is said or written to it.

No weight of it comes with this package; its licence allows academic use only, and must have been accepted at import.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ...core.cliprecord import SpeechKind
from ...core.errors import ModelMissing, UsageError
from ...core.generatorsettings import DEFAULTS, GeneratorSettings
from ...core.protocols import SpeechRequest, TokenMark
from ...core.rates import COVO_RATE_HZ, TOKEN_RATE_HZ
from ...core.records import Clip, Prompt, Recipe
from ..registry import GENERATORS

if TYPE_CHECKING:
    import torch

    from ..covo.checkpoint.imported import CovoCheckpoint
    from ..covo.decoding.engine import Engine
    from ..covo.decoding.sampling import CovoSampling
    from ..covo.language.chat import Chat
    from ..covo.language.language_model import CovoLanguageModel
    from ..covo.language.prompt import PromptWriter
    from ..covo.speaker import CovoSpeaker
    from ..covo.token2wav.decoder import CovoDecoder

CONTEXT_TOKENS = 8192
"""Places for one conversation, unless the model has fewer: about four minutes of talk with its answers."""
ROWS = {"cuda": 32, "cpu": 4}
"""Conversations at once, by kind of device, unless the user says otherwise."""
TOKENS_PER_AUDIO_TOKEN = 4 / 3
"""Five text tokens to fifteen audio tokens."""
TEXT_RESERVE_TOKENS = 64


@GENERATORS.register("covo")
class CovoGenerator:
    """A `BatchGenerator`: text, sound or a conversation in, marked answers out.

    Its parts load when they are first needed. Every turn is sampled; the official code decodes the first greedily,
    which leaves no room for a mark and makes all takes of a prompt the same.
    """

    name = "covo"
    kind: SpeechKind = "speech-lm"
    has_tokens = True
    rate_hz = COVO_RATE_HZ
    how_to_get: str | None = (
        "import a checkpoint that you have, with `covoguard models import covo DIR`, and name it with --model DIR"
    )

    def __init__(self, checkpoint: "CovoCheckpoint", settings: GeneratorSettings = DEFAULTS) -> None:
        """Nothing is loaded yet. Raises `UsageError` for settings that cannot be, `ModelMissing` without a voice."""
        from ..covo.memory import usable_device

        settings.only(self.name, "device", "batch", "system_text", "temperature", "top_k", "top_p", "max_seconds")
        self.model = checkpoint.folder
        self.voices: tuple[str, ...] = tuple(checkpoint.voices)
        if not self.voices:
            raise ModelMissing(
                f"{self.model.path}: no voice was imported; import again with --voice-prompt NAME=FOLDER"
            )
        self.codebook_size = len(checkpoint.config.audio_ids)
        self.sampling = sampling_of(settings)
        self._checkpoint = checkpoint
        self._settings = settings
        self._device = usable_device(settings.device or default_device())

    @classmethod
    def load(cls, folder: Path | None = None, settings: GeneratorSettings = DEFAULTS) -> Self:
        """Open an imported checkpoint folder. Raises `ModelMissing` without one, and as `open_checkpoint`."""
        if folder is None:
            raise ModelMissing(f"no model of {cls.name} comes with covoguard; {cls.how_to_get}")
        from ..covo.checkpoint.imported import open_checkpoint

        return cls(open_checkpoint(folder), settings)

    def generate(self, prompt: Prompt, *, mark: TokenMark | None, seed: int) -> Clip:
        """Answer one prompt. Raises as its parts: `UsageError`, `InputError` for a prompt that cannot be answered."""
        (outcome,) = self.generate_many([SpeechRequest(prompt, mark, seed)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def generate_many(self, requests: Iterable[SpeechRequest]) -> Iterator[Clip | Exception]:
        """Answer many prompts at once, each as it would be alone, up to float rounding."""
        return self._speaker.clips(requests)

    def answer(self, prompt: Prompt, *, seed: int = 0) -> str:
        """What the model writes about `prompt`, in text only: for reasoning about what is heard.

        Raises as `generate`.
        """
        from ...core.records import Turn
        from ..covo.language.chat import Wanted
        from ..covo.speaker import turn_seed

        chat, text = self._new_chat(text_only=True), ""
        turns = (Turn(prompt.text, prompt.audio), *prompt.later)
        engine = self._engine_for(text_only=True, rows=1)
        for number, turn in enumerate(turns):
            wanted = Wanted(self.sampling, turn_seed(seed, number), goes_on=number + 1 < len(turns))
            ((_, reply),) = engine.run([chat.request(turn, wanted)])
            if isinstance(reply, Exception):
                raise reply
            text = chat.receive(reply)
        return text

    @cached_property
    def decoder(self) -> "CovoDecoder":
        """Tokens to sound: on a GPU the flow in bfloat16 and the rest in TF32, elsewhere all in float32."""
        return self._checkpoint.decoder(self._device, self._dtype, tf32=self._device.type == "cuda")

    @cached_property
    def language_model(self) -> "CovoLanguageModel":
        """The network that listens and writes."""
        return self._checkpoint.language_model(self._device, self._dtype, further_bytes=self._checkpoint.decoder_bytes)

    @cached_property
    def _writer(self) -> "PromptWriter":
        from ..covo.language.prompt import PromptWriter

        return PromptWriter(self._checkpoint.tokenizer(), self._checkpoint.config, str(self.model.path))

    @property
    def _dtype(self) -> "torch.dtype":
        import torch

        return torch.bfloat16 if self._device.type == "cuda" else torch.float32

    @property
    def _rows(self) -> int:
        return self._settings.batch or ROWS.get(self._device.type, ROWS["cpu"])

    @property
    def _context_tokens(self) -> int:
        return min(CONTEXT_TOKENS, self._checkpoint.config.language.max_positions)

    def _engine_for(self, *, text_only: bool, rows: int) -> "Engine":
        from ..covo.decoding.engine import Engine
        from ..covo.language.chat import stop_ids

        ends = stop_ids(self._writer.special, text_only=text_only)
        return Engine(
            self.language_model.llm,
            self._checkpoint.config.audio_ids,
            ends,
            slots=rows,
            max_tokens=self._context_tokens,
        )

    def _new_chat(self, *, text_only: bool = False) -> "Chat":
        from ..covo.language.chat import Chat
        from ..covo.language.system_texts import default_system_text

        return Chat(
            self.language_model,
            self._writer,
            system_text=self._settings.system_text or default_system_text(text_only=text_only),
            max_tokens=self._context_tokens,
            text_only=text_only,
        )

    @cached_property
    def _speaker(self) -> "CovoSpeaker":
        from ..covo.speaker import TALKS_PER_ROW, CovoSpeaker

        longest_s = self._settings.max_seconds
        return CovoSpeaker(
            self._engine_for(text_only=False, rows=self._rows),
            self.decoder,
            self._new_chat,
            self.sampling,
            at_once=TALKS_PER_ROW * self._rows,
            max_tokens=self.sampling.max_new_tokens if longest_s is None else math.ceil(longest_s * TOKEN_RATE_HZ),
            check=self._voices_of,
            recipe=self._recipe,
        )

    def _voices_of(self, request: SpeechRequest) -> tuple[str, ...]:
        """The voice of each side: in talk with itself, the other side has the next voice that there is."""
        voice = request.prompt.voice or self.voices[0]
        if voice not in self.voices:
            raise UsageError(f"{self.model.path} has no voice {voice!r}; its voices are {', '.join(self.voices)}")
        if not request.prompt.exchanges:
            return (voice,)
        if request.prompt.later or request.prompt.two_sided:
            raise UsageError("a talk with itself has one turn to begin with; leave out the others and the partner")
        return (voice, self.voices[(self.voices.index(voice) + 1) % len(self.voices)])

    def _recipe(self, request: SpeechRequest, voices: tuple[str, ...]) -> Recipe:
        sampling = (
            *((name, int(value) if isinstance(value, bool) else value) for name, value in self.sampling.pairs),
            ("voice", " ".join(voices)),
            ("dtype", str(self._dtype).removeprefix("torch.")),
            ("licence", str(self.model.card["licence"])),
            ("licence_accepted_utc", str(self.model.card["licence_accepted_utc"])),
            *_heard(request.prompt),
        )
        scheme = None if request.mark is None else request.mark.scheme
        return Recipe(self.model.id, self.model.model_sha256, request.seed, sampling, scheme)


def sampling_of(settings: GeneratorSettings) -> "CovoSampling":
    """The official settings of later turns, with what the user changed. Raises `UsageError`."""
    from ..covo.decoding.sampling import CovoSampling

    official = CovoSampling()
    longest = settings.max_seconds
    n_audio = None if longest is None else math.ceil(longest * TOKEN_RATE_HZ)
    return replace(
        official,
        temperature=official.temperature if settings.temperature is None else settings.temperature,
        top_k=official.top_k if settings.top_k is None else settings.top_k,
        top_p=official.top_p if settings.top_p is None else settings.top_p,
        max_new_tokens=(
            official.max_new_tokens
            if n_audio is None
            else math.ceil(n_audio * TOKENS_PER_AUDIO_TOKEN) + TEXT_RESERVE_TOKENS
        ),
    )


def default_device() -> str:
    """A GPU where there is one."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _heard(prompt: Prompt) -> Sequence[tuple[str, str]]:
    """The hashes of the files that were spoken to the model."""
    sounds = [sound for sound in (prompt.audio, *(turn.audio for turn in prompt.later)) if sound is not None]
    return [("prompt_audio_sha256", " ".join(sound.sha256 or "not from a file" for sound in sounds))] if sounds else []
