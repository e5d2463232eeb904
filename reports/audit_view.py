"""An audit log and what its check found, in words for a terminal."""

from collections.abc import Mapping
from typing import Any

from ..core.audit.entry import Entry
from ..core.audit.keys import key_id_of
from ..core.audit.verify import AuditReport
from .text import printable

_STATUS = {
    "intact": "intact: every entry is there, in its order, and as its key signed it",
    "unclosed": "NOT shown to be whole: its end is missing, or still to come",
    "broken": "NOT intact",
}
_NO_EXPECTED_HEAD = (
    "a log cut off where a run had ended looks whole: compare with the head in a record of the run (--expect-head)"
)


def report_lines(report: AuditReport, *, has_expected_head: bool) -> list[str]:
    """The answer, the head, and each finding with its line."""
    lines = [
        f"{report.path}: {_STATUS[report.status]}",
        f"{_counted(report.lines, 'line')}, {_counted(report.runs, 'run')}, signed with {_keys(report)}",
    ]
    if report.head is not None:
        lines.append(f"head {report.head}")
    lines += [f"line {each.line}: {each.kind}: {each.message}" for each in report.findings]
    lines += [f"line {each.line}: note: {each.message}" for each in report.notices]
    if report.status == "intact" and not has_expected_head:
        lines.append(_NO_EXPECTED_HEAD)
    return [printable(line) for line in lines]


def entry_line(number: int, entry: Entry | None) -> str:
    """One entry on one line."""
    if entry is None:
        return f"{number:6d} not an entry"
    clock = f" (clock back by {entry.clock_back_s:.3f} s)" if entry.clock_back_s is not None else ""
    return printable(f"{number:6d} {entry.time[:19]}Z {entry.action:6s} {_said(entry)}{clock}".rstrip())


def _keys(report: AuditReport) -> str:
    return ", ".join(key_id_of(key) for key in report.signing_keys) or "no key that holds"


def _said(entry: Entry) -> str:
    facts = entry.facts
    if entry.action == "open":
        case = _object(facts, "case")
        given = [f"{name} {case[name]}" for name in ("id", "item", "examiner") if case.get(name)]
        version = _object(facts, "tool").get("version")
        return f"covoguard {version} {facts.get('command')}" + (f": case {', '.join(given)}" if given else "")
    if entry.action == "close":
        return f"{facts.get('outcome')}, {facts.get('entries')} {'entry' if facts.get('entries') == 1 else 'entries'}"
    if entry.action == "file":
        return f"{_found(facts)}  {_object(facts, 'input').get('path')}"
    if entry.action == "rotate":
        return f"the log goes over to the key {facts.get('key_id')}"
    return f"log {facts.get('log_id')}, key {entry.key}"


def _found(facts: Mapping[str, Any]) -> str:
    if facts.get("error"):
        return f"error {_object(facts, 'error').get('code')}"
    if "decision" in facts:
        return str(_object(facts, "decision").get("verdict"))
    return f"token mark {_object(facts, 'token_mark').get('status')}"


def _object(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = facts.get(name)
    return value if isinstance(value, dict) else {}


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
