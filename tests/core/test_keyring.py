"""A key ring keeps its secrets private and whole, or refuses and says why."""

import base64
import errno
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_leaks import assert_no_secret

from covoguard.core.errors import CovoguardError, IntegrityError, KeyMissing, UsageError
from covoguard.core.keyfile import KeyFile, key_file_content, parse_key_file
from covoguard.core.keyring import KeyRing, default_key_folder
from covoguard.core.keys import SecretKey

NOW = "2025-01-01T00:00:00Z"


@pytest.fixture
def ring(tmp_path):
    return KeyRing.open(tmp_path / "config" / "keys")


def path_of(ring: KeyRing, key: SecretKey) -> Path:
    return ring.folder / f"{key.key_id}.json"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def assert_chain_is_silent(error: BaseException, *keys: SecretKey) -> None:
    """Neither the error nor what led to it holds a secret, in its words or its attributes."""
    seen: BaseException | None = error
    while seen is not None:
        for key in keys:
            assert_no_secret(f"{seen!r} {seen} {seen.args!r} {vars(seen)!r} {getattr(seen, 'doc', '')!r}", key)
            assert_no_secret("".join(traceback.format_exception(seen)), key)
        seen = seen.__cause__ or seen.__context__


# --- where keys lie ----------------------------------------------------------------------------------------


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("COVOGUARD_KEYS", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert default_key_folder() == tmp_path / "home" / ".config" / "covoguard" / "keys"
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert default_key_folder() == tmp_path / "home" / ".config" / "covoguard" / "keys"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    assert default_key_folder() == tmp_path / "xdg" / "covoguard" / "keys"
    monkeypatch.setenv("COVOGUARD_KEYS", "~/elsewhere")
    assert KeyRing.open().folder == tmp_path / "home" / "elsewhere"
    monkeypatch.setenv("COVOGUARD_KEYS", "")
    assert KeyRing.open().folder == tmp_path / "xdg" / "covoguard" / "keys"


def test_only_the_owner_may_read_whatever_the_mask(ring):
    before = os.umask(0)
    try:
        key = ring.new()
        ring.set_default(key.key_id)
    finally:
        os.umask(before)
    assert mode_of(ring.folder) == 0o700
    assert {mode_of(path) for path in ring.folder.iterdir()} == {0o600}


def test_a_file_is_private_before_the_secret_is_in_it(ring, monkeypatch):
    key = ring.new()
    seen = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode)))
    ring.rotate(key.key_id)
    assert seen == [0o600, 0o700], "the file, then the folder"


def test_a_folder_inside_a_git_work_tree_is_warned_about(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("covoguard"), "propagate", True)
    KeyRing.open(tmp_path / "free" / "keys")
    assert caplog.records == []
    (tmp_path / ".git").mkdir()
    KeyRing.open(tmp_path / "a" / "keys")
    assert f"inside the git work tree {tmp_path}" in caplog.text


# --- life of a key -----------------------------------------------------------------------------------------


def test_what_was_stored_comes_back(ring):
    key = ring.new("newsroom-eu")
    again = KeyRing.open(ring.folder)
    assert again.get(key.key_id) == again.get("newsroom-eu") == again.get(key.key_id[:6]) == key
    assert again.keys() == [key]
    assert again.files()[0].path == path_of(ring, key)


def test_rotation_keeps_the_id_and_the_older_epochs(ring):
    first = ring.new("one")
    other = ring.new()
    second = ring.rotate("one")
    third = ring.rotate(first.key_id)
    assert [key.epoch for key in (first, second, third)] == [1, 2, 3]
    assert {key.key_id for key in (first, second, third)} == {first.key_id}
    assert len({key.master_bytes() for key in (first, second, third)}) == 3
    assert ring.get("one") == third
    assert [ring.get("one", epoch) for epoch in (1, 2, 3)] == [first, second, third]
    stored = ring.keys()
    assert [(key.key_id, key.epoch) for key in stored] == [
        (first.key_id, 3), (first.key_id, 2), (first.key_id, 1), (other.key_id, 1),
    ]  # fmt: skip
    assert [key.is_retired for key in stored] == [False, True, True, False]
    with pytest.raises(UsageError, match="retired"):
        ring.get("one", 2).check_active()


@pytest.mark.parametrize("epoch", [-1, 0, 2])
def test_an_unknown_epoch_is_named(ring, epoch):
    key = ring.new()
    with pytest.raises(KeyMissing, match=f"{key.key_id} has no epoch {epoch}; its epochs are 1 to 1"):
        ring.get(key.key_id, epoch)


def test_the_default_is_the_oldest_until_one_is_chosen(ring):
    first, second, third = (ring.new() for _ in range(3))
    assert ring.default() == first
    assert ring.default_id() == first.key_id
    assert ring.set_default(second.key_id) == second
    assert ring.default() == second
    assert ring.rotate(second.key_id) == ring.default() == ring.default_or_new()
    path_of(ring, second).unlink()
    for choose in (ring.default, ring.default_or_new):
        with pytest.raises(
            KeyMissing, match=rf"not in the folder; known: {first.key_id}, {third.key_id};.*set-default"
        ):
            choose()
    assert ring.default_id() == second.key_id
    ring.set_default(third.key_id)
    assert ring.default() == third


def test_an_empty_ring(ring):
    assert ring.keys() == ring.files() == []
    assert ring.default_id() is None
    for use in (ring.get, ring.rotate, ring.set_default):
        with pytest.raises(KeyMissing, match="no key 'mine'; there are no keys yet"):
            use("mine")
    with pytest.raises(KeyMissing, match="covoguard keys new"):
        ring.default()
    assert not ring.folder.exists(), "looking makes nothing"
    assert ring.default_or_new() == ring.default()
    assert len(ring.keys()) == 1


def test_an_unknown_name_lists_the_known_ones(ring):
    key, named = ring.new(), ring.new("newsroom-eu")
    with pytest.raises(KeyMissing) as caught:
        ring.get("newsroom")
    assert f"known: {key.key_id}, {named.key_id} (newsroom-eu)" in caught.value.message


def test_a_name_that_may_mean_two_keys_is_refused(ring):
    ring.new(), ring.new()
    for use in (ring.get, ring.rotate, ring.set_default):
        with pytest.raises(UsageError, match="may mean k"):
            use("k")
    with pytest.raises(KeyMissing):
        ring.get("")


def test_a_secret_given_for_a_name_is_not_repeated(ring):
    key = ring.new()
    for pasted in (key.master_bytes().hex(), base64.b64encode(key.master_bytes()).decode()):
        for use in (ring.get, ring.new):
            with pytest.raises(CovoguardError) as caught:
                use(pasted)
            assert_chain_is_silent(caught.value, key)


@pytest.mark.parametrize("label", ["", "Upper", "two words", "-x", "x" * 33, "é", "a/b", "..", "k0123456789", "x\n"])
def test_labels_are_plain_words(ring, label):
    with pytest.raises(UsageError, match="choose another"):
        ring.new(label)
    assert not ring.folder.exists()


def test_a_label_is_given_once(ring):
    ring.new("eu")
    with pytest.raises(UsageError, match="label 'eu' already"):
        ring.new("eu")
    assert len(ring.keys()) == 1


# --- refusals ----------------------------------------------------------------------------------------------


def every_use(ring: KeyRing) -> list:
    uses = [ring.keys, ring.files, ring.default, ring.default_or_new, ring.new]
    return uses + [lambda use=use: use("k") for use in (ring.get, ring.rotate, ring.set_default)]


def assert_refused(ring: KeyRing, error: type[CovoguardError], match: str, key: SecretKey) -> None:
    for use in every_use(ring):
        with pytest.raises(error, match=match) as caught:
            use()
        assert_chain_is_silent(caught.value, key)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o666])
def test_a_file_that_others_could_touch_is_refused_with_the_cure(ring, mode):
    key = ring.new()
    path = path_of(ring, key)
    path.chmod(mode)
    assert_refused(ring, KeyMissing, rf"mode {mode:04o}.*run: chmod 600 .*{path.name}", key)
    path.chmod(0o600)
    assert ring.get(key.key_id) == key


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o777])
def test_a_folder_that_others_could_touch_is_refused_with_the_cure(tmp_path, mode):
    ring = KeyRing.open(tmp_path / "my keys")
    key = ring.new()
    ring.folder.chmod(mode)
    assert_refused(ring, KeyMissing, rf"mode {mode:04o}.*run: chmod 700 '{ring.folder}'", key)


def test_what_belongs_to_someone_else_is_refused(ring, monkeypatch):
    key = ring.new()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert_refused(ring, KeyMissing, f"belongs to another user \\(uid {owner}\\)", key)


def test_a_link_in_place_of_a_file_is_refused(ring, tmp_path):
    key = ring.new()
    path_of(ring, key).rename(tmp_path / "moved")
    path_of(ring, key).symlink_to(tmp_path / "moved")
    assert_refused(ring, IntegrityError, "a link, not a key file", key)


def test_a_link_to_the_folder_is_followed_and_what_it_leads_to_is_checked(ring, tmp_path):
    key = ring.new()
    link = tmp_path / "link"
    link.symlink_to(ring.folder)
    assert KeyRing.open(link).get("k") == key
    ring.folder.chmod(0o755)
    with pytest.raises(KeyMissing, match="chmod 700"):
        KeyRing.open(link).keys()


def test_a_pipe_or_folder_in_place_of_a_file_is_refused_and_not_waited_for(ring):
    key = ring.new()
    path_of(ring, key).rename(ring.folder / "aside")
    os.mkfifo(path_of(ring, key), 0o600)
    assert_refused(ring, IntegrityError, "not a regular file", key)
    path_of(ring, key).unlink()
    path_of(ring, key).mkdir(mode=0o700)
    assert_refused(ring, IntegrityError, "not a regular file", key)


def test_a_file_far_too_large_is_refused(ring):
    key = ring.new()
    with path_of(ring, key).open("ab") as file:
        file.truncate(1 << 30)
    assert_refused(ring, IntegrityError, "too large", key)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "keys").write_text("not a folder")
    ring = KeyRing.open(tmp_path / "keys")
    with pytest.raises(KeyMissing, match="cannot be opened as a folder of keys"):
        ring.keys()
    with pytest.raises(CovoguardError, match="cannot be written"):
        ring.new()


def test_a_renamed_key_file_is_not_overlooked(ring):
    key = ring.new()
    path_of(ring, key).rename(ring.folder / "backup.json")
    assert_refused(ring, IntegrityError, f"rename it to {key.key_id}.json", key)


def test_a_default_file_that_names_nothing_is_refused(ring):
    key = ring.new()
    ring.set_default(key.key_id)
    for content in (b"", b"\xff\xfe", b"k0000000000\n"):
        (ring.folder / "default").write_bytes(content)
        with pytest.raises(KeyMissing, match="set-default"):
            ring.default_or_new()
    assert ring.keys() == [key]


# --- damaged files -----------------------------------------------------------------------------------------

KEY = SecretKey.generate(created_utc=NOW)
FILE = KeyFile(Path(f"/keys/{KEY.key_id}.json"), "eu", (KEY.retire(retired_utc=NOW), KEY.successor(created_utc=NOW)))
CONTENT = key_file_content(FILE)


def damaged(content: bytes) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        parse_key_file(FILE.path, content)
    assert str(FILE.path) in caught.value.message
    assert_chain_is_silent(caught.value, *FILE.epochs)
    assert caught.value.__context__ is None, "the parser's errors hold the text of the file"
    return caught.value


def test_a_file_is_what_was_stored():
    assert parse_key_file(FILE.path, CONTENT) == FILE
    assert json.loads(CONTENT)["covoguard_key"] == 1


@given(st.integers(0, len(CONTENT.rstrip()) - 1))
def test_a_truncated_file_is_refused(length):
    damaged(CONTENT[:length])


@given(st.integers(0, len(CONTENT) - 1), st.integers(1, 255))
def test_a_changed_byte_never_changes_a_secret_unnoticed(place, change):
    content = bytearray(CONTENT)
    content[place] ^= change
    try:
        file = parse_key_file(FILE.path, bytes(content))
    except IntegrityError as error:
        assert_chain_is_silent(error, *FILE.epochs)
    else:
        assert [key.master_bytes() for key in file.epochs] == [key.master_bytes() for key in FILE.epochs]
        assert (file.key_id, len(file.epochs)) == (FILE.key_id, 2)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused(content):
    damaged(content)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"null", b'"text"', b"[]", b"{}", CONTENT + CONTENT])
def test_json_of_another_shape_is_refused(content):
    damaged(content)


SECRET = base64.b64encode(KEY.master_bytes()).decode()


@pytest.mark.parametrize(
    ("where", "value", "complaint"),
    [
        (["covoguard_key"], 2, "version 1"),
        (["covoguard_key"], True, "version 1"),
        (["covoguard_key"], "1", "version 1"),
        (["more"], SECRET, "its keys are not"),
        (["label"], SECRET, "label"),
        (["label"], ["eu"], "label"),
        (["key_id"], SECRET, "key_id"),
        (["key_id"], None, "key_id"),
        (["key_id"], "k0123456789", "fingerprint"),
        (["epochs"], [], "no epochs"),
        (["epochs"], {"1": SECRET}, "no epochs"),
        (["epochs", 0], SECRET, "keys of epoch 1"),
        (["epochs", 0, "epoch"], 2, "numbered"),
        (["epochs", 0, "epoch"], True, "numbered"),
        (["epochs", 1, "epoch"], SECRET, "numbered"),
        (["epochs", 1, "more"], SECRET, "keys of epoch 2"),
        (["epochs", 0, "retired_utc"], None, "must be retired"),
        (["epochs", 1, "retired_utc"], NOW, "must be retired"),
        (["epochs", 0, "created_utc"], SECRET, "ISO 8601"),
        (["epochs", 0, "created_utc"], "2025-01-01T00:00:00", "ISO 8601"),
        (["epochs", 0, "created_utc"], 0, "ISO 8601"),
        (["epochs", 0, "secret"], SECRET[:-4], "32 bytes"),
        (["epochs", 0, "secret"], SECRET + SECRET, "32 bytes"),
        (["epochs", 0, "secret"], list(KEY.master_bytes()), "32 bytes"),
        (["epochs", 0, "secret"], KEY.master_bytes().hex(), "32 bytes"),
        (["epochs", 0, "secret"], "é" * 44, "32 bytes"),
        (["epochs", 0, "secret"], base64.b64encode(bytes(32)).decode(), "fingerprint"),
        (["epochs", 0, "fingerprint"], SECRET, "fingerprint"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_and_never_quoted(where, value, complaint):
    record = json.loads(CONTENT)
    place = record
    for step in where[:-1]:
        place = place[step]
    place[where[-1]] = value
    assert complaint in damaged(json.dumps(record).encode()).message


def test_an_id_that_is_not_that_of_the_secret_is_refused():
    """Though its fingerprint fits: an id that was made up could be that of another key."""
    forged = SecretKey("k0123456789", 1, KEY.master_bytes(), created_utc=NOW)
    with pytest.raises(IntegrityError, match="key_id is not that of its secret"):
        parse_key_file(Path("k0123456789.json"), key_file_content(KeyFile(Path("x"), None, (forged,))))


# --- several at once, and failing disks --------------------------------------------------------------------

FIRST_KEY = """
import sys
from pathlib import Path
from covoguard.core.keyring import KeyRing
ring = KeyRing.open(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    ring.rotate("k")
print(ring.default_or_new().fingerprint)
"""


def run_at_once(folder: Path, *, processes: int, rotations: int) -> list[str]:
    """Start them all, let them go together, and collect the fingerprints that they end with."""
    command = [sys.executable, "-c", FIRST_KEY, str(folder), str(rotations)]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate()[0].strip() for process in started]
    assert [process.returncode for process in started] == [0] * processes
    return answers


def test_processes_that_make_the_first_key_at_once_end_with_the_same(ring):
    answers = run_at_once(ring.folder, processes=3, rotations=0)
    assert set(answers) == {ring.default().fingerprint}
    assert len(ring.keys()) == 1


def test_threads_that_make_the_first_key_at_once_end_with_the_same(ring):
    barrier, made = threading.Barrier(8), []

    def make() -> None:
        barrier.wait()
        made.append(ring.default_or_new())

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [ring.default()] * 8


def test_processes_that_rotate_at_once_lose_no_epoch(ring):
    key = ring.new()
    run_at_once(ring.folder, processes=2, rotations=5)
    stored = ring.keys()
    assert [each.epoch for each in stored] == list(range(11, 0, -1))
    assert ring.get(key.key_id, 1) == key


FULL_DISK = """
import resource, sys
from pathlib import Path
from covoguard.core.errors import CovoguardError
from covoguard.core.keyring import KeyRing
ring = KeyRing.open(Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
for act in (ring.new, lambda: ring.rotate("k")):
    try:
        act()
    except CovoguardError as error:
        print(error.code, error.message)
"""


def test_a_disk_that_takes_no_more_leaves_what_was_there(ring):
    key = ring.new()
    before = path_of(ring, key).read_bytes()
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(ring.folder)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("output_error ") and "cannot be written: File too large" in line for line in lines)
    assert_no_secret(done.stdout + done.stderr, key)
    assert path_of(ring, key).read_bytes() == before
    assert {path.name for path in ring.folder.iterdir()} == {".lock", path_of(ring, key).name}


@pytest.mark.parametrize("call", ["open", "replace", "fsync"])
def test_a_folder_that_refuses_writing_is_named(ring, monkeypatch, call):
    key = ring.new()
    allowed = getattr(os, call)

    def refuse(*arguments, **settings):
        if call == "open" and not (arguments[1] & os.O_CREAT):
            return allowed(*arguments, **settings)
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        with pytest.raises(CovoguardError, match=r"cannot be written: Read-only file system; make room") as caught:
            ring.rotate(key.key_id)
        assert str(ring.folder) in caught.value.message
        assert ring.default_or_new() == key, "reading needs no writing"
    assert ring.keys() == [key]
    assert not list(ring.folder.glob(".*.part"))


def test_what_a_killed_writer_left_is_removed_and_never_read(ring):
    key = ring.new()
    left = ring.folder / f".{key.key_id}.json.0123456789abcdef.part"
    left.write_bytes(CONTENT)
    left.chmod(0o600)
    assert ring.keys() == [key]
    ring.rotate(key.key_id)
    assert not left.exists()
