"""An imported folder opens whole or not at all, and loads just the weights that are in it."""

import json
import shutil

import numpy as np
import pytest
import torch
from covo_checkpoint import PROMPT_TOKENS, SHARDS, VOICE, imported_checkpoint, write_checkpoint
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import seal_model
from covoguard.core.records import Tokens
from covoguard.generate.covo.checkpoint.imported import DECODER_NAME, VOICES_NAME, open_checkpoint
from covoguard.pipeline.import_covo import ImportOptions, import_covo


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An imported checkpoint that no test changes."""
    return imported_checkpoint(tmp_path_factory.mktemp("covo") / "model")


@pytest.fixture
def folder(whole, tmp_path):
    """One of the test's own."""
    return shutil.copytree(whole, tmp_path / "model")


def rewrite(path, change):
    """Change the tensors of a file, and make the folder's checksums agree."""
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    seal_model(path.parent)


# --- loading -----------------------------------------------------------------------------------------------


def test_the_language_model_holds_the_weights_of_the_shards(whole):
    model = open_checkpoint(whole).language_model("cpu", torch.float32)
    stored = {name: tensor for shard in SHARDS for name, tensor in load_file(whole / shard).items()}
    loaded = model.state_dict()
    assert loaded.keys() == stored.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in stored.items())
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_nothing_of_the_language_model_is_left_without_a_value(whole):
    model = open_checkpoint(whole).language_model("cpu", torch.float32)
    assert not [name for name, tensor in (*model.named_buffers(), *model.named_parameters()) if tensor.is_meta]
    logits, _ = model(model.embed(torch.arange(20), None))
    assert logits.isfinite().all()


def test_rotary_frequencies_stay_exact_in_bfloat16(whole):
    model = open_checkpoint(whole).language_model("cpu", torch.bfloat16)
    width = model.config.language.head_width
    exact = model.config.language.rope_theta ** -(torch.arange(0, width, 2) / width)
    assert model.llm.lm_head.weight.dtype == torch.bfloat16
    torch.testing.assert_close(model.llm.model.rotary_emb.inv_freq, exact, rtol=1e-6, atol=0)


def test_one_file_of_weights_is_a_checkpoint_too(tmp_path):
    folder = write_checkpoint(tmp_path / "model")
    tensors = {name: tensor for shard in SHARDS for name, tensor in load_file(folder / shard).items()}
    for name in (*SHARDS, "model.safetensors.index.json"):
        (folder / name).unlink()
    save_file(tensors, folder / "model.safetensors")
    import_covo(str(folder), ImportOptions(accept_licence=True))
    assert open_checkpoint(folder).language_model("cpu", torch.float32).state_dict().keys() == tensors.keys()


def test_the_decoder_speaks_with_the_imported_voice(whole):
    decoder = open_checkpoint(whole).decoder("cpu", torch.float32)
    sound = decoder.decode(Tokens(np.arange(5, dtype=np.int32), 25, 64), voice=VOICE, seed=1)
    assert len(sound.samples) == 5 * 960
    assert np.isfinite(sound.samples).all()
    assert 0.01 < np.abs(sound.samples).max() < 1


def test_the_decoders_weights_are_those_of_model_pt(whole):
    state = torch.load(whole / "token2wav/model.pt", weights_only=True)
    flow = open_checkpoint(whole).decoder("cpu", torch.float32).flow.state_dict()
    assert all(torch.equal(tensor, state[f"token2latent.{name}"]) for name, tensor in flow.items())


def test_voices(whole):
    voices = open_checkpoint(whole).voices
    assert list(voices) == [VOICE]
    tokens = np.load(whole / "voices" / VOICE / "a.npy")[0]
    np.testing.assert_array_equal(voices[VOICE].tokens, tokens)
    assert voices[VOICE].latents.shape == (4 * PROMPT_TOKENS + 3, 8)
    assert voices[VOICE].speaker.shape == (10,)


def test_the_tokenizer(whole):
    tokenizer = open_checkpoint(whole).tokenizer()
    assert tokenizer.decode(tokenizer.encode("hé 你好")) == "hé 你好"


# --- room --------------------------------------------------------------------------------------------------


@pytest.fixture
def small_gpu(monkeypatch):
    """A GPU with 1 MiB, half of it free; nothing can be put there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**19, 2**20))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 0)


def test_too_little_gpu_memory_is_said_before_anything_is_loaded(whole, small_gpu):
    checkpoint = open_checkpoint(whole)
    with pytest.raises(UsageError, match=r"cuda: the model .* needs 3\.0 GiB .* and 0\.0 of 0\.0 GiB are free"):
        checkpoint.language_model("cuda", torch.float32, further_bytes=3 * 2**30)
    with pytest.raises(UsageError, match=r"cuda: the decoder needs"):
        checkpoint.decoder("cuda", torch.float32)


@pytest.mark.parametrize("device", ["cuda:1", "gpu", "cuda:x"])
def test_a_device_that_is_not_there_is_refused(whole, small_gpu, device):
    with pytest.raises(UsageError, match=device):
        open_checkpoint(whole).language_model(device, torch.float32)


def test_bytes_are_counted_from_the_configuration(whole):
    checkpoint = open_checkpoint(whole)
    model = checkpoint.language_model("cpu", torch.bfloat16)
    assert checkpoint.language_model_bytes(torch.bfloat16) == sum(p.nbytes for p in model.state_dict().values())


# --- what is refused ---------------------------------------------------------------------------------------


def test_a_checkpoint_that_was_not_imported_says_how_to_import_it(tmp_path):
    with pytest.raises(ModelMissing, match="covoguard models import covo"):
        open_checkpoint(write_checkpoint(tmp_path / "raw"))


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(ModelMissing, match="no model here"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("change", [{"licence_accepted_utc": None}, {"licence_accepted_utc": ""}, {"licence": "MIT"}])
def test_a_folder_for_which_the_licence_was_not_accepted(folder, change):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | change))
    seal_model(folder)
    with pytest.raises(UsageError, match="academic purposes only"):
        open_checkpoint(folder)


def test_the_model_of_another_generator(folder):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"generator": "pocket"}))
    seal_model(folder)
    with pytest.raises(IntegrityError, match="generator pocket"):
        open_checkpoint(folder)


@pytest.mark.parametrize("name", [SHARDS[0], DECODER_NAME, VOICES_NAME, "config.json", "tokenizer.json"])
def test_any_changed_file_is_named(folder, name):
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(IntegrityError, match=name):
        open_checkpoint(folder)


@pytest.mark.parametrize("name", [SHARDS[1], DECODER_NAME])
def test_any_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(ModelMissing, match=name):
        open_checkpoint(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda tensors: tensors.pop("llm.lm_head.weight"), "1 missing: llm.lm_head.weight"),
        (lambda tensors: tensors.update(stray=torch.zeros(1)), "1 unexpected: stray"),
        (
            lambda tensors: tensors.update({"llm.lm_head.weight": torch.zeros(3, 4)}),
            r"llm.lm_head.weight is \[3, 4\], not \[326, 32\]",
        ),
        (lambda tensors: tensors.update({"llm.lm_head.weight": torch.zeros(326, 32).int()}), "is I32"),
    ],
)
def test_resealed_weights_of_another_form_are_named(folder, change, words):
    with safe_open(folder / SHARDS[0], "pt") as first:
        shard = SHARDS[0] if "llm.lm_head.weight" in first.keys() else SHARDS[1]  # noqa: SIM118
    rewrite(folder / shard, change)
    with pytest.raises(IntegrityError, match=words):
        open_checkpoint(folder).language_model("cpu", torch.float32)


def test_a_decoder_of_another_form_is_named(folder):
    rewrite(folder / DECODER_NAME, lambda tensors: tensors.pop("latent.mean"))
    with pytest.raises(IntegrityError, match=r"1 missing: latent\.mean"):
        open_checkpoint(folder).decoder("cpu", torch.float32)
