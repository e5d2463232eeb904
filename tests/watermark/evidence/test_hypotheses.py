from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.watermark.evidence.hypotheses import RATE_REACH, blocks, grid_for, most_tokens, stretches


@given(st.integers(1, 5000), st.integers(1, 3))
def test_the_weights_of_all_layers_sum_to_one(n_tokens, cells_per_token):
    grid = grid_for(n_tokens, cells_per_token)
    layers = [
        grid.layer(speed, step, phase)
        for speed in RATE_REACH
        for step in grid.steps(speed)
        for phase in range(cells_per_token)
    ]
    assert len(layers) == grid.n_layers == len(set(layers))
    assert np.exp([layer.log_weight for layer in layers]).sum() == pytest.approx(1)


@given(st.integers(1, 800))
def test_the_weights_of_all_stretches_sum_to_one(n_chunks):
    family = stretches(n_chunks)
    assert np.exp(family.log_weight).sum() == pytest.approx(1)
    assert (family.start < family.end).all()
    assert family.start.min() == 0
    assert family.end.max() == n_chunks
    assert len({*zip(family.start.tolist(), family.end.tolist(), strict=True)}) == len(family)


@given(st.integers(1, 20_000), st.integers(1, 3), st.integers(3, 4096))
def test_blocks_cover_the_sound_and_no_path_meets_a_slot_twice(n_rows, cells_per_token, n_slots):
    parts = blocks(n_rows, cells_per_token, n_slots)
    assert parts[0].start == 0
    assert parts[-1].stop == n_rows
    assert all(later.start <= earlier.stop for earlier, later in pairwise(parts))
    longest = max(part.stop - part.start for part in parts)
    assert len({part.stop - part.start for part in parts}) == 1
    grid = grid_for(most_tokens(longest, cells_per_token), cells_per_token)
    slowest = grid.layer(1.0, grid.steps(1.0).start, 0)
    assert len(slowest.rows(longest, cells_per_token)) <= n_slots


@given(st.integers(0, 600), st.integers(1, 3))
def test_a_layer_takes_every_token_in_turn(n_rows, cells_per_token):
    grid = grid_for(200, cells_per_token)
    for step in (grid.steps(1.0).start, 0, 7, grid.steps(1.0).stop - 1):
        for phase in range(cells_per_token):
            layer = grid.layer(1.0, step, phase)
            rows = layer.rows(n_rows, cells_per_token)
            assert len(rows) <= most_tokens(n_rows, cells_per_token)
            assert ((rows >= 0) & (rows < n_rows)).all()
            exact = phase + layer.rate * cells_per_token * np.arange(len(rows))
            assert np.abs(rows - exact).max(initial=0) <= 0.5 + 1e-9
            assert n_rows - (phase + layer.rate * cells_per_token * len(rows)) <= 0.5 + 1e-9
