"""An import takes a checkpoint over as it is, or names what is wrong with it; it is never half done."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from covo_checkpoint import INDEX, SHARDS, VOICE, decoder_json, write_checkpoint, write_json, write_voice
from safetensors.torch import load_file, save_file

from covoguard.cli.models import models
from covoguard.core.errors import CovoguardError, IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import CHECKSUMS_NAME, sha256_of_file
from covoguard.generate.covo.checkpoint.imported import open_checkpoint
from covoguard.generate.covo.checkpoint.licence import LICENCE
from covoguard.pipeline import import_covo as importing
from covoguard.pipeline.import_covo import ImportOptions, import_covo
from covoguard.pipeline.models import model_page

ACCEPTED = ImportOptions(accept_licence=True)
ENCODER_KEY = "wavegan.encoder.0.weight"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_checkpoint(tmp_path_factory.mktemp("covo") / "original")


@pytest.fixture
def checkpoint(original, tmp_path):
    """A downloaded checkpoint of the test's own."""
    return shutil.copytree(original, tmp_path / "checkpoint")


def names_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def contents(folder):
    return {name: (folder / name).read_bytes() for name in names_in(folder) if (folder / name).is_file()}


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    write_json(path, content)


def change_shard(path, change):
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)


def change_model_pt(checkpoint, change):
    path = checkpoint / "token2wav/model.pt"
    state = torch.load(path, weights_only=True)
    torch.save(change(state) or state, path)


# --- what an import makes ----------------------------------------------------------------------------------


def test_an_import_makes_a_model_folder_that_opens(checkpoint):
    imported = import_covo(str(checkpoint), ACCEPTED)
    assert imported.is_new
    assert (imported.folder, imported.voices, imported.left_out) == (checkpoint, (VOICE,), ())
    opened = open_checkpoint(checkpoint)
    assert opened.folder.id == imported.id
    assert imported.id.startswith("covo-audio-chat@")


def test_one_sum_stands_for_all_weights(checkpoint):
    import_covo(str(checkpoint), ACCEPTED)
    lines = (checkpoint / "weights.sha256").read_text().splitlines()
    assert lines == [f"{sha256_of_file(checkpoint / name)}  {name}" for name in ("decoder.safetensors", *SHARDS)]
    assert open_checkpoint(checkpoint).folder.model_sha256 == sha256_of_file(checkpoint / "weights.sha256")


def test_the_acceptance_of_the_licence_is_on_record(checkpoint):
    import_covo(str(checkpoint), ACCEPTED)
    card = open_checkpoint(checkpoint).folder.card
    assert card["licence"] == LICENCE
    assert card["licence_accepted_utc"].endswith("+00:00")
    assert "academic use only" in model_page(None, checkpoint)


def test_without_acceptance_nothing_is_read_or_written(checkpoint):
    before = contents(checkpoint)
    with pytest.raises(UsageError, match=r"academic purposes only.*LICENSE.*--accept-licence"):
        import_covo(str(checkpoint), ImportOptions())
    assert contents(checkpoint) == before


def test_a_second_import_does_nothing_new(checkpoint):
    first = import_covo(str(checkpoint), ACCEPTED)
    before = contents(checkpoint)
    second = import_covo(str(checkpoint), ACCEPTED)
    assert (second.is_new, second.id, second.voices) == (False, first.id, first.voices)
    assert contents(checkpoint) == before


def test_a_new_voice_is_something_new(checkpoint, tmp_path):
    first = import_covo(str(checkpoint), ACCEPTED)
    voice = write_voice(tmp_path / "prompt files", decoder_json(), seed=5)
    second = import_covo(str(checkpoint), ImportOptions(accept_licence=True, voice_prompts={"other": voice}))
    assert (second.is_new, second.id, second.voices) == (True, first.id, (VOICE, "other"))
    speaker = open_checkpoint(checkpoint).voices["other"].speaker
    np.testing.assert_array_equal(speaker, np.load(voice / "c.npy")[0])


def test_a_new_folder_leaves_the_checkpoint_as_it_is(checkpoint, tmp_path):
    before = names_in(checkpoint)
    out = tmp_path / "models" / "covo"
    imported = import_covo(str(checkpoint), ImportOptions(accept_licence=True, out=out))
    assert imported.folder == out
    assert names_in(checkpoint) == before
    assert all((out / name).is_symlink() and (out / name).samefile(checkpoint / name) for name in SHARDS)
    assert names_in(out.parent) == names_in(tmp_path / "models")
    assert open_checkpoint(out).voices.keys() == {VOICE}
    assert not import_covo(str(checkpoint), ImportOptions(accept_licence=True, out=out)).is_new


def test_a_folder_that_holds_something_else_is_left_alone(checkpoint, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("chapter 1")
    with pytest.raises(UsageError, match="holds something else"):
        import_covo(str(checkpoint), ImportOptions(accept_licence=True, out=tmp_path / "out"))
    assert names_in(tmp_path / "out") == ["thesis.txt"]


def test_equal_checkpoints_have_the_same_identity(tmp_path):
    ids = {import_covo(str(write_checkpoint(tmp_path / name)), ACCEPTED).id for name in "ab"}
    other = import_covo(str(write_checkpoint(tmp_path / "c", seed=1)), ACCEPTED).id
    assert len(ids) == 1
    assert other not in ids


def test_the_statistics_may_lie_at_the_top(checkpoint):
    (checkpoint / "token2wav/global_mean_var.npy").rename(checkpoint / "global_mean_var.npy")
    assert import_covo(str(checkpoint), ACCEPTED).is_new


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"model": state, "step": 3},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {name: tensor.double() for name, tensor in state.items()},
    ],
    ids=["under model", "module before names", "double"],
)
def test_forms_of_model_pt_lead_to_the_same_decoder(original, checkpoint, wrap, tmp_path):
    plain = shutil.copytree(original, tmp_path / "plain")
    change_model_pt(checkpoint, wrap)
    for folder in (plain, checkpoint):
        import_covo(str(folder), ACCEPTED)
    name = "decoder.safetensors"
    assert (plain / name).read_bytes() == (checkpoint / name).read_bytes()


def test_an_older_form_of_model_pt_is_read_too(checkpoint):
    path = checkpoint / "token2wav/model.pt"
    torch.save(torch.load(path, weights_only=True), path, _use_new_zipfile_serialization=False)
    assert import_covo(str(checkpoint), ACCEPTED).is_new


def test_the_unreleased_side_of_the_vocoder_is_left_out_and_named(checkpoint):
    change_model_pt(checkpoint, lambda state: state | {ENCODER_KEY: torch.zeros(3)})
    assert import_covo(str(checkpoint), ACCEPTED).left_out == (ENCODER_KEY,)
    assert open_checkpoint(checkpoint).folder.card["left_out"] == [ENCODER_KEY]


def test_other_tensors_are_left_out_only_on_demand(checkpoint):
    change_model_pt(checkpoint, lambda state: state | {"discriminator.weight": torch.zeros(3)})
    with pytest.raises(IntegrityError, match=r"1 unexpected: discriminator\.weight.*--leave-out"):
        import_covo(str(checkpoint), ACCEPTED)
    imported = import_covo(str(checkpoint), ImportOptions(accept_licence=True, leave_out=("discriminator.", "token")))
    assert imported.left_out == ("discriminator.weight",)


# --- what is refused ---------------------------------------------------------------------------------------


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


class Code:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


def a_pickle_with_code(checkpoint):
    torch.save({"token2latent.token_embedding.weight": Code()}, checkpoint / "token2wav/model.pt")


def a_bare_pickle_with_code(checkpoint):
    (checkpoint / "token2wav/model.pt").write_bytes(pickle.dumps({"a": Code()}))


def a_voice_of_pickles(checkpoint):
    np.save(checkpoint / "voices" / VOICE / "a.npy", np.array([Code()], dtype=object), allow_pickle=True)


def no_numbers(tensors):
    next(iter(tensors.values())).view(-1)[0] = float("nan")


def save_statistics(checkpoint, values):
    np.save(checkpoint / "token2wav/global_mean_var.npy", np.asarray(values, dtype=np.float32))


BAD = {
    "missing shard": (lambda c: (c / SHARDS[1]).unlink(), ModelMissing, SHARDS[1]),
    "truncated shard": (lambda c: truncate(c / SHARDS[0]), IntegrityError, SHARDS[0]),
    "empty shard": (lambda c: (c / SHARDS[0]).write_bytes(b""), IntegrityError, SHARDS[0]),
    "no index": (lambda c: (c / INDEX).unlink(), ModelMissing, INDEX),
    "index that is no JSON": (lambda c: (c / INDEX).write_text("{"), IntegrityError, INDEX),
    "index of nothing": (lambda c: write_json(c / INDEX, {"weight_map": {}}), IntegrityError, INDEX),
    "index that leads elsewhere": (
        lambda c: write_json(c / INDEX, {"weight_map": {"a": "../a.safetensors"}}), IntegrityError, INDEX,
    ),
    "missing tensor": (
        lambda c: change_shard(c / SHARDS[1], lambda t: t.pop("llm.model.norm.weight", None) or t.popitem()),
        IntegrityError, "1 missing: ",
    ),
    "unexpected tensor": (
        lambda c: change_shard(c / SHARDS[0], lambda t: t.update(stray=torch.zeros(1))), IntegrityError, "stray",
    ),
    "tensor twice": (
        lambda c: change_shard(c / SHARDS[1], lambda t: t.update(load_file(c / SHARDS[0]))),
        IntegrityError, "in another file too",
    ),
    "no numbers": (lambda c: change_shard(c / SHARDS[0], no_numbers), IntegrityError, "no number"),
    "another model": (
        lambda c: change_json(c / "config.json", lambda j: j.update(model_type="qwen2_audio")), IntegrityError,
        'model_type is "qwen2_audio"',
    ),
    "wrong configuration": (
        lambda c: change_json(c / "config.json", lambda j: j["llm_config"].update(hidden_size=40)), IntegrityError,
        r"of another shape: llm\.model\.embed_tokens\.weight is \[326, 32\], not \[326, 40\]",
    ),
    "no configuration": (lambda c: (c / "config.json").unlink(), ModelMissing, "config.json"),
    "decoder of another codec": (
        lambda c: change_json(
            c / "token2wav/config.json", lambda j: j["model"]["token2latent"].update(token_vocab_size=65)
        ),
        IntegrityError, "token_vocab_size is 65, .* 64 audio ids",
    ),
    "no decoder": (lambda c: shutil.rmtree(c / "token2wav"), ModelMissing, "token2wav"),
    "no decoder weights": (lambda c: (c / "token2wav/model.pt").unlink(), ModelMissing, r"model\.pt"),
    "truncated decoder weights": (lambda c: truncate(c / "token2wav/model.pt"), IntegrityError, r"model\.pt"),
    "empty decoder weights": (lambda c: (c / "token2wav/model.pt").write_bytes(b""), IntegrityError, r"model\.pt"),
    "code in the decoder weights": (a_pickle_with_code, IntegrityError, r"model\.pt.*never run"),
    "code in a bare pickle": (a_bare_pickle_with_code, IntegrityError, r"model\.pt.*never run"),
    "list for decoder weights": (
        lambda c: torch.save([torch.zeros(1)], c / "token2wav/model.pt"), IntegrityError, r"model\.pt: not a coll",
    ),
    "decoder weights that are no tensors": (
        lambda c: change_model_pt(c, lambda s: s | {"epoch": 3}), IntegrityError, "epoch",
    ),
    "missing decoder tensor": (
        lambda c: change_model_pt(c, lambda s: s.pop("wavegan.conv_post.bias") and None), IntegrityError,
        r"model\.pt: .*1 missing: wavegan\.conv_post\.bias",
    ),
    "wrong shape in the decoder": (
        lambda c: change_model_pt(c, lambda s: s | {"wavegan.conv_post.bias": torch.zeros(2)}), IntegrityError,
        r"wavegan\.conv_post\.bias is \[2\], not \[1\]",
    ),
    "no number in the decoder": (
        lambda c: change_model_pt(c, lambda s: s | {"wavegan.conv_post.bias": torch.full((1,), torch.inf)}),
        IntegrityError, r"wavegan\.conv_post\.bias",
    ),
    "no statistics": (
        lambda c: (c / "token2wav/global_mean_var.npy").unlink(), ModelMissing, r"global_mean_var\.npy",
    ),
    "other statistics": (lambda c: save_statistics(c, np.ones((2, 9))), IntegrityError, r"\[2, 9\] .* \[2, 8\]"),
    "negative variance": (lambda c: save_statistics(c, -np.ones((2, 8))), IntegrityError, "variance"),
    "no tokenizer": (lambda c: (c / "tokenizer.json").unlink(), ModelMissing, "tokenizer.json"),
    "damaged tokenizer": (lambda c: (c / "tokenizer.json").write_text("{}"), IntegrityError, "tokenizer"),
    "pickled voice": (a_voice_of_pickles, IntegrityError, r"a\.npy"),
    "voice of another model": (
        lambda c: np.save(c / "voices" / VOICE / "c.npy", np.zeros(11, np.float32)), IntegrityError, r"c\.npy: \[11\]",
    ),
    "voice without latents": (
        lambda c: (c / "voices" / VOICE / "b.npy").unlink(), IntegrityError, "tokens and latents, or neither",
    ),
    "voice tokens beyond the codebook": (
        lambda c: np.save(c / "voices" / VOICE / "a.npy", np.full(7, 64)), IntegrityError, "0 to 63",
    ),
    "voice of two recordings": (
        lambda c: np.save(c / "voices" / VOICE / "a.npy", np.zeros(3, int)), IntegrityError, "31 frames .* 3 prompt",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "error", "words"), BAD.values(), ids=BAD)
def test_a_bad_checkpoint_is_refused_by_name_and_left_as_it_is(checkpoint, tmp_path, monkeypatch, spoil, error, words):
    monkeypatch.chdir(tmp_path)
    spoil(checkpoint)
    before = names_in(checkpoint)
    with pytest.raises(error, match=words):
        import_covo(str(checkpoint), ACCEPTED)
    assert names_in(checkpoint) == before
    assert not (tmp_path / "ran").exists()
    with pytest.raises(CovoguardError):
        open_checkpoint(checkpoint)


def test_a_voice_name_that_is_a_path(checkpoint, tmp_path):
    with pytest.raises(UsageError, match=r"'\.\./x'"):
        import_covo(str(checkpoint), ImportOptions(accept_licence=True, voice_prompts={"../x": tmp_path}))


def test_a_voice_folder_that_is_not_there(checkpoint, tmp_path):
    with pytest.raises(ModelMissing, match="nowhere"):
        import_covo(str(checkpoint), ImportOptions(accept_licence=True, voice_prompts={"a": tmp_path / "nowhere"}))


@pytest.mark.parametrize("name", ["checkpoints/none", "none", "a/b/c"])
def test_a_folder_that_is_not_there(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelMissing, match=f"{name}: no such folder"):
        import_covo(name, ACCEPTED)


def test_a_folder_that_cannot_be_written(checkpoint, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match=r"cannot be written .* -o"):
        import_covo(str(checkpoint), ACCEPTED)


def test_a_disk_that_is_full(checkpoint, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    before = names_in(checkpoint)
    with pytest.raises(UsageError, match="No space left on device"):
        import_covo(str(checkpoint), ACCEPTED)
    assert names_in(checkpoint) == before


# --- interruption ------------------------------------------------------------------------------------------


def stop_at_once(path, target):
    raise KeyboardInterrupt


def interrupted_import(checkpoint, options, move=stop_at_once):
    """An import whose last steps, when files are moved to their place, are done by `move`."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(importing.Path, "replace", move)
        with pytest.raises(KeyboardInterrupt):
            import_covo(str(checkpoint), options)


@pytest.mark.parametrize("moved", [0, 1, 5])
def test_an_import_that_is_interrupted_leaves_nothing_that_opens(checkpoint, moved):
    """Stopped after each of its last steps; the next one goes through."""
    steps = []
    move = importing.Path.replace

    def stop(path, target):
        if len(steps) == moved:
            raise KeyboardInterrupt
        steps.append(target)
        return move(path, target)

    interrupted_import(checkpoint, ACCEPTED, stop)
    assert not (checkpoint / CHECKSUMS_NAME).exists()
    assert not [name for name in names_in(checkpoint) if ".covo-import" in name]
    with pytest.raises(ModelMissing, match="not to the end"):
        open_checkpoint(checkpoint)
    assert import_covo(str(checkpoint), ACCEPTED).is_new
    open_checkpoint(checkpoint)


def test_an_interrupted_import_with_another_voice_does_not_leave_the_old_one_open(checkpoint, tmp_path):
    import_covo(str(checkpoint), ACCEPTED)
    voice = write_voice(tmp_path / "other", decoder_json())

    interrupted_import(checkpoint, ImportOptions(accept_licence=True, voice_prompts={"other": voice}))
    with pytest.raises(ModelMissing):
        open_checkpoint(checkpoint)


def test_an_interrupted_import_into_a_new_folder_leaves_none(checkpoint, tmp_path):
    options = ImportOptions(accept_licence=True, out=tmp_path / "models" / "covo")
    interrupted_import(checkpoint, options)
    assert names_in(tmp_path / "models") == []
    assert import_covo(str(checkpoint), options).is_new


# --- the hub -----------------------------------------------------------------------------------------------


@pytest.fixture
def hub(original, monkeypatch):
    """A hub whose one model is in the local cache; -> how it was asked."""
    import huggingface_hub

    asked = []

    def snapshot_download(name, *, local_files_only):
        asked.append((name, local_files_only))
        if name != "tencent/Covo-Audio-Chat":
            raise huggingface_hub.errors.LocalEntryNotFoundError("not there")
        return str(original)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def test_a_model_of_the_hub_is_taken_from_the_local_cache(hub, original, tmp_path):
    before = names_in(original)
    options = ImportOptions(accept_licence=True, out=tmp_path / "covo")
    assert import_covo("tencent/Covo-Audio-Chat", options).folder == tmp_path / "covo"
    assert hub == [("tencent/Covo-Audio-Chat", True)]
    assert names_in(original) == before
    open_checkpoint(tmp_path / "covo")


def test_the_cache_of_the_hub_is_not_written_to(hub):
    with pytest.raises(UsageError, match="name a new folder with -o"):
        import_covo("tencent/Covo-Audio-Chat", ACCEPTED)


def test_a_model_is_fetched_only_on_demand(hub, tmp_path):
    for download in (False, True):
        options = ImportOptions(accept_licence=True, out=tmp_path / "covo", download=download)
        with pytest.raises(ModelMissing, match="tencent/other: no such folder"):
            import_covo("tencent/other", options)
    assert hub == [("tencent/other", True), ("tencent/other", False)]


# --- the command -------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(models, ["import", "covo", *map(str, arguments)])


def test_the_command_says_what_it_did(checkpoint):
    change_model_pt(checkpoint, lambda state: state | {ENCODER_KEY: torch.zeros(3)})
    first = run(checkpoint, "--accept-licence")
    assert first.exit_code == 0, first.output
    assert f"{checkpoint}: covo-audio-chat@" in first.output
    assert "imported" in first.output
    assert f"voices: {VOICE}" in first.output
    assert f"1 tensors that decoding does not need: {ENCODER_KEY}" in first.output
    assert "nothing to do" in run(checkpoint, "--accept-licence").output


def test_the_command_takes_voices_by_name(checkpoint, tmp_path):
    voice = write_voice(tmp_path / "files", decoder_json())
    result = run(checkpoint, "--accept-licence", "--voice-prompt", f"anna={voice}", "-o", tmp_path / "out")
    assert f"voices: anna, {VOICE}" in result.output


def test_the_command_wants_a_name_for_each_voice(checkpoint):
    result = run(checkpoint, "--accept-licence", "--voice-prompt", "files")
    assert isinstance(result.exception, UsageError)
