"""The waveform marks that covoguard knows, by name."""

from ..core.protocols import WaveformMark
from ..core.registry import Registry

WAVEFORM_MARKS: Registry[WaveformMark] = Registry("waveform mark", f"{__package__}.waveform")
