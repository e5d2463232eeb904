"""How fast an audit log is written and verified, beside the same entries in a plain file of JSON lines, in one run.

    python benchmarks/audit.py [--entries 20000] [--synced 500] [--rounds 3] [-o figures.json]

The plain writer puts the same facts into lines with no hash and no signature. Both are measured with each entry brought
to the disk (`--synced` entries, since a disk is slow) and without (`--entries`), which tells the cost of hashing and
signing alone. Verifying is compared with reading the plain file and parsing each line. Rounds alternate; of each the
median counts. Times are those of the processor, but with the disk those of the clock.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from covoguard.core.audit.keys import AuditKeys
from covoguard.core.audit.log import AuditLog
from covoguard.core.audit.verify import verify_log

SHA256 = "0123456789abcdef" * 4


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000, help="without the disk, and to verify")
    parser.add_argument("--synced", type=int, default=500, help="with each entry brought to the disk")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON too")
    options = parser.parse_args()
    figures = measure(options.entries, options.synced, options.rounds)
    for name, value in figures.items():
        print(f"{name:52} {value:12.2f}")
    if options.output:
        options.output.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measure(entries: int, synced: int, rounds: int) -> dict[str, float]:
    """Medians over rounds, as entries per second, and their ratios."""
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        keys = AuditKeys(folder / "keys" / "audit")
        trusted = [keys.current_or_new().public_key]

        def note(name: str, count: int, work: Callable[[], object], clock: Callable[[], float]) -> None:
            started = clock()
            work()
            rates.setdefault(name, []).append(count / (clock() - started))

        for each in range(rounds):
            signed, plain = folder / f"signed-{each}.jsonl", folder / f"plain-{each}.jsonl"
            for count, is_synced, how in ((synced, True, "to the disk"), (entries, False, "no disk")):
                clock = time.perf_counter if is_synced else time.process_time
                for path, write, side in ((signed, write_signed, "signed"), (plain, write_plain, "plain")):
                    path.unlink(missing_ok=True)
                    without_disk = mock.patch.object(os, "fsync", return_value=None)
                    with nullcontext() if is_synced else without_disk:
                        note(f"append, {how}, {side}, per s", count, partial(write, path, count, keys), clock)
            note("verify, signed, per s", entries, partial(check, signed, trusted), time.process_time)
            note("read and parse, plain, per s", entries, partial(read_plain, plain), time.process_time)
        sizes = {side: (folder / f"{side}-0.jsonl").stat().st_size / entries for side in ("signed", "plain")}
    middle = {name: statistics.median(values) for name, values in rates.items()}
    return middle | {
        "append to the disk, signed over plain": ratio(middle, "append, to the disk, {}, per s"),
        "append without the disk, signed over plain": ratio(middle, "append, no disk, {}, per s"),
        "verify over read and parse": middle["verify, signed, per s"] / middle["read and parse, plain, per s"],
        "s to verify 100,000 entries": 100_000 / middle["verify, signed, per s"],
        **{f"bytes per entry, {side}": size for side, size in sizes.items()},
    }


def ratio(rates: dict[str, float], name: str) -> float:
    """Of the signed side to the plain one."""
    return rates[name.format("signed")] / rates[name.format("plain")]


def facts_of(number: int) -> dict[str, Any]:
    """What a scan says of a file, in about its length."""
    return {
        "input": {"path": f"evidence/{number:06d}.wav", "sha256": SHA256, "sha256_after": SHA256, "size_bytes": 96_044},
        "record": {"run_id": "20260101T000000Z-00000000", "seq": number, "sha256": SHA256},
        "error": None,
        "decision": {"verdict": "no_evidence", "reasons": ["below_threshold"], "policy": {"id": "p", "sha256": SHA256}},
        "detectors": [{"id": "d@1", "model_sha256": SHA256, "status": "scored", "log10_lr": -1.25}],
    }


def write_signed(path: Path, count: int, keys: AuditKeys) -> None:
    """One run of an audit log."""
    with AuditLog(path, keys) as log, log.run({}):
        for number in range(count):
            log.append("file", facts_of(number))


def write_plain(path: Path, count: int, _keys: AuditKeys) -> None:
    """The same facts, a line each, written and synced likewise."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for number in range(count):
        os.write(descriptor, json.dumps(facts_of(number), separators=(",", ":")).encode("ascii") + b"\n")
        os.fsync(descriptor)
    os.close(descriptor)


def check(path: Path, trusted: list[str]) -> None:
    """Verify, and be sure that it was verified."""
    if verify_log(path, trusted).status != "intact":
        raise RuntimeError(f"{path}: not intact")


def read_plain(path: Path) -> None:
    """Every line, parsed."""
    with path.open("rb") as file:
        for line in file:
            json.loads(line)


if __name__ == "__main__":
    main()
