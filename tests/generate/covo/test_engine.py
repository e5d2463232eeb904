"""A batch answers each request as it would be answered alone, whoever comes and goes beside it."""

import copy
import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from covoguard.core.errors import IntegrityError, UsageError
from covoguard.generate.covo.decoding.engine import Engine, Reply, Request
from covoguard.generate.covo.decoding.sampling import CovoSampling
from covoguard.generate.covo.decoding.warpers import repetition_penalty, windowed_penalty
from covoguard.watermark.payload import Payload
from covoguard.watermark.sampling import ContextGumbel, SlotGumbel
from covoguard.watermark.table import MarkTable

AUDIO = range(40, 104)
STOP = frozenset({5, 6})
SAMPLING = CovoSampling(temperature=1.0, max_new_tokens=24)
GREEDY = CovoSampling(greedy=True, max_new_tokens=20)
TABLE = MarkTable("tiny@1", 64, np.arange(64) // 8, (((1.0, 1.0),),), n_slots=128, levels=2)


class Key:
    def __init__(self, number):
        self.number = number

    def subkey(self, purpose, *, model, table_sha256):
        return hashlib.sha256(f"{self.number}|{purpose}|{model}|{table_sha256}".encode()).digest()


@pytest.fixture(scope="module")
def llm(backbone):
    return copy.deepcopy(backbone)


@pytest.fixture
def engine(llm):
    return make_engine(llm)


def make_engine(llm, slots=3, stop=STOP, **settings):
    return Engine(llm, AUDIO, stop, slots=slots, **{"max_tokens": 100} | settings)


def request_of(llm, n=7, seed=0, sampling=SAMPLING, **settings):
    ids = torch.randint(0, 40, (n,), generator=torch.Generator().manual_seed(100 + seed))
    return Request(llm.model.embed_tokens(ids), ids, seed, sampling, **settings)


def mixed_requests(llm):
    marks = [None] + [
        SlotGumbel.from_key(Key(k), TABLE, start_slot=100 + k, payload=payload)
        for k, payload in ((1, None), (2, Payload(model=1, tenant=2, day=3)))
    ]
    samplings = [SAMPLING, GREEDY, replace(SAMPLING, top_k=0, max_new_tokens=9), replace(SAMPLING, window_tokens=0)]
    return [
        request_of(
            llm,
            n=(4, 9, 9, 13)[i % 4],
            seed=i,
            sampling=samplings[i % 4],
            mark=marks[i % 3],
            first_slot=i,
            text_only=i % 5 == 4,
        )
        for i in range(11)
    ]


def answers(engine, requests):
    found = dict(engine.run(requests))
    return [found[i] for i in range(len(found))]


def test_rows_of_a_batch_reply_as_they_do_alone(llm):
    requests = mixed_requests(llm)
    together = answers(make_engine(llm), requests)
    alone = make_engine(llm, slots=1)
    lengths = set()
    for request, got in zip(requests, together, strict=True):
        (expected,) = answers(alone, [request])
        assert got.ids.tolist() == expected.ids.tolist()
        assert got.entropy_bits == pytest.approx(expected.entropy_bits, abs=1e-4)
        assert got.stopped == expected.stopped == (got.ids[-1] in STOP)
        lengths.add(len(got.ids))
    assert len(lengths) > 3, "early exits and cuts are both among them"
    assert {reply.stopped for reply in together} == {True, False}


def test_greedy_is_what_transformers_alone_gives_with_both_penalties(llm, backbone, engine):
    request = request_of(llm, sampling=GREEDY)
    (reply,) = answers(engine, [request])
    ids = request.ids[None]
    one = torch.ones(1)
    while ids.shape[1] < 7 + 20 and (ids.shape[1] == 7 or int(ids[0, -1]) not in STOP):
        length = torch.tensor([ids.shape[1]])
        scores = repetition_penalty(backbone(ids).logits[:, -1], ids, length, 1.05 * one)
        scores = windowed_penalty(scores, ids, length, 1.05 * one, 8 * torch.ones(1, dtype=torch.int64))
        ids = torch.cat([ids, scores.argmax(dim=1, keepdim=True)], dim=1)
    assert reply.ids.tolist() == ids[0, 7:].tolist()
    assert reply.audio_codes.tolist() == [v - 40 for v in reply.ids.tolist() if v in AUDIO]
    assert reply.audio_codes.dtype == np.int32


def test_the_reach_of_the_cache_changes_nothing(llm, monkeypatch):
    expected = answers(make_engine(llm), mixed_requests(llm))
    monkeypatch.setattr("covoguard.generate.covo.decoding.engine.REACH_STEP", 16)
    monkeypatch.setattr("covoguard.generate.covo.decoding.engine.CHECK_EVERY_STEPS", 3)
    for got, reply in zip(answers(make_engine(llm, slots=2), mixed_requests(llm)), expected, strict=True):
        assert got.ids.tolist() == reply.ids.tolist()


@pytest.mark.parametrize("feed_last", [True, False])
def test_a_history_goes_on_as_if_all_had_been_read_at_once(llm, backbone, engine, feed_last):
    first = request_of(llm, n=6, seed=1, keep_history=True)
    second = request_of(llm, n=5, seed=2, sampling=GREEDY)
    (reply,) = answers(engine, [first])
    history = reply.history
    assert history.tokens == 6 + len(reply.ids) - 1
    assert history.unread_id == reply.ids[-1]
    fed = [history.unread_id] if feed_last else []
    turn = torch.cat([torch.tensor(fed, dtype=torch.int64), second.ids])
    asked = replace(second, embeds=llm.model.embed_tokens(turn), history=history)
    # another row of another length beside it
    got, _ = answers(engine, [asked, request_of(llm, seed=3)])
    read = torch.cat([first.ids, torch.from_numpy(reply.ids[:-1]), turn])
    whole = replace(second, embeds=backbone.model.embed_tokens(read))
    (expected,) = answers(engine, [whole])
    assert got.ids.tolist() == expected.ids.tolist()
    assert got.history is None


def test_replies_differ_by_seed_and_by_key_and_repeat(llm, engine):
    marks = [SlotGumbel.from_key(Key(k), TABLE, start_slot=3) for k in (1, 2)]
    base = request_of(llm)
    variants = [base, replace(base, seed=9), *(replace(base, mark=mark) for mark in marks), base]
    ids = [tuple(reply.ids) for reply in answers(engine, variants)]
    assert len(set(ids[:4])) == 4
    assert ids[4] == ids[0]
    longer = replace(base, sampling=replace(SAMPLING, max_new_tokens=30))
    assert tuple(answers(engine, [longer])[0].ids[: len(ids[0])]) == ids[0]


def test_audio_tokens_are_those_of_the_mark(llm, engine):
    """With uniform weights for audio each marked token is the mark's choice among equals."""
    mark = SlotGumbel.from_key(Key(1), TABLE, start_slot=120)
    flat = replace(SAMPLING, top_k=0, top_p=1.0, temperature=1e6, repetition_penalty=1.0, window_penalty=1.0)
    (reply,) = answers(engine, [request_of(llm, sampling=flat, mark=mark, first_slot=4)])
    even = np.full((1, 64), 1 / 64, np.float32)
    assert len(reply.audio_codes) > 5
    expected = [int(mark.sample(even, 4 + t)[0]) for t in range(len(reply.audio_codes))]
    # at this temperature probabilities differ in the fifth digit: a near tie may go the other way
    assert np.mean(np.array(expected) == reply.audio_codes) > 0.9
    assert reply.entropy_bits == pytest.approx(6.0, abs=1e-3)


def test_what_is_wrong_with_one_request_is_its_own_answer(llm, engine):
    good = request_of(llm)
    too_long = replace(good, sampling=replace(SAMPLING, max_new_tokens=94))
    empty = replace(good, embeds=good.embeds[:0])
    damaged = replace(good, embeds=torch.full_like(good.embeds, torch.nan))
    narrow = replace(good, embeds=good.embeds[:, :8])
    by_context = replace(
        good,
        mark=ContextGumbel.from_key(
            Key(1), MarkTable("t", 64, np.zeros(64), (((1.0, 1.0),),), seeding="context1"), seed=0
        ),
    )
    small = replace(
        good, mark=SlotGumbel.from_key(Key(1), MarkTable("t", 32, np.zeros(32), (((1.0, 1.0),),)), start_slot=0)
    )
    found = answers(engine, [good, too_long, empty, damaged, good, narrow, by_context, small, good])
    kinds = [type(each) for each in found]
    assert kinds == [Reply, UsageError, UsageError, IntegrityError, Reply, UsageError, UsageError, UsageError, Reply]
    assert found[0].ids.tolist() == found[4].ids.tolist() == found[8].ids.tolist()
    for index, words in (
        (1, "row has 100"),
        (2, "empty"),
        (3, "not finite"),
        (5, "shape"),
        (6, "slot"),
        (7, "32 audio"),
    ):
        assert words in found[index].message


def test_requests_are_made_only_when_a_row_is_free(llm, engine):
    made = []

    def requests():
        for seed in range(8):
            made.append(seed)
            yield request_of(llm, seed=seed)

    run = engine.run(requests())
    next(run)
    assert len(made) < 8
    assert len(list(run)) == 7
    assert list(engine.run([])) == []


def test_a_run_left_early_does_not_disturb_the_next(llm, engine):
    requests = mixed_requests(llm)
    expected = [reply.ids.tolist() for reply in answers(engine, requests)]
    for _ in engine.run(requests):
        break
    assert [reply.ids.tolist() for reply in answers(engine, requests)] == expected


class NoAnswerFromTheDevice(TorchDispatchMode):
    """Fails on operations for which the host waits, or whose result has a size that only the device knows."""

    FORBIDDEN = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "equal",
        "is_nonzero",
        "unique",
        "lift_fresh",
        "repeat_interleave.T",
    )

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        assert not any(name.startswith(f"aten.{each}") or f".{each}" in name for each in self.FORBIDDEN), name
        if name.startswith(("aten.index.", "aten.index_put")):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "a mask as an index"
        return func(*args, **(kwargs or {}))


def test_a_step_asks_the_device_nothing(llm, engine):
    engine.start(mixed_requests(llm)[:3])
    with NoAnswerFromTheDevice():
        engine.step_once()
    with NoAnswerFromTheDevice(), pytest.raises(AssertionError, match="_local_scalar_dense"):
        torch.ones(1).item()


def test_tensors_of_a_step_stay_where_they_are(llm, engine):
    """What a CUDA graph holds on to."""
    engine.start(mixed_requests(llm)[:3])

    def places():
        held = [engine._logits, engine._n_read, *engine._decode.keys, *engine._decode.values]
        held += [each for each in vars(engine._sampling).values() if isinstance(each, torch.Tensor)]
        return [each.data_ptr() for each in held]

    before = places()
    engine.step_once()
    list(engine.run(mixed_requests(llm)))
    assert places() == before
    assert engine._marks.version == 0


def test_rows_that_cannot_be_are_refused(llm):
    with pytest.raises(UsageError, match="1024 tokens"):
        make_engine(llm, max_tokens=1025)
    with pytest.raises(UsageError, match="must be a row"):
        make_engine(llm, slots=0)
    with pytest.raises(UsageError, match="too many"):
        make_engine(llm).start([request_of(llm)] * 4)
