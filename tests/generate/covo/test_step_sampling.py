"""A step's choice of text, stop or audio owes nothing to the mark; inside audio the law is the model's."""

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy import stats

from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.decoding.step_sampling import SamplingRows, candidates_needed, step_uniforms
from covoguard.watermark.sampling import SlotGumbel
from covoguard.watermark.table import MarkTable

AUDIO = range(6, 18)
STOP = 5
VOCABULARY = 20
CPU = torch.device("cpu")
LEAST_P = 1e-3
PLAIN = CovoSampling(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0, window_penalty=1.0, max_new_tokens=4)
LOGITS = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(4)) * 1.5
N_ROWS = 1500


class Key:
    def __init__(self, number):
        self.number = number

    def subkey(self, purpose, *, model, table_sha256):
        return hashlib.sha256(f"{self.number}|{purpose}|{model}|{table_sha256}".encode()).digest()


@cache
def table(levels=1):
    cluster_of = np.arange(len(AUDIO)) * 4 // len(AUDIO) if levels == 2 else np.zeros(len(AUDIO), int)
    return MarkTable("test@1", len(AUDIO), cluster_of, (((1.0, 1.0),),), n_slots=64, levels=levels)


def rows_of(n, sampling=PLAIN, *, seeds=None, text_only=False, prompt=(0,)):
    rows = SamplingRows(n, 16, AUDIO, frozenset({STOP}), CPU)
    for row in range(n):
        seed = row if seeds is None else seeds[row]
        rows.put(row, torch.tensor(prompt), seed, sampling, text_only=text_only)
    return rows


def marks_of(keys, levels=1, positions=4):
    made = [SlotGumbel.from_key(Key(k), table(levels), start_slot=k % 64) for k in keys]
    batch = made[0].on_device(len(made), positions, CPU)
    for row, mark in enumerate(made):
        batch.put(row, mark, 0, positions)
    return batch


def one_step(rows, marks=None, logits=LOGITS, candidates=VOCABULARY):
    return rows.step(logits.expand(len(rows.ids), -1), candidates, marks).numpy()


def law_of(logits, sampling=PLAIN):
    return torch.softmax(logits / sampling.temperature, dim=0).double().numpy()


def fits(ids, probs):
    counts = np.bincount(ids, minlength=len(probs))
    assert counts[probs == 0].sum() == 0
    return stats.chisquare(counts[probs > 0], probs[probs > 0] / probs.sum() * len(ids)).pvalue


def is_audio(ids):
    return (ids >= AUDIO.start) & (ids < AUDIO.stop)


@pytest.mark.parametrize("levels", [1, 2])
def test_text_and_stop_are_the_same_under_any_key_and_none(levels):
    plain = one_step(rows_of(500))
    marked = [one_step(rows_of(500), marks_of([k] * 500, levels)) for k in range(6)]
    for ids in marked:
        assert (is_audio(ids) == is_audio(plain)).all(), "so the mass of audio is what it was"
        assert (ids[~is_audio(ids)] == plain[~is_audio(plain)]).all(), "text and stop are the same ids"
        # the mark alone picks the audio token, so under one key all rows agree
        assert len(set(ids[is_audio(ids)])) == 1
    assert len({int(ids[is_audio(ids)][0]) for ids in marked}) > 1


@pytest.mark.parametrize("levels", [None, 1, 2])
def test_over_keys_and_seeds_every_id_has_the_models_probability(levels):
    marks = None if levels is None else marks_of(range(N_ROWS), levels, positions=1)
    ids = one_step(rows_of(N_ROWS), marks)
    probs = law_of(LOGITS)
    assert fits(ids, probs) > LEAST_P
    share = probs[AUDIO.start : AUDIO.stop].sum()
    assert stats.binomtest(int(is_audio(ids).sum()), N_ROWS, share).pvalue > LEAST_P


@pytest.mark.parametrize("levels", [1, 2])
def test_over_keys_alone_the_audio_token_has_the_models_law(levels):
    """One seed, so one and the same ordinary draw: what varies is the key."""
    logits = torch.full((VOCABULARY,), -torch.inf)
    logits[AUDIO.start : AUDIO.stop] = LOGITS[AUDIO.start : AUDIO.stop]
    ids = one_step(
        rows_of(N_ROWS, seeds=[7] * N_ROWS), marks_of(range(N_ROWS), levels, positions=1), logits.clamp(min=-1e4)
    )
    assert fits(ids, law_of(logits)) > LEAST_P


def test_warpers_leave_the_law_of_what_they_keep():
    sampling = replace(PLAIN, temperature=0.7, top_k=6, top_p=0.8)
    ids = one_step(rows_of(N_ROWS, sampling))
    probs = law_of(LOGITS, sampling)
    probs[np.argsort(-probs)[6:]] = 0
    probs /= probs.sum()
    order = np.argsort(-probs)
    probs[order[np.cumsum(probs[order]) - probs[order] >= 0.8]] = 0
    assert 2 <= (probs > 0).sum() < 6
    assert fits(ids, probs) > LEAST_P


def test_few_candidates_choose_as_all_do():
    sampling = replace(PLAIN, top_k=5, top_p=0.95)
    assert (one_step(rows_of(300, sampling)) == one_step(rows_of(300, sampling), candidates=9)).all()
    assert candidates_needed([sampling, CovoSampling()], 168055) == 64
    assert candidates_needed([CovoSampling(top_k=60)], 168055) == 128
    assert candidates_needed([CovoSampling(top_k=0, greedy=True)], 168055) == 64
    assert candidates_needed([CovoSampling(), PLAIN], 168055) == 168055


def test_a_batch_of_mixed_rows_chooses_as_its_rows_do_alone():
    settings = [
        PLAIN,
        CovoSampling(max_new_tokens=4),
        CovoSampling(greedy=True, max_new_tokens=4),
        replace(PLAIN, top_k=3, repetition_penalty=2.0, window_tokens=2, window_penalty=1.5),
    ]
    key = SlotGumbel.from_key(Key(1), table(2), start_slot=60)

    def run(picked):
        rows = SamplingRows(len(picked), 16, AUDIO, frozenset(), CPU)
        marks = key.on_device(len(picked), 4, CPU)
        for row, index in enumerate(picked):
            rows.put(row, torch.tensor([index, 7, 8]), 10 + index, settings[index], text_only=index == 3)
            marks.put(row, key if index % 2 else None, 3, 4)
        for step in range(4):
            one_step(rows, marks, LOGITS.roll(step))
        return rows.ids[:, 3:7].tolist()

    together = run([0, 1, 2, 3])
    assert together == [run([index])[0] for index in range(4)]
    assert not is_audio(np.array(together[3])).any()


def test_greedy_takes_the_best_after_the_penalties_and_draws_nothing():
    greedy = CovoSampling(greedy=True, repetition_penalty=9.0, max_new_tokens=4)
    best = int(LOGITS.argmax())
    rows = rows_of(3, greedy, prompt=(best,))
    assert set(one_step(rows)) == {int(LOGITS.index_fill(0, torch.tensor(best), LOGITS[best] / 9 / 1.05).argmax())}
    assert rows.entropy_bits[:, 0].tolist() == [0, 0, 0]


def test_text_only_rows_never_speak():
    ids = one_step(rows_of(1000, text_only=True))
    probs = law_of(LOGITS)
    probs[AUDIO.start : AUDIO.stop] = 0
    assert fits(ids, probs) > LEAST_P


def test_only_audio_moves_a_mark_on_and_entropy_is_that_of_audio():
    rows = rows_of(200, seeds=range(200))
    marks = marks_of([1] * 200)
    steps = [one_step(rows, marks) for _ in range(3)]
    spoken = np.sum([is_audio(ids) for ids in steps], axis=0)
    stopped = (np.array(steps[:2]) == STOP).any(axis=0)
    assert (rows.n_audio.numpy()[~stopped] == spoken[~stopped]).all()
    speech = law_of(LOGITS)[AUDIO.start : AUDIO.stop]
    assert rows.entropy_bits[:, 0].numpy() == pytest.approx(stats.entropy(speech / speech.sum(), base=2), abs=1e-5)


def test_rows_end_at_the_stop_id_and_at_their_limit_and_then_rest():
    logits = torch.full((VOCABULARY,), -30.0)
    logits[3] = 0
    rows = rows_of(2, PLAIN, prompt=(1, 2))
    rows.put(1, torch.tensor([1, 2]), 0, replace(PLAIN, max_new_tokens=2), text_only=False)
    for _ in range(3):
        one_step(rows, logits=logits)
    assert rows.active.tolist() == [True, False]
    assert rows.n_new.tolist() == [3, 2]
    one_step(rows, logits=logits.roll(STOP - 3))
    assert rows.active.tolist() == [False, False]
    assert rows.ids[0, 2:6].tolist() == [3, 3, 3, STOP]
    one_step(rows, logits=logits)
    assert rows.n_new.tolist() == [4, 2]


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_break_their_row_alone(wrong):
    rows = rows_of(2)
    logits = LOGITS.repeat(2, 1)
    logits[1, 11] = wrong
    rows.step(logits, VOCABULARY, None)
    assert rows.broken.tolist() == [False, True]
    assert not rows.active[1]


def test_numbers_of_a_row_come_from_its_seed_by_a_counter():
    assert (step_uniforms(3, 5) == step_uniforms(3, 9)[:5]).all()
    assert (step_uniforms(3, 5) != step_uniforms(4, 5)).all()
    assert stats.kstest(step_uniforms(1, 5000).reshape(-1), "uniform").pvalue > LEAST_P
    # golden: another value would change every reply of every seed
    assert step_uniforms(1, 1)[0] == pytest.approx(GOLDEN_UNIFORMS, abs=1e-9)


GOLDEN_UNIFORMS = [0.0668020093580708, 0.0790129824308679]
