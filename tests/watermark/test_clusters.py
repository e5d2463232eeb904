import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from covoguard.watermark.clusters import MAX_MASS_RATIO, clusters_of_confusion


def blocks(n_codes=40, n_blocks=8, seed=0):
    """Codes that are confused within their block only, in shuffled order; -> confusion, block of each code."""
    rng = np.random.default_rng(seed)
    block_of = rng.permutation(np.arange(n_codes) * n_blocks // n_codes)
    same = block_of[:, None] == block_of
    confusion = np.where(same, rng.uniform(0.05, 0.1, same.shape), 1e-4)
    np.fill_diagonal(confusion, 0.7)
    return confusion, block_of


def partition(labels):
    return {tuple(np.flatnonzero(labels == label)) for label in np.unique(labels)}


def test_codes_that_are_confused_come_together():
    confusion, block_of = blocks()
    found = clusters_of_confusion(confusion, np.ones(40), 8)
    assert partition(found) == partition(block_of)


def test_sparse_and_dense_confusion_give_the_same_and_so_does_a_second_run():
    confusion, _ = blocks(seed=3)
    confusion[confusion < 0.01] = 0
    mass = np.random.default_rng(1).random(40)
    first = clusters_of_confusion(confusion, mass, 6)
    assert (clusters_of_confusion(sparse.csr_array(confusion), mass, 6) == first).all()
    assert (clusters_of_confusion(confusion, mass, 6) == first).all()
    assert first.dtype == np.int32


def test_numbers_rise_with_the_lowest_code():
    confusion, _ = blocks(seed=4)
    found = clusters_of_confusion(confusion, np.ones(40), 8)
    _, first = np.unique(found, return_index=True)
    assert (np.diff(first) > 0).all()


@settings(max_examples=40)
@given(st.integers(2, 60), st.integers(0, 1000), st.data())
def test_every_cluster_is_used_and_no_cluster_is_too_heavy_unless_it_is_one_code(n_codes, seed, data):
    n_clusters = data.draw(st.integers(1, n_codes))
    rng = np.random.default_rng(seed)
    confusion = rng.random((n_codes, n_codes)) ** 6
    mass = rng.zipf(1.6, n_codes).astype(float)
    found = clusters_of_confusion(confusion, mass, n_clusters)
    assert np.array_equal(np.unique(found), np.arange(n_clusters))
    masses = np.bincount(found, weights=mass)
    sizes = np.bincount(found)
    heavy = masses > MAX_MASS_RATIO * mass.sum() / n_clusters * (1 + 1e-9)
    assert (sizes[heavy] == 1).all() or n_clusters < 8


def test_one_block_that_holds_all_the_mass_is_split():
    confusion, block_of = blocks(64, 16)
    mass = np.where(block_of == 0, 100.0, 1.0)
    masses = np.bincount(clusters_of_confusion(confusion, mass, 16), weights=mass)
    assert masses.max() <= MAX_MASS_RATIO * masses.mean()


def test_codes_that_never_occurred_are_placed_too():
    confusion, _ = blocks()
    confusion[5] = confusion[:, 5] = 0
    mass = np.ones(40)
    mass[5] = 0
    assert np.array_equal(np.unique(clusters_of_confusion(confusion, mass, 9)), np.arange(9))
    assert np.array_equal(np.unique(clusters_of_confusion(np.zeros((40, 40)), np.ones(40), 9)), np.arange(9))


@pytest.mark.parametrize(
    ("confusion", "mass", "n_clusters"),
    [
        (np.zeros((3, 4)), np.ones(3), 2),
        (np.full((3, 3), -1.0), np.ones(3), 2),
        (np.full((3, 3), np.nan), np.ones(3), 2),
        (np.eye(3), np.ones(4), 2),
        (np.eye(3), np.zeros(3), 2),
        (np.eye(3), np.array([1, -1, 1]), 2),
        (np.eye(3), np.ones(3), 0),
        (np.eye(3), np.ones(3), 4),
    ],
)
def test_what_cannot_be_is_refused(confusion, mass, n_clusters):
    with pytest.raises(ValueError, match=r"confusion|mass|clusters"):
        clusters_of_confusion(confusion, mass, n_clusters)
