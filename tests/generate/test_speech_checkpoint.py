"""A checkpoint folder is identified by its weights, opened strictly, and refused with what to do."""

import json
import pickle

import numpy as np
import pytest
import tiny_speech_models as tiny

from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.core.generatorsettings import GeneratorSettings
from covoguard.core.records import Prompt
from covoguard.generate.registry import GENERATORS
from covoguard.generate.speech_models.checkpoint import open_checkpoint


@pytest.fixture
def mms(tmp_path):
    (tmp_path / "mms-tiny").mkdir()
    return tiny.build_vits(tmp_path / "mms-tiny", speakers=1)


@pytest.fixture
def speecht5(tmp_path):
    (tmp_path / "speecht5").mkdir()
    return tiny.build_speecht5(tmp_path / "speecht5")


def load(folder):
    return GENERATORS.get("transformers").load(folder, GeneratorSettings(device="cpu"))


def change_config(folder, **changes):
    path = folder / "config.json"
    tiny.write_json(path, {**json.loads(path.read_text()), **changes})


# --- identity and licence ----------------------------------------------------------------------------------


def test_the_identity_is_that_of_the_weights_and_of_the_vocoders(speecht5):
    before = open_checkpoint(speecht5)
    assert before.id == f"speecht5@{before.model_sha256[:12]}"
    assert sorted(before.checksums) == ["model.safetensors", "vocoder/model.safetensors"]
    (speecht5 / "notes.txt").write_text("something else")
    assert open_checkpoint(speecht5).model_sha256 == before.model_sha256
    for name in before.checksums:
        path = speecht5 / name
        path.write_bytes(path.read_bytes() + b"\0")
        after = open_checkpoint(speecht5).model_sha256
        assert after != before.model_sha256
        path.write_bytes(path.read_bytes()[:-1])
    assert open_checkpoint(speecht5).model_sha256 == before.model_sha256


def test_a_snapshot_of_the_cache_has_the_name_of_its_repository(tmp_path):
    folder = tmp_path / "models--facebook--mms-tts-eng" / "snapshots" / "0a1b2c"
    folder.mkdir(parents=True)
    assert open_checkpoint(tiny.build_vits(folder, speakers=1)).id.startswith("mms-tts-eng@")


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: cc-by-nc-4.0\ntags:\n- mms\n---\n# MMS\n", "cc-by-nc-4.0"),
        ('---\ntags: [x]\nlicense: "mit"  # really\n---\n', "mit"),
        ("---\nlicense:\n- apache-2.0\n---\n", "apache-2.0"),
        ("---\nlicense: other\nlicense_name: coqui-public\n---\n", "coqui-public"),
        ("# A model\n\nlicense: mit\n", "not stated"),
        ("---\ntags: [x]\n---\nlicense: mit\n", "not stated"),
        (None, "not stated"),
    ],
)
def test_the_licence_is_what_the_head_of_the_readme_says(mms, readme, licence):
    if readme is not None:
        (mms / "README.md").write_text(readme, encoding="utf-8")
    assert open_checkpoint(mms).card["licence"] == licence


# --- weights -----------------------------------------------------------------------------------------------


def test_weights_in_shards_and_in_torch_files_say_the_same(mms, tmp_path):
    import torch
    from safetensors.torch import load_file, save_file

    weights = load_file(mms / "model.safetensors")
    expected = load(mms).generate(Prompt("hello"), mark=None, seed=1).audio.samples
    (mms / "model.safetensors").unlink()
    torch.save(weights, mms / "pytorch_model.bin")
    assert list(open_checkpoint(mms).checksums) == ["pytorch_model.bin"]
    assert np.array_equal(load(mms).generate(Prompt("hello"), mark=None, seed=1).audio.samples, expected)
    (mms / "pytorch_model.bin").unlink()
    names = sorted(weights)
    shards = {"one.safetensors": names[:50], "two.safetensors": names[50:]}
    for shard, part in shards.items():
        save_file({name: weights[name] for name in part}, mms / shard, metadata={"format": "pt"})
    where = {name: shard for shard, part in shards.items() for name in part}
    tiny.write_json(mms / "model.safetensors.index.json", {"metadata": {}, "weight_map": where})
    assert list(open_checkpoint(mms).checksums) == list(shards)
    assert np.array_equal(load(mms).generate(Prompt("hello"), mark=None, seed=1).audio.samples, expected)
    (mms / "two.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"lists two\.safetensors"):
        load(mms)


class Harmful:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_a_torch_file_that_would_run_code_is_refused(mms):
    (mms / "model.safetensors").unlink()
    (mms / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": Harmful()}))
    with pytest.raises(IntegrityError, match="cannot be loaded as VitsModel"):
        load(mms)


def test_weights_with_a_gap_are_refused_and_never_filled_at_random(mms):
    from safetensors.torch import load_file, save_file

    weights = load_file(mms / "model.safetensors")
    del weights["decoder.conv_post.weight"]
    save_file(weights, mms / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(IntegrityError, match=r"lack 1 tensors of VitsModel, such as decoder\.conv_post\.weight"):
        load(mms)


def test_damaged_or_foreign_weights_are_refused(mms):
    content = (mms / "model.safetensors").read_bytes()
    for damaged in (content[: len(content) // 2], b"not weights"):
        (mms / "model.safetensors").write_bytes(damaged)
        with pytest.raises(IntegrityError, match="get the checkpoint again"):
            load(mms)
    (mms / "model.safetensors").write_bytes(content)
    change_config(mms, hidden_size=16)
    with pytest.raises(IntegrityError, match="cannot be loaded as VitsModel"):
        load(mms)


# --- folders that will not do ------------------------------------------------------------------------------


def test_a_folder_must_be_given_and_be_a_checkpoint(tmp_path, mms):
    with pytest.raises(ModelMissing, match="--model DIR"):
        load(None)
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(ModelMissing, match=r"config\.json is missing"):
            load(folder)
    (mms / "model.safetensors").unlink()
    with pytest.raises(ModelMissing, match="no weights"):
        load(mms)


@pytest.mark.parametrize("content", ["", "[]", "nothing", "[" * 100_000, '{"architectures": 3}'])
def test_a_damaged_configuration_is_refused(mms, content):
    (mms / "config.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"config\.json"):
        load(mms)


def test_other_kinds_of_models_are_refused_with_the_known_ones(mms, speecht5):
    for model_type in ("bert", "", None):
        change_config(mms, model_type=model_type)
        with pytest.raises(UsageError, match=r"run here are bark, .*, seamless_m4t_v2, speecht5, vits"):
            load(mms)
    change_config(speecht5, architectures=["SpeechT5ForSpeechToText"])
    with pytest.raises(UsageError, match="SpeechT5ForSpeechToText makes no speech"):
        load(speecht5)


def test_no_code_of_the_checkpoint_is_run(mms, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (mms / "evil.py").write_text("raise SystemExit('code of a checkpoint was run')\nclass Tokenizer: pass\n")
    settings = {"tokenizer_class": "Other", "auto_map": {"AutoTokenizer": ["evil.Tokenizer", None]}}
    tiny.write_json(mms / "tokenizer_config.json", settings)
    with pytest.raises(ModelMissing, match="tokenizer"):
        load(mms)


def test_what_a_package_is_missing_for_is_said(mms, monkeypatch):
    from covoguard.generate.speech_models import vits

    monkeypatch.setattr(vits, "find_spec", lambda _: None)
    tiny.write_json(mms / "tokenizer_config.json", {"tokenizer_class": "VitsTokenizer", "phonemize": True})
    with pytest.raises(UsageError, match="install the package phonemizer"):
        load(mms)
    tiny.write_json(
        mms / "tokenizer_config.json", {"tokenizer_class": "VitsTokenizer", "phonemize": False, "is_uroman": True}
    )
    generator = load(mms)
    with pytest.raises(UsageError, match="install the package uroman"):
        generator.generate(Prompt("привет"), mark=None, seed=1)
    assert generator.generate(Prompt("hello"), mark=None, seed=1).audio.duration_s > 0


# --- voices and vocoders -----------------------------------------------------------------------------------


def test_speecht5_needs_its_vocoder_and_a_voice(speecht5):
    (speecht5 / "vocoder").rename(speecht5 / "elsewhere")
    with pytest.raises(ModelMissing, match="HiFi-GAN, such as speecht5_hifigan"):
        load(speecht5)
    (speecht5 / "elsewhere").rename(speecht5 / "vocoder")
    for path in (speecht5 / "voices").iterdir():
        path.unlink()
    with pytest.raises(ModelMissing, match=r"voices/NAME\.npy into it, 4 numbers each"):
        load(speecht5)


@pytest.mark.parametrize(
    "values", [np.ones(5), np.zeros(4), np.ones(4, int), np.array([1, np.nan, 0, 0]), np.array([None] * 4)],
    ids=["size", "zeros", "integers", "nan", "pickle"],
)  # fmt: skip
def test_a_bad_voice_is_refused(speecht5, values):
    np.save(speecht5 / "voices" / "bad.npy", values, allow_pickle=True)
    with pytest.raises(IntegrityError, match=r"bad\.npy"):
        load(speecht5)


def test_a_voice_may_lie_in_its_file_as_a_row(speecht5):
    np.save(speecht5 / "voices" / "row.npy", np.eye(4)[:1])
    generator = load(speecht5)
    samples = [
        generator.generate(Prompt("hi", voice=voice), mark=None, seed=1).audio.samples for voice in ("ann", "row")
    ]
    assert np.array_equal(*samples)


def test_numbers_are_spelt_out_where_the_tokenizer_says_so(speecht5):
    with pytest.raises(UsageError, match="no letter"):
        load(speecht5).generate(Prompt("12"), mark=None, seed=1)
    tiny.write_json(speecht5 / "tokenizer_config.json", {"normalize": True})
    generator = load(speecht5)
    spelt, written = (generator.generate(Prompt(text), mark=None, seed=1).audio.samples for text in ("twelve", "12"))
    assert np.array_equal(spelt, written)


def test_a_tokenizer_that_is_no_character_model_is_refused(speecht5):
    (speecht5 / "spm_char.model").write_bytes(b"\xff\xff\xff")
    with pytest.raises(IntegrityError, match=r"spm_char\.model"):
        load(speecht5)


def test_presets_outside_the_folder_and_bad_ones_are_not_used(tmp_path):
    folder = tmp_path / "bark"
    folder.mkdir()
    tiny.build_bark(folder)
    np.save(tmp_path / "outside.npy", np.arange(4))
    path = folder / "speaker_embeddings_path.json"
    listed = json.loads(path.read_text())
    listed["escape"] = dict.fromkeys(listed["v2/absent"], "../outside.npy")
    tiny.write_json(path, listed)
    generator = load(folder)
    assert generator.voices == ("random", "v2/en_speaker_1")
    np.save(folder / "speaker_embeddings" / "v2" / "en_speaker_1_fine_prompt.npy", np.zeros(3))
    with pytest.raises(IntegrityError, match=r"en_speaker_1_fine_prompt\.npy: .*no fine_prompt of a voice"):
        generator.generate(Prompt("hi", voice="v2/en_speaker_1"), mark=None, seed=1)
    path.write_text("[1]")
    with pytest.raises(IntegrityError, match="no list of voice presets"):
        load(folder)


def test_checkpoints_without_their_generation_settings_are_refused(tmp_path):
    for name, build in (("bark", tiny.build_bark), ("seamless", tiny.build_seamless)):
        (tmp_path / name).mkdir()
        (build(tmp_path / name) / "generation_config.json").unlink()
        with pytest.raises(IntegrityError, match=r"generation_config\.json"):
            load(tmp_path / name)
