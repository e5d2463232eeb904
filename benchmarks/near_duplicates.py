"""Precision and recall of near-duplicate audio, by kind of copy, with time and memory.

    python benchmarks/near_duplicates.py FOLDER [--clips 1000] [--seed 1]

FOLDER holds real recordings, each another one. Every tenth gets one copy per kind; all are put into one search. A pair
of a clip and its copy, or of two copies of it, is right; any other pair is counted as wrong and printed, to be
listened to: a folder may hold copies of its own.
"""

import argparse
import collections
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from covoguard.core.audio import AudioReader, open_input, resample
from covoguard.core.records import Float32Array
from covoguard.datasets.degrade.codec import CODECS, round_trip
from covoguard.datasets.degrade.noise import add_at_snr
from covoguard.datasets.near_duplicates import find_near_duplicates, fingerprint

Copy = Callable[[Float32Array, np.random.Generator], Float32Array]


def noisy(samples: Float32Array, rng: np.random.Generator) -> Float32Array:
    """White noise at 20 dB."""
    return add_at_snr(samples, rng.standard_normal(len(samples)).astype(np.float32), 20.0)


COPIES: dict[str, Copy] = {
    "mp3 32 kb/s": lambda samples, _: round_trip(samples, CODECS["mp3"], 32_000),
    "opus 16 kb/s": lambda samples, _: round_trip(samples, CODECS["opus"], 16_000),
    "amr-nb 12.2 kb/s": lambda samples, _: round_trip(samples, CODECS["amr-nb"], 12_200),
    "mu-law, 8 kHz": lambda samples, _: round_trip(samples, CODECS["mu-law"]),
    "22.05 kHz and back": lambda samples, _: resample(resample(samples, 16_000, 22_050), 22_050, 16_000),
    "gain -12 dB": lambda samples, _: samples * np.float32(0.25),
    "first 0.5 s cut": lambda samples, _: samples[8000:],
    "0.511 s put before": lambda samples, _: np.concatenate([np.zeros(8176, np.float32), samples]),
    "noise at 20 dB": noisy,
    "opus, cut and noise": lambda samples, rng: noisy(round_trip(samples, CODECS["opus"], 16_000)[8123:], rng),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=1000, help="recordings to use, beside their copies")
    parser.add_argument("--seed", type=int, default=1, help="decides which recordings and which noise")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())
    paths = [paths[index] for index in sorted(rng.permutation(len(paths))[: options.clips])]
    clips = read(paths)
    copied = range(0, len(clips), 10)
    kinds = ["", *COPIES]
    origins = [*((index, "") for index in range(len(clips))), *((index, kind) for index in copied for kind in COPIES)]
    sounds = [*clips, *(copy(clips[index], rng) for index in copied for copy in COPIES.values())]
    began = time.process_time()
    prints = [fingerprint(each) for each in sounds]
    printed = time.process_time()
    found = find_near_duplicates(prints)
    ended = time.process_time()

    hits: collections.Counter[str] = collections.Counter()
    wrong = []
    for pair in found:
        (first, kind), (second, other) = origins[pair.first], origins[pair.second]
        if first != second:
            wrong.append((pair, f"{paths[first]} {kind} / {paths[second]} {other}"))
        elif not kind:
            hits[other] += 1
    for kind in kinds[1:]:
        print(f"{kind:20s} found {hits[kind]:4d} of {len(copied)}: recall {hits[kind] / len(copied):.3f}")
    right = len(found) - len(wrong)
    print(f"pairs {len(found)}, of which right {right}: precision {right / max(len(found), 1):.4f}")
    for pair, names in wrong[:20]:
        print(f"  wrong? {names}: bit error rate {pair.bit_error_rate:.3f} over {pair.common_s:.1f} s")
    words_mib = sum(each.words.nbytes + each.is_loud.nbytes for each in prints) / 2**20
    print(f"{len(sounds)} sounds: fingerprints {printed - began:.1f} s, search {ended - printed:.1f} s CPU")
    print(f"fingerprints {words_mib:.1f} MiB, whole process {peak_mib():.0f} MiB at most")


def read(paths: list[Path]) -> list[Float32Array]:
    """Through the reader that a check uses."""
    clips = []
    with AudioReader() as reader:
        for path in paths:
            with open_input(path) as opened:
                clips.append(reader.read(opened).audio.samples)
    return clips


def peak_mib() -> float:
    """Of this process so far, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
