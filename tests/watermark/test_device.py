"""Marks of a batch on the device choose what the numpy path chooses, bit for bit, row by row."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import UsageError
from covoguard.core.protocols import DeviceMark
from covoguard.watermark.payload import Payload
from covoguard.watermark.sampling import ContextGumbel, SlotGumbel

torch = pytest.importorskip("torch")

CPU = torch.device("cpu")
PAYLOADS = (None, Payload(model=3, tenant=700, day=20_000), Payload(model=1, tenant=2, day=3))


def awkward_distributions(n):
    """Sharp, full of equals and zeros, and flat."""
    rng = np.random.default_rng(0)
    sharp = rng.dirichlet(np.full(n, 0.05), 60)
    rounded = np.round(sharp[30:], 2) + 1e-9
    return (np.concatenate([sharp, rounded / rounded.sum(axis=1, keepdims=True), np.full((6, n), 1 / n)])).astype("f4")


def chosen_codes(marks, probs, position, candidates=None):
    """Codes that a batch chooses from whole rows of probabilities, its candidates in another order than the codes."""
    order = np.random.default_rng(9).permutation(probs.shape[1])
    if candidates is not None:
        order = np.argsort(-probs, axis=1, kind="stable")[:, :candidates]
    ids = torch.from_numpy(np.broadcast_to(order, (len(probs), order.shape[-1])).copy())
    picked = torch.from_numpy(probs).gather(1, ids)
    index = marks.choose(picked, ids, torch.as_tensor(position), torch.full((len(probs),), -1))
    assert index.dtype == torch.int64
    return torch.where(index < 0, -1, ids.gather(1, index.clamp(min=0)[:, None])[:, 0]).numpy()


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("levels", [1, 2])
def test_each_row_has_its_own_key_slot_and_payload_and_agrees_with_numpy(key_of, table_of, threads, levels):
    n, positions = 512, 20
    table = table_of(n, levels=levels, n_clusters=64, n_slots=100)
    probs = awkward_distributions(n)
    rows = len(probs)
    made = [
        SlotGumbel.from_key(key_of(row % 3), table, start_slot=row * 7 % 100, payload=PAYLOADS[row % 3])
        for row in range(rows)
    ]
    marks = made[0].on_device(rows, positions, CPU)
    for row, mark in enumerate(made):
        marks.put(row, mark, row % 5, positions)
    for count in (1, 2):
        threads(count)
        for position in (0, 7, 19):
            at = (np.arange(rows) + position) % positions
            expected = [
                int(mark.sample(probs[row : row + 1], int(row % 5 + at[row]))[0]) for row, mark in enumerate(made)
            ]
            assert chosen_codes(marks, probs, at).tolist() == expected


@pytest.mark.parametrize("levels", [1, 2])
def test_a_few_candidates_are_enough(key_of, table_of, levels):
    table = table_of(512, levels=levels, n_clusters=64)
    mark = SlotGumbel.from_key(key_of(1), table, start_slot=4090)
    probs = awkward_distributions(512)
    kept = np.argsort(-probs, axis=1, kind="stable")[:, :50]
    few = np.zeros_like(probs)
    np.put_along_axis(few, kept, np.take_along_axis(probs, kept, axis=1), axis=1)
    few /= few.sum(axis=1, keepdims=True, dtype=np.float32)
    marks = mark.on_device(len(few), 10, CPU)
    for row in range(len(few)):
        marks.put(row, mark, 0, 10)
    at = np.arange(len(few)) % 10
    assert chosen_codes(marks, few, at, candidates=50).tolist() == mark.sample(few, at).tolist()


def test_rows_without_a_mark_are_left_alone(key_of, table_of):
    mark = SlotGumbel.from_key(key_of(1), table_of(), start_slot=0)
    marks = mark.on_device(3, 4, CPU)
    marks.put(0, mark, 0, 4)
    marks.put(1, mark, 0, 4)
    marks.put(1, None, 0, 4)
    probs, ids = torch.full((3, 12), 1 / 12), torch.arange(12).repeat(3, 1)
    index = marks.choose(probs, ids, torch.zeros(3, dtype=torch.int64), torch.tensor([50, 51, 52]))
    assert index.tolist() == [int(mark.sample(probs[:1].numpy(), 0)[0]), 51, 52]


def test_of_equals_the_lowest_code_is_chosen_wherever_it_stands(key_of, table_of, monkeypatch):
    monkeypatch.setattr("covoguard.watermark.sampling.race_weights", lambda numbers: np.ones(len(numbers), np.float32))
    mark = SlotGumbel.from_key(key_of(1), table_of(), start_slot=0)
    marks = mark.on_device(1, 1, CPU)
    marks.put(0, mark, 0, 1)
    probs, ids = torch.tensor([[0.1, 0.4, 0.4, 0.1]]), torch.tensor([[0, 9, 4, 2]])
    zero = torch.zeros(1, dtype=torch.int64)
    assert marks.choose(probs, ids, zero, zero).tolist() == [2]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 60)), max_size=25))
def test_rows_come_and_go_and_the_pool_grows_without_mixing_streams(key_of, table_of, changes):
    table = table_of(n_slots=16)
    probs = np.random.default_rng(3).dirichlet(np.ones(12), 4).astype(np.float32)
    marks = SlotGumbel.from_key(key_of(0), table, start_slot=0).on_device(4, 6, CPU)
    seated = [None] * 4
    for row, key, first_slot in changes:
        mark = None if key == 0 else SlotGumbel.from_key(key_of(key), table, start_slot=key)
        marks.put(row, mark, first_slot, 6)
        seated[row] = mark and (mark, first_slot)
        expected = [
            -1 if each is None else int(each[0].sample(probs[i : i + 1], each[1] + 5)[0])
            for i, each in enumerate(seated)
        ]
        assert chosen_codes(marks, probs, np.full(4, 5)).tolist() == expected


def test_streams_are_expanded_once_for_all_rows_of_a_key(key_of, table_of):
    mark = SlotGumbel.from_key(key_of(1), table_of(n_slots=40), start_slot=0)
    asked = []

    class Counted(SlotGumbel):
        def stream_weights(self, streams):
            asked.extend(streams)
            return super().stream_weights(streams)

    marks = mark.on_device(3, 30, CPU)
    for row, start in enumerate((0, 10, 30)):
        marks.put(row, Counted.from_key(key_of(1), table_of(n_slots=40), start_slot=start), 0, 30)
    assert sorted(asked) == list(range(40))
    assert marks.version == 0, "so nothing moved"


def test_the_version_rises_when_the_pool_moves(key_of, table_of):
    marks = SlotGumbel.from_key(key_of(1), table_of(n_slots=8), start_slot=0).on_device(2, 8, CPU)
    for row, version in ((0, 0), (1, 1)):
        marks.put(row, SlotGumbel.from_key(key_of(row), table_of(n_slots=8), start_slot=0), 0, 8)
        assert marks.version == version


def test_the_fingerprint_tells_keys_and_tables_apart_and_no_secret(key_of, table_of):
    tables = [table_of(), table_of(levels=2), table_of(n_slots=64)]
    marks = [SlotGumbel.from_key(key_of(k), table, start_slot=0) for k in (1, 2) for table in tables]
    assert len({mark.fingerprint for mark in marks}) == 6
    assert (
        marks[0].fingerprint == SlotGumbel.from_key(key_of(1), tables[0], start_slot=9, payload=PAYLOADS[1]).fingerprint
    )
    subkeys = marks[0].table.subkeys(key_of(1)).values()
    assert all(mark.fingerprint not in subkeys for mark in marks)


def test_what_does_not_fit_is_refused(key_of, table_of):
    mark = SlotGumbel.from_key(key_of(1), table_of(), start_slot=0)
    marks = mark.on_device(2, 4, CPU)
    assert isinstance(mark, DeviceMark)
    assert marks.codebook_size == 12
    with pytest.raises(UsageError, match="room for 4"):
        marks.put(0, mark, 0, 5)
    with pytest.raises(UsageError, match="differs in kind or table"):
        marks.put(0, SlotGumbel.from_key(key_of(1), table_of(levels=2), start_slot=0), 0, 4)
    with pytest.raises(UsageError, match="seeding 'slot'"):
        ContextGumbel.from_key(key_of(1), table_of(seeding="context1"), seed=0).on_device(2, 4, CPU)
