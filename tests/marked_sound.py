"""Sound that spells its tokens out, a recoverer that reads them back, and marks under real keys.

Token v of 40 ms is a tone burst whose level says v, so files of any lossless format carry the tokens and tests need
no trained model. Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import json
from pathlib import Path

import numpy as np

from covoguard.core.keys import SecretKey
from covoguard.core.modelcard import ModelFolder, open_model, seal_model
from covoguard.core.records import Audio, Posteriors
from covoguard.watermark.payload import Payload
from covoguard.watermark.sampling import SlotGumbel
from covoguard.watermark.table import MarkTable

CODES = 64
RATE_HZ = 16_000
TOKEN_SAMPLES = 640
NOW = "2025-01-01T00:00:00Z"
TABLE = MarkTable(
    model="spelled@1",
    codebook_size=CODES,
    cluster_of=np.arange(CODES) // 4,
    mixtures=(((0.3, 1.0), (0.4, 4.0), (0.3, 24.0)),),
    n_slots=512,
    nominal_bits_per_frame=1.5,
)
_TONE = np.where(np.arange(TOKEN_SAMPLES) % 8 < 4, 1.0, -1.0).astype(np.float32)


def spelled(tokens: np.ndarray) -> np.ndarray:
    """Samples float32 (640 n,) at 16 kHz of tokens (n,)."""
    levels = (np.asarray(tokens, np.float32) + 1) / (CODES + 2)
    return (levels[:, None] * _TONE).reshape(-1)


def marked_tokens(
    key: SecretKey, n: int, *, seed: int = 0, table: MarkTable = TABLE, payload: Payload | None = None
) -> np.ndarray:
    """`n` tokens of about 4 bits each, sampled with the mark of `key`."""
    mark = SlotGumbel.from_key(key, table, start_slot=17 + seed, payload=payload)
    return np.array([int(mark.sample(probs[None], slot)[0]) for slot, probs in enumerate(token_probs(n, seed))])


def plain_tokens(n: int, *, seed: int = 0) -> np.ndarray:
    """`n` tokens of the same kind without a mark."""
    rng = np.random.default_rng([1, seed])
    return np.array([rng.choice(CODES, p=probs / probs.sum()) for probs in token_probs(n, seed).astype(np.float64)])


def token_probs(n: int, seed: int) -> np.ndarray:
    """Float32 (n, CODES): Zipf over the codes in an order of each token's own."""
    rng = np.random.default_rng([2, seed])
    zipf = 1 / np.arange(1, CODES + 1, dtype=np.float64)
    return np.stack([rng.permutation(zipf / zipf.sum()) for _ in range(n)]).astype(np.float32)


class SpelledRecoverer:
    """Reads the level of each 20 ms; sure of what it reads. Counts how often it is asked."""

    codebook_size = CODES

    def __init__(self, model: ModelFolder, failure: Exception | None = None) -> None:
        self.model = model
        self.asked = 0
        self._failure = failure

    def recover(self, audio: Audio, *, speed: float = 1.0) -> Posteriors:
        self.asked += 1
        if self._failure:
            raise self._failure
        cell = TOKEN_SAMPLES // 2
        n = int(len(audio.samples) / speed) // cell
        at = (np.arange(n * cell) * speed).astype(int)
        levels = np.abs(audio.samples[at]).reshape(n, cell).mean(axis=1)
        ids = np.clip(np.rint(levels * (CODES + 2) - 1), 0, CODES - 1).astype(np.int32)
        probs = np.full((n, 1), 0.9, np.float32)
        return Posteriors(ids[:, None], probs, 1 - probs[:, 0], 50)


def spelled_model(folder: Path, table: MarkTable = TABLE) -> ModelFolder:
    """A whole model folder with the mark table and no network."""
    folder.mkdir(parents=True, exist_ok=True)
    card = {"id": "spelled", "version": 1, "detector": "none", "weights": "none.bin"}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "none.bin").write_bytes(b"none")
    (folder / "mark_table.json").write_text(table.to_json(), encoding="utf-8")
    seal_model(folder)
    return open_model(folder)


def a_key(seed: int = 1, epoch: int = 1) -> SecretKey:
    """A key that no ring holds."""
    master = np.random.default_rng([3, seed, epoch]).bytes(32)
    return SecretKey(f"k{seed:010x}", epoch, master, created_utc=NOW)


def audio_of(tokens: np.ndarray) -> Audio:
    return Audio(spelled(tokens), RATE_HZ)
