"""A tiny made-up collection of labelled clips, for tests of training: noise in syllables, with a whistle in spoofs."""

import csv

import numpy as np
import soundfile

COLUMNS = ("clip", "file", "label", "generator", "family", "kind", "source", "speaker", "fold", "orig_sr")


def speechlike(rng, spoof, duration_s=1.2):
    """Samples (n,) at 16 kHz."""
    count = int(16_000 * duration_s)
    time = np.arange(count) / 16_000
    samples = rng.standard_normal(count) * (0.2 + np.abs(np.sin(2 * np.pi * rng.uniform(2, 4) * time)))
    if spoof:
        samples = samples + 3 * np.sin(2 * np.pi * 3000 * time) * np.abs(np.sin(2 * np.pi * 5 * time))
    return (0.1 * samples / np.std(samples)).astype(np.float32)


def write_collection(folder, clips=32, duration_s=1.2):
    """`manifest.csv` with two folds, two families and two sources in each; -> its path."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    rows = []
    for index in range(clips):
        spoof, fold, half = index % 2 == 1, (index // 2) % 2, (index // 4) % 2
        name, group = f"{index}.flac", f"{fold}{half}"
        soundfile.write(folder / name, speechlike(rng, spoof, duration_s), 16_000)
        genuine = ["bonafide", "", "", "real", f"S{group}", f"a{index % 8}"]
        who = ["spoof", "G", f"F{group}", "tts", f"S{group}", ""] if spoof else genuine
        rows.append([str(index), name, *who, str(fold), "16000"])
    return write_rows(folder / "manifest.csv", [dict(zip(COLUMNS, row, strict=True)) for row in rows])


def read_rows(manifest):
    with manifest.open(newline="") as file:
        return list(csv.DictReader(file))


def write_rows(manifest, rows):
    with manifest.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return manifest
