"""Where covoguard keeps what it must remember from one command to the next."""

import os
from pathlib import Path

from .errors import UsageError

DATA_VARIABLE = "COVOGUARD_DATA"


def default_data_folder() -> Path:
    """`$COVOGUARD_DATA`, else `covoguard` in `$XDG_DATA_HOME` or `~/.local/share`; it need not be there yet.

    As the XDG base directory specification asks, a relative `$XDG_DATA_HOME` is ignored. Raises `UsageError` when there
    is no home folder.
    """
    try:
        if chosen := os.environ.get(DATA_VARIABLE):
            return Path(chosen).expanduser().absolute()
        shared = os.environ.get("XDG_DATA_HOME", "")
        base = Path(shared) if os.path.isabs(shared) else Path.home() / ".local" / "share"
    except RuntimeError as error:
        raise UsageError(f"no home folder to keep data in; name a folder in ${DATA_VARIABLE}") from error
    return base / "covoguard"
