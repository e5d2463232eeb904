"""What is wrong with a labelled collection, in findings: clips, rates, copies, labels, folds, leaks, shortcuts."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.datasetrecord import Finding, Leak, ProbeReading
from ..core.records import Row
from ..datasets.leaks import count_leaks
from ..datasets.manifest import read_columns
from ..datasets.probe import CHANCE_EER
from ..datasets.splits import parts_of
from .clip_sounds import ClipSound

RATE_COLUMNS = ("rate_hz", "sample_rate")
NAMED = 3
"""Values that a message names; the record holds all."""

_FAULTS = {
    "damaged": "damaged: cut short, with packets lost, or with samples that are no numbers (NaN)",
    "too_short": "shorter than 0.5 s, which no detector scores",
    "silent": "silent: no sample above -60 dBFS",
    "not_found": "not there",
}


@dataclass(frozen=True)
class ClipList:
    """The clips of a collection in their order. Without labels there are no rows, and names are paths."""

    manifest: Path | None
    rows: tuple[Row, ...]
    names: tuple[str, ...]


def sound_findings(clips: ClipList, sounds: Sequence[ClipSound]) -> Iterator[Finding]:
    """Clips that cannot be used, and sample rates."""
    faults: dict[str, list[str]] = {}
    for name, sound in zip(clips.names, sounds, strict=True):
        if sound.fault is not None:
            faults.setdefault(sound.fault, []).append(name)
    for fault, names in sorted(faults.items()):
        reason = _FAULTS.get(fault, f"cannot be read: see `covoguard explain {fault}`")
        yield Finding(fault, "unusable", f"{_clips(names)} {reason}", tuple(names))
    yield from _rate_findings(clips, sounds)


def _rate_findings(clips: ClipList, sounds: Sequence[ClipSound]) -> Iterator[Finding]:
    measured = [sound.rate_hz for sound in sounds]
    counts = Counter(rate for rate in measured if rate is not None)
    if len(counts) > 1:
        (usual, _), *others = counts.most_common()
        listed = ", ".join(f"{count} at {rate} Hz" for rate, count in others[:NAMED])
        names = [name for name, rate in zip(clips.names, measured, strict=True) if rate not in (usual, None)]
        yield Finding(
            "mixed_rates",
            "warning",
            f"{len(counts)} sample rates: most clips at {usual} Hz, {listed}; a rate that goes with a label is a cue",
            tuple(names),
        )
    if clips.manifest is None:
        return
    columns, lines = read_columns(clips.manifest)
    for column in (name for name in RATE_COLUMNS if name in columns):
        stated = [line[column] for line in lines]
        names = [
            name
            for name, text, rate in zip(clips.names, stated, measured, strict=True)
            if text and rate is not None and not _is_number(text, rate)
        ]
        if names:
            message = f"{_clips(names)} at another sample rate than column {column} says"
            yield Finding("wrong_rate", "warning", message, tuple(names))


def _is_number(text: str, number: int) -> bool:
    try:
        return float(text) == number
    except ValueError:
        return False


def copy_findings(
    clips: ClipList, contents: Sequence[str | None], near: Sequence[tuple[int, int]]
) -> Iterator[Finding]:
    """Copies, wherever they stand, and the worst of them: one sound under both labels."""
    alike: dict[str, list[int]] = {}
    for index, content in enumerate(contents):
        if content is not None:
            alike.setdefault(content, []).append(index)
    copies = [group for group in alike.values() if len(group) > 1]
    if copies:
        names = [clips.names[index] for group in copies for index in group]
        yield Finding("duplicates", "warning", f"{len(copies)} sounds stand in {_clips(names)}", tuple(names))
    torn = [group for group in copies if clips.rows and len({clips.rows[index].label for index in group}) > 1]
    if torn:
        names = [clips.names[index] for group in torn for index in group]
        message = f"{len(torn)} sounds are labelled both bonafide and spoof, in {_clips(names)}"
        yield Finding("contradiction", "unusable", message, tuple(names))
    other = [pair for pair in near if contents[pair[0]] != contents[pair[1]]]
    if other:
        names = [clips.names[index] for index in sorted({index for pair in other for index in pair})]
        across = sum(clips.rows[one].label != clips.rows[two].label for one, two in other) if clips.rows else 0
        note = f"; {across} pairs have both labels (copy-synthesis, or a wrong label)" if across else ""
        yield Finding("near_duplicates", "warning", f"{_clips(names)} hold the same recordings{note}", tuple(names))


def utterance_findings(clips: ClipList, pairs: Sequence[tuple[int, int]]) -> Iterator[Finding]:
    """Clips that say the same in the same time, which a vocoder, a codec or a voice conversion leaves."""
    if pairs:
        names = [clips.names[index] for index in sorted({index for pair in pairs for index in pair})]
        across = sum(clips.rows[one].label != clips.rows[two].label for one, two in pairs) if clips.rows else 0
        note = f"; {across} pairs are a genuine clip and a copy of it" if across else ""
        yield Finding("same_utterance", "warning", f"{_clips(names)} hold an utterance of another{note}", tuple(names))


def label_findings(rows: Sequence[Row]) -> Iterator[Finding]:
    """Lines that repeat, one label only, clips without a fold, folds without a class."""
    if not rows:
        return
    for what, value in (("clip names", lambda row: row.clip_id), ("files", lambda row: row.path)):
        yield from _repeated(rows, what, value)
    labels = Counter(row.label for row in rows)
    if len(labels) == 1:
        message = f"all clips are {next(iter(labels))}: nothing can be learned or measured"
        yield Finding("one_label", "unusable", message)
    unplaced = [row.clip_id for row in rows if not row.split]
    if unplaced:
        message = f"{_clips(unplaced)} without a fold: `covoguard dataset split` gives each one"
        yield Finding("no_fold", "warning", message, tuple(unplaced))
    placed = [row for row in rows if row.split]
    for part in parts_of(placed, [str(row.split) for row in placed]) if len(labels) > 1 else []:
        if not (part.bonafide and part.spoof):
            lacking = "spoof" if part.bonafide else "bonafide"
            yield Finding("fold_without_class", "warning", f"fold {part.name} has no {lacking} clip")


def _repeated(rows: Sequence[Row], what: str, value: Callable[[Row], str]) -> Iterator[Finding]:
    counts = Counter(map(value, rows))
    names = [row.clip_id for row in rows if counts[value(row)] > 1]
    if names:
        yield Finding("repeated_lines", "warning", f"{len(names)} lines share their {what} with another", tuple(names))


def leak_findings(leaks: Sequence[Leak]) -> Iterator[Finding]:
    """One finding per key that leaks."""
    for count in count_leaks(leaks):
        mine = [leak for leak in leaks if leak.key == count.key]
        first = ", ".join(f"{leak.value[:40]} (folds {' '.join(leak.parts)})" for leak in mine[:NAMED])
        message = f"{count.key}: {count.values} in several folds, {count.clips} clips: {first}"
        yield Finding("leak", "warning", message, tuple(dict.fromkeys(clip for leak in mine for clip in leak.clips)))


def probe_findings(probe: Sequence[ProbeReading]) -> Iterator[Finding]:
    """Probes outside `CHANCE_EER`, and those that could not be made."""
    for reading in probe:
        name = reading.numbers.replace("_", " ")
        if reading.eer is None:
            yield Finding("no_probe", "warning", f"{name}: not probed, that takes two folds and both classes in others")
        elif not CHANCE_EER[0] <= reading.eer <= CHANCE_EER[1]:
            low, high = (100 * edge for edge in reading.by_chance)
            yield Finding(
                "shortcut",
                "warning",
                f"{name} alone tell the labels with an EER of {100 * reading.eer:.1f} %; {100 * CHANCE_EER[0]:.0f} to "
                f"{100 * CHANCE_EER[1]:.0f} % is chance (for so many clips {low:.0f} to {high:.0f} %)",
            )


def _clips(names: Sequence[str]) -> str:
    return "1 clip" if len(names) == 1 else f"{len(names)} clips"
