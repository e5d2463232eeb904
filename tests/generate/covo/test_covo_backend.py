"""The generator as the pipeline sees it, on a tiny checkpoint of random weights: prompts in, marked clips out."""

import numpy as np
import pytest
from covo_checkpoint import imported_checkpoint

from covoguard.core.errors import InputError, IntegrityError, ModelMissing, UsageError
from covoguard.core.generatorsettings import GeneratorSettings
from covoguard.core.keys import SecretKey
from covoguard.core.protocols import BatchGenerator, SpeechRequest
from covoguard.core.records import Audio, Prompt, Turn
from covoguard.generate.registry import GENERATORS
from covoguard.watermark.sampling import ContextGumbel, SlotGumbel
from covoguard.watermark.table import MarkTable

CODES = 64
KEY = SecretKey("k0000000001", 1, bytes(range(32)), created_utc="2026-01-01T00:00:00Z")
TABLE = MarkTable("tiny@1", CODES, np.arange(CODES, dtype=np.int32) % 8, (((0.5, 2.0), (0.5, 8.0)),), n_slots=512)
SETTINGS = GeneratorSettings(max_seconds=2.0, temperature=1.0, top_p=1.0, batch=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return imported_checkpoint(tmp_path_factory.mktemp("covo"), codes=CODES, voices=("default_female", "other"))


@pytest.fixture(scope="module")
def covo(folder):
    return GENERATORS.get("covo").load(folder, SETTINGS)


def hum(seconds):
    time_s = np.arange(round(16_000 * seconds)) / 16_000
    return Audio((0.2 * np.sin(2 * np.pi * 220 * time_s)).astype(np.float32), 16_000, sha256="ab")


def slot_mark(start_slot, key=KEY):
    return SlotGumbel.from_key(key, TABLE, start_slot=start_slot)


PROMPTS = (
    Prompt(text="What is the time?"),
    Prompt(audio=hum(1.3), text="And this?"),
    Prompt(audio=hum(0.4), later=(Turn("Say more."), Turn(audio=hum(0.7)))),
    Prompt(text="Hello.", voice="other"),
)


def test_a_batch_gives_the_clips_that_each_prompt_gives_alone(covo):
    assert isinstance(covo, BatchGenerator)
    requests = [SpeechRequest(prompt, slot_mark(10 * n), n) for n, prompt in enumerate(PROMPTS)]
    for clip, request in zip(covo.generate_many(requests), requests, strict=True):
        alone = covo.generate(request.prompt, mark=request.mark, seed=request.seed)
        np.testing.assert_array_equal(clip.tokens.ids, alone.tokens.ids)
        np.testing.assert_allclose(clip.audio.samples, alone.audio.samples, atol=1e-4)
        assert clip.replies == alone.replies
        assert clip.recipe == alone.recipe


def test_a_clip_is_as_long_as_its_tokens_and_its_replies_follow_each_other(covo):
    clip = covo.generate(PROMPTS[2], mark=None, seed=5)
    assert clip.audio.rate_hz == 24_000
    assert len(clip.audio.samples) == 960 * len(clip.tokens.ids)
    assert np.isfinite(clip.audio.samples).all()
    assert len(clip.replies) == 3
    assert clip.replies[0].start_s == 0
    assert [reply.end_s for reply in clip.replies[:-1]] == [reply.start_s for reply in clip.replies[1:]]
    assert clip.replies[-1].end_s == pytest.approx(clip.audio.duration_s, abs=1e-3)
    assert all(reply.end_s - reply.start_s <= 2.0 for reply in clip.replies)


def test_the_mark_chooses_every_token_and_goes_on_from_turn_to_turn(covo):
    """With all tokens equally likely the chosen numbers would be near 1; whatever the model, they lie above chance."""
    clip = covo.generate(PROMPTS[2], mark=slot_mark(100), seed=5)
    weights = slot_mark(100).weights(np.arange(len(clip.tokens.ids)), len(clip.tokens.ids)).token
    uniforms = np.exp(-1 / weights[np.arange(len(weights)), clip.tokens.ids].astype(float))
    shifted = slot_mark(101).weights(np.arange(len(weights)), len(weights)).token
    elsewhere = np.exp(-1 / shifted[np.arange(len(weights)), clip.tokens.ids].astype(float))
    last_turn = round(clip.replies[2].start_s * 25)
    assert uniforms.mean() > 0.65
    assert uniforms[last_turn:].mean() > 0.65
    assert elsewhere.mean() < 0.6


def test_the_recipe_says_how_and_under_which_licence(covo, folder):
    clip = covo.generate(PROMPTS[1], mark=slot_mark(0), seed=9)
    settings = dict(clip.recipe.sampling)
    assert settings["temperature"] == 1.0
    assert settings["voice"] == "default_female"
    assert "academic" in settings["licence"]
    assert settings["licence_accepted_utc"]
    assert settings["prompt_audio_sha256"] == "ab"
    assert settings["entropy_bits_per_token"] > 0
    assert clip.recipe.mark_scheme == "gumbel-slot-1"
    assert clip.recipe.model_sha256 == covo.model.model_sha256


def test_what_cannot_be_answered_is_its_own_outcome_and_no_others(covo):
    silent = Audio(np.zeros(16_000, np.float32), 16_000)
    table = MarkTable("tiny@1", CODES, np.zeros(CODES, np.int32), (((1.0, 2.0),),), n_slots=512, seeding="context1")
    cases = [
        (Prompt(text=""), None, UsageError, "empty"),
        (Prompt(text="x", voice="nobody"), None, UsageError, "no voice 'nobody'"),
        (Prompt(audio=silent), None, InputError, "silent"),
        (Prompt(audio=hum(0.005)), None, InputError, "short"),
        (Prompt(text="word " * 5000), None, UsageError, "tokens"),
        (Prompt(text="x"), ContextGumbel.from_key(KEY, table, seed=1), UsageError, "batch|seeding"),
    ]
    requests = [SpeechRequest(PROMPTS[0], None, 0)]
    for prompt, mark, _, _ in cases:
        requests += [SpeechRequest(prompt, mark, 0), SpeechRequest(PROMPTS[0], None, 0)]
    outcomes = list(covo.generate_many(requests))
    first, rest = outcomes[0], outcomes[1:]
    for (_, _, kind, words), bad, good in zip(cases, rest[::2], rest[1::2], strict=True):
        with pytest.raises(kind, match=words):
            raise bad
        np.testing.assert_array_equal(good.tokens.ids, first.tokens.ids)


def test_answers_in_text_only_hold_no_audio(covo):
    assert isinstance(covo.answer(PROMPTS[2], seed=3), str)
    assert covo.answer(PROMPTS[2], seed=3) == covo.answer(PROMPTS[2], seed=3)


def test_what_is_missing_is_said_with_what_to_do(folder, tmp_path):
    load = GENERATORS.get("covo").load
    with pytest.raises(ModelMissing, match="models import covo"):
        load()
    with pytest.raises(UsageError, match="--url"):
        load(folder, GeneratorSettings(url="http://x"))
    with pytest.raises(UsageError, match="device"):
        load(folder, GeneratorSettings(device="abacus"))
    with pytest.raises(UsageError, match="temperature"):
        load(folder, GeneratorSettings(temperature=0.0))
    voiceless = imported_checkpoint(tmp_path / "voiceless", voices=())
    with pytest.raises(ModelMissing, match="--voice-prompt"):
        load(voiceless)
    (voiceless / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(IntegrityError):
        load(voiceless)


def test_it_talks_with_itself_in_two_voices(covo):
    clip = covo.generate(Prompt(text="Good evening.", exchanges=4), mark=slot_mark(7), seed=2)
    assert [reply.speaker for reply in clip.replies] == ["default_female", "other", "default_female", "other"]
    assert len(clip.audio.samples) == 960 * len(clip.tokens.ids)
    assert dict(clip.recipe.sampling)["voice"] == "default_female other"
    again = covo.generate(Prompt(text="Good evening.", exchanges=4), mark=slot_mark(7), seed=2)
    np.testing.assert_array_equal(clip.tokens.ids, again.tokens.ids)


def test_a_two_sided_call_holds_what_was_said_to_it(covo):
    sound = hum(0.9)
    clip = covo.generate(Prompt(audio=sound, later=(Turn("And?"),), two_sided=True), mark=None, seed=2)
    assert [reply.speaker for reply in clip.replies] == ["heard", "default_female", "default_female"]
    heard = clip.replies[0]
    assert (heard.start_s, heard.end_s) == (0.0, pytest.approx(0.9, abs=1e-3))
    assert len(clip.audio.samples) == pytest.approx(960 * len(clip.tokens.ids) + 0.9 * 24_000, abs=2)


def test_a_talk_with_itself_has_one_beginning(covo):
    with pytest.raises(UsageError, match="one turn"):
        covo.generate(Prompt(text="a", later=(Turn("b"),), exchanges=2), mark=None, seed=1)
