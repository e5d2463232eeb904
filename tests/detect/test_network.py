"""Torch and ONNX agree, at every length, and one clip's score does not depend on its neighbours."""

import numpy as np
import pytest
import torch

from covoguard.detect.graph import export_graph
from covoguard.detect.network import EMBEDDING, Detector, LogBandResNet
from covoguard.detect.session import EMBEDDING_OUTPUT, SCORE_OUTPUT, open_graph


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
    export_graph(detector, path, samples=64_000, any_length=True, outputs=(SCORE_OUTPUT, EMBEDDING_OUTPUT))
    return open_graph(path.read_bytes())


@pytest.mark.parametrize("length", [8_000, 16_001, 37_123, 64_000])
def test_torch_and_onnx_agree(detector, session, length):
    samples = (0.1 * np.random.default_rng(length).standard_normal((1, length))).astype(np.float32)
    with torch.no_grad():
        expected = detector(torch.from_numpy(samples))
    found = session.run(["score", "embedding"], {"samples": samples})
    assert [each.shape for each in found] == [(1,), (1, 2 * EMBEDDING)]
    for ours, theirs in zip(found, expected, strict=True):
        assert np.abs(ours - theirs.numpy()).max() < 1e-4


def test_silence_gives_a_finite_score(session):
    (scored,) = session.run(["score"], {"samples": np.zeros((1, 16_000), np.float32)})
    assert np.isfinite(scored).all()


def test_batch_and_single_agree(detector):
    samples = 0.1 * torch.randn(3, 20_000, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = detector(samples)
        alone = [detector(each[None]) for each in samples]
    for whole, parts in zip(together, zip(*alone, strict=True), strict=True):
        assert torch.allclose(whole, torch.cat(parts), atol=1e-5)
