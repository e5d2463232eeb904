"""One file, one decorated class: a registry finds what lies in its package and lists it by name."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import UsageError

T = TypeVar("T")


class Registry(Generic[T]):
    """Classes of one kind by name. Modules of `package` are imported on the first look-up, not before.

    Registered modules import their heavy libraries inside methods, so that listing stays cheap.
    """

    def __init__(self, kind: str, package: str) -> None:
        """`kind` is the word for people ("detector"); `package` the dotted name that is searched."""
        self.kind = kind
        self._package = package
        self._classes: dict[str, type[T]] = {}
        self._searched = False

    def register(self, name: str) -> Callable[[type[T]], type[T]]:
        """Decorate a class to list it under `name`."""

        def decorate(cls: type[T]) -> type[T]:
            if name in self._classes:
                raise ValueError(f"two {self.kind}s are called {name!r}")
            self._classes[name] = cls
            return cls

        return decorate

    def names(self) -> list[str]:
        """All names, sorted."""
        self._search()
        return sorted(self._classes)

    def get(self, name: str) -> type[T]:
        """The class under `name`; raises `UsageError` that lists the known names."""
        self._search()
        try:
            return self._classes[name]
        except KeyError:
            known = ", ".join(self.names())
            raise UsageError(f"there is no {self.kind} {name!r}; known: {known}") from None

    def _search(self) -> None:
        if self._searched:
            return
        package = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{self._package}.{module.name}")
        self._searched = True
