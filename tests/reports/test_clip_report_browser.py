"""The clip report in a real browser: it opens, asks for nothing, complains of nothing, and plays."""

from dataclasses import replace

import numpy as np
import pytest
from chromium import CHROMIUM, Chromium

from covoguard.core.records import Audio, Segment
from covoguard.reports.clip_report import ClipFacts, PolicyThresholds, clip_report, hear

HOSTILE = (
    '"><img src="http://example.org/x.png" onerror="alert(1)"></script><script>document.title="taken"</script>.wav'
)
AT_S = "document.getElementById('sound').currentTime"
THRESHOLDS = PolicyThresholds(1.18, -1.07, 1.18)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    try:
        chromium = Chromium(tmp_path_factory.mktemp("profile"))
    except (OSError, AssertionError) as error:
        pytest.skip(f"Chromium does not start here: {error}")
    yield chromium
    chromium.close()


def noise(duration_s: float) -> Audio:
    samples = 0.1 * np.random.default_rng(1).standard_normal(round(duration_s * 16_000))
    return Audio(samples.astype(np.float32), 16_000)


@pytest.fixture
def page(records, tmp_path):
    """A report with everything on it, under a hostile file name."""
    record = replace(records[0], input=replace(records[0].input, path=HOSTILE))
    path = tmp_path / "report.html"
    path.write_text(clip_report(ClipFacts(record, hear(noise(7.1), ()), thresholds=THRESHOLDS)), encoding="utf-8")
    return path


def test_it_opens_without_a_complaint_and_asks_for_nothing(browser, page):
    browser.open(page)
    browser.wait_for(f"document.getElementById('sound').duration === 7.1 && {AT_S} === 0")
    assert browser.complaints() == []
    assert [url for url in browser.requested() if not url.startswith("data:")] == [page.as_uri()]
    assert browser.value("document.title").endswith(HOSTILE)
    assert browser.value("document.querySelectorAll('[onerror]').length") == 0
    drawn = "document.querySelector('#wave > div').shadowRoot.querySelectorAll('canvas').length"
    assert browser.value(drawn) > 0


def test_what_tries_to_get_out_is_refused_and_told(browser, page):
    """The test above could not fail if the browser said nothing of such attempts."""
    browser.open(page)
    browser.value("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))")
    browser.value("document.body.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
    browser.value("fetch('https://example.org/').catch(() => 0)")
    browser.wait_for("true")
    told = str(browser.complaints())
    assert told.count("violates the following Content Security Policy directive") >= 3
    assert browser.value("window.ran") is None
    assert "https://example.org/" not in browser.requested()


def test_keys_links_and_clicks_move_the_sound_and_the_cursor(browser, page):
    browser.open(page, "#t=2.5")
    assert browser.value(AT_S) == 2.5
    browser.press("ArrowRight")
    assert browser.value(AT_S) == 3.5
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert browser.value(AT_S) == 1.5
    browser.press("End")
    assert browser.value(AT_S) == 7.1
    browser.press("Home")
    assert browser.value(AT_S) == 0
    for _ in range(2):  # the same link again: the address does not change then
        browser.value("document.querySelector('a[href=\"#t=2.00\"]').click()")
        browser.wait_for(f"{AT_S} === 2")
        browser.press("Home")
    browser.value("location.hash = 't=nonsense'")
    assert browser.value(AT_S) == 0
    middle = "(box => ({clientX: box.left + box.width / 2, bubbles: true}))(stage.getBoundingClientRect())"
    browser.value(f"document.getElementById('stage').dispatchEvent(new MouseEvent('click', {middle}))")
    assert browser.value(AT_S) == pytest.approx(3.55, abs=0.01)
    assert float(browser.value("document.getElementById('cursor').style.left")[:-1]) == pytest.approx(50, abs=0.1)


def test_space_plays_and_pauses(browser, page):
    browser.open(page)
    browser.press(" ")
    browser.wait_for(f"{AT_S} > 0.2")
    assert browser.value("document.getElementById('play').textContent") == "Pause"
    browser.press(" ")
    browser.wait_for("document.getElementById('sound').paused")
    browser.wait_for("document.getElementById('play').textContent === 'Play'")
    assert browser.complaints() == []


def test_over_what_is_left_out_playing_goes_on_at_the_next_stretch(browser, records, tmp_path):
    heard = hear(noise(330), [Segment(100, 101), Segment(200, 201)])
    path = tmp_path / "long.html"
    path.write_text(clip_report(ClipFacts(records[0], heard)), encoding="utf-8")
    browser.open(path, "#t=102.8")
    assert browser.value("document.querySelectorAll('.gap').length") == 3
    browser.press(" ")
    browser.wait_for(f"{AT_S} >= 198")
    browser.press(" ")
    assert browser.complaints() == []


def test_the_record_can_be_read_in_the_page(browser, page):
    browser.open(page)
    browser.value("document.getElementById('record-details').open = true")
    browser.wait_for("document.getElementById('record-text').textContent.length > 0")
    assert browser.value("JSON.parse(document.getElementById('record-text').textContent).input.path") == HOSTILE


@pytest.mark.parametrize("width", [320, 390, 640, 1100])
def test_nothing_is_wider_than_the_window(browser, page, width):
    browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.open(page)
    assert browser.value("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(browser, page, scheme):
    """The contrast that WCAG 2.2 (1.4.3) asks for."""
    browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page)
    assert browser.value(CONTRAST) == []


CONTRAST = """
(() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  const poor = [];
  for (const element of document.querySelectorAll("body *")) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    if (["SCRIPT", "STYLE"].includes(element.tagName)) continue;
    const pair = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (ratio < 4.5) poor.push(element.tagName + "." + element.className + " " + ratio.toFixed(2));
  }
  return poor;
})()
"""


def test_a_record_without_sound_opens_too(browser, records, tmp_path):
    for record in records:
        path = tmp_path / f"{record.seq}.html"
        path.write_text(clip_report(ClipFacts(record, no_sound="It is gone.")), encoding="utf-8")
        browser.open(path, "#t=1")
        assert browser.complaints() == []
