"""The contract of every registered detector, on the models that are shipped.

Those without one are held to it in `test_released_scorers.py`, `test_ssl_scorer.py` and `test_fusion.py`, with small
random weights.
"""

import json
from importlib.resources import files

import numpy as np
import pytest

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.modelcard import CHECKSUMS_NAME, open_model, seal_model
from covoguard.core.records import Audio, Segment
from covoguard.detect import models
from covoguard.detect.registry import SCORERS

MAX_MODEL_BYTES = 20 * 2**20
CARD_KEYS = {"id", "detector", "version", "licence", "weights", "summary", "not_for", "limits", "training", "figures"}


BUNDLED = [name for name in SCORERS.names() if SCORERS.get(name).how_to_get is None]


@pytest.fixture(scope="module", params=BUNDLED)
def scorer(request):
    return SCORERS.get(request.param).load()


def voice(rate_hz=16_000, duration_s=5.0):
    """A gliding buzz with syllables."""
    time = np.arange(int(rate_hz * duration_s)) / rate_hz
    phase = 2 * np.pi * np.cumsum(130 + 30 * np.sin(2 * np.pi * 0.6 * time)) / rate_hz
    buzz = sum(np.sin(k * phase) / k for k in range(1, 25)) * np.clip(np.sin(2 * np.pi * 2.5 * time) + 0.4, 0, None)
    return Audio((0.3 * buzz / np.abs(buzz).max()).astype(np.float32), rate_hz)


def test_speech_is_scored_with_windows_and_the_models_identity(scorer):
    evidence = scorer.score(voice())
    assert (evidence.kind, evidence.status) == ("artifact", "scored")
    assert np.isfinite([evidence.score, evidence.log10_lr]).all()
    assert [segment.start_s for segment in evidence.segments] == [0.0, 1.0]
    assert evidence.model_sha256 == scorer.model.model_sha256
    assert evidence.method == scorer.model.id


def test_the_same_samples_give_the_same_bits(scorer):
    again = type(scorer).load()
    assert scorer.score(voice()) == scorer.score(voice()) == again.score(voice())


def test_regions_decide_what_is_heard(scorer):
    clip = voice()
    changed = clip.samples.copy()
    changed[3 * 16_000 :] = 0.5
    region = [Segment(0.0, 2.5)]
    spoiled = Audio(changed, 16_000)
    assert scorer.score(clip, regions=region) == scorer.score(spoiled, regions=region)


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
def test_what_is_not_mono_sound_is_not_scored(scorer, samples):
    evidence = scorer.score(Audio(samples, 16_000))
    assert (evidence.status, evidence.score, evidence.log10_lr) == ("not_scored", None, None)


def test_8_khz_is_resampled_and_scored(scorer):
    evidence = scorer.score(voice(rate_hz=8_000))
    assert evidence.status == "scored"
    assert evidence.segments[-1].end_s == pytest.approx(5.0, abs=0.01)


def test_the_model_has_a_card_and_a_modest_size(scorer):
    folder = scorer.model.path
    assert scorer.model.card.keys() >= CARD_KEYS
    assert scorer.model.card["not_for"]
    assert scorer.model.card["figures"]["eer_by_family"]
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_MODEL_BYTES
    assert type(scorer).__doc__
    assert "Source:" in type(scorer).__doc__


def test_a_model_with_one_changed_byte_is_refused(scorer, tmp_path):
    for path in scorer.model.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    weights = tmp_path / scorer.model.card["weights"]
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(IntegrityError, match=weights.name):
        type(scorer).load(tmp_path)


@pytest.mark.parametrize("spoil", ["weights", "calibration"])
def test_a_model_that_is_whole_but_not_usable_is_refused(scorer, tmp_path, spoil):
    for path in scorer.model.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    name = scorer.model.card["weights"] if spoil == "weights" else "calibration.json"
    (tmp_path / name).write_bytes(b"{}")
    seal_model(tmp_path)
    with pytest.raises(IntegrityError, match="not usable"):
        type(scorer).load(tmp_path)


def test_a_folder_without_a_model_is_named(scorer, tmp_path):
    with pytest.raises(ModelMissing, match=CHECKSUMS_NAME):
        type(scorer).load(tmp_path)


def test_the_detector_beats_the_baseline_on_the_same_folds():
    cards = {name: json.loads((files(models) / name / "card.json").read_text()) for name in BUNDLED}
    baseline = cards.pop("lfcc-gmm")
    for card in cards.values():
        assert card["training"]["manifest_sha256"] == baseline["training"]["manifest_sha256"]
        for figure in ("eer_pooled", "eer_macro_mean_over_families"):
            assert card["figures"][figure] < baseline["figures"][figure]


def test_the_shipped_graph_agrees_with_its_torch_twin():
    import torch

    from covoguard.detect.network import load_detector

    scorer = SCORERS.get("logband-resnet").load()
    detector = load_detector(open_model(scorer.model.path))
    rng = np.random.default_rng(1)
    for length in (8_000, 23_456, 64_000):
        samples = voice().samples[:length] + (0.01 * rng.standard_normal(length)).astype(np.float32)
        with torch.no_grad():
            expected = float(detector(torch.from_numpy(samples)[None])[0])
        assert scorer.score(Audio(samples, 16_000)).score == pytest.approx(expected, abs=1e-4)
