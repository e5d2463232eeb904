"""Released weights become a model folder, whatever kind of file they come in; anything else is named and refused."""

import io
import pickle

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from covoguard.cli.models import models
from covoguard.core.errors import CovoguardError, IntegrityError, ModelMissing, UsageError
from covoguard.detect.networks.aasist import AASIST, AASIST_L, Aasist
from covoguard.detect.networks.lcnn import UNUSED_KEYS, Lcnn
from covoguard.detect.networks.weights import digest, to_safetensors
from covoguard.detect.releases import Figure, Release
from covoguard.pipeline import import_detector as importing
from covoguard.pipeline.import_detector import import_detector
from covoguard.pipeline.models import load_scorer, model_page


def state_of(network):
    return {key: value.clone() for key, value in network.state_dict().items()}


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        return state_of(Aasist(AASIST_L))


def write(path, state):
    if path.suffix == ".npz":
        np.savez(path, **{key: value.numpy() for key, value in state.items()})
    elif path.suffix == ".safetensors":
        path.write_bytes(to_safetensors(state))
    else:
        torch.save(state, path)
    return path


@pytest.fixture
def weights(state, tmp_path):
    return write(tmp_path / "AASIST-L.pth", state)


def run(*arguments):
    return CliRunner().invoke(models, ["import", *map(str, arguments)])


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_every_kind_of_file_gives_the_same_model(state, tmp_path):
    made = [
        import_detector("aasist", write(tmp_path / f"w{suffix}", state), tmp_path / f"model{suffix}")
        for suffix in (".pth", ".pt", ".npz", ".safetensors")
    ]
    assert len({model.model_sha256 for model in made}) == 1
    assert {model.id for model in made} == {f"aasist-l@{digest(state)[:12]}"}
    assert names_in(made[0].path) == ["SHA256SUMS", "card.json", "weights.safetensors"]


def test_the_size_shows_in_the_weights_and_the_folder_names_the_detector(weights, tmp_path):
    done = run("aasist", weights, "-o", tmp_path / "model")
    assert done.exit_code == 0, done.output
    assert "a model of the detector aasist-l" in done.output
    assert "near chance on modern generators" in done.output
    assert load_scorer(None, tmp_path / "model").name == "aasist-l"
    with pytest.raises(UsageError, match="this model is for aasist-l, not aasist"):
        load_scorer("aasist", tmp_path / "model")


def test_a_known_release_is_recognised_and_its_page_says_what_is_known(state, weights, tmp_path, monkeypatch):
    release = Release("made-up", "a place", "a licence", "a set of clips", (Figure("a test set", 48.5, "a paper"),))
    monkeypatch.setattr(importing, "RELEASES", {digest(state): release})
    import_detector("aasist", weights, tmp_path / "known")
    page = model_page(None, tmp_path / "known")
    for words in ("source: a place", "licence: a licence", "trained on: a set of clips", "| a test set | 48.5 % |"):
        assert words in page
    monkeypatch.setattr(importing, "RELEASES", {})
    import_detector("aasist", weights, tmp_path / "unknown")
    assert "trained on: not known" in model_page(None, tmp_path / "unknown")


def test_what_the_lcnn_never_reads_may_be_in_its_file(tmp_path):
    whole = state_of(Lcnn()) | {key: torch.zeros(1) for key in UNUSED_KEYS}
    assert run("lcnn", write(tmp_path / "trained_network.pt", whole), "-o", tmp_path / "model").exit_code == 0
    assert load_scorer("lcnn", tmp_path / "model").name == "lcnn"


class Trap:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code in the file was run')",))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "damaged"),
        (b"no weights", "damaged"),
        (pickle.dumps(Trap()), "tensors alone"),
        (pickle.dumps({"model": Trap()}), "tensors alone"),
    ],
    ids=["empty", "text", "code", "code inside"],
)
def test_a_file_that_is_no_collection_of_tensors_is_refused_and_never_run(content, words, tmp_path):
    path = tmp_path / "AASIST.pth"
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=words) as caught:
        import_detector("aasist", path, tmp_path / "model")
    assert str(path) in caught.value.message
    assert names_in(tmp_path) == ["AASIST.pth"]


@pytest.mark.parametrize("content", [{}, [1, 2], {"epoch": 3, "state": {}}, {1: torch.zeros(1)}])
def test_a_checkpoint_of_another_form_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "AASIST.pth")
    with pytest.raises(IntegrityError, match=r"AASIST\.pth: not the weights of aasist: not (a collection|plain)"):
        import_detector("aasist", tmp_path / "AASIST.pth", tmp_path / "model")


def test_a_file_that_was_cut_off_is_refused(weights, tmp_path):
    weights.write_bytes(weights.read_bytes()[:-2_000])
    with pytest.raises(IntegrityError, match="damaged, cut off"):
        import_detector("aasist", weights, tmp_path / "model")


def test_arrays_of_objects_are_never_unpickled(tmp_path):
    buffer = io.BytesIO()
    np.savez(buffer, pos_S=np.array([Trap()], dtype=object))
    (tmp_path / "w.npz").write_bytes(buffer.getvalue())
    with pytest.raises(IntegrityError, match="tensors alone"):
        import_detector("aasist", tmp_path / "w.npz", tmp_path / "model")


def test_the_weights_of_another_network_are_refused_with_every_name(weights, state, tmp_path):
    with pytest.raises(IntegrityError) as caught:
        import_detector("rawnet2", weights, tmp_path / "model")
    for name in (*state, "fc2_gru.weight", "block3.0.conv1.bias"):
        if name not in ("first_bn.weight", "first_bn.bias") and "first_bn" not in name:
            assert name in caught.value.message


def test_one_tensor_of_another_size_is_named(tmp_path):
    wrong = state_of(Aasist(AASIST)) | {"out_layer.bias": torch.zeros(3)}
    with pytest.raises(IntegrityError, match=r"of another shape: out_layer.bias \[3\] in place of \[2\]; give"):
        import_detector("aasist", write(tmp_path / "w.npz", wrong), tmp_path / "model")


def test_places_that_cannot_be_are_named(weights, tmp_path):
    with pytest.raises(UsageError, match="is there already"):
        import_detector("aasist", weights, tmp_path)
    with pytest.raises(UsageError, match="cannot be written"):
        import_detector("aasist", weights, weights / "model")
    with pytest.raises(ModelMissing, match=r"none\.pth: cannot be read"):
        import_detector("aasist", tmp_path / "none.pth", tmp_path / "model")
    done = run("aasist", tmp_path / "none.pth", "-o", tmp_path / "model")
    assert isinstance(done.exception, CovoguardError)
    assert names_in(tmp_path) == [weights.name]
