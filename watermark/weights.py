"""The secret weights that a mark's draws compare by, and the grid on which masses are summed."""

from dataclasses import dataclass, field

from ..core.records import Float32Array

MASS_SCALE = 2.0**48
"""Cluster masses are sums of p rounded to multiples of 1 / this: each partial sum is then exact in float64, so
the order of summation cannot matter."""


@dataclass(frozen=True, eq=False)
class StepWeights:
    """The secret weights of one step: `token` (b, codebook), and for two levels `cluster` (b, n_clusters)."""

    token: Float32Array = field(repr=False)
    cluster: Float32Array | None = field(repr=False)
