"""Spoofs from prompts into a store: with tokens, mark facts and consent, nothing twice, no prompt a stop."""

import dataclasses
import json

import numpy as np
import pytest
import sound_files as sounds
from secret_leaks import assert_no_secret
from tone_generator import ToneGenerator, build_tone_model

from covoguard.core.errors import CovoguardError, KeyMissing, UsageError
from covoguard.core.keyring import KeyRing
from covoguard.core.records import Audio
from covoguard.datasets.store import Store, StoredClip, StoreRow, StoreWriter
from covoguard.generate.prompts import PromptList
from covoguard.pipeline.build_damage import CodecDamage
from covoguard.pipeline.build_plan import BuildPlan, SpeechOrder
from covoguard.pipeline.build_spoofs import build_spoofs
from covoguard.pipeline.generate import GenerationPlan, PayloadPlan

SAY = BuildPlan(("generate",), seed=5)


@pytest.fixture
def generator(tmp_path, monkeypatch):
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    (tmp_path / "tone").mkdir()
    build_tone_model(tmp_path / "tone")
    return ToneGenerator.load(tmp_path / "tone")


@pytest.fixture
def say(generator, tmp_path):
    """`say(text, ...)`: the records of a build of these texts; options are those of the order and of its plan."""

    def build(*texts, plan=SAY, collection=None, prompts=None, voice=None, takes=1, payload=None, **order):
        said = GenerationPlan(voice, takes, plan.seed, payload=payload)
        asked = SpeechOrder(prompts or PromptList.of_texts(texts), said, model=generator.model.path, **order)
        return list(build_spoofs(collection, tmp_path / "new", plan, speech=(asked, generator)))

    return build


def clips_in(folder):
    with Store(folder) as store:
        return list(store.clips())


def test_a_clip_has_its_words_voice_tokens_and_recipe(say, generator, tmp_path):
    (record, other) = say("one two", "three", voice="high", consent_ref="C-1", purpose="research")
    assert (record.status, record.method, record.path) == ("added", "generate", "command line:1")
    clip, _ = clips_in(tmp_path / "new")
    row = clip.row
    assert (row.clip_id, row.label, row.generator, row.speaker) == (record.clip_id, "spoof", "tone", "high")
    assert (row.licence, row.kind, row.mark, row.original) == ("CC0-1.0", "speech-lm", None, None)
    assert (row.consent_ref, row.purpose) == ("C-1", "research")
    assert (row.recipe.model_sha256, row.recipe.key_id) == (generator.model.model_sha256, None)
    assert (row.token_rate_hz, row.codebook_size, row.token_count) == (25, 64, 20)
    assert len(clip.token_ids) == 20
    assert row.text_sha256 is not None
    assert other.clip_id != record.clip_id


def test_a_mark_is_told_by_its_key_id_and_the_key_is_nowhere(say, tmp_path):
    key = KeyRing(tmp_path / "keys").new()
    say("one two", key_id=key.key_id, payload=PayloadPlan(1, 42, 20_000))
    (clip,) = clips_in(tmp_path / "new")
    assert (clip.row.mark.key_id, clip.row.mark.epoch, clip.row.mark.payload) == (key.key_id, 1, (1, 42, 20_000))
    assert clip.row.recipe.key_id == key.key_id
    for path in (tmp_path / "new").iterdir():
        assert_no_secret(path.read_bytes().decode("latin-1"), key)
    assert [record.status for record in say("one two", key_id=key.key_id, payload=PayloadPlan(1, 42, 20_000))] == [
        "already"
    ]
    with pytest.raises(UsageError, match="name the day"):
        say("one", key_id=key.key_id, payload=PayloadPlan(1, 42))
    with pytest.raises(KeyMissing):
        say("one", key_id="k0123456789")


def test_the_native_rate_is_kept(say, generator, tmp_path, monkeypatch):
    whole = generator.generate

    def at_24_khz(prompt, *, mark, seed):
        clip = whole(prompt, mark=mark, seed=seed)
        return dataclasses.replace(clip, audio=Audio(np.repeat(clip.audio.samples, 3)[::2], 24_000))

    monkeypatch.setattr(generator, "generate", at_24_khz)
    say("one")
    (clip,) = clips_in(tmp_path / "new")
    assert (clip.row.rate_hz, clip.row.duration_s) == (24_000, pytest.approx(0.4))


def test_the_same_command_makes_nothing_twice_and_more_prompts_only_themselves(say, generator, monkeypatch):
    first = say("one", "unspeakable", "crash", takes=2)
    assert [record.status for record in first] == ["added"] * 2 + ["failed"] * 4
    assert [record.error.code for record in first[2:]] == ["bad_prompt"] * 2 + ["internal_error"] * 2
    asked = []
    whole = generator.generate
    monkeypatch.setattr(
        generator, "generate", lambda prompt, **more: asked.append(prompt.text) or whole(prompt, **more)
    )
    again = say("one", "unspeakable", "crash", "two", takes=2)
    assert [record.status for record in again] == ["already"] * 2 + ["failed"] * 4 + ["added"] * 2
    assert [record.clip_id for record in again[:2]] == [record.clip_id for record in first[:2]]
    assert "one" not in asked
    assert {record.status for record in say("one", plan=dataclasses.replace(SAY, seed=6))} == {"added"}


def test_a_killed_run_goes_on_with_the_same_clips(say, generator, tmp_path, monkeypatch):
    texts = ("one", "two", "three")
    say(*texts)
    whole = [clip.row.samples_sha256 for clip in clips_in(tmp_path / "new")]
    (tmp_path / "new").rename(tmp_path / "whole")
    speak = generator.generate

    def stopped(prompt, **more):
        if prompt.text == "two":
            raise KeyboardInterrupt
        return speak(prompt, **more)

    with monkeypatch.context() as patched:
        patched.setattr(generator, "generate", stopped)
        with pytest.raises(KeyboardInterrupt):
            say(*texts)
    assert [record.status for record in say(*texts)] == ["already", "added", "added"]
    assert [clip.row.samples_sha256 for clip in clips_in(tmp_path / "new")] == whole


def test_damage_is_for_both_classes_and_generated_clips_get_their_own(say, tmp_path):
    with StoreWriter.open(tmp_path / "genuine") as writer:
        samples = sounds.speech_like(0.4, 16_000, seed=1)
        writer.add(StoredClip(StoreRow("a", "bonafide", file_sha256="a" * 64), Audio(samples, 16_000)))
    plan = BuildPlan(("generate",), keep_bonafide=True, degraded=2, codecs=(CodecDamage("opus", 8_000),))
    records = say("one two", plan=plan, collection=tmp_path / "genuine")
    assert [record.method for record in records] == [None] * 4 + ["generate"] * 4
    clips = clips_in(tmp_path / "new")
    assert [clip.row.label for clip in clips] == ["bonafide"] * 4 + ["spoof"] * 4
    for clip in clips[5:]:
        assert clip.row.degradations
        assert (clip.row.rate_hz, clip.token_ids) == (16_000, None)
    assert clips[3].row.degradations == clips[7].row.degradations == ("opus:8000",)
    assert {record.status for record in say("one two", plan=plan, collection=tmp_path / "genuine")} == {"already"}


def test_a_recorded_voice_needs_consent_and_purpose_before_anything_is_written(say, generator, tmp_path, monkeypatch):
    (tmp_path / "q.wav").write_bytes(sounds.wave(sounds.pcm16(sounds.speech_like(0.5, 16_000))))
    lines = [json.dumps({"text": "one"}), json.dumps({"text": "two", "audio": "q.wav"})]
    prompts = PromptList("lines.jsonl", "jsonl", "\n".join(lines).encode(), tmp_path)
    for given in ({}, {"consent_ref": "C-1"}, {"purpose": "research"}):
        with pytest.raises(UsageError, match=r"lines.jsonl:2: uses the recording q.wav; say with --consent"):
            say(prompts=prompts, **given)
    monkeypatch.setattr(generator, "reference_voices", ("high",), raising=False)
    with pytest.raises(UsageError, match="the voice 'high', made of a recording"):
        say("one", voice="high")
    assert not (tmp_path / "new").exists()
    assert [record.status for record in say(prompts=prompts, consent_ref="C-1", purpose="research")] == ["added"] * 2


def test_a_full_disk_stops_with_advice(say, tmp_path, monkeypatch):
    from covoguard.datasets.store.journal import JournaledFile

    def full(self):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(JournaledFile, "commit", full)
        with pytest.raises(CovoguardError, match="make room"):
            say("one")
    assert [record.status for record in say("one")] == ["added"]
