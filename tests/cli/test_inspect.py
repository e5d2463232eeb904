"""`covoguard inspect`: the table, JSON Lines, exit codes."""

import json

import pytest
import sound_files as sounds
from click.testing import CliRunner
from forensic_sound import plain

from covoguard.cli.main import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exhibits")
    muted = plain(1.0)
    muted[8_000:9_000] = 0
    (folder / "a-muted.wav").write_bytes(sounds.wave(sounds.pcm16(muted)))
    (folder / "b-\x1b[31mred.wav").write_bytes(sounds.wave(sounds.pcm16(plain(1.0))))
    return folder


def command(*arguments):
    return CliRunner().invoke(cli, ["inspect", *map(str, arguments)], env={"COLUMNS": "80"})


def test_the_table_fits_80_columns_and_gives_reading_and_limits(folder):
    result = command(folder, "--jobs", 1)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "notable digital_silence: exact zeros for 0.06" in result.stdout
    assert "may mean: " in result.stdout
    assert "but: " in result.stdout
    text = " ".join(result.stdout.split())
    assert "never verdicts" in text
    assert "could not look: noise-floor" in text
    assert "\x1b" not in result.stdout
    assert "2 files" in result.stderr
    assert "1 with notable observations" in result.stderr


def test_json_lines_of_chosen_checks_and_a_missing_file(folder, tmp_path):
    output = tmp_path / "seen.jsonl"
    result = command(folder / "a-muted.wav", "missing.wav", "--only", "digital-silence", "--json", "-o", output, "-q")
    assert result.exit_code == 3
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found[0]["checks"] == ["digital-silence"]
    assert [each["code"] for each in found[0]["observations"]] == ["digital_silence"]
    assert found[1]["error"]["code"] == "not_found"
    assert output.read_text() == result.stdout
    assert result.stderr == ""


def test_a_wrong_check_lists_all(folder):
    result = command(folder / "a-muted.wav", "--only", "nothing")
    assert "codec-grid" in str(result.exception)
    assert result.exception.exit_code == 2
