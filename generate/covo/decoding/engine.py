"""Answers many requests at once: continuous batching over a fixed number of rows, on one device.

A row whose reply is finished is given to the next request while the others go on. The host looks only now and then,
at a copy that is already under way, so the device never waits for it; what a row writes after its stop is thrown away.
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ....core.errors import CovoguardError, IntegrityError, UsageError
from ....core.protocols import BatchMark, DeviceMark, TokenMark
from ..memory import require_room
from .decode_step import DecodeStep, cached_shape
from .requests import History, Reply, Request
from .step_graphs import StepGraphs
from .step_sampling import SamplingRows, candidates_needed

if TYPE_CHECKING:
    from transformers import DynamicCache, Qwen2ForCausalLM

__all__ = ["Engine", "History", "Reply", "Request"]

CHECK_EVERY_STEPS = 16
REACH_STEP = 512
"""The cache is read up to a multiple of this: one CUDA graph each."""
PREFILL_TOKENS = 8192
"""Prompts of equal length are read together up to so many tokens."""

Answer = tuple[int, Reply | CovoguardError]
"""Index of the request, and its reply or what was wrong with it."""


@dataclass
class _Occupant:
    """The request that has a row."""

    index: int
    request: Request
    steps: int = 0
    """Steps since it came, at most as many as it may have."""


@dataclass(frozen=True)
class _Snapshot:
    """The state of all rows at one time, on its way to the host."""

    occupants: tuple[_Occupant | None, ...]
    tensors: dict[str, Tensor]
    arrived: torch.cuda.Event | None


class Engine:
    """Decodes with a Qwen2 language model whose vocabulary has text and audio ids.

    On CUDA each step is one CUDA graph; elsewhere the same step runs as it is.
    """

    def __init__(
        self,
        llm: "Qwen2ForCausalLM",
        audio_ids: range,
        stop_ids: frozenset[int],
        *,
        slots: int,
        max_tokens: int,
        compiled: bool = False,
    ) -> None:
        """`slots` rows of `max_tokens` places each, on the device of `llm` and in its type.

        `compiled`: fuse small operations with `torch.compile`, which takes a while at first. Raises `UsageError` when
        the rows are longer than the model can count or do not fit into memory.
        """
        if slots < 1 or not 1 <= max_tokens <= llm.config.max_position_embeddings:
            raise UsageError(
                f"{slots} rows of {max_tokens} tokens; there must be a row, and it can have from 1 to "
                f"{llm.config.max_position_embeddings} tokens"
            )
        self._llm = llm
        self._audio_ids = audio_ids
        self._stop_ids = stop_ids
        self._max_tokens = max_tokens
        self._device: torch.device = llm.lm_head.weight.device
        _check_memory(llm, slots, max_tokens)
        self._decode = DecodeStep(llm, slots, max_tokens, compiled=compiled)
        self._sampling = SamplingRows(slots, max_tokens, audio_ids, stop_ids, self._device)
        self._logits = llm.lm_head.weight.new_zeros(slots, llm.config.vocab_size)
        self._n_read = torch.zeros(slots, dtype=torch.int64, device=self._device)
        self._marks: BatchMark | None = None
        self._occupants: list[_Occupant | None] = [None] * slots
        on_cuda = self._device.type == "cuda"
        self._graphs = StepGraphs(self._step, self._sampling.active, self._logits) if on_cuda else None

    def run(self, requests: Iterable[Request]) -> Iterator[Answer]:
        """Answer `requests`, each as soon as it is finished; what is wrong with one is its answer and no other's.

        Requests are taken when rows are free, so they may be made as they are needed. One run at a time.
        """
        waiting = enumerate(requests)
        self._clear()
        snapshots: deque[_Snapshot] = deque()
        # on CUDA the next steps are under way before the host looks at the last ones
        behind = 0 if self._graphs is None else 1
        while True:
            yield from self._fill(waiting)
            if not any(self._occupants):
                return
            for _ in range(CHECK_EVERY_STEPS):
                self.step_once()
            snapshots.append(self._snapshot())
            if len(snapshots) > behind:
                yield from self._finished(snapshots.popleft())

    def start(self, requests: Sequence[Request]) -> None:
        """Read the prompts of at most `slots` requests, to be decoded by `step_once`: for measurements.

        Raises what is wrong with any of them.
        """
        if len(requests) > len(self._occupants):
            raise UsageError(f"{len(requests)} requests are too many for {len(self._occupants)} rows")
        self._clear()
        for _, error in self._fill(enumerate(requests)):
            if isinstance(error, CovoguardError):
                raise error

    def step_once(self) -> None:
        """One token for every row that has a request and is not finished. Does not wait for the device."""
        present = [each for each in self._occupants if each is not None]
        candidates = candidates_needed([each.request.sampling for each in present], self._llm.config.vocab_size)
        for each in present:
            each.steps = min(each.steps + 1, each.request.sampling.max_new_tokens)
        longest = max((each.request.prompt_tokens + each.steps for each in present), default=1)
        reach = min(-(-longest // REACH_STEP) * REACH_STEP, self._max_tokens)
        if self._graphs is None:
            self._step(reach, candidates)
        else:
            with torch.cuda.device(self._device):
                self._graphs.run(reach, candidates, None if self._marks is None else self._marks.version)

    @torch.no_grad()
    def _step(self, reach: int, candidates: int) -> None:
        """All that happens on the device for one token: choose by the last logits, then read what was chosen."""
        ids = self._sampling.step(self._logits, candidates, self._marks)
        self._logits.copy_(self._decode(ids, self._n_read, reach))
        # a row that has just finished does not keep its last id: whoever goes on decides whether to feed it
        self._n_read += self._sampling.active

    # --- rows come and go ---------------------------------------------------------------------------------------------

    def _clear(self) -> None:
        self._occupants = [None] * len(self._occupants)
        self._sampling.active.zero_()

    def _fill(self, waiting: Iterator[tuple[int, Request]]) -> Iterator[Answer]:
        """Give free rows to waiting requests; yields those that cannot be answered."""
        while free := [row for row, each in enumerate(self._occupants) if each is None]:
            arrived = list(islice(waiting, len(free)))
            if not arrived:
                return
            fit: list[tuple[int, Request]] = []
            for index, request in arrived:
                try:
                    request.check(self._max_tokens, self._llm.config.hidden_size)
                    self._put_mark(free[len(fit)], request)
                except CovoguardError as error:
                    yield index, error
                else:
                    fit.append((index, request))
            yield from self._seat(list(zip(free, fit, strict=False)))

    def _put_mark(self, row: int, request: Request) -> None:
        mark = None if request.sampling.greedy or request.text_only else request.mark
        if mark is not None and self._marks is None:
            self._marks = self._marks_for(mark)
        if self._marks is not None:
            try:
                self._marks.put(row, mark, request.first_slot, request.sampling.max_new_tokens)
            except torch.OutOfMemoryError as error:
                raise UsageError("too little GPU memory for the tables of the mark; use fewer slots or keys") from error

    def _marks_for(self, mark: TokenMark) -> BatchMark:
        if not isinstance(mark, DeviceMark):
            raise UsageError(f"the mark {mark.scheme} cannot be laid on a batch; use a table with seeding 'slot'")
        marks = mark.on_device(len(self._occupants), self._max_tokens, self._device)
        if marks.codebook_size != len(self._audio_ids):
            raise UsageError(
                f"the mark is for {marks.codebook_size} audio tokens, the model has {len(self._audio_ids)}; "
                "use the mark table that belongs to the model"
            )
        return marks

    def _seat(self, seated: list[tuple[int, tuple[int, Request]]]) -> Iterator[Answer]:
        """Read the prompts of (row, (index, request)), those of equal length together."""
        seated.sort(key=lambda each: _batch_key(each[1][1]))
        for (_, length, _), group in groupby(seated, key=lambda each: _batch_key(each[1][1])):
            members = list(group)
            at_once = max(1, PREFILL_TOKENS // length)
            for first in range(0, len(members), at_once):
                batch = members[first : first + at_once]
                try:
                    self._prefill([row for row, _ in batch], [request for _, (_, request) in batch])
                except torch.OutOfMemoryError:
                    message = f"too little GPU memory to read {len(batch)} prompts of {length} tokens; use fewer slots"
                    yield from ((index, UsageError(message)) for _, (index, _) in batch)
                else:
                    for row, (index, request) in batch:
                        self._occupants[row] = _Occupant(index, request)

    @torch.no_grad()
    def _prefill(self, rows: list[int], requests: list[Request]) -> None:
        """Read prompts of equal length, with one history or none, by transformers' own model."""
        cache = _cache_of(self._llm, requests[0].history)
        embeds = torch.stack([each.embeds for each in requests]).to(self._logits)
        hidden = self._llm.model(inputs_embeds=embeds, past_key_values=cache, use_cache=True).last_hidden_state
        places = torch.tensor(rows, device=self._device)
        self._decode.load_rows(places, cache)
        self._logits[places] = self._llm.lm_head(hidden[:, -1])
        self._n_read[places] = requests[0].prompt_tokens
        for row, each in zip(rows, requests, strict=True):
            self._sampling.put(row, each.ids, each.seed, each.sampling, text_only=each.text_only)

    # --- answers ------------------------------------------------------------------------------------------------------

    def _snapshot(self) -> _Snapshot:
        rows = self._sampling
        wanted = {name: getattr(rows, name) for name in ("active", "broken", "ids", "n_new", "entropy_bits")}
        tensors = {name: tensor.to("cpu", non_blocking=True) for name, tensor in wanted.items()}
        arrived = None
        if self._graphs is not None:
            arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            arrived.record(torch.cuda.current_stream(self._device))
        return _Snapshot(tuple(self._occupants), tensors, arrived)

    def _finished(self, snapshot: _Snapshot) -> Iterator[Answer]:
        """The answers of rows that were finished when the snapshot was taken; their rows are free again."""
        if snapshot.arrived is not None:
            snapshot.arrived.synchronize()
        for row, occupant in enumerate(snapshot.occupants):
            # a row may have been given to another request since
            if occupant is None or occupant is not self._occupants[row] or snapshot.tensors["active"][row]:
                continue
            self._occupants[row] = None
            if snapshot.tensors["broken"][row]:
                yield (
                    occupant.index,
                    IntegrityError(
                        "the language model gave numbers that are not finite; its weights or the prompt are damaged: "
                        "check the model folder and the audio prompt"
                    ),
                )
            else:
                yield occupant.index, self._reply(row, occupant.request, snapshot.tensors)

    def _reply(self, row: int, request: Request, tensors: dict[str, Tensor]) -> Reply:
        n = int(tensors["n_new"][row])
        ids = tensors["ids"][row, len(request.ids) :][:n].numpy().copy()
        is_audio = (ids >= self._audio_ids.start) & (ids < self._audio_ids.stop)
        history = None
        if request.keep_history:
            history = History(self._decode.copy_row(row, request.prompt_tokens + n - 1), int(ids[-1]))
        return Reply(
            ids=ids,
            audio_codes=(ids[is_audio] - self._audio_ids.start).astype(np.int32),
            entropy_bits=tensors["entropy_bits"][row, :n].numpy()[is_audio],
            stopped=int(ids[-1]) in self._stop_ids,
            history=history,
        )


def _batch_key(request: Request) -> tuple[bool, int, int]:
    """Requests with equal keys can be read together: none has a history, and the prompts are equally long."""
    return (False, len(request.embeds), 0) if request.history is None else (True, len(request.embeds), id(request))


def _cache_of(llm: "Qwen2ForCausalLM", history: History | None) -> "DynamicCache":
    from transformers import DynamicCache

    cache = DynamicCache(config=llm.config)
    if history is not None:
        for layer, (keys, values) in enumerate(history.keys_values):
            cache.update(keys[None], values[None], layer)
    return cache


def _check_memory(llm: "Qwen2ForCausalLM", slots: int, max_tokens: int) -> None:
    """Raises `UsageError` when the rows do not fit into what the GPU has left."""
    config, weight = llm.config, llm.lm_head.weight
    per_token = 2 * len(llm.model.layers) * math.prod(cached_shape(llm)) * weight.element_size()
    # logits, their float32 copies and what sorts them
    needed = slots * (max_tokens * per_token + config.vocab_size * 32)
    require_room(weight.device, needed, f"decoding {slots} rows of {max_tokens} tokens")
