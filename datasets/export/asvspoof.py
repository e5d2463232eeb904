"""Layout `asvspoof`: protocol text as in the logical access track of ASVspoof 2019.

    flac/CLIP_ID.flac
    protocols/SPLIT.txt     one line per clip: SPEAKER CLIP_ID - SYSTEM KEY

SYSTEM is the generator of a spoof and `-` for genuine speech, KEY is `bonafide` or `spoof`, and what is not known is
`-`; white space inside a name becomes `_`. Clips without a split stand in `all.txt`. Source: README of the ASVspoof
2019 database, section on the countermeasure protocols (Yamagishi et al., 2019, doi:10.7488/ds/2555).
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ...core.audio import write_audio
from ..store import StoredClip, StoreRow

NO_SPLIT = "all"
UNKNOWN = "-"


def write_asvspoof(clips: Iterable[StoredClip], folder: Path) -> int:
    """Write the layout into an empty folder; -> number of clips. Raises `OSError`."""
    for name in ("flac", "protocols"):
        (folder / name).mkdir()
    protocols: dict[str, list[str]] = defaultdict(list)
    for clip in clips:
        write_audio(folder / "flac" / f"{clip.row.clip_id}.flac", clip.audio.samples, clip.audio.rate_hz)
        protocols[clip.row.split or NO_SPLIT].append(protocol_line(clip.row))
    for split, lines in protocols.items():
        (folder / "protocols" / f"{split}.txt").write_text("".join(lines), encoding="utf-8")
    return sum(map(len, protocols.values()))


def protocol_line(row: StoreRow) -> str:
    """The line of one clip, with its line break."""
    system = None if row.label == "bonafide" else row.generator
    return " ".join((_word(row.speaker), row.clip_id, UNKNOWN, _word(system), row.label)) + "\n"


def _word(name: str | None) -> str:
    return "_".join((name or "").split()) or UNKNOWN
