"""Opening: regular files only, hashed once, and watched for changes."""

import errno
import hashlib
import io
import os

import pytest

from covoguard.core.audio import open_input, spool_stream
from covoguard.core.errors import InputError


def _code_of(action):
    with pytest.raises(InputError) as caught:
        action()
    return caught.value.code


def test_the_hash_and_the_bytes_are_those_of_the_file(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    with open_input(tmp_path / "a") as opened:
        assert opened.sha256 == hashlib.sha256(data).hexdigest()
        assert opened.size_bytes == len(data)
        assert opened.file.read() == data
        opened.check_unchanged()
    assert opened.file.closed


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("a")
    with open_input(tmp_path / "link") as opened:
        assert opened.size_bytes == 3


def test_paths_that_cannot_be(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "loop").symlink_to("loop")
    for bad in ("a/below", "loop", "n" * 5000, "nul\0inside"):
        assert _code_of(lambda bad=bad: open_input(tmp_path / bad)) == "not_found"


def test_a_file_that_changes_is_noticed(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with open_input(path) as opened:
        with path.open("ab") as file:
            file.write(b"more")
        assert _code_of(opened.check_unchanged) == "changed_while_read"
    with open_input(path) as opened:
        os.utime(path, ns=(0, 0))
        assert _code_of(opened.check_unchanged) == "changed_while_read"


def test_a_file_that_is_removed_can_still_be_read(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    with open_input(path) as opened:
        path.unlink()
        opened.check_unchanged()
        assert opened.file.read() == b"abc"
    assert _code_of(lambda: open_input(path)) == "not_found"


def test_a_file_beyond_the_cap_is_not_even_hashed(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert _code_of(lambda: open_input(path)) == "too_large"
    assert _code_of(lambda: open_input(path, max_bytes=10)) == "too_large"


def test_a_stream_is_spooled_with_its_hash():
    data = os.urandom(2_500_000)
    with spool_stream(io.BytesIO(data)) as opened:
        assert str(opened.path) == "-"
        assert opened.sha256 == hashlib.sha256(data).hexdigest()
        assert os.fstat(opened.fd).st_nlink == 0
        opened.check_unchanged()
        opened.file.seek(0)
        assert opened.file.read() == data


def test_streams_that_end_badly(monkeypatch):
    assert _code_of(lambda: spool_stream(io.BytesIO())) == "empty_file"
    assert _code_of(lambda: spool_stream(io.BytesIO(b"12345"), max_bytes=4)) == "too_large"

    class FullDisk(io.BytesIO):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: FullDisk())
    with pytest.raises(InputError, match="No space left") as caught:
        spool_stream(io.BytesIO(b"data"))
    assert caught.value.code == "read_error"


def test_standard_input_that_cannot_be_read_is_not_blamed_on_the_temporary_folder():
    class Unreadable(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(InputError, match="cannot be read: Bad file descriptor") as caught:
        spool_stream(Unreadable(b"data"))
    assert caught.value.code == "read_error"
