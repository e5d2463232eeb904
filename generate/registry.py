"""The generators that are installed, by name."""

from ..core.protocols import Generator
from ..core.registry import Registry

GENERATORS: Registry[Generator] = Registry("generator", f"{__package__}.backends")
