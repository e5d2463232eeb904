"""The recoverer folder: its sizes come from the card, its rows are proper, and what is not whole is refused."""

import json

import numpy as np
import pytest
import soxr
import torch
from speech_and_model import spoken

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.modelcard import seal_model
from covoguard.core.records import Audio
from covoguard.generate.pocket.recoverer_network import RecovererNetwork
from covoguard.generate.recovery.frames import FRAMES, WEIGHTS, FrameRecoverer, weights_of
from covoguard.generate.recovery.network import RecovererShape

SHAPE = RecovererShape(codes=40, width=16, blocks=2, head_width=8)


def build(folder, shape=SHAPE, **changes):
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = shape.network()
    card = {
        "id": "some-recoverer", "version": "1", "recoverer": FRAMES, "weights": WEIGHTS,
        "for_model": {"id": "some@1", "model_sha256": "0" * 64}, "codebook_size": shape.codes,
        "settings": shape.to_card(), **changes,
    }  # fmt: skip
    save_file(weights_of(network, 20.0), folder / WEIGHTS)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    seal_model(folder)
    return folder


@pytest.mark.parametrize("shape", [SHAPE, RecovererShape(6, width=16, blocks=1), RecovererShape(16_384, 8, 1, 4)])
def test_rows_of_any_codebook_at_any_rate(tmp_path, shape):
    recoverer = FrameRecoverer.load(build(tmp_path / "r", shape))
    assert recoverer.codebook_size == shape.codes
    assert (recoverer.for_model.id, recoverer.for_model.model_sha256) == ("some@1", "0" * 64)
    speech = spoken(2.0)
    for rate_hz in (8_000, 16_000, 24_000):
        rows = recoverer.recover(Audio(soxr.resample(speech, 16_000, rate_hz), rate_hz))
        k = min(16, shape.codes)
        assert rows.rate_hz == 50
        assert rows.ids.shape == rows.probs.shape == (100, k)
        assert ((rows.ids >= 0) & (rows.ids < shape.codes)).all()
        assert np.allclose(rows.probs.sum(axis=1) + rows.rest, 1, atol=1e-5)
        assert (rows.surprisal >= 0).all()
    assert recoverer.recover(Audio(np.zeros(0, np.float32), 16_000)).ids.shape == (0, k)
    assert recoverer.recover(Audio(speech, 16_000), speed=1.05).ids.shape[0] == 105


def test_the_stored_scale_makes_the_rows_surer(tmp_path):
    speech = Audio(spoken(1.0), 16_000)
    sure = FrameRecoverer.load(build(tmp_path / "sure")).recover(speech)
    network = SHAPE.network()
    network.load_state_dict(
        {
            name.removeprefix("recoverer."): tensor.float()
            for name, tensor in _stored(tmp_path / "sure").items()
            if name.startswith("recoverer.")
        }
    )
    from safetensors.torch import save_file

    save_file(weights_of(network, 0.5), tmp_path / "sure" / WEIGHTS)
    seal_model(tmp_path / "sure")
    unsure = FrameRecoverer.load(tmp_path / "sure").recover(speech)
    assert (unsure.probs[:, 0] < sure.probs[:, 0]).all()
    assert np.array_equal(unsure.ids[:, 0], sure.ids[:, 0])


def _stored(folder):
    from safetensors.torch import load_file

    return load_file(folder / WEIGHTS)


def test_pockets_network_is_the_default_one_under_its_own_names():
    names = set(RecovererNetwork().state_dict())
    assert {"codes.weight", "codes.bias", "stack.weight", "blocks.4.scale", "surprisal.2.bias"} <= names
    assert set(RecovererShape.for_codes(1024).network().state_dict()) == names


def test_a_large_codebook_gets_a_larger_network_with_a_narrow_head():
    shape = RecovererShape.for_codes(16_384)
    weights = sum(each.numel() for each in shape.network().parameters())
    assert 25.0e6 < weights < 26.0e6
    assert shape.head_width < shape.width
    assert RecovererShape.for_codes(16_384, width=64, blocks=2) == RecovererShape(16_384, 64, 2, 64)
    assert RecovererShape.from_card(json.loads(json.dumps(shape.to_card()))) == shape


@pytest.mark.parametrize("changes", [{"codes": 1}, {"width": 0}, {"blocks": 10**6}, {"width": 2.5}, {"head_width": 0}])
def test_sizes_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        RecovererShape(**{"codes": 64, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": None}, "settings"),
        ({"settings": {"codes": 40, "width": 16, "blocks": 2}}, "settings"),
        ({"settings": {**SHAPE.to_card(), "blocks": "2"}}, "blocks"),
        ({"settings": {**SHAPE.to_card(), "blocks": 3}}, "not weights of the sizes"),
        ({"codebook_size": 41}, "codebook_size"),
        ({"for_model": "some@1"}, "for_model"),
        ({"for_model": {"id": "some@1"}}, "for_model"),
        ({"recoverer": "other"}, "not of the recoverer frames"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(tmp_path, changes, message):
    with pytest.raises(IntegrityError, match=message):
        FrameRecoverer.load(build(tmp_path / "r", **changes))


def test_damaged_weights_are_refused(tmp_path):
    from safetensors.torch import save_file

    folder = build(tmp_path / "r")
    stored = _stored(folder)
    for changed, message in (
        ({**stored, "recoverer.stack.bias": torch.full((16,), torch.nan)}, "no number"),
        ({**stored, "posteriors.logit_scale": torch.tensor(0.0)}, "logit_scale"),
        ({name: t for name, t in stored.items() if "scale" not in name}, "not weights|logit_scale"),
    ):
        save_file(changed, folder / WEIGHTS)
        seal_model(folder)
        with pytest.raises(IntegrityError, match=message):
            FrameRecoverer.load(folder)
    (folder / WEIGHTS).write_bytes(b"none")
    seal_model(folder)
    with pytest.raises(IntegrityError, match="safetensors"):
        FrameRecoverer.load(folder)
    with pytest.raises(ModelMissing):
        FrameRecoverer.load(tmp_path / "nowhere")
