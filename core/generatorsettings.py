"""How the user wants a generator to run: the same few settings for all, and each generator says which it has."""

from dataclasses import dataclass, fields

from .errors import UsageError


@dataclass(frozen=True)
class GeneratorSettings:
    """None: as the generator does by itself."""

    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`."""
    batch: int | None = None
    """Clips that are made at the same time."""
    system_text: str | None = None
    """The instruction that stands before a conversation."""
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    max_seconds: float | None = None
    """Of one reply."""
    url: str | None = None
    """Of the server that runs the model."""

    def only(self, generator: str, *names: str) -> None:
        """Raise `UsageError` when a setting is made that is not among `names`, those of `generator`."""
        for each in fields(self):
            if each.name not in names and getattr(self, each.name) is not None:
                option = {"system_text": "--system"}.get(each.name, f"--{each.name.replace('_', '-')}")
                known = ", ".join(name.replace("_", " ") for name in names) or "none"
                raise UsageError(f"{generator} has no setting for {option}; leave it out (its settings: {known})")

    def deciding(self) -> dict[str, float | int | str]:
        """Those settings made that decide what a clip sounds like, for the record of a run."""
        names = ("system_text", "temperature", "top_k", "top_p", "max_seconds")
        return {name: value for name in names if (value := getattr(self, name)) is not None}


DEFAULTS = GeneratorSettings()
