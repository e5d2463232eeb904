"""One contract for every network that can be trained."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import training_tones as tones
import transformers
from labelled_clips import speechlike
from safetensors.torch import save_file

from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import seal_model
from covoguard.detect.network import LogBandResNet
from covoguard.detect.networks.aasist import AASIST_L, Aasist
from covoguard.detect.networks.released import build_network as build_released
from covoguard.detect.networks.ssl import SslDesign, SslNetwork
from covoguard.detect.training.batch import Batch
from covoguard.detect.training.loop import fit
from covoguard.detect.training.losses import TrainingObjective
from covoguard.detect.training.networks import TRAINABLE, NetworkStart, build_network
from covoguard.detect.training.recipe import TrainingRecipe

SSL = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "conv_dim": (8, 8, 8), "conv_kernel": (10, 8, 4), "conv_stride": (8, 8, 5), "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "vocab_size": 12,
}  # fmt: skip
SAMPLES = 8_000


def model_folder(folder, detector, state, **card):
    folder.mkdir()
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "weights.safetensors")
    card = {"id": "tiny", "version": "1", "detector": detector, "weights": "weights.safetensors", **card}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A model folder as `make_ssl_model` leaves it, with a tiny WavLM."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        config = json.loads(transformers.WavLMConfig(**SSL).to_json_string(use_diff=False))
        design = {"encoder": "wavlm", "head": "attentive", "normalise": True}
        state = SslNetwork(SslDesign(**design), config).state_dict()
    folder = model_folder(tmp_path_factory.mktemp("ssl") / "model", "ssl", state, network=design)
    (folder / "encoder.config.json").write_text(json.dumps(config))
    seal_model(folder)
    return folder


def start_of(name, encoder, **options):
    return NetworkStart(encoder, **options) if name == "ssl" else NetworkStart(**options)


def batch_of(count):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        samples = 0.1 * torch.randn(count, SAMPLES)
    labels = torch.arange(count) % 2
    return Batch(samples, labels.float(), labels - 1, labels, torch.full((count,), -1))


def test_all_that_the_issue_names_can_be_trained():
    assert {"aasist", "aasist-l", "lcnn", "logband-resnet", "rawnet2", "ssl"} <= set(TRAINABLE.names())


@pytest.mark.parametrize("name", TRAINABLE.names())
def test_every_network_keeps_the_contract(name, encoder):
    network, batch = build_network(name, start_of(name, encoder), seed=1), batch_of(3)
    network.eval()
    with torch.no_grad():
        embedding = network.embedding(network.features(batch.samples))
        assert embedding.shape == (3, network.embedding_size)
        logits = network(batch.samples)
        assert logits.shape == (3,)
        assert logits.isfinite().all()
        torch.testing.assert_close(network.classify(embedding), logits)
    objective = TrainingObjective(network.train(), TrainingRecipe(), n_families=2, n_sources=2)
    before = {key: value.clone() for key, value in network.named_parameters()}
    optimiser = torch.optim.SGD([each for each in network.parameters() if each.requires_grad], lr=1e-2)
    objective(batch, None, 0.0).sums.sum().backward()
    waiting = [key for key, each in network.named_parameters() if each.requires_grad and each.grad is None]
    assert waiting == [], "several processes wait for the gradient of each"
    optimiser.step()
    moved = {key for key, each in network.named_parameters() if not torch.equal(each, before[key])}
    assert moved
    assert not {key for key, each in network.named_parameters() if not each.requires_grad} & moved
    assert all(value.isfinite().all() for value in network.state_dict().values())


@pytest.mark.parametrize("name", sorted(set(TRAINABLE.names()) - {"rawnet2"}))  # the same parts, and a large one
def test_half_precision_leaves_the_front_end_whole(name, encoder):
    network, samples = build_network(name, start_of(name, encoder), seed=1).eval(), batch_of(2).samples
    with torch.no_grad():
        exact = network(samples)
        with torch.autocast("cpu", torch.bfloat16):
            coarse = network(samples)
    assert coarse.isfinite().all()
    torch.testing.assert_close(coarse.float(), exact, atol=0.1, rtol=0.1)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_generator_alone():
    before = torch.random.get_rng_state()
    first, again, other = (build_network("aasist-l", seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["last.weight"], other["last.weight"])


@pytest.mark.parametrize("name", ["aasist", "aasist-l", "lcnn", "rawnet2"])
def test_what_is_trained_is_what_the_scorer_reads(name):
    """Higher is more synthetic in both, whichever way round the released outputs stand."""
    network, samples = build_network(name, seed=1).eval(), batch_of(2).samples
    scorer = build_released(name, network.scorer_state())
    with torch.no_grad():
        expected = scorer(samples)
        expected = -expected if name == "lcnn" else expected[:, 0] - expected[:, 1]
        torch.testing.assert_close(network(samples), expected, atol=1e-5, rtol=1e-4)


def test_the_trained_residual_network_is_a_member_of_the_detector():
    network, samples = build_network("logband-resnet", seed=1).eval(), batch_of(2).samples
    member = LogBandResNet().eval()
    member.load_state_dict(network.scorer_state())
    with torch.no_grad():
        logits, embeddings = member(network.frontend(samples))
        torch.testing.assert_close(network(samples), logits)
        torch.testing.assert_close(network.embedding(network.features(samples)), embeddings)


@dataclass
class Syllables:
    """Batches of 16 halves of a second of noise; generated ones have a whistle."""

    n_families: int = 1
    n_sources: int = 1
    steps_per_epoch: int = 8

    def epoch(self, number, *, rank, world):
        return (self.draw([number, step]) for step in range(self.steps_per_epoch))

    def held_out(self):
        return (self.draw([99, step]) for step in range(3))

    def draw(self, seed):
        rng = np.random.default_rng(seed)
        is_spoof = np.arange(16) % 2
        samples = np.stack([speechlike(rng, spoof, 0.5) for spoof in is_spoof])
        nothing = torch.full((16,), -1)
        return Batch(torch.from_numpy(samples), torch.from_numpy(is_spoof).float(), nothing, nothing, nothing)


def test_the_residual_network_learns_a_plain_difference_mixed_and_masked(tmp_path):
    recipe = TrainingRecipe(
        epochs=4, learning_rate=2e-3, average_decay=0.9, mixup=0.2, label_smoothing=0.05, mask_bands=12, mask_frames=10
    )
    fitted = fit(build_network("logband-resnet", seed=3), Syllables(), recipe, tmp_path, seed=3, device="cpu")
    assert fitted.history[-1].held_out.eer < 0.1


def test_released_weights_are_a_start(tmp_path):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        released = Aasist(AASIST_L)
    folder = model_folder(tmp_path / "model", "aasist-l", released.state_dict())
    seal_model(folder)
    network = build_network("aasist-l", NetworkStart(folder), seed=1)
    assert all(torch.equal(network.scorer_state()[key], value) for key, value in released.state_dict().items())
    with pytest.raises(IntegrityError, match="not of the detector aasist"):
        build_network("aasist", NetworkStart(folder), seed=1)
    with pytest.raises(ModelMissing):
        build_network("aasist", NetworkStart(tmp_path / "nothing"), seed=1)


def test_a_start_that_a_network_cannot_have_is_refused(encoder):
    with pytest.raises(UsageError, match="ssl cannot begin with random weights"):
        build_network("ssl", seed=1)
    with pytest.raises(UsageError, match="no pre-trained encoder"):
        build_network("aasist", NetworkStart(train_encoder=True), seed=1)
    with pytest.raises(UsageError, match="random weights; leave out"):
        build_network("logband-resnet", NetworkStart(encoder), seed=1)
    with pytest.raises(UsageError, match="no network to train 'resnet'; known: aasist"):
        build_network("resnet", seed=1)


def test_a_frozen_encoder_stays_as_it_was_and_a_trained_one_does_not(encoder):
    frozen = build_network("ssl", NetworkStart(encoder), seed=1).train()
    assert not frozen.body.encoder.training
    assert frozen.body.head.training
    assert not any(each.requires_grad for each in frozen.body.encoder.parameters())
    trained = build_network("ssl", NetworkStart(encoder, train_encoder=True), seed=1).train()
    assert trained.body.encoder.training
    trained(batch_of(2).samples).sum().backward()
    waiting = [key for key, each in trained.named_parameters() if each.requires_grad and each.grad is None]
    assert waiting == []


def test_a_tiny_network_of_a_test_keeps_it_too():
    assert tones.ToneNetwork.build(NetworkStart())(torch.zeros(2, 256)).isfinite().all()
