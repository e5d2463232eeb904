"""Torch and ONNX agree, at every length, and one clip's score does not depend on its neighbours."""

import numpy as np
import onnxruntime
import pytest
import torch

from covoguard.detect.network import Detector, LogBandResNet
from covoguard.detect.trainers import NetworkTrainer, export_onnx


@pytest.fixture(scope="module")
def detector():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        members = [LogBandResNet() for _ in range(2)]
        noise = torch.randn(8, 80, 120)
    for member in members:  # batch statistics that are not those of a fresh network
        member.train()
        member(noise)
    return Detector(members).eval()


@pytest.fixture(scope="module")
def session(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    export_onnx(detector, path)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("length", [8_000, 16_001, 37_123, 64_000])
def test_torch_and_onnx_agree(detector, session, length):
    samples = (0.1 * np.random.default_rng(length).standard_normal((1, length))).astype(np.float32)
    with torch.no_grad():
        expected = detector(torch.from_numpy(samples))[0].numpy()
    (scored,) = session.run(["score"], {"samples": samples})
    assert scored.shape == (1,)
    assert np.abs(scored - expected).max() < 1e-4


def test_silence_gives_a_finite_score(session):
    (scored,) = session.run(["score"], {"samples": np.zeros((1, 16_000), np.float32)})
    assert np.isfinite(scored).all()


def test_batch_and_single_agree(detector):
    samples = 0.1 * torch.randn(3, 20_000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = detector(samples)
        alone = torch.cat([detector(each[None]) for each in samples])
    assert torch.allclose(together, alone, atol=1e-5)


def test_the_trainer_scores_as_the_exported_graph(detector, session):
    samples = (0.1 * np.random.default_rng(9).standard_normal(40_000)).astype(np.float32)
    trainer = NetworkTrainer()
    features = trainer.features(samples)
    by_trainer = np.mean([trainer.score(member, features) for member in detector.members])
    (by_graph,) = session.run(["score"], {"samples": samples[None]})
    assert by_trainer == pytest.approx(float(by_graph[0]), abs=2e-2)  # the trainer keeps features in half precision
