"""Generators are found by name without loading what only speaking needs."""

import subprocess
import sys

import pytest

from covoguard.core.errors import UsageError
from covoguard.generate.registry import GENERATORS


def test_listing_the_generators_loads_nothing_heavy():
    script = "import sys\nfrom covoguard.generate.registry import GENERATORS\nprint(GENERATORS.names())\n"
    script += "print([name for name in ('torch', 'transformers', 'pocketsphinx', 'scipy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    names, heavy = done.stdout.splitlines()
    assert "'pocket'" in names
    assert heavy == "[]"


def test_an_unknown_generator_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"generator 'none'; known: .*pocket"):
        GENERATORS.get("none")
