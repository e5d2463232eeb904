"""Manifests: what is wrong with one is said with its line."""

import pytest

from covoguard.core.errors import InputError, UsageError
from covoguard.datasets.manifest import read_manifest, read_recording_columns

HEADER = "clip,file,label,generator,family,source,speaker,fold,orig_sr\n"


def write(tmp_path, text):
    path = tmp_path / "manifest.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_carry_labels_groups_and_folds(tmp_path):
    path = write(tmp_path, HEADER + "a,a.flac,bonafide,,,VCTK,p1,0,48000\nb,b.flac,spoof,G 2,G,VCTK,,1,22050\n")
    genuine, spoof = read_manifest(path)
    assert (genuine.label, genuine.family, genuine.source, genuine.split) == ("bonafide", None, "VCTK", "0")
    assert (spoof.label, spoof.family, spoof.generator, spoof.speaker) == ("spoof", "G", "G 2", None)
    assert read_recording_columns(path) == [{"orig_sr": "48000"}, {"orig_sr": "22050"}]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "clip, file, label, fold"),
        ("clip,file,label\na,a.wav,spoof\n", "fold"),
        (HEADER + "a,a.flac,human,,,,,0,1\n", "line 2"),
        (HEADER + "a,a.flac,spoof,,,,,,1\n", "no fold"),
    ],
)
def test_a_wrong_manifest_is_refused_with_the_reason(tmp_path, text, word):
    with pytest.raises(UsageError, match=word):
        read_manifest(write(tmp_path, text))


def test_a_missing_manifest_is_an_input_error(tmp_path):
    with pytest.raises(InputError):
        read_manifest(tmp_path / "none.csv")
