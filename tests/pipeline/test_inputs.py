"""What becomes of paths, folders, globs and lists."""

import os

import pytest

from covoguard.core.errors import UsageError
from covoguard.pipeline.inputs import InputWalk, Source, listed_paths


@pytest.fixture
def tree(tmp_path):
    for name in ("b.wav", "a.MP3", "sub/z.ogg", "sub/deep/c.opus", "Sub2/d.m4a", "notes.txt", "noext",
                 ".hidden.wav", ".git/e.wav"):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def found(walk: InputWalk, root) -> list[str]:
    return [os.path.relpath(source.path, root) for source in walk]


def test_a_folder_gives_its_media_files_sorted_files_before_folders(tree):
    walk = InputWalk([str(tree)])
    assert found(walk, tree) == ["a.MP3", "b.wav", "Sub2/d.m4a", "sub/z.ogg", "sub/deep/c.opus"]
    assert walk.skipped_files == 3


def test_all_files_leaves_out_hidden_ones_only(tree):
    walk = InputWalk([str(tree)], all_files=True)
    assert found(walk, tree)[:4] == ["a.MP3", "b.wav", "noext", "notes.txt"]
    assert walk.skipped_files == 1


def test_named_paths_are_taken_whatever_they_are_called(tree):
    paths = [str(tree / name) for name in ("notes.txt", ".hidden.wav", "absent.wav")]
    assert list(InputWalk(paths)) == [Source(path) for path in paths]


def test_links_to_folders_are_not_followed_inside_a_folder(tree):
    (tree / "sub" / "loop").symlink_to(tree)
    (tree / "link.wav").symlink_to(tree / "b.wav")
    (tree / "dangling.wav").symlink_to(tree / "gone.wav")
    names = found(InputWalk([str(tree)]), tree)
    assert names == ["a.MP3", "b.wav", "dangling.wav", "link.wav", "Sub2/d.m4a", "sub/z.ogg", "sub/deep/c.opus"]


def test_globs_stand_for_files_and_folders_in_order(tree):
    assert found(InputWalk([f"{tree}/*.wav"]), tree) == ["b.wav"]
    assert found(InputWalk([f"{tree}/**/*.o*"]), tree) == ["sub/deep/c.opus", "sub/z.ogg"]
    assert found(InputWalk([f"{tree}/[Ss]ub*"]), tree) == ["Sub2/d.m4a", "sub/z.ogg", "sub/deep/c.opus"]


def test_a_file_whose_name_looks_like_a_glob_is_itself(tree):
    (tree / "take [1].wav").write_bytes(b"x")
    (tree / "take 1.wav").write_bytes(b"x")
    assert found(InputWalk([f"{tree}/take [1].wav"]), tree) == ["take [1].wav"]


def test_a_glob_without_a_match_is_an_error_record(tree):
    (source,) = InputWalk([f"{tree}/*.flac"])
    assert source.error.code == "not_found"


def test_literal_paths_are_neither_patterns_nor_standard_input(tree):
    paths = [f"{tree}/*.wav", "-"]
    assert list(InputWalk(paths, literal=True)) == [Source(paths[0]), Source(os.path.join(".", "-"))]
    assert list(InputWalk(["-"])) == [Source("-")]


def test_a_folder_that_cannot_be_listed_is_an_error_record(tree, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    sources = list(InputWalk([str(tree), str(tree / "sub")]))
    assert [source.error.code for source in sources if source.error] == ["no_permission", "no_permission"]
    assert len(sources) == 5


@pytest.mark.parametrize(
    ("content", "null", "names"),
    [
        (b"a.wav\nb.wav\n", False, ["a.wav", "b.wav"]),
        (b"a.wav\n\nb.wav", False, ["a.wav", "b.wav"]),
        (b" a.wav \n", False, [" a.wav "]),
        (b"\xef\xbb\xbfa.wav\r\n\r\nb.wav\r\n", False, ["a.wav", "b.wav"]),
        (b"\xef\xbb\xbfa.wav\r\0", True, ["\ufeffa.wav\r"]),
        (b"a\nb.wav\0c.wav\0", True, ["a\nb.wav", "c.wav"]),
        (b"\xff.wav\n", False, ["\udcff.wav"]),
        (b"", False, []),
        (b"x" * 200_000 + b"\ny", False, ["x" * 200_000, "y"]),
    ],
)
def test_lists_are_split_at_newlines_or_nul_alone(tmp_path, content, null, names):
    path = tmp_path / "list"
    path.write_bytes(content)
    assert list(listed_paths(str(path), null_separated=null)) == names


def test_a_list_without_separators_is_refused_before_it_fills_the_memory():
    with pytest.raises(UsageError, match="list of paths"):
        list(listed_paths("/dev/zero", null_separated=False))


def test_an_empty_path_is_an_error_record():
    (source,) = InputWalk([""])
    assert source.error is not None
    assert source.error.code == "not_found"


def test_a_list_that_cannot_be_read_is_wrong_usage(tmp_path):
    with pytest.raises(UsageError, match="cannot be opened"):
        listed_paths(str(tmp_path / "absent"), null_separated=False)
    with pytest.raises(UsageError, match="cannot be read"):
        list(listed_paths(str(tmp_path), null_separated=False))
