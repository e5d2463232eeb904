"""Audio in and out: open, decode under limits, resample, find speech, measure quality, write.

Importing this loads numpy and the standard library only; FFmpeg, soxr, onnxruntime and soundfile load on use.
"""

from ..records import Audio
from .facts import DecodedAudio, Quality, SourceFacts
from .limits import DecodeLimits
from .quality import measure_quality
from .reader import AudioReader
from .resample import resample
from .source import OpenedInput, open_input, spool_stream
from .voice import VoiceActivity
from .write import write_audio

__all__ = [
    "Audio",
    "AudioReader",
    "DecodeLimits",
    "DecodedAudio",
    "OpenedInput",
    "Quality",
    "SourceFacts",
    "VoiceActivity",
    "measure_quality",
    "open_input",
    "resample",
    "spool_stream",
    "write_audio",
]
