"""What the engine is asked and what it answers."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ....core.errors import UsageError
from ....core.protocols import TokenMark
from ....core.records import Float32Array, Int32Array
from .sampling import CovoSampling


@dataclass(frozen=True)
class History:
    """Keys and values of earlier rounds, and the one id that the model has written but not read."""

    keys_values: Tensor = field(compare=False, repr=False)
    """(layers, 2, kv_heads, tokens, width), on the engine's device."""
    unread_id: int
    """The last id of the reply. To feed it, as a conversation should, begin the next request's embeds with it."""

    @property
    def tokens(self) -> int:
        """How many tokens it holds."""
        return int(self.keys_values.shape[3])


@dataclass(frozen=True)
class Request:
    """One turn to be answered."""

    embeds: Tensor = field(compare=False, repr=False)
    """(n, hidden) of the turn's prompt."""
    ids: Tensor = field(compare=False, repr=False)
    """int64 (m,), at least one: the ids of the round that the penalties see."""
    seed: int
    """0 or more. Same request and seed give the same reply, whatever else is in the batch, up to float rounding."""
    sampling: CovoSampling
    mark: TokenMark | None = None
    first_slot: int = 0
    """Audio tokens already spoken of the file that is rendered."""
    history: History | None = None
    text_only: bool = False
    """Audio ids are never chosen."""
    keep_history: bool = False
    """Give back what the model needs to go on with the conversation."""

    @property
    def prompt_tokens(self) -> int:
        """Places that prompt and history take in the cache."""
        return len(self.embeds) + (0 if self.history is None else self.history.tokens)

    def check(self, max_tokens: int, hidden_size: int) -> None:
        """Raises `UsageError` for a request that no engine with rows of `max_tokens` can answer."""
        if self.embeds.ndim != 2 or self.embeds.shape[1] != hidden_size:
            raise UsageError(
                f"prompt rows have the shape {tuple(self.embeds.shape)}; the model takes (n, {hidden_size})"
            )
        if len(self.embeds) == 0 or len(self.ids) == 0:
            raise UsageError("the prompt is empty; give at least one token")
        if self.seed < 0 or self.first_slot < 0:
            raise UsageError(f"seed {self.seed} and first slot {self.first_slot} must not be below 0")
        needed = max(self.prompt_tokens, len(self.ids)) + self.sampling.max_new_tokens
        if needed > max_tokens:
            raise UsageError(
                f"prompt and history of {self.prompt_tokens} tokens and a reply of up to "
                f"{self.sampling.max_new_tokens} need {needed} places; a row has {max_tokens}: shorten the prompt or "
                "lower max_new_tokens (--max-seconds)"
            )


@dataclass(frozen=True)
class Reply:
    """What the model wrote."""

    ids: npt.NDArray[np.int64] = field(compare=False, repr=False)
    """All new ids (n,), the stop id last if it was reached."""
    audio_codes: Int32Array = field(compare=False, repr=False)
    """Codec indices of the audio ids (a,), in order."""
    entropy_bits: Float32Array = field(compare=False, repr=False)
    """Entropy of each audio token's choice among audio tokens (a,), after all warpers; 0 in greedy turns."""
    stopped: bool
    """False: cut at max_new_tokens."""
    history: History | None = None
    """Only where it was asked for."""
