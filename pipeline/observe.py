"""Examines files as a forensic analyst would first: what their bytes, tags and samples tell of their history."""

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.audio import AudioReader, DecodeLimits, OpenedInput, SourceFacts, VoiceActivity, open_input
from ..core.errors import InputError, IntegrityError, ModelMissing
from ..core.jsonrecord import json_line
from ..core.observationrecord import INSPECT_SCHEMA_VERSION, InspectRecord, Observation
from ..core.scanrecord import Tool, path_facts
from ..detect.forensics import Examination, Exhibit
from .analysis import with_source
from .crew import Crew, MakeRecord
from .inputs import Source, open_source
from .run import new_run_id, this_tool
from .worker import as_record_error, internal_error

logger = logging.getLogger(__name__)


def observe(
    path: Path,
    *,
    checks: Sequence[str] | None = None,
    limits: DecodeLimits = DecodeLimits(),  # noqa: B008  (frozen)
) -> list[Observation]:
    """All observations on one file, the notable ones first, by the named `checks` (None: all).

    Raises `InputError` where the file cannot be read, `UsageError` for a check that is not known.
    """
    with open_input(path) as opened, AudioReader(limits) as reader:
        return list(_examine(opened, reader, VoiceActivity(), checks).observations)


def inspect_files(
    sources: Iterable[Source], *, limits: DecodeLimits, jobs: int, checks: Sequence[str] | None = None
) -> Generator[InspectRecord]:
    """Records of `sources` in their order, as they become ready. Close the generator to stop early.

    A file that cannot be read is a record with an error; only what concerns every file is raised.
    """
    run_id, tool = new_run_id(), this_tool()
    names = Examination(checks).names
    voice = VoiceActivity()

    @contextmanager
    def inspecting() -> Iterator[MakeRecord[InspectRecord]]:
        with AudioReader(limits) as reader:
            yield _Inspector(run_id, tool, reader, voice, names).record

    with Crew(sources, jobs, inspecting) as crew:
        yield from crew.records()


@dataclass(frozen=True)
class _Inspector:
    """Makes records in one thread."""

    run_id: str
    tool: Tool
    reader: AudioReader
    voice: VoiceActivity
    checks: tuple[str, ...]

    def record(self, seq: int, source: Source) -> InspectRecord:
        """The record of one source. Raises only what concerns every file."""
        facts = path_facts(source.path)
        blank = InspectRecord(INSPECT_SCHEMA_VERSION, self.run_id, seq, facts, (), (), (), None, self.tool)
        try:
            with open_source(source) as opened:
                facts = replace(facts, sha256=opened.sha256, size_bytes=opened.size_bytes)
                examined = _examine(opened, self.reader, self.voice, self.checks)
            facts = with_source(facts, examined.facts)
            looked = tuple(name for name in self.checks if name not in examined.skipped)
            record = replace(
                blank, input=facts, checks=looked, skipped=examined.skipped, observations=examined.observations
            )
            json_line(record)  # a number that JSON cannot hold is a failure of this file, here
            return record
        except InputError as error:
            failure = error
        except (ModelMissing, IntegrityError):
            raise
        except Exception as error:
            logger.info("failure on %s", source.path, exc_info=True)
            failure = internal_error(error)
        return replace(blank, input=facts, error=as_record_error(failure, source.path))


@dataclass(frozen=True)
class _Examined:
    """What came of one file."""

    facts: SourceFacts
    observations: tuple[Observation, ...]
    skipped: tuple[str, ...]


def _examine(opened: OpenedInput, reader: AudioReader, voice: VoiceActivity, checks: Sequence[str] | None) -> _Examined:
    examination = Examination(checks)
    decoded = reader.read(opened, examination.hear)
    speech = voice.segments(decoded.audio)
    exhibit = Exhibit(opened.file, opened.size_bytes, decoded.facts, decoded.tags, decoded.audio, speech)
    seen = examination.observe(exhibit)
    opened.check_unchanged()
    return _Examined(decoded.facts, seen, examination.skipped)
