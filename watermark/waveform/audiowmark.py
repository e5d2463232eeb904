"""audiowmark, a keyed mark of 128 bits. It is a program of its own (GPL-3.0 or later) that the user installs."""

import re
import shlex
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np

from ...core.audio.write import write_audio
from ...core.errors import InputError, KeyMissing, ModelMissing, UsageError
from ...core.records import Audio, Float32Array
from ...core.waveformrecord import MarkTraits, WaveformFinding, not_checked
from ...core.waveformsettings import WAVEFORM_DEFAULTS, WaveformSettings
from ..issued import IssuedMessages, chance_of_a_match
from ..pieces import require_usable, unusable
from ..program import program_path, run_program
from ..registry import WAVEFORM_MARKS

PROGRAM = "audiowmark"
MIN_S = 3.0
"""A block takes some 52 s. Of four clips of 5 to 10 s all were found when nothing had been done to them, crops to 1 s
never."""
START_S = 60.0
TIME_LIMIT_SHARE = 1.0
"""Of the sound's length, allowed beside `START_S`: finding ran at 12 times the speed of the sound on one core."""
CANDIDATE = re.compile(r"pattern\s+\S+\s+(?P<message>[0-9a-f]{32})\s")
SPEED = re.compile(r"speed\s+(?P<speed>\d+\.\d+)")
HOW_TO_GET = "install it from github.com/swesterfeld/audiowmark, or give up looking for its marks"


@WAVEFORM_MARKS.register("audiowmark")
class AudiowmarkMark:
    """An exact match with a message that was issued here, or nothing.

    The program prints candidates for any sound, and its own quality figures do not tell marked short clips from
    unmarked ones. Messages are 128 bits drawn at random, so for sound made without knowledge of them the chance that
    one of n candidates is one of m messages is at most n m / 2^128: a p-value that holds for any such sound. There is
    no speed sweep of ours: the program detects speed itself. Source: audiowmark 0.6.5.
    """

    traits = MarkTraits(
        PROGRAM,
        keyless=False,
        removable=False,
        limits="Made for long recordings: short clips, strong noise and changed tempo lose it, so absence says "
        "nothing. Whoever has the key, or lays the difference of a marked file on another, can forge it.",
    )
    message_bytes = 16

    def __init__(self, settings: WaveformSettings = WAVEFORM_DEFAULTS, *, start_s: float = START_S) -> None:
        """`start_s`: how long the program may take for no sound at all."""
        self._key = settings.audiowmark_key
        self._issued = IssuedMessages(settings.issued)
        self._speed_sweep = settings.speed_sweep
        self._start_s = start_s

    @classmethod
    def open(cls, settings: WaveformSettings = WAVEFORM_DEFAULTS) -> Self:
        """Raises `KeyMissing` for a key file that cannot be read, or that others can."""
        if settings.audiowmark_key is not None:
            _check_key(settings.audiowmark_key)
        return cls(settings)

    def embed(self, audio: Audio, message: bytes = b"") -> Audio:
        """What the program makes of the sound, in steps of 16 bits; as `core.protocols.WaveformMark.embed`."""
        if len(message) != self.message_bytes:
            raise UsageError(f"audiowmark marks carry {self.message_bytes} bytes, not {len(message)}")
        require_usable(audio, MIN_S)
        program, key = self._program(), self._key_file()
        with tempfile.TemporaryDirectory(prefix="covoguard-") as folder:
            plain, marked = Path(folder, "plain.wav"), Path(folder, "marked.wav")
            write_audio(plain, audio.samples, audio.rate_hz)
            command = [program, "add", "--key", key, str(plain), str(marked), message.hex()]
            run_program(command, self._time_limit_s(audio))
            return Audio(_read_marked(marked, audio), audio.rate_hz, audio.source)

    def find(self, audio: Audio) -> WaveformFinding:
        """Compare every candidate that the program prints with the messages that were issued."""
        if problem := unusable(audio, MIN_S):
            return not_checked(self.traits, *problem)
        try:
            program, key = self._program(), self._key_file()
            issued = self._issued.count(PROGRAM)
            if not issued:
                detail = (
                    f"{self._issued.path}: no message was ever issued here, so no candidate could be told from chance"
                )
                return not_checked(self.traits, "no_issued_messages", detail)
            lines = self._asked(program, key, audio).splitlines()
        except OSError as error:
            return not_checked(self.traits, "mark_failed", f"no sound could be given to {PROGRAM}: {error.strerror}")
        except (ModelMissing, KeyMissing, InputError) as error:
            return not_checked(self.traits, error.code, error.message)
        candidates = {bytes.fromhex(each["message"]): each for line in lines if (each := CANDIDATE.match(line))}
        if not candidates:
            detail = f"{PROGRAM} printed no candidate, as it does for any sound; covoguard knows version 0.6.5"
            return not_checked(self.traits, "mark_failed", detail)
        found = self._issued.find(PROGRAM, candidates)
        if found is None:
            return WaveformFinding("not_detected", self.traits)
        return WaveformFinding(
            "detected",
            self.traits,
            p_value=chance_of_a_match(len(candidates), issued, 8 * self.message_bytes),
            speed=_speed_of(candidates[bytes.fromhex(found.message)], lines),
            message=found.message,
            issued_utc=found.issued_utc,
        )

    def _asked(self, program: str, key: str, audio: Audio) -> str:
        """What the program prints about the sound. Raises `InputError` and `OSError`."""
        with tempfile.TemporaryDirectory(prefix="covoguard-") as folder:
            heard = Path(folder, "heard.wav")
            write_audio(heard, audio.samples, audio.rate_hz)
            sweep = ["--detect-speed"] if self._speed_sweep else []
            return run_program([program, "get", "--key", key, *sweep, str(heard)], self._time_limit_s(audio))

    def _program(self) -> str:
        program = program_path(PROGRAM)
        if program is None:
            raise ModelMissing(f"there is no program {PROGRAM}; {HOW_TO_GET}", code="mark_not_installed")
        return program

    def _key_file(self) -> str:
        if self._key is None:
            raise KeyMissing(
                f"no key for {PROGRAM} was given; name one with --audiowmark-key FILE (`{PROGRAM} gen-key FILE`)",
                code="no_mark_key",
            )
        return str(self._key.absolute())

    def _time_limit_s(self, audio: Audio) -> float:
        return self._start_s + TIME_LIMIT_SHARE * audio.duration_s


def _check_key(path: Path) -> None:
    """Raises `KeyMissing` unless this is a file that its owner alone can read."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise KeyMissing(f"{path}: no key there ({error.strerror}); make one with `{PROGRAM} gen-key`") from error
    if not stat.S_ISREG(mode):
        raise KeyMissing(f"{path}: not a key file; give the file that `{PROGRAM} gen-key` made")
    if mode & 0o077:
        raise KeyMissing(f"{path}: other users may read this key; run: chmod 600 {shlex.quote(str(path))}")


def _read_marked(path: Path, plain: Audio) -> Float32Array:
    """The samples (n,) that the program wrote. Raises `InputError` unless they are as many, at the same rate."""
    import soundfile

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise InputError(f"{PROGRAM} wrote no sound; run it by hand to see why", code="mark_failed") from error
    if samples.shape != (len(plain.samples), 1) or rate_hz != plain.rate_hz or not np.isfinite(samples).all():
        raise InputError(
            f"{PROGRAM} wrote {samples.shape} samples at {rate_hz} Hz for {len(plain.samples)} at {plain.rate_hz} Hz; "
            "covoguard knows version 0.6.5",
            code="mark_failed",
        )
    return np.asarray(samples[:, 0], np.float32)


def _speed_of(candidate: re.Match[str], lines: Sequence[str]) -> float:
    """The speed under which a candidate was read."""
    if "SPEED" not in candidate.string:
        return 1.0
    return next((float(each["speed"]) for line in lines if (each := SPEED.match(line))), 1.0)
