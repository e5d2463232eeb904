"""How fast clips are read from a store, beside the same clips as a folder of FLAC files, in one run.

    python benchmarks/store.py [FOLDER] [--clips 400] [--seconds 3.5] [--rounds 5] [-o figures.json]

FOLDER holds sounds, which are brought into a store by `covoguard dataset add`; without it, clips of noise shaped like
speech are made, of `--seconds` each. The store is exported to FLAC, so both sides hold the very same samples. FLAC
files are read with soundfile, the fastest decoder at hand. Reading is warm: files come from the memory of the
operating system, so the figures tell the cost of the formats, not that of the disk. Rounds alternate between the two
sides; of each the median counts.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from covoguard.core.audio import Audio
from covoguard.core.records import Float32Array
from covoguard.datasets.export import export
from covoguard.datasets.store import Store, StoredClip, StoreRow, StoreWriter
from covoguard.pipeline.dataset_files import add_clips
from covoguard.pipeline.dataset_inputs import Claims

RATE_HZ = 16_000
BATCH_CLIPS = 50
Reader = Callable[[int], Float32Array]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=400, help="how many to make")
    parser.add_argument("--seconds", type=float, default=3.5, help="length of those made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        started_s = time.perf_counter()
        if options.folder:
            for record in add_clips([str(options.folder)], folder / "store", Claims(label="bonafide")):
                if record.error:
                    print(record.error.message)
        else:
            make_clips(folder / "store", options.clips, options.seconds)
        made_s = time.perf_counter() - started_s
        figures = measure(folder, options.rounds) | {"making the store, s": made_s}
    for name, value in figures.items():
        print(f"{name:44} {value:12.2f}")
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def make_clips(folder: Path, count: int, seconds: float) -> None:
    """A store of noise that falls by 6 dB per octave and swells four times a second."""
    rng = np.random.default_rng(0)
    samples = round(RATE_HZ * seconds)
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(samples) / RATE_HZ)
    with StoreWriter.open(folder) as writer:
        for first in range(0, count, BATCH_CLIPS):
            batch = []
            for number in range(first, min(first + BATCH_CLIPS, count)):
                noise = np.cumsum(rng.standard_normal(samples))
                noise = (noise - np.convolve(noise, np.ones(200) / 200, "same")) * swell
                sound = (0.5 * noise / np.abs(noise).max()).astype(np.float32)
                batch.append(StoredClip(StoreRow(f"{number:06d}", "bonafide"), Audio(sound, RATE_HZ)))
            writer.add_all(batch)


def measure(folder: Path, rounds: int) -> dict[str, float]:
    """Both sides in the same orders, in turn."""
    with Store(folder / "store") as store:
        export(store.clips(), folder / "flac", "flac")
        files = [folder / "flac" / "clips" / f"{row.clip_id}.flac" for row in store.rows()]
        for index in range(len(store)):
            if not np.array_equal(store.audio(index).samples, from_file(files[index])):
                raise RuntimeError(f"clip {index} differs between the two sides")
        audio_s = sum(row.duration_s for row in store.rows())
        in_order = range(len(store))
        shuffled = np.random.default_rng(1).permutation(len(store)).tolist()
        sides: dict[str, Reader] = {
            "store": lambda index: store.audio(index).samples,
            "FLAC": lambda index: from_file(files[index]),
        }
        figures: dict[str, float] = {"clips": len(store), "audio, s": audio_s}
        for name, order in (("sequential", in_order), ("random", shuffled)):
            took_s: dict[str, list[float]] = {side: [] for side in sides}
            for _ in range(rounds):
                for side, read in sides.items():
                    took_s[side].append(seconds_of(read, order))
            middle = {side: statistics.median(each) for side, each in took_s.items()}
            for side, median_s in middle.items():
                figures[f"{name}, {side}, clips per s"] = len(store) / median_s
            figures[f"{name}, store over FLAC"] = middle["FLAC"] / middle["store"]
    figures["opening the store, ms"] = 1000 * seconds_of(lambda _: open_once(folder / "store"), [0])
    size = {name: sum(file.stat().st_size for file in where) for name, where in (
        ("store", (folder / "store").glob("*.h5")), ("FLAC", files),
    )}  # fmt: skip
    return figures | {f"{name}, MB": each / 1e6 for name, each in size.items()}


def from_file(path: Path) -> Float32Array:
    """All samples of a file."""
    samples: Float32Array = soundfile.read(path, dtype="float32")[0]
    return samples


def open_once(folder: Path) -> Float32Array:
    """The first clip of a store that was not open."""
    with Store(folder) as store:
        return store.audio(0).samples


def seconds_of(read: Reader, order: Sequence[int]) -> float:
    """Seconds to read clips in an order, and to touch every sample."""
    started_s = time.perf_counter()
    for index in order:
        read(index).sum()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
