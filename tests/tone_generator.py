"""A generator that says each token as a tone, and the recoverer that hears it: a whole marked chain in no time.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import soxr

from covoguard.core.errors import UsageError
from covoguard.core.generatorsettings import DEFAULTS
from covoguard.core.modelcard import open_model, seal_model
from covoguard.core.records import Audio, Clip, Posteriors, Recipe, Tokens
from covoguard.watermark.table import MarkTable

RATE_HZ = 16_000
CODES = 64
SAMPLES_PER_TOKEN = RATE_HZ // 25
TOKENS_PER_WORD = 10


class ToneGenerator:
    """Says ten tokens per word, all equally likely; code c is a tone of 500 + 100 c Hz."""

    name = "tone"
    kind = "speech-lm"
    has_tokens = True
    voices = ("low", "high")
    rate_hz = RATE_HZ
    how_to_get = None

    def __init__(self, model):
        self.model = model

    @classmethod
    def load(cls, folder=None, settings=DEFAULTS):
        return cls(open_model(folder))

    def generate(self, prompt, *, mark, seed):
        words = prompt.text.split()
        if "unspeakable" in words:
            raise UsageError("cannot be said; write other words")
        if "crash" in words:
            raise ZeroDivisionError("a defect")
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(f"{prompt.text} {seed}".encode()).digest()[:8]))
        probs = np.full((1, CODES), 1 / CODES, np.float32)
        n = TOKENS_PER_WORD * len(words)
        ids = [int(mark.sample(probs, t)[0]) if mark else int(rng.integers(CODES)) for t in range(n)]
        tokens = Tokens(np.array(ids, np.int32), 25, CODES)
        recipe = Recipe(self.model.id, self.model.model_sha256, seed, (("temperature", 1.0),))
        return Clip(Audio(tones(tokens.ids), RATE_HZ), tokens, recipe)


class ToneRecoverer:
    """Hears the loudest tone of each 20 ms."""

    codebook_size = CODES

    def __init__(self, model):
        self.model = model

    def recover(self, audio, *, speed=1.0):
        samples = audio.samples
        if audio.rate_hz != RATE_HZ * speed:
            samples = soxr.resample(samples, audio.rate_hz, RATE_HZ * speed)
        n = len(samples) // 320
        cells = samples[: n * 320].reshape(n, 320)
        bins = np.abs(np.fft.rfft(cells))[:, 10 : 10 + 2 * CODES : 2]
        best = np.argsort(-bins, axis=1)[:, :2].astype(np.int32)
        probs = np.tile(np.array([0.9, 0.05], np.float32), (n, 1))
        return Posteriors(best, probs, np.full(n, 0.05, np.float32), rate_hz=50)


def tones(ids):
    """Sound of tokens, float32 (n * 640,)."""
    time_s = np.arange(SAMPLES_PER_TOKEN) / RATE_HZ
    return np.concatenate([0.3 * np.sin(2 * np.pi * (500 + 100 * code) * time_s) for code in ids]).astype(np.float32)


def build_tone_model(folder: Path, *, seeding="slot") -> None:
    """A whole model folder for `ToneGenerator`."""
    table = MarkTable(
        model="tone@1", codebook_size=CODES, cluster_of=np.arange(CODES) % 8, n_slots=256,
        mixtures=(((0.5, 20.0), (0.5, 64.0)),), nominal_bits_per_frame=4.0, seeding=seeding,
    )  # fmt: skip
    card = {"id": "tone", "version": "1", "generator": "tone", "weights": "w.bin", "licence": "CC0-1.0"}
    (folder / "w.bin").write_bytes(b"tones need no weights")
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "mark_table.json").write_text(table.to_json(), encoding="utf-8")
    seal_model(folder)
