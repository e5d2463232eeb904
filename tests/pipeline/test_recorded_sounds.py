"""Folders of noises and rooms: all of their sounds, in order, and a word about what is none."""

import numpy as np
import pytest
import soundfile

from covoguard.core.errors import InputError, UsageError
from covoguard.pipeline.recorded_sounds import load_sounds


def write(folder, name, samples, rate_hz=16_000):
    soundfile.write(folder / name, np.full(samples, 0.1, np.float32), rate_hz)


def test_all_sounds_of_a_folder_come_in_order_of_name_and_may_be_short(tmp_path):
    write(tmp_path, "b.wav", 320)
    write(tmp_path, "a.flac", 32_000, rate_hz=32_000)
    write(tmp_path, "c.wav", 160)
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "folder").mkdir()
    sounds = load_sounds(None, tmp_path)
    assert [len(room) for room in sounds.rooms] == pytest.approx([16_000, 320, 160], abs=2)
    assert list(sounds.noises) == []
    assert len(load_sounds(tmp_path, None).noises) == 3


def test_a_folder_without_sounds_is_named(tmp_path):
    with pytest.raises(UsageError, match=f"{tmp_path.name}: no sound files here"):
        load_sounds(tmp_path, None)


def test_a_file_that_is_no_sound_is_named(tmp_path):
    write(tmp_path, "a.wav", 320)
    (tmp_path / "notes.txt").write_text("a kitchen")
    with pytest.raises(InputError, match=r"notes\.txt"):
        load_sounds(tmp_path, None)
