"""Readers for public corpora that users have on their disks: what is there, labelled, with no audio decoded.

One file per corpus. `CORPORA` lists them; each is a `Corpus` with facts, `find`, `rows`, `clips` and `check`.
"""

from .corpus import Corpus, CorpusRow, Facts
from .inventory import CorpusCheck, Counts, PartCheck
from .registry import CORPORA, Description, describe

__all__ = [
    "CORPORA",
    "Corpus",
    "CorpusCheck",
    "CorpusRow",
    "Counts",
    "Description",
    "Facts",
    "PartCheck",
    "describe",
]
