"""The gate tells what is unlike its data, and is honest about how unlike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save

from covoguard.core.errors import UsageError
from covoguard.detect.domain import Domain, fit_domain, fit_domain_judged_by, held_out_distances
from covoguard.detect.metrics.trials import ScoresError

WIDTH = 6
CENTRES = {"bonafide": np.zeros(WIDTH), "spoof": np.full(WIDTH, 40.0)}
SPREAD = np.array([1.0, 10.0, 0.1, 1.0, 3.0, 1.0])


def drawn(rng, count):
    """Embeddings of two classes far apart, on axes of very different width, and their labels."""
    labels = ["spoof" if index % 2 else "bonafide" for index in range(count)]
    noise = rng.standard_normal((count, WIDTH)) * SPREAD
    return np.array([CENTRES[label] for label in labels]) + noise, labels


@pytest.fixture(scope="module")
def domain():
    rng = np.random.default_rng(3)
    return fit_domain(*drawn(rng, 1000), drawn(rng, 2000)[0])


def test_data_of_the_same_kind_spread_evenly_over_the_percentiles(domain):
    fresh, _ = drawn(np.random.default_rng(4), 2000)
    shares = np.sort([domain.percentile(domain.distance(each)) for each in fresh])
    assert np.abs(shares - (np.arange(2000) + 0.5) / 2000).max() < 0.05  # Kolmogorov and Smirnov's distance
    verdicts = [domain.finding(domain.distance(each)).verdict for each in fresh]
    assert verdicts.count("in") > 0.975 * 2000
    assert verdicts.count("out") <= 10


def test_distances_are_about_one_and_those_of_the_nearer_class(domain):
    fresh, _ = drawn(np.random.default_rng(5), 500)
    assert np.mean([domain.distance(each) for each in fresh]) == pytest.approx(1.0, abs=0.1)
    assert domain.distance(CENTRES["spoof"]) < 0.3
    assert domain.distance(20.0 * np.ones(WIDTH)) > 10


@given(st.integers(0, 2**32 - 1), st.floats(1.0, 50.0), st.floats(1.01, 10.0))
def test_the_distance_grows_away_from_the_data(domain, seed, step, factor):
    direction = np.random.default_rng(seed).standard_normal(WIDTH) * SPREAD
    direction *= -np.sign(direction @ (CENTRES["spoof"] / SPREAD**2))  # away from the other class
    near, far = (domain.distance(scale * direction) for scale in (step, step * factor))
    assert near < far
    assert domain.percentile(far) <= domain.percentile(near)


def test_a_narrow_axis_counts_in_its_own_width(domain):
    off_narrow, off_wide = np.zeros(WIDTH), np.zeros(WIDTH)
    off_narrow[2] = off_wide[1] = 5.0
    assert domain.finding(domain.distance(off_narrow)).verdict == "out"
    assert domain.finding(domain.distance(off_wide)).verdict == "in"


def test_the_thresholds_are_where_the_card_says(domain):
    card = domain.describe()
    assert (card["dimensions"], card["held_out_recordings"]) == (WIDTH, 2000)
    assert np.mean(domain.held_out_distances > card["edge_distance"]) <= 0.01
    assert domain.finding(1.001 * card["edge_distance"]).verdict == "edge"
    assert domain.finding(0.99 * card["edge_distance"]).verdict == "in"
    assert domain.finding(1.001 * card["out_distance"]).verdict == "out"


def test_with_few_held_out_recordings_only_what_is_beyond_them_all_is_out():
    rng = np.random.default_rng(6)
    few = fit_domain(*drawn(rng, 200), drawn(rng, 100)[0])
    furthest = float(few.held_out_distances[-1])
    assert few.finding(furthest).verdict == "in"
    beyond = few.finding(1.01 * furthest)
    assert (beyond.verdict, beyond.share_further_out) == ("out", 1 / 101)


def test_distances_of_several_folds_can_be_joined():
    rng = np.random.default_rng(7)
    (known, labels), (away, _) = drawn(rng, 300), drawn(rng, 240)
    halves = [held_out_distances(known, labels, half) for half in (away[:120], away[120:])]
    joined = fit_domain_judged_by(known, labels, np.concatenate(halves))
    assert np.array_equal(joined.held_out_distances, fit_domain(known, labels, away).held_out_distances)


def test_more_dimensions_than_embeddings_still_give_a_gate():
    rng = np.random.default_rng(8)
    known, held_out = rng.standard_normal((60, 100)), rng.standard_normal((150, 100))
    known[:, 3] = held_out[:, 3] = 7.0  # an axis that never moves
    wide = fit_domain(known, ["a", "b"] * 30, held_out)
    assert wide.finding(wide.distance(rng.standard_normal(100) * 20)).verdict == "out"


def test_the_file_gives_the_same_gate(domain):
    again = Domain.from_bytes(domain.to_bytes())
    point = np.arange(WIDTH, dtype=np.float32)
    assert again.distance(point) == domain.distance(point)
    assert again.describe() == domain.describe()


ONES = np.ones(100, np.float32)
GOOD = {
    "means": np.zeros((2, 3), np.float32),
    "whiteners": np.zeros((2, 3, 3), np.float32),
    "held_out_distances": ONES,
}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"extra": ONES}, "found"),
        ({"means": None}, "found"),
        ({"means": np.zeros((2, 3), np.float64)}, "float32"),
        ({"means": np.zeros((2, 4), np.float32)}, "do not fit"),
        ({"means": np.zeros((0, 3), np.float32), "whiteners": np.zeros((0, 3, 3), np.float32)}, "do not fit"),
        ({"held_out_distances": ONES[:99]}, "at least 100"),
        ({"held_out_distances": np.arange(100, 0, -1).astype(np.float32)}, "smallest first"),
        ({"held_out_distances": -ONES}, "not below 0"),
        ({"whiteners": np.full((2, 3, 3), np.nan, np.float32)}, "finite"),
    ],
)
def test_a_file_that_is_no_gate_is_refused(change, complaint):
    tensors = {name: value for name, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(UsageError, match=complaint):
        Domain.from_bytes(save(tensors))


@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 64, b"not tensors"])
def test_bytes_that_are_no_tensors_are_refused(content):
    with pytest.raises(UsageError, match="safetensors"):
        Domain.from_bytes(content)


@pytest.mark.parametrize(
    "embedding", [[], [0.0] * 5, [[0.0] * WIDTH], [np.nan] * WIDTH, [np.inf] + [0.0] * (WIDTH - 1)]
)
def test_what_is_no_embedding_has_no_distance(domain, embedding):
    with pytest.raises(ScoresError, match="6 finite numbers"):
        domain.distance(embedding)


def test_what_no_gate_can_be_fitted_to_is_refused():
    rng = np.random.default_rng(9)
    (known, labels), (away, _) = drawn(rng, 60), drawn(rng, 120)
    spoiled = known.copy()
    spoiled[0, 0] = np.nan
    for arguments, complaint in (
        ((np.zeros((0, 3)), [], away), "finite"),
        ((spoiled, labels, away), "finite"),
        ((known, labels[:-1], away), "one per embedding"),
        ((known, ["spoof"] * 50 + ["bonafide"] * 10, away), "at least 20"),
        ((known, labels, away[:99]), "at least 100"),
        ((known, labels, away[:, :3]), "6 numbers"),
    ):
        with pytest.raises(ScoresError, match=complaint):
            fit_domain(*arguments)
