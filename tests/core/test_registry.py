"""One file, one decorated class: found, listed, and told apart."""

import sys

import pytest

from covoguard.core.errors import UsageError
from covoguard.core.registry import Registry


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a registry and one module in it."""
    folder = tmp_path / "made_up_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from covoguard.core.registry import Registry\nTHINGS = Registry('thing', __name__)\n"
    )
    (folder / "one.py").write_text("from . import THINGS\n\n@THINGS.register('first')\nclass First: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("made_up_package")]:
        del sys.modules[name]


def test_a_new_file_is_found_without_being_listed_anywhere(package):
    (package / "two.py").write_text("from . import THINGS\n\n@THINGS.register('second')\nclass Second: ...\n")
    from made_up_package import THINGS

    assert THINGS.names() == ["first", "second"]
    assert THINGS.get("second").__name__ == "Second"


def test_nothing_is_imported_before_the_first_look(package):
    import made_up_package

    assert "made_up_package.one" not in sys.modules
    made_up_package.THINGS.names()
    assert "made_up_package.one" in sys.modules


def test_an_unknown_name_lists_the_known_ones(package):
    from made_up_package import THINGS

    with pytest.raises(UsageError, match="known: first"):
        THINGS.get("third")


def test_two_of_one_name_are_refused():
    registry = Registry("thing", "nowhere")
    registry.register("same")(int)
    with pytest.raises(ValueError, match="same"):
        registry.register("same")(str)
