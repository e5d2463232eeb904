"""A held-out clip is heard as the finished detector would hear it."""

import numpy as np
import pytest
import torch

from covoguard.detect.graph import export_graph
from covoguard.detect.network import Detector, LogBandResNet
from covoguard.detect.session import EMBEDDING_OUTPUT, SAMPLES_INPUT, SCORE_OUTPUT, open_graph
from covoguard.detect.training.networks import build_network
from covoguard.pipeline.training_trials import hear_with


@pytest.fixture(scope="module")
def networks():
    return [build_network("logband-resnet", seed=seed).eval() for seed in (1, 2)]


@pytest.fixture(scope="module")
def session(networks, tmp_path_factory):
    """The graph of both."""
    members = [LogBandResNet() for _ in networks]
    for member, network in zip(members, networks, strict=True):
        member.load_state_dict(network.scorer_state())
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    outputs = (SCORE_OUTPUT, EMBEDDING_OUTPUT)
    export_graph(Detector(members), path, samples=64_000, any_length=True, outputs=outputs)
    return open_graph(path.read_bytes())


@pytest.mark.parametrize(
    ("length", "windows"),
    [(8_000, [(0, 8_000)]), (40_000, [(0, 40_000)]), (96_000, [(0, 64_000), (32_000, 96_000)])],
)
def test_networks_in_training_hear_what_the_exported_graph_hears(networks, session, length, windows):
    samples = (0.1 * np.random.default_rng(length).standard_normal(length)).astype(np.float32)
    samples[length // 2 :] *= 0.2
    by_graph = [session.run(None, {SAMPLES_INPUT: samples[None, a:b]}) for a, b in windows]
    heard = hear_with("logband-resnet", networks, torch.device("cpu"))(samples)
    assert heard.score == pytest.approx(np.mean([scores[0] for scores, _ in by_graph]), abs=1e-4)
    assert np.abs(heard.embeddings - np.concatenate([views for _, views in by_graph])).max() < 1e-4
