"""The demonstration finds what it made, keeps to its own key, and says so when it does not."""

import pytest
from secret_leaks import assert_no_secret
from speech_and_model import build_loudness_model
from tone_generator import ToneGenerator, ToneRecoverer, build_tone_model

from covoguard.core.errors import CovoguardError, UsageError
from covoguard.core.keyring import KEYS_VARIABLE
from covoguard.detect.policy import load_policy
from covoguard.pipeline import demo, mark_evidence
from covoguard.pipeline.mark_evidence import load_mark_checker
from covoguard.pipeline.models import load_scorer
from covoguard.reports.demo_table import demo_header, demo_line, demo_lines_at_end


@pytest.fixture
def generator(tmp_path, monkeypatch):
    """With texts short enough to be quick: 4 s as tones."""
    (tmp_path / "model").mkdir()
    build_tone_model(tmp_path / "model")
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda folder: ToneRecoverer(ToneGenerator.load(folder).model))
    monkeypatch.setattr(demo, "MARKED_TEXTS", ("one two three four five six seven eight nine ten",))
    monkeypatch.setattr(demo, "UNMARKED_TEXTS", ("one two three four five six seven eight nine ten",))
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / "users-keys"))
    return ToneGenerator.load(tmp_path / "model")


@pytest.fixture
def scorer(tmp_path):
    (tmp_path / "loudness").mkdir()
    build_loudness_model(tmp_path / "loudness")
    return load_scorer(None, tmp_path / "loudness")


def test_what_was_made_is_what_is_found(generator, scorer, tmp_path):
    folder = tmp_path / "demo"
    key = demo.prepare_demo(folder)
    files = demo.damage_clips(folder, demo.make_clips(folder, generator, key))
    assert len(files) == 2 * (1 + len(demo.DAMAGES))
    assert all(file.path.is_file() for file in files)
    assert len({file.path for file in files}) == len(files)
    checker = load_mark_checker([key], generator.model.path)
    chosen = [file for file in files if file.damage in ("none", "mp3 32k", "noise 20 dB")]
    rows = list(demo.examine(chosen, scorer, load_policy(None), checker))
    assert [(row.clip, row.is_found) for row in rows] == [("marked 1", True)] * 3 + [("unmarked 1", False)] * 3
    page = "\n".join([demo_header(), *map(demo_line, rows), *demo_lines_at_end(rows)])
    assert "found in 3 of 3 files" in page
    assert "found in 0 of 3 files" in page
    assert "What was found is what was made." in page
    assert max(map(len, page.splitlines())) <= 84
    assert_no_secret(page, key)
    assert not (tmp_path / "users-keys").exists()


def test_a_second_demonstration_in_the_same_folder_uses_what_is_there(generator, tmp_path):
    folder = tmp_path / "demo"
    key = demo.prepare_demo(folder)
    clips = demo.make_clips(folder, generator, key)
    times = [clip.path.stat().st_mtime_ns for clip in clips]
    assert demo.prepare_demo(folder) == key
    assert (folder / ".gitignore").read_text() == "*\n", "its key must not be committed by accident"
    again = demo.make_clips(folder, generator, key)
    assert again == clips
    assert [clip.path.stat().st_mtime_ns for clip in again] == times


def test_a_mark_that_is_not_found_is_said(generator, scorer, tmp_path):
    folder = tmp_path / "demo"
    key = demo.prepare_demo(folder)
    files = [file for file in demo.make_clips(folder, generator, key) if file.is_marked]
    stranger = demo.prepare_demo(tmp_path / "other")
    checker = load_mark_checker([stranger], generator.model.path)
    rows = list(demo.examine(files, scorer, load_policy(None), checker))
    assert not rows[0].as_made
    assert "!" in demo_line(rows[0])
    assert "NOT as made: 1 of 1 files, those with !" in demo_lines_at_end(rows)


def test_a_clip_that_cannot_be_made_stops_it(generator, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "MARKED_TEXTS", ("crash",))
    key = demo.prepare_demo(tmp_path / "demo")
    with pytest.raises(CovoguardError, match="could not be made"):
        demo.make_clips(tmp_path / "demo", generator, key)


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="other files"):
        demo.prepare_demo(tmp_path)
    with pytest.raises(UsageError, match="choose another folder"):
        demo.prepare_demo(tmp_path / "thesis.txt")
