"""Manifests: what is wrong with one is said with its line."""

import pytest

from covoguard.core.errors import CovoguardError, InputError, UsageError
from covoguard.datasets.manifest import read_manifest, read_recording_columns, write_split

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
        (HEADER, "lists no clips"),
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


def test_texts_durations_and_hashes_are_read_where_they_are(tmp_path):
    path = write(
        tmp_path,
        "\ufeffclip,file,label,text_sha256,dur,sha256\na,a.flac,bonafide,ab12,3.50,ff\nb,b.flac,spoof,,,\n",
    )
    full, bare = read_manifest(path, needs_folds=False)
    assert (full.text, full.duration_s, full.sha256, full.split) == ("ab12", 3.5, "ff", None)
    assert (bare.text, bare.duration_s, bare.sha256) == (None, None, None)


@pytest.mark.parametrize(
    ("line", "word"),
    [("a,a.flac,spoof,nan", "line 2.*duration"), ("a,a.flac,spoof,1,2", "line 2.*more values"), ("a,,spoof,1", "file")],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path, line, word):
    with pytest.raises(UsageError, match=word):
        read_manifest(write(tmp_path, f"clip,file,label,duration_s\n{line}\n"), needs_folds=False)


def test_a_split_is_written_beside_or_elsewhere_with_all_columns(tmp_path):
    path = write(tmp_path, 'clip,file,label,note\na,audio/a.flac,bonafide,"x, y"\nb,/far/b.flac,spoof,\n')
    before = path.read_bytes()
    write_split(path, tmp_path / "new.csv", ["0", "1"])
    assert (tmp_path / "new.csv").read_text() == (
        'clip,file,label,note,fold\na,audio/a.flac,bonafide,"x, y",0\nb,/far/b.flac,spoof,,1\n'
    )
    (tmp_path / "sub").mkdir()
    write_split(tmp_path / "new.csv", tmp_path / "sub" / "again.csv", ["7", "8"])
    rows = read_manifest(tmp_path / "sub" / "again.csv")
    assert [(row.path, row.split) for row in rows] == [("../audio/a.flac", "7"), ("/far/b.flac", "8")]
    assert path.read_bytes() == before
    with pytest.raises(UsageError, match="there already"):
        write_split(path, tmp_path / "new.csv", ["0", "1"])
    with pytest.raises(CovoguardError, match="cannot be written") as failure:
        write_split(path, tmp_path / "none" / "new.csv", ["0", "1"])
    assert failure.value.code == "output_error"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["manifest.csv", "new.csv", "sub"]
