"""Perth, the mark that Resemble AI's generators (Chatterbox for one) leave by default. Needs the extra `perth`."""

import contextlib
import hashlib
import importlib
import importlib.util
import io
import math
import threading
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...core.audio.resample import resample
from ...core.errors import InputError, ModelMissing, UsageError
from ...core.records import Audio, Float32Array
from ...core.waveformrecord import FalseAlarms, MarkTraits, WaveformFinding, WaveformStatus, not_checked
from ...core.waveformsettings import WAVEFORM_DEFAULTS, WaveformSettings
from ..pieces import SILENCE_PEAK, add_residue, fitted, joined, pieces, require_usable, unusable
from ..registry import WAVEFORM_MARKS

RATE_HZ = 32_000
"""What the network hears. It marks and listens below 2 kHz, so narrow channels carry the mark too."""
HOP_SAMPLES = 320
"""Perth gives back whole hops only."""
MIN_S = 1.0
"""Shorter sound was not part of the trials."""
DETECTED = 0.95
INCONCLUSIVE = 0.5
"""Perth's own threshold, which genuine clips of some collections reach: hence `DETECTED`, which 1 of 500 did."""
INCONCLUSIVE_SWEPT = 0.9
"""Under ten more tries genuine clips reach 0.9996, so no score at another speed is called `detected`."""
SWEEP_SPEEDS = (0.90, 0.92, 0.94, 0.96, 0.98, 1.02, 1.04, 1.06, 1.08, 1.10)
"""A mark that is heard 1 % too fast or too slow loses little (mean score 0.97 of 20 clips), at 2 % a third."""
SWEPT_PIECES = 6
"""Speed belongs to a whole recording, so of a long one only so many pieces, evenly spread, are heard at every speed."""
NEEDED = ("pkg_resources", "librosa", "yaml", "torchaudio")
"""What resemble-perth imports without declaring it."""
HOW_TO_GET = "install it: pip install 'covoguard[perth]'"
ALARMS = {"detected": 1, "inconclusive": 16, "swept": 21}
"""Of so many `TRIALS`: scores from `DETECTED` on, from `INCONCLUSIVE` on, and any hit in a search with the sweep."""
TRIALS = 500
TRIALS_OF = "genuine clips of 1 to 3.5 s drawn from 35 sources, 16 kHz (benchmarks/perth_mark.py)"


@WAVEFORM_MARKS.register("perth")
class PerthMark:
    """One score per piece of at most 20 s, from 0 to 1; the file's is the largest.

    The speed sweep, where it is asked for, repeats the search with the sound slowed down and sped up, unless the sound
    as it is shows a mark. Every try is another chance of a false alarm. So a higher threshold holds there, no hit is
    more than `inconclusive`, and its bound was counted over whole sweeps: a trial was one clip heard at all eleven
    speeds, and one hit among them an alarm. Source: resemble-perth 1.0.1 (MIT), github.com/resemble-ai/Perth.
    """

    traits = MarkTraits(
        "perth",
        keyless=True,
        removable=True,
        limits="A label that a cooperative generator leaves. Anyone can put it on a real recording, and marking a copy "
        "and subtracting the difference takes it off: it proves neither who made the sound nor that a machine did, "
        "and its absence says nothing.",
    )
    message_bytes = 0

    def __init__(self, settings: WaveformSettings = WAVEFORM_DEFAULTS) -> None:
        """Nothing is loaded yet."""
        self._speed_sweep = settings.speed_sweep
        self._lock = threading.Lock()
        self._network: Any = None
        self._sha256: str | None = None

    @classmethod
    def open(cls, settings: WaveformSettings = WAVEFORM_DEFAULTS) -> Self:
        """Never raises: the user gives nothing for this mark."""
        return cls(settings)

    def embed(self, audio: Audio, message: bytes = b"") -> Audio:
        """The mark alone is computed at 32 kHz and added at the native rate, so all else stays as it was.

        Raises `InputError` for what is no sound, `ModelMissing` without the package, `UsageError` for a message.
        """
        if message:
            raise UsageError("perth marks carry no message; leave it out")
        require_usable(audio, MIN_S)
        network = self._loaded()

        def residue(samples: Float32Array) -> Float32Array:
            return _residue(network, samples, audio.rate_hz)

        return Audio(add_residue(audio.samples, audio.rate_hz, residue), audio.rate_hz, audio.source)

    def find(self, audio: Audio) -> WaveformFinding:
        """Score each piece as it is, then at other speeds; `not_checked` where that cannot be done."""
        if problem := unusable(audio, MIN_S):
            return not_checked(self.traits, *problem)
        try:
            network = self._loaded()
        except ModelMissing as error:
            return not_checked(self.traits, error.code, error.message)
        cuts = [cut for cut in pieces(len(audio.samples), audio.rate_hz) if _is_loud(audio.samples[slice(*cut)])]
        scores = _scores(network, audio, cuts, 1.0)
        if not scores:
            return not_checked(self.traits, "mark_failed", "perth gave no number for this sound")
        score = max(scores.values())
        found = WaveformFinding(
            status=_status(score),
            traits=self.traits,
            score=score,
            threshold=DETECTED,
            speed=1.0,
            segments=joined((cut for cut, each in scores.items() if each >= INCONCLUSIVE), audio.rate_hz),
            false_alarms=_false_alarms("detected" if score < INCONCLUSIVE else _status(score), len(cuts)),
            model_sha256=self._sha256,
        )
        return self._swept(network, audio, cuts, found) if self._speed_sweep and score < INCONCLUSIVE else found

    def _swept(
        self, network: Any, audio: Audio, cuts: Sequence[tuple[int, int]], found: WaveformFinding
    ) -> WaveformFinding:
        """`found`, or what is heard at another speed."""
        some = cuts[:: math.ceil(len(cuts) / SWEPT_PIECES)]
        speed, scores = max(
            ((speed, _scores(network, audio, some, speed)) for speed in SWEEP_SPEEDS),
            key=lambda heard: max(heard[1].values(), default=0.0),
        )
        score = max(scores.values(), default=0.0)
        if score < INCONCLUSIVE_SWEPT:
            return found
        return replace(
            found,
            status="inconclusive",
            reason="mark_at_other_speed",
            detail=f"heard only when it is played {1 / speed:.2f} times as fast; so many tries hit by chance too",
            score=score,
            threshold=INCONCLUSIVE_SWEPT,
            speed=speed,
            segments=joined((cut for cut, each in scores.items() if each >= INCONCLUSIVE_SWEPT), audio.rate_hz),
            false_alarms=_false_alarms("swept", len(cuts)),
        )

    def _loaded(self) -> Any:
        """Perth's watermarker. Raises `ModelMissing` (`mark_not_installed`)."""
        with self._lock:
            if self._network is None:
                self._network, self._sha256 = _load()
            return self._network


def _load() -> tuple[Any, str | None]:
    """Perth's watermarker, and the hash of its weights."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources announces its end
            package: Any = importlib.import_module("perth")
    except ImportError as error:
        raise ModelMissing(f"perth is not installed; {HOW_TO_GET}", code="mark_not_installed") from error
    watermarker = getattr(package, "PerthImplicitWatermarker", None)
    if watermarker is None:
        raise ModelMissing(f"resemble-perth cannot run: {_what_is_missing()}; {HOW_TO_GET}", code="mark_not_installed")
    with contextlib.redirect_stdout(io.StringIO()):  # it prints when it loads, and standard output is for results
        network = watermarker()
    return network, _weights_sha256(package)


def _what_is_missing() -> str:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if not missing:
        return "one of its imports fails"
    hint = " (setuptools 81 and later have no pkg_resources)" if "pkg_resources" in missing else ""
    return f"{', '.join(missing)} cannot be imported{hint}"


def _weights_sha256(package: Any) -> str | None:
    """Of the one checkpoint in the package; None where it does not hold just one."""
    file = getattr(package, "__file__", None)
    found = list(Path(file).parent.rglob("*.pth.tar")) if file else []
    return hashlib.sha256(found[0].read_bytes()).hexdigest() if len(found) == 1 else None


def _residue(network: Any, samples: Float32Array, rate_hz: int) -> Float32Array:
    """What the mark adds to mono `samples` (n,), at their rate -> (n,)."""
    import torch

    if not _is_loud(samples):
        return np.zeros_like(samples)
    heard = resample(samples, rate_hz, RATE_HZ)
    whole_hops = np.pad(heard, (0, -len(heard) % HOP_SAMPLES))
    with torch.inference_mode():
        marked = np.asarray(network.apply_watermark(whole_hops, sample_rate=RATE_HZ), np.float32)
    added = resample(fitted(marked, len(whole_hops)) - whole_hops, RATE_HZ, rate_hz)
    if not np.isfinite(added).all():
        raise InputError("perth gave samples that are not finite; this sound cannot be marked", code="mark_failed")
    return fitted(added, len(samples))


def _scores(network: Any, audio: Audio, cuts: Iterable[tuple[int, int]], speed: float) -> dict[tuple[int, int], float]:
    """Perth's score of each piece, taking the sound to be `speed` times too fast; pieces without a number left out."""
    import torch

    scores = {}
    with torch.inference_mode():
        for cut in cuts:
            heard = resample(audio.samples[slice(*cut)], audio.rate_hz, round(RATE_HZ * speed))
            score = float(network.get_watermark(heard, sample_rate=RATE_HZ, round=False))
            if math.isfinite(score):
                scores[cut] = score
    return scores


def _false_alarms(answer: str, n_pieces: int) -> FalseAlarms:
    return FalseAlarms.counted(ALARMS[answer], TRIALS, TRIALS_OF, pieces=n_pieces)


def _is_loud(samples: Float32Array) -> bool:
    return float(np.abs(samples).max()) >= SILENCE_PEAK


def _status(score: float) -> WaveformStatus:
    if score >= DETECTED:
        return "detected"
    return "inconclusive" if score >= INCONCLUSIVE else "not_detected"
