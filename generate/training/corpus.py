"""The pocket model's teacher corpus: sentences spoken by Debian's `flite`, with the time of every phone.

flite's voices slt and rms are CMU Arctic speakers under a BSD-like licence. flite speaks a sentence in one way
only; tempo is drawn per utterance here, and finer variation of tempo and pitch is drawn anew each time that an
utterance is used (`variation.py`), because a language model of a voice without variation has no entropy, and
speech without entropy can carry no mark.
"""

import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ...core.errors import UsageError
from ...core.records import Float32Array
from ..pocket.acoustics import RATE_HZ, VOICES
from .features import Features, analyse

STRETCH_RANGE = (0.88, 1.2)


@dataclass(frozen=True)
class Utterance:
    """One spoken sentence: `phones` are flite's names and end times in seconds."""

    text: str
    voice: str
    features: Features
    phones: tuple[str, ...]
    phone_ends_s: tuple[float, ...]


def speak(text: str, voice: str, stretch: float) -> tuple[Float32Array, tuple[str, ...], tuple[float, ...]]:
    """Say `text` with flite at `stretch` times its usual length; -> 16 kHz samples, phones, their ends in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch:.3f}", "-t", text]
        try:
            said = subprocess.run([*command, "-o", str(path)], capture_output=True, text=True, check=True)
        except FileNotFoundError:
            raise UsageError("flite is not installed; on Debian: apt-get install flite") from None
        samples, _ = soundfile.read(path, dtype="float32")
    pairs = [item.rsplit(":", 1) for item in said.stdout.split()]
    return samples, tuple(name for name, _ in pairs), tuple(float(end) for _, end in pairs)


def make_utterance(text: str, seed: int) -> Utterance | None:
    """Speak one sentence in a voice and tempo drawn from `seed`; None when flite said nothing voiced."""
    rng = np.random.default_rng(seed)
    voice = VOICES[int(rng.integers(len(VOICES)))]
    samples, phones, ends_s = speak(text, voice, float(rng.uniform(*STRETCH_RANGE)))
    features = analyse(samples) if len(samples) > RATE_HZ // 4 else None
    return Utterance(text, voice, features, phones, ends_s) if features else None


def save(utterances: Iterable[Utterance], path: Path) -> None:
    """Write utterances to one compressed file without pickles."""
    kept = list(utterances)
    np.savez_compressed(
        path,
        envelope=np.concatenate([u.features.envelope for u in kept]).astype(np.float16),
        track=np.concatenate([np.stack([u.features.log_f0, u.features.voiced, u.features.breath], 1) for u in kept]),
        frames=[len(u.features.log_f0) for u in kept],
        text=[u.text for u in kept],
        voice=[u.voice for u in kept],
        phones=[" ".join(u.phones) for u in kept],
        phone_ends_s=[" ".join(f"{end:.3f}" for end in u.phone_ends_s) for u in kept],
    )


def load(path: Path) -> list[Utterance]:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    ends = np.cumsum(arrays["frames"])
    utterances = []
    for index, (end, count) in enumerate(zip(ends, arrays["frames"], strict=True)):
        track = arrays["track"][end - count : end]
        envelope = arrays["envelope"][end - count : end].astype(np.float32)
        utterances.append(
            Utterance(
                str(arrays["text"][index]),
                str(arrays["voice"][index]),
                Features(envelope, track[:, 0], track[:, 1], track[:, 2]),
                tuple(str(arrays["phones"][index]).split()),
                tuple(float(end_s) for end_s in str(arrays["phone_ends_s"][index]).split()),
            )
        )
    return utterances
