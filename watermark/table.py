"""The public table of a mark: what sampler and test must agree on, versioned and hashed.

It holds no secret. Its hash enters the derivation of every subkey, so a key never gives the same numbers under
two tables.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from ..core.errors import IntegrityError, ModelMissing
from ..core.jsonrecord import from_json
from ..core.records import Int32Array
from .stream import SubkeySource, mark_subkeys

TABLE_VERSION = 1
DEFAULT_SLOTS = 4096
"""163.84 s at 25 tokens per second: longer than almost every utterance, 12 bits of search."""

Seeding = Literal["slot", "context1"]
Mixture = tuple[tuple[float, float], ...]
"""Pairs (weight, exponent)."""

FloatArray = TypeVar("FloatArray", npt.NDArray[np.float32], npt.NDArray[np.float64])


@dataclass(frozen=True)
class MarkTable:
    """How marked tokens of one model are sampled and scored. Raises `ValueError` for values that cannot be.

    Two tables are equal when their hashes are.
    """

    model: str
    """Name and version of the speech-token model."""
    codebook_size: int
    cluster_of: Int32Array = field(compare=False, repr=False)
    """int32 (codebook_size,): the cluster of each code, 0 … n_clusters - 1, none empty. Read by levels=2 only."""
    mixtures: tuple[Mixture, ...]
    """One per surprisal class: r(u) = Σ weight · exponent · u^(exponent - 1), weights sum to 1, exponents >= 1."""
    surprisal_edges_bits: tuple[float, ...] = ()
    """Rising edges between the surprisal classes, one fewer than `mixtures`."""
    n_slots: int = DEFAULT_SLOTS
    levels: int = 1
    """1: one draw per token; 2: the cluster first, then the token inside it."""
    seeding: Seeding = "slot"
    """What picks a token's stream: its position (`slot`) or the token before it (`context1`)."""
    nominal_bits_per_frame: float = 0.0
    """Evidence that clean marked speech gives per token, log2, measured; 0: not measured."""
    version: int = TABLE_VERSION
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        """Make the values canonical, check them, hash them."""
        clusters = np.array(self.cluster_of, np.int32)
        clusters.setflags(write=False)
        object.__setattr__(self, "cluster_of", clusters)
        object.__setattr__(self, "mixtures", tuple(tuple((float(w), float(a)) for w, a in m) for m in self.mixtures))
        object.__setattr__(self, "surprisal_edges_bits", tuple(float(edge) for edge in self.surprisal_edges_bits))
        object.__setattr__(self, "nominal_bits_per_frame", float(self.nominal_bits_per_frame))
        _check_shape(self)
        _check_mixtures(self)
        object.__setattr__(self, "sha256", hashlib.sha256(_canonical(self._content())).hexdigest())

    @property
    def n_clusters(self) -> int:
        """How many clusters there are."""
        return int(self.cluster_of.max()) + 1

    @property
    def purposes(self) -> tuple[str, ...]:
        """The purposes of the subkeys of this table: `token`, `payload`, and `cluster` for two levels."""
        return ("token", "payload") if self.levels == 1 else ("cluster", "token", "payload")

    @property
    def first_context(self) -> int:
        """The stream of an utterance's first token under `context1`: n_slots, or above it the first that is no code."""
        return max(self.n_slots, self.codebook_size)

    def subkeys(self, key: SubkeySource) -> Mapping[str, bytes]:
        """The subkeys of `key` for this table, by purpose."""
        return mark_subkeys(key, self.purposes, model=self.model, table_sha256=self.sha256)

    def mixture_index(self, surprisal_bits: npt.ArrayLike | None, n: int) -> Int32Array:
        """The surprisal class of each of `n` frames, int32 (n,); all in the last class when nothing is known."""
        if surprisal_bits is None:
            return np.full(n, len(self.mixtures) - 1, np.int32)
        return np.searchsorted(self.surprisal_edges_bits, surprisal_bits, side="right").astype(np.int32)

    def to_json(self) -> str:
        """The canonical form: keys sorted, no spaces, shortest exact numbers, with the hash of all the rest."""
        return _canonical({**self._content(), "sha256": self.sha256}).decode()

    def _content(self) -> dict[str, Any]:
        names = (each.name for each in dataclasses.fields(self) if each.name != "sha256")
        return {**{name: getattr(self, name) for name in names}, "cluster_of": self.cluster_of.tolist()}


@dataclass(frozen=True)
class _TableFile:
    """`MarkTable` as it lies in a file."""

    model: str
    codebook_size: int
    cluster_of: tuple[int, ...]
    mixtures: tuple[tuple[tuple[float, float], ...], ...]
    surprisal_edges_bits: tuple[float, ...]
    n_slots: int
    levels: int
    seeding: Seeding
    nominal_bits_per_frame: float
    version: int
    sha256: str


def table_from_json(content: str | bytes, source: str = "mark table") -> MarkTable:
    """Read a table back; `source` names it in errors.

    Raises `IntegrityError` when it is not JSON, lacks something, holds impossible values or differs from the
    hash that it carries.
    """
    try:
        stored = from_json(_TableFile, json.loads(content))
        fields = {each.name: getattr(stored, each.name) for each in dataclasses.fields(stored)}
        sha256 = fields.pop("sha256")
        table = MarkTable(**{**fields, "cluster_of": np.array(stored.cluster_of, np.int32)})
    except (ValueError, OverflowError, RecursionError) as error:
        raise IntegrityError(f"{source}: not a mark table ({error}); install the model again") from error
    if table.sha256 != sha256:
        raise IntegrityError(f"{source}: differs from the hash that it carries; install the model again")
    return table


def load_table(path: Path) -> MarkTable:
    """Read a table file. Raises `ModelMissing` when it cannot be read, else as `table_from_json`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelMissing(f"{path}: no mark table here ({error.strerror}); install the model again") from error
    return table_from_json(content, str(path))


def density_ratio(mixture: Mixture, u: FloatArray) -> FloatArray:
    """r(u) = Σ w a u^(a-1), of the shape and type of `u` in (0, 1]: how much likelier `u` is for a marked token.

    Integrates to 1 over (0, 1) and never falls. Beta(a, 1) is the law of the chosen u when the token had
    probability 1/a (Aaronson's Gumbel-max mark), so a mixture covers tokens of several probabilities.
    """
    total = np.zeros_like(u)
    for weight, exponent in mixture:
        total += weight * exponent * u ** (exponent - 1)
    return total


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _check_shape(table: MarkTable) -> None:
    if table.version != TABLE_VERSION:
        raise ValueError(f"version is {table.version}; this program reads {TABLE_VERSION}")
    if not table.model:
        raise ValueError("the model has no name")
    if table.levels not in (1, 2) or table.seeding not in ("slot", "context1"):
        raise ValueError(f"levels is {table.levels!r} and seeding {table.seeding!r}; known are 1, 2, slot, context1")
    if table.codebook_size < 2 or not 1 <= table.n_slots <= 1 << 24:
        raise ValueError(f"codebook of {table.codebook_size} or {table.n_slots} slots: too few or too many")
    if table.cluster_of.shape != (table.codebook_size,):
        raise ValueError(f"cluster_of has the shape {table.cluster_of.shape}, the codebook {table.codebook_size} codes")
    found = np.unique(table.cluster_of)
    if not np.array_equal(found, np.arange(len(found))):
        raise ValueError("cluster ids must be 0, 1, 2 … with none left out")
    if not (math.isfinite(table.nominal_bits_per_frame) and table.nominal_bits_per_frame >= 0):
        raise ValueError(f"nominal_bits_per_frame is {table.nominal_bits_per_frame}; it must be finite and not below 0")


def _check_mixtures(table: MarkTable) -> None:
    edges = table.surprisal_edges_bits
    if len(table.mixtures) != len(edges) + 1:
        raise ValueError(f"{len(table.mixtures)} mixtures for {len(edges)} edges; there must be one more than edges")
    if not all(map(math.isfinite, edges)) or any(b <= a for a, b in pairwise(edges)):
        raise ValueError("surprisal_edges_bits must be finite and rise")
    for mixture in table.mixtures:
        if not all(w >= 0 and math.isfinite(a) and a >= 1 for w, a in mixture):
            raise ValueError(f"mixture {mixture}: weights must not be below 0 nor exponents below 1")
        # 1e-9: the e-value's mean over keys is this sum to the power of the frames, so 1e5 frames stay within 1e-4
        if not math.isclose(math.fsum(w for w, _ in mixture), 1.0, abs_tol=1e-9):
            raise ValueError(f"mixture {mixture}: the weights do not sum to 1")
