"""The clip report of one file: its record, taken from a run or made now, and its sound where that is still there."""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..core.audio import AudioReader, DecodeLimits, open_input
from ..core.errors import CovoguardError, InputError, UsageError
from ..core.keyring import KeyRing
from ..core.modelcard import open_model
from ..core.observationrecord import Examined
from ..core.records import Audio, Segment
from ..core.scanrecord import ScanRecord
from ..detect.forensics import Examination
from ..detect.policy import Policy
from ..detect.registry import SCORERS
from ..detect.scoring import bundled_folder
from ..reports.clip_report import (
    ClipFacts,
    PolicyThresholds,
    clip_report,
    hear,
    redacted,
    redacted_examined,
    what_matters,
)
from ..reports.read import read_records
from .analysis import Methods, examine
from .inputs import STANDARD_INPUT, Source
from .key_choice import keys_to_test
from .models import load_scorer
from .scan import scan
from .second_look import second_look_for

_PARQUET_MAGIC = b"PAR1"
_FIRST_BYTES = 4096
NOT_WANTED = "The sound was left out on purpose."


@dataclass(frozen=True)
class ReportChoices:
    """What goes into a report."""

    policy: Policy
    """Gives the lines at which windows are marked, where it is the one that decided."""
    with_sound: bool = True
    redact: bool = False


def holds_records(path: Path) -> bool:
    """Whether a file is results of a scan, by its first bytes, and not a sound; `-` is results.

    What cannot be opened is taken for a sound: the scan then says what is wrong with it.
    """
    if str(path) == STANDARD_INPUT:
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(_FIRST_BYTES)
    except OSError:
        return False
    return start.startswith(_PARQUET_MAGIC) or start.lstrip().startswith(b"{")


def record_of_run(run: Path, seq: int | None) -> ScanRecord:
    """The record number `seq` of a run, or its only one (None). Raises `UsageError` where there is no such record."""
    records = read_records(run)
    if seq is None:
        first = list(islice(records, 2))
        if len(first) == 1:
            return first[0]
        many = "holds several records; choose one with --seq, its number in the first column of the table"
        raise UsageError(f"{run}: {many if first else 'holds no record; give the results of a scan'}")
    for record in records:
        if record.seq == seq:
            return record
    raise UsageError(f"{run}: holds no record number {seq}; `covoguard redecide` shows the table of a run")


def default_methods(policy: Policy) -> Methods:
    """What `covoguard scan` examines a file with when no option says otherwise."""
    from ..watermark.credentials.registry import Registry, default_registry
    from .credentials import CredentialsReader, configured_trust

    scorer = load_scorer(None, None)
    keys = keys_to_test(KeyRing.open(), ())
    checker = None
    if keys:
        from .mark_evidence import load_mark_checker

        checker = load_mark_checker(keys, None)
    reader = CredentialsReader(configured_trust(), False, Registry(default_registry()))
    return Methods(scorer, second_look_for(scorer, policy, "decisive"), checker, (), reader)


def record_of_sound(path: Path, policy: Policy) -> ScanRecord:
    """The record that a scan of this one file gives."""
    (record,) = scan([Source(str(path))], methods=default_methods(policy), policy=policy, limits=DecodeLimits(), jobs=1)
    return record


def report_on(record: ScanRecord, choices: ReportChoices) -> str:
    """The report as HTML. The sound is read again from the record's path, if its bytes are still the same ones."""
    thresholds = _thresholds(record, choices.policy)
    matters = what_matters(record, thresholds.suspicious_window if thresholds else None)
    audio, examined, missing = _read_again(record)
    with_sound = choices.with_sound and not choices.redact
    heard = hear(audio, matters, with_sound=with_sound) if audio else None
    no_sound = missing if missing or with_sound else NOT_WANTED
    facts = ClipFacts(record, heard, no_sound, examined, thresholds, _error_rates(record, thresholds), choices.redact)
    if choices.redact:
        facts = replace(
            facts, record=redacted(record), no_sound=NOT_WANTED, examined=examined and redacted_examined(examined)
        )
    return clip_report(facts)


def _thresholds(record: ScanRecord, policy: Policy) -> PolicyThresholds | None:
    """Those of the policy that decided; None where `policy` is another one."""
    if record.decision.policy.sha256 != policy.sha256:
        return None
    lines = policy.thresholds
    return PolicyThresholds(
        lines.synthetic_min_log10_lr, lines.no_evidence_max_log10_lr, lines.suspicious_window_log10_lr
    )


def _read_again(record: ScanRecord) -> tuple[Audio | None, Examined | None, str | None]:
    """The sound of the record's file and what file forensics sees in it, or why they are not here."""
    facts = record.input
    if facts.sha256 is None or record.error is not None:
        return None, None, "The file could not be analysed, so there is no sound to show."
    if facts.path == STANDARD_INPUT:
        return None, None, "The sound came on standard input and was not kept, so it is not in this report."
    examination = Examination()
    limits = DecodeLimits(max_duration_s=max(DecodeLimits.max_duration_s, facts.duration_s or 0.0))
    try:
        with open_input(_path_of(record)) as opened, AudioReader(limits) as reader:
            if opened.sha256 != facts.sha256:
                changed = "The file at the record's path has other bytes than the one that was analysed"
                return None, None, f"{changed}, so its sound is not in this report."
            decoded = reader.read(opened, examination.hear)
            speech = [Segment(*region) for region in record.quality.speech] if record.quality else []
            return decoded.audio, examine(examination, opened, decoded, speech), None
    except InputError as error:
        return None, None, f"The file could not be read again ({error.code}), so its sound is not in this report."


def _path_of(record: ScanRecord) -> Path:
    encoded = record.input.path_b64
    try:
        return Path(os.fsdecode(base64.b64decode(encoded, validate=True)) if encoded else record.input.path)
    except ValueError:  # not base64: somebody edited the record
        return Path(record.input.path)


def _error_rates(record: ScanRecord, thresholds: PolicyThresholds | None) -> Mapping[str, str]:
    """By detector: how often it errs at most under these thresholds, by the card of a bundled model if it is that one.

    Empty where nothing is known of them.
    """
    if thresholds is None:
        return {}
    rates = ((each.id, _error_rate(each.id, each.model_sha256, thresholds)) for each in record.detectors)
    return {detector: rate for detector, rate in rates if rate is not None}


def _error_rate(detector: str, model_sha256: str | None, thresholds: PolicyThresholds) -> str | None:
    name = detector.partition("@")[0]
    if name not in SCORERS.names() or SCORERS.get(name).how_to_get is not None:
        return None
    try:
        model = open_model(bundled_folder(name))
    except CovoguardError:
        return None
    point = model.card.get("figures", {}).get("operating_point")
    if model.model_sha256 != model_sha256 or point is None:
        return None
    laxer = (
        thresholds.synthetic_min < point["synthetic_min_log10_lr"]
        or thresholds.no_evidence_max > point["no_evidence_max_log10_lr"]
    )
    if laxer:
        return None
    rates = {name: rates for name, rates in point["transferred_across_folds"].items() if name != "trials"}
    alarms, worst_alarms = _clean_and_worst(rates, "bonafide_synthetic")
    misses, worst_misses = _clean_and_worst(rates, "spoof_no_evidence")
    return (
        f"At thresholds no stricter than the policy's: of genuine clips held out of training {alarms} came out "
        f"synthetic ({worst_alarms} at worst, processed); of generated ones {misses} no_evidence ({worst_misses})."
    )


def _clean_and_worst(rates: Mapping[str, Mapping[str, float]], kind: str) -> tuple[str, str]:
    worst = max(each[kind] for each in rates.values())
    return f"{100 * rates['clean'][kind]:.1f} %", f"{100 * worst:.1f} %"
