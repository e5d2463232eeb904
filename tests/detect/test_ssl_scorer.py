"""A detector made of a tiny random encoder: what is made, that it must be trained first, and how it scores."""

import json
import os
import shutil

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from covoguard.core.errors import IntegrityError, ModelMissing, UsageError
from covoguard.core.modelcard import seal_model, sha256_of_file
from covoguard.core.records import Audio, ScoredSegment, Segment
from covoguard.detect.calibration import Calibration, CalibrationBin
from covoguard.detect.networks.ssl import ENCODER_KINDS, SslDesign, SslNetwork
from covoguard.detect.networks.ssl_head import HEADS, AttentiveHead, LayerSum, MeanHead
from covoguard.detect.scorers.ssl import SslScorer
from covoguard.pipeline.make_ssl_detector import make_ssl_model
from covoguard.pipeline.models import load_scorer, model_page

TINY = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
    "conv_dim": (8, 8, 8), "conv_kernel": (10, 8, 4), "conv_stride": (8, 8, 5),
    "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 2, "vocab_size": 12,
}  # fmt: skip


def build_checkpoint(folder, kind="wav2vec2", *, normalise=True, rate_hz=16_000):
    """As transformers' `save_pretrained` leaves one, without its progress bar."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **TINY))
    weights = {name: values.detach().clone() for name, values in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(folder)
    extractor = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": rate_hz}
    (folder / "preprocessor_config.json").write_text(json.dumps(extractor | {"do_normalize": normalise}))
    return folder


def edit_json(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def train(made, folder, *, edit=lambda state: state, calibration=None, **card):
    """A copy of a made folder that says it is trained, with `edit`ed weights."""
    shutil.copytree(made, folder)
    edit_json(folder / "card.json", trained=True, **card)
    save_file(edit(load_file(folder / "weights.safetensors")), folder / "weights.safetensors")
    if calibration is not None:
        (folder / "calibration.json").write_text(calibration.to_json())
    seal_model(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return build_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="module")
def made(checkpoint, tmp_path_factory):
    return make_ssl_model(checkpoint, tmp_path_factory.mktemp("made") / "model", seed=1).path


@pytest.fixture(scope="module")
def scorer(made, tmp_path_factory):
    return SslScorer.load(train(made, tmp_path_factory.mktemp("trained") / "model"))


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def voice(duration_s=5.0, rate_hz=16_000):
    time = np.arange(int(rate_hz * duration_s)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 20)) * (1 + np.sin(2 * np.pi * 3 * time))
    return Audio((0.2 * buzz).astype(np.float32), rate_hz)


# --- making one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ENCODER_KINDS)
@pytest.mark.parametrize("head", HEADS)
def test_every_encoder_works_with_every_head(kind, head, tmp_path):
    model = make_ssl_model(build_checkpoint(tmp_path / "encoder", kind), tmp_path / "made", head=head)
    assert model.card["network"] == {"encoder": kind, "head": head, "normalise": True}
    evidence = SslScorer.load(train(model.path, tmp_path / "trained")).score(voice(1.0))
    assert evidence.status == "scored"
    assert np.isfinite(evidence.score)


def test_the_encoder_hears_what_it_hears_in_transformers(checkpoint, made):
    """The same hidden layers, from the same sound, as with the library's own loader and feature extractor."""
    samples = 3 * voice(1.0).samples + np.float32(0.1)
    extractor = transformers.AutoFeatureExtractor.from_pretrained(checkpoint)
    original = transformers.Wav2Vec2Model.from_pretrained(checkpoint).eval()
    network = SslNetwork(SslDesign("wav2vec2", "mean", True), json.loads((made / "encoder.config.json").read_text()))
    state = load_file(made / "weights.safetensors")
    encoder = {key.removeprefix("encoder."): state[key] for key in state if key.startswith("encoder.")}
    network.eval().encoder.load_state_dict(encoder)
    heard = []
    network.head.register_forward_pre_hook(lambda _, given: heard.append(given[0]))
    with torch.inference_mode():
        values = extractor(samples, sampling_rate=16_000, return_tensors="pt").input_values
        expected = torch.stack(original(values, output_hidden_states=True).hidden_states, dim=1)
        network(torch.from_numpy(samples)[None])
    torch.testing.assert_close(heard[0], expected, atol=1e-5, rtol=1e-4)


def write_as_pretrained(checkpoint, folder):
    """The same encoder as hubs have it from before safetensors: a pickle, old names, parts of the pre-training."""
    shutil.copytree(checkpoint, folder)
    (folder / "model.safetensors").unlink()
    edit_json(folder / "config.json", architectures=["Wav2Vec2ForPreTraining"])
    norm = "conv.parametrizations.weight.original"
    state = {
        f"wav2vec2.{name}".replace(f"{norm}0", "conv.weight_g").replace(f"{norm}1", "conv.weight_v"): values
        for name, values in load_file(checkpoint / "model.safetensors").items()
    }
    torch.save(state | {"quantizer.codevectors": torch.zeros(1, 4, 2)}, folder / "pytorch_model.bin")
    return folder


def test_a_pretraining_checkpoint_of_old_gives_the_same_model(checkpoint, made, tmp_path):
    old = make_ssl_model(write_as_pretrained(checkpoint, tmp_path / "old"), tmp_path / "model", seed=1)
    assert old.model_sha256 == sha256_of_file(made / "weights.safetensors")


def test_a_checkpoint_that_runs_code_is_refused(checkpoint, tmp_path):
    folder = write_as_pretrained(checkpoint, tmp_path / "old")
    torch.save({"state": Trap(tmp_path / "sprung")}, folder / "pytorch_model.bin")
    with pytest.raises(IntegrityError, match="cannot be loaded"):
        make_ssl_model(folder, tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


def test_an_untrained_head_is_not_scored_with(made):
    assert json.loads((made / "card.json").read_text())["summary"].startswith("UNTRAINED")
    with pytest.raises(ModelMissing, match=r"never trained.*train it first"):
        load_scorer(None, made)


def test_its_page_says_where_it_is_from_and_that_it_is_untrained(made):
    page = model_page(None, made)
    assert "UNTRAINED" in page
    assert "the checkpoint folder tiny" in page


def test_the_same_seed_gives_the_same_bytes_and_the_global_generator_is_left_alone(checkpoint, made, tmp_path):
    before = torch.random.get_rng_state()
    again = make_ssl_model(checkpoint, tmp_path / "again", seed=1)
    other = make_ssl_model(checkpoint, tmp_path / "other", seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert (again.path / "SHA256SUMS").read_bytes() == (made / "SHA256SUMS").read_bytes()
    assert other.model_sha256 != again.model_sha256


def spoil(folder, what):
    if what == "another kind":
        edit_json(folder / "config.json", model_type="bert")
    elif what == "no kind":
        (folder / "config.json").write_text("[]")
    elif what == "not JSON":
        (folder / "config.json").write_text("{")
    elif what == "another rate":
        edit_json(folder / "preprocessor_config.json", sampling_rate=24_000)
    elif what == "no tensor":
        state = load_file(folder / "model.safetensors")
        del state["encoder.layer_norm.weight"]
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    elif what == "another shape":
        edit_json(folder / "config.json", intermediate_size=25)
    elif what == "cut off":
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-9])
    else:
        (folder / what).unlink()


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("another kind", UsageError, "no encoder 'bert'; known: wav2vec2, wavlm, hubert"),
        ("no kind", IntegrityError, "does not say 'model_type'"),
        ("not JSON", IntegrityError, "not JSON"),
        ("another rate", UsageError, "24000 Hz; give an encoder for 16000 Hz"),
        ("no tensor", IntegrityError, "encoder.layer_norm.weight"),
        ("another shape", IntegrityError, "cannot be loaded as Wav2Vec2Model"),
        ("cut off", IntegrityError, "cannot be loaded as Wav2Vec2Model"),
        ("config.json", ModelMissing, "cannot be read"),
        ("preprocessor_config.json", ModelMissing, "preprocessor_config.json"),
        ("model.safetensors", ModelMissing, "no weights here"),
    ],
)
def test_a_checkpoint_that_is_not_whole_or_of_another_kind_is_refused(checkpoint, tmp_path, what, error, message):
    spoil(shutil.copytree(checkpoint, tmp_path / "encoder"), what)
    with pytest.raises(error, match=message):
        make_ssl_model(tmp_path / "encoder", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["encoder"]


def test_an_unknown_head_and_a_folder_that_is_there_are_refused(checkpoint, tmp_path):
    with pytest.raises(UsageError, match="no head 'big'; known: attentive, mean, aasist"):
        make_ssl_model(checkpoint, tmp_path / "out", head="big")
    with pytest.raises(UsageError, match="is there already"):
        make_ssl_model(checkpoint, tmp_path)


# --- the heads ---------------------------------------------------------------------------------------------


def test_the_layer_sum_weighs_by_softmax():
    layers = LayerSum(3)
    layers.load_state_dict({"scores": torch.log(torch.tensor([1.0, 2.0, 5.0]))})
    hidden = torch.arange(3.0)[None, :, None, None].expand(1, 3, 4, 2)
    torch.testing.assert_close(layers(hidden), torch.full((1, 4, 2), 1.5))


def test_attention_picks_frames_and_the_deviation_tells_what_the_mean_does_not():
    hidden = torch.tensor([[1.0], [3.0]])[None, None]  # one layer, two frames
    head = AttentiveHead(1, 1)
    state = {name: torch.zeros_like(values) for name, values in head.state_dict().items()}
    head.load_state_dict(state | {"out.weight": torch.eye(2)})
    torch.testing.assert_close(head(hidden), torch.tensor([[2.0, 1.0]]))  # no attention: mean and deviation
    first = state["attention.0.weight"].clone()
    first[0] = 1.0
    last = state["attention.2.weight"].clone()
    last[0, 0] = 1e4
    head.load_state_dict(state | {"out.weight": torch.eye(2), "attention.0.weight": first, "attention.2.weight": last})
    torch.testing.assert_close(head(hidden), torch.tensor([[3.0, 1e-7**0.5]]))


@pytest.mark.parametrize("head", [MeanHead, AttentiveHead])
def test_pooling_does_not_ask_for_the_order_of_frames(head):
    rng = torch.Generator().manual_seed(1)
    hidden = torch.randn(2, 3, 50, 8, generator=rng)
    network = head(3, 8)
    torch.testing.assert_close(network(hidden), network(hidden[:, :, torch.randperm(50, generator=rng)]))


# --- scoring -----------------------------------------------------------------------------------------------


def test_speech_is_scored_in_crops_and_not_calibrated(scorer):
    evidence = scorer.score(voice())
    assert (evidence.kind, evidence.status, evidence.log10_lr) == ("artifact", "scored", None)
    assert evidence.segments == (Segment(0.0, 4.0375), Segment(5.0 - 4.0375, 5.0))
    assert (evidence.method, evidence.model_sha256) == (scorer.model.id, scorer.model.model_sha256)


def test_the_same_samples_give_the_same_bits(scorer):
    again = load_scorer("ssl", scorer.model.path)
    assert scorer.score(voice(2.0)) == scorer.score(voice(2.0)) == again.score(voice(2.0))


def test_regions_decide_what_is_heard(scorer):
    changed = voice().samples.copy()
    changed[3 * 16_000 :] = 0.5
    region = [Segment(0.0, 2.5)]
    assert scorer.score(voice(), regions=region) == scorer.score(Audio(changed, 16_000), regions=region)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(32_000, np.float32),
        np.zeros(0, np.float32),
        np.ones(160, np.float32),
        np.full(32_000, np.nan, np.float32),
        np.ones((2, 32_000), np.float32),
    ],
    ids=["silence", "empty", "10 ms", "NaN", "stereo"],
)
def test_what_cannot_be_scored_is_not_scored(scorer, samples):
    evidence = scorer.score(Audio(samples, 16_000))
    assert (evidence.status, evidence.score, evidence.log10_lr) == ("not_scored", None, None)


def test_a_higher_score_is_more_synthetic(made, scorer, tmp_path):
    """Raising the bona fide output by 3 lowers the score by 3."""

    def raised(state):
        return state | {"head.out.bias": state["head.out.bias"] + torch.tensor([0.0, 3.0])}

    other = SslScorer.load(train(made, tmp_path / "model", edit=raised))
    assert scorer.score(voice(1.0)).score - other.score(voice(1.0)).score == pytest.approx(3.0, abs=1e-4)


@pytest.mark.parametrize("normalise", [True, False])
def test_an_encoder_trained_on_normalised_sound_does_not_hear_level(tmp_path, normalise):
    folder = build_checkpoint(tmp_path / "encoder", normalise=normalise)
    scorer = SslScorer.load(train(make_ssl_model(folder, tmp_path / "made", seed=1).path, tmp_path / "trained"))
    clip = voice(1.0)
    loud, soft = scorer.score(clip).score, scorer.score(Audio(clip.samples / 4, 16_000)).score
    assert (abs(loud - soft) < 1e-4) == normalise
    beyond = scorer.score(Audio(clip.samples * np.float32(2e38), 16_000))
    assert beyond.score == (pytest.approx(loud, abs=1e-4) if normalise else None)


def test_a_calibration_in_the_folder_gives_ratios(made, scorer, tmp_path):
    calibration = Calibration((CalibrationBin(0.0, 2.0, 0.25),), clip_log10_lr=1e6)
    calibrated = SslScorer.load(train(made, tmp_path / "model", calibration=calibration)).score(voice(1.0))
    assert calibrated.log10_lr == pytest.approx(2.0 * scorer.score(voice(1.0)).score + 0.25)
    assert isinstance(calibrated.segments[0], ScoredSegment)


# --- folders that are not as they should be ----------------------------------------------------------------


def test_without_a_folder_it_says_how_to_get_one():
    with pytest.raises(ModelMissing, match="no model of ssl comes with covoguard; make one of a wav2vec2"):
        SslScorer.load()


def test_every_tensor_that_is_not_as_it_should_be_is_named(made, tmp_path):
    def wrong(state):
        kept = {key: values for key, values in state.items() if key != "encoder.encoder.layer_norm.bias"}
        return kept | {"stranger": torch.zeros(1), "head.out.bias": torch.full((2,), torch.nan)}

    with pytest.raises(IntegrityError, match="not usable") as caught:
        SslScorer.load(train(made, tmp_path / "model", edit=wrong))
    message = caught.value.message
    assert "missing: encoder.encoder.layer_norm.bias;" in message
    assert "unexpected: stranger;" in message
    assert "not finite: head.out.bias" in message


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (None, "expected an object"),
        ({"encoder": "wav2vec2", "head": "mean"}, "normalise is missing"),
        ({"encoder": "bert", "head": "mean", "normalise": True}, "no encoder 'bert'"),
        ({"encoder": "wav2vec2", "head": "mean", "normalise": True}, "missing: head.out.weight|of another shape"),
    ],
)
def test_a_card_that_describes_no_network_or_another_one_is_refused(made, tmp_path, network, message):
    with pytest.raises(IntegrityError, match=message):
        SslScorer.load(train(made, tmp_path / "model", network=network))


@pytest.mark.parametrize("config", ["[1]", "{", '{"hidden_size": "x"}', '{"num_attention_heads": 3}'])
def test_an_encoder_configuration_that_makes_no_encoder_is_refused(made, tmp_path, config):
    folder = train(made, tmp_path / "model")
    (folder / "encoder.config.json").write_text(config)
    seal_model(folder)
    with pytest.raises(IntegrityError, match="not usable"):
        SslScorer.load(folder)


def test_a_changed_byte_is_refused(made, tmp_path):
    folder = train(made, tmp_path / "model")
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"weights\.safetensors"):
        SslScorer.load(folder)
