"""The test where the token before picks the stream (`seeding="context1"`): paths without start slots."""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .evalue import LayerEvidence, chunk_starts, layer_evidence
from .hypotheses import Grid
from .keytables import KeyTables, expand_streams, path_evidence
from .rows import TokenRows
from .tails import Float64Array, tilted_bounds


@dataclass(frozen=True, eq=False)
class ContextValues:
    """Token t takes the stream of the best code of token t - 1; `PathValues` for this seeding.

    A path scores each context once, where it comes first: the sampler marks no context twice, and scored twice the
    evidence of two tokens would not be independent.
    """

    tables: KeyTables
    """Column j of the bins belongs to context `contexts[j]`."""
    contexts: npt.NDArray[np.int64] = field(repr=False)

    def __call__(self, rows: TokenRows, start: int) -> Float64Array:
        """Log m of a path, float64 (t,); `start` has no meaning here."""
        context = np.concatenate(([self.tables.table.first_context], best_codes(rows)))[: len(rows)]
        column = np.searchsorted(self.contexts, context)
        log_m = path_evidence(rows, self.tables, column)
        first = np.zeros(len(rows), np.bool_)
        first[np.unique(context, return_index=True)[1]] = True
        return np.where(first, log_m, 0.0)


def best_codes(rows: TokenRows) -> npt.NDArray[np.int64]:
    """The likeliest code of each row, int64 (n,); one past the codebook where there is none."""
    weights = rows.weights
    best = np.full(len(rows), weights.shape[1], np.int64)
    lengths = np.diff(weights.indptr)
    row = np.repeat(np.arange(len(rows)), lengths)
    order = np.lexsort((-weights.indices, weights.data, row))
    ends = np.cumsum(lengths)[lengths > 0] - 1
    best[lengths > 0] = weights.indices[order][ends]
    return best


def context_values(rows: TokenRows, tables: KeyTables) -> ContextValues:
    """Expand the streams of all contexts that can occur among `rows`."""
    contexts = np.unique(np.append(best_codes(rows), tables.table.first_context))
    return ContextValues(expand_streams(tables, contexts.tolist()), contexts)


def context_layers(
    rows: TokenRows, block: slice, values: ContextValues, grid: Grid, steps: range, n_blocks: int
) -> list[LayerEvidence]:
    """The evidence of the layers of these rate steps, in full: there is no start slot to search."""
    part = rows.at(block)
    bounds = tilted_bounds(part, values.tables.table, all_scored=False)
    found = []
    for layer in (grid.layer(rows.speed, step, phase) for step in steps for phase in range(grid.cells_per_token)):
        path = layer.rows(len(part), grid.cells_per_token)
        if not len(path):
            continue
        log_m = values(part.at(path), 0)
        firsts = chunk_starts(len(path))
        sums = np.add.reduceat(log_m, firsts)[:, None].astype(np.float32)
        path_bounds = np.add.reduceat(bounds[path], firsts, axis=0)
        start = np.zeros(1, np.int64)
        found.append(layer_evidence(layer, block, sums, start, path_bounds, layer.log_weight - math.log(n_blocks)))
    return found
