"""Counts over a run: what the analyst reads first and the exit code is made from."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, get_args

from ..core.credentialsfinding import CREDENTIAL_STATES, CredentialState
from ..core.ledgerrecord import LEDGER_STATUSES, LedgerStatus
from ..core.markrecord import MARK_STATUSES, MarkStatus
from ..core.records import VERDICT_LABELS, VerdictLabel
from ..core.scanrecord import ScanRecord
from ..core.verifyrecord import VerifyRecord
from ..core.waveformrecord import WAVEFORM_STATUSES

ProvenanceKind = Literal["token", "waveform", "credentials"]
"""What a file can carry of its origin."""
PROVENANCE_KINDS: tuple[ProvenanceKind, ...] = get_args(ProvenanceKind)

WHAT_P_MEANS = (
    "p bounds the probability, over random keys, that sound not made with the key gives such evidence.",
    "present: at least these seconds were sampled by the marked model under that key; the message may be anyone's.",
    "absent: no evidence of a mark, which is no evidence of human speech.",
)
"""What a reader of mark results must know."""
WHAT_A_LEDGER_SAYS = (
    "ledger: present: the file is byte for byte one that the ledger lists, and the tokens recorded there carry the "
    "mark. It is as trustworthy as whoever keeps the ledger, and says nothing of the sound itself."
)

NO_PROOF = "no_evidence is not proof of a human voice: see `covoguard explain below_threshold`"


class Tally:
    """Counts records by verdict, by reason and by what became of token marks."""

    def __init__(self) -> None:
        """Start at zero."""
        self.files = 0
        self.duplicates = 0
        self.verdicts: Counter[VerdictLabel] = Counter()
        self.reasons: Counter[str] = Counter()
        self.marks: Counter[MarkStatus] = Counter()

    def add(self, record: ScanRecord) -> None:
        """Count one record."""
        self.files += 1
        self.duplicates += record.duplicate_of is not None
        self.verdicts[record.decision.verdict] += 1
        self.reasons.update(record.decision.reasons)
        if record.marks.token is not None:
            self.marks[record.marks.token.status] += 1

    def counting(self, records: Iterable[ScanRecord]) -> Iterator[ScanRecord]:
        """The same records, each counted when the next one is asked for, so when it has been dealt with."""
        for record in records:
            yield record
            self.add(record)


class MarkTally:
    """Counts the records of `verify` by answer."""

    def __init__(self) -> None:
        """Start at zero."""
        self.files = 0
        self.errors = 0
        self.broken_credentials = 0
        self.verdicts: Counter[VerdictLabel] = Counter()
        self.marks: Counter[MarkStatus] = Counter()
        self.waveform: Counter[tuple[str, str]] = Counter()
        """By method and status."""
        self.credentials: Counter[CredentialState] = Counter()
        self.ledger: Counter[LedgerStatus] = Counter()
        self.having: Counter[ProvenanceKind] = Counter()
        """Files that carry it."""

    def add(self, record: VerifyRecord) -> None:
        """Count one record."""
        self.files += 1
        self.errors += record.error is not None
        if record.decision is not None:
            self.verdicts[record.decision.verdict] += 1
        if record.ledger is not None:
            self.ledger[record.ledger.status] += 1
        if record.token_mark is not None:
            self.marks[record.token_mark.status] += 1
            self.having["token"] += record.token_mark.status == "present"
        for finding in record.waveform_marks or ():
            self.waveform[finding.traits.method, finding.status] += 1
        self.having["waveform"] += any(finding.status == "detected" for finding in record.waveform_marks or ())
        if record.credentials is not None:
            self.credentials[record.credentials.state] += 1
            self.broken_credentials += record.credentials.is_broken
            holds = record.credentials.validation in ("trusted", "valid_untrusted")
            self.having["credentials"] += holds and record.credentials.state != "recovered"

    def counting(self, records: Iterable[VerifyRecord]) -> Iterator[VerifyRecord]:
        """As `Tally.counting`."""
        for record in records:
            yield record
            self.add(record)


def summary_lines(tally: Tally, elapsed_s: float) -> list[str]:
    """The run in a few lines of plain text."""
    noun = "file" if tally.files == 1 else "files"
    lines = [f"{tally.files} {noun} in {elapsed_s:.1f} s"]
    if not tally.files:
        return lines
    if tally.duplicates:
        lines[0] += f" ({tally.duplicates} with the bytes of an earlier one)"
    lines.append(_counts("verdicts", [(label, tally.verdicts[label]) for label in VERDICT_LABELS]))
    lines.append(_counts("reasons", tally.reasons.most_common()))
    if tally.marks:
        lines.append(_marks(tally.marks))
    if tally.verdicts["no_evidence"]:
        lines.append(NO_PROOF)
    return lines


def mark_summary_lines(tally: MarkTally, elapsed_s: float) -> list[str]:
    """A run of `verify` in a few lines of plain text, and what they mean."""
    noun = "file" if tally.files == 1 else "files"
    lines = [f"{tally.files} {noun} in {elapsed_s:.1f} s" + (f", errors {tally.errors}" if tally.errors else "")]
    if tally.verdicts:
        lines.append(_counts("verdicts", [(label, tally.verdicts[label]) for label in VERDICT_LABELS]))
    if tally.marks:
        lines.append(_marks(tally.marks))
    for method in sorted({method for method, _ in tally.waveform}):
        counts = [(status, tally.waveform[method, status]) for status in WAVEFORM_STATUSES]
        lines.append(_counts(f"waveform marks, {method}", [each for each in counts if each[1]]))
    if tally.credentials:
        states = [(state, tally.credentials[state]) for state in CREDENTIAL_STATES]
        lines.append(_counts("credentials", [each for each in states if each[1]]))
    if tally.marks:
        lines += WHAT_P_MEANS
        lines.append("* sharp: a closer estimate of p by saddlepoint approximation, not certified; it decides nothing.")
    if tally.ledger:
        lines.append(_counts("ledger", [(status, tally.ledger[status]) for status in LEDGER_STATUSES]))
        lines.append(WHAT_A_LEDGER_SAYS)
    if tally.verdicts["no_evidence"]:
        lines.append(NO_PROOF)
    return lines


def _marks(counts: Counter[MarkStatus]) -> str:
    return _counts("token marks", [(status, counts[status]) for status in MARK_STATUSES])


def _counts(title: str, counts: Sequence[tuple[str, int]]) -> str:
    return f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts)
