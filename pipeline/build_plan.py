"""What `dataset build` is asked for, and what it says of each clip."""

from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import CovoguardError, UsageError
from ..core.generatorsettings import GeneratorSettings
from ..datasets.copies import COPIES, CopyMethod
from ..datasets.store import StoredClip, StoreRow
from ..generate.prompts import PromptList
from .build_damage import CodecDamage, Damage, RandomDamage
from .codec_copies import CodecCopy
from .dataset_files import AddFailure, AddStatus
from .generate import GenerationPlan
from .neural_copies import PREFIX, is_neural, open_neural
from .token_resynthesis import CovoResynthesis, PocketResynthesis, TokenModel

GENERATE = "generate"
"""The method that makes spoofs of prompts; all others make them of genuine speech."""


@dataclass(frozen=True)
class BuildPlan:
    """What is made of each genuine clip, and how all clips are damaged."""

    methods: tuple[str, ...]
    """Names as in `method_names`: one spoof each."""
    keep_bonafide: bool = False
    """Whether the genuine clip goes into the new store too."""
    degraded: int = 0
    """Copies of each clip of both classes that go through a random chain of damage."""
    seed: int = 0
    codecs: tuple[CodecDamage, ...] = ()
    """Copies of each clip of both classes that go through a codec."""
    token_model: TokenModel = field(default_factory=TokenModel)
    """Of the method covo-resynthesis."""

    def __post_init__(self) -> None:
        """Raise `UsageError` for what would give no data set that can be trusted."""
        if not self.methods:
            raise UsageError(f"name a method with --spoof; known: {', '.join(method_names())}, {PREFIX}FOLDER")
        if len(set(self.methods)) < len(self.methods):
            raise UsageError(f"--spoof {' '.join(self.methods)}: name each method once")
        if len(set(self.codecs)) < len(self.codecs):
            raise UsageError("--codec: name each codec with its bit rate once")
        unknown = [name for name in self.methods if name not in method_names() and not is_neural(name)]
        if unknown:
            known = ", ".join([*method_names(), f"{PREFIX}FOLDER"])
            raise UsageError(f"there is no method {unknown[0]!r} to make spoofs; known: {known}")
        if (self.degraded or self.codecs) and not self.keep_bonafide:
            option = "--degrade" if self.degraded else "--codec"
            raise UsageError(
                f"{option} without --keep-bonafide would damage spoofs alone, and then the damage tells the label; add "
                "--keep-bonafide"
            )

    @property
    def damages(self) -> tuple[Damage | None, ...]:
        """What is done to each clip; None: nothing."""
        return (None, *(RandomDamage(number) for number in range(1, self.degraded + 1)), *self.codecs)

    @property
    def copy_methods(self) -> tuple[str, ...]:
        """Those that need genuine speech."""
        return tuple(name for name in self.methods if name != GENERATE)

    def open_methods(self) -> list[CopyMethod]:
        """The methods that need genuine speech, loaded. Raises as their constructors."""
        return [self._open(name) for name in self.copy_methods]

    def _open(self, name: str) -> CopyMethod:
        if name == PocketResynthesis.name:
            return PocketResynthesis()
        if name == CovoResynthesis.name:
            return CovoResynthesis(self.token_model)
        if is_neural(name):
            return open_neural(name)
        if name in CodecCopy.names():
            return CodecCopy(name)
        return COPIES.get(name)()


@dataclass(frozen=True)
class SpeechOrder:
    """Spoofs from prompts: what is said, by which generator. No secret is in it."""

    prompts: PromptList
    plan: GenerationPlan
    backend: str | None = None
    model: Path | None = None
    recoverer: Path | None = None
    key_id: str | None = None
    """Of the key that marks; None: no marks."""
    consent_ref: str | None = None
    """Where the consent of those whose recorded voices are used can be found."""
    purpose: str | None = None
    """What that consent is for."""

    @property
    def settings(self) -> GeneratorSettings:
        """Those that the generator is loaded with."""
        return self.plan.settings


@dataclass(frozen=True)
class BuildRecord:
    """What became of one clip that was to be made. The attribute names are the keys of the JSON form."""

    path: str
    """Of the genuine clip; or the prompt, as `lines.txt:3`."""
    status: AddStatus
    clip_id: str | None
    """None when it failed."""
    method: str | None
    """None: the genuine clip itself, or nothing came of it at all."""
    degradations: tuple[str, ...]
    duration_s: float | None
    """None unless it was added now."""
    error: AddFailure | None


@dataclass(frozen=True)
class Attempt:
    """One clip that was to be made, before it is in the store: `row` says that it is there, `error` why it fails."""

    path: str
    method: str | None
    clip: StoredClip | None = None
    row: StoreRow | None = None
    error: AddFailure | None = None


def method_names() -> list[str]:
    """The methods that make spoofs."""
    return sorted([*COPIES.names(), *CodecCopy.names(), PocketResynthesis.name, CovoResynthesis.name, GENERATE])


def failed(path: str, method: str | None, error: Exception) -> Attempt:
    """An attempt that came to nothing."""
    if isinstance(error, CovoguardError):
        failure = AddFailure(error.code, error.message)
    else:
        advice = f"{method or 'degrading'} failed on it; leave the clip or the method out"
        failure = AddFailure(CovoguardError.default_code, f"{path}: {advice} ({type(error).__name__}: {error})")
    return Attempt(path, method, error=failure)
