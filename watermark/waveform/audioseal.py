"""AudioSeal (San Roman et al. 2024), with checkpoints that the user has. Needs the extra `audioseal`.

Nothing is fetched: the package's own loader would ask a hub, and unpickles what it finds.
"""

import hashlib
import importlib
import io
import os
import threading
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...core.audio.resample import resample
from ...core.errors import CovoguardError, InputError, IntegrityError, ModelMissing, UsageError
from ...core.records import Audio, Float32Array, Segment
from ...core.waveformrecord import MarkTraits, WaveformFinding, not_checked
from ...core.waveformsettings import WAVEFORM_DEFAULTS, CheckpointFile, WaveformSettings
from ..issued import IssuedMessages, chance_of_a_match
from ..pieces import add_residue, fitted, joined, pieces, require_usable, unusable
from ..registry import WAVEFORM_MARKS

RATE_HZ = 16_000
MIN_S = 1.0
"""One sample would do for the network, and mean nothing."""
FRAME_PROBABILITY = 0.5
PRESENT = 0.5
"""Share of a piece's samples that the detector calls marked. Below it no message is read: there are always 16 bits."""
INCONCLUSIVE = 0.1
"""A second in ten may have been spliced in."""
MAX_P = 1e-3
"""Above it, a match with an issued message is chance: 16 bits run out at some 65 messages."""
NO_CHECKPOINT = "no checkpoint of the {part} was given; name one with --audioseal-{part} FILE and its SHA-256"
HOW_TO_GET = "install it: pip install 'covoguard[audioseal]'"
NOT_CERTAIN = (
    "the detector hears a mark, but how often this checkpoint does so without one was never measured, and no message "
    "is in it that was issued here and that chance could not have hit"
)


@WAVEFORM_MARKS.register("audioseal")
class AudioSealMark:
    """Presence per sample and 16 bits.

    How often a checkpoint of the user's cries wolf is not known here, and AudioSeal is known to do so on human voices
    (facebookresearch/audioseal issues 14, 24, 90). So presence alone is `inconclusive`; `detected` takes a message that
    was issued here, since messages are drawn at random and no unmarked sound can know them. Source: arXiv 2401.17264,
    package audioseal 0.2.0 (MIT).
    """

    traits = MarkTraits(
        "audioseal",
        keyless=True,
        removable=True,
        limits="Whoever has the same checkpoint, and the released ones are public, can put the mark on a real "
        "recording, copy its message, or take it off. Absence says nothing.",
    )
    message_bytes = 2

    def __init__(self, settings: WaveformSettings = WAVEFORM_DEFAULTS) -> None:
        """Nothing is read yet."""
        self._files = {"generator": settings.audioseal_generator, "detector": settings.audioseal_detector}
        self._issued = IssuedMessages(settings.issued)
        self._lock = threading.Lock()
        self._networks: dict[str, Any] = {}

    @classmethod
    def open(cls, settings: WaveformSettings = WAVEFORM_DEFAULTS) -> Self:
        """Raises `ModelMissing` for a checkpoint that cannot be read, `IntegrityError` for one of another hash."""
        mark = cls(settings)
        for file in mark._files.values():
            if file is not None:
                _check(file)
        return mark

    def embed(self, audio: Audio, message: bytes = b"") -> Audio:
        """The mark alone is computed at 16 kHz and added at the native rate."""
        if len(message) != self.message_bytes:
            raise UsageError(f"audioseal marks carry {self.message_bytes} bytes, not {len(message)}")
        require_usable(audio, MIN_S)
        generator = self._loaded("generator")
        bits = np.unpackbits(np.frombuffer(message, np.uint8))

        def residue(samples: Float32Array) -> Float32Array:
            return _residue(generator, samples, audio.rate_hz, bits)

        return Audio(add_residue(audio.samples, audio.rate_hz, residue), audio.rate_hz, audio.source)

    def find(self, audio: Audio) -> WaveformFinding:
        """Presence by piece; the message of the piece where it is highest, and only where there is presence."""
        if problem := unusable(audio, MIN_S):
            return not_checked(self.traits, *problem)
        try:
            detector = self._loaded("detector")
            heard = {
                (start, end): _presence(detector, resample(audio.samples[start:end], audio.rate_hz, RATE_HZ))
                for start, end in pieces(len(audio.samples), audio.rate_hz)
            }
        except (ModelMissing, InputError) as error:
            return not_checked(self.traits, error.code, error.message)
        share, message = max(heard.values(), key=lambda each: each[0])
        marked = joined((cut for cut, each in heard.items() if each[0] >= PRESENT), audio.rate_hz)
        return self._judged(share, message, marked)

    def _judged(self, share: float, message: bytes, marked: tuple[Segment, ...]) -> WaveformFinding:
        present = share >= PRESENT
        issued = self._issued.find("audioseal", [message]) if present else None
        p_value = chance_of_a_match(1, self._issued.count("audioseal"), 8 * self.message_bytes) if issued else None
        certain = p_value is not None and p_value <= MAX_P
        heard = share >= INCONCLUSIVE
        return WaveformFinding(
            status="detected" if certain else "inconclusive" if heard else "not_detected",
            traits=self.traits,
            reason="mark_not_measured" if heard and not certain else None,
            detail=NOT_CERTAIN if heard and not certain else None,
            score=share,
            threshold=PRESENT,
            p_value=p_value,
            segments=marked,
            message=message.hex() if present else None,
            issued_utc=issued.issued_utc if issued else None,
            model_sha256=self._files["detector"].sha256 if self._files["detector"] else None,
        )

    def _loaded(self, part: str) -> Any:
        """The generator or the detector.

        Raises `ModelMissing` (`no_checkpoint`, `mark_not_installed`) and `IntegrityError` for weights that do not fit.
        """
        file = self._files[part]
        if file is None:
            raise ModelMissing(NO_CHECKPOINT.format(part=part), code="no_checkpoint")
        with self._lock:
            if part not in self._networks:
                self._networks[part] = _load(part, file)
            return self._networks[part]


def _check(file: CheckpointFile) -> bytes:
    """The bytes of a checkpoint, when they are those that the user trusts."""
    try:
        content = file.path.read_bytes()
    except OSError as error:
        raise ModelMissing(f"{file.path}: cannot be read ({error.strerror}); give the path of a checkpoint") from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256.lower():
        raise IntegrityError(
            f"{file.path}: its SHA-256 is {found}, not {file.sha256}; get the checkpoint again from a source you trust"
        )
    return content


def _load(part: str, file: CheckpointFile) -> Any:
    import torch

    os.environ.setdefault("NO_TORCH_COMPILE", "1")  # the first call would compile for minutes
    try:
        loader: Any = importlib.import_module("audioseal.loader")
        builder: Any = importlib.import_module("audioseal.builder")
    except ImportError as error:
        raise ModelMissing(f"audioseal is not installed; {HOW_TO_GET}", code="mark_not_installed") from error
    kind, create, card = {
        "generator": (builder.AudioSealWMConfig, builder.create_generator, "audioseal_wm_16bits"),
        "detector": (builder.AudioSealDetectorConfig, builder.create_detector, "audioseal_detector_16bits"),
    }[part]
    try:
        content = torch.load(io.BytesIO(_check(file)), map_location="cpu", weights_only=True)
        config = content["xp.cfg"] if "xp.cfg" in content else dict(loader.load_local_model_config(card))
        network = create(loader.AudioSeal.parse_config(config, config_type=kind))
        weights = loader.convert_state_dict_for_scriptable_model(content.get("model", content))
        loader.load_state_dict(network, state_dict=weights)
    except CovoguardError:
        raise
    except Exception as error:  # the file decides what goes wrong, and libraries tell of it in many ways
        raise IntegrityError(
            f"{file.path}: not a usable AudioSeal {part} of tensors alone ({_first_line(error)}); save the released "
            "file again as torch.save({'model': state_dict})"
        ) from error
    return network.eval()


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]


def _residue(generator: Any, samples: Float32Array, rate_hz: int, bits: npt.NDArray[np.uint8]) -> Float32Array:
    """What the mark adds to mono `samples` (n,), at their rate -> (n,)."""
    import torch

    heard = torch.from_numpy(resample(samples, rate_hz, RATE_HZ))[None, None]
    message = torch.from_numpy(bits.astype(np.int64))[None]  # always given: a missing one is drawn and kept
    with torch.inference_mode():
        added = generator.get_watermark(heard, message=message)[0, 0].numpy()
    native = resample(np.asarray(added, np.float32), RATE_HZ, rate_hz)
    if not np.isfinite(native).all():
        raise InputError("audioseal gave samples that are not finite; this sound cannot be marked", code="mark_failed")
    return fitted(native, len(samples))


def _presence(detector: Any, samples: Float32Array) -> tuple[float, bytes]:
    """Share of 16 kHz `samples` (n,) that are called marked, and the 16 bits that come with it.

    Raises `InputError` (`mark_failed`) where the network gives no numbers.
    """
    import torch

    with torch.inference_mode():
        probabilities, bits = detector(torch.from_numpy(samples)[None, None])
    if not probabilities.isfinite().all():
        raise InputError("audioseal gave no numbers for this sound; is the checkpoint whole?", code="mark_failed")
    share = float((probabilities[0, 1] > FRAME_PROBABILITY).float().mean())
    return share, np.packbits(bits[0].numpy() > 0.5).tobytes()
