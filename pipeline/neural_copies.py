"""Trained networks of copy-synthesis under the names of methods: `neural:FOLDER`."""

from pathlib import Path

from ..core.errors import UsageError
from ..datasets.copies import CopyMethod

PREFIX = "neural:"


def is_neural(method: str) -> bool:
    """Whether a method is a trained network, by its name."""
    return method.startswith(PREFIX)


def open_neural(method: str) -> CopyMethod:
    """The network in the folder that `neural:FOLDER` names.

    Its own name, the generator of its spoofs, is that of its card and weights, wherever the folder lies. Raises
    `UsageError` for a name without a folder or a model of another kind, `ModelMissing` and `IntegrityError`.
    """
    from ..datasets.copies.neural.copier import NeuralCopy

    folder = method.removeprefix(PREFIX)
    if not is_neural(method) or not folder:
        raise UsageError(f"{method}: no trained network; give {PREFIX}FOLDER, made by `dataset train-copier`")
    return NeuralCopy.open(Path(folder))
