"""The public corpora that can be read, by name, and one line about each."""

from dataclasses import dataclass

from ...core.registry import Registry
from .corpus import Corpus

CORPORA: Registry[Corpus] = Registry("corpus", __package__)


@dataclass(frozen=True)
class Description:
    """One line of the table of corpora. `hours` is None where it depends on the version, or on the user's files."""

    name: str
    title: str
    what: str
    year: int | None
    hours: float | None
    licence: str
    home: str | None


def describe() -> list[Description]:
    """Every corpus that can be read, by name."""
    described = []
    for name in CORPORA.names():
        facts = CORPORA.get(name).facts
        line = (facts.title, facts.what, facts.year, facts.hours, facts.licence, facts.home)
        described.append(Description(name, *line))
    return described
