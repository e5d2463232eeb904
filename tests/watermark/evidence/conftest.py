"""Speech tokens and recoverers that exist only as numbers: what the test of presence is tried on."""

from dataclasses import dataclass

import numpy as np
import pytest

from covoguard.core.records import Posteriors
from covoguard.watermark.evidence.keytables import N_BINS, KeyTables
from covoguard.watermark.sampling import SlotGumbel
from covoguard.watermark.table import MarkTable

CODES = 256
MIXTURE = ((0.2, 1.0), (0.3, 1.5), (0.2, 2.5), (0.1, 5.0), (0.1, 16.0), (0.1, 64.0))
CLASSES = (((0.7, 1.0), (0.3, 1.4)), ((0.2, 1.0), (0.5, 2.5), (0.3, 5.0)), ((0.3, 3.0), (0.4, 12.0), (0.3, 48.0)))
EDGES = (0.7, 2.2)


def make_table(**settings):
    settings = {"mixtures": (MIXTURE,), "n_slots": 512, "nominal_bits_per_frame": 0.8} | settings
    return MarkTable("simulated@1", CODES, np.arange(CODES) // 4, **settings)


def subkeys_of(number):
    return {purpose: bytes([number, index]) * 16 for index, purpose in enumerate(("token", "cluster", "payload"))}


@dataclass
class Simulation:
    """A speaker and a recoverer. The recoverer confuses each code with eight others, as noise of `clarity` has it."""

    seed: int
    clarity: float = 2.4
    entropy_bits: float = 2.5
    confusions: int = 8

    def __post_init__(self):
        self.rng = np.random.default_rng(self.seed)
        fixed = np.random.default_rng(0)
        self.alike = np.array([fixed.permutation(CODES)[: self.confusions + 1] for _ in range(CODES)])

    def probs(self, n):
        """Zipf-like distributions of varied entropy, (n, CODES)."""
        slopes = np.linspace(0.3, 8, 100)
        shapes = np.arange(1, CODES + 1.0)[None] ** -slopes[:, None]
        shapes /= shapes.sum(axis=1, keepdims=True)
        entropies = -(shapes * np.log2(shapes + 1e-300)).sum(axis=1)
        wanted = np.clip(self.entropy_bits * np.exp(self.rng.normal(-0.15, 0.5, n)), 0.1, 6)
        rows = shapes[np.searchsorted(-entropies, -wanted).clip(0, 99)]
        return self.rng.permuted(rows, axis=1).astype(np.float32)

    def tokens(self, seconds, mark=None):
        """Tokens (n,) and the surprisal of each in bits, sampled by `mark` or (None) by chance."""
        probs = self.probs(round(seconds * 25))
        if mark is None:
            ids = np.array([self.rng.choice(CODES, p=row / row.sum()) for row in probs.astype(np.float64)])
        else:
            ids = mark.sample(probs, np.arange(len(probs)))
        return ids, -np.log2(probs[np.arange(len(probs)), ids])

    def hear(self, tokens, *, cells=None, first_cell=0.0, token_cells=2.0, surprisal=False):
        """Posteriors at 50 Hz; token t lies from `first_cell` + t · `token_cells` on, silence around."""
        ids, bits = tokens
        n = round(len(ids) * token_cells) if cells is None else cells
        token = np.floor((np.arange(n) + 0.5 - first_cell) / token_cells).astype(int)
        spoken, token = (token >= 0) & (token < len(ids)), token.clip(0, len(ids) - 1)
        names = np.where(self.alike[ids] == ids[:, None], (self.alike[ids] + 1) % CODES, self.alike[ids])
        names[:, 0] = ids
        heard = self.rng.normal(size=names.shape)[token] * 0.84 + self.rng.normal(size=(n, names.shape[1])) * 0.55
        heard[:, 0] += self.clarity * spoken
        probs = np.exp(self.clarity * heard)
        probs *= 0.98 / probs.sum(axis=1, keepdims=True)
        order = np.argsort(-probs, axis=1)
        names, probs = np.take_along_axis(names[token], order, axis=1), np.take_along_axis(probs, order, axis=1)
        return posteriors_of(names, probs, bits[token] * self.rng.lognormal(0, 0.3, n) if surprisal else None)


def posteriors_of(ids, probs, surprisal=None, rate_hz=50):
    probs = np.asarray(probs, np.float32)
    return Posteriors(
        np.asarray(ids, np.int32),
        probs,
        (1 - probs.sum(axis=1)).astype(np.float32),
        rate_hz,
        None if surprisal is None else np.asarray(surprisal, np.float32),
    )


def joined(*parts):
    return posteriors_of(np.concatenate([p.ids for p in parts]), np.concatenate([p.probs for p in parts]))


def random_key(table, rng):
    """The tables of a key drawn at random, without the work of deriving them."""
    clusters = rng.integers(0, N_BINS, (table.n_clusters, table.n_slots)).astype(np.uint16)
    return KeyTables(
        table,
        {},
        rng.integers(0, N_BINS, (table.codebook_size, table.n_slots)).astype(np.uint16),
        clusters if table.levels == 2 else None,
        np.ones(table.n_slots, bool),
    )


@dataclass(frozen=True)
class World:
    """The helpers above, for tests to ask for by name."""

    Simulation = Simulation
    codes = CODES
    mixture = MIXTURE
    table = staticmethod(make_table)
    subkeys = staticmethod(subkeys_of)
    posteriors = staticmethod(posteriors_of)
    joined = staticmethod(joined)
    random_key = staticmethod(random_key)

    @staticmethod
    def classed_table(**settings):
        """A table whose mixtures depend on surprisal."""
        return make_table(mixtures=CLASSES, surprisal_edges_bits=EDGES, **settings)

    @staticmethod
    def mark(table, key_number=1, start_slot=100, payload=None):
        return SlotGumbel(table, subkeys_of(key_number), start_slot, payload)


@pytest.fixture(scope="session")
def world():
    return World()
