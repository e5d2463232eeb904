"""Upper limits of proportions, and where data lies."""

from pathlib import Path

import pytest
from scipy.stats import binom

from covoguard.core.datafolder import default_data_folder
from covoguard.core.proportion import upper_limit
from covoguard.core.waveformrecord import FalseAlarms


@pytest.mark.parametrize(("count", "trials"), [(0, 1), (0, 500), (1, 500), (7, 30), (29, 30)])
def test_at_the_limit_so_few_hits_have_a_probability_of_5_percent(count, trials):
    assert binom.cdf(count, trials, upper_limit(count, trials)) == pytest.approx(0.05)


def test_without_trials_or_misses_nothing_is_ruled_out():
    assert upper_limit(0, 0) == upper_limit(5, 5) == 1.0


def test_the_bound_of_a_file_is_never_above_one():
    assert FalseAlarms.counted(0, 500, "clips").per_file == pytest.approx(0.00597, abs=1e-5)
    assert FalseAlarms.counted(0, 500, "clips", pieces=1000).per_file == 1.0


def test_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COVOGUARD_DATA", str(tmp_path))
    assert default_data_folder() == tmp_path
    monkeypatch.delenv("COVOGUARD_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_data_folder() == Path.home() / ".local/share/covoguard"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_data_folder() == tmp_path / "covoguard"
