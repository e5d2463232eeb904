"""The mark inside a vLLM server: the law of every step, and each request's own mark wherever the batch moves it."""

import itertools
import logging
import subprocess
import sys

import numpy as np
import pytest
import torch
from secret_leaks import assert_no_secret
from served_model import (
    AUDIO_IDS,
    FIRST_AUDIO_ID,
    N_CODES,
    VOCABULARY,
    BatchUpdate,
    LogitsProcessor,
    MoveDirectionality,
    SamplingParams,
    VllmConfig,
    build_served_model,
    vllm_modules,
)

from covoguard.core.errors import UsageError
from covoguard.core.keyring import KeyRing
from covoguard.core.modelcard import open_model
from covoguard.generate.serving.audio_merge import merge_audio
from covoguard.generate.serving.mark_request import MarkRequest
from covoguard.pipeline import serving
from covoguard.pipeline.marking import Marking, table_of
from covoguard.watermark.payload import Payload

NEVER = -torch.inf

# --- the law, by enumeration -------------------------------------------------------------------------------


def law_after(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """vLLM's last steps on one row (vocabulary,): top-k, top-p, softmax. -> what the draw is made from."""
    row = logits.clone()
    if 0 < top_k < len(row):
        row[row < row.topk(top_k).values[-1]] = NEVER
    rising, order = row.sort()
    drop = rising.softmax(0).cumsum(0) <= 1 - top_p
    drop[-1] = False
    if top_p < 1:
        row[order[drop]] = NEVER
    return row.softmax(0)


def merged(logits: torch.Tensor, top_k: int, top_p: float, chosen: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The row after merging with `chosen` as the mark's choice, and the probabilities that the mark was shown."""
    shown = []

    def choose(probs):
        shown.append(probs[0])
        return torch.tensor([chosen])

    row = logits.clone()[None]
    merge_audio(row, AUDIO_IDS, torch.tensor([top_k or VOCABULARY]), torch.tensor([top_p]), choose)
    return row[0], shown[0]


def rows():
    rng = np.random.default_rng(1)
    for spread in (0.5, 2.0, 6.0):
        for _ in range(2):
            yield torch.tensor(rng.normal(0, spread, VOCABULARY), dtype=torch.float32)
    with_min_p = torch.tensor(rng.normal(0, 2, VOCABULARY), dtype=torch.float32)
    with_min_p[with_min_p < with_min_p.median()] = NEVER
    yield with_min_p
    text_only = torch.linspace(0, 1, VOCABULARY)
    text_only[FIRST_AUDIO_ID:] = NEVER
    yield text_only
    audio_only = torch.linspace(0, 3, VOCABULARY)
    audio_only[:FIRST_AUDIO_ID] = NEVER
    yield audio_only
    # where a second top-p over what the first one left would cut again
    again = torch.full((VOCABULARY,), NEVER)
    again[[0, 7]] = torch.tensor([0.90, 0.01]).log()
    again[[2, 3, 4, 5, 6, 8, 9, 10, 11, 12]] = torch.linspace(0.0085, 0.0095, 10).log()
    yield again


SETTINGS = list(itertools.product((0, 1, 5, 9), (1.0, 0.99, 0.905, 0.5, 0.05)))


@pytest.mark.parametrize(("top_k", "top_p"), SETTINGS)
def test_over_keys_the_law_is_the_unmarked_one_and_text_is_never_touched(top_k, top_p):
    for logits in rows():
        plain = law_after(logits, top_k, top_p)
        spoken = plain[FIRST_AUDIO_ID:].sum()
        over_keys = torch.zeros(VOCABULARY)
        for code in range(N_CODES):
            row, shown = merged(logits, top_k, top_p, code)
            if spoken == 0:
                torch.testing.assert_close(law_after(row, top_k, top_p), plain)
                over_keys += plain / N_CODES
                continue
            assert shown.sum() == pytest.approx(1)
            if shown[code] == 0:
                continue
            marked = law_after(row, top_k, top_p)
            torch.testing.assert_close(marked[:FIRST_AUDIO_ID], plain[:FIRST_AUDIO_ID])
            torch.testing.assert_close(marked[FIRST_AUDIO_ID + code], spoken)
            over_keys += shown[code] * marked
        torch.testing.assert_close(over_keys, plain)


def test_taking_out_what_top_p_drops_would_change_the_law():
    *_, logits = rows()
    plain = law_after(logits, 0, 0.905)
    taken_out = torch.where(plain > 0, logits, NEVER)
    assert plain[7] > 0
    assert law_after(taken_out, 0, 0.905)[7] == 0


@pytest.mark.parametrize("top_k", [2, 4, 8])
def test_ties_at_the_cut_of_top_k_stay_as_they_do_without_a_mark(top_k):
    logits = torch.zeros(VOCABULARY)
    logits[[0, 1, 8]] = torch.tensor([1.0, 2.0, 1.5])
    plain = law_after(logits, top_k, 1.0)
    for code in torch.nonzero(plain[FIRST_AUDIO_ID:])[:, 0].tolist():
        row, _ = merged(logits, top_k, 1.0, code)
        marked = law_after(row, top_k, 1.0)
        torch.testing.assert_close(marked[:FIRST_AUDIO_ID], plain[:FIRST_AUDIO_ID])
        torch.testing.assert_close(marked[FIRST_AUDIO_ID + code], plain[FIRST_AUDIO_ID:].sum())


# --- batches -----------------------------------------------------------------------------------------------


@pytest.fixture
def ring(tmp_path, monkeypatch):
    monkeypatch.setenv("COVOGUARD_KEYS", str(tmp_path / "keys"))
    ring = KeyRing.open()
    ring.new("first")
    ring.new("second")
    return ring


@pytest.fixture
def processor_class(ring, tmp_path, monkeypatch):
    """The class as vLLM gets it, above a stand-in for vLLM."""
    for name, module in vllm_modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("COVOGUARD_SERVED_MODEL", str(build_served_model(tmp_path / "served", levels=2)))
    serving._marks_of_environment.cache_clear()
    yield serving.TokenMarkProcessor
    serving.__dict__.pop("TokenMarkProcessor")
    serving._marks_of_environment.cache_clear()


@pytest.fixture
def processor(processor_class):
    return processor_class(VllmConfig(), torch.device("cpu"), False)


def asked(key, seed, *, payload=None, **choices) -> SamplingParams:
    return SamplingParams(MarkRequest(key.key_id, key.epoch, seed, payload).to_arguments(), **choices)


def step_logits(number: int, n_rows: int) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(number).normal(0, 2, (n_rows, VOCABULARY)), dtype=torch.float32)


class Expected:
    """What a request's audio step must give: its mark's own choice by the numpy path."""

    def __init__(self, tmp_path, key, seed, payload=None):
        table = table_of(open_model(tmp_path / "served"))
        self.mark = Marking(key, table, Payload(*payload) if payload else None).mark_for(seed)

    def __call__(self, logits: torch.Tensor, position: int) -> int:
        probs = logits[FIRST_AUDIO_ID:].softmax(0).numpy()
        return FIRST_AUDIO_ID + int(self.mark.sample(probs[None], position)[0])


def only_audio(row: torch.Tensor) -> int:
    """The one audio token that the row still allows."""
    (allowed,) = torch.nonzero(row[FIRST_AUDIO_ID:] > NEVER)[:, 0].tolist()
    return FIRST_AUDIO_ID + allowed


def test_the_class_is_what_vllm_looks_for(processor_class, processor):
    assert issubclass(processor_class, LogitsProcessor)
    assert processor_class.__module__ == "covoguard.pipeline.serving"
    assert serving.TokenMarkProcessor is processor_class
    assert processor.is_argmax_invariant()


def test_a_clip_carries_the_mark_that_local_generation_would_give_it(processor, ring, tmp_path):
    key = ring.get("first")
    expected = Expected(tmp_path, key, 77)
    said: list[int] = []
    processor.update_state(BatchUpdate(1, added=[(0, asked(key, 77), [1, 2], said)]))
    position = 0
    for number in range(40):
        logits = step_logits(number, 1)
        before = logits.clone()
        row = processor.apply(logits)[0]
        assert only_audio(row) == expected(before[0], position)
        torch.testing.assert_close(row[:FIRST_AUDIO_ID], before[0, :FIRST_AUDIO_ID], rtol=0, atol=0)
        torch.testing.assert_close(row[FIRST_AUDIO_ID:].logsumexp(0), before[0, FIRST_AUDIO_ID:].logsumexp(0))
        speaks = number % 4 != 1
        said.append(only_audio(row) if speaks else 2)
        position += speaks
        processor.update_state(None)
    assert position == 30


def test_requests_keep_their_marks_through_removal_swap_and_move(processor, ring, tmp_path):
    first, second = ring.get("first"), ring.get("second")
    payload = (3, 17, 20_000)
    plans = {
        "a": (first, 1, None),
        "b": (second, 2, None),
        "c": (first, 3, payload),
        "plain": None,
        "e": (second, 5, None),
    }
    expected = {name: Expected(tmp_path, *plan) for name, plan in plans.items() if plan}
    said = {name: [] for name in plans}

    def added(row, name):
        plan = plans[name]
        choices = asked(plan[0], plan[1], payload=plan[2]) if plan else SamplingParams()
        return row, choices, None, said[name]

    numbers = itertools.count()

    def step(*order):
        logits = step_logits(next(numbers), len(order))
        before = logits.clone()
        after = processor.apply(logits)
        for row, name in enumerate(order):
            if name == "plain":
                assert torch.equal(after[row], before[row])
                said[name].append(FIRST_AUDIO_ID)
                continue
            assert only_audio(after[row]) == expected[name](before[row], len(said[name])), name
            said[name].append(only_audio(after[row]))

    swap, one_way = MoveDirectionality.SWAP, MoveDirectionality.UNIDIRECTIONAL
    processor.update_state(
        BatchUpdate(4, added=[added(row, name) for row, name in enumerate(["a", "b", "c", "plain"])])
    )
    step("a", "b", "c", "plain")
    processor.update_state(None)
    step("a", "b", "c", "plain")
    processor.update_state(BatchUpdate(4, moved=[(0, 2, swap), (1, 3, swap)]))
    step("c", "plain", "a", "b")
    processor.update_state(BatchUpdate(3, removed=[0], moved=[(3, 0, one_way)]))
    step("b", "plain", "a")
    processor.update_state(BatchUpdate(3, added=[added(1, "e")]))  # takes the place of the plain one
    step("b", "e", "a")
    processor.update_state(BatchUpdate(2, moved=[(2, 0, one_way)]))  # b is overwritten
    step("a", "e")
    processor.update_state(BatchUpdate(0, removed=[0, 1]))
    logits = step_logits(99, 2)
    assert torch.equal(processor.apply(logits.clone()), logits)


def test_seats_are_given_back(processor, ring):
    key = ring.get("first")
    for round_number in range(5):
        processor.update_state(BatchUpdate(4, added=[(row, asked(key, round_number), None, []) for row in range(4)]))
        row = processor.apply(step_logits(round_number, 4))
        assert [bool((each[FIRST_AUDIO_ID:] > NEVER).any()) for each in row] == [True] * 4
        processor.update_state(BatchUpdate(0, removed=[0, 1, 2, 3]))


def test_a_preempted_request_goes_on_where_it_was(processor, ring, tmp_path):
    key = ring.get("first")
    said = [AUDIO_IDS[3], 1, AUDIO_IDS[0], 2]  # two audio tokens, before it was taken back in
    processor.update_state(BatchUpdate(1, added=[(0, asked(key, 9), None, said)]))
    logits = step_logits(0, 1)
    assert only_audio(processor.apply(logits.clone())[0]) == Expected(tmp_path, key, 9)(logits[0], 2)


def test_the_requests_own_top_k_and_top_p_are_seen(processor, ring, tmp_path):
    key = ring.get("first")
    processor.update_state(BatchUpdate(1, added=[(0, asked(key, 4, top_k=6, top_p=0.8), None, [])]))
    logits = step_logits(3, 1)
    plain = law_after(logits[0], 6, 0.8)
    law = law_after(processor.apply(logits.clone())[0], 6, 0.8)
    torch.testing.assert_close(law[:FIRST_AUDIO_ID], plain[:FIRST_AUDIO_ID])
    (code,) = torch.nonzero(law[FIRST_AUDIO_ID:])[:, 0].tolist()
    given_audio = plain[FIRST_AUDIO_ID:] / plain[FIRST_AUDIO_ID:].sum()
    assert code == int(Expected(tmp_path, key, 4).mark.sample(given_audio.numpy()[None], 0)[0])


def test_a_token_that_is_not_filled_in_is_not_guessed(processor, ring):
    processor.update_state(BatchUpdate(1, added=[(0, asked(ring.get("first"), 4), None, [AUDIO_IDS[0], -1])]))
    with pytest.raises(RuntimeError, match="no-async-scheduling"):
        processor.apply(step_logits(0, 1))


def test_a_model_without_those_audio_tokens_is_noticed(processor, ring):
    processor.update_state(BatchUpdate(1, added=[(0, asked(ring.get("first"), 4), None, [])]))
    with pytest.raises(RuntimeError, match="another model"):
        processor.apply(torch.zeros(1, VOCABULARY - 1))


@pytest.mark.parametrize("payload", [None, Payload(3, 17, 20_000)])
def test_what_the_client_asks_for_is_what_the_server_puts_on(processor_class, ring, tmp_path, payload):
    table = table_of(open_model(tmp_path / "served"))
    marking = Marking(ring.get("second"), table, payload)
    asked_for = serving.remote_mark(marking)
    put_on, local = processor_class.source().mark_for(asked_for.request(123)), marking.mark_for(123)
    assert asked_for.scheme == put_on.scheme == local.scheme
    assert put_on.start_slot == local.start_slot
    probs = np.full((1, N_CODES), 1 / N_CODES, np.float32)
    assert [put_on.sample(probs, slot) for slot in range(50)] == [local.sample(probs, slot) for slot in range(50)]


def test_a_key_that_was_rotated_since_the_request_is_refused(processor_class, ring):
    params = asked(ring.get("first"), 1)
    processor_class.validate_params(params)
    ring.rotate("first")
    with pytest.raises(ValueError, match="epoch 2 does"):
        processor_class.validate_params(params)


def test_a_table_seeded_by_context_cannot_be_served(ring, tmp_path):
    table = table_of(open_model(build_served_model(tmp_path / "by_context", seeding="context1")))
    with pytest.raises(UsageError, match="seeded by context"):
        serving.RingMarks(ring, table, AUDIO_IDS)
    with pytest.raises(UsageError, match="seeded by context"):
        serving.remote_mark(Marking(ring.get("first"), table))


# --- refusals ----------------------------------------------------------------------------------------------


def test_requests_without_a_mark_pass(processor_class):
    processor_class.validate_params(SamplingParams(None, temperature=0.0, n=3))
    processor_class.validate_params(SamplingParams({"someone_elses": 1}))


@pytest.mark.parametrize(
    ("change", "choices", "message"),
    [
        ({"covoguard_key_id": "k0123456789"}, {}, "has no key k0123456789; ask its operator"),
        ({"covoguard_key_id": "first"}, {}, "whole id"),
        ({"covoguard_key_id": None}, {}, "whole id"),
        ({"covoguard_epoch": 2}, {}, "epoch 2 of k.* does not mark here, epoch 1 does"),
        ({"covoguard_epoch": True}, {}, "epoch must be"),
        ({"covoguard_seed": -1}, {}, "seed must be"),
        ({"covoguard_seed": 1.5}, {}, "seed must be"),
        ({"covoguard_payload": [1, 2]}, {}, "three whole numbers"),
        ({"covoguard_payload": [99, 2, 3]}, {}, "payload model is 99"),
        ({"covoguard_colour": 1}, {}, "unknown arguments covoguard_colour"),
        ({}, {"temperature": 0.0}, "temperature 0 leaves nothing to mark"),
        ({}, {"n": 2}, "n must be 1"),
    ],
)
def test_what_cannot_be_marked_is_refused_at_the_door(processor_class, ring, change, choices, message):
    arguments = {**asked(ring.get("first"), 1).extra_args, **change}
    with pytest.raises(ValueError, match=f"^covoguard: .*{message}"):
        processor_class.validate_params(SamplingParams(arguments, **choices))


def test_a_request_that_slips_through_is_given_no_speech(processor, ring, caplog):
    arguments = {**asked(ring.get("first"), 1).extra_args, "covoguard_key_id": "k0123456789"}
    with caplog.at_level(logging.ERROR):
        processor.update_state(BatchUpdate(1, added=[(0, SamplingParams(arguments), None, [])]))
    logits = step_logits(0, 1)
    row = processor.apply(logits.clone())[0]
    assert (row[FIRST_AUDIO_ID:] == NEVER).all()
    assert torch.equal(row[:FIRST_AUDIO_ID], logits[0, :FIRST_AUDIO_ID])
    assert "given no speech" in caplog.text
    processor.update_state(BatchUpdate(0, removed=[0]))


def test_neither_requests_nor_refusals_hold_a_secret(processor_class, ring):
    key = ring.get("first")
    assert_no_secret(repr(asked(key, 5)), key)
    arguments = {**asked(key, 1).extra_args, "covoguard_epoch": 9}
    with pytest.raises(ValueError, match="covoguard") as caught:
        processor_class.validate_params(SamplingParams(arguments))
    assert_no_secret(str(caught.value), key)
    assert ring.get("second").key_id not in str(caught.value)


def test_a_server_that_is_not_set_up_says_so(processor_class, ring, monkeypatch):
    serving._marks_of_environment.cache_clear()
    monkeypatch.delenv("COVOGUARD_SERVED_MODEL")
    with pytest.raises(ValueError, match="covoguard: the server is not set up"):
        processor_class.validate_params(asked(ring.get("first"), 1))
    with pytest.raises(Exception, match="COVOGUARD_SERVED_MODEL"):
        processor_class(VllmConfig(), torch.device("cpu"), False)


def test_the_module_has_no_other_hidden_names():
    with pytest.raises(AttributeError, match="Nothing"):
        _ = serving.Nothing


def test_a_server_needs_little_of_what_the_toolkit_needs():
    """Its environment has vLLM's dependencies, not ours: `docs/serving.md` lists what it needs."""
    ours = ("av", "click", "h5py", "onnx", "onnxruntime", "pyarrow", "rich", "sklearn", "soundfile")
    script = "import sys, covoguard.pipeline.serving\n"
    script += f"print([name for name in {(*ours, 'reedsolo', 'soxr', 'transformers')!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
