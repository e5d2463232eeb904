"""The mark as a logits processor of vLLM, less vLLM itself: state per request, and when to mark what.

Interface: `vllm.v1.sample.logits_processor.LogitsProcessor`, the V1 model runner, as documented for 0.10 to 0.30
(`validate_params`, `__init__(vllm_config, device, is_pin_memory)`, `is_argmax_invariant`, `update_state`, `apply`).
Version 0.32 describes another one for Model Runner V2, in which rows are not requests; this is not for that.
`pipeline/serving.py` adds the base class and the key ring. How the law is kept: see `audio_merge`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch
from torch import Tensor

from ...core.errors import CovoguardError
from ...core.protocols import BatchMark, DeviceMark
from .audio_merge import merge_audio
from .mark_request import REFUSAL, MarkRequest

log = logging.getLogger(__name__)

MIN_TEMPERATURE = 1e-5
"""Below it vLLM takes the likeliest token: there is nothing to mark."""
UNFILLED = -1
"""Stands in vLLM's list of output ids until the token is on the host (asynchronous scheduling)."""


class SamplingChoices(Protocol):
    """What is read of vLLM's `SamplingParams`."""

    n: int
    temperature: float
    top_k: int
    """0 or -1: none."""
    top_p: float
    max_tokens: int | None
    extra_args: Mapping[str, object] | None


class BatchUpdate(Protocol):
    """What is read of vLLM's `BatchUpdate`; to be followed in this order."""

    removed: Sequence[int]
    added: Sequence[tuple[int, SamplingChoices, list[int] | None, list[int]]]
    """Row, settings, prompt ids, and the list of output ids that vLLM goes on filling."""
    moved: Sequence[tuple[int, int, Enum]]
    """From, to, and whether one way or SWAP."""


class SchedulerConfig(Protocol):
    """How many requests run at once."""

    max_num_seqs: int


class ModelConfig(Protocol):
    """How long they may be."""

    max_model_len: int


class EngineConfig(Protocol):
    """What is read of vLLM's `VllmConfig`."""

    scheduler_config: SchedulerConfig
    model_config: ModelConfig


class MarkSource(Protocol):
    """Makes marks of requests; holds the keys."""

    audio_ids: range
    """The audio tokens in the model's vocabulary."""

    def mark_for(self, request: MarkRequest) -> DeviceMark:
        """The mark that is asked for. Raises `ValueError`, fit to be sent to the client, when it cannot be had."""
        ...


@dataclass
class _Row:
    """A request that asked for a mark."""

    seat: int | None
    """Its row in the `BatchMark`, which it keeps however vLLM moves it. None: the mark cannot be had, so the request
    is given no speech at all."""
    top_k: int
    top_p: float
    output_ids: list[int]
    """vLLM's own list, which goes on growing."""
    counted: int = 0
    spoken: int = 0

    def position(self, audio_ids: range) -> int:
        """Audio tokens spoken so far. Text moves nothing on."""
        fresh = self.output_ids[self.counted :]
        if UNFILLED in fresh:
            raise RuntimeError("vLLM has not filled in the last token (-1); start it with --no-async-scheduling")
        self.counted += len(fresh)
        self.spoken += sum(each in audio_ids for each in fresh)
        return self.spoken


def check_choices(choices: SamplingChoices) -> MarkRequest | None:
    """The mark that a request asks for. Raises `ValueError` for one that cannot be put on as the request samples."""
    request = MarkRequest.from_arguments(choices.extra_args)
    if request is None:
        return None
    if choices.temperature < MIN_TEMPERATURE:
        raise ValueError(f"{REFUSAL}temperature 0 leaves nothing to mark; sample, with 0.5 say")
    if choices.n != 1:
        raise ValueError(f"{REFUSAL}n must be 1: several answers to one request would share their slots")
    return request


class TokenMarkRows:
    """The processor's work. A subclass says where marks come from and is mixed with vLLM's base class."""

    def __init__(self, vllm_config: EngineConfig, device: torch.device, is_pin_memory: bool) -> None:
        """As vLLM calls it. Opens the keys, so that a wrong set-up stops the start."""
        self._source = self.source()
        self._device = device
        self._seats = vllm_config.scheduler_config.max_num_seqs
        self._positions = vllm_config.model_config.max_model_len
        self._free = list(range(self._seats))
        self._marks: BatchMark | None = None
        self._rows: dict[int, _Row] = {}

    @classmethod
    def source(cls) -> MarkSource:
        """Where marks come from."""
        raise NotImplementedError

    @classmethod
    def validate_params(cls, sampling_params: SamplingChoices) -> None:
        """Refuse, with `ValueError`, a mark that cannot be put on; vLLM calls it as a request comes in."""
        request = check_choices(sampling_params)
        if request is None:
            return
        try:
            cls.source().mark_for(request)
        except CovoguardError as error:
            raise ValueError(f"{REFUSAL}the server is not set up for marks ({error.code}); ask its operator") from error

    def is_argmax_invariant(self) -> bool:
        """Say True: a choice of place, after penalties and temperature. Greedy requests, which skip it, are refused."""
        return True

    def update_state(self, batch_update: BatchUpdate | None) -> None:
        """Follow requests through the batch: removed, then added, then moved, as vLLM asks."""
        if batch_update is None:
            return
        for row in batch_update.removed:
            self._release(self._rows.pop(row, None))
        for row, choices, _, output_ids in batch_update.added:
            self._release(self._rows.pop(row, None))
            self._enter(row, choices, output_ids)
        for source, target, direction in batch_update.moved:
            moving, staying = self._rows.pop(source, None), self._rows.pop(target, None)
            if moving is not None:
                self._rows[target] = moving
            if staying is not None and direction.name == "SWAP":
                self._rows[source] = staying
            else:
                self._release(staying)  # its place was taken over

    def apply(self, logits: Tensor) -> Tensor:
        """Mark the rows (b, vocabulary) that ask for it, in place."""
        if not self._rows:
            return logits
        audio_ids = self._source.audio_ids
        if logits.shape[1] < audio_ids.stop:
            raise RuntimeError(f"the model has {logits.shape[1]} tokens, its marks are for {audio_ids}: another model")
        marked = {row: state for row, state in self._rows.items() if state.seat is not None}
        for row in self._rows.keys() - marked.keys():
            logits[row, audio_ids.start : audio_ids.stop] = -torch.inf
        if marked:
            index = self._tensor(list(marked))
            rows = logits[index]
            self._merge(rows, list(marked.values()))
            logits[index] = rows
        return logits

    def _merge(self, rows: Tensor, states: list[_Row]) -> None:
        audio_ids, size = self._source.audio_ids, rows.shape[1]
        seats = self._tensor([each.seat for each in states])
        positions = torch.zeros(self._seats, dtype=torch.int64, device=rows.device)
        positions[seats] = self._tensor([each.position(audio_ids) for each in states])
        codes = torch.arange(len(audio_ids), device=rows.device).expand(self._seats, -1)

        def choose(probs: Tensor) -> Tensor:
            assert self._marks is not None  # there are seats
            seated = probs.new_zeros(self._seats, len(audio_ids))
            seated[seats] = probs
            return self._marks.choose(seated, codes, positions, torch.zeros_like(positions))[seats]

        top_k = self._tensor([min(each.top_k, size) if each.top_k > 0 else size for each in states])
        top_p = torch.tensor([each.top_p for each in states], device=rows.device)
        merge_audio(rows, audio_ids, top_k, top_p, choose)

    def _enter(self, row: int, choices: SamplingChoices, output_ids: list[int]) -> None:
        seat = None
        try:
            request = check_choices(choices)
            if request is None:
                return
            mark = self._source.mark_for(request)
            if self._marks is None:
                self._marks = mark.on_device(self._seats, self._positions, self._device)
            self._marks.put(self._free[-1], mark, 0, min(choices.max_tokens or self._positions, self._positions))
            seat = self._free.pop()
        except (ValueError, CovoguardError) as error:
            # the engine must go on, and unmarked speech must not leave it
            log.error("a request that was to be marked is given no speech: %s", error)
        self._rows[row] = _Row(seat, choices.top_k, choices.top_p, output_ids)

    def _release(self, state: _Row | None) -> None:
        if state is not None and state.seat is not None and self._marks is not None:
            self._marks.put(state.seat, None, 0, 0)
            self._free.append(state.seat)

    def _tensor(self, numbers: Sequence[int | None]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.int64).to(self._device)
