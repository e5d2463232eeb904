"""What generating says about one clip: a line of `manifest.jsonl`, the authority on a folder of clips.

The attribute names are the keys of the JSON form. A prompt that gave no clip has a line too, with an error and
without a path. No line holds anything secret: of the key only its public id and epoch.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Literal

from .jsonrecord import ADDED_LATER, from_json

ClipSchemaVersion = Literal[1]
CLIP_SCHEMA_VERSION: ClipSchemaVersion = 1

CheckStatus = Literal["mark_found", "too_short", "not_marked", "mark_not_found", "wrong_length", "unreadable"]
FAILED_CHECKS: tuple[CheckStatus, ...] = ("mark_not_found", "wrong_length", "unreadable")
"""A clip with one of these is not what was ordered."""

SpeechKind = Literal["tts", "vc", "vocoder-copy-synthesis", "codec", "speech-lm"]
"""How a spoof came to be: from text, from another voice's speech, by copying speech through a vocoder or a codec, or
by a language model over speech tokens that answers or continues."""

Setting = float | int | str
Settings = tuple[tuple[str, Setting], ...]


@dataclass(frozen=True)
class ClipPrompt:
    """What was to be said: the text, the id that the user gave it, and its line in the file of prompts."""

    text: str
    id: str | None
    line: int


@dataclass(frozen=True)
class ClipReply:
    """What was said in one turn of the clip, by the text that goes with it.

    `speaker` is a voice of the generator, or `heard` for what was said to it.
    """

    text: str
    start_s: float
    end_s: float
    speaker: str


@dataclass(frozen=True)
class ClipMark:
    """The mark that was put on."""

    scheme: str
    key_id: str
    epoch: int
    table_sha256: str
    payload: tuple[int, int, int] | None
    """Model, tenant, day; None when the mark says only that it is there."""


@dataclass(frozen=True)
class ClipCheck:
    """What was found when the written file was read back, by the same test that `verify` makes.

    `too_short`: written as ordered, but too short for a mark to show beyond doubt. `log10_p` is certified.
    """

    status: CheckStatus
    log10_p: float | None = None
    seconds_used: float | None = None
    seconds_needed: float | None = None
    detail: str | None = None
    """What went wrong, when something did."""


@dataclass(frozen=True)
class ClipCredentials:
    """Whether the clip was signed. `failed`: the clip is whole, but has no credentials."""

    status: Literal["signed", "failed"]
    manifest: str | None = None
    """Id of the manifest inside."""
    detail: str | None = None
    """What went wrong, when something did."""


@dataclass(frozen=True)
class ClipFailure:
    """Why there is no clip: a code and one sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class ClipRecord:
    """One clip, or one prompt that gave none."""

    schema_version: ClipSchemaVersion
    index: int
    """Place in the run, from 0: prompts in their order, the takes of each one after another."""
    clip_id: str
    path: str | None
    """Relative to the manifest."""
    sha256: str | None
    label: Literal["spoof"]
    generator: str
    model_id: str
    model_sha256: str
    family: str
    kind: SpeechKind
    speaker: str | None
    source: Literal["covoguard generate"]
    licence: str | None
    prompt: ClipPrompt
    take: int
    seed: int
    """Of this clip; the seed of the whole run is in `run.json`."""
    sampling: Settings
    mark: ClipMark | None
    """None: made without a mark."""
    tokens: tuple[int, ...] | None
    """None: there is no clip, or its generator has no speech tokens to keep."""
    token_rate_hz: int | None
    sample_rate_hz: int | None
    duration_s: float | None
    replies: tuple[ClipReply, ...]
    """Of generators that answer, one per turn; empty for those that read a text aloud."""
    check: ClipCheck | None
    error: ClipFailure | None
    tool_version: str
    credentials: ClipCredentials | None = field(default=None, metadata=ADDED_LATER)
    """None: no signer was named."""

    @property
    def is_failure(self) -> bool:
        """Whether there is no clip, or one that is not what was ordered."""
        is_unsigned = self.credentials is not None and self.credentials.status == "failed"
        return self.error is not None or is_unsigned or (self.check is not None and self.check.status in FAILED_CHECKS)


def clip_line(record: ClipRecord) -> str:
    """The record's one JSON form: compact, ASCII only, keys in field order, no newline.

    Raises `ValueError` on NaN and infinity, which JSON does not have.
    """
    content = {**dataclasses.asdict(record), "sampling": dict(record.sampling)}
    if record.credentials is None:
        del content["credentials"]
    return json.dumps(content, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


def read_clip_line(line: str | bytes) -> ClipRecord:
    """Read a line back. Raises `ValueError` that says what is wrong with it."""
    try:
        content = json.loads(line)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(content, dict) or not {"sampling", "tokens"} <= content.keys():
        raise ValueError("ClipRecord: not an object with sampling and tokens")
    # these two apart: settings are named freely, and thousands of tokens need no path to each of them
    settings, tokens = _settings(content["sampling"]), _tokens(content["tokens"])
    record = from_json(ClipRecord, {**content, "sampling": [], "tokens": None})
    return dataclasses.replace(record, sampling=settings, tokens=tokens)


def _tokens(content: Any) -> tuple[int, ...] | None:
    if content is None:
        return None
    if not isinstance(content, list) or not all(type(token) is int for token in content):
        raise ValueError("ClipRecord.tokens: expected a list of whole numbers")
    return tuple(content)


def _settings(content: Any) -> Settings:
    if not isinstance(content, dict):
        raise ValueError("ClipRecord.sampling: expected an object")
    for name, value in content.items():
        if type(value) not in (float, int, str):
            raise ValueError(f"ClipRecord.sampling.{name}: expected a number or text")
    return tuple(content.items())
