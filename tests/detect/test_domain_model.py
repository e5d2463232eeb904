"""A model folder with a gate says what it was made for; one that does not hold together is refused."""

import numpy as np
import pytest
from speech_and_model import build_loudness_model, spoken

from covoguard.core.errors import IntegrityError
from covoguard.core.modelcard import seal_model
from covoguard.core.records import Audio
from covoguard.detect.domain import DOMAIN_NAME, fit_domain
from covoguard.detect.scorers.logband_resnet import LogBandResNetScorer

VOICE = Audio(spoken(4.0), 16_000)


def gate(centre, width=2):
    """For recordings whose embedding lies about `centre` in all dimensions."""
    rng = np.random.default_rng(2)
    known, held_out = rng.normal(centre, 0.05, (100, width)), rng.normal(centre, 0.05, (200, width))
    return fit_domain(known, ["bonafide", "spoof"] * 50, held_out).to_bytes()


@pytest.mark.parametrize(("centre", "verdict"), [(0.03, "in"), (5.0, "out")])
def test_a_model_with_a_gate_says_whether_it_knows_such_recordings(tmp_path, centre, verdict):
    build_loudness_model(tmp_path, gate(centre))
    evidence = LogBandResNetScorer.load(tmp_path).score(VOICE)
    assert evidence.domain.verdict == verdict
    (tmp_path / "plain").mkdir()
    build_loudness_model(tmp_path / "plain")
    plain = LogBandResNetScorer.load(tmp_path / "plain").score(VOICE)
    assert plain.domain is None
    assert (plain.score, plain.log10_lr, plain.segments) == (evidence.score, evidence.log10_lr, evidence.segments)


@pytest.mark.parametrize("content", [b"", b"not tensors", gate(0.0, width=3)])
def test_a_gate_that_is_none_or_is_of_another_network_is_refused(tmp_path, content):
    build_loudness_model(tmp_path, content)
    with pytest.raises(IntegrityError, match=DOMAIN_NAME):
        LogBandResNetScorer.load(tmp_path)


def test_a_gate_beside_a_network_without_embeddings_is_refused(tmp_path):
    build_loudness_model(tmp_path)
    (tmp_path / DOMAIN_NAME).write_bytes(gate(0.0))
    seal_model(tmp_path)
    with pytest.raises(IntegrityError, match="none"):
        LogBandResNetScorer.load(tmp_path)


def test_a_gate_that_was_changed_is_refused(tmp_path):
    build_loudness_model(tmp_path, gate(0.0))
    (tmp_path / DOMAIN_NAME).write_bytes(gate(1.0))
    with pytest.raises(IntegrityError, match="SHA256SUMS"):
        LogBandResNetScorer.load(tmp_path)
