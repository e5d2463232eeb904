"""What names a run and the tool that ran, in every record."""

import platform
import secrets
import time
from importlib.metadata import PackageNotFoundError, version

from ..core.scanrecord import Tool
from ..core.version import __version__


def new_run_id() -> str:
    """Start time in UTC and a random part: sortable, and unique without coordination."""
    return f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(4)}"


def this_tool() -> Tool:
    """The versions at work."""
    try:
        onnxruntime = version("onnxruntime")
    except PackageNotFoundError:
        onnxruntime = None
    return Tool(version=__version__, python=platform.python_version(), onnxruntime=onnxruntime)
