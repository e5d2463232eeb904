"""Loads models, tokenizers and feature extractors strictly: from the folder only, and nothing left out or made up."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.errors import IntegrityError, ModelMissing, UsageError

if TYPE_CHECKING:
    import torch


@contextmanager
def quiet_library() -> Iterator[None]:
    """Keep progress bars and advice of transformers off the terminal; its errors are raised all the same."""
    from transformers.utils import logging

    output: Any = logging  # its functions have no types
    verbosity, has_bars = output.get_verbosity(), output.is_progress_bar_enabled()
    output.set_verbosity_error()
    output.disable_progress_bar()
    try:
        yield
    finally:
        output.set_verbosity(verbosity)
        if has_bars:
            output.enable_progress_bar()


def load_model(model_class: Any, folder: Path, device: "torch.device") -> Any:
    """The network of `model_class` with the folder's weights, in float32 on `device`, ready to speak.

    Raises `IntegrityError` for weights that do not fit, also where transformers would fill a gap with random numbers,
    and `UsageError` when the device has no room.
    """
    import torch

    try:
        with quiet_library():
            model, report = model_class.from_pretrained(
                folder, local_files_only=True, weights_only=True, dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:
        # whatever a damaged file makes of json, pickle, safetensors and the model's own constructor
        raise IntegrityError(
            f"{folder}: cannot be loaded as {model_class.__name__} ({_first_line(error)}); get the checkpoint again"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise IntegrityError(
            f"{folder}: the weights lack {len(missing)} tensors of {model_class.__name__}, such as {missing[0]}; "
            "get the checkpoint again"
        )
    try:
        return model.eval().to(device)
    except torch.OutOfMemoryError as error:
        raise UsageError(f"{device}: no room for {folder.name}; use a larger GPU, or give --device cpu") from error


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer. Raises `ModelMissing` without one, `UsageError` for a package that it lacks."""
    from transformers import AutoTokenizer

    return _loaded(AutoTokenizer, folder, "tokenizer")


def load_feature_extractor(folder: Path) -> Any:
    """What makes a model's input of sound; raises as `load_tokenizer`."""
    from transformers import AutoFeatureExtractor

    return _loaded(AutoFeatureExtractor, folder, "feature extractor (preprocessor_config.json)")


def _loaded(auto_class: Any, folder: Path, what: str) -> Any:
    try:
        with quiet_library():
            return auto_class.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        raise UsageError(f"{folder}: its {what} needs a package: {_first_line(error)}") from error
    except Exception as error:
        raise ModelMissing(f"{folder}: no {what} that can be used ({_first_line(error)}); get it again") from error


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
