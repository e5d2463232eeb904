"""Trains a network of copy-synthesis on the genuine clips of a collection, and writes its model folder.

A run that is stopped goes on with the same command; the folder appears when it is whole.
"""

import dataclasses
import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..core.errors import CovoguardError, InputError, IntegrityError, UsageError
from ..core.modelcard import CARD_NAME, seal_model
from ..core.rates import DETECTOR_RATE_HZ
from ..core.version import __version__
from ..datasets.store import StoreRow
from .clip_sounds import SILENT_PEAK
from .genuine_clips import GenuineClip, open_genuine
from .training_folder import TrainingFolder

if TYPE_CHECKING:
    from ..datasets.copies.neural.network import CopierNetwork
    from ..datasets.copies.neural.train import CopierTraining

CHECKPOINT = "checkpoint.safetensors"
_CHECKPOINT_S = 60.0
"""A run that is killed loses about so much."""
_REPORT_STEPS = 100
_MOST_SAMPLES = 8 * 3600 * DETECTOR_RATE_HZ
"""More is not heard: the networks are small, and it all lies in memory."""
_HELD_OUT_SHARE, _MOST_HELD_OUT = 0.02, 16

Int16Array = npt.NDArray[np.int16]
Report = Callable[[str], None]


@dataclass(frozen=True)
class CopierOrder:
    """Which network is trained, and for how long."""

    kind: str
    """Of `NETWORKS`."""
    variant: str = "a"
    minutes: float | None = 15.0
    """None: `steps` says when to stop."""
    steps: int | None = None
    seed: int = 1


@dataclass(frozen=True)
class _Speech:
    """Genuine clips in memory, and what is known of them."""

    train: list[Int16Array]
    held_out: list[Int16Array]
    """For the figures of the card alone."""
    about: dict[str, Any]


def train_copier(collection: Path, place: Path, order: CopierOrder, *, report: Report) -> dict[str, Any]:
    """Make the model folder `place`, or go on with what an earlier run of the same order left; -> its card.

    Only the genuine clips of the store or CSV manifest `collection` are heard; one that cannot be used is reported
    and left out. Raises `UsageError` for an unknown network or variant, for a collection without usable genuine
    clips, for a place that is taken; `CovoguardError` when the disk is full.
    """
    network = _new_network(order)
    speech = _speech_of(collection, order.seed, report)
    with TrainingFolder.open(place, _settings(order, network, speech)) as folder:
        training = _trained(network, speech, order, folder, report)
        card = _card(training, speech, order)
        folder.publish(partial(_write, network=training.finished(), card=card))
    return card


def _new_network(order: CopierOrder) -> "CopierNetwork":
    import torch

    from ..datasets.copies.neural.network import NETWORKS

    network_class = NETWORKS.get(order.kind)
    if order.variant not in network_class.variants:
        known = ", ".join(network_class.variants)
        raise UsageError(f"{order.kind} has no variant {order.variant!r}; known: {known}")
    if (order.minutes is None) == (order.steps is None):
        raise UsageError("say how long to train: either minutes or steps")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(order.seed)
        return network_class(network_class.variants[order.variant])


def _speech_of(collection: Path, seed: int, report: Report) -> _Speech:
    """The usable clips in an order that is drawn, up to eight hours. Raises `UsageError` when none is left."""
    clips: list[Int16Array] = []
    rows: list[StoreRow] = []
    room = _MOST_SAMPLES
    with open_genuine(collection) as listed:
        for index in np.random.default_rng(seed).permutation(len(listed)):
            found = _usable(listed[index], report)
            if found is not None and len(found[1]) <= room:
                rows.append(found[0])
                clips.append(found[1])
                room -= len(found[1])
    if not clips:
        raise UsageError(f"{collection}: none of its genuine clips can be used; see the lines above")
    held = min(_MOST_HELD_OUT, int(len(clips) * _HELD_OUT_SHARE))
    return _Speech(clips[held:], clips[:held] or clips[:1], _about(rows, clips, held))


def _usable(clip: GenuineClip, report: Report) -> tuple[StoreRow, Int16Array] | None:
    try:
        row, samples = clip.read()
        if not len(samples) or not np.isfinite(samples).all() or float(np.abs(samples).max()) < SILENT_PEAK:
            raise InputError(f"{clip.path}: holds no sound; leave it out", code="no_speech")
    except (InputError, UsageError) as error:
        report(f"left out: {error.message}")
        return None
    return row, np.clip(np.rint(samples * 32767), -32768, 32767).astype(np.int16)


def _about(rows: list[StoreRow], clips: list[Int16Array], held: int) -> dict[str, Any]:
    digest = hashlib.sha256("\n".join(sorted(str(row.key) for row in rows)).encode()).hexdigest()
    seconds = sum(map(len, clips)) / DETECTOR_RATE_HZ
    return {
        "clips": len(clips),
        "held_out_clips": held,
        "hours": round(seconds / 3600, 4),
        "sources": dict(sorted(Counter(str(row.source or "not stated") for row in rows).items())),
        "licences": dict(sorted(Counter(str(row.licence or "not stated") for row in rows).items())),
        "clips_sha256": digest,
    }


def _settings(order: CopierOrder, network: "CopierNetwork", speech: _Speech) -> dict[str, Any]:
    from ..datasets.copies.neural.copier import shape_of

    clips = speech.about["clips_sha256"]
    return {**dataclasses.asdict(order), "shape": shape_of(network), "clips_sha256": clips, "version": __version__}


def _trained(
    network: "CopierNetwork", speech: _Speech, order: CopierOrder, folder: TrainingFolder, report: Report
) -> "CopierTraining":
    """The training after its last step, from the last checkpoint on."""
    from ..datasets.copies.neural.train import CopierTraining, TrainingPlan

    plan = TrainingPlan(seed=order.seed, minutes=order.minutes, steps=order.steps)
    training = CopierTraining(network, speech.train, plan)
    _restore(training, folder, report)
    saved = time.monotonic()
    while training.done < 1:
        training.advance()
        if training.step % _REPORT_STEPS == 0:
            losses = ", ".join(f"{name} {value:.3f}" for name, value in training.running.items())
            report(f"step {training.step}, {100 * training.done:.0f} %: {losses}")
        if time.monotonic() - saved > _CHECKPOINT_S or training.done >= 1:
            folder.save(CHECKPOINT, *training.state())
            saved = time.monotonic()
    return training


def _restore(training: "CopierTraining", folder: TrainingFolder, report: Report) -> None:
    piece = folder.load(CHECKPOINT)
    if piece is None:
        return
    path = folder.path / CHECKPOINT
    try:
        training.restore(*piece)
    except ValueError as error:
        raise IntegrityError(f"{path}: {error}; remove it, and training begins anew") from error
    report(f"going on after step {training.step}")


def _card(training: "CopierTraining", speech: _Speech, order: CopierOrder) -> dict[str, Any]:
    from ..datasets.copies.neural.copier import WEIGHTS, shape_of
    from ..datasets.copies.neural.figures import likeness

    network = training.finished()
    measured = likeness(network, [(clip / np.float32(32768)).astype(np.float32) for clip in speech.held_out])
    if not np.isfinite(measured.spectral_loss):
        raise CovoguardError("the training did not converge; try another seed, or train it for longer")
    parameters = sum(each.numel() for each in network.parameters())
    return {
        "id": f"neural-{order.kind}-{order.variant}",
        "version": "1",
        "copier": order.kind,
        "weights": WEIGHTS,
        "summary": f"Copies speech at 16 kHz through the network {order.kind}, to make spoofs that detectors learn "
        "from. The words, the voice and the channel are those of the recording.",
        "licence": "that of the recordings it was trained on, see below",
        "kind": network.kind,
        "family": network.family,
        "shape": shape_of(network),
        "parameters": parameters,
        "training": {
            "plan": dataclasses.asdict(training.plan),
            "steps": training.step,
            "seconds": round(training.seconds, 1),
            "data": speech.about,
            "tool_version": __version__,
        },
        "measured": {**dataclasses.asdict(measured), "clips_were_trained_on": not speech.about["held_out_clips"]},
        "not_for": ["making speech that passes for a recording: it is small, and meant to have audible flaws"],
        "limits": ["16 kHz, mono; trained for minutes, on the voices and languages of its recordings"],
    }


def _write(folder: Path, *, network: "CopierNetwork", card: dict[str, Any]) -> None:
    from safetensors.torch import save

    state = {name: each.contiguous() for name, each in network.state_dict().items()}
    (folder / str(card["weights"])).write_bytes(save(state))
    (folder / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    seal_model(folder)
