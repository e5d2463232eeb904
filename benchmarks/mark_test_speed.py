"""CPU seconds of the test of presence on made-up posteriors, by length: one key, unmarked, so all is searched.

python benchmarks/mark_test_speed.py
"""

import time

import numpy as np

from covoguard.core.records import Posteriors
from covoguard.watermark.evidence.presence import PresenceTest
from covoguard.watermark.table import MarkTable

CODES = 1024
MIXTURE = ((0.2, 1.0), (0.4, 2.0), (0.2, 4.0), (0.2, 32.0))
SUBKEYS = {"token": bytes(32), "payload": bytes(32)}


def posteriors(seconds: float, seed: int) -> Posteriors:
    """Eight codes per 20 ms, spoken from 300 codes at a time."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 50)
    probs = -np.sort(-rng.dirichlet(np.full(8, 0.3), n), axis=1) * 0.98
    ids = rng.integers(0, 300, (n, 8)).astype(np.int32)
    return Posteriors(ids, probs.astype(np.float32), np.full(n, 0.02, np.float32), 50)


def main() -> None:
    """Print one line per length."""
    test = PresenceTest(MarkTable("speed@1", CODES, np.zeros(CODES, np.int32), (MIXTURE,)))
    began = time.process_time()
    tables = test.prepare(SUBKEYS)
    print(f"key of {CODES} codes, 4096 slots: {time.process_time() - began:.3f} s")
    for seconds in (3.5, 10.0, 60.0, 300.0):
        sound = {speed: posteriors(seconds * speed, 1) for speed in (1.0, 0.95, 1.05)}
        test.test(sound, tables)  # the first call fills the caches
        began = time.process_time()
        reading = test.test(sound, tables)
        print(f"{seconds:6.1f} s: {time.process_time() - began:.3f} s, {reading.hypotheses_searched} hypotheses")


if __name__ == "__main__":
    main()
