"""A tiny served model: the folder that client and server share, a key ring, and vLLM's interface without vLLM.

The interface is of the shape of `vllm.v1.sample.logits_processor` (0.10 to 0.30), in our own words.
Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import json
import types
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np

from covoguard.core.modelcard import seal_model
from covoguard.watermark.table import MarkTable

FIRST_AUDIO_ID = 5
N_CODES = 12
STOP_ID = 4
VOCABULARY = FIRST_AUDIO_ID + N_CODES
AUDIO_IDS = range(FIRST_AUDIO_ID, VOCABULARY)


def build_served_model(folder: Path, *, levels: int = 1, seeding: str = "slot", **serving: object) -> Path:
    """Write the folder: card, mark table, checksums. `serving` changes that part of the card; None omits a field."""
    folder.mkdir(parents=True)
    cluster_of = np.arange(N_CODES) // 3 if levels == 2 else np.zeros(N_CODES, int)
    table = MarkTable("tiny-served@1", N_CODES, cluster_of, (((1.0, 1.0),),), levels=levels, seeding=seeding)
    (folder / "mark_table.json").write_text(table.to_json(), encoding="utf-8")
    part = {"first_audio_id": FIRST_AUDIO_ID, "stop_ids": [STOP_ID], "name": "tiny", **serving}
    card = {
        "id": "tiny-served",
        "version": 1,
        "generator": "server",
        "weights": "mark_table.json",
        "serving": {name: value for name, value in part.items() if value is not None},
    }
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    seal_model(folder)
    return folder


class MoveDirectionality(Enum):
    UNIDIRECTIONAL = 1
    SWAP = 2


@dataclass
class SamplingParams:
    extra_args: Mapping[str, object] | None = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0
    n: int = 1
    max_tokens: int | None = 64


@dataclass(frozen=True)
class BatchUpdate:
    batch_size: int = 0
    removed: Sequence[int] = ()
    added: Sequence[tuple[int, SamplingParams, list[int] | None, list[int]]] = ()
    moved: Sequence[tuple[int, int, MoveDirectionality]] = ()


class LogitsProcessor(ABC):
    @classmethod
    def validate_params(cls, sampling_params):
        return None

    @abstractmethod
    def __init__(self, vllm_config, device, is_pin_memory): ...

    @abstractmethod
    def apply(self, logits): ...

    @abstractmethod
    def is_argmax_invariant(self): ...

    @abstractmethod
    def update_state(self, batch_update): ...


@dataclass
class _Scheduler:
    max_num_seqs: int = 4


@dataclass
class _Model:
    max_model_len: int = 128


@dataclass
class VllmConfig:
    scheduler_config: _Scheduler = field(default_factory=_Scheduler)
    model_config: _Model = field(default_factory=_Model)


def vllm_modules() -> dict[str, types.ModuleType]:
    """What stands for vLLM in `sys.modules`."""
    modules = {name: types.ModuleType(name) for name in ("vllm", "vllm.v1", "vllm.v1.sample")}
    interface = types.ModuleType("vllm.v1.sample.logits_processor")
    interface.LogitsProcessor = LogitsProcessor
    return {**modules, interface.__name__: interface}
