"""Copy-synthesis: genuine speech taken apart and made again by a vocoder, the same words in the same voice.

The result is generated speech and labelled as such. Recordings that went through a codec of telephony or music
(`datasets/degrade/codec.py`) are no copies in this sense: the sound is still the speaker's, so those are degradations,
which both classes undergo and which never make a spoof.

One file per method; `COPIES` lists them.
"""

from .registry import COPIES, CopyMethod

__all__ = ["COPIES", "CopyMethod"]
