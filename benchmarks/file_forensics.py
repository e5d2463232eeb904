"""How often the forensic checks err on genuine recordings, and how often they find what was done to them.

    python benchmarks/file_forensics.py CORPUS [--clips 300] [--grid-clips 300] [--damaged 40]

CORPUS holds a manifest.csv with the columns file, label, orig_format, dur and source, and 16 kHz clips. Taken are
genuine clips of at least 3 s that came from WAV or FLAC files. Thresholds are to be chosen on the first half and are
reported on the second; sources that were lossy before they became WAV are shown apart. The search for codec grids
costs half a second of computing a clip, the rest next to nothing.
"""

import argparse
import csv
import hashlib
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import soundfile

from covoguard.core.audio import VoiceActivity, resample
from covoguard.core.audio.facts import SourceFacts
from covoguard.core.records import Audio
from covoguard.detect.forensics import Examination, Exhibit
from covoguard.detect.forensics.checks.bandwidth import _power, cutoff
from covoguard.detect.forensics.checks.codec_grid import CodecGrid, observations_of
from covoguard.detect.forensics.checks.noise_floor import backgrounds, change_db
from covoguard.detect.forensics.grid import GridCounts

RATE_HZ = 16_000
VOICE = VoiceActivity()
LOSSY_SOURCES = ("VoxCeleb",)
"""Published as WAV, cut from lossy videos without a change of rate; the grid check finds just that."""
FACTS = SourceFacts(
    "wav", "pcm_s16le", RATE_HZ, 1, 16, None, 3.5, 3.5, 0, False, False, "mono", (-20.0,), 0.5, 0, 0, 8e3
)


@dataclass(frozen=True)
class Measured:
    """What one sound gave: codes of observations, and the figures behind them."""

    codes: frozenset[str]
    figures: dict[str, float]


Measure = Callable[[np.ndarray], Measured]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--grid-clips", type=int, default=300)
    parser.add_argument("--damaged", type=int, default=40)
    options = parser.parse_args()
    rows = genuine_rows(options.corpus)[: max(options.clips, options.grid_clips)]
    clips = [(row["source"], read(options.corpus / row["file"])) for row in rows]
    for name, measure, count in (
        ("bandwidth and noise floor", without_grid, options.clips),
        ("codec grid", with_grid, options.grid_clips),
    ):
        print(f"== {name}")
        compare(clips[:count], measure, options.damaged)


def compare(clips: list[tuple[str, np.ndarray]], measure: Measure, damaged: int) -> None:
    """Both halves untouched, then the second half damaged."""
    halves = {"choose": clips[::2], "report": clips[1::2]}
    for half, chosen in halves.items():
        for name in ("untouched", "untouched, once lossy"):
            kept = [sound for source, sound in chosen if (source in LOSSY_SOURCES) == (name != "untouched")]
            show(f"{half}: {name}", [measure(sound) for sound in kept])
    sounds = [sound for source, sound in halves["report"] if source not in LOSSY_SOURCES][:damaged]
    for name, damage in DAMAGES.items():
        changed = [damage(sound, sounds[(n + 7) % len(sounds)]) for n, sound in enumerate(sounds)]
        show(f"report: {name}", [measure(sound) for sound in changed])


def genuine_rows(corpus: Path) -> list[dict[str, str]]:
    """In an order that a hash of their names gives."""
    with (corpus / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            row
            for row in csv.DictReader(file)
            if row["label"] == "bonafide" and row["orig_format"] in ("wav", "flac") and float(row["dur"]) >= 3
        ]
    return sorted(rows, key=lambda row: hashlib.sha256(row["file"].encode()).hexdigest())


def read(path: Path) -> np.ndarray:
    """float32 (n,)."""
    samples, _ = soundfile.read(path, dtype="float32")
    return samples


def without_grid(sound: np.ndarray) -> Measured:
    """Bandwidth and noise floor."""
    examination = Examination(["bandwidth", "noise-floor"])
    examination.hear(sound[None], RATE_HZ)
    audio = Audio(sound, RATE_HZ)
    speech = VOICE.segments(audio)
    seen = examination.observe(Exhibit(io.BytesIO(), 0, FACTS, (), audio, speech))
    found = backgrounds(audio, speech)
    ends = cutoff(_power(sound).astype(np.float64), RATE_HZ)
    figures = {
        "floor_db": max((change_db(before, after) for before, after in pairwise(found)), default=0.0),
        "step_db": ends[1] if ends else 0.0,
    }
    compared = ["(two steady pauses)"] if len(found) > 1 else []
    return Measured(frozenset([*compared, *(observation.code for observation in seen)]), figures)


def with_grid(sound: np.ndarray) -> Measured:
    """The grid of an earlier encoding."""
    check = CodecGrid()
    check.hear(sound[None], RATE_HZ)
    counts = check.counts()
    seen = observations_of(counts, FACTS, RATE_HZ)
    whole = GridCounts()
    for each in counts.values():
        whole.merge(each)
    peaks = [peak for peak in (each.peak() for each in counts.values()) if peak is not None]
    peak = whole.peak()
    figures = {
        "file_z": peak.z if peak else 0.0,
        "file_share": peak.share if peak else 0.0,
        "excerpt_z": max((each.z for each in peaks), default=0.0),
    }
    return Measured(frozenset(observation.code for observation in seen), figures)


def show(name: str, measured: list[Measured]) -> None:
    """One block of the table: how often each code came up, and high quantiles of the figures."""
    if not measured:
        return
    print(f"{name} (n={len(measured)})")
    for code, count in sorted(Counter(code for each in measured for code in each.codes).items()):
        print(f"  {code:20} {count:4d}  {100 * count / len(measured):5.1f} %")
    for figure in measured[0].figures:
        values = np.array([each.figures[figure] for each in measured])
        at = " ".join(f"{100 * q:g} %: {np.quantile(values, q):.4g}" for q in (0, 0.1, 0.5, 0.9, 0.95, 0.99, 1))
        print(f"  {figure:20} {at}", flush=True)


def through(codec: str, bit_rate_bps: int, sound: np.ndarray) -> np.ndarray:
    """Encoded and decoded, cut by some samples, rounded to 16 bits."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format={"libmp3lame": "mp3", "aac": "adts"}[codec]) as output:
        stream = output.add_stream(codec, rate=RATE_HZ, layout="mono")
        stream.bit_rate = bit_rate_bps
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound[None]), "fltp", "mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        stream.codec_context.open(strict=False)
        fitted = av.AudioResampler(
            format=stream.codec_context.format, layout="mono", rate=RATE_HZ, frame_size=stream.codec_context.frame_size
        )
        for piece in [*fitted.resample(frame), *fitted.resample(None)]:
            output.mux(stream.encode(piece))
        output.mux(stream.encode(None))
    buffer.seek(0)
    decoded = np.concatenate([frame.to_ndarray()[0] for frame in av.open(buffer).decode(audio=0)])
    return rounded(decoded[1801:])


def rounded(sound: np.ndarray) -> np.ndarray:
    """To 16 bits."""
    return (np.rint(np.clip(sound, -1, 1 - 2**-15) * 32768) / 32768).astype(np.float32)


def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """One behind the other, at equal loudness."""
    return rounded(np.concatenate([first, second * np.sqrt(np.mean(first**2) / np.mean(second**2))]))


def cut_inside(sound: np.ndarray) -> np.ndarray:
    """Without 0.1 s in its middle."""
    return np.concatenate([sound[: len(sound) // 2], sound[len(sound) // 2 + 1601 :]])


DAMAGES = {
    "MP3 64 kbit/s": lambda sound, other: through("libmp3lame", 64_000, sound),
    "MP3 128 kbit/s": lambda sound, other: through("libmp3lame", 128_000, sound),
    "AAC 48 kbit/s": lambda sound, other: through("aac", 48_000, sound),
    "MP3 64 kbit/s, then 0.1 s cut out": lambda sound, other: cut_inside(through("libmp3lame", 64_000, sound)),
    "MP3 64 kbit/s, then resampled to 15.9 kHz": lambda sound, other: rounded(
        resample(through("libmp3lame", 64_000, sound), RATE_HZ, 15_900)
    ),
    "two recordings joined": joined,
    "sampled at 8 kHz between": lambda sound, other: rounded(resample(resample(sound, RATE_HZ, 8_000), 8_000, RATE_HZ)),
}

if __name__ == "__main__":
    main()
