"""Looks at the sound of every clip of a collection, each decoded once as a scan does, and keeps what checks need."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..core.audio import AudioReader, open_input, resample
from ..core.audio.facts import SourceFacts
from ..core.errors import InputError
from ..core.progress import Progress, silent
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Float32Array
from ..datasets.near_duplicates import Fingerprint, fingerprint
from ..datasets.probe import simple_statistics
from ..datasets.utterances import utterance_spectrum
from ..detect.windows import MIN_WINDOW_S
from .crew import Crew, MakeRecord
from .inputs import Source

if TYPE_CHECKING:
    from ..datasets.store import Store

SILENT_PEAK = 1e-3
"""-60 dBFS: below this a clip holds nothing to hear."""


@dataclass(frozen=True)
class ClipSound:
    """What one clip holds; `fault` is why it cannot be used (None: it can), and then the rest may be None."""

    fault: str | None
    """An error code of the reader, or damaged, too_short, silent."""
    rate_hz: int | None = None
    """Sample rate of the file."""
    file_format: Mapping[str, str] = field(default_factory=dict)
    """What the file is, apart from what is heard in it; empty where it is no file of its own."""
    content: str | None = None
    """SHA-256 of the samples at 16 kHz: the same for the same sound in another lossless file."""
    statistics: tuple[float, ...] | None = None
    """`simple_statistics`, of clips that can be used."""
    fingerprint: Fingerprint | None = None
    spectrum: Float32Array | None = field(default=None, repr=False, compare=False)
    """`utterance_spectrum`, 22 kB a clip."""


@dataclass(frozen=True)
class Comparing:
    """What clips are to be compared by, and so what is kept of each that can be used."""

    fingerprints: bool = False
    """For near duplicates."""
    utterances: bool = False


def look_at_files(
    paths: Sequence[Path], *, jobs: int, comparing: Comparing = Comparing(), progress: Progress = silent
) -> list[ClipSound]:
    """One result per path, in their order."""

    @contextmanager
    def reading() -> Iterator[MakeRecord[ClipSound]]:
        with AudioReader() as reader:
            yield lambda seq, _: _of_file(reader, paths[seq], comparing)

    sounds = []
    with Crew((Source(str(path)) for path in paths), jobs, reading) as crew:
        for sound in crew.records():
            sounds.append(sound)
            progress(len(sounds), len(paths), "clips")
    return sounds


def look_at_store(
    store: "Store", *, comparing: Comparing = Comparing(), progress: Progress = silent
) -> list[ClipSound]:
    """One result per clip of a store; a clip is damaged when its samples are not those whose hash was stored."""
    sounds = []
    for index in range(len(store)):
        audio = store.audio(index)
        samples = resample(audio.samples, audio.rate_hz, DETECTOR_RATE_HZ)
        is_damaged = not store.is_whole(index) or not np.isfinite(samples).all()
        sounds.append(_of_samples(samples, audio.rate_hz, {}, is_damaged=is_damaged, comparing=comparing))
        progress(len(sounds), len(store), "clips")
    return sounds


def _of_file(reader: AudioReader, path: Path, comparing: Comparing) -> ClipSound:
    try:
        with open_input(path) as opened:
            decoded = reader.read(opened)
    except InputError as error:
        return ClipSound(error.code)
    facts, samples = decoded.facts, decoded.audio.samples
    return _of_samples(samples, facts.rate_hz, _format(facts), is_damaged=facts.partial, comparing=comparing)


def _of_samples(
    samples: Float32Array, rate_hz: int, file_format: Mapping[str, str], *, is_damaged: bool, comparing: Comparing
) -> ClipSound:
    """What 16 kHz samples hold."""
    fault = "damaged" if is_damaged else None
    if len(samples) < MIN_WINDOW_S * DETECTOR_RATE_HZ:
        fault = "too_short"
    elif not is_damaged and np.max(np.abs(samples)) < SILENT_PEAK:
        fault = "silent"
    return ClipSound(
        fault=fault,
        rate_hz=rate_hz,
        file_format=file_format,
        content=hashlib.sha256(samples.tobytes()).hexdigest() if len(samples) else None,
        statistics=simple_statistics(samples) if fault is None else None,
        fingerprint=fingerprint(samples) if comparing.fingerprints and fault is None else None,
        spectrum=utterance_spectrum(samples) if comparing.utterances and fault is None else None,
    )


def _format(facts: SourceFacts) -> dict[str, str]:
    return {
        "container": facts.container,
        "codec": facts.codec,
        "rate_hz": str(facts.rate_hz),
        "channels": str(facts.channels),
        "bits_per_sample": "" if facts.bits_per_sample is None else str(facts.bits_per_sample),
    }
