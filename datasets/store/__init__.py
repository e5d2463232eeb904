"""Labelled clips in HDF5: one folder of shards, samples in one chunked dataset each, a Parquet manifest beside them.

    STORE/
      shard-00000.h5        samples, token ids, and one column per field of `StoreRow`
      manifest.parquet      the same rows for other tools; made anew whenever a writer closes

A row and its samples become part of a shard in one step (see `journal.py`): a writer that is killed at any point
leaves every clip that was committed, and nothing of the one under way.
"""

from .manifest import MANIFEST_NAME, read_manifest, write_manifest
from .reader import Store
from .records import StoredClip, StoreRow, hash_of_samples, hash_of_text
from .shard import SampleType
from .summary import StoreSummary, summarize
from .writer import StoreWriter

__all__ = [
    "MANIFEST_NAME",
    "SampleType",
    "Store",
    "StoreRow",
    "StoreSummary",
    "StoreWriter",
    "StoredClip",
    "hash_of_samples",
    "hash_of_text",
    "read_manifest",
    "summarize",
    "write_manifest",
]
