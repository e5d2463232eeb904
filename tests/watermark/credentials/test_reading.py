"""Damaged and foreign files, what is found odd in manifests, and that nothing goes to the network."""

import socket
import threading

import pytest
from signed_files import CLAIM, sound_bytes, write_remote_only

from covoguard.core.errors import InputError, IntegrityError, KeyMissing
from covoguard.watermark.credentials import library, read
from covoguard.watermark.credentials.facts import manifest_facts
from covoguard.watermark.credentials.read import read_credentials
from covoguard.watermark.credentials.sign import sign_file
from covoguard.watermark.credentials.trust import TrustList

HTML = b"<!DOCTYPE html><html><body>404</body></html>" * 20


@pytest.fixture
def signed(tmp_path, signer):
    plain = tmp_path / "plain.wav"
    plain.write_bytes(sound_bytes("wav", 0.2))
    return sign_file(plain, tmp_path / "clip.wav", CLAIM, signer).path


@pytest.mark.parametrize("content", [b"\0", bytes(5000), HTML, b"RIFF\xff\xff\xff\xffWAVEC2PA\xff\xff\xff\x7f"])
def test_what_is_no_sound_cannot_be_read(tmp_path, content):
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    finding = read_credentials(path)
    assert (finding.state, finding.validation, finding.reason) == ("unreadable", None, "credentials_unreadable")


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_signed_file_that_was_cut_is_never_fine(signed, trust, kept):
    content = signed.read_bytes()
    signed.write_bytes(content[: int(kept * len(content))])
    assert read_credentials(signed, trust=[trust]).state in ("unreadable", "invalid")


@pytest.mark.parametrize("kind", ["missing", "empty", "folder"])
def test_what_cannot_be_opened_is_an_input_error(tmp_path, kind):
    path = tmp_path / "clip.wav"
    if kind == "empty":
        path.touch()
    if kind == "folder":
        path.mkdir()
    with pytest.raises(InputError):
        read_credentials(path)


def test_a_changed_statement_is_altered_not_changed(signed, trust):
    content = signed.read_bytes()
    signed.write_bytes(content.replace(b"/trainedAlgorithmicMedia", b"/digitalCapture".ljust(24, b"e")))
    finding = read_credentials(signed, trust=[trust])
    assert (finding.state, finding.reason) == ("invalid", "credentials_altered")
    assert finding.failures == ("assertion.hashedURI.mismatch",)
    assert "digitalSourceType" in finding.manifest.remarks[0]


@pytest.mark.parametrize("content", [b"", b"no manifest", bytes(1000)])
def test_a_sidecar_that_is_none(tmp_path, content):
    path = tmp_path / "clip.ogg"
    path.write_bytes(sound_bytes("ogg", 0.2))
    (tmp_path / "clip.c2pa").write_bytes(content)
    finding = read_credentials(path)
    assert (finding.state, finding.sidecar) == ("unreadable", str(tmp_path / "clip.c2pa"))


def test_without_the_library_nothing_was_checked(signed, monkeypatch):
    monkeypatch.setattr(read, "is_installed", lambda: False)
    finding = read_credentials(signed)
    assert (finding.state, finding.reason) == ("not_checked", "credentials_not_checked")
    assert finding.to_evidence().status == "not_checked"


def test_the_evidence_names_no_likelihood(signed, trust):
    evidence = read_credentials(signed, trust=[trust]).to_evidence()
    assert (evidence.kind, evidence.method, evidence.status) == ("credentials", "c2pa", "trusted")
    assert (evidence.score, evidence.log10_lr, evidence.p_value) == (None, None, None)


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_trust_list_that_is_none(tmp_path, content):
    path = tmp_path / "list.pem"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"list\.pem"):
        TrustList.from_file(path)
    with pytest.raises(KeyMissing):
        TrustList.from_file(tmp_path / "gone.pem")


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"active_manifest": 3, "manifests": []},
        {"active_manifest": "a", "manifests": {"a": {"assertions": [None, {"label": "c2pa.actions", "data": [1]}]}}},
        {"active_manifest": "a", "manifests": {"a": {"title": {"x": 1}, "signature_info": 7}}},
        {"active_manifest": "a", "manifests": {"a": {"claim_generator_info": [[]], "assertions": {"label": 1}}}},
    ],
)
def test_foreign_reports_of_any_shape_are_read(report):
    assert manifest_facts(report, None).signer is None


# --- network -----------------------------------------------------------------------------------------------


@pytest.fixture
def listener():
    """A server that counts who comes; native code cannot be kept from sockets here, so it is watched."""
    visits = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        done = threading.Event()

        def accept():
            while not done.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                visits.append(True)
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/manifest.c2pa", visits
        done.set()
        thread.join()


@pytest.mark.parametrize("container", ["wav", "mp3", "flac", "m4a"])
def test_nothing_is_fetched_unless_online(tmp_path, signer, trust, listener, monkeypatch, container):
    url, visits = listener
    path = tmp_path / f"clip.{container}"
    path.write_bytes(sound_bytes(container, 0.2))
    write_remote_only(path, signer, url)

    def refuse(*_):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    finding = read_credentials(path, trust=[trust])
    with pytest.raises(InputError, match="has credentials"):
        sign_file(path, tmp_path / f"again.{container}", CLAIM, signer)
    assert finding.reason == "credentials_remote"
    assert visits == []
    monkeypatch.undo()
    assert read_credentials(path, trust=[trust], online=True).state == "unreadable"
    assert visits, "the listener would have seen a visit"


def test_the_context_of_every_call_forbids_the_network(monkeypatch):
    settings = []

    class Context:
        from_dict = settings.append

    monkeypatch.setattr(library, "library", lambda: type("C2pa", (), {"Context": Context}))
    library.context()
    library.context(["PEM"], online=True)
    assert [each["verify"] for each in settings] == [
        {"remote_manifest_fetch": False, "ocsp_fetch": False},
        {"remote_manifest_fetch": True, "ocsp_fetch": True},
    ]
