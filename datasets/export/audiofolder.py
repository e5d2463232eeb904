"""Layout `hf`: what `datasets.load_dataset("audiofolder", data_dir=...)` of Hugging Face reads.

    data/SPLIT/CLIP_ID.flac
    data/SPLIT/metadata.parquet     `file_name`, then all that is known of the clip
    README.md                       names the splits

Clips without a split stand in `train`, where the library puts what has none. The metadata have stated types: from CSV
the library guesses them split by split, and refuses a column that is empty in one split and text in another. Source:
Hugging Face `datasets` documentation, "Create an audio dataset", AudioFolder with metadata; loaded with version 5.2.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...core.audio import write_audio
from ...core.errors import UsageError
from ..store import StoredClip
from .flac import table_line, table_types

NO_SPLIT = "train"


def write_audiofolder(clips: Iterable[StoredClip], folder: Path) -> int:
    """Write the layout into an empty folder; -> number of clips.

    Raises `OSError`, and `UsageError` for two splits that the library would take for one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    splits: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for clip in clips:
        split = clip.row.split or NO_SPLIT
        data = folder / "data" / split
        data.mkdir(parents=True, exist_ok=True)
        name = f"{clip.row.clip_id}.flac"
        write_audio(data / name, clip.audio.samples, clip.audio.rate_hz)
        splits[split].append({"file_name": name, **table_line(clip.row)})
    schema = pa.schema([("file_name", "string"), *table_types()])
    for split, lines in splits.items():
        pq.write_table(pa.Table.from_pylist(lines, schema), folder / "data" / split / "metadata.parquet")
    (folder / "README.md").write_text(_card(list(splits)), encoding="utf-8")
    return sum(map(len, splits.values()))


def _card(splits: list[str]) -> str:
    """The page whose header tells the library which folder is which split; its split names hold only `\\w`."""
    names = {split: re.sub(r"\W", "_", split) for split in splits}
    if len(set(names.values())) < len(names):
        raise UsageError(f"splits {', '.join(sorted(names))}: differ only in punctuation; rename one")
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for split, name in names.items():
        lines += [f"  - split: {name}", f'    path: "data/{split}/**"']
    return "\n".join([*lines, "---", "", "Labelled clips, exported by covoguard.", ""])
