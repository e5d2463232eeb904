import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from covoguard.core.errors import IntegrityError, ModelMissing
from covoguard.core.keyring import KeyRing
from covoguard.watermark.table import MarkTable, density_ratio, load_table, table_from_json

MIXTURE = ((0.25, 1.0), (0.75, 4.0))


def table(**changes):
    fields = {
        "model": "m@1",
        "codebook_size": 6,
        "cluster_of": np.array([0, 0, 1, 1, 2, 2]),
        "mixtures": (MIXTURE, ((1.0, 1.0),)),
        "surprisal_edges_bits": (1.5,),
        "levels": 2,
        "nominal_bits_per_frame": 0.4,
    }
    return MarkTable(**{**fields, **changes})


def test_a_table_comes_back_from_its_file_the_same(tmp_path):
    path = tmp_path / "table.json"
    path.write_text(table().to_json())
    loaded = load_table(path)
    assert loaded == table()
    assert (loaded.cluster_of == table().cluster_of).all()
    assert loaded.to_json() == table().to_json()


def test_the_hash_does_not_depend_on_how_the_same_values_were_given():
    same = table(mixtures=[[(0.25, 1), (0.75, 4)], [(1, 1)]], cluster_of=[0, 0, 1, 1, 2, 2], surprisal_edges_bits=[1.5])
    assert same == table()
    assert same.sha256 == table().sha256


CHANGES = {
    "model": "m@2",
    "codebook_size": None,
    "cluster_of": np.array([0, 0, 1, 1, 2, 1]),
    "mixtures": (MIXTURE, MIXTURE),
    "surprisal_edges_bits": (1.6,),
    "n_slots": 2048,
    "levels": 1,
    "seeding": "context1",
    "nominal_bits_per_frame": 0.5,
}


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "codebook_size"])
def test_every_field_enters_the_hash(name):
    changed = table(**{name: CHANGES[name]})
    assert changed.sha256 != table().sha256
    assert changed != table()


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_changed_value_in_the_file_is_found(name):
    content = json.loads(table().to_json())
    value = CHANGES[name]
    content[name] = value.tolist() if isinstance(value, np.ndarray) else value
    with pytest.raises(IntegrityError, match=r"the file\.json"):
        table_from_json(json.dumps(content), "the file.json")


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_in_the_file_is_found_or_changes_nothing(position, byte):
    good = table().to_json().encode()
    bad = bytearray(good)
    bad[position % len(good)] = byte
    try:
        loaded = table_from_json(bytes(bad))
    except IntegrityError:
        return
    assert loaded == table()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"{}", b"[" * 100_000, b'{"model": 1e999}']
)
def test_what_is_no_table_is_refused(content):
    with pytest.raises(IntegrityError, match="install the model again"):
        table_from_json(content)


def test_missing_and_additional_keys_are_refused():
    content = json.loads(table().to_json())
    with pytest.raises(IntegrityError, match="more"):
        table_from_json(json.dumps({**content, "more": 1}))
    del content["levels"]
    with pytest.raises(IntegrityError, match="levels"):
        table_from_json(json.dumps(content))


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(ModelMissing, match="no mark table"):
        load_table(tmp_path / "none.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"mixtures": (((0.5, 1.0), (0.4, 2.0)), MIXTURE)},
        {"mixtures": (((1.5, 1.0), (-0.5, 2.0)), MIXTURE)},
        {"mixtures": (((1.0, 0.5),), MIXTURE)},
        {"mixtures": (((1.0, float("nan")),), MIXTURE)},
        {"mixtures": (((1.0, float("inf")),), MIXTURE)},
        {"mixtures": (((float("nan"), 1.0),), MIXTURE)},
        {"mixtures": ((), MIXTURE)},
        {"mixtures": (MIXTURE,)},
        {"surprisal_edges_bits": (2.0, 1.0), "mixtures": (MIXTURE,) * 3},
        {"surprisal_edges_bits": (float("nan"),)},
        {"cluster_of": np.array([0, 0, 1, 1, 3, 3])},
        {"cluster_of": np.array([-1, 0, 1, 1, 2, 2])},
        {"cluster_of": np.zeros(5, int)},
        {"levels": 3},
        {"seeding": "context2"},
        {"n_slots": 0},
        {"n_slots": 1 << 25},
        {"model": ""},
        {"version": 2},
        {"nominal_bits_per_frame": -1.0},
        {"nominal_bits_per_frame": float("inf")},
        {"codebook_size": 1, "cluster_of": np.zeros(1, int)},
    ],
)
def test_values_that_cannot_be_are_refused(changes):
    with pytest.raises(ValueError, match=r"\w"):
        table(**changes)


def test_a_table_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        table().levels = 1
    with pytest.raises(ValueError, match="read-only"):
        table().cluster_of[0] = 1


def test_the_clusters_are_a_copy():
    clusters = np.array([0, 0, 1, 1, 2, 2], np.int32)
    made = table(cluster_of=clusters)
    clusters[0] = 2
    assert made.cluster_of[0] == 0


@given(st.lists(st.tuples(st.floats(0.01, 1), st.floats(1, 64)), min_size=1, max_size=6))
def test_a_density_ratio_integrates_to_one_and_never_falls(parts):
    total = sum(weight for weight, _ in parts)
    mixture = tuple((weight / total, exponent) for weight, exponent in parts)
    n = 50_000
    r = density_ratio(mixture, (np.arange(n) + 0.5) / n)
    assert r.mean() == pytest.approx(1, abs=1e-3)
    assert (np.diff(r) >= -1e-12).all()


def test_a_density_ratio_keeps_shape_and_type():
    u = np.full((2, 3), 0.5, np.float32)
    r = density_ratio(MIXTURE, u)
    assert r.shape == (2, 3)
    assert r.dtype == np.float32
    assert r[0, 0] == pytest.approx(0.25 + 0.75 * 4 * 0.125)


def test_classes_by_surprisal():
    assert table().mixture_index(np.array([0.0, 1.4, 1.5, 9.0]), 4).tolist() == [0, 0, 1, 1]
    assert table().mixture_index(None, 3).tolist() == [1, 1, 1]


def test_subkeys_are_bound_to_model_and_table(key_of):
    subkeys = table().subkeys(key_of(1))
    assert set(subkeys) == {"cluster", "token", "payload"}
    assert len(set(subkeys.values())) == 3
    assert set(subkeys.values()).isdisjoint(table(model="m@2").subkeys(key_of(1)).values())
    assert set(table(levels=1).subkeys(key_of(1))) == {"token", "payload"}


def test_a_key_of_the_key_ring_marks_and_another_epoch_marks_otherwise(tmp_path):
    ring = KeyRing.open(tmp_path / "keys")
    key = ring.new()
    subkeys = table().subkeys(key)
    assert all(len(subkey) == 32 for subkey in subkeys.values())
    assert table().subkeys(ring.get(key.key_id)) == subkeys
    assert set(table().subkeys(ring.rotate(key.key_id)).values()).isdisjoint(subkeys.values())
