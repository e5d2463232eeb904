"""Puts a new policy on stored results: the facts stay as measured, only the decision is made again."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..core.scanrecord import HashChain, ScanRecord
from ..detect.policy import Policy
from .decision import decide_on

logger = logging.getLogger(__name__)


def redecide(records: Iterable[ScanRecord], policy: Policy) -> Iterator[ScanRecord]:
    """Each record with the decision and the quality flags that `policy` gives.

    Nothing else changes but `prev_hash`, which links the new records. Under the policy that the records
    were made with, the result equals them field for field. A broken chain in the input is logged as a
    warning, once.
    """
    old, new = HashChain(), HashChain()
    warned = False
    for record in records:
        if not old.follow(record) and not warned:
            warned = True
            logger.warning(
                "record %d does not follow the one before it: records were changed, removed or re-ordered "
                "since the scan",
                record.seq,
            )
        quality, decision = decide_on(record.detectors, record.marks, record.quality, record.error, policy)
        yield new.link(replace(record, quality=quality, decision=decision))
