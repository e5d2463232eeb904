"""A file that lost its manifest gets it back by its mark, and is not called tampered with."""

import sqlite3
from dataclasses import replace

import pytest
from signed_files import CLAIM, MARK, signer_files, signer_of, sound_bytes

from covoguard.core.audio import open_input
from covoguard.core.errors import CovoguardError, IntegrityError, UsageError
from covoguard.watermark.credentials import registry as registry_module
from covoguard.watermark.credentials.manifest import MarkBinding
from covoguard.watermark.credentials.registry import Registry, default_registry, recover_credentials
from covoguard.watermark.credentials.sign import sign_file

PAID = MarkBinding(MARK.key_id, MARK.epoch, (4, 17, 20778))


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "data" / "registry.sqlite")


@pytest.fixture
def sign(tmp_path, signer, registry):
    """`sign(mark, seconds)`: sign and register a sound; -> the file before, as a stripped copy has it."""

    def sign_and_register(mark=MARK, seconds=0.2, by=signer):
        plain = tmp_path / f"plain-{seconds}.wav"
        plain.write_bytes(sound_bytes("wav", seconds))
        signed = sign_file(plain, tmp_path / f"{mark.value}-{seconds}.wav", replace(CLAIM, mark=mark), by)
        registry.add(mark, signed)
        return plain, signed

    return sign_and_register


def recover(path, registry, marks=(MARK,), trust=()):
    with open_input(path) as opened:
        return recover_credentials(opened, marks, registry, trust=trust)


def test_a_transcoded_file_is_recovered_not_tampered(sign, registry, trust, tmp_path):
    _, signed = sign()
    transcoded = tmp_path / "posted.mp3"
    transcoded.write_bytes(sound_bytes("mp3", 0.2))
    finding = recover(transcoded, registry, trust=[trust])
    assert (finding.state, finding.validation, finding.reason) == ("recovered", "trusted", "credentials_recovered")
    assert finding.signed_sha256 == signed.sha256
    assert "not those that were signed" in finding.words
    assert finding.manifest.signer == "Radio Example"
    assert not finding.is_broken
    assert recover(transcoded, registry).validation == "valid_untrusted"


def test_of_many_under_one_mark_the_bytes_before_signing_decide(sign, registry, tmp_path):
    first, signed = sign(seconds=0.2)
    second, _ = sign(seconds=0.3)
    assert recover(first, registry).signed_sha256 == signed.sha256
    assert recover(second, registry).signed_sha256 != signed.sha256
    transcoded = tmp_path / "posted.mp3"
    transcoded.write_bytes(sound_bytes("mp3", 0.2))
    finding = recover(transcoded, registry)
    assert (finding.state, finding.reason) == ("absent", "credentials_unresolved")
    assert finding.words.startswith("2 manifests")


def test_a_payload_narrows_and_its_lack_does_not_exclude(sign, registry):
    plain, _ = sign(PAID)
    assert recover(plain, registry, [PAID]).state == "recovered"
    assert recover(plain, registry, [MARK]).state == "recovered"
    other = MarkBinding(MARK.key_id, MARK.epoch, (4, 18, 20778))
    later = MarkBinding(MARK.key_id, 11)
    assert recover(plain, registry, [other]) is None
    assert recover(plain, registry, [later]) is None


def test_epoch_one_is_not_the_beginning_of_epoch_eleven(sign, registry):
    plain, _ = sign(MarkBinding(MARK.key_id, 11))
    assert recover(plain, registry, [MARK]) is None


def test_a_manifest_that_names_another_mark_is_not_believed(sign, registry):
    plain, signed = sign()
    stranger = MarkBinding("k0000000000", 1)
    registry.add(stranger, signed)
    assert recover(plain, registry, [stranger]) is None


def test_a_manifest_that_does_not_hold_is_recovered_as_invalid(sign, registry):
    plain, signed = sign()
    forged = signed.manifest.replace(b"/trainedAlgorithmicMedia", b"/digitalCapture".ljust(24, b"e"))
    registry.add(MARK, replace(signed, manifest=forged))
    finding = recover(plain, registry)
    assert (finding.state, finding.validation) == ("recovered", "invalid")
    registry.add(MARK, replace(signed, manifest=b"no manifest"))
    assert recover(plain, registry).state == "unreadable"


def test_another_authority_does_not_vouch(sign, registry, trust):
    plain, _ = sign(by=signer_of(signer_files()))
    assert recover(plain, registry, trust=[trust]).validation == "valid_untrusted"


def test_an_empty_or_missing_registry_knows_nothing(registry, tmp_path):
    assert registry.find(MARK) == []
    assert not registry.path.exists()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\x00" + bytes(3000)])
def test_a_file_that_is_no_registry(tmp_path, content):
    path = tmp_path / "registry.sqlite"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"registry\.sqlite"):
        Registry(path).find(MARK)


def test_a_registry_of_another_version_is_left_alone(sign, registry):
    _, signed = sign()
    with sqlite3.connect(registry.path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    for use in (lambda: registry.find(MARK), lambda: registry.add(MARK, signed)):
        with pytest.raises(IntegrityError, match="version 7"):
            use()


def test_a_registry_that_cannot_be_written_says_so(sign, tmp_path):
    _, signed = sign()
    (tmp_path / "file").touch()
    with pytest.raises(CovoguardError, match="cannot be written") as caught:
        Registry(tmp_path / "file" / "registry.sqlite").add(MARK, signed)
    assert caught.value.code == "output_error"
    with pytest.raises((CovoguardError, IntegrityError)):
        Registry(tmp_path).add(MARK, signed)


def test_where_the_registry_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("COVOGUARD_REGISTRY", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_registry() == tmp_path / "covoguard" / "credentials.sqlite"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    assert default_registry().parts[-4:-1] == (".local", "share", "covoguard")
    monkeypatch.setenv("COVOGUARD_REGISTRY", str(tmp_path / "mine"))
    assert default_registry() == tmp_path / "mine"
    monkeypatch.delenv("COVOGUARD_REGISTRY")

    def homeless():
        raise RuntimeError

    monkeypatch.setattr(registry_module.Path, "home", homeless)
    with pytest.raises(UsageError, match="home"):
        default_registry()
