"""The C2PA library behind one door: imported on use, never on the network unless told to.

`c2pa-python` 0.38 is a thin layer over c2pa-rs. It fetches remote manifests by default, so every context is made here.
"""

import importlib
import importlib.util
import json
import logging
from collections.abc import Sequence
from typing import Any

from ...core.errors import UsageError

_MODULE = "c2pa"


def is_installed() -> bool:
    """Whether credentials can be read and written here."""
    return importlib.util.find_spec(_MODULE) is not None


def library() -> Any:
    """The module `c2pa`. Raises `UsageError` where it is not installed or does not load."""
    try:
        module = importlib.import_module(_MODULE)
    except (ImportError, OSError, RuntimeError) as error:
        raise UsageError(
            f"Content Credentials need the package c2pa-python ({error}); install it with "
            "`pip install 'covoguard[credentials]'`"
        ) from error
    logging.getLogger(_MODULE).setLevel(logging.CRITICAL)  # it logs what it also raises
    return module


def context(anchors_pem: Sequence[str] = (), *, online: bool = False) -> Any:
    """A context whose only trust is in `anchors_pem` (PEM texts), and that fetches nothing unless `online`."""
    settings: dict[str, Any] = {"verify": {"remote_manifest_fetch": online, "ocsp_fetch": online}}
    if anchors_pem:
        settings["trust"] = {"user_anchors": "\n".join(anchors_pem)}
    return library().Context.from_dict(settings)


def read_report(stream: Any, anchors_pem: Sequence[str], *, manifest: bytes | None, online: bool) -> dict[str, Any]:
    """The library's report on a stream, or on a detached `manifest` and the stream that it is about.

    The stream stays open. Raises the library's `C2paError`.
    """
    c2pa = library()
    stream.seek(0)
    with (
        context(anchors_pem, online=online) as settings,
        c2pa.Reader(None if manifest is None else "application/octet-stream", stream, manifest, settings) as reader,
    ):
        report = json.loads(reader.json())
    return report if isinstance(report, dict) else {}
