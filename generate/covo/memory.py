"""Where a model is to run, and whether there is room for it: asked before anything is loaded."""

from collections.abc import Mapping
from math import prod

import torch

from ...core.errors import UsageError

GIB = 2**30


def usable_device(device: str | torch.device) -> torch.device:
    """The device that is meant. Raises `UsageError` for one that is not known or not here."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"{str(device)!r} is no device; give cpu, cuda or cuda:N") from error
    if found.type == "cuda" and (not torch.cuda.is_available() or (found.index or 0) >= torch.cuda.device_count()):
        raise UsageError(f"{found}: no such GPU here ({torch.cuda.device_count()} in all); give another device")
    return found


def weight_bytes(shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype) -> int:
    """Memory that tensors of these shapes take."""
    return sum(map(prod, shapes.values())) * dtype.itemsize


def require_room(device: torch.device, needed_bytes: int, what: str) -> None:
    """Raise `UsageError`, which says how much is needed and how much is free, when a GPU has no room for `what`.

    What torch has set aside there and does not use counts as free.
    """
    if device.type != "cuda":
        return
    free_bytes, total_bytes = torch.cuda.mem_get_info(device)
    free_bytes += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if needed_bytes > free_bytes:
        raise UsageError(
            f"{device}: {what} needs {needed_bytes / GIB:.1f} GiB of GPU memory, and {free_bytes / GIB:.1f} of "
            f"{total_bytes / GIB:.1f} GiB are free; make fewer clips at the same time, end other programs on this GPU, "
            "use a larger one, or give --device cpu"
        )
