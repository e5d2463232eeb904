"""The key ring: a private folder with one file per key, and the choice of the key that marks.

Every call reads the folder afresh, so that processes see each other's keys; writers wait for one another.
"""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Self

from .errors import KeyMissing, UsageError
from .keyfile import KEY_FILE_SUFFIX, KeyFile, check_label, is_label, key_file_content, parse_key_file, utc_now
from .keys import SecretKey
from .privatefolder import PrivateFolder, enclosing_work_tree

KEYS_VARIABLE = "COVOGUARD_KEYS"
DEFAULT_NAME = "default"
"""Name of the file that holds the id of the default key, when one was chosen."""

logger = logging.getLogger(__name__)


def default_key_folder() -> Path:
    """`$COVOGUARD_KEYS`, else `covoguard/keys` in `$XDG_CONFIG_HOME` or `~/.config`.

    As the XDG base directory specification asks, a relative `$XDG_CONFIG_HOME` is ignored. Raises `UsageError`
    when there is no home folder.
    """
    try:
        if chosen := os.environ.get(KEYS_VARIABLE):
            return Path(chosen).expanduser().absolute()
        configuration = os.environ.get("XDG_CONFIG_HOME", "")
        base = Path(configuration) if os.path.isabs(configuration) else Path.home() / ".config"
    except RuntimeError as error:
        raise UsageError(f"no home folder to keep keys in; name a folder in ${KEYS_VARIABLE}") from error
    return base / "covoguard" / "keys"


class KeyRing:
    """The keys of one folder. Errors of its files are raised by every method that reads them.

    `KeyMissing`: the folder or a file is open to others or not the caller's own. `IntegrityError`: a file is
    damaged, a link, or not a key file. One such file stops all: a ring that left a key out without a word
    would let `verify` deny marks that are there.
    """

    def __init__(self, folder: Path) -> None:
        """`open` warns about a folder that is likely to be published; this does not."""
        self.folder = folder

    @classmethod
    def open(cls, folder: Path | None = None) -> Self:
        """The ring in `folder` (None: `default_key_folder`), which need not be there yet."""
        ring = cls(folder or default_key_folder())
        if tree := enclosing_work_tree(ring.folder):
            logger.warning(
                "%s: keys inside the git work tree %s are one `git add` from being published; "
                "keep them elsewhere and point $%s there", ring.folder, tree, KEYS_VARIABLE,
            )  # fmt: skip
        return ring

    def files(self) -> list[KeyFile]:
        """Every key with all its epochs, the oldest key first."""
        with PrivateFolder.open(self.folder) as folder:
            return [] if folder is None else _read_all(folder)

    def keys(self) -> list[SecretKey]:
        """All epochs of all keys: the oldest key first, of each key the newest epoch first."""
        return [epoch for file in self.files() for epoch in reversed(file.epochs)]

    def find(self, name: str) -> KeyFile:
        """The key that `name` means: its id, its label, or the beginning of its id.

        Raises `UsageError` when it may mean several, `KeyMissing` that lists the known keys when it means none.
        """
        return self._find(self.files(), name)

    def get(self, key_id: str, epoch: int | None = None) -> SecretKey:
        """The newest epoch of the key that `find` finds, or the one asked for.

        Raises as `find`, and `KeyMissing` for an unknown epoch.
        """
        file = self.find(key_id)
        if epoch is None:
            return file.active
        if not 1 <= epoch <= len(file.epochs):
            raise KeyMissing(f"{file.key_id} has no epoch {epoch}; its epochs are 1 to {len(file.epochs)}")
        return file.epochs[epoch - 1]

    def new(self, label: str | None = None) -> SecretKey:
        """Make a key and store it. Raises `UsageError` for a label that is malformed or taken."""
        if label is not None:
            check_label(label)
        with PrivateFolder.make(self.folder) as folder, folder.locked():
            files = _read_all(folder)
            for file in files:
                if label is not None and file.label == label:
                    raise UsageError(f"{file.key_id} has the label {label!r} already; choose another")
            return _store_new(folder, label, {file.key_id for file in files})

    def rotate(self, key_id: str) -> SecretKey:
        """Begin the next epoch of a key, with a master of its own; older ones are kept for verification.

        Raises as `find`.
        """
        with PrivateFolder.open(self.folder) as folder:
            if folder is None:
                raise self._unknown(key_id, [])
            with folder.locked():
                file = self._find(_read_all(folder), key_id)
                now = utc_now()
                retired, fresh = file.active.retire(retired_utc=now), file.active.successor(created_utc=now)
                _store(folder, replace(file, epochs=(*file.epochs[:-1], retired, fresh)))
        return fresh

    def set_default(self, key_id: str) -> SecretKey:
        """Let this key mark when none is named. Raises as `find`."""
        with PrivateFolder.open(self.folder) as folder:
            if folder is None:
                raise self._unknown(key_id, [])
            with folder.locked():
                file = self._find(_read_all(folder), key_id)
                folder.write(DEFAULT_NAME, f"{file.key_id}\n".encode("ascii"))
        return file.active

    def default(self) -> SecretKey:
        """The key that marks when none is named: the one chosen by `set_default`, else the oldest.

        Raises `KeyMissing` when there is no key, or when the chosen one is gone.
        """
        with PrivateFolder.open(self.folder) as folder:
            found = None if folder is None else _read_default(folder)
        if found is None:
            raise KeyMissing(f"{self.folder}: no key yet; make one with `covoguard keys new`")
        return found.active

    def default_id(self) -> str | None:
        """Id of the key that `default` gives, even when that key is gone; None when there is no key."""
        with PrivateFolder.open(self.folder) as folder:
            if folder is None:
                return None
            chosen = _read_default_id(folder)
            return chosen or next((file.key_id for file in _read_all(folder)), None)

    def default_or_new(self) -> SecretKey:
        """As `default`, but an empty ring gets its first key; of several processes at once, one makes it."""
        with PrivateFolder.open(self.folder) as folder:
            if folder is not None and (found := _read_default(folder)):
                return found.active
        with PrivateFolder.make(self.folder) as folder, folder.locked():
            found = _read_default(folder)
            return found.active if found else _store_new(folder, None, set())

    def _find(self, files: list[KeyFile], name: str) -> KeyFile:
        found = [file for file in files if file.key_id == name] or [
            file for file in files if file.label == name or (name and file.key_id.startswith(name))
        ]
        if not found:
            raise self._unknown(name, files)
        if len(found) > 1:
            raise UsageError(f"{name!r} may mean {_listed(found)}; give the whole id")
        return found[0]

    def _unknown(self, name: str, files: list[KeyFile]) -> KeyMissing:
        # What is neither an id nor a label is not repeated: it may be a secret that was pasted by mistake.
        which = f"key {name!r}" if is_label(name) else "key of this name"
        return KeyMissing(f"{self.folder}: no {which}; {_known(files)}; ask whoever holds it, or name another")


def _known(files: list[KeyFile]) -> str:
    return f"known: {_listed(files)}" if files else "there are no keys yet"


def _listed(files: list[KeyFile]) -> str:
    return ", ".join(f"{file.key_id} ({file.label})" if file.label else file.key_id for file in files)


def _read_all(folder: PrivateFolder) -> list[KeyFile]:
    found = []
    for name in folder.names():
        if name.endswith(KEY_FILE_SUFFIX) and (content := folder.read(name)) is not None:
            found.append(parse_key_file(folder.path / name, content))
    return sorted(found, key=lambda file: (file.created_utc, file.key_id))


def _read_default_id(folder: PrivateFolder) -> str | None:
    """The id that was chosen, if one was."""
    content = folder.read(DEFAULT_NAME)
    return None if content is None else content.decode("ascii", errors="replace").strip()


def _read_default(folder: PrivateFolder) -> KeyFile | None:
    """The key that marks; None when there is none at all."""
    chosen = _read_default_id(folder)  # before the keys: the one that it names was there before it
    files = _read_all(folder)
    if chosen is None:
        return files[0] if files else None
    for file in files:
        if file.key_id == chosen:
            return file
    raise KeyMissing(
        f"{folder.path / DEFAULT_NAME}: the default key that it names is not in the folder; {_known(files)}; "
        "restore it, or choose another with `covoguard keys set-default KEY`"
    )


def _store_new(folder: PrivateFolder, label: str | None, taken: set[str]) -> SecretKey:
    key = SecretKey.generate(created_utc=utc_now())
    while key.key_id in taken:  # ids have 40 bits
        key = SecretKey.generate(created_utc=utc_now())
    _store(folder, KeyFile(folder.path / f"{key.key_id}{KEY_FILE_SUFFIX}", label, (key,)))
    return key


def _store(folder: PrivateFolder, file: KeyFile) -> None:
    folder.write(file.path.name, key_file_content(file))
