"""A generator's page says all that its card says, and refuses a card that is not in form."""

import pytest

from covoguard.reports.generator_card import render_generator_card

CARD = {
    "id": "made-up",
    "version": "3",
    "generator": "made-up",
    "weights": "w.bin",
    "licence": "Apache-2.0",
    "summary": "Speaks in tests.",
    "not_for": ["anything real"],
    "limits": ["says nothing"],
    "sampling": {"temperature": 0.9, "top_p": 0.95},
    "parts": [
        {"name": "language", "what": "phones to tokens", "parameters": 1_400_000},
        {"name": "decoder", "what": "tokens to sound", "parameters": 480_000},
    ],
    "training": {"recipe": {"steps": 5000, "optimiser": "AdamW"}, "data": ["Two hours of made-up speech."]},
    "figures": [
        {"title": "Words", "header": ["text", "error rate"], "rows": [["held | out", "7.1 %"], ["free", None]]},
        {"title": "Speed", "header": ["cores", "times real time"], "rows": [[1, 6.5]], "note": "On one machine."},
    ],
}


def test_the_page_says_what_the_card_says():
    page = render_generator_card(CARD, "ab" * 32)
    assert page.startswith("# made-up@3\n\nSpeaks in tests.\n\n- weights: `w.bin`, sha256 `" + "ab" * 32)
    assert page.endswith("|\n")
    assert not page.endswith("\n\n")
    for line in (
        "- licence: Apache-2.0",
        "- anything real",
        "- says nothing",
        "- temperature: 0.9",
        "- top_p: 0.95",
        "- Two hours of made-up speech.",
        "- steps: 5000",
        "- optimiser: AdamW",
        "| language | phones to tokens | 1,400,000 |",
        "| all |  | 1,880,000 |",
        "### Words",
        "| held \\| out | 7.1 % |",
        "| free | not measured |",
        "On one machine.",
        "| 1 | 6.5 |",
    ):
        assert line in page.splitlines()


def test_a_table_stands_free_of_the_text_around_it():
    lines = render_generator_card(CARD, "0").splitlines()
    for previous, line, following in zip(lines, lines[1:], lines[2:], strict=False):
        if line.startswith("|"):
            assert all(not near or near.startswith("|") for near in (previous, following))


def test_what_is_left_out_is_said_to_be_left_out():
    page = render_generator_card(CARD | {"not_for": []}, "0")
    assert "## Not for\n\n- not stated" in page


@pytest.mark.parametrize("key", ["parts", "sampling", "training", "figures", "weights"])
def test_a_missing_chapter_is_named(key):
    with pytest.raises(KeyError, match=key):
        render_generator_card({name: value for name, value in CARD.items() if name != key}, "0")


@pytest.mark.parametrize(
    "change",
    [
        {"parts": [{"name": "language", "what": "phones to tokens", "parameters": "many"}]},
        {"parts": 3},
        {"sampling": [0.9]},
        {"training": {"recipe": None, "data": []}},
        {"figures": ["fast"]},
        {"figures": [{"title": "Words", "header": ["text", "error rate"], "rows": [["held out"]]}]},
    ],
)
def test_a_chapter_that_is_not_in_form_is_refused(change):
    with pytest.raises((AttributeError, TypeError, ValueError)):
        render_generator_card(CARD | change, "0")
