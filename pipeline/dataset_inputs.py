"""What `dataset add` is pointed at: sounds, folders and manifests, as one stream of candidates for a store."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..core.cliprecord import ClipRecord, read_clip_line
from ..core.errors import CovoguardError, InputError, UsageError
from ..core.records import Int32Array, Label, Recipe
from ..datasets.manifest import read_manifest
from ..datasets.store import StoreRow, hash_of_text
from .clip_folder import MANIFEST_NAME, MAX_LINE_BYTES
from .inputs import InputWalk, Source


@dataclass(frozen=True)
class Claims:
    """What the user says of all clips; None: nothing, or the manifest says it. The names are those of `StoreRow`."""

    label: Label | None = None
    generator: str | None = None
    generator_version: str | None = None
    family: str | None = None
    kind: str | None = None
    speaker: str | None = None
    source: str | None = None
    licence: str | None = None
    split: str | None = None
    language: str | None = None
    consent_ref: str | None = None
    purpose: str | None = None

    def __post_init__(self) -> None:
        """Raise `UsageError` for a spoof that nobody made, and for genuine speech that somebody generated."""
        if self.label == "bonafide" and (self.generator or self.generator_version):
            raise UsageError("--label bonafide is genuine speech; leave --generator and --version out")
        if self.label == "spoof" and not self.generator:
            raise UsageError("--label spoof needs --generator: who or what made these clips")


@dataclass(frozen=True)
class Candidate:
    """One sound that may become a clip; its id is given when its bytes are known."""

    source: Source
    row: StoreRow
    expected_sha256: str | None = None
    """Of the file's bytes, by its manifest."""
    token_ids: Int32Array | None = field(default=None, compare=False, repr=False)
    error: CovoguardError | None = None
    """Why it cannot become one, found before the file is opened."""


def candidates_of(inputs: Iterable[str], claims: Claims) -> Iterator[Candidate]:
    """Every sound that the inputs name, in order.

    An input is a sound, a folder of sounds, a CSV manifest, or `manifest.jsonl` of `covoguard generate` or a folder
    that holds one. Raises `UsageError` where neither a manifest nor `claims` gives a label, or a manifest is wrong.
    """
    for name in inputs:
        path = Path(name)
        generated = path / MANIFEST_NAME if (path / MANIFEST_NAME).is_file() else path
        if generated.suffix == ".jsonl":
            yield from _generated(generated, claims)
        elif path.suffix == ".csv":
            yield from _listed(path, claims)
        else:
            yield from _plain(name, claims)


def _plain(name: str, claims: Claims) -> Iterator[Candidate]:
    if claims.label is None:
        raise UsageError(f"{name}: say what these clips are with --label bonafide or --label spoof")
    folder = name if os.path.isdir(name) else os.path.dirname(name)
    blank = _claimed(StoreRow("", claims.label), claims)
    for source in InputWalk([name]):
        yield Candidate(source, dataclasses.replace(blank, original=os.path.relpath(source.path, folder or os.curdir)))


def _listed(path: Path, claims: Claims) -> Iterator[Candidate]:
    for row in read_manifest(path, needs_folds=False):
        source = Source(str(path.parent / row.path))
        known = dataclasses.replace(StoreRow.from_row(row), clip_id="", original=row.path)
        yield _with_claims(Candidate(source, known, row.sha256), claims)


def _generated(path: Path, claims: Claims) -> Iterator[Candidate]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
                try:
                    record = read_clip_line(line)
                except ValueError as error:
                    raise UsageError(
                        f"{path}, line {number}: no record of `covoguard generate` ({error}); run that command again "
                        "to mend the manifest"
                    ) from error
                yield _with_claims(_of_record(path.parent, record), claims)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}; check the path", code="read_error") from error


def row_of_record(record: ClipRecord) -> StoreRow:
    """The row of a clip that `covoguard generate` or `dataset build` made; its id is still to be given."""
    mark = record.mark
    recipe = Recipe(
        record.model_id, record.model_sha256, record.seed, record.sampling,
        mark.scheme if mark else None, mark.key_id if mark else None,
    )  # fmt: skip
    return StoreRow(
        clip_id="", label=record.label, generator=record.generator, generator_version=record.model_id,
        family=record.family, kind=record.kind, speaker=record.speaker, source=record.source, licence=record.licence,
        text_sha256=hash_of_text(record.prompt.text) if record.prompt.text else None, recipe=recipe, mark=mark,
        original=record.path, token_rate_hz=record.token_rate_hz,
    )  # fmt: skip


def _of_record(folder: Path, record: ClipRecord) -> Candidate:
    tokens = None if record.tokens is None else np.array(record.tokens, np.int32)
    name = record.path or f"{MANIFEST_NAME}#{record.index}"
    return Candidate(Source(str(folder / name)), row_of_record(record), record.sha256, tokens, _failure(record))


def _failure(record: ClipRecord) -> CovoguardError | None:
    if record.error is not None:
        return InputError(record.error.message, code=record.error.code)
    if record.is_failure and record.check is not None:
        status = record.check.status.replace("_", " ")
        return InputError(f"generate found it not as ordered ({status}); make it again", code="integrity")
    return None


def _with_claims(candidate: Candidate, claims: Claims) -> Candidate:
    try:
        return dataclasses.replace(candidate, row=_claimed(candidate.row, claims))
    except UsageError as error:
        return dataclasses.replace(candidate, error=candidate.error or error)


def _claimed(row: StoreRow, claims: Claims) -> StoreRow:
    """The row with what the user says where it says nothing. Raises `UsageError` where the two contradict."""
    said = {each.name: getattr(claims, each.name) for each in dataclasses.fields(Claims)}
    for name, value in said.items():
        known = getattr(row, name)
        if value is not None and known is not None and known != value:
            raise UsageError(f"its manifest says {name} {known!r}, the command {value!r}; leave one of them out")
    return dataclasses.replace(row, **{name: value for name, value in said.items() if value is not None})
