"""The page about the corpora is fresh, whole, and does not claim more than the readers know."""

from pathlib import Path

import pytest

from covoguard.datasets.corpora import CORPORA
from covoguard.pipeline.corpora_page import GUIDES, corpora_page

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "corpora.md").read_text(encoding="utf-8")
PUBLIC = [name for name in CORPORA.names() if name not in ("csv", "folder")]


def test_the_page_is_fresh():
    assert corpora_page() == PAGE, "write it anew: see covoguard/pipeline/corpora_page.py"


def test_every_public_corpus_has_a_guide_and_a_section():
    assert sorted(GUIDES) == PUBLIC
    assert len(PUBLIC) == 13
    assert [line.split("`")[1] for line in PAGE.splitlines() if line.startswith("## ") and "`" in line] == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_a_section_says_where_from_under_which_terms_and_in_what_layout(name):
    section = PAGE.split(f"(`{name}`)\n")[1].split("\n## ")[0]
    facts = CORPORA.get(name).facts
    for said in (facts.licence, facts.home, facts.citation, "Layout:", "Source:", "download: ", "other class: "):
        assert said in section
    if not any(counts.bonafide for counts in CORPORA.get(name).published.values()) and name in ("mlaad", "wavefake"):
        assert "bona fide speech is needed beside it" in section
