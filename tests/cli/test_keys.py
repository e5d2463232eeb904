"""`covoguard keys` through the real command line: it manages secrets and never prints one."""

import json
import stat

import pytest
from secret_leaks import assert_no_secret

from covoguard.core.keyring import KeyRing


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    return tmp_path / "keys"


@pytest.fixture
def keys(run, folder):
    """`keys("list")`: the finished process, after a look for secrets in all that it printed."""

    def run_and_search(*arguments):
        done = run("keys", *arguments)
        stored = KeyRing(folder).keys()
        for key in stored:
            assert_no_secret(done.stdout + done.stderr, key)
        assert b"Traceback" not in done.stderr
        return done

    return run_and_search


def test_the_life_of_a_key(keys, folder):
    made = json.loads(keys("new", "--label", "newsroom-eu", "--json").stdout)
    assert (made["label"], made["default"], len(made["epochs"])) == ("newsroom-eu", True, 1)
    assert stat.S_IMODE((folder / f"{made['key_id']}.json").stat().st_mode) == 0o600

    other = json.loads(keys("new", "--default", "--json").stdout)
    rotated = json.loads(keys("rotate", "newsroom-eu", "--json").stdout)
    assert rotated["key_id"] == made["key_id"]
    assert [each["retired_utc"] is None for each in rotated["epochs"]] == [False, True]

    listed = [json.loads(line) for line in keys("list", "--json").stdout.splitlines()]
    assert [each["key_id"] for each in listed] == [made["key_id"], other["key_id"]]
    assert [each["default"] for each in listed] == [False, True]
    assert json.loads(keys("show", "--json").stdout) == listed[1]
    assert json.loads(keys("set-default", "newsroom-eu", "--json").stdout)["default"]

    plain = keys("show", made["key_id"][:8]).stdout.decode()
    for fact in (made["key_id"], "(default)", "newsroom-eu", str(folder), rotated["epochs"][1]["fingerprint"]):
        assert fact in plain
    rows = keys("list").stdout.decode().splitlines()
    assert rows[0].split() == [
        made["key_id"],
        "epoch",
        "2",
        made["epochs"][0]["created_utc"][:10],
        "default",
        "newsroom-eu",
    ]


def test_the_public_id_says_only_what_may_be_published(keys):
    keys("new", "--label", "client-name")
    shown = json.loads(keys("rotate", "client-name", "--json").stdout)
    for arguments, number in (((), 1), (("--epoch", "1"), 0)):
        exported = json.loads(keys("export-public-id", *arguments).stdout)
        assert exported == {
            "covoguard_public_key_id": 1,
            "key_id": shown["key_id"],
            "epoch": number + 1,
            "fingerprint": shown["epochs"][number]["fingerprint"],
        }


def test_an_empty_ring_is_no_error_to_list(keys, folder):
    done = keys("list")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"covoguard keys new" in done.stderr
    assert not folder.exists()


def test_exit_codes_and_messages(keys, folder):
    assert keys("show").returncode == 4
    key_id = json.loads(keys("new", "--json").stdout)["key_id"]
    keys("new")
    for arguments, code, message in (
        (("show", "unknown"), 4, key_id),
        (("rotate", "unknown"), 4, key_id),
        (("export-public-id", "--epoch", "7"), 4, "epochs are 1 to 1"),
        (("show", "k"), 2, "may mean"),
        (("new", "--label", "No Label"), 2, "choose another"),
        (("rotate",), 2, "KEY"),
    ):
        done = keys(*arguments)
        assert (done.returncode, done.stdout) == (code, b"")
        assert message in done.stderr.decode()


@pytest.mark.parametrize("command", [("list",), ("show",), ("new",), ("rotate", "k"), ("export-public-id",)])
def test_loose_and_damaged_files_are_refused_with_what_to_do(run, keys, folder, command):
    made = json.loads(keys("new", "--json").stdout)
    path = folder / f"{made['key_id']}.json"
    (secret,) = KeyRing(folder).keys()
    path.chmod(0o644)
    loose = run("keys", *command, "-vv")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-20])
    damaged = run("keys", *command, "-vv")
    for done, message in ((loose, f"chmod 600 {path}"), (damaged, "restore the key file from a backup")):
        assert (done.returncode, done.stdout) == (4, b"")
        assert message in done.stderr.decode()
        assert_no_secret(done.stderr, secret)


def test_a_folder_of_keys_inside_a_work_tree_is_warned_about(keys, folder):
    (folder.parent / ".git").mkdir()
    done = keys("new")
    assert done.returncode == 0
    assert b"warning" in done.stderr
    assert b"git work tree" in done.stderr
