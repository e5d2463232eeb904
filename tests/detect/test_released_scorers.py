"""The contract of the detectors of the literature, of which no model is shipped, with small random weights."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.modelcard import CHECKSUMS_NAME, seal_model
from covoguard.core.records import Audio, ScoredSegment, Segment
from covoguard.detect.calibration import Calibration, CalibrationBin
from covoguard.detect.networks import released
from covoguard.detect.networks.aasist import AASIST, Aasist
from covoguard.detect.networks.lcnn import UNUSED_KEYS, Lcnn
from covoguard.detect.networks.rawnet2 import RawNet2, RawNet2Config
from covoguard.detect.networks.weights import parse_state, to_safetensors
from covoguard.detect.registry import SCORERS
from covoguard.detect.released import ReleasedScorer
from covoguard.detect.windows import CROP_SAMPLES

RELEASED = [name for name in SCORERS.names() if issubclass(SCORERS.get(name), ReleasedScorer)]
TINY_AASIST = replace(AASIST, first_width=3, last_width=4, graph_width=4, node_width=3)
TINY = {
    "aasist": lambda: (Aasist(TINY_AASIST), ()),
    "aasist-l": lambda: (Aasist(replace(TINY_AASIST, first_width=2)), ()),
    "lcnn": lambda: (Lcnn(), UNUSED_KEYS),
    "rawnet2": lambda: (RawNet2(RawNet2Config(6, 64, 4, 5, 8, 2, 7)), ()),
}
LAST_LAYER = {"aasist": "out_layer", "aasist-l": "out_layer", "lcnn": "m_output_act.0", "rawnet2": "fc2_gru"}


@pytest.fixture(scope="module", autouse=True)
def tiny_networks():
    patch = pytest.MonkeyPatch()
    patch.setattr(released, "_NETWORKS", TINY)
    yield
    patch.undo()


@pytest.fixture(scope="module", params=RELEASED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def state(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return {key: value.clone() for key, value in TINY[name]()[0].state_dict().items()}


@pytest.fixture(scope="module")
def write_folder(name):
    def write(folder, state, calibration=None):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "weights.safetensors").write_bytes(to_safetensors(state))
        card = {"id": "made-up", "version": "1", "detector": name, "weights": "weights.safetensors"}
        (folder / "card.json").write_text(json.dumps(card))
        if calibration is not None:
            (folder / "calibration.json").write_text(calibration.to_json())
        seal_model(folder)
        return folder

    return write


@pytest.fixture(scope="module")
def folder(write_folder, state, tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("released"), state)


@pytest.fixture(scope="module")
def scorer(name, folder):
    return SCORERS.get(name).load(folder)


def voice(rate_hz=16_000, duration_s=5.0):
    time = np.arange(int(rate_hz * duration_s)) / rate_hz
    buzz = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 20)) * (1 + np.sin(2 * np.pi * 3 * time))
    return Audio((0.2 * buzz).astype(np.float32), rate_hz)


def test_there_are_such_detectors():
    assert set(RELEASED) == set(TINY)


def test_speech_is_scored_in_crops_of_training_length_and_not_calibrated(scorer):
    evidence = scorer.score(voice())
    assert (evidence.kind, evidence.status, evidence.log10_lr) == ("artifact", "scored", None)
    assert np.isfinite(evidence.score)
    assert evidence.segments == (Segment(0.0, 4.0375), Segment(5.0 - 4.0375, 5.0))
    assert (evidence.method, evidence.model_sha256) == ("made-up@1", scorer.model.model_sha256)


def test_the_same_samples_give_the_same_bits(scorer, folder):
    short = voice(duration_s=2.0)
    assert scorer.score(short) == scorer.score(short) == type(scorer).load(folder).score(short)


def test_regions_decide_what_is_heard(scorer):
    clip = voice()
    changed = clip.samples.copy()
    changed[3 * 16_000 :] = 0.5
    region = [Segment(0.0, 2.5)]
    heard = scorer.score(clip, regions=region)
    assert heard == scorer.score(Audio(changed, 16_000), regions=region)
    assert heard.segments == (Segment(0.0, 2.65),)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(32_000, np.float32),
        np.zeros(0, np.float32),
        np.ones(160, np.float32),
        np.full(32_000, np.nan, np.float32),
        np.ones((2, 32_000), np.float32),
        np.full(32_000, 3e38, np.float32),
    ],
    ids=["silence", "empty", "10 ms", "NaN", "stereo", "beyond all measure"],
)
def test_what_cannot_be_scored_is_not_scored(scorer, samples):
    evidence = scorer.score(Audio(samples, 16_000))
    assert (evidence.status, evidence.score, evidence.log10_lr) == ("not_scored", None, None)


def test_8_khz_is_resampled_and_scored(scorer):
    evidence = scorer.score(voice(rate_hz=8_000, duration_s=2.0))
    assert evidence.status == "scored"
    assert evidence.segments[-1].end_s == pytest.approx(2.0, abs=0.01)


def test_a_short_clip_is_heard_as_its_repetition(name, scorer):
    if name == "lcnn":
        pytest.skip("trained on files of any length; hears a short one as it is")
    short = voice(duration_s=1.25).samples
    repeated = np.tile(short, 4)[:CROP_SAMPLES]
    assert scorer.score(Audio(short, 16_000)).score == scorer.score(Audio(repeated, 16_000)).score


def test_a_higher_score_is_more_synthetic(name, state, scorer, write_folder, tmp_path):
    """Raising the bona fide output by 3 lowers the score by 3."""
    key = f"{LAST_LAYER[name]}.bias"
    raised = state | {key: state[key] + torch.tensor([3.0] if name == "lcnn" else [0.0, 3.0])}
    other = SCORERS.get(name).load(write_folder(tmp_path, raised))
    clip = voice(duration_s=1.0)
    assert scorer.score(clip).score - other.score(clip).score == pytest.approx(3.0, abs=1e-4)


def test_a_calibration_in_the_folder_gives_ratios(name, state, scorer, write_folder, tmp_path):
    calibration = Calibration((CalibrationBin(0.0, 2.0, 0.25),), clip_log10_lr=1e6)
    calibrated = SCORERS.get(name).load(write_folder(tmp_path, state, calibration)).score(voice(duration_s=1.0))
    assert calibrated.log10_lr == pytest.approx(2.0 * scorer.score(voice(duration_s=1.0)).score + 0.25)
    assert isinstance(calibrated.segments[0], ScoredSegment)


def test_without_a_folder_it_says_how_to_get_one(name):
    with pytest.raises(ModelMissing, match=r"covoguard models import \w+ WEIGHTS"):
        SCORERS.get(name).load()


def test_a_folder_without_a_model_is_named(name, tmp_path):
    with pytest.raises(ModelMissing, match=CHECKSUMS_NAME):
        SCORERS.get(name).load(tmp_path)


def test_the_model_of_another_detector_is_refused(name, folder):
    other = SCORERS.get(next(each for each in RELEASED if each != name))
    with pytest.raises(IntegrityError, match=f"detector {name}, not of"):
        other.load(folder)


def test_every_tensor_that_is_not_as_it_should_be_is_named(name, state, write_folder, tmp_path):
    keys = sorted(key for key in state if key.endswith("weight"))
    wrong = {key: value for key, value in state.items() if key not in keys[:3]}
    wrong |= {"a.stranger": torch.zeros(1), keys[3]: torch.zeros(1, 2, 3, 4, 5), keys[4]: state[keys[4]] * torch.nan}
    with pytest.raises(IntegrityError, match="not usable") as caught:
        SCORERS.get(name).load(write_folder(tmp_path, wrong))
    message = caught.value.message
    assert f"missing: {', '.join(keys[:3])};" in message
    assert "unexpected: a.stranger;" in message
    assert f"{keys[3]} [1, 2, 3, 4, 5] in place of {list(state[keys[3]].shape)};" in message
    assert f"not finite: {keys[4]}" in message


@pytest.mark.parametrize("content", [b"", b"{}", b"\x80\x02garbage"])
def test_a_file_without_tensors_is_refused(name, state, write_folder, tmp_path, content):
    folder = write_folder(tmp_path, state)
    (folder / "weights.safetensors").write_bytes(content)
    seal_model(folder)
    with pytest.raises(IntegrityError, match="not usable"):
        SCORERS.get(name).load(folder)


def test_a_changed_byte_is_refused(name, state, write_folder, tmp_path):
    path = write_folder(tmp_path, state) / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=path.name):
        SCORERS.get(name).load(tmp_path)


def test_the_kinds_of_file_carry_the_same_tensors(state):
    assert parse_state(to_safetensors(state), ".safetensors").keys() == state.keys()
