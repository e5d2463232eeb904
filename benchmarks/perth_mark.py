"""How often Perth's mark is found after ten kinds of damage, and how often in sound that never had it.

    python benchmarks/perth_mark.py FOLDER [--manifest CSV] [--marked 20] [--unmarked 500] [--seed 1]

FOLDER holds genuine recordings that carry no such mark, and whatever else: with --manifest, a CSV with the columns
`file` and `label`, only those labelled bonafide are used. Needs the extra `perth`. Prints two tables for
docs/waveform_marks.md; the counts of the second stand in `watermark/waveform/perth.py`.
"""

import argparse
import csv
import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from attacks import ATTACKS, RATE_HZ, Attack

from covoguard.core.audio import AudioReader, open_input
from covoguard.core.proportion import upper_limit
from covoguard.core.records import Audio, Float32Array
from covoguard.core.waveformrecord import WaveformFinding
from covoguard.core.waveformsettings import WaveformSettings
from covoguard.datasets.degrade.band import low_pass
from covoguard.watermark.waveform.perth import PerthMark


def resampled_to_8k(samples: Float32Array, seed: int) -> Float32Array:
    """Down to 8 kHz and back."""
    import soxr

    back: Float32Array = soxr.resample(soxr.resample(samples, RATE_HZ, 8_000), 8_000, RATE_HZ)
    return back


def one_second(samples: Float32Array, seed: int) -> Float32Array:
    """A second from anywhere."""
    start = int(np.random.default_rng(seed).integers(0, max(1, len(samples) - RATE_HZ)))
    return samples[start : start + RATE_HZ]


DAMAGE: dict[str, Attack] = {
    **{name: ATTACKS[name] for name in ("clean", "mp3 64k", "mp3 32k", "aac 32k", "opus 16k", "noise 20 dB")},
    "noise 10 dB": ATTACKS["noise 10 dB"],
    "resample 8k": resampled_to_8k,
    "low-pass 4k": lambda samples, seed: low_pass(samples, 4_000.0),
    "speed +5 %": ATTACKS["speed +5 %"],
    "speed -5 %": ATTACKS["speed -5 %"],
    "tempo +5 %": ATTACKS["tempo +5 %"],
    "crop to 1 s": one_second,
}

ANSWERS = ("detected", "inconclusive", "inconclusive by the sweep")
COUNTED_TOGETHER = 20
"""Clips after which the counts so far are printed on standard error: a run of 500 takes a while."""


def main() -> None:
    """Mark, damage, look, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--manifest", type=Path, help="CSV that says which files of FOLDER are bonafide")
    parser.add_argument("--marked", type=int, default=20, help="clips to mark and damage")
    parser.add_argument("--unmarked", type=int, default=500, help="clips to look for false alarms in")
    parser.add_argument("--skip", type=int, default=0, help="clips to leave out first: thresholds were chosen on them")
    parser.add_argument("--seed", type=int, default=1, help="decides which clips, which noise and which crop")
    options = parser.parse_args()
    torch.set_num_threads(1)
    mark = PerthMark(WaveformSettings(speed_sweep=True))
    clips = itertools.islice(recordings(options.folder, options.manifest, options.seed), options.skip, None)
    if options.marked:
        print_robustness(list(itertools.islice(clips, options.marked)), mark)
    if options.unmarked:
        print_false_alarms(clips, options.unmarked, mark)


def recordings(folder: Path, manifest: Path | None, seed: int) -> Iterator[Audio]:
    """Clips of at least a second, in an order that `seed` decides."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if manifest is not None:
        with manifest.open(newline="", encoding="utf-8") as file:
            genuine = {row["file"] for row in csv.DictReader(file) if row["label"] == "bonafide"}
        paths = [path for path in paths if str(path.relative_to(folder)) in genuine]
    with AudioReader() as reader:
        for index in np.random.default_rng(seed).permutation(len(paths)):
            with open_input(paths[index]) as opened:
                audio = reader.read(opened).audio
            if audio.duration_s >= 1.0:
                yield audio


def print_robustness(clips: Sequence[Audio], mark: PerthMark) -> None:
    """What is said of marked clips after each kind of damage."""
    marked = [mark.embed(clip) for clip in clips]
    snr_db = [
        10 * np.log10(power(clip.samples) / power(after.samples - clip.samples))
        for clip, after in zip(clips, marked, strict=True)
    ]
    seconds = sum(clip.duration_s for clip in clips)
    print(f"{len(clips)} clips, {seconds:.0f} s; the mark lies {np.mean(snr_db):.1f} dB below the speech\n")
    print(f"| marked, then | {' | '.join(ANSWERS)} | mean score |\n|---|---|---|---|---|")
    for name, attack in DAMAGE.items():
        found = [mark.find(Audio(attack(clip.samples, seed), RATE_HZ)) for seed, clip in enumerate(marked)]
        answers = " | ".join(f"{count}/{len(found)}" for count in counted(found))
        print(
            f"| {name} | {answers} | {np.mean([each.score for each in found if each.score is not None]):.2f} |",
            flush=True,
        )


def print_false_alarms(clips: Iterator[Audio], count: int, mark: PerthMark) -> None:
    """What is said of clips that were never marked, and what the counts leave credible."""
    found: list[WaveformFinding] = []
    for clip in itertools.islice(clips, count):
        found.append(mark.find(clip))
        if len(found) % COUNTED_TOGETHER == 0:
            print(
                f"{len(found)} clips so far: {dict(zip(ANSWERS, counted(found), strict=True))}",
                file=sys.stderr,
                flush=True,
            )
    print(f"\n| {len(found)} unmarked clips, at least so strong an answer | clips | at most (95 %) |\n|---|---|---|")
    for answer, alarms in zip(ANSWERS, itertools.accumulate(counted(found)), strict=True):
        print(f"| {answer} | {alarms} | {upper_limit(alarms, len(found)):.1%} |")


def counted(findings: Sequence[WaveformFinding]) -> list[int]:
    """How many gave each of `ANSWERS`."""
    swept = sum(finding.reason == "mark_at_other_speed" for finding in findings)
    statuses = [finding.status for finding in findings]
    return [statuses.count("detected"), statuses.count("inconclusive") - swept, swept]


def power(samples: Float32Array) -> float:
    """Mean square."""
    return float(np.mean(np.square(samples, dtype=np.float64)))


if __name__ == "__main__":
    main()
