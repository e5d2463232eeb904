"""The register of issued messages."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from covoguard.core.errors import CovoguardError, IntegrityError
from covoguard.watermark.issued import IssuedMessages, chance_of_a_match


@pytest.fixture
def register(tmp_path):
    return IssuedMessages(tmp_path / "deep" / "issued.sqlite")


def test_what_is_issued_is_found_again_with_its_file(register):
    message = register.issue("mark", 16)
    register.record_file("mark", message, "ab" * 32)
    found = IssuedMessages(register.path).find("mark", [bytes(16), message])
    assert (found.message, found.file_sha256) == (message.hex(), "ab" * 32)
    assert found.issued_utc.endswith("+00:00")
    assert register.find("mark", [bytes(16)]) is None
    assert register.find("another", [message]) is None


def test_nobody_but_the_owner_can_read_it(register):
    register.issue("mark", 16)
    assert register.path.stat().st_mode & 0o777 == 0o600
    assert register.path.parent.stat().st_mode & 0o777 == 0o700


def test_reading_makes_no_file(register):
    assert register.count("mark") == 0
    assert register.find("mark", [b"x"]) is None
    assert not register.path.parent.exists()


def test_a_message_is_issued_once_even_when_it_is_drawn_twice(register, monkeypatch):
    drawn = iter([b"a", b"a", b"b"])
    monkeypatch.setattr("secrets.token_bytes", lambda length: next(drawn))
    assert [register.issue("mark", 1) for _ in range(2)] == [b"a", b"b"]


def test_many_at_once_get_each_their_own(register):
    with ThreadPoolExecutor(4) as pool:
        messages = list(pool.map(lambda _: IssuedMessages(register.path).issue("mark", 2), range(16)))
    assert len(set(messages)) == 16
    assert register.count("mark") == 16


def test_what_is_no_register_is_refused_and_left_alone(tmp_path):
    text, foreign = tmp_path / "text", tmp_path / "foreign"
    text.write_bytes(b"not a database at all" * 100)
    with sqlite3.connect(foreign) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    for path in (text, foreign):
        before = path.read_bytes()
        with pytest.raises(IntegrityError, match=path.name):
            IssuedMessages(path).count("mark")
        with pytest.raises(IntegrityError, match=path.name):
            IssuedMessages(path).issue("mark", 2)
        assert path.read_bytes() == before


def test_a_folder_that_refuses_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(CovoguardError, match="issued") as raised:
        IssuedMessages(tmp_path / "file" / "issued").issue("mark", 2)
    assert raised.value.code == "output_error"


def test_the_chance_of_a_match_is_at_most_one():
    assert chance_of_a_match(2, 3, 16) == 6 / 65_536
    assert chance_of_a_match(1000, 1000, 16) == 1.0
