"""Keeps count of comparisons with reference outputs, and prints each one beside its tolerance."""

from dataclasses import dataclass, field

import numpy as np
import torch

ArrayLike = np.ndarray | torch.Tensor


@dataclass
class Report:
    """What was compared. `failures` names what lies beyond its tolerance."""

    quiet: bool = False
    compared: int = 0
    failures: list[str] = field(default_factory=list)

    def close(
        self, name: str, got: ArrayLike, expected: ArrayLike, tolerance: float, *, relative: bool = False
    ) -> None:
        """The largest absolute difference, or with `relative` the largest |difference| / max(1, |expected|).

        Shapes must be equal; infinities must stand at the same places; NaN is never close.
        """
        a, b = _float64(got), _float64(expected)
        if a.shape != b.shape:
            self._result(name, f"shape {a.shape}, expected {b.shape}", passed=False)
            return
        same = (a == b) & np.isinf(b)
        with np.errstate(invalid="ignore"):
            difference = np.where(same, 0.0, np.abs(a - b))
        if relative:
            difference = difference / np.maximum(1.0, np.where(np.isinf(b), 1.0, np.abs(b)))
        largest = float(difference.max(initial=0.0))
        unit = "relative " if relative else ""
        # written so that NaN fails
        self._result(name, f"largest {unit}difference {largest:.2e}, tolerance {tolerance:.0e}", largest <= tolerance)

    def exact(self, name: str, got: object, expected: object) -> None:
        """Equal values, whatever holds them."""
        a, b = _plain(got), _plain(expected)
        passed = a == b
        self._result(name, "equal" if passed else f"{_short(a)}, expected {_short(b)}", passed)

    def _result(self, name: str, words: str, passed: bool) -> None:
        self.compared += 1
        if not passed:
            self.failures.append(name)
        if not self.quiet:
            print(f"{'ok  ' if passed else 'FAIL'} {name:<44} {words}")


def _float64(values: ArrayLike) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, dtype=np.float64)


def _plain(value: object) -> object:
    if isinstance(value, torch.Tensor | np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
