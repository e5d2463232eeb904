"""How fast a scan is, stage by stage, beside the baseline and beside torch.

    python benchmarks/scan_speed.py FOLDER [--files 200] [--jobs 2] [-o figures.json]

FOLDER holds real recordings. Part of them is transcoded to MP3, M4A, Opus and telephone WAV first, so that decoding is
what it is for an analyst. Every figure is a real-time factor: seconds of audio per second of wall clock. All
stages run in one thread; the whole command runs with one job and with one per core.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from covoguard.core.audio import AudioReader, DecodedAudio, Quality, VoiceActivity, measure_quality, open_input
from covoguard.core.protocols import Scorer
from covoguard.core.rates import DETECTOR_RATE_HZ
from covoguard.core.records import Evidence, Float32Array, Segment
from covoguard.detect.registry import SCORERS
from covoguard.detect.windows import speech_windows

TRANSCODED = {
    "mp3": ("libmp3lame", 44_100),
    "m4a": ("aac", 44_100),
    "ogg": ("libopus", 48_000),
    "wav": ("pcm_mulaw", 8_000),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=200, help="how many recordings to use")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        paths = make_set(options.folder, Path(scratch), options.files)
        figures = measure_stages(paths) | measure_command(paths, options.jobs)
    for name, value in figures.items():
        print(f"{name:44} {value:10.2f}" if isinstance(value, float) else f"{name:44} {value:>10}")
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def make_set(folder: Path, scratch: Path, count: int) -> list[Path]:
    """Every second recording as it is, the others transcoded in turn; spread evenly over the folder."""
    sources = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    chosen = sources[:: max(1, len(sources) // count)][:count]
    made = []
    for index, source in enumerate(chosen):
        if index % 2 == 0:
            made.append(source)
            continue
        suffix, (codec, rate_hz) = list(TRANSCODED.items())[index // 2 % len(TRANSCODED)]
        target = scratch / f"{index:04}.{suffix}"
        transcode(source, target, codec, rate_hz)
        made.append(target)
    return made


def transcode(source: Path, target: Path, codec: str, rate_hz: int) -> None:
    """Encode one recording in mono."""
    import av

    with av.open(source) as reading, av.open(target, "w") as writing:
        stream: Any = writing.add_stream(codec, rate=rate_hz, layout="mono")
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate_hz)
        for frame in [*reading.decode(audio=0), None]:
            for resampled in resampler.resample(frame):
                writing.mux(stream.encode(resampled))
        writing.mux(stream.encode(None))


def measure_stages(paths: list[Path]) -> dict[str, Any]:
    """Decode, quality and score one after the other in this process, one thread each."""
    import torch

    from covoguard.detect.network import load_detector

    torch.set_num_threads(1)
    decoded, decode_s = timed(decode_all, paths)
    audio_s = sum(each.audio.duration_s for each in decoded)
    voice = VoiceActivity()
    measure_quality(decoded[0], voice)
    qualities, quality_s = timed(lambda items: [measure_quality(each, voice) for each in items], decoded)
    figures: dict[str, Any] = {
        "files": len(paths),
        "audio_s": audio_s,
        "decode, x real time": audio_s / decode_s,
        "quality (levels, VAD, SNR), x real time": audio_s / quality_s,
    }
    pairs = list(zip(decoded, qualities, strict=True))
    for name in (name for name in SCORERS.names() if SCORERS.get(name).how_to_get is None):
        scorer = SCORERS.get(name).load()
        scorer.score(decoded[0].audio, regions=qualities[0].speech)
        _, score_s = timed(partial(score_all, scorer), pairs)
        figures[f"score {name}, x real time"] = audio_s / score_s
    detector = load_detector(SCORERS.get("logband-resnet").load().model)
    with torch.inference_mode():
        windows = list(all_windows(pairs))
        detector(torch.from_numpy(windows[0])[None])
        _, torch_s = timed(lambda items: [float(detector(torch.from_numpy(each)[None])[0]) for each in items], windows)
    figures["score logband-resnet in torch, x real time"] = audio_s / torch_s
    figures["onnxruntime over torch"] = figures["score logband-resnet, x real time"] * torch_s / audio_s
    return figures


def decode_all(paths: list[Path]) -> list[DecodedAudio]:
    """Through one decoder process, as a scan with one job does."""
    decoded = []
    with AudioReader() as reader:
        for path in paths:
            with open_input(path) as opened:
                decoded.append(reader.read(opened))
    return decoded


def score_all(scorer: Scorer, pairs: list[tuple[DecodedAudio, Quality]]) -> list[Evidence]:
    """As a scan does, without decoding and quality."""
    return [scorer.score(each.audio, regions=quality.speech) for each, quality in pairs]


def all_windows(pairs: Iterable[tuple[DecodedAudio, Quality]]) -> Iterable[Float32Array]:
    """The same windows that the scorers cut."""
    for each, quality in pairs:
        windows: list[Segment] = speech_windows(quality.speech, each.audio.duration_s)
        for window in windows:
            first, last = (round(edge_s * DETECTOR_RATE_HZ) for edge_s in (window.start_s, window.end_s))
            samples = each.audio.samples[first:last]
            if np.any(samples):
                yield samples


def measure_command(paths: list[Path], jobs: int) -> dict[str, Any]:
    """Whole commands in processes of their own: start-up, one job, one job per core, peak memory."""
    covoguard = [sys.executable, "-m", "covoguard"]
    scan = [*covoguard, "scan", "-q", "--exit-zero", "-f", "jsonl"]
    help_run, one_run = run([*covoguard, "--help"]), run([*scan, str(paths[0])])
    figures: dict[str, Any] = {
        "covoguard --help, s": help_run.elapsed_s,
        "covoguard scan of one file, s": one_run.elapsed_s,
    }
    for count in sorted({1, jobs}):
        whole = run([*scan, "--jobs", str(count), "--files-from", "-"], "\n".join(map(str, paths)))
        records = [json.loads(line) for line in whole.output.splitlines()]
        if len(records) != len(paths):
            raise RuntimeError(f"{len(records)} records for {len(paths)} files")
        audio_s = sum(record["input"]["duration_s"] or 0.0 for record in records)
        figures[f"whole scan, {count} job(s), x real time"] = audio_s / whole.elapsed_s
        figures[f"whole scan, {count} job(s), files per s"] = len(paths) / whole.elapsed_s
        figures[f"whole scan, {count} job(s), largest process, MiB"] = whole.peak_mib
    return figures


@dataclass(frozen=True)
class Run:
    """One finished command; `peak_mib` is the memory of its largest process."""

    output: str
    elapsed_s: float
    peak_mib: float


WRAPPER = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""
"""Linux counts the memory of the process that starts a command as the command's own, so a small one starts it."""


def run(command: list[str], standard_input: str = "") -> Run:
    """Run a command that must succeed."""
    start_s = time.perf_counter()
    wrapped = [sys.executable, "-S", "-c", WRAPPER, *command]
    done = subprocess.run(wrapped, input=standard_input, capture_output=True, text=True, check=True)
    elapsed_s = time.perf_counter() - start_s
    return Run(done.stdout, elapsed_s, int(done.stderr.splitlines()[-1]) / 1024)


def timed(work: Callable[[Any], Any], argument: Any) -> tuple[Any, float]:
    """What `work` gives, and the seconds it took."""
    start_s = time.perf_counter()
    result = work(argument)
    return result, time.perf_counter() - start_s


if __name__ == "__main__":
    main()
