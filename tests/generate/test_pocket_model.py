"""Opening a pocket model folder: what is missing, swapped or of another shape is refused by name."""

import json
import shutil

import pytest
import torch
from pocket_model import CARD, rewrite_weights

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.modelcard import seal_model
from covoguard.generate.backends.pocket import PocketGenerator
from covoguard.generate.pocket.model import open_pocket
from covoguard.generate.pocket.recoverer import PocketRecoverer
from covoguard.generate.pocket.speech import PocketDecoder


@pytest.fixture
def folder(pocket_folder, tmp_path):
    """A folder of the test's own."""
    return shutil.copytree(pocket_folder, tmp_path / "model")


def test_a_whole_folder_opens_in_float32(pocket_folder):
    weights = open_pocket(pocket_folder)
    assert weights.folder.id == "pocket-random@1"
    assert {tensor.dtype for tensor in weights.tensors.values()} == {torch.float32}
    for part in ("decoder", "language", "recoverer", "features", "posteriors"):
        assert weights.part(part)
    assert not weights.part("feature")


def test_no_folder_is_a_missing_model(tmp_path):
    with pytest.raises(ModelMissing, match="no model here"):
        open_pocket(tmp_path / "nowhere")


def test_a_listed_file_that_is_gone_is_named(folder):
    (folder / "pocket.safetensors").unlink()
    with pytest.raises(ModelMissing, match=r"pocket\.safetensors"):
        open_pocket(folder)


def test_weights_that_changed_are_refused(folder):
    path = folder / "pocket.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"pocket\.safetensors"):
        open_pocket(folder)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\xff" * 64])
def test_a_file_of_another_format_is_refused(folder, content):
    (folder / "pocket.safetensors").write_bytes(content)
    seal_model(folder)
    with pytest.raises(IntegrityError, match="not a safetensors file"):
        open_pocket(folder)


@pytest.mark.parametrize("identity", [{"generator": "covo"}, {"detector": "pocket"}])
def test_a_model_of_another_part_is_refused(folder, identity):
    card = {key: value for key, value in CARD.items() if key != "generator"} | identity
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    seal_model(folder)
    with pytest.raises(IntegrityError, match="not of the generator pocket"):
        open_pocket(folder)


@pytest.mark.parametrize(
    ("part", "missing"),
    [
        (PocketRecoverer, "recoverer.norm.weight"),
        (PocketRecoverer, "posteriors.logit_scale"),
        (PocketGenerator, "language.next_token.bias"),
        (PocketGenerator, "decoder.tokens.weight"),
        (PocketGenerator, "features.mean"),
    ],
)
def test_a_missing_tensor_is_named(folder, part, missing):
    rewrite_weights(folder, {}, without=missing)
    with pytest.raises(IntegrityError, match=missing.split(".", 1)[1].replace(".", r"\.")):
        part.load(folder)


@pytest.mark.parametrize(
    ("part", "name", "tensor"),
    [
        (PocketRecoverer, "recoverer.codes.bias", torch.zeros(1000)),
        (PocketRecoverer, "posteriors.logit_scale", torch.ones(2)),
        (PocketGenerator, "language.tokens.weight", torch.zeros(1024, 192)),
        (PocketGenerator, "features.deviation", torch.ones(1, 67)),
    ],
)
def test_a_tensor_of_another_shape_is_named(folder, part, name, tensor):
    rewrite_weights(folder, {name: tensor})
    with pytest.raises(IntegrityError, match=name.split(".", 1)[1].replace(".", r"\.")):
        part.load(folder)


def test_a_tensor_too_many_is_refused(folder):
    rewrite_weights(folder, {"decoder.another": torch.zeros(1)})
    with pytest.raises(IntegrityError, match="another"):
        PocketDecoder.load(open_pocket(folder))


@pytest.mark.parametrize("sampling", [None, {"temperature": 1.0}])
def test_a_card_without_sampling_settings_is_refused(folder, sampling):
    card = {key: value for key, value in CARD.items() if key != "sampling"} | (
        {"sampling": sampling} if sampling else {}
    )
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    seal_model(folder)
    with pytest.raises(IntegrityError, match="how to sample"):
        PocketGenerator.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused_by_name(folder, value):
    rewrite_weights(folder, {"recoverer.norm.weight": torch.full((192,), value)})
    with pytest.raises(IntegrityError, match=r"recoverer\.norm\.weight"):
        open_pocket(folder)


@pytest.mark.parametrize(
    "sampling",
    [None, [], {"temperature": 0.8}, *({"temperature": t, "top_p": p} for t, p in ((-1, 1), ("hot", 1), (0.8, 7)))],
)
def test_settings_that_cannot_be_are_refused(folder, sampling):
    (folder / "card.json").write_text(json.dumps(CARD | {"sampling": sampling}), encoding="utf-8")
    seal_model(folder)
    with pytest.raises(IntegrityError, match="how to sample"):
        PocketGenerator.load(folder)


def test_damaged_letters_are_named(folder):
    (folder / "letter_to_sound.safetensors").write_bytes(b"not letters")
    seal_model(folder)
    with pytest.raises(IntegrityError, match=r"letter_to_sound\.safetensors"):
        PocketGenerator.load(folder)
