"""ONNX Runtime, silent.

The wheels for Linux and macOS send telemetry to Microsoft by default since 1.29 (microsoft/onnxruntime, pull request
27379): names and hashes of models, the machine, error messages. Nothing of the sort may leave a machine that examines
recordings. The variable is read once, when the library is loaded, so this is the only place where it is.
"""

import os
from typing import Any

TELEMETRY_OFF = "ORT_DISABLE_TELEMETRY"


def onnxruntime() -> Any:
    """The module, loaded with its telemetry off; for Windows it is also switched off afterwards."""
    os.environ[TELEMETRY_OFF] = "1"
    import onnxruntime as runtime

    runtime.disable_telemetry_events()
    return runtime
