"""Waveform marks in a sound: every method that covoguard knows is asked, and each answers for itself."""

from collections.abc import Iterable, Sequence

from ..core.protocols import WaveformMark
from ..core.records import Audio
from ..core.waveformrecord import WaveformFinding
from ..core.waveformsettings import WAVEFORM_DEFAULTS, WaveformSettings
from ..watermark.registry import WAVEFORM_MARKS


def open_waveform_marks(
    settings: WaveformSettings = WAVEFORM_DEFAULTS, names: Iterable[str] | None = None
) -> tuple[WaveformMark, ...]:
    """The marks called `names` (None: all), once for any number of sounds and threads. Loads no network yet.

    Raises `UsageError` for an unknown name, and for files that the settings name as `WaveformMark.open`.
    """
    chosen = WAVEFORM_MARKS.names() if names is None else names
    return tuple(WAVEFORM_MARKS.get(name).open(settings) for name in chosen)


def find_waveform_marks(audio: Audio, marks: Sequence[WaveformMark]) -> tuple[WaveformFinding, ...]:
    """One answer per mark, in their order; a mark that cannot be looked for is `not_checked`, never left out.

    Raises only what concerns every sound: a checkpoint that does not fit, a register that cannot be read.
    """
    return tuple(mark.find(audio) for mark in marks)
