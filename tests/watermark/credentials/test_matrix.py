"""Every container through everything that happens to signed files, with the real library."""

import datetime
import time

import pytest
import soundfile
from signed_files import (
    CLAIM,
    CONTAINERS,
    EMBEDDED,
    detached_manifest,
    flip_sound_byte,
    remux,
    signer_files,
    signer_of,
    sound_bytes,
    trust_in,
    write_remote_only,
)

from covoguard.watermark.credentials.read import read_credentials
from covoguard.watermark.credentials.sign import sign_file
from covoguard.watermark.credentials.trust import TrustList

SHORT_LIFE = datetime.timedelta(seconds=6)


@pytest.fixture(params=CONTAINERS)
def container(request):
    return request.param


@pytest.fixture(scope="module")
def sounds():
    return {container: sound_bytes(container) for container in CONTAINERS}


@pytest.fixture
def plain(container, sounds, tmp_path):
    path = tmp_path / f"plain.{container}"
    path.write_bytes(sounds[container])
    return path


@pytest.fixture
def signed(plain, signer, tmp_path):
    """The signed copy; for Ogg with its sidecar beside it."""
    return sign_file(plain, tmp_path / f"clip{plain.suffix}", CLAIM, signer).path


def state_of(finding):
    """State and worth; a sidecar's state says only where it was found."""
    return finding.state, finding.validation, finding.reason


def expected(container, validation, reason):
    return (validation if container in EMBEDDED else "sidecar"), validation, reason


def test_signed_trusted(signed, container, trust):
    finding = read_credentials(signed, trust=[trust])
    assert state_of(finding) == expected(container, "trusted", "credentials_trusted")
    manifest = finding.manifest
    assert (manifest.signer, manifest.trust_list) == ("Radio Example", "radio.pem")
    assert manifest.issuer == "covoguard test, trusted by nobody else"
    assert manifest.claim_generator.startswith("covoguard ")
    assert (manifest.content, manifest.remarks) == ("generated", ())
    created, watermarked = manifest.actions
    assert (created.action, created.agent) == ("c2pa.created", "pocket 0.1.0")
    assert created.digital_source_type == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert watermarked.action == "c2pa.watermarked.bound"
    assert [(each.alg, each.value) for each in manifest.soft_bindings] == [
        ("org.covoguard.tokenmark.1", "k3e7670e85b.1")
    ]


def test_signed_untrusted(signed, container):
    finding = read_credentials(signed)
    assert state_of(finding) == expected(container, "valid_untrusted", "credentials_untrusted")
    assert finding.manifest.trust_list is None


def test_a_list_that_vouches_for_others_vouches_for_nobody_here(signed, container, trust):
    others = trust_in(signer_files(), "others.pem")
    assert read_credentials(signed, trust=[others]).validation == "valid_untrusted"
    both = read_credentials(signed, trust=[others, trust])
    assert (both.validation, both.manifest.trust_list) == ("trusted", "radio.pem")


def test_one_byte_flipped(signed, container, trust):
    flip_sound_byte(signed)
    finding = read_credentials(signed, trust=[trust])
    assert state_of(finding) == expected(container, "invalid", "credentials_changed")
    assert finding.is_broken


def test_remuxed(signed, trust):
    copy = signed.with_name(f"remuxed{signed.suffix}")
    remux(signed, copy)
    assert state_of(read_credentials(copy, trust=[trust])) == ("absent", None, "credentials_absent")


def test_manifest_stripped(plain, signed, container, trust):
    if container in EMBEDDED:
        signed.write_bytes(plain.read_bytes())
    else:
        signed.with_suffix(".c2pa").unlink()
    assert state_of(read_credentials(signed, trust=[trust])) == ("absent", None, "credentials_absent")


@pytest.mark.parametrize("name", ["plain.c2pa", "plain.{}.c2pa"])
def test_sidecar(plain, container, signer, trust, name):
    sidecar = plain.with_name(name.format(container))
    sidecar.write_bytes(detached_manifest(plain, signer))
    finding = read_credentials(plain, trust=[trust])
    assert state_of(finding) == ("sidecar", "trusted", "credentials_trusted")
    assert finding.sidecar == str(sidecar)
    assert read_credentials(plain).validation == "valid_untrusted"


def test_a_sidecar_that_may_be_a_namesakes_accuses_nobody(plain, signer):
    plain.with_suffix(".c2pa").write_bytes(detached_manifest(plain, signer))
    flip_sound_byte(plain)
    assert state_of(read_credentials(plain)) == ("sidecar", "invalid", "credentials_changed")
    plain.with_suffix(".aiff").write_bytes(b"FORM")
    assert state_of(read_credentials(plain)) == ("absent", None, "credentials_absent")


@pytest.mark.parametrize("container", EMBEDDED, indirect=True)
def test_remote_manifest_only(plain, signer, trust):
    write_remote_only(plain, signer, "http://127.0.0.1:9/manifest.c2pa")
    finding = read_credentials(plain, trust=[trust])
    assert state_of(finding) == ("unreadable", None, "credentials_remote")
    assert "http://127.0.0.1:9/manifest.c2pa" in finding.words


@pytest.fixture(scope="module")
def expired(sounds, tmp_path_factory):
    """Files signed while the certificate was in force, which it no longer is; and the authority's list."""
    folder = tmp_path_factory.mktemp("expired")
    start = time.time()
    files = signer_files(lifetime=SHORT_LIFE)
    for container, content in sounds.items():
        plain = folder / f"plain.{container}"
        plain.write_bytes(content)
        sign_file(plain, folder / f"{container}.{container}", CLAIM, signer_of(files))
    time.sleep(max(0.0, start + SHORT_LIFE.total_seconds() + 1.5 - time.time()))
    return folder, trust_in(files)


def test_expired_certificate(expired, container):
    folder, trust = expired
    finding = read_credentials(folder / f"{container}.{container}", trust=[trust])
    assert state_of(finding) == expected(container, "invalid", "credentials_expired")
    assert "run out" in finding.words
    assert "changed afterwards" not in finding.words


@pytest.mark.parametrize("container", ["wav", "flac"], indirect=True)
def test_the_samples_are_those_from_before(plain, signed):
    before, after = soundfile.read(plain)[0], soundfile.read(signed)[0]
    assert (before == after).all()


def test_a_sidecar_leaves_the_file_as_it_is(signer, tmp_path):
    path = tmp_path / "clip.ogg"
    path.write_bytes(sound_bytes("ogg"))
    before = path.read_bytes()
    signed = sign_file(path, path, CLAIM, signer)
    assert (path.read_bytes(), signed.sidecar) == (before, tmp_path / "clip.c2pa")


def test_no_list_is_built_in(signed):
    assert read_credentials(signed, trust=[]).manifest.trust_list is None
    assert TrustList.__dataclass_fields__.keys() == {"name", "pem"}
