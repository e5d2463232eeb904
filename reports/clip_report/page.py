"""The page: one HTML file that asks nobody for anything."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ...core.observationrecord import Examined
from ...core.scanrecord import ScanRecord, record_line
from ...core.version import __version__
from ..provenance_text import change_text
from ..text import printable
from . import rows, timeline, words
from .heard import Heard

MAX_WINDOWS = 100
"""Windows in the table, the highest first; all are in the record."""
_SCRIPTS = ("vendor/wavesurfer.min.js", "vendor/wavesurfer-regions.min.js", "app.js")
_SCALE_LOG10_LR = 3.0


@dataclass(frozen=True)
class PolicyThresholds:
    """Where the policy that decided draws its lines, in log10 likelihood ratios."""

    synthetic_min: float
    no_evidence_max: float
    suspicious_window: float


@dataclass(frozen=True)
class ClipFacts:
    """What a report tells of: the record, and what stands around it."""

    record: ScanRecord
    heard: Heard | None = None
    no_sound: str | None = None
    """Why there is no sound to play, in a sentence. None: there is."""
    examined: Examined | None = None
    """File forensics. None: not looked at."""
    thresholds: PolicyThresholds | None = None
    """None: the policy is not at hand."""
    error_rates: Mapping[str, str] = field(default_factory=dict)
    """By detector id: how often it errs, where that was measured."""
    is_redacted: bool = False


def clip_report(facts: ClipFacts) -> str:
    """A whole HTML page, with the record, the sound, the scripts and the notices inside.

    Its content security policy lets no script run but those inside, and nothing be fetched. Text of the record is
    shown as text, whatever it holds. The machine record is the JSON in the element with the id `record`.
    """
    scripts = [_inlined(_asset(name)) for name in _SCRIPTS]
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters["clock"] = timeline.clock
    template = environment.from_string(_asset("template.html.j2"))
    return template.render(
        facts=facts,
        csp=_policy(scripts),
        style=Markup(_asset("style.css")),  # noqa: S704  (our own file)
        scripts=[Markup(script) for script in scripts],  # noqa: S704  (our own and vendored files)
        notice=_asset("vendor/wavesurfer-LICENSE.txt"),
        record_json=_json_block(record_line(facts.record)),
        app_json=_json_block(json.dumps(_app_data(facts))),
        version=__version__,
        **_context(facts),
    )


def _context(facts: ClipFacts) -> dict[str, Any]:
    record, heard = facts.record, facts.heard
    duration_s = heard.duration_s if heard else record.input.duration_s or 0.0
    windows = [(*window, result.id) for result in record.detectors for window in result.segments]
    suspicious = facts.thresholds.suspicious_window if facts.thresholds else None
    return {
        "headline": words.HEADLINES[record.decision.verdict],
        "changes": [change_text(each) for each in record.decision.would_change or ()],
        "reasons": rows.reasons_of(record.decision),
        "evidence": rows.evidence_rows(record, facts.error_rates),
        "stretches": rows.marked_stretches(record, suspicious),
        "quality": rows.quality_rows(record.quality) if record.quality else [],
        "file": rows.file_rows(record),
        "models": _models(record),
        "scales": _scales(facts),
        "duration_s": duration_s,
        "heat": [timeline.heat_cells(result.segments, duration_s) for result in record.detectors],
        "ticks": timeline.ticks(duration_s),
        "windows": sorted(windows, key=lambda each: -each[2])[:MAX_WINDOWS],
        "windows_in_all": len(windows),
        "suspicious": suspicious,
        "line_sha256": None if facts.is_redacted else hashlib.sha256(record_line(record).encode()).hexdigest(),
        "spectrogram": _data_url("image/png", heard.spectrogram) if heard and heard.spectrogram else None,
        "sound": _data_url("audio/flac", heard.flac) if heard and heard.flac else None,
        "kept_s": sum(each.duration_s for each in heard.kept) if heard else 0.0,
    }


def _models(record: ScanRecord) -> list[tuple[str, str]]:
    """SHA-256 of every model that took part."""
    mark = record.marks.token
    models = [(f"SHA-256 of detector {each.id}", each.model_sha256) for each in record.detectors]
    if mark is not None:
        models += [(f"SHA-256 of recoverer {mark.recoverer}", mark.recoverer_sha256)]
        models += [(f"SHA-256 of the mark table of {mark.model}", mark.table_sha256)]
    models += [(f"SHA-256 of {each.traits.method}", each.model_sha256) for each in record.marks.waveform]
    return [(name, sha256) for name, sha256 in models if sha256 is not None]


def _scales(facts: ClipFacts) -> list[dict[str, Any]]:
    """For each calibrated ratio: where on a scale from -3 to 3 it lies, and where the policy's lines do."""

    def place(log10_lr: float) -> float:
        limited = min(max(log10_lr, -_SCALE_LOG10_LR), _SCALE_LOG10_LR)
        return round(100 * (limited + _SCALE_LOG10_LR) / (2 * _SCALE_LOG10_LR), 2)

    lines = [facts.thresholds.no_evidence_max, facts.thresholds.synthetic_min] if facts.thresholds else []
    return [
        {"id": result.id, "log10_lr": result.log10_lr, "place": place(result.log10_lr),
         "lines": [(place(line), line) for line in lines]}
        for result in facts.record.detectors
        if result.log10_lr is not None
    ]  # fmt: skip


def _app_data(facts: ClipFacts) -> dict[str, Any]:
    """What app.js draws; times are in seconds."""
    heard = facts.heard
    suspicious = facts.thresholds.suspicious_window if facts.thresholds else None
    stretches = rows.marked_stretches(facts.record, suspicious)
    return {
        "duration_s": heard.duration_s if heard else 0.0,
        "peaks": heard.peaks if heard else [],
        "kept": [[each.start_s, each.end_s] for each in heard.kept] if heard else [],
        "stretches": [[each.start_s, each.end_s, each.kind] for each in stretches],
    }


def _shown(value: object) -> object:
    """Foreign text without characters that turn the reading direction or cannot be seen."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(map(printable, value.split("\n"))) if len(value) < 1 << 16 else value
    return value


def _policy(scripts: list[str]) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:; "
        "media-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _inlined(script: str) -> str:
    """The script as it may stand inside a page; `<\\/` is `</` in a JavaScript string."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _json_block(text: str) -> Markup:
    """JSON that cannot end the element that it stands in."""
    escaped = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return Markup(escaped)  # noqa: S704  (nothing that HTML could take for markup is left)


def _data_url(kind: str, content: bytes) -> Markup:
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")  # noqa: S704  (base64)
