"""Scores of clips that a network was not trained on, under the fixed test conditions, whole and cut short."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from ..core.audio import VoiceActivity
from ..core.progress import Progress, silent
from ..core.rates import DETECTOR_RATE_HZ
from ..core.records import Audio, Float32Array, Row, Segment
from ..datasets.degrade.conditions import CONDITIONS
from ..detect.training.networks import DetectorNetwork
from ..detect.windows import crop_windows, cut_to_speech, fill_crop, pool, speech_windows
from .sound_file import SoundFile
from .training_sounds import worked_ahead
from .trials import CUT_SPEECH_S, SINGLE_SPEECH_S, Trials


class HeardClip(NamedTuple):
    """What a detector says of a clip."""

    score: float
    embeddings: npt.NDArray[np.float32] | None = None
    """(windows, d): the members' embeddings side by side, of a detector whose graph gives them."""


HearClip = Callable[[Float32Array], HeardClip]
"""From 16 kHz samples (n,) of a whole clip."""
Scores = Mapping[float, Mapping[str, float]]
"""Of one clip: by nominal seconds of speech and by condition."""
_WHOLE_WINDOWS = "logband-resnet"
"""The network that hears a window as long as it is, and whose graph gives embeddings; others hear crops, shorter ones
repeated, as in training."""


@dataclass
class ConditionSounds:
    """The sounds of clips under every condition, by number of clip; sent to the processes that make them."""

    clips: SoundFile
    seed: int
    _voice: VoiceActivity | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Without the voice detector, which each process loads for itself."""
        return {**self.__dict__, "_voice": None}

    def __getitem__(self, number: int) -> dict[float, dict[str, Float32Array]]:
        """By nominal seconds of speech and by condition."""
        self._voice = self._voice or VoiceActivity()
        samples = self.clips.read(number)
        spans = {SINGLE_SPEECH_S: Segment(0.0, len(samples) / DETECTOR_RATE_HZ), **speech_cuts(samples, self._voice)}
        sounds: dict[float, dict[str, Float32Array]] = {speech_s: {} for speech_s in spans}
        for name, condition in CONDITIONS.items():
            heard = condition(samples, np.random.default_rng([self.seed, 1_000_000 + number]))
            for speech_s, span in spans.items():
                part = heard[round(span.start_s * DETECTOR_RATE_HZ) : round(span.end_s * DETECTOR_RATE_HZ)]
                sounds[speech_s][name] = part
        return sounds


def speech_cuts(clip: Float32Array, voice_activity: VoiceActivity) -> dict[float, Segment]:
    """Where 16 kHz `clip` holds 1 and 2 s of speech, by seconds of speech; without those that it has too little for."""
    regions = voice_activity.segments(Audio(clip, DETECTOR_RATE_HZ))
    cuts = {speech_s: cut_to_speech(regions, speech_s, len(clip) / DETECTOR_RATE_HZ) for speech_s in CUT_SPEECH_S}
    return {speech_s: cut for speech_s, cut in cuts.items() if cut is not None}


def hear_clips(
    clips: SoundFile, numbers: Sequence[int], hear: HearClip, *, seed: int, jobs: int, progress: Progress = silent
) -> tuple[dict[int, Scores], list[npt.NDArray[np.float32]]]:
    """Scores of each of the clips, and the embeddings of each whole one under each condition, where there are any."""
    scores: dict[int, Scores] = {}
    embeddings = []
    sounds = worked_ahead(ConditionSounds(clips, seed), numbers, jobs)
    for done, (number, by_length) in enumerate(zip(numbers, sounds, strict=True), start=1):
        heard = {
            speech_s: {name: hear(samples) for name, samples in under.items()} for speech_s, under in by_length.items()
        }
        scores[number] = {
            speech_s: {name: each.score for name, each in under.items()} for speech_s, under in heard.items()
        }
        whole = heard[SINGLE_SPEECH_S].values()
        embeddings += [each.embeddings for each in whole if each.embeddings is not None]
        progress(done, len(numbers), "measuring")
    return scores, embeddings


def hear_with(kind: str, networks: Sequence[DetectorNetwork], device: torch.device) -> HearClip:
    """How the finished detector would hear a clip that is speech throughout: the mean of networks and windows."""
    has_embeddings = kind == _WHOLE_WINDOWS
    windows_over = speech_windows if has_embeddings else crop_windows
    ready = [network.to(device).eval() for network in networks]

    @torch.inference_mode()
    def hear(samples: Float32Array) -> HeardClip:
        duration_s = len(samples) / DETECTOR_RATE_HZ
        windows = windows_over([Segment(0.0, duration_s)], duration_s)
        parts = [samples[round(w.start_s * DETECTOR_RATE_HZ) : round(w.end_s * DETECTOR_RATE_HZ)] for w in windows]
        heard = parts if has_embeddings else [fill_crop(part) for part in parts]
        scores, embeddings = [], []
        for part in heard:
            row = torch.from_numpy(np.ascontiguousarray(part))[None].to(device)
            features = ready[0].features(row)  # every member has the same front end
            views = [network.embedding(features) for network in ready]
            scores += [float(network.classify(view)[0]) for network, view in zip(ready, views, strict=True)]
            embeddings.append(torch.cat(views, dim=1)[0].cpu().numpy())
        return HeardClip(pool(scores), np.stack(embeddings) if has_embeddings else None)

    return hear


def trials_of(rows: Sequence[Row], scores: Mapping[int, Scores]) -> tuple[Trials, list[Trials]]:
    """The trials of whole clips, and those of the cuts."""
    whole, *shorter = (_of_length(rows, scores, speech_s) for speech_s in (SINGLE_SPEECH_S, *CUT_SPEECH_S))
    return whole, shorter


def _of_length(rows: Sequence[Row], scores: Mapping[int, Scores], speech_s: float) -> Trials:
    there = [number for number in range(len(rows)) if speech_s in scores[number]]
    return Trials(
        tuple(rows[number] for number in there),
        {name: np.array([scores[number][speech_s][name] for number in there]) for name in CONDITIONS},
        speech_s,
    )
