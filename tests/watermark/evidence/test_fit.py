import numpy as np
import pytest

from covoguard.watermark.evidence.fit import fit_mixtures
from covoguard.watermark.evidence.keytables import path_evidence, prepare_key
from covoguard.watermark.evidence.rows import token_rows


def heard(world, table, seed):
    simulation = world.Simulation(seed)
    rows = token_rows(simulation.hear(simulation.tokens(40, world.mark(table)), surprisal=True), table)
    tokens = np.arange(0, len(rows), 2)
    return rows.at(tokens), (100 + tokens // 2) % table.n_slots


@pytest.mark.parametrize("levels", [1, 2])
def test_fitted_mixtures_give_more_evidence_on_other_speech(world, levels):
    first = world.table(levels=levels, n_slots=2048, mixtures=(world.mixture,) * 3, surprisal_edges_bits=(0.7, 2.2))
    rows, slots = heard(world, first, 1)
    mixtures = fit_mixtures(rows, prepare_key(first, world.subkeys(1)), slots)
    fitted = world.table(levels=levels, n_slots=2048, mixtures=mixtures, surprisal_edges_bits=(0.7, 2.2))
    rows, slots = heard(world, first, 2)
    before, after = (path_evidence(rows, prepare_key(each, world.subkeys(1)), slots).mean() for each in (first, fitted))
    assert after > 1.1 * before > 0


def test_classes_without_rows_are_refused(world):
    table = world.table(mixtures=(world.mixture,) * 2, surprisal_edges_bits=(99.0,))
    rows, slots = heard(world, table, 3)
    with pytest.raises(ValueError, match="class 1 has 0 rows"):
        fit_mixtures(rows, prepare_key(table, world.subkeys(1)), slots)
