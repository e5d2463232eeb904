"""What the networks of the literature promise whatever their weights; and, beside goldens, that they are those."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from covoguard.detect.networks.aasist import AASIST, AASIST_L, Aasist, config_of
from covoguard.detect.networks.graph import GraphAttention, GraphPool, HeterogeneousAttention
from covoguard.detect.networks.lcnn import Lcnn, Lfcc
from covoguard.detect.networks.rawnet2 import RAWNET2, RawNet2, RawNet2Config
from covoguard.detect.networks.sincbank import band_pass_filters

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT.parent / "shared/goldens/aasist"
TINY = {
    "aasist": lambda: Aasist(replace(AASIST, first_width=3, last_width=4, graph_width=4, node_width=3)),
    "lcnn": Lcnn,
    "rawnet2": lambda: RawNet2(RawNet2Config(6, 64, 4, 5, 8, 2, 7)),
}


@pytest.fixture(autouse=True)
def seeded():
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(3)
        yield


def clips(count=3):
    return 0.1 * torch.randn(count, 64_600)


@pytest.mark.parametrize("name", TINY)
def test_a_row_of_a_batch_is_scored_as_it_is_alone_and_in_either_layout(name):
    network, samples = TINY[name]().eval(), clips()
    together = network(samples)
    alone = torch.cat([network(each[None]) for each in samples])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(together[0], together[1], atol=1e-6), "it must hear a difference at all"
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(samples), together, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["aasist", "rawnet2"])
def test_the_norm_that_the_released_code_skips_is_skipped(name):
    network, samples = TINY[name]().eval(), clips(1)
    before = network(samples)
    for key, value in network.state_dict().items():
        if ".bn1." in key and value.is_floating_point():
            value += 1.0
    assert torch.equal(network(samples), before)


def test_the_published_sizes():
    """Parameters as counted in the README of the goldens, of AASIST.conf and of AASIST-L.conf."""
    for config, count in ((AASIST, 297_866), (AASIST_L, 85_306)):
        network = Aasist(config)
        assert sum(each.numel() for each in network.parameters()) == count
        assert config_of(network.state_dict()) == config
    assert config_of({}) is None
    assert sum(each.numel() for each in RawNet2(RAWNET2).parameters()) == 17_621_410


def test_filters_are_symmetric_and_pass_their_own_band():
    filters = band_pass_filters(70, 129)
    np.testing.assert_allclose(filters, filters[:, ::-1], atol=1e-7)
    response = np.abs(np.fft.rfft(filters, 4096, axis=1))
    peaks = response.argmax(axis=1)
    assert (np.diff(peaks[20:]) > 0).all(), "the bands rise"
    assert peaks[-1] * 16_000 / 4096 == pytest.approx(7_880, abs=150)


def test_attention_does_not_know_the_order_of_nodes():
    nodes, order = torch.randn(2, 7, 6), torch.randperm(7)
    layer = GraphAttention(6, 5, 2.0).eval()
    torch.testing.assert_close(layer(nodes)[:, order], layer(nodes[:, order]), rtol=1e-5, atol=1e-6)
    other, stack = torch.randn(2, 4, 6), torch.randn(1, 1, 6)
    mixed = HeterogeneousAttention(6, 5, 100.0).eval()
    straight, shuffled = mixed(nodes, other, stack), mixed(nodes[:, order], other, stack)
    torch.testing.assert_close(straight[0][:, order], shuffled[0], rtol=1e-5, atol=1e-6)
    for a, b in zip(straight[1:], shuffled[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert straight[2].shape == (2, 1, 5)


@pytest.mark.parametrize(("ratio", "kept"), [(0.5, 5), (0.01, 1), (1.0, 11)])
def test_pooling_keeps_the_nodes_of_the_highest_gates(ratio, kept):
    pool, nodes = GraphPool(ratio, 4).eval(), torch.randn(2, 11, 4)
    gates = torch.sigmoid(pool.proj(nodes)).squeeze(-1)
    best = gates.sort(dim=1, descending=True).indices[:, :kept]
    rows = zip(nodes, best, gates, strict=True)
    expected = torch.stack([row[index] * gate[index, None] for row, index, gate in rows])
    torch.testing.assert_close(pool(nodes), expected)


def test_cepstra_of_a_louder_sound_differ_in_energy_alone():
    """Ten times the amplitude adds 2 to the log energy, and to no other static coefficient."""
    front_end, samples = Lfcc(), clips(1)
    quiet, loud = front_end(samples), front_end(10 * samples)
    assert quiet.shape == (1, 64_600 // 160 + 1, 60)
    change = loud - quiet
    torch.testing.assert_close(change[..., 0], torch.full_like(change[..., 0], 2.0), atol=1e-3, rtol=0)
    assert change[..., 1:].abs().max() < 1e-3


# --- beside the goldens ------------------------------------------------------------------------------------


def compare(folder):
    command = [sys.executable, "-m", "tests.parity.aasist", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def goldens(tmp_path_factory):
    """Two of the six inputs, which is what time allows here; the command itself takes them all."""
    if not GOLDENS.is_dir():
        pytest.skip("needs ../shared/goldens/aasist beside the repository")
    folder = tmp_path_factory.mktemp("goldens")
    for path in GOLDENS.glob("*_state.npz"):
        shutil.copy(path, folder)
    with np.load(GOLDENS / "goldens.npz") as file:
        arrays = dict(file)
    chosen = [index for index, name in enumerate(arrays["names"]) if name.startswith(("vowel", "short"))]
    per_input = [key for key in arrays if key in ("names", "x") or key.endswith(("_emb", "_logits"))]
    np.savez(folder / "goldens.npz", **arrays | {key: arrays[key][chosen] for key in per_input})
    with np.load(GOLDENS / "lfcc_lcnn_lstm_golden.npz") as file:
        np.savez(folder / "lfcc_lcnn_lstm_golden.npz", **dict(file) | {"scores": file["scores"][chosen]})
    return folder


def test_every_reference_output_is_met(goldens):
    done = compare(goldens)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert "FAIL" not in done.stdout
    for part in ("aasist_l embeddings", "aasist_asvspoof5 batch and rows", "cepstra of vowel", "aasist pool_S"):
        assert part in done.stdout


def test_a_difference_is_told_by_name_and_exit_code(goldens, tmp_path):
    with np.load(goldens / "goldens.npz") as file:
        arrays = {key: file[key] for key in file if key in ("names", "x") or key.startswith("aasist_l_")}
    arrays["aasist_l_logits"] = arrays["aasist_l_logits"] + np.float32([[0, 0], [0, 2e-4]])
    np.savez(tmp_path / "goldens.npz", **{key: arrays[key] for key in arrays if "tap" not in key})
    shutil.copy(goldens / "aasist_l_state.npz", tmp_path)
    done = compare(tmp_path)
    assert done.returncode == 1
    assert "beyond tolerance: aasist_l logits" in done.stdout


def test_another_folder_is_refused_with_what_it_lacks(tmp_path):
    done = compare(tmp_path)
    assert done.returncode == 2
    assert "goldens.npz missing" in done.stderr
    np.savez(tmp_path / "goldens.npz", names=["a"], x=np.zeros((1, 10)), other_logits=np.zeros((1, 2)))
    done = compare(tmp_path)
    assert done.returncode == 2
    assert "other_emb in goldens.npz, other_state.npz missing" in done.stderr
