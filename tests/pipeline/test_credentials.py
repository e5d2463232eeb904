"""Credentials in runs: clips are signed as they are made, and no signer can cost a clip."""

import pytest
from secret_leaks import assert_no_secret
from signed_files import signer_files, signer_of, sound_bytes, trust_in
from tone_generator import ToneGenerator, ToneRecoverer, build_tone_model

from covoguard.core.audio import open_input
from covoguard.core.cliprecord import clip_line, read_clip_line
from covoguard.core.errors import KeyMissing, UsageError
from covoguard.core.keyring import KeyRing
from covoguard.core.markrecord import KeyReading, MarkPayload, TokenMark
from covoguard.generate.prompts import PromptList
from covoguard.pipeline import clip_credentials, mark_evidence
from covoguard.pipeline.clip_check import reading_back
from covoguard.pipeline.clip_credentials import ClipSigning, load_clip_signing
from covoguard.pipeline.credentials import (
    CredentialsReader,
    SigningPlan,
    configured_trust,
    load_signer,
    make_signer_folder,
    marks_in,
    sign_files,
)
from covoguard.pipeline.generate import GenerationPlan, open_generation
from covoguard.watermark.credentials.manifest import MarkBinding
from covoguard.watermark.credentials.registry import Registry

pytest.importorskip("c2pa", reason="c2pa-python is not installed")

PROMPTS = PromptList.of_texts([" ".join(["word"] * 26), "unspeakable", "one two"])


class PulledOut:
    """A token that answers once."""

    def __init__(self, signer):
        self.chain_pem, self.algorithm = signer.chain_pem, signer.algorithm
        self._answers = [signer.sign]

    def sign(self, data):
        if not self._answers:
            raise RuntimeError("the token was pulled out")
        return self._answers.pop()(data)


@pytest.fixture(scope="module")
def authority():
    return signer_files()


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tone-model")
    build_tone_model(folder)
    return folder


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry.sqlite")


@pytest.fixture
def key(tmp_path):
    return KeyRing(tmp_path / "keys").default_or_new()


@pytest.fixture
def generate(model_folder, tmp_path, key, monkeypatch):
    """`generate(signing)`: the records of a run in `tmp_path / "out"`."""
    monkeypatch.setattr(mark_evidence, "load_recoverer", lambda folder: ToneRecoverer(ToneGenerator.load(folder).model))
    generator = ToneGenerator.load(model_folder)

    def run(signing):
        with (
            reading_back(generator, key) as read_back,
            open_generation(
                tmp_path / "out", PROMPTS, generator, GenerationPlan(seed=1), key=key, read_back=read_back,
                signing=signing,
            ) as run,
        ):  # fmt: skip
            return list(run.records()), run.tally

    return run


def test_clips_are_signed_marked_and_whole(generate, registry, authority, key, tmp_path):
    records, tally = generate(ClipSigning(signer_of(authority), registry))
    assert [record.credentials and record.credentials.status for record in records] == ["signed", None, "signed"]
    assert records[0].check.status == "mark_found"
    assert tally.credentials == {"signed": 2}
    path = tmp_path / "out" / records[0].path
    with open_input(path) as opened:
        finding = CredentialsReader([trust_in(authority)], registry=registry).read(opened)
        assert opened.sha256 == records[0].sha256
    assert (finding.state, finding.manifest.label) == ("trusted", records[0].credentials.manifest)
    assert finding.manifest.soft_bindings[0].value == f"{key.key_id}.1"
    assert finding.manifest.actions[0].agent.startswith("tone")
    assert all(read_clip_line(clip_line(record)) == record for record in records)
    assert sorted(each.binding for each in registry.find(MarkBinding(key.key_id, 1))) == [f"{key.key_id}.1"] * 2
    assert_no_secret(path.read_bytes(), key)
    assert_no_secret(registry.path.read_bytes(), key)


def test_a_signer_that_fails_loses_no_clip(generate, registry, authority, tmp_path):
    records, tally = generate(ClipSigning(PulledOut(signer_of(authority)), registry))
    assert [record.credentials and record.credentials.status for record in records] == ["signed", None, "failed"]
    last = records[-1]
    assert "pulled out" in last.credentials.detail
    assert last.is_failure
    assert tally.failures == 2
    assert (tmp_path / "out" / last.path).is_file()
    assert last.check.status in ("mark_found", "too_short")


def test_a_registry_that_fails_leaves_the_clips_signed(generate, authority, tmp_path):
    records, _ = generate(ClipSigning(signer_of(authority), Registry(tmp_path)))
    assert records[0].credentials.status == "signed"
    assert "registry" in records[0].credentials.detail
    assert not records[0].is_failure


def test_without_a_signer_lines_are_as_they_were(generate):
    records, _ = generate(None)
    assert "credentials" not in clip_line(records[0])


def test_a_stripped_clip_is_recovered_by_the_mark_in_its_sound(generate, registry, authority, key, tmp_path):
    records, _ = generate(ClipSigning(signer_of(authority), registry))
    stripped = tmp_path / "stripped.wav"
    stripped.write_bytes(sound_bytes("wav"))
    token_mark = reading(key.key_id, "present")
    with open_input(stripped) as opened:
        reader = CredentialsReader(registry=registry)
        assert reader.read(opened).state == "absent"
        assert reader.read(opened, marks_in(token_mark)).reason == "credentials_unresolved"
        assert CredentialsReader(registry=None).read(opened, marks_in(token_mark)).reason == "credentials_absent"
    assert records[0].mark.key_id == key.key_id


def reading(key_id, status, payload=None):
    key = KeyReading(key_id, 1, status, None, -9.0, 9.0, -9.0, 5.0, None, 1, None, payload)
    return TokenMark(status, None, -6.0, -9.0, 9.0, -9.0, 5.0, None, (), (key,), "tone@1", None, "tone@1", None)


def test_the_marks_of_a_sound_are_those_that_are_present():
    assert marks_in(reading("k3e7670e85b", "absent")) == ()
    assert marks_in(reading("k3e7670e85b", "present")) == (MarkBinding("k3e7670e85b", 1),)
    payload = MarkPayload("read", 4, 17, "2026-11-21")
    assert marks_in(reading("k3e7670e85b", "present", payload)) == (MarkBinding("k3e7670e85b", 1, (4, 17, 20778)),)
    unsure = MarkPayload("uncertain", None, None, None)
    assert marks_in(reading("k3e7670e85b", "present", unsure)) == (MarkBinding("k3e7670e85b", 1),)


# --- signing files -----------------------------------------------------------------------------------------


def test_one_bad_file_costs_no_neighbour(tmp_path, authority, registry):
    names = ["a.wav", "gone.wav", "b.ogg", "empty.mp3"]
    (tmp_path / "a.wav").write_bytes(sound_bytes("wav", 0.2))
    (tmp_path / "b.ogg").write_bytes(sound_bytes("ogg", 0.2))
    (tmp_path / "empty.mp3").touch()
    mark = MarkBinding("k3e7670e85b", 1)
    plan = SigningPlan("captured", mark=mark)
    records = list(sign_files([tmp_path / name for name in names], plan, signer_of(authority), registry))
    assert [record.error and record.error.code for record in records] == [None, "not_found", None, "empty_file"]
    assert records[0].output == str(tmp_path / "a.signed.wav")
    assert (records[2].output, records[2].sidecar) == (str(tmp_path / "b.ogg"), str(tmp_path / "b.c2pa"))
    assert len(registry.find(mark)) == 2
    again = list(sign_files([tmp_path / "a.wav"], plan, signer_of(authority), registry))
    assert again[0].error.code == "output_exists"


def test_copies_go_into_a_folder_with_their_sidecars(tmp_path, authority, registry):
    source = tmp_path / "b.ogg"
    source.write_bytes(sound_bytes("ogg", 0.2))
    plan = SigningPlan("edited", folder=tmp_path / "signed")
    list(sign_files([source], plan, signer_of(authority), registry))
    assert (tmp_path / "signed" / "b.ogg").read_bytes() == source.read_bytes()
    with open_input(tmp_path / "signed" / "b.ogg") as opened:
        assert CredentialsReader().read(opened).manifest.content == "edited"


def test_a_folder_that_cannot_be_made(tmp_path, authority, registry):
    (tmp_path / "file").touch()
    plan = SigningPlan("captured", folder=tmp_path / "file")
    with pytest.raises(UsageError, match="cannot be made"):
        list(sign_files([tmp_path / "a.wav"], plan, signer_of(authority), registry))


# --- who signs ---------------------------------------------------------------------------------------------


def test_a_made_signer_signs_and_vouches_for_itself(tmp_path, monkeypatch, registry):
    folder = tmp_path / "signer"
    make_signer_folder(folder, "Radio Example")
    monkeypatch.setenv("COVOGUARD_SIGNER", str(folder))
    (trust,) = configured_trust()
    assert trust.name == "your own test authority"
    plain = tmp_path / "a.wav"
    plain.write_bytes(sound_bytes("wav", 0.2))
    list(sign_files([plain], SigningPlan("captured"), load_signer(None, None, None), registry))
    with open_input(tmp_path / "a.signed.wav") as opened:
        assert CredentialsReader([trust]).read(opened).state == "trusted"
    with pytest.raises(UsageError, match="not empty"):
        make_signer_folder(folder, "Radio Example")


def test_signers_that_are_not_named_whole(tmp_path, monkeypatch):
    monkeypatch.delenv("COVOGUARD_SIGNER", raising=False)
    assert configured_trust() == []
    for named in ((None, None, None), (tmp_path, tmp_path, tmp_path), (None, tmp_path, None), (None, None, tmp_path)):
        with pytest.raises(UsageError, match="signer"):
            load_signer(*named)
    with pytest.raises(KeyMissing, match="no signer"):
        load_clip_signing(tmp_path / "gone")


def test_what_a_signer_raises_is_a_failure_of_the_clip_alone(monkeypatch, authority, registry, tmp_path, generate):
    def broken(*_, **__):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(clip_credentials, "sign_file", broken)
    records, _ = generate(ClipSigning(signer_of(authority), registry))
    assert records[0].credentials.detail == "ZeroDivisionError: a defect"
