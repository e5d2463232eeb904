"""`dataset check` and `dataset split` on the command line: tables, JSON, exit codes."""

import json

import click
import pytest
import soundfile
from click.testing import CliRunner
from sound_files import speech_like

from covoguard.cli.dataset_check import check, split
from covoguard.core.datasetrecord import DatasetCheck, SplitReport
from covoguard.core.errors import UsageError
from covoguard.core.jsonrecord import from_json

HEADER = "clip,file,label,family,speaker,fold\n"


def run(command, *arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments])


@pytest.fixture
def manifest(tmp_path):
    lines = []
    for n in range(6):
        soundfile.write(tmp_path / f"{n}.wav", speech_like(0.7, 16_000, seed=n), 16_000)
        label = "spoof" if n % 2 else "bonafide"
        lines.append(f"clip-{n},{n}.wav,{label},{'F' if n % 2 else ''},speaker-{n},{n // 2 % 2}\n")
    path = tmp_path / "manifest.csv"
    path.write_text(HEADER + "".join(lines))
    return path


def test_a_check_names_parts_findings_and_clips_in_80_columns(manifest):
    result = run(check, manifest, "--jobs", 1)
    assert result.exit_code == 0, result.output
    assert "6 clips, 6 can be used" in " ".join(result.output.split())
    assert "family: 1 in several folds, 3 clips: F (folds 0 1)" in " ".join(result.output.split())
    assert "clip-1, clip-3, clip-5" in result.output
    assert max(map(len, result.output.splitlines())) <= 80


def test_findings_fail_on_request_and_unusable_clips_always(manifest):
    assert run(check, manifest, "--jobs", 1, "--fail-on-findings").exit_code == 12
    (manifest.parent / "0.wav").unlink()
    for options in ([], ["--fail-on-findings"]):
        result = run(check, manifest, "--jobs", 1, *options)
        assert result.exit_code == 3
        assert "unusable: 1 clip not there" in result.output


def test_the_json_is_one_object_with_everything(manifest):
    result = run(check, manifest, "--jobs", 1, "--json", "--by", "family")
    record = from_json(DatasetCheck, json.loads(result.stdout))
    assert [(leak.key, leak.clips) for leak in record.leaks] == [("family", ("clip-1", "clip-3", "clip-5"))]
    assert len(result.stdout.splitlines()) == 1


def test_names_of_foreign_hand_cannot_steer_the_terminal(manifest):
    manifest.write_text(manifest.read_text().replace("speaker-0", "\x1b[31mred").replace("speaker-2", "\x1b[31mred"))
    result = run(check, manifest, "--jobs", 1)
    assert "\x1b" not in result.output
    assert "\\x1b[31mred" in result.output


def test_a_split_writes_a_new_manifest_and_says_how_even_it_is(manifest):
    new = manifest.with_name("new.csv")
    result = run(split, manifest, "-o", new, "--by", "speaker", "--folds", 3, "--seed", 1)
    assert result.exit_code == 0, result.output
    assert new.read_text().startswith(HEADER)
    assert "6 groups" in result.output
    assert [line.split() for line in result.output.splitlines()[-3:]] == [[str(n), "1", "1"] for n in range(3)]


def test_a_group_that_is_too_large_is_told_not_broken(manifest):
    new = manifest.with_name("new.csv")
    result = run(split, manifest, "-o", new, "--by", "family", "--folds", 2, "--json")
    report = from_json(SplitReport, json.loads(result.stdout))
    assert [(group.clips, group.share, group.glue[0].value) for group in report.oversized] == [(3, 1.0, "F")]
    assert len(report.lacking) == 1
    told = run(split, manifest, "-o", manifest.with_name("more.csv"), "--by", "family", "--folds", 2)
    assert "family=F (joins 3 groups)" in " ".join(told.output.split())


def test_shares_name_the_parts(manifest):
    new = manifest.with_name("new.csv")
    result = run(split, manifest, "-o", new, "--by", "speaker", "--shares", "train=2,test=1", "-q")
    assert (result.exit_code, result.output) == (0, "")
    assert sorted(line.rsplit(",")[-1] for line in new.read_text().splitlines()[1:]) == ["test"] * 2 + ["train"] * 4


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--shares", "train"], "NAME=SHARE"),
        (["--shares", "a=1,a=2"], "new name"),
        (["--shares", "a=nan,b=1"], "NAME=SHARE"),
        (["--shares", "a=1,b=1", "--folds", "2"], "give one"),
        (["--by", "voice"], "voice"),
        (["--by", ""], "at least one key"),
        (["--spread", "LJ"], "KEY=VALUE"),
        (["--by", "family", "--folds", "9"], "too few"),
    ],
)
def test_wrong_wishes_are_refused_and_nothing_is_written(manifest, options, word):
    new = manifest.with_name("new.csv")
    result = run(split, manifest, "-o", new, *options)
    assert isinstance(result.exception, UsageError)
    assert word in result.exception.message
    assert not new.exists()


@pytest.mark.parametrize("command", [check, split])
def test_the_help_has_examples(command):
    assert isinstance(command, click.Command)
    assert f"covoguard dataset {command.name}" in run(command, "--help").output
