"""One path of rows along slots, evaluated by itself in float64: the token-by-token view of a hypothesis."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..table import MarkTable
from .evalue import LayerEvidence, chunk_starts
from .hypotheses import CHUNK, Layer, Stretches, stretches
from .keytables import KeyTables, path_evidence
from .rows import TokenRows
from .tails import Float64Array, log_e_values, sharp_log_p, tilted_bounds

IntArray = npt.NDArray[np.int64]


class PathValues(Protocol):
    """Where the evidence of a path comes from; differs between the seedings."""

    def __call__(self, rows: TokenRows, start: int) -> Float64Array:
        """Log m, float64 (t,), of the tokens whose rows are `rows`, the first at start slot `start`."""
        ...


@dataclass(frozen=True)
class SlotValues:
    """Token t takes slot (start + t) mod n_slots."""

    tables: KeyTables

    def __call__(self, rows: TokenRows, start: int) -> Float64Array:
        """See `PathValues`."""
        return path_evidence(rows, self.tables, (start + np.arange(len(rows))) % self.tables.table.n_slots)


@dataclass(frozen=True, eq=False)
class Path:
    """A layer in one block from one start slot: all of a hypothesis but its stretch."""

    layer: Layer
    start_slot: int
    log_prior: float
    """log of its weight, which its stretches share."""
    rows: TokenRows = field(repr=False)
    """The rows of its tokens, in order."""
    row_numbers: IntArray = field(repr=False)
    """Of these rows in the whole sound."""
    log_m: Float64Array = field(repr=False)
    """float64 (t,): evidence of each token."""
    log_e_each: Float64Array = field(repr=False)
    """float64 (n_stretches,): log of weight times e-value of each stretch."""

    @property
    def family(self) -> Stretches:
        """The stretches of the path, in chunks."""
        return stretches(len(chunk_starts(len(self.log_m))))

    def tokens(self, stretch: int) -> slice:
        """The tokens of a stretch of the family."""
        family = self.family
        return slice(int(family.start[stretch]) * CHUNK, min(len(self.log_m), int(family.end[stretch]) * CHUNK))

    @property
    def seconds(self) -> Float64Array:
        """Where each token begins in the sound as it was given, and where the last ends: float64 (t + 1,)."""
        end = self.row_numbers[-1] + self.layer.rate * self.rows.cells_per_token
        return np.append(self.row_numbers, end) / self.rows.rate_hz / self.rows.speed

    def log10_p(self, stretch: int) -> float:
        """Certified p-value of a stretch, corrected for the whole search."""
        return min(0.0, -float(self.log_e_each[stretch]) / float(np.log(10)))

    def log10_p_sharp(self, stretch: int, table: MarkTable) -> float:
        """Saddlepoint p-value of a stretch, corrected alike; close to the truth but not certified."""
        tokens = self.tokens(stretch)
        numbers = np.arange(len(self.log_m))[tokens]
        log_p = sharp_log_p(self.log_m[tokens], self.rows.at(numbers), table)
        log_weight = self.log_prior + float(self.family.log_weight[stretch])
        return min(0.0, (log_p - log_weight) / float(np.log(10)))


def trace(evidence: LayerEvidence, stretch: int, rows: TokenRows, tables: KeyTables, values: PathValues) -> Path:
    """The path on which `stretch` of a layer has its evidence; `rows` are those of the whole sound."""
    block = np.arange(len(rows))[evidence.block]
    numbers = block[evidence.layer.rows(len(block), rows.cells_per_token)]
    chosen = rows.at(numbers)
    start = int(evidence.start_slots[stretch])
    log_m = values(chosen, start)
    firsts = chunk_starts(len(numbers))
    family = evidence.stretches
    sums = _between(np.add.reduceat(log_m, firsts)[:, None], family)[:, 0]
    bounds = _between(
        np.add.reduceat(tilted_bounds(chosen, tables.table, all_scored=tables.all_scored), firsts, axis=0), family
    )
    log_e_each = log_e_values(sums, bounds) + family.log_weight + evidence.log_prior
    return Path(evidence.layer, start, evidence.log_prior, chosen, numbers, log_m, log_e_each)


def _between(per_chunk: Float64Array, family: Stretches) -> Float64Array:
    until = np.concatenate((np.zeros((1, per_chunk.shape[1])), np.cumsum(per_chunk, axis=0)))
    return np.asarray(until[family.end] - until[family.start])
