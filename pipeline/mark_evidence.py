"""Token marks in sound: recoverer, mark table, secret keys and the test of presence, bound together.

`verify`, `scan` and `generate` all ask here, so the same sound gives the same answer under the same keys.
"""

import math
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np

from ..core.audio import AudioReader, open_input
from ..core.errors import IntegrityError, KeyMissing, ModelMissing, UsageError
from ..core.keys import SecretKey
from ..core.markrecord import KeyReading, MarkAlignment, MarkedSpan, MarkPayload, MarkStatus, TokenMark
from ..core.modelcard import CHECKSUMS_NAME, ModelFolder, open_model
from ..core.protocols import TokenRecoverer
from ..core.rates import TOKEN_RATE_HZ
from ..core.records import Audio, Posteriors
from ..watermark.evidence.keytables import KeyTables
from ..watermark.evidence.presence import PresenceTest
from ..watermark.evidence.reading import MarkReading
from ..watermark.evidence.several import combine_keys
from ..watermark.evidence.spans import MarkSpan
from ..watermark.evidence.symbols import symbol_scores
from ..watermark.payload import decode
from ..watermark.table import MarkTable, table_from_json

TABLE_NAME = "mark_table.json"
"""Where a model folder keeps its mark table."""
DEFAULT_ALPHA = 1e-6
"""Probability of a false alarm that a reading allows itself per file, over random keys."""
RECOVERER_FOLDER = "recoverer"
"""Where the folder of a generator may keep its recoverer's own folder."""
KEPT_KEY_BYTES = 512 << 20
"""Expanded keys held in memory: 64 for 1024 codes, 4 for 16384. Of more, each is expanded again for every file."""
NO_RECOVERER = "no_recoverer"
SILENCE_PEAK = 2.0**-15
"""One step of 16-bit sound: below it there is nothing to read."""


class ChecksMarks(Protocol):
    """What looks for marks in sound, or says why it cannot."""

    def check(self, audio: Audio) -> TokenMark:
        """The answer for sound at any rate."""
        ...


class MarkChecker:
    """Looks for the marks of several keys. One serves all threads: nothing changes between calls but a cache.

    The bound `alpha` is shared out evenly over the keys: each epoch of each is tested at alpha over their
    number, so a file without a mark under any of them is called `present` with probability at most alpha.
    """

    def __init__(
        self,
        recoverer: TokenRecoverer,
        table: MarkTable,
        keys: Sequence[SecretKey],
        *,
        alpha: float = DEFAULT_ALPHA,
        payload: bool = False,
    ) -> None:
        """`payload`: the speech was marked with a payload, so presence is looked for in the other half of the slots.

        Raises `KeyMissing` without a key, `IntegrityError` when table and recoverer are not of one model.
        """
        if not keys:
            raise KeyMissing("there is no key to look for marks with; make one with `covoguard keys new`")
        if table.codebook_size != recoverer.codebook_size:
            raise IntegrityError(
                f"{recoverer.model.path}: the mark table is for {table.codebook_size} codes, the recoverer reads "
                f"{recoverer.codebook_size}; install the model again"
            )
        self.alpha = alpha
        self._payload = payload
        self._recoverer = recoverer
        self._table = table
        self._keys = tuple(keys)
        self._test = PresenceTest(table, alpha / len(keys))
        self._key_tables = lru_cache(kept_key_tables(table))(self._prepared)

    def check(self, audio: Audio) -> TokenMark:
        """The answer for sound at any rate; what is too short or silent comes back as `not_checked`."""
        reason = why_not(audio)
        if reason is not None:
            return self._answer([_unread(key, reason) for key in self._keys], (), None)
        passes = RecoveredPasses(self._recoverer, audio)
        n_keys = len(self._keys)
        found, readings, spans = {}, [], []
        for index, key in enumerate(self._keys):
            tables = self._key_tables(index)
            found[index] = self._test.test(passes, tables)
            payload = _payload(passes, found[index].spans, tables) if self._payload else None
            readings.append(_key_reading(key, found[index], n_keys, payload))
            spans += [_marked_span(key, span, n_keys) for span in found[index].spans]
        return self._answer(readings, spans, combine_keys(found, self.alpha).log10_e)

    def _prepared(self, index: int) -> KeyTables:
        return self._test.prepare(self._table.subkeys(self._keys[index]), payload=self._payload)

    def _answer(self, readings: Sequence[KeyReading], spans: Iterable[MarkedSpan], log10_e: float | None) -> TokenMark:
        strongest = min(readings, key=lambda each: math.inf if each.log10_p is None else each.log10_p)
        return TokenMark(
            status=_status_of_all(readings),
            reason=strongest.reason,
            log10_alpha=math.log10(self.alpha),
            log10_p=strongest.log10_p,
            log10_e=log10_e,
            log10_p_sharp=min(
                (each.log10_p_sharp for each in readings if each.log10_p_sharp is not None), default=None
            ),
            seconds_used=strongest.seconds_used,
            seconds_needed=strongest.seconds_needed,
            spans=tuple(sorted(spans, key=lambda span: (span.start_s, span.end_s))),
            keys=tuple(readings),
            model=self._table.model,
            table_sha256=self._table.sha256,
            recoverer=self._recoverer.model.id,
            recoverer_sha256=self._recoverer.model.model_sha256,
        )


class BlindChecker:
    """Stands in where a model has no recoverer: every sound is `not_checked`, and says so."""

    def __init__(self, model: ModelFolder, keys: Sequence[SecretKey], *, alpha: float = DEFAULT_ALPHA) -> None:
        """`model` is that of the generator. Raises `KeyMissing` without a key."""
        if not keys:
            raise KeyMissing("there is no key to look for marks with; make one with `covoguard keys new`")
        self.alpha = alpha
        self._answer = TokenMark(
            status="not_checked", reason=NO_RECOVERER, log10_alpha=math.log10(alpha), log10_p=None, log10_e=None,
            log10_p_sharp=None, seconds_used=0.0, seconds_needed=None, spans=(),
            keys=tuple(_unread(key, NO_RECOVERER) for key in keys), model=model.id,
            table_sha256=table_of_folder(model).sha256 if TABLE_NAME in model.checksums else None,
            recoverer=None, recoverer_sha256=None,
        )  # fmt: skip

    def check(self, audio: Audio) -> TokenMark:
        """`not_checked`, whatever the sound."""
        return self._answer


class RecoveredPasses:
    """The posteriors of one sound by speed, each recovered once, when it is first asked for by any thread."""

    def __init__(self, recoverer: TokenRecoverer, audio: Audio) -> None:
        """Nothing is recovered yet."""
        self._recoverer = recoverer
        self._audio = audio
        self._passes: dict[float, Posteriors] = {}
        self._lock = threading.Lock()

    def __call__(self, speed: float) -> Posteriors:
        """The pass that takes the sound for `speed` times too fast."""
        with self._lock:
            if speed not in self._passes:
                self._passes[speed] = self._recoverer.recover(self._audio, speed=speed)
            return self._passes[speed]


@dataclass(frozen=True)
class WrittenClip:
    """A sound file as it lies on disk."""

    sha256: str
    duration_s: float
    token_mark: TokenMark | None


def load_recoverer(folder: Path | None = None) -> TokenRecoverer:
    """The recoverer in `folder`: a recoverer folder, or that of a generator that has one (None: the bundled one).

    Raises `UsageError` for the folder of a detector, `ModelMissing` (code `no_recoverer`) for a generator without a
    recoverer, and `ModelMissing` or `IntegrityError` for a folder that is not whole.
    """
    import torch

    from ..generate.pocket.recoverer import PocketRecoverer

    # --jobs is the parallelism; for more threads each, the networks are too small (7 x the CPU time was seen)
    torch.set_num_threads(1)
    if folder is None:
        return PocketRecoverer.load()
    model = open_model(folder)
    if model.part == ("generator", "pocket"):
        return PocketRecoverer.load(folder)
    return _frame_recoverer(model)


def load_table(recoverer: TokenRecoverer) -> MarkTable:
    """The mark table of the recoverer's model. Raises `ModelMissing` and `IntegrityError`."""
    return table_of_folder(recoverer.model)


def table_of_folder(model: ModelFolder) -> MarkTable:
    """The mark table in a folder. Raises `ModelMissing` and `IntegrityError`."""
    return table_from_json(model.read_bytes(TABLE_NAME), str(model.path / TABLE_NAME))


def load_marking_table(folder: Path | None = None) -> MarkTable:
    """The table under which the model in `folder` (None: the bundled one) marks.

    That of a generator's recoverer where it has one, else its own. Raises `ModelMissing` for a model without a table,
    and as `open_model`.
    """
    if folder is None:
        from ..generate.pocket.model import BUNDLED

        folder = BUNDLED
    return table_of_folder(open_model(recoverer_folder(folder) or folder))


def recoverer_folder(folder: Path) -> Path | None:
    """The recoverer's own folder inside that of a generator; None: there is none."""
    inside = folder / RECOVERER_FOLDER
    return inside if (inside / CHECKSUMS_NAME).is_file() else None


def load_mark_checker(
    keys: Sequence[SecretKey], folder: Path | None = None, *, alpha: float = DEFAULT_ALPHA, payload: bool = False
) -> MarkChecker | BlindChecker:
    """A checker of `keys` with the model in `folder` (None: the bundled one).

    For a generator without a recoverer it is one that checks nothing and says so. Raises as its parts.
    """
    try:
        recoverer = load_recoverer(folder)
    except ModelMissing as error:
        if error.code != NO_RECOVERER or folder is None:
            raise
        return BlindChecker(open_model(folder), keys, alpha=alpha)
    return MarkChecker(recoverer, load_table(recoverer), keys, alpha=alpha, payload=payload)


def kept_key_tables(table: MarkTable) -> int:
    """How many expanded keys of this table are held in memory."""
    return max(1, KEPT_KEY_BYTES // (2 * table.codebook_size * table.n_slots))


def _frame_recoverer(model: ModelFolder) -> TokenRecoverer:
    from ..generate.recovery.frames import FrameRecoverer

    kind, name = model.part
    if kind == "detector":
        raise UsageError(f"{model.path}: a model of the detector {name}; give the folder of a generator or a recoverer")
    if kind == "recoverer":
        return FrameRecoverer(model)
    inside = recoverer_folder(model.path)
    if inside is None:
        raise ModelMissing(
            f"no recoverer for model {model.id} in {model.path}; train one with `covoguard recover train`, or verify "
            "from the ledger",
            code="no_recoverer",
        )
    recoverer = FrameRecoverer.load(inside)
    if recoverer.for_model.model_sha256 != model.model_sha256:
        raise IntegrityError(
            f"{inside}: reads the tokens of {recoverer.for_model.id}, not of {model.id} in {model.path}; "
            "train one for this model, or remove the folder"
        )
    return recoverer


def check_written(path: Path, reader: AudioReader, checker: ChecksMarks | None) -> WrittenClip:
    """Read back a clip that has just been written: its hash, its seconds, and its mark (checker None: not looked for).

    Raises `InputError` when it cannot be read or decoded.
    """
    with open_input(path) as opened:
        audio = reader.read(opened).audio
    return WrittenClip(opened.sha256, audio.duration_s, checker.check(audio) if checker else None)


def why_not(audio: Audio) -> str | None:
    """The code of what keeps the sound from being tested at all, whatever the key."""
    if len(audio.samples) * TOKEN_RATE_HZ < audio.rate_hz:
        return "too_short"
    return "no_speech" if float(np.abs(audio.samples).max()) < SILENCE_PEAK else None


def _unread(key: SecretKey, reason: str) -> KeyReading:
    return KeyReading(key.key_id, key.epoch, "not_checked", reason, None, None, None, 0.0, None, 0, None, None)


def _key_reading(key: SecretKey, reading: MarkReading, n_keys: int, payload: MarkPayload | None) -> KeyReading:
    best = reading.best
    return KeyReading(
        key_id=key.key_id,
        epoch=key.epoch,
        status=reading.status,
        reason=reading.reason,
        log10_p=None if reading.log10_p is None else corrected(reading.log10_p, n_keys),
        log10_e=reading.log10_e,
        log10_p_sharp=None if reading.log10_p_sharp is None else corrected(reading.log10_p_sharp, n_keys),
        seconds_used=reading.seconds_used,
        seconds_needed=reading.seconds_needed,
        hypotheses_searched=reading.hypotheses_searched,
        alignment=MarkAlignment(best.speed, best.rate, best.phase_s) if best else None,
        payload=payload,
    )


def _payload(passes: "RecoveredPasses", spans: Sequence[MarkSpan], tables: KeyTables) -> MarkPayload | None:
    """The payload along the spans; None where there are none."""
    if not spans:
        return None
    speeds = sorted({span.speed for span in spans})
    decoded = decode(sum(symbol_scores(passes(speed), spans, tables, speed) for speed in speeds))
    if decoded.payload is None:
        return MarkPayload("uncertain", None, None, None)
    return MarkPayload("read", decoded.payload.model, decoded.payload.tenant, decoded.payload.date.isoformat())


def _marked_span(key: SecretKey, span: MarkSpan, n_keys: int) -> MarkedSpan:
    return MarkedSpan(span.start_s, span.end_s, key.key_id, key.epoch, corrected(span.log10_p, n_keys))


def corrected(log10_p: float, n_keys: int) -> float:
    """Bonferroni: `n_keys` times the p-value, at most 1, as log10."""
    return min(0.0, log10_p + math.log10(n_keys))


def _status_of_all(readings: Sequence[KeyReading]) -> MarkStatus:
    statuses = {each.status for each in readings}
    if "present" in statuses:
        return "present"
    return "absent" if "absent" in statuses else "not_checked"
