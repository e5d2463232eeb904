"""Held-out scores of a training run, by length of file: whole clips, clips cut short, clips joined."""

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.records import Row
from ..detect.calibration import MIN_TRIALS_PER_CLASS
from ..detect.windows import pool

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_WHO = ("clip", "label", "generator", "family", "kind", "source", "speaker", "fold")

SINGLE_SPEECH_S = 3.0
"""Nominal speech of one clip: one window."""
CUT_SPEECH_S = (1.0, 2.0)
"""Speech that clips are cut to, for trials of shorter files."""
JOINED_CLIPS = 4
LONGER_CLIPS = (JOINED_CLIPS, 2 * JOINED_CLIPS)
"""Clips of one voice that are joined, for trials of longer files: 12 s and 24 s."""


@dataclass(frozen=True)
class Trials:
    """Held-out scores (n,) of all rows, by test condition; `clean` is one of them. All files are about as long."""

    rows: tuple[Row, ...]
    scores: Mapping[str, FloatArray]
    speech_s: float = SINGLE_SPEECH_S
    """Nominal speech in each file."""

    @property
    def is_spoof(self) -> BoolArray:
        """True for generated speech (n,)."""
        return np.array([row.label == "spoof" for row in self.rows], dtype=bool)

    @property
    def folds(self) -> npt.NDArray[np.str_]:
        """Fold of each row (n,)."""
        return np.array([str(row.split) for row in self.rows])

    def write(self, path: Path, shorter: Sequence["Trials"] = ()) -> None:
        """One line per clip: who it is and its score under each condition, so that every figure can be redone.

        Scores of shorter cuts stand in columns such as `clean@1s`, empty for clips with too little speech.
        """
        columns = [(name, dict(zip(self._ids, values, strict=True))) for name, values in self.scores.items()]
        for each in shorter:
            columns += [
                (f"{name}@{each.speech_s:g}s", dict(zip(each._ids, values, strict=True)))
                for name, values in each.scores.items()
            ]
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*_WHO, *(name for name, _ in columns)])
            for row in self.rows:
                scores = [f"{column[row.clip_id]:.5f}" if row.clip_id in column else "" for _, column in columns]
                who = [row.clip_id, row.label, row.generator, row.family, row.kind, row.source, row.speaker, row.split]
                writer.writerow(["" if value is None else value for value in who] + scores)

    @property
    def of_either_class(self) -> int:
        """Trials of the class that has fewer."""
        return min(int(self.is_spoof.sum()), int((~self.is_spoof).sum()))

    def select(self, keep: BoolArray) -> "Trials":
        """The rows where `keep` (n,) is true."""
        rows = tuple(row for row, kept in zip(self.rows, keep, strict=True) if kept)
        return replace(self, rows=rows, scores={name: scores[keep] for name, scores in self.scores.items()})

    @property
    def _ids(self) -> list[str]:
        return [row.clip_id for row in self.rows]

    def sources_of_one_fold(self) -> set[str | None]:
        """Genuine sources that stand in one fold only: the model that scored them never heard their like."""
        folds: dict[str | None, set[str | None]] = defaultdict(set)
        for row in self.rows:
            if row.label == "bonafide":
                folds[row.source].add(row.split)
        return {source for source, where in folds.items() if len(where) == 1}

    def joined(self, clips: int = JOINED_CLIPS) -> "Trials":
        """Made-up longer recordings: `clips` of one voice or generator and one fold, pooled as a scan pools windows.

        Clips of one speaker stand in for one long recording of that speaker, which they are only nearly. Genuine
        clips without a named speaker are left out: together they would be several voices.
        """
        members: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, row in enumerate(self.rows):
            if row.label == "spoof":
                members["spoof", str(row.generator), str(row.split)].append(index)
            elif row.speaker:
                members["bonafide", f"{row.source}/{row.speaker}", str(row.split)].append(index)
        together = [
            indices[start : start + clips]
            for indices in members.values()
            for start in range(0, len(indices) - clips + 1, clips)
        ]
        return Trials(
            tuple(self.rows[indices[0]] for indices in together),
            {name: np.array([pool(scores[indices]) for indices in together]) for name, scores in self.scores.items()},
            clips * self.speech_s,
        )


def by_length(trials: Trials, shorter: Sequence[Trials] = ()) -> tuple[Trials, ...]:
    """Trials of every length that has 20 of each class, shortest first: what calibrations are fitted to.

    `trials` are the whole clips, always among them; `shorter` the same clips cut short; longer ones are made here.
    """
    longer = [trials.joined(clips) for clips in LONGER_CLIPS]
    enough = [each for each in (*shorter, *longer) if each.of_either_class >= MIN_TRIALS_PER_CLASS]
    return tuple(sorted([*enough, trials], key=lambda each: each.speech_s))
