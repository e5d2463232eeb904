"""Makes the pairs (tokens, damaged decoded sound) that a recoverer learns from, shard by shard.

Pair i of a set depends on the seed, its set and i alone, so a shard that is lost is made again as it was.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
import soxr

from ..core.errors import CovoguardError
from ..core.rates import DETECTOR_RATE_HZ, TOKEN_RATE_HZ
from ..core.records import Audio, Float32Array, Tokens
from ..datasets.degrade.chain import Sounds
from ..datasets.degrade.journey import travel
from .token_sources import TokenClip, TokenSource
from .training_folder import Piece, TrainingFolder

if TYPE_CHECKING:
    from ..generate.training.recoverer import Pair

SHARD_PAIRS = 32
PairSet = Literal["train", "held-out", "clean"]
"""`clean`: the sequences of `held-out`, undamaged."""
_STREAMS: dict[PairSet, int] = {"train": 1, "held-out": 2, "clean": 2}


class VoiceDecoder(Protocol):
    """A `TokenDecoder` of several voices."""

    def decode(self, tokens: Tokens, *, voice: str, seed: int) -> Audio:
        """`n` tokens give about n / 25 seconds."""
        ...


@runtime_checkable
class BatchDecoder(Protocol):
    """A decoder that is faster when it gets many at once."""

    def decode_many(self, tokens: Sequence[Tokens], *, voices: Sequence[str], seeds: Sequence[int]) -> Sequence[Audio]:
        """As `decode`, for each."""
        ...


@dataclass(frozen=True)
class PairMaker:
    """All that decides a pair, and how many threads damage sound at a time."""

    decoder: VoiceDecoder
    source: TokenSource
    codes: int
    sounds: Sounds
    seed: int
    jobs: int = 1

    def shards(
        self, folder: TrainingFolder, kind: PairSet, count: int, report: Callable[[str], None]
    ) -> "Iterator[tuple[list[Pair], float]]":
        """The `count` pairs of a set in shards of 32, each with the seconds it took; those at hand are not remade."""
        for first in range(0, count, SHARD_PAIRS):
            name = f"{kind}-{first // SHARD_PAIRS:05d}.safetensors"
            piece = folder.load(name)
            if piece is None:
                started = time.perf_counter()
                piece = _packed(self.pairs(kind, range(first, min(count, first + SHARD_PAIRS))))
                piece[1]["seconds"] = time.perf_counter() - started
                folder.save(name, *piece)
                report(f"{kind} pairs: {min(count, first + SHARD_PAIRS)} of {count}")
            yield _unpacked(piece), float(piece[1]["seconds"])

    def pairs(self, kind: PairSet, numbers: range) -> "list[Pair]":
        """Some pairs of a set. Raises `CovoguardError` for a decoder that gives no sound."""
        seeds = [self._seeds(kind, number) for number in numbers]
        clips = self.source.clips([clip_seed for clip_seed, _ in seeds])
        sounds = self.sounds_of(clips, [decode_seed for _, decode_seed in seeds])
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="covoguard-damage") as pool:
            return list(pool.map(lambda each: self._pair(kind, *each), zip(numbers, clips, sounds, strict=True)))

    def sounds_of(self, clips: Sequence[TokenClip], seeds: Sequence[int]) -> list[Float32Array]:
        """The decoded sound of each clip at 16 kHz."""
        tokens = [Tokens(clip.ids, TOKEN_RATE_HZ, self.codes) for clip in clips]
        voices = [clip.voice for clip in clips]
        if isinstance(self.decoder, BatchDecoder):
            decoded = list(self.decoder.decode_many(tokens, voices=voices, seeds=seeds))
        else:
            each = zip(tokens, voices, seeds, strict=True)
            decoded = [self.decoder.decode(one, voice=voice, seed=seed) for one, voice, seed in each]
        return [_at_16_khz(audio) for audio in decoded]

    def _pair(self, kind: PairSet, number: int, clip: TokenClip, sound: Float32Array) -> "Pair":
        from ..generate.pocket.hearing import Hearing
        from ..generate.training.recoverer import make_pair

        damage = self._damaged if kind != "clean" else _undamaged
        rng = np.random.default_rng([self.seed, _STREAMS[kind], number, 1])
        return make_pair(clip.ids, clip.surprisal_bits, sound, damage, Hearing(), rng)

    def _damaged(self, samples: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, float]:
        journey = travel(samples, rng, self.sounds)
        return journey.samples, journey.speed

    def _seeds(self, kind: PairSet, number: int) -> tuple[int, int]:
        """For the tokens and for the decoder."""
        drawn = np.random.default_rng([self.seed, _STREAMS[kind], number, 0]).integers(2**31, size=2)
        return int(drawn[0]), int(drawn[1])


def _undamaged(samples: Float32Array, _rng: np.random.Generator) -> tuple[Float32Array, float]:
    return samples, 1.0


def _at_16_khz(audio: Audio) -> Float32Array:
    samples = np.asarray(audio.samples, np.float32)
    if not len(samples) or not np.isfinite(samples).all():
        raise CovoguardError("the decoder gave no sound, or sound that is not finite; check the model's weights")
    if audio.rate_hz == DETECTOR_RATE_HZ:
        return samples
    return np.asarray(soxr.resample(samples, audio.rate_hz, DETECTOR_RATE_HZ), np.float32)


def _packed(pairs: "Sequence[Pair]") -> Piece:
    import torch

    columns = {
        "mel": np.concatenate([pair.mel for pair in pairs]),
        "ids": np.concatenate([pair.ids for pair in pairs]),
        "surprisal_bits": np.concatenate([pair.surprisal_bits for pair in pairs]),
    }
    about = {"frames": [len(pair.mel) for pair in pairs], "cells": [len(pair.ids) for pair in pairs]}
    return {name: torch.from_numpy(column) for name, column in columns.items()}, about


def _unpacked(piece: Piece) -> "list[Pair]":
    from ..generate.training.recoverer import Pair

    tensors, about = piece
    frames, cells = np.cumsum(about["frames"])[:-1], np.cumsum(about["cells"])[:-1]
    mel = np.split(tensors["mel"].numpy(), frames)
    ids, bits = (np.split(tensors[name].numpy(), cells) for name in ("ids", "surprisal_bits"))
    return [Pair(*each) for each in zip(mel, ids, bits, strict=True)]
