"""The baseline: features against a second computation, mixtures against scikit-learn, weights there and back."""

import numpy as np
import pytest
from scipy import stats
from sklearn.mixture import GaussianMixture

from covoguard.detect.gmm import Mixture, load_pairs
from covoguard.detect.gmm_training import COMPONENTS, Example, MixtureTrainer
from covoguard.detect.lfcc import COEFFICIENTS, lfcc


def test_mixture_density_is_scikit_learns():
    frames = np.random.default_rng(1).standard_normal((500, 6)) * [1, 2, 3, 4, 5, 6]
    fitted = GaussianMixture(4, covariance_type="diag", random_state=0).fit(frames)
    ours = Mixture(fitted.weights_, fitted.means_, fitted.covariances_).log_likelihood(frames)
    assert np.allclose(ours, fitted.score_samples(frames), atol=1e-9)


def test_one_gaussian_is_the_textbook_density():
    mixture = Mixture(np.ones(1), np.array([[1.0, -2.0]]), np.array([[4.0, 0.25]]))
    expected = stats.norm(1, 2).logpdf(0.3) + stats.norm(-2, 0.5).logpdf(-1.7)
    assert mixture.log_likelihood(np.array([[0.3, -1.7]]))[0] == pytest.approx(expected)


def test_features_have_their_shape_and_no_level_or_colour():
    samples = (0.1 * np.random.default_rng(2).standard_normal(16_000)).astype(np.float32)
    features = lfcc(samples)
    assert features.shape == (1 + (16_000 - 320) // 160, 3 * COEFFICIENTS)
    assert np.allclose(features.mean(axis=0), 0.0, atol=1e-4)
    assert np.allclose(lfcc(samples * 0.01), features, atol=1e-2)


def test_first_differences_follow_the_coefficients():
    features = lfcc((0.1 * np.random.default_rng(3).standard_normal(8_000)).astype(np.float32))
    static, slope = features[:, :COEFFICIENTS], features[:, COEFFICIENTS : 2 * COEFFICIENTS]
    steps = (static[2:] - static[:-2]) / 2.0
    assert np.allclose(slope[1:-1] - slope[1:-1].mean(axis=0), steps - steps.mean(axis=0), atol=1e-4)


def test_a_pair_tells_its_classes_apart_and_survives_saving(tmp_path):
    rng = np.random.default_rng(4)

    def examples(count):
        return [
            Example(spoof, [(rng.standard_normal((80, 60)) + 0.3 * spoof).astype(np.float16)])
            for spoof in (False, True) * count
        ]

    trainer = MixtureTrainer()
    pair = trainer.fit(examples(40), seed=1)
    assert pair.spoof.weights.shape == (COMPONENTS,)
    test = examples(10)
    scores = [trainer.score(pair, each.copies[0]) for each in test]
    assert min(s for s, e in zip(scores, test, strict=True) if e.spoof) > max(
        s for s, e in zip(scores, test, strict=True) if not e.spoof
    )
    name = trainer.save([pair, pair], tmp_path)
    loaded = load_pairs((tmp_path / name).read_bytes())
    assert len(loaded) == 2
    assert trainer.score(loaded[1], test[0].copies[0]) == pytest.approx(scores[0], abs=1e-4)
