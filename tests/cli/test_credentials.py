"""`covoguard sign` and `covoguard credentials`, as people and scripts use them."""

import json
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner
from signed_files import flip_sound_byte, sound_bytes

from covoguard.cli.main import cli
from covoguard.core.credentialsrecord import CredentialsRecord, SigningRecord
from covoguard.core.errors import CovoguardError, UsageError
from covoguard.core.reasons import REASONS

pytest.importorskip("c2pa", reason="c2pa-python is not installed")


SCHEMAS = Path(__file__).resolve().parents[2] / "reports" / "schema"


@pytest.fixture
def run(monkeypatch, tmp_path):
    """`run("sign", ...)`: the result; errors that end a command are raised."""
    monkeypatch.setenv("COVOGUARD_REGISTRY", str(tmp_path / "registry.sqlite"))
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    monkeypatch.delenv("COVOGUARD_SIGNER", raising=False)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments):
        result = CliRunner().invoke(cli, [str(each) for each in arguments])
        if isinstance(result.exception, CovoguardError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


@pytest.fixture
def signer(run):
    assert run("credentials", "init", "signer", "--name", "Radio Example").exit_code == 0
    return "signer"


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    path.write_bytes(sound_bytes("wav", 0.3))
    return path


def rows(result):
    """Lines of JSON; those of `credentials show` and `sign` as their shipped schemas say."""
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for row in found:
        name = "signing" if "output" in row else "credentials" if "clip_id" not in row else None
        if name is not None:
            jsonschema.validate(row, json.loads((SCHEMAS / f"{name}-record-1.schema.json").read_text()))
    return found


def test_the_schemas_ask_for_exactly_the_keys_of_the_records():
    for name, record in (("credentials", CredentialsRecord), ("signing", SigningRecord)):
        schema = json.loads((SCHEMAS / f"{name}-record-1.schema.json").read_text())
        assert schema["required"] == list(schema["properties"]) == [field.name for field in fields(record)]
        assert schema["$defs"]["code"]["enum"] == list(REASONS)


def test_signing_records_fit_their_schema(run, signer, clip):
    (signed,) = rows(run("sign", "--content", "captured", "--signer", signer, clip, "--json"))
    (again,) = rows(run("sign", "--content", "captured", "--signer", signer, "clip.signed.wav", "--json"))
    assert (signed["error"], again["error"]["code"]) == (None, "already_signed")


def test_init_says_loudly_that_nobody_else_trusts_it(run, tmp_path):
    result = run("credentials", "init", "signer")
    assert "NOBODY ELSE TRUSTS IT" in result.stderr
    assert "PRIVATE" not in result.output
    with pytest.raises(UsageError, match="not empty"):
        run("credentials", "init", "signer")


def test_sign_and_show(run, signer, clip):
    signed = run("sign", "--content", "captured", "--signer", signer, clip)
    assert (signed.exit_code, "signed 1 of 1" in signed.stderr) == (0, True)
    table = run("credentials", "show", "clip.signed.wav", "--trust", "signer/authority.pem")
    assert table.exit_code == 0
    assert "trusted" in table.stdout
    assert "authority.pem vouches for the signer" in " ".join(table.stdout.split())
    (record,) = rows(run("credentials", "show", "clip.signed.wav", "--json"))
    assert record["credentials"]["state"] == "valid_untrusted"
    assert record["credentials"]["manifest"]["content"] == "captured"
    assert record["error"] is None


def test_exit_codes(run, signer, clip, tmp_path):
    run("sign", "--content", "generated", "--signer", signer, clip)
    flipped = tmp_path / "clip.signed.wav"
    flip_sound_byte(flipped)
    assert run("credentials", "show", clip).exit_code == 0
    assert run("credentials", "show", clip, flipped).exit_code == 20
    assert run("credentials", "show", flipped, "gone.wav").exit_code == 3
    (tmp_path / "page.wav").write_text("<html>" * 50)
    result = run("credentials", "show", "page.wav", "--json")
    assert (result.exit_code, rows(result)[0]["credentials"]["state"]) == (3, "unreadable")
    assert run("sign", "--content", "generated", "--signer", signer, "gone.wav").exit_code == 3


def test_a_lost_manifest_comes_back_by_its_mark(run, signer, clip):
    run("sign", "--content", "generated", "--signer", signer, "--mark", "k3e7670e85b.1", clip)
    result = run("credentials", "show", clip, "--mark", "k3e7670e85b.1", "--json")
    assert result.exit_code == 0
    assert rows(result)[0]["credentials"]["state"] == "recovered"
    with pytest.raises(UsageError, match="no token mark"):
        run("credentials", "show", clip, "--mark", "nonsense")


def test_results_go_to_files(run, clip, tmp_path):
    run("credentials", "show", clip, "-o", "found.jsonl", "-o", "found.txt", "-q")
    assert json.loads((tmp_path / "found.jsonl").read_text())["credentials"]["state"] == "absent"
    assert "absent" in (tmp_path / "found.txt").read_text()


def test_generate_signs_with_a_configured_signer(run, signer, monkeypatch, tmp_path):
    monkeypatch.setenv("COVOGUARD_SIGNER", str(tmp_path / "signer"))
    result = run("generate", "--text", "Good morning.", "-o", "out", "--json", "--seed", "1", "--no-mark")
    assert result.exit_code == 0
    assert rows(result)[0]["credentials"]["status"] == "signed"
    assert "content credentials: signed 1, failed 0" in result.stderr
    shown = rows(run("credentials", "show", "out/clips/000000.flac", "--json"))[0]["credentials"]
    assert (shown["state"], shown["manifest"]["trust_list"]) == ("trusted", "your own test authority")
    with pytest.raises(UsageError, match="--no-sign"):
        run("generate", "--text", "x", "-o", "z", "--signer", "signer", "--no-sign")
