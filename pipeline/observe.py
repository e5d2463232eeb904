"""Examines files as a forensic analyst would first: what their bytes, tags and samples tell of their history."""

import logging
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.audio import AudioReader, DecodeLimits, OpenedInput, SourceFacts, VoiceActivity, open_input
from ..core.errors import InputError, IntegrityError, ModelMissing
from ..core.jsonrecord import json_line
from ..core.observationrecord import INSPECT_SCHEMA_VERSION, Examined, InspectRecord, Observation
from ..core.scanrecord import Tool, path_facts
from ..detect.forensics import Examination
from .analysis import examine, with_source
from .crew import Crew, MakeRecord
from .failure import as_record_error, internal_error
from .inputs import Source, open_source
from .run import new_run_id, this_tool

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
        return list(_examine(opened, reader, VoiceActivity(), checks)[1].observations)


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
                source_facts, examined = _examine(opened, self.reader, self.voice, self.checks)
            facts = with_source(facts, source_facts)
            record = replace(
                blank, input=facts, checks=examined.checks, skipped=examined.skipped, observations=examined.observations
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


def _examine(
    opened: OpenedInput, reader: AudioReader, voice: VoiceActivity, checks: Sequence[str] | None
) -> tuple[SourceFacts, Examined]:
    examination = Examination(checks)
    decoded = reader.read(opened, examination.hear)
    return decoded.facts, examine(examination, opened, decoded, voice.segments(decoded.audio))
