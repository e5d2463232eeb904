"""Tests the promise about false alarms on the user's own sound: it is scored under keys that marked nothing.

A dummy key is drawn from a seed, so no real key can be among them and a run can be repeated. For one file the
p-values under independent keys are independent, so the share of pairs (file, key) with p <= a must not exceed a by
more than chance, whatever the files hold: speech of people or machines, music, noise, marked speech.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
import numpy.typing as npt

from ..core.proportion import upper_limit
from ..core.protocols import TokenRecoverer
from ..core.records import Audio
from ..core.selfcheckrecord import SelfCheck, Share
from ..watermark.evidence.keytables import expand_ratios
from ..watermark.evidence.presence import PresenceTest
from ..watermark.evidence.reading import MarkReading
from ..watermark.table import MarkTable
from .mark_evidence import DEFAULT_ALPHA, RecoveredPasses, why_not

BOUNDS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Where shares are compared: the points of a QQ plot of p-values."""
ALARM = 1e-3
"""A share is called above its bound when, were it at the bound, so many pairs would be less likely than this."""
_SUBKEY_BYTES = 32


class SelfCheckRun:
    """Scores sounds under one dummy key after another. What is done can be summed up at any time."""

    def __init__(
        self, recoverer: TokenRecoverer, table: MarkTable, sounds: Sequence[tuple[str, Audio]], *, seed: int
    ) -> None:
        """`sounds` are pairs of path and audio; those that are silent or shorter than a token are left out."""
        self._recoverer = recoverer
        self._table = table
        self._test = PresenceTest(table, DEFAULT_ALPHA)
        self._seed = seed
        self._sounds = [(path, RecoveredPasses(recoverer, audio)) for path, audio in sounds if why_not(audio) is None]
        self._keys = 0
        self._log10_ps: list[float] = []
        self._sum_e = 0.0
        self._largest: tuple[float, str] | None = None

    def keys(self, n_keys: int, jobs: int) -> Iterator[int]:
        """Score under `n_keys` keys, `jobs` at a time; gives the number done after each, the same for any `jobs`."""
        pool = ThreadPoolExecutor(jobs, thread_name_prefix="covoguard-selfcheck")
        numbers = iter(range(n_keys) if self._sounds else ())
        waiting = deque(pool.submit(self._readings, number) for number in islice(numbers, 2 * jobs))
        try:
            while waiting:
                self._count(waiting.popleft().result())
                waiting.extend(pool.submit(self._readings, number) for number in islice(numbers, 1))
                yield self._keys
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def summary(self) -> SelfCheck:
        """What the pairs so far show."""
        pairs = len(self._log10_ps)
        shares = tuple(_share(bound, np.asarray(self._log10_ps)) for bound in BOUNDS) if pairs else ()
        above = any(share.above for share in shares)
        return SelfCheck(
            outcome="nothing_tested" if not pairs else "above_bounds" if above else "within_bounds",
            files=len(self._sounds),
            keys=self._keys,
            pairs=pairs,
            seed=self._seed,
            shares=shares,
            mean_e=self._sum_e / pairs if pairs else None,
            largest_log10_e=self._largest[0] if self._largest else None,
            largest_e_path=self._largest[1] if self._largest else None,
            model=self._table.model,
            table_sha256=self._table.sha256,
            recoverer_sha256=self._recoverer.model.model_sha256,
        )

    def _readings(self, number: int) -> list[MarkReading]:
        rng = np.random.default_rng([self._seed, number])
        subkeys = {purpose: rng.bytes(_SUBKEY_BYTES) for purpose in self._table.purposes}
        tables = expand_ratios(self._test.prepare(subkeys))
        return [self._test.test(passes, tables) for _, passes in self._sounds]

    def _count(self, readings: Sequence[MarkReading]) -> None:
        self._keys += 1
        for (path, _), reading in zip(self._sounds, readings, strict=True):
            if reading.log10_p is None or reading.log10_e is None:
                continue
            self._log10_ps.append(reading.log10_p)
            self._sum_e += 10.0 ** min(reading.log10_e, 300.0)
            if self._largest is None or reading.log10_e > self._largest[0]:
                self._largest = (reading.log10_e, path)


def _share(bound: float, log10_ps: npt.NDArray[np.float64]) -> Share:
    from scipy.stats import binom

    n = len(log10_ps)
    k = int((log10_ps <= math.log10(bound)).sum())
    return Share(bound, k, k / n, upper_limit(k, n), above=bool(binom.sf(k - 1, n, bound) < ALARM))
