"""Reads what `covoguard scan -f jsonl` printed; every record must fit the shipped schema."""

import json
import os
from pathlib import Path

import jsonschema

SCHEMA = json.loads(
    (Path(__file__).resolve().parents[1] / "reports" / "schema" / "scan-record-1.schema.json").read_text()
)


def lines(output: bytes) -> list[dict]:
    records = [json.loads(line) for line in output.splitlines()]
    for record in records:
        jsonschema.validate(record, SCHEMA)
    return records


def names(output: bytes) -> list[str]:
    return [os.path.basename(record["input"]["path"]) for record in lines(output)]
