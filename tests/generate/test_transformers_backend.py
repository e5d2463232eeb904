"""Speech models of transformers: what they say is the library's own and repeats itself; what cannot be is refused."""

import json

import numpy as np
import pytest
import tiny_speech_models as tiny

from covoguard.core.errors import InputError, UsageError
from covoguard.core.generatorsettings import GeneratorSettings
from covoguard.core.records import Audio, Prompt, Turn
from covoguard.generate.registry import GENERATORS

TEXT = Prompt("hello there")
SOUND = Prompt(audio=Audio(np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32), 16_000, sha256="ab"))
BUILDS = {
    "vits": (tiny.build_vits, {}, TEXT),
    "mms": (tiny.build_vits, {"speakers": 1}, TEXT),
    "speecht5": (tiny.build_speecht5, {}, TEXT),
    "speecht5-vc": (tiny.build_speecht5, {"listens": True}, SOUND),
    "bark": (tiny.build_bark, {}, TEXT),
    "seamless": (tiny.build_seamless, {}, TEXT),
    "seamless-v2": (tiny.build_seamless, {"version": 2}, TEXT),
    "seamless-tts": (tiny.build_seamless, {"role": "ForTextToSpeech"}, TEXT),
    "seamless-v2-s2s": (tiny.build_seamless, {"version": 2, "role": "ForSpeechToSpeech"}, SOUND),
    "fastspeech2": (tiny.build_fastspeech2, {}, TEXT),
    "fastspeech2-apart": (tiny.build_fastspeech2, {"whole": False}, TEXT),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """`folders(name)`: a checkpoint folder of `BUILDS`, made once and only read."""
    made = {}

    def folder(name):
        if name not in made:
            build, options, _ = BUILDS[name]
            made[name] = build(tmp_path_factory.mktemp(name), **options)
        return made[name]

    return folder


@pytest.fixture(scope="module")
def load(folders):
    """`load(name, …)`: the generator of that folder with these settings, loaded once."""
    made = {}

    def loaded(name, **settings):
        key = (name, *settings.items())
        if key not in made:
            made[key] = generator_of(folders(name), **settings)
        return made[key]

    return loaded


def generator_of(folder, **settings):
    return GENERATORS.get("transformers").load(folder, GeneratorSettings(device="cpu", **settings))


def say(generator, prompt=TEXT, *, seed=1):
    return generator.generate(prompt, mark=None, seed=seed)


# --- what every family promises ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vits", "speecht5", "speecht5-vc", "bark", "seamless", "seamless-v2", "fastspeech2"])
def test_a_clip_repeats_exactly_and_leaves_the_draws_of_others_alone(load, folders, name):
    import torch

    generator, prompt = load(name), BUILDS[name][2]
    torch.manual_seed(5)
    untouched = torch.rand(3)
    torch.manual_seed(5)
    first = say(generator, prompt)
    assert torch.equal(torch.rand(3), untouched)
    second = say(generator_of(folders(name)), prompt)
    assert np.array_equal(first.audio.samples, second.audio.samples)
    assert first.recipe == second.recipe


@pytest.mark.parametrize("name", BUILDS)
def test_a_clip_is_mono_float32_at_the_rate_of_the_model_and_has_no_tokens(load, name):
    generator = load(name)
    clip = say(generator, BUILDS[name][2])
    assert clip.tokens is None
    assert not generator.has_tokens
    assert (clip.audio.samples.dtype, clip.audio.samples.ndim) == (np.float32, 1)
    assert clip.audio.rate_hz == generator.rate_hz
    assert dict(clip.recipe.sampling)["voice"] == generator.voices[0]
    assert clip.recipe.mark_scheme is None
    assert {type(value) for _, value in clip.recipe.sampling} <= {int, float, str}


@pytest.mark.parametrize("name", ["vits", "speecht5", "bark"])
def test_models_that_draw_say_it_otherwise_under_another_seed(load, name):
    generator = load(name)
    first, second = say(generator, seed=1).audio.samples, say(generator, seed=2).audio.samples
    assert first.shape != second.shape or not np.array_equal(first, second)


@pytest.mark.parametrize("name", ["vits", "speecht5", "seamless", "fastspeech2"])
def test_voices_differ(load, name):
    generator = load(name)
    first, second = (say(generator, Prompt("hello there", voice=voice)).audio.samples for voice in generator.voices[:2])
    assert first.shape != second.shape or not np.array_equal(first, second)


def test_kind_family_and_voices_are_those_of_the_checkpoint(load):
    expected = {
        "vits": ("tts", "VITS", ("0", "1", "2")),
        "mms": ("tts", "VITS", ("default",)),
        "speecht5": ("tts", "SpeechT5", ("ann", "bob")),
        "speecht5-vc": ("vc", "SpeechT5", ("ann", "bob")),
        "bark": ("tts", "Bark", ("random", "v2/en_speaker_1")),
        "seamless": ("tts", "SeamlessM4T", ("eng/0", "eng/1", "eng/2", "fra/0", "fra/1", "fra/2")),
    }
    for name, (kind, family, voices) in expected.items():
        generator = load(name)
        assert (generator.kind, generator.model.card["family"], generator.voices) == (kind, family, voices)


# --- the same as the library gives by itself ---------------------------------------------------------------


def test_vits_is_what_the_library_says(load, folders):
    import torch
    from transformers import AutoTokenizer, VitsModel

    model, tokenizer = VitsModel.from_pretrained(folders("vits")), AutoTokenizer.from_pretrained(folders("vits"))
    torch.manual_seed(7)
    with torch.no_grad():
        expected = model(**tokenizer("hello there", return_tensors="pt"), speaker_id=2).waveform[0].numpy()
    assert np.array_equal(say(load("vits"), Prompt("hello there", voice="2"), seed=7).audio.samples, expected)


def test_speecht5_is_what_the_library_says_of_the_same_ids(load, folders):
    import torch
    from transformers import SpeechT5ForTextToSpeech, SpeechT5HifiGan

    model = SpeechT5ForTextToSpeech.from_pretrained(folders("speecht5"))
    vocoder = SpeechT5HifiGan.from_pretrained(folders("speecht5") / "vocoder")
    pieces = ["<s>", "<pad>", "</s>", "<unk>", *"\u2581abcdefghijklmnopqrstuvwxyz."]
    ids = torch.tensor([[pieces.index(piece) for piece in ["\u2581", *"hi", "\u2581", *"you", ".", "<unk>", "</s>"]]])
    torch.manual_seed(7)
    expected = model.generate_speech(ids, torch.eye(4)[1:2], vocoder=vocoder).numpy()
    said = say(load("speecht5"), Prompt(" hi   you.! ", voice="bob"), seed=7).audio.samples
    assert np.array_equal(said, expected)


def test_bark_is_what_the_library_says_in_the_voice_of_a_preset(load, folders):
    import torch
    from transformers import AutoTokenizer, BarkModel, BarkProcessor

    model = BarkModel.from_pretrained(folders("bark"))
    listed = json.loads((folders("bark") / "speaker_embeddings_path.json").read_text())
    processor = BarkProcessor(
        AutoTokenizer.from_pretrained(folders("bark")), {**listed, "repo_or_path": str(folders("bark"))}
    )
    inputs = processor("hi you", voice_preset="v2/en_speaker_1", max_length=16)
    torch.manual_seed(7)
    expected = model.generate(**inputs)[0].numpy()
    said = say(load("bark"), Prompt("hi you", voice="v2/en_speaker_1"), seed=7).audio.samples
    assert np.array_equal(said, expected)
    assert not np.array_equal(say(load("bark"), Prompt("hi you"), seed=7).audio.samples, expected)


@pytest.mark.parametrize(("name", "version"), [("seamless", 1), ("seamless-v2", 2)])
def test_seamless_is_what_the_library_says_of_text_and_of_speech(load, folders, name, version):
    import transformers
    from transformers import SeamlessM4TProcessor

    model = getattr(transformers, "SeamlessM4Tv2Model" if version == 2 else "SeamlessM4TModel")
    model, processor = model.from_pretrained(folders(name)), SeamlessM4TProcessor.from_pretrained(folders(name))
    speaker = {"speaker_id" if version == 2 else "spkr_id": 2}
    for prompt, inputs in (
        (Prompt("hi you", voice="fra/2"), processor(text="hi you", return_tensors="pt")),
        (
            Prompt(audio=SOUND.audio, voice="fra/2"),
            processor(audio=SOUND.audio.samples, sampling_rate=16_000, return_tensors="pt"),
        ),
    ):
        expected = model.generate(**inputs, tgt_lang="fra", **speaker)[0].numpy().squeeze()
        assert np.array_equal(say(load(name), prompt).audio.samples, expected)


# --- settings ----------------------------------------------------------------------------------------------


def test_settings_are_used_and_recorded(load):
    hot = say(load("vits", temperature=2.0))
    assert dict(hot.recipe.sampling)["noise_scale"] == 2.0
    assert not np.array_equal(hot.audio.samples, say(load("vits")).audio.samples)
    cold = say(load("bark", temperature=0.3, max_seconds=0.1))
    assert dict(cold.recipe.sampling)["semantic_temperature"] == dict(cold.recipe.sampling)["coarse_temperature"] == 0.3
    assert dict(cold.recipe.sampling)["semantic_max_new_tokens"] == 5
    assert cold.audio.duration_s <= 0.1 + 1 / 75
    assert dict(say(load("seamless", temperature=0.7)).recipe.sampling)["text_temperature"] == 0.7


def test_the_length_of_speecht5_is_bounded_by_the_user_and_by_its_places(load):
    frame_s = 64 / 16_000
    assert say(load("speecht5", max_seconds=0.1)).audio.duration_s == pytest.approx(0.104, abs=1e-9)
    # 13 letters and spaces and the end give 130 steps of two frames; of 25 more letters it has no places for all
    assert say(load("speecht5")).audio.duration_s == pytest.approx(13 * 20 * frame_s)
    assert say(load("speecht5"), Prompt("hello there" + "abcde" * 5)).audio.duration_s == pytest.approx(
        199 * 2 * frame_s
    )


@pytest.mark.parametrize(
    ("name", "setting"), [("vits", "max_seconds"), ("fastspeech2", "temperature"), ("speecht5", "temperature")]
)
def test_a_setting_that_the_family_has_not_is_refused(load, name, setting):
    with pytest.raises(UsageError, match=f"no setting for --{setting.replace('_', '-')}"):
        load(name, **{setting: 1.0})


def test_a_device_that_is_not_there_is_refused(folders):
    with pytest.raises(UsageError, match="no device"):
        GENERATORS.get("transformers").load(folders("mms"), GeneratorSettings(device="abacus"))


# --- prompts that cannot be said ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vits", "speecht5", "bark", "seamless", "fastspeech2"])
@pytest.mark.parametrize(
    ("text", "problem"), [("", "empty"), (" \n", "empty"), ("你好", "no letter"), ("?! …", "no letter")]
)
def test_text_that_gives_nothing_to_say_is_refused(load, name, text, problem):
    with pytest.raises(UsageError, match=problem):
        say(load(name), Prompt(text))


@pytest.mark.parametrize(("name", "most"), [("vits", 4096), ("speecht5", 40), ("bark", 16), ("seamless", 32)])
def test_text_that_is_too_long_for_the_model_is_refused(load, name, most):
    with pytest.raises(UsageError, match=f"at most {most}; split"):
        say(load(name), Prompt("abcdefgh" * 300))


def test_sound_is_for_those_who_listen(load):
    for name in ("vits", "speecht5", "bark", "seamless-tts", "fastspeech2"):
        with pytest.raises(UsageError, match="takes no sound"):
            say(load(name), SOUND)
    for name in ("speecht5-vc", "seamless-v2-s2s"):
        with pytest.raises(UsageError, match="takes speech and no text"):
            say(load(name), TEXT)
        too_long = Prompt(audio=Audio(np.zeros(16_000 * 61, np.float32), 16_000))
        for prompt in (too_long, Prompt(audio=Audio(np.zeros(99, np.float32), 16_000))):
            with pytest.raises(UsageError, match="the sound lasts"):
                say(load(name), prompt)
    assert dict(say(load("speecht5-vc"), SOUND).recipe.sampling)["prompt_audio_sha256"] == "ab"


def test_marks_conversations_and_other_voices_are_refused(load):
    generator = load("mms")
    with pytest.raises(UsageError, match="carries no token mark; use --no-mark"):
        generator.generate(TEXT, mark=object(), seed=1)
    with pytest.raises(UsageError, match="answers nobody"):
        say(generator, Prompt("a", later=(Turn("b"),)))
    with pytest.raises(UsageError, match="no voice '9'"):
        say(generator, Prompt("a", voice="9"))


@pytest.mark.parametrize(
    ("filling", "problem"), [(float("nan"), "not finite"), (0.0, "silence")], ids=["nan", "silent"]
)
def test_a_model_that_makes_no_sound_is_found_out(tmp_path, filling, problem):
    from safetensors.torch import load_file, save_file

    weights = load_file(tiny.build_vits(tmp_path, speakers=1) / "model.safetensors")
    weights["decoder.conv_post.weight"].fill_(filling)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=problem) as raised:
        say(generator_of(tmp_path))
    assert raised.value.code == "bad_prompt"


def test_what_the_library_fails_with_is_an_error_of_this_prompt(load, monkeypatch):
    generator = load("mms")

    def fail(*_):
        raise RuntimeError("Kernel size can't be greater than actual input size\nlong story")

    monkeypatch.setattr(generator._speaker, "speak", fail)
    with pytest.raises(InputError, match=r"RuntimeError: Kernel size can't be greater than actual input size\); try"):
        say(generator)
