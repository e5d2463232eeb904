"""Sound in pieces."""

import numpy as np
import pytest

from covoguard.core.records import Segment
from covoguard.watermark.pieces import PIECE_S, add_residue, fitted, joined, pieces


@pytest.mark.parametrize("seconds", [0.5, 9.9, 10.0, 19.9, 20.0, 47.3])
def test_pieces_cover_all_once_and_none_is_long_or_short(seconds):
    length = int(seconds * 8000)
    cuts = pieces(length, 8000)
    assert [start for start, _ in cuts] == [0, *(end for _, end in cuts[:-1])]
    assert cuts[-1][1] == length
    assert all(end - start < 2 * PIECE_S * 8000 for start, end in cuts)
    assert len(cuts) == 1 or all(end - start >= PIECE_S * 8000 for start, end in cuts)


@pytest.mark.parametrize("seconds", [1.0, 10.1, 31.7])
def test_what_is_added_to_each_piece_is_added_evenly_over_the_joints(seconds):
    samples = np.zeros(int(seconds * 8000), np.float32)
    marked = add_residue(samples, 8000, lambda piece: np.full_like(piece, 0.25))
    np.testing.assert_allclose(marked, 0.25, atol=1e-6)
    assert marked.dtype == np.float32


def test_what_is_added_stays_within_full_scale():
    full = np.ones(8000, np.float32)
    assert add_residue(full, 8000, lambda piece: np.full_like(piece, 0.25)).max() == 1.0


def test_fitted_and_joined():
    np.testing.assert_array_equal(fitted(np.ones(3, np.float32), 5), [1, 1, 1, 0, 0])
    assert len(fitted(np.ones(9, np.float32), 5)) == 5
    assert joined([(0, 8), (8, 16), (24, 32)], 8) == (Segment(0.0, 2.0), Segment(3.0, 4.0))
