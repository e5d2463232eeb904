"""Tables and keys that are the same in every test of the marks."""

import hashlib

import numpy as np
import pytest

from covoguard.watermark.table import MarkTable


class TestKey:
    """A key whose subkeys are plain hashes: what a real key promises, without its storage."""

    __test__ = False

    def __init__(self, number: int) -> None:
        self.number = number

    def subkey(self, purpose: str, *, model: str, table_sha256: str) -> bytes:
        return hashlib.sha256(f"{self.number}|{purpose}|{model}|{table_sha256}".encode()).digest()


def make_table(n_codes=12, *, levels=1, n_slots=4096, seeding="slot", n_clusters=4) -> MarkTable:
    cluster_of = np.arange(n_codes) * n_clusters // n_codes if levels == 2 else np.zeros(n_codes, int)
    mixture = ((0.4, 1.0), (0.3, 3.0), (0.3, 16.0))
    return MarkTable("test@1", n_codes, cluster_of, (mixture,), n_slots=n_slots, levels=levels, seeding=seeding)


@pytest.fixture(scope="session")
def key_of():
    return TestKey


@pytest.fixture(scope="session")
def table_of():
    return make_table
