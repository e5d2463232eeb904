"""Import a downloaded Covo-Audio checkpoint: check it to the last tensor, make the decoder ours, seal the folder.

What an import adds to the folder, or puts into a new one beside links to the large files:

| file | what |
|---|---|
| `decoder.safetensors` | the decoder of `token2wav/model.pt`, with mean and variance of the latents |
| `decoder_config.json` | `token2wav/config.json` |
| `voices.safetensors` | the voice prompts, if there are any |
| `weights.sha256` | SHA-256 of every file of weights: one short file that stands for all of them |
| `card.json`, `SHA256SUMS` | as in every model folder |

`SHA256SUMS` comes last, so that a folder whose import was interrupted does not open.
"""

import datetime
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import CovoguardError, UsageError
from ..core.modelcard import CARD_NAME, CHECKSUMS_NAME, open_model, sha256_of_file
from ..generate.covo.checkpoint.licence import require_acceptance

if TYPE_CHECKING:
    from ..generate.covo.checkpoint.decoder_weights import DecoderWeights
    from ..generate.covo.checkpoint.hub_folder import HubFolder
    from ..generate.covo.checkpoint.voices import VoiceArrays

WEIGHTS_LIST = "weights.sha256"
_VERSION_DIGITS = 12


@dataclass(frozen=True)
class ImportOptions:
    """What the user decides about an import."""

    accept_licence: bool = False
    out: Path | None = None
    """A new folder, with links to the large files of a checkpoint that must stay as it is; None: the checkpoint's."""
    voice_prompts: Mapping[str, Path] = field(default_factory=dict)
    """Folders of .npy files by the name of the voice, beside those in `voices/` of the checkpoint."""
    leave_out: Sequence[str] = ()
    """Beginnings of names of tensors in `model.pt` that decoding does not need."""
    download: bool = False
    """Fetch a checkpoint that is named by its id on the hub."""


@dataclass(frozen=True)
class ImportedModel:
    """What an import led to."""

    folder: Path
    id: str
    voices: tuple[str, ...]
    left_out: tuple[str, ...]
    """Tensors of `model.pt` that were not taken over."""
    is_new: bool
    """False: the folder held this very import already and was left as it is."""


def import_covo(source: str, options: ImportOptions) -> ImportedModel:
    """Import the checkpoint in folder `source`, or with that id on the hub.

    Raises `UsageError` without the acceptance of the licence and for a folder that cannot be written, `ModelMissing`
    and `IntegrityError` that name the file and what is wrong with it.
    """
    from ..generate.covo.checkpoint.decoder_weights import read_decoder_weights
    from ..generate.covo.checkpoint.hub_folder import open_hub_folder, resolve_checkpoint

    require_acceptance(options.accept_licence)
    folder = resolve_checkpoint(source, download=options.download)
    if folder != Path(source) and options.out is None:
        raise UsageError(f"{source}: lies in the cache of the hub, which stays as it is; name a new folder with -o")
    hub = open_hub_folder(folder)
    out = options.out or folder
    in_place = out.exists() and out.samefile(folder)
    _require_writable(out if in_place else out.parent)
    voices = _read_voices(hub, options.voice_prompts)
    hub.check()
    weights = read_decoder_weights(hub.decoder_weights, hub.statistics, hub.decoder_config, options.leave_out)
    origin = _origin(hub, voices)
    earlier = _earlier_import(out, origin)
    if earlier is not None:
        return earlier
    if not in_place and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out}: holds something else already; name a new folder with -o")
    try:
        with _scratch_folder(out if in_place else out.parent) as staged:
            card = _stage(hub, voices, origin, weights, staged)
            if in_place:
                _move_into(staged, out)
            else:
                _link_checkpoint(hub, staged)
                staged.replace(out)
    except OSError as error:
        raise _not_written(out, error) from error
    return _imported(out, card, is_new=True)


def _read_voices(hub: "HubFolder", named: Mapping[str, Path]) -> "dict[str, VoiceArrays]":
    """The voices in the checkpoint and those that are named; a name given twice means the named one."""
    from ..generate.covo.checkpoint.voices import check_voice_name, read_voice, voice_folders

    folders = voice_folders(hub.path) | {check_voice_name(name): path for name, path in named.items()}
    return {name: read_voice(path, hub.decoder_config.flow) for name, path in sorted(folders.items())}


def _origin(hub: "HubFolder", voices: "Mapping[str, VoiceArrays]") -> dict[str, str]:
    """SHA-256 of everything that is imported, by its path in the checkpoint."""
    files = {str(path.relative_to(hub.path)): sha256_of_file(path) for path in hub.sources()}
    parts = {
        f"voice {name} {part}": hashlib.sha256(values.tobytes()).hexdigest()
        for name, voice in voices.items()
        for part, values in voice.items()
    }
    return files | parts


def _earlier_import(out: Path, origin: Mapping[str, str]) -> ImportedModel | None:
    """What `out` holds already, if that is a whole import of the very same files."""
    try:
        model = open_model(out)
    except CovoguardError:
        return None
    return _imported(out, model.card, is_new=False) if model.card.get("origin") == origin else None


def _imported(out: Path, card: Mapping[str, Any], *, is_new: bool) -> ImportedModel:
    return ImportedModel(out, f"{card['id']}@{card['version']}", tuple(card["voices"]), tuple(card["left_out"]), is_new)


def _stage(
    hub: "HubFolder",
    voices: "Mapping[str, VoiceArrays]",
    origin: Mapping[str, str],
    weights: "DecoderWeights",
    to: Path,
) -> dict[str, Any]:
    """Write all that an import adds into the folder `to`, checksums last; -> the card."""
    from ..generate.covo.checkpoint.card import covo_card
    from ..generate.covo.checkpoint.imported import DECODER_CONFIG_NAME, DECODER_NAME, VOICES_NAME
    from ..generate.covo.checkpoint.voices import save_voices
    from ..generate.covo.language.prompt import SpecialIds, load_tokenizer

    weights.save(to / DECODER_NAME)
    shutil.copyfile(hub.decoder_config_file, to / DECODER_CONFIG_NAME)
    if voices:
        save_voices(voices, to / VOICES_NAME)
    # hashed when their origin was recorded; they are large
    kept = {path.name: origin[path.name] for path in (*hub.small_files, *hub.shards)}
    weight_sums = {path.name: kept[path.name] for path in hub.shards}
    weight_sums[DECODER_NAME] = sha256_of_file(to / DECODER_NAME)
    (to / WEIGHTS_LIST).write_text(_as_lines(weight_sums), encoding="utf-8")
    version = sha256_of_file(to / WEIGHTS_LIST)[:_VERSION_DIGITS]
    card = covo_card(
        hub.config,
        hub.decoder_config,
        version=version,
        weights=WEIGHTS_LIST,
        accepted_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        origin=origin,
        voices=sorted(voices),
        turn_end=SpecialIds.of(load_tokenizer(hub.path), str(hub.path)).turn_end,
        left_out=weights.left_out,
    )
    (to / CARD_NAME).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    sums = kept | {path.name: sha256_of_file(path) for path in to.iterdir()}
    (to / CHECKSUMS_NAME).write_text(_as_lines(sums), encoding="utf-8")
    return card


def _as_lines(sums: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def _require_writable(folder: Path) -> None:
    """Fail before the long part of the work."""
    folder = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise _not_written(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def _not_written(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{error.filename or folder}: cannot be written ({error.strerror}); grant it, make room, or name another new "
        "folder with -o, which leaves the checkpoint as it is"
    )


@contextmanager
def _scratch_folder(parent: Path) -> Iterator[Path]:
    """An empty folder on the same disk, gone at the end unless it was moved away."""
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".covo-import-", dir=parent) as scratch:
        staged = Path(scratch) / "model"
        staged.mkdir()
        yield staged


def _move_into(staged: Path, folder: Path) -> None:
    """Put the staged files into the checkpoint; without its checksums, which come last, it does not open."""
    (folder / CHECKSUMS_NAME).unlink(missing_ok=True)
    for path in sorted(staged.iterdir(), key=lambda path: path.name == CHECKSUMS_NAME):
        path.replace(folder / path.name)


def _link_checkpoint(hub: "HubFolder", to: Path) -> None:
    """Small files as copies, shards as links to where they really lie."""
    for path in hub.small_files:
        shutil.copyfile(path, to / path.name)
    for path in hub.shards:
        (to / path.name).symlink_to(path.resolve())
