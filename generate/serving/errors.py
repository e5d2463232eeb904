"""What goes wrong between a client and the server that runs its model."""

from ...core.errors import ModelMissing


class ServerError(ModelMissing):
    """The server cannot be used at all: every clip would fail the same way."""
