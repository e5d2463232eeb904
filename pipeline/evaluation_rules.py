"""How a clip came to its score, in sentences for a report.

The same detector under other windows or another pooling is another system: published figures of one checkpoint differ
severalfold between papers that do not say how they cut and pooled.
"""

from ..core.rates import DETECTOR_RATE_HZ
from ..detect.windows import CROP_HOP_S, CROP_S, HOP_S, MARGIN_S, MIN_SPEECH_S, MIN_WINDOW_S, WINDOW_S
from .evaluation_scores import ScoreSet

_SPEECH_WINDOWS = (
    f"Windows of {WINDOW_S:g} s every {HOP_S:g} s from the first to the last speech, each trimmed to its speech with "
    f"{MARGIN_S:g} s around it; those with less than {MIN_SPEECH_S:g} s of speech are dropped where others have more."
)
_CROPS = (
    f"Crops of {CROP_S:g} s every {CROP_HOP_S:g} s from the first to the last speech, as they are; a shorter one is "
    f"repeated to its length, and those with less than {MIN_SPEECH_S:g} s of speech are dropped where others have more."
)
_MEMBERS = "Each member of the fusion hears its own windows, and its scores are pooled before they are weighted."
WINDOW_RULES = {
    "logband-resnet": _SPEECH_WINDOWS,
    "lfcc-gmm": _SPEECH_WINDOWS,
    "aasist": _CROPS,
    "aasist-l": _CROPS,
    "lcnn": _CROPS,
    "rawnet2": _CROPS,
    "ssl": _CROPS,
    "fusion": _MEMBERS,
}
"""By detector."""


def scoring_rules(scores: ScoreSet) -> tuple[str, ...]:
    """One sentence each on sound, windows, pooling and scale; what is not known is said to be so."""
    if not scores.has_records:
        return (
            "The scores were made elsewhere: their windows, pooling and score rules are not known here.",
            _scale(scores),
        )
    detector = scores.system.name.partition("@")[0]
    windows = WINDOW_RULES.get(detector, f"The windows of {detector} are not stated here; see the card of its model.")
    return (
        f"Sound is decoded, channels are mixed to one and resampled to {DETECTOR_RATE_HZ} Hz; Silero VAD finds the "
        f"speech; less than {MIN_WINDOW_S:g} s is not scored.",
        windows,
        "The score of a clip is the mean over its windows; it is calibrated after this pooling.",
        _scale(scores),
    )


def _scale(scores: ScoreSet) -> str:
    scale = "a log10 likelihood ratio" if scores.is_log10_lr else "on a scale of its own"
    return f"A score is {scale}, higher for more synthetic; a clip at or above the threshold is flagged."
