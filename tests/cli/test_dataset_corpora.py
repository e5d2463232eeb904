"""`covoguard dataset corpora` on tiny made-up trees."""

import json

import pytest
from click.testing import CliRunner
from corpus_trees import TREES

from covoguard.cli.dataset_corpora import corpora
from covoguard.core.errors import CovoguardError, UsageError
from covoguard.datasets.manifest import read_columns, read_manifest


def run(*arguments):
    return CliRunner().invoke(corpora, [str(argument) for argument in arguments])


def test_the_list_has_a_line_for_every_corpus():
    lines = run("list").stdout.splitlines()
    assert [line.split()[0] for line in lines] == sorted(TREES)
    assert any("CC BY 4.0" in line and "982 h" in line for line in lines)
    assert {json.loads(line)["name"] for line in run("list", "--json").stdout.splitlines()} == set(TREES)


def test_a_copy_that_is_smaller_than_published_is_told_and_exits_with_3(tmp_path):
    TREES["asvspoof2019-la"].make(tmp_path)
    result = run("check", "asvspoof2019-la", tmp_path)
    assert result.exit_code == 3
    assert "eval: 4 clips, 1 bona fide, 3 spoof, 4 speakers (4 utterances, published 71237" in result.stdout


def test_a_whole_copy_exits_with_0_and_all_is_in_the_json(tmp_path):
    TREES["common-voice"].make(tmp_path)
    (tmp_path / "clips/extra\x1b.mp3").touch()
    result = run("check", "common-voice", tmp_path)
    assert result.exit_code == 0
    assert "there, but in no list: 1 (clips/extra\\x1b.mp3)" in result.stdout
    told = json.loads(run("check", "common-voice", tmp_path, "--json").stdout)
    assert told["is_whole"] is True
    assert told["unlisted"] == ["clips/extra\x1b.mp3"]
    assert told["parts"][0]["listed"]["bonafide"] == 4


def test_a_folder_is_checked_under_the_label_that_is_given(tmp_path):
    TREES["folder"].make(tmp_path)
    assert "all: 2 clips, 0 bona fide, 2 spoof" in run("check", "folder", tmp_path, "--label", "spoof").stdout
    assert isinstance(run("check", "folder", tmp_path).exception, UsageError)
    assert isinstance(run("check", "vctk", tmp_path, "--label", "spoof").exception, UsageError)


@pytest.mark.parametrize("name", [name for name in sorted(TREES) if name not in ("folder", "csv")])
def test_a_corpus_becomes_a_manifest_that_the_other_commands_read(tmp_path, name):
    tree = TREES[name]
    tree.make(tmp_path / "corpus")
    result = run("manifest", name, tmp_path / "corpus", "-o", tmp_path / "list.csv")
    assert result.exit_code == 0, result.output
    assert f"{tree.all_clips:,} clips" in result.stdout
    rows = read_manifest(tmp_path / "list.csv")
    assert rows[0].clip_id == tree.first[0]
    assert all((tmp_path / row.path).is_file() and row.split in ("train", "dev", "eval", "all") for row in rows)
    assert sum(row.label == "spoof" for row in rows) == sum(
        spoof for part, (_, spoof) in tree.labels.items() if tree.read is None or part in tree.read
    )


def test_a_manifest_has_channel_and_language_and_is_never_overwritten(tmp_path):
    TREES["asvspoof5"].make(tmp_path)
    out = tmp_path / "list.csv"
    run("manifest", "asvspoof5", tmp_path, "-o", out, "--part", "eval")
    _, lines = read_columns(out)
    assert [(line["codec"], line["language"], line["fold"]) for line in lines][-1] == ("C04 2", "en", "eval")
    assert "there already" in run("manifest", "asvspoof5", tmp_path, "-o", out).exception.message
    assert isinstance(run("manifest", "asvspoof5", tmp_path, "-o", tmp_path / "no/list.csv").exception, CovoguardError)
    unknown = run("manifest", "asvspoof5", tmp_path, "-o", tmp_path / "b.csv", "--part", "holiday")
    assert isinstance(unknown.exception, UsageError)
    assert not (tmp_path / "b.csv").exists()
