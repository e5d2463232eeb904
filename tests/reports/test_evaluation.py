"""An evaluation as JSON, Markdown, page and summary: whole, harmless, and honest about what is not measured."""

import io
import json
from dataclasses import asdict, replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from covoguard.core.evaluationrecord import (
    ClipCounts,
    CrossTest,
    CrossTestGenerator,
    CrossTestSource,
    Curves,
    Estimate,
    Evaluation,
    FixedThreshold,
    GroupFigures,
    GroupTable,
    LeftOutFamilies,
    LeftOutFamily,
    PooledFigures,
    SegmentFigures,
    System,
    VerdictShares,
)
from covoguard.core.scanrecord import Tool
from covoguard.reports.evaluation import EVALUATION_FORMATS
from covoguard.reports.evaluation_plots import evaluation_plots
from covoguard.reports.evaluation_sections import sections
from covoguard.reports.svg import HEIGHT, WIDTH, Axis, Frame, round_values

SCHEMA = jsonschema.Draft202012Validator(
    json.loads(
        (Path(__file__).resolve().parents[2] / "reports" / "schema" / "evaluation-1.schema.json").read_text("utf-8")
    )
)
HOSTILE = "<script>alert(1)</script>|\x1b[2J" + "x" * 90
NONE = Estimate(None)
POINT = FixedThreshold(1.25, "policy test@1")
EVALUATION = Evaluation(
    schema_version=1,
    tool=Tool("0.1.0", "3.11.7", None),
    manifest="corpus/manifest.csv",
    manifest_sha256="ab" * 32,
    system=System("fake@1", "cd" * 32, "log10_lr"),
    rules=("Windows: of 4 s.",),
    policy="test@1",
    seed=7,
    n_resamples=1000,
    level=0.95,
    min_clips=5,
    clips=ClipCounts(40, 60, 1, 2),
    threshold=POINT,
    pooled=PooledFigures(
        Estimate(0.125, 0.1, 0.15), Estimate(0.9), Estimate(0.5), Estimate(0.4), Estimate(0.6), Estimate(0.55),
        Estimate(0.2), Estimate(0.03), Estimate(0.01), Estimate(0.75),
    ),
    tables=(
        GroupTable("generator", "all_bonafide", Estimate(0.31, 0.2, 0.4), NONE, Estimate(0.5), (HOSTILE,), (
            GroupFigures(HOSTILE, 0, 6, 0, Estimate(0.31, 0.25, 0.37), 0.7, NONE, Estimate(0.5), None),
            GroupFigures("Tiny", 0, 1, 2, NONE, None, NONE, NONE, "1 spoof clips with a score here; 5 are needed"),
        )),
        GroupTable("voice pool", "within", Estimate(0.36), Estimate(0.02), Estimate(0.6), ("P",), (
            GroupFigures("P", 9, 6, 0, Estimate(0.36), 0.7, Estimate(0.02), Estimate(0.6), None),
        )),
    ),
    cross_test=CrossTest(
        0.27, 0.44, (CrossTestGenerator("G", 6, 0.27, 0.44, HOSTILE),),
        (CrossTestSource(HOSTILE, 9, 0.44, 0.44, "G"), CrossTestSource("easy", 9, 0.1, 0.1, "G")), ((0.44, 0.1),),
    ),
    left_out=LeftOutFamilies(0.1, 0.3, 0.87, (LeftOutFamily("F", ("0",), 20, 6, 0.4, 0.2, 0.1, 0.3, 0.87, None),)),
    verdicts=(VerdictShares("bonafide", 41, 0.01, 0.6, 0.37, 0.02),),
    curves=Curves(
        det=((0.0, 1.0), (0.1, 0.2), (1.0, 0.0)),
        histogram=((-1.0, 0.0, 1.0), (30, 10), (20, 40)),
        reliability=((0.2, 0.1, 0.5, 50), (0.8, 0.9, 0.5, 50)),
        tippett=((-1.0, 1.0, 1.0), (1.0, 0.1, 0.6)),
        risk_coverage=((0.5, 0.0), (1.0, 0.2)),
    ),
    segments=SegmentFigures(3, POINT, 0.25, 4.0, 1.0, 0.5, 9.0, 1.5, 0.0, 4 / 4.5, 0.8, None),
    notes=("A note <b>of weight</b>.",),
)  # fmt: skip
BARE = replace(
    EVALUATION,
    system=System("raw", None, "raw"),
    threshold=None,
    pooled=PooledFigures(Estimate(0.125), *[NONE] * 9),
    tables=(),
    cross_test=None,
    left_out=None,
    verdicts=(),
    curves=Curves(None, None, None, None, None),
    segments=None,
    notes=(),
)


def written(name, evaluation):
    stream = io.BytesIO()
    writer = EVALUATION_FORMATS[name].writer(stream)
    writer.write(evaluation)
    writer.finish()
    return stream.getvalue().decode("utf-8")


class Tags(HTMLParser):
    """Every tag and address of a page; notices tags that are not closed."""

    VOID = ("meta",)

    def __init__(self):
        super().__init__()
        self.seen, self.addresses, self._open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag


@pytest.mark.parametrize("evaluation", [EVALUATION, BARE])
def test_the_json_is_the_record(evaluation):
    read = json.loads(written("json", evaluation))
    assert read == json.loads(json.dumps(asdict(evaluation)))
    assert read["schema_version"] == 1


@pytest.mark.parametrize("evaluation", [EVALUATION, BARE])
def test_the_json_fits_the_shipped_schema(evaluation):
    SCHEMA.validate(json.loads(written("json", evaluation)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema_version",), 2),
        (("pooled", "eer", "value"), "low"),
        (("tables", 0, "groups", 0, "fpr"), 0.5),
        (("manifest_sha256",), "short"),
        (("another",), 1),
        (("cross_test", "mean_eer"), 1.5),
    ],
)
def test_the_schema_is_strict(path, value):
    record = json.loads(written("json", EVALUATION))
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        SCHEMA.validate(record)


def test_the_schema_asks_for_exactly_the_keys_of_the_record():
    defined = SCHEMA.schema["$defs"]

    def compare(schema, value):
        while "$ref" in schema or "anyOf" in schema:
            schema = schema["anyOf"][0] if "anyOf" in schema else defined[schema["$ref"].rsplit("/", 1)[1]]
        if isinstance(value, dict):
            assert list(schema["properties"]) == schema["required"] == list(value)
            for key, inner in value.items():
                compare(schema["properties"][key], inner)
        elif isinstance(value, list) and value and "items" in schema:
            compare(schema["items"], value[0])

    compare(SCHEMA.schema, json.loads(written("json", EVALUATION)))


def test_json_has_no_nan():
    with pytest.raises(ValueError, match="JSON"):
        written("json", replace(EVALUATION, level=float("nan")))


@pytest.mark.parametrize("evaluation", [EVALUATION, BARE])
def test_the_page_stands_alone_and_obeys_nobody(evaluation):
    page = written("html", evaluation)
    tags = Tags()
    tags.feed(page)
    assert not tags._open
    assert not {"script", "link", "img", "iframe"} & set(tags.seen)
    assert tags.addresses == []
    assert "\x1b" not in page
    assert "url(" not in page


def test_the_page_has_every_plot_and_table():
    titles = [title for title, _ in evaluation_plots(EVALUATION)]
    assert [title.split()[0] for title in titles] == [
        "Detection", "Scores", "Reliability,", "Tippett", "Coverage", "EER"
    ]  # fmt: skip
    page = written("html", EVALUATION)
    assert page.count("<svg") == len(titles)
    for each in sections(EVALUATION):
        assert f"<h2>{each.title}</h2>" in page
    assert "&lt;script&gt;" in page
    assert "A note &lt;b&gt;" in page


def test_plots_are_whole_svg_and_stay_inside_their_frame():
    for _, svg in evaluation_plots(EVALUATION):
        root = ElementTree.fromstring(svg)
        _, _, width, height = map(float, root.get("viewBox").split())
        for line in root.iter("{http://www.w3.org/2000/svg}polyline"):
            for pair in line.get("points").split():
                x, y = map(float, pair.split(","))
                assert 0 <= x <= width
                assert 0 <= y <= height


def test_values_are_placed_where_the_axes_say():
    frame = Frame(Axis("x", -1.0, 1.0, []), Axis("y", 0.0, 4.0, []))
    (left, bottom), (right, top), (x, y) = frame.at(-1, 0), frame.at(1, 4), frame.at(0, 1)
    assert (x, y) == pytest.approx(((left + right) / 2, bottom - (bottom - top) / 4), abs=0.1)
    assert frame.at(-9, 9) == (left, top), "outside lies at the edge"
    assert 0 < left < right < WIDTH
    assert 0 < top < bottom < HEIGHT


@pytest.mark.parametrize("name", ["table", "markdown", "html"])
def test_what_is_not_measured_is_said(name):
    text = written(name, BARE)
    assert "12.5 %" in text
    assert text.count("not measured") >= 9
    assert "0.0 %" not in text


def test_every_row_is_as_long_as_its_header():
    for each in sections(EVALUATION):
        assert each.rows
        assert {len(row) for row in each.rows} == {len(each.header)}


def test_markdown_names_groups_without_figure_and_why():
    text = written("markdown", EVALUATION)
    assert "| Tiny | 0 | 1 | 2 | not measured |" in text
    assert "5 are needed" in text
    assert "10.0 to 15.0 %" in text
    assert "\\|\\x1b" in text


def test_the_summary_fits_80_columns():
    text = written("table", EVALUATION)
    assert max(map(len, text.splitlines())) <= 80
    assert "12.5 %" in text
    assert "precision 88.9 %" in text.replace("\n", " ")
    assert "F1 not measured" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-1.54, 1.55, [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5]),
        (0.0, 0.06, [0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06]),
        (0.0, 0.451, [0.0, 0.1, 0.2, 0.3, 0.4]),
        (-37.0, 412.0, [0.0, 100.0, 200.0, 300.0, 400.0]),
        (3.0, 3.0, [3.0]),
        (float("nan"), 1.0, []),
    ],
)
def test_axes_have_round_numbers(low, high, expected):
    assert round_values(low, high) == pytest.approx(expected)
