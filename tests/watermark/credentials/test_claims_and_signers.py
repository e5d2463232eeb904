"""What may be asserted, and who may assert it."""

import datetime
import os
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from signed_files import CLAIM, MARK, signer_files, signer_of

from covoguard.core.errors import IntegrityError, KeyMissing, UsageError
from covoguard.core.privatefolder import PrivateFolder
from covoguard.watermark.credentials.authority import make_test_signer, write_signer_folder
from covoguard.watermark.credentials.manifest import (
    SOURCE_TYPE_OF,
    MarkBinding,
    check_definition,
    content_of,
    is_source_type,
    manifest_definition,
)
from covoguard.watermark.credentials.signer import PemSigner

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def spoilt(change):
    definition = manifest_definition(CLAIM)
    change({assertion["label"]: assertion for assertion in definition["assertions"]})
    return definition


def test_a_whole_claim():
    definition = manifest_definition(CLAIM)
    actions, training, binding = (each["data"] for each in definition["assertions"])
    assert actions["actions"][0]["softwareAgent"]["org.covoguard.model_sha256"] == "ab" * 32
    assert {entry["use"] for entry in training["entries"].values()} == {"notAllowed"}
    assert binding["blocks"] == [{"scope": {}, "value": MARK.value}]
    assert not any("watermarked" in str(each) for each in manifest_definition(replace(CLAIM, mark=None))["assertions"])


@pytest.mark.parametrize(("content", "term"), [("captured", "digitalCapture"), ("edited", "humanEdits")])
def test_the_content_decides_the_source_type(content, term):
    actions = manifest_definition(replace(CLAIM, content=content))["assertions"][0]["data"]["actions"]
    assert actions[0]["digitalSourceType"] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{term}"
    assert content_of([SOURCE_TYPE_OF[content]]) == content


@pytest.mark.parametrize(
    "change",
    [
        lambda by: by["c2pa.actions.v2"]["data"]["actions"][0].update(digitalSourceType="trainedAlgorithmicMedia"),
        lambda by: by["c2pa.actions.v2"]["data"]["actions"][0].pop("digitalSourceType"),
        lambda by: by["c2pa.actions.v2"]["data"]["actions"].reverse(),
        lambda by: by["cawg.training-mining"].update(label="c2pa.training-mining"),
        lambda by: by["cawg.training-mining"]["data"]["entries"]["cawg.ai_training"].update(use="never"),
        lambda by: by["c2pa.soft-binding"]["data"].update(blocks=[]),
        lambda by: by["c2pa.soft-binding"]["data"].update(alg="ours"),
    ],
)
def test_the_lint_refuses_what_the_library_would_sign(change):
    with pytest.raises(UsageError, match="would be wrong"):
        check_definition(spoilt(change))


def test_source_types_are_whole_urls_of_known_terms():
    assert all(map(is_source_type, SOURCE_TYPE_OF.values()))
    assert is_source_type("http://c2pa.org/digitalsourcetype/empty")
    for wrong in ("digitalCapture", "https://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture", None, 3, ""):
        assert not is_source_type(wrong)
    assert content_of(["digitalCapture", "compositeWithTrainedAlgorithmicMedia"]) == "generated"
    assert content_of([]) is None


@pytest.mark.parametrize("binding", [MARK, MarkBinding("k0123456789", 12, (4, 17, 20778))])
def test_a_binding_survives_its_text(binding):
    assert MarkBinding.parse(binding.value) == binding


@pytest.mark.parametrize("value", ["", "k3e7670e85b", "k3e7670e85b.0", "K3E7670E85B.1", "k3e7670e85b.1.2-3", "x.1"])
def test_other_texts_are_no_binding(value):
    with pytest.raises(UsageError, match="no token mark"):
        MarkBinding.parse(value)


@pytest.mark.parametrize(
    ("curve", "algorithm", "n_bytes"),
    [(ec.SECP256R1(), "ES256", 64), (ec.SECP384R1(), "ES384", 96), (ec.SECP521R1(), "ES512", 132)],
)
def test_ecdsa_signatures_have_one_length(curve, algorithm, n_bytes):
    signer = PemSigner(b"", algorithm, ec.generate_private_key(curve))
    assert {len(signer.sign(bytes([i]))) for i in range(20)} == {n_bytes}


def test_a_signer_folder_is_private_and_whole(tmp_path, authority):
    folder = tmp_path / "signer"
    with PrivateFolder.make(folder) as opened:
        write_signer_folder(opened, authority)
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert PemSigner.from_folder(folder).authority_pem == authority["authority.pem"]
    with PrivateFolder.make(folder) as opened, pytest.raises(UsageError, match="not empty"):
        write_signer_folder(opened, authority)
    (folder / "key.pem").chmod(0o644)
    with pytest.raises(KeyMissing, match="chmod"):
        PemSigner.from_folder(folder)
    (folder / "key.pem").unlink()
    with pytest.raises(KeyMissing, match="no signer"):
        PemSigner.from_folder(folder)
    with pytest.raises(KeyMissing, match="no signer"):
        PemSigner.from_folder(tmp_path / "gone")


def test_signers_from_files(tmp_path, authority):
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(authority["chain.pem"])
    key.write_bytes(authority["key.pem"])
    key.chmod(0o600)
    assert PemSigner.from_files(chain, key).algorithm == "ES256"
    os.chmod(key, 0o640)
    with pytest.raises(KeyMissing, match="chmod 600"):
        PemSigner.from_files(chain, key)
    with pytest.raises(KeyMissing, match="cannot be read"):
        PemSigner.from_files(chain, tmp_path / "gone.pem")


def test_pairs_that_do_not_fit_are_refused(authority):
    other = signer_files()
    with pytest.raises(IntegrityError, match="not that of the certificate"):
        PemSigner.from_pem(authority["chain.pem"], other["key.pem"], "x")
    for chain, key in ((b"", other["key.pem"]), (other["chain.pem"], b"garbage"), (b"\xff", b"\xff")):
        with pytest.raises(IntegrityError, match="PEM"):
            PemSigner.from_pem(chain, key, "x")
    odd = ec.generate_private_key(ec.SECP256K1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(IntegrityError, match="kind of key"):
        PemSigner.from_pem(other["chain.pem"], odd, "x")


def test_a_certificate_out_of_its_time_signs_nothing():
    files = make_test_signer("Old", now=NOW - 3 * DAY, lifetime=DAY)
    with pytest.raises(KeyMissing, match="valid from"):
        signer_of(files)


@pytest.mark.parametrize("name", ["", " ", "x" * 65, "a\nb"])
def test_names_that_no_certificate_can_hold(name):
    with pytest.raises(UsageError, match="signer's name"):
        make_test_signer(name, now=NOW, lifetime=DAY)


def test_the_authority_certifies_and_the_signer_does_not(authority):
    leaf, root = x509.load_pem_x509_certificates(authority["chain.pem"])
    leaf.verify_directly_issued_by(root)
    constraints = [each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca for each in (leaf, root)]
    assert constraints == [False, True]
    assert authority["key.pem"].count(b"PRIVATE KEY") == 2, "one key: the authority's own is forgotten"


def test_no_signer_shows_its_key(authority):
    assert "PrivateKey" not in repr(signer_of(authority))
