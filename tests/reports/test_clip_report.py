"""The clip report as HTML: what it says, what it forbids, and that nothing in a record can break out of it."""

import base64
import hashlib
import io
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile

from covoguard.core.credentialsfinding import CredentialAction, SoftBinding
from covoguard.core.jsonrecord import from_json
from covoguard.core.observationrecord import Examined, Observation
from covoguard.core.records import Audio, Segment
from covoguard.core.scanrecord import ScanRecord, record_line
from covoguard.reports.clip_report import (
    ClipFacts,
    Heard,
    PolicyThresholds,
    clip_report,
    hear,
    redacted,
    redacted_examined,
    what_matters,
)
from covoguard.reports.clip_report.timeline import clock, heat_cells

VENDOR = Path(__file__).resolve().parents[2] / "reports" / "clip_report" / "vendor"
HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(2)</script><!--\u202e\x1b[2J.wav'
THRESHOLDS = PolicyThresholds(1.18, -1.07, 1.18)
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
VOID = {"meta", "link", "img", "br", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes and text; fails where tags do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.scripts.append((self.found[-1][1], data))
        elif self.open and self.open[-1] != "style":
            self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def text(self) -> str:
        return " ".join(self.texts)

    def data(self, name: str):
        (text,) = (text for attributes, text in self.scripts if attributes.get("id") == name)
        return json.loads(text)


def tone(duration_s: float) -> Audio:
    times_s = np.arange(round(duration_s * 16_000)) / 16_000
    return Audio((0.5 * np.sin(2 * np.pi * 1000 * times_s)).astype(np.float32), 16_000)


@pytest.fixture
def scored(records) -> ScanRecord:
    return records[0]


@pytest.fixture
def marked(records) -> ScanRecord:
    return records[5]


@pytest.fixture
def full(scored) -> str:
    examined = Examined(
        ("tags",), ("hum",), (Observation("tags", "note", "a phone", (), (Segment(1, 2),), "read", "but"),)
    )
    rates = {"fake@1": "never measured here"}
    return clip_report(ClipFacts(scored, hear(tone(7.1), ()), None, examined, THRESHOLDS, rates))


def test_every_kind_of_record_gives_a_well_formed_page_with_the_record_inside(records):
    for record in records:
        page = Page(clip_report(ClipFacts(record)))
        assert record_line(from_json(ScanRecord, page.data("record"))) == record_line(record)
        assert len(page.all("h1")) == len(page.all("main")) == 1
        assert all(code in page.text() for code in record.decision.reasons)


def test_the_page_says_what_was_found_what_it_means_and_what_would_change_it(full):
    text = Page(full).text()
    for said in (
        "Evidence of generated speech", "+2.00", "0.917", "prior of 0.1", "no_evidence with a log10 LR of at most -1",
        "inconclusive without captured_but_artifacts", "generated speech gives such a score about 100 times as often",
        "What it does not mean", "never measured here", "a label of whoever put it on", "Radio Example",
        "c2pa.created by a phone", "f" * 32, "2026-17", "5.5 s in 2 stretches", "7600 Hz",
        "What else explains it", "The file is damaged or cut", "log10 LR up to +3.30", "BSD 3-Clause License",
    ):  # fmt: skip
        assert said in text, said


def test_spans_of_a_token_mark_are_listed_with_their_p_values_and_lead_to_their_time(marked):
    page = Page(clip_report(ClipFacts(marked, hear(tone(10), ()))))
    assert "p at most 10^-31.0" in page.text()
    assert "certified chance" in page.text()
    assert "#t=0.50" in [link.get("href") for link in page.all("a")]
    assert [0.5, 10.0, "token"] in page.data("app-data")["stretches"]
    assert "does not mean that there is none" in page.text(), "the other ways were not looked for"


def test_no_thresholds_no_marked_windows(scored):
    page = Page(clip_report(ClipFacts(scored, hear(tone(7.1), ()))))
    assert "the policy of the record is not at hand" in page.text()
    assert [each for each in page.data("app-data")["stretches"] if each[2] == "window"] == []


# --- what the page may do -----------------------------------------------------------------------------


def csp_of(page: Page) -> dict[str, list[str]]:
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv"))
    return {name: values for name, *values in (part.split() for part in policy.split(";"))}


def test_only_the_scripts_inside_may_run_and_nothing_may_be_fetched(full):
    page = Page(full)
    policy = csp_of(page)
    assert policy.pop("default-src") == policy.pop("base-uri") == policy.pop("form-action") == ["'none'"]
    assert policy.pop("style-src") == ["'unsafe-inline'"]
    assert policy.pop("img-src") == policy.pop("media-src") == ["data:", "blob:"]
    code = [text for attributes, text in page.scripts if "type" not in attributes]
    hashes = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in code]
    assert policy.pop("script-src") == hashes
    assert len(hashes) == 3
    assert policy == {}
    sources = [attributes[name] for _, attributes in page.found for name in ("src", "href") if name in attributes]
    assert all(each.startswith(("data:", "#")) for each in sources)


def test_vendored_files_are_those_of_the_checksums():
    listed = dict(reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text().splitlines())
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    del files["SHA256SUMS"]
    assert files == listed


def test_hostile_texts_stay_text(scored):
    credentials = scored.marks.credentials
    hostile = replace(
        scored,
        input=replace(scored.input, path=HOSTILE),
        case=replace(scored.case, id=HOSTILE),
        run_id=HOSTILE,
        marks=replace(
            scored.marks, credentials=replace(credentials, words=HOSTILE, manifest=replace(
                credentials.manifest, title=HOSTILE, signer=HOSTILE, remarks=(HOSTILE,)))
        ),
        detectors=(replace(scored.detectors[0], id=HOSTILE),),
    )  # fmt: skip
    plain, attacked = (Page(clip_report(ClipFacts(each))) for each in (scored, hostile))
    assert [tag for tag, _ in attacked.found] == [tag for tag, _ in plain.found]
    assert [text for attributes, text in attacked.scripts if "type" not in attributes] == [
        text for attributes, text in plain.scripts if "type" not in attributes
    ]
    assert not any(name.startswith("on") for _, attributes in attacked.found for name in attributes)
    assert "<script>alert(2)" in attacked.text(), "shown as it is"
    assert not re.search("[\u202e\x1b]", attacked.text())
    assert from_json(ScanRecord, attacked.data("record")).input.path == HOSTILE


# --- redaction -----------------------------------------------------------------------------------------


def test_redaction_leaks_no_name_and_no_sound(scored):
    sidecar, path, case, item = "SECRETsidecar", "/home/SECRETuser/SECRETname.wav", "SECRETcase", "SECRETitem"
    manifest = replace(
        scored.marks.credentials.manifest, title="SECRETtitle", signer="SECRETsigner", issuer="SECRETissuer",
        trust_list="SECRETlist", claim_generator="SECRETtool", remarks=("SECRETremark",),
        label="SECRETlabel", soft_bindings=(SoftBinding("SECRETalg", "SECRETvalue"),),
        actions=(CredentialAction("c2pa.created", f"{IPTC}digitalCapture", "SECRETagent"),
                 CredentialAction("SECRETaction", "SECRETsource", None)),
    )  # fmt: skip
    record = replace(
        scored,
        case=replace(scored.case, id=case, item=item, examiner="SECRETexaminer"),
        input=replace(scored.input, path=path, path_b64=base64.b64encode(path.encode()).decode()),
        marks=replace(
            scored.marks,
            waveform=tuple(replace(each, detail="SECRETdetail") for each in scored.marks.waveform),
            credentials=replace(scored.marks.credentials, words="SECRETwords", sidecar=sidecar, manifest=manifest),
        ),
    )
    examined = Examined(("tags",), (), (Observation("tags", "note", "SECRETtag", (), (), "read", "but"),))
    page = clip_report(
        ClipFacts(redacted(record), hear(tone(1), (), with_sound=False), "left out", redacted_examined(examined),
                  is_redacted=True)
    )  # fmt: skip
    assert "SECRET" not in page
    assert base64.b64encode(path.encode()).decode() not in page
    assert hashlib.sha256(path.encode()).hexdigest() in page
    assert hashlib.sha256(record_line(record).encode()).hexdigest() not in page
    assert scored.input.sha256 in page
    assert f"{IPTC}digitalCapture" in page
    assert "data:audio" not in page
    assert "data:image" not in page


def test_an_error_is_redacted_to_the_meaning_of_its_code(records):
    failed = replace(records[3], error=replace(records[3].error, message="SECRET"))
    page = clip_report(ClipFacts(redacted(failed), is_redacted=True))
    assert "SECRET" not in page
    assert "of a kind that holds no sound" in page


# --- sound and pictures --------------------------------------------------------------------------------


def flac_samples(heard: Heard) -> np.ndarray:
    samples, rate_hz = soundfile.read(io.BytesIO(heard.flac), dtype="float32")
    assert rate_hz == 16_000
    return samples


def test_the_preview_of_a_short_sound_is_all_of_it():
    audio = tone(2.0)
    heard = hear(audio, ())
    assert heard.kept == (Segment(0.0, 2.0),)
    np.testing.assert_allclose(flac_samples(heard), audio.samples, atol=2**-15)


def test_a_long_sound_is_kept_around_what_matters_and_silent_elsewhere():
    audio = tone(400.0)
    heard = hear(audio, [Segment(100, 110), Segment(104, 112), Segment(398, 400)])
    assert heard.kept == (Segment(98.0, 114.0), Segment(396.0, 400.0))
    samples = flac_samples(heard)
    assert len(samples) == len(audio.samples), "every second stays where it is"
    is_kept = np.zeros(len(samples), bool)
    for each in heard.kept:
        is_kept[round(each.start_s * 16_000) : round(each.end_s * 16_000)] = True
    assert not samples[~is_kept].any()
    np.testing.assert_allclose(samples[is_kept], audio.samples[is_kept], atol=2**-15)
    assert len(heard.peaks) == 1600
    assert min(heard.peaks) > 0.45, "peaks are of the whole"


def test_what_is_kept_of_a_long_sound_is_bounded():
    kept = hear(tone(500.0), [Segment(at_s, at_s + 50) for at_s in range(0, 500, 60)]).kept
    assert sum(each.duration_s for each in kept) == pytest.approx(300, abs=2)


def test_what_matters_are_marks_or_else_the_highest_windows(scored, marked):
    assert what_matters(marked, None) == [Segment(0.5, 10.0)]
    bare = replace(scored, marks=replace(scored.marks, waveform=()))
    assert what_matters(bare, 3.0) == [Segment(2.0, 6.0)]
    assert what_matters(bare, 9.0) == [Segment(2.0, 6.0), Segment(0.0, 4.0)]


def test_a_tone_is_a_bright_row_at_its_frequency():
    png = hear(tone(1.0), ()).spectrogram
    width, height = (int.from_bytes(png[at : at + 4], "big") for at in (16, 20))
    start = png.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(png[start:]), np.uint8).reshape(height, width + 1)[:, 1:]
    assert (height, width) == (256, 100)
    # 31.25 Hz a row, from the bottom up; the row of 0 Hz is left out.
    assert (255 - rows[:, width // 2].argmax()) * 31.25 == pytest.approx(1000, abs=40)


@pytest.mark.parametrize("samples", [0, 1, 160])
def test_next_to_no_sound_gives_a_report(scored, samples):
    audio = Audio(np.zeros(samples, np.float32), 16_000)
    Page(clip_report(ClipFacts(scored, hear(audio, ()))))


def test_where_windows_overlap_the_highest_is_shown():
    cells = heat_cells([(0, 4, -1.0), (2, 6, 3.0)], 8)
    assert [(each.left, each.width, each.side) for each in cells] == [(0, 25, "against"), (25, 50, "for")]
    assert cells[1].opacity == 1
    assert heat_cells([], 8) == []
    assert heat_cells([(0, 1, 1.0)], 0) == []


def test_clocks():
    assert [clock(at_s) for at_s in (0, 8.24, 59.96, 61, 3661.5)] == ["0:00", "0:08.2", "1:00", "1:01", "1:01:01.5"]
