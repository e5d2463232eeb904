"""A tiny detector and a stream of made-up recordings, for tests of the training; as a script, processes that train.

python -P tests/training_tones.py FOLDER step:7 renaming:15 joined:0 joined:1
"""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

import covoguard.core.wholefile as wholefile
from covoguard.detect.metrics.cllr import min_cllr
from covoguard.detect.training.batch import Batch
from covoguard.detect.training.loop import fit
from covoguard.detect.training.networks import DetectorNetwork
from covoguard.detect.training.recipe import TrainingRecipe

SAMPLES = 256
GENUINE_BAND, SPOOF_BAND = 0.06, 0.31
"""In cycles per sample: every recording has the first tone, generated ones have the second as well."""
SOURCE_BANDS = (0.13, 0.21)
FAMILY_BANDS = (0.37, 0.45)


class ToneNetwork(DetectorNetwork):
    """A bank of learned filters, their mean magnitude, and one layer; batch norm and dropout if asked."""

    def __init__(self, seed=0, *, norm=False, dropout=0.0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.bank = nn.Conv1d(1, 16, 32, bias=False)
            self.norm = nn.BatchNorm1d(16) if norm else nn.Identity()
            self.hidden = nn.Sequential(nn.Linear(16, 12), nn.Tanh(), nn.Dropout(dropout))
            self.out = nn.Linear(12, 1)
        self.embedding_size = 12

    @classmethod
    def build(cls, start):
        return cls()

    def embedding(self, samples):
        magnitudes = torch.log(self.bank(samples[:, None]).abs().mean(dim=2) + 1e-3)
        return self.hidden(self.norm(magnitudes))

    def classify(self, embedding):
        return self.out(embedding)[:, 0]


@dataclass
class ToneSource:
    """Batches of 16: four pairs, four genuine recordings, four generated ones; all are drawn from the epoch's number.

    `artefact` is the level of the tone that gives generated speech away, `leak` that of the tone of the source.
    """

    n_families: int = 2
    n_sources: int = 2
    steps_per_epoch: int = 5
    artefact: float = 0.5
    leak: float = 0.5
    turned_from: int | None = None
    """From this epoch on the labels of class are exchanged."""
    clips_held_out: int = 48

    def epoch(self, number, *, rank, world):
        rng = np.random.default_rng([7, number])
        for _ in range(self.steps_per_epoch):
            batch = self.draw(rng)
            if self.turned_from is not None and number >= self.turned_from:
                batch = Batch(batch.samples, 1 - batch.is_spoof, batch.family, batch.source, batch.pair)
            rows = slice(rank * 16 // world, (rank + 1) * 16 // world)
            yield Batch(*(each[rows] for each in vars(batch).values()))

    def held_out(self):
        rng = np.random.default_rng(8)
        for _ in range(self.clips_held_out // 16):
            yield self.draw(rng)

    def draw(self, rng):
        # each half of eight rows holds two pairs, so that two processes see whole pairs
        is_spoof = np.tile([0.0, 1.0], 8).astype(np.float32)
        pair = np.tile([0, 0, 1, 1, -1, -1, -1, -1], 2) + np.repeat([0, 2], 8)
        pair[np.tile([4, 5, 6, 7], 2) + np.repeat([0, 8], 4)] = -1
        source = rng.integers(0, 2, 16)
        source[1::2] = np.where(pair[1::2] >= 0, source[0::2], source[1::2])
        family = np.where(is_spoof == 1, rng.integers(0, 2, 16), -1)
        rows = [self._sound(rng, *labels) for labels in zip(is_spoof, source, family, strict=True)]
        return Batch(
            samples=torch.from_numpy(np.stack(rows).astype(np.float32)),
            is_spoof=torch.from_numpy(is_spoof),
            family=torch.from_numpy(family),
            source=torch.from_numpy(source),
            pair=torch.from_numpy(pair),
        )

    def _sound(self, rng, is_spoof, source, family):
        tones = [(GENUINE_BAND, 0.5), (SOURCE_BANDS[source], self.leak)]
        if is_spoof:
            tones += [(SPOOF_BAND, self.artefact), (FAMILY_BANDS[family], 0.4 * self.artefact)]
        time = np.arange(SAMPLES)
        sound = sum(level * np.sin(2 * np.pi * (band * time + rng.random())) for band, level in tones)
        return sound + 0.2 * rng.standard_normal(SAMPLES)


RECIPE = TrainingRecipe(
    epochs=3, learning_rate=1e-2, pair_weight=0.5, family_weight=0.2, source_adversary_weight=0.2, mixup=0.3,
    checkpoint_interval_s=0.0, journal_interval_steps=2,
)  # fmt: skip
"""Everything at once: what is resumed must be all of it."""
JOINT_RECIPE = TrainingRecipe(
    epochs=2, learning_rate=1e-2, pair_weight=0.5, family_weight=0.2, source_adversary_weight=0.2
)


@dataclass
class DyingSource(ToneSource):
    """Kills its process before it gives the batch of a step."""

    at_step: int = 0

    def epoch(self, number, *, rank, world):
        for index, batch in enumerate(super().epoch(number, rank=rank, world=world)):
            if number * self.steps_per_epoch + index == self.at_step:
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch


def die_when_replacing(count):
    """Kill the process in place of the `count`-th renaming of a file."""
    replace, done = os.replace, [0]

    def dying(source, target):
        done[0] += 1
        if done[0] == count:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    wholefile.os.replace = dying


def killed_at_step(folder, step):
    fit(ToneNetwork(norm=True, dropout=0.2), DyingSource(at_step=step), RECIPE, folder, seed=5, device="cpu")


def killed_at_renaming(folder, count):
    die_when_replacing(count)
    fit(ToneNetwork(norm=True, dropout=0.2), ToneSource(), RECIPE, folder, seed=5, device="cpu")


def joined(folder, rank):
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    fitted = fit(ToneNetwork(), ToneSource(), JOINT_RECIPE, folder / "joined", seed=5, device="cpu")
    save_file(fitted.network.state_dict(), folder / f"joined_rank{rank}.safetensors")
    if rank == 0:
        assert fitted.history[-1].held_out is not None


JOBS = {"step": killed_at_step, "renaming": killed_at_renaming, "joined": joined}


def fork(folder, job, number):
    """Start a job in a copy of this process: importing torch anew for each would take most of the tests' time."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        JOBS[job](folder if job == "joined" else folder / f"{job}{number}", int(number))
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(folder, *words):
    torch.set_num_threads(1)
    torch.optim.AdamW([nn.Parameter(torch.zeros(1))])  # loads what is slow to load, once for all
    min_cllr([0.0, 1.0], [False, True])
    jobs = [word.split(":") for word in words]
    children = [fork(folder, *job) for job in jobs]
    for (job, number), child in zip(jobs, children, strict=True):
        sys.stdout.write(f"{job} {number} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
