"""The front end beside the official one: sound at 24 and 16 kHz, counts, and log-mels."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from covoguard.core.rates import COVO_RATE_HZ
from covoguard.generate.covo.config import CovoConfig
from covoguard.generate.covo.language.features import EAR_RATE_HZ, FrontEnd, halved, reference_wave

from ..report import Report

WAVE = 1e-5
LOG_MEL = 3e-5


def check(folder: Path, report: Report) -> None:
    """Compare every case of `mel_meta.json`, and the counts listed there."""
    meta = json.loads((folder / "mel_meta.json").read_text())
    golden = load_file(folder / "mel_golden.safetensors")
    config = folder / "lm_config.json"
    front = FrontEnd.of(CovoConfig.from_json(json.loads(config.read_text()), str(config)))
    for name, case in meta.items():
        if f"{name}.wav_i16" in golden:
            _check_wave(name, case, golden, front, report)
        elif name == "calc_seq_len":
            times = front.row_frames.bit_length() - 1
            report.exact(name, {count: halved(int(count), times) for count in case}, case)
        elif name.startswith("tiled_"):
            base = pcm(golden["tiled_base_i16"])
            _check_tiled(name, case, np.resize(base, case["n_in"]), front, report)


def pcm(samples: torch.Tensor) -> np.ndarray:
    """PCM16 (n,) or (n, channels) as float32 (n,) or (channels, n)."""
    return (samples.numpy().T / 32768).astype(np.float32)


def segment_lengths(front: FrontEnd, wave: torch.Tensor) -> list[int]:
    """How many samples at 24 kHz each window holds."""
    return [len(segment) * COVO_RATE_HZ // EAR_RATE_HZ for segment in front.reference_segments(wave)]


def _check_wave(name: str, case: dict, golden: dict[str, torch.Tensor], front: FrontEnd, report: Report) -> None:
    wave = reference_wave(pcm(golden[f"{name}.wav_i16"]), case["sr"])
    report.close(f"{name}.wav24k", wave, golden[f"{name}.wav24k"], WAVE)
    report.exact(f"{name} samples at 24 kHz", len(wave), case["n_24k"])
    report.exact(f"{name} segments", segment_lengths(front, wave), case["segments"])
    report.exact(f"{name} placeholders", front.reference_rows(len(wave)), case["num_caudio"])
    segments = front.reference_segments(wave)
    heard = torch.cat(segments)[: case["n_16k"]]
    report.close(f"{name}.wav16k", heard, golden[f"{name}.wav16k"], WAVE)
    log_mel = front.log_mel(segments[0])
    for part in ("head", "last4"):
        expected = golden[f"{name}.logmel_{part}"]
        frames = expected.shape[1]
        report.close(
            f"{name}.logmel_{part}", log_mel[:, :frames] if part == "head" else log_mel[:, -frames:], expected, LOG_MEL
        )
    report.close(f"{name} log-mel maximum", log_mel.max(), np.array(case["logmel_max"]), LOG_MEL)
    report.close(f"{name} log-mel mean", log_mel.mean(), np.array(case["logmel_mean"]), LOG_MEL)


def _check_tiled(name: str, case: dict, samples: np.ndarray, front: FrontEnd, report: Report) -> None:
    wave = reference_wave(samples, COVO_RATE_HZ)
    lengths = segment_lengths(front, wave)
    report.exact(f"{name} segments", lengths, case["segments"])
    report.exact(f"{name} placeholders", front.reference_rows(len(wave)), case["num_caudio"])
    report.exact(f"{name} rows of the adapter", front.rows_per_window * len(lengths), case["adapter_rows"])
