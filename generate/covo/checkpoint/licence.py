"""The licence of Covo-Audio: its use must be accepted once, by name, and every imported folder says when it was."""

from collections.abc import Mapping
from typing import Any

from ....core.errors import UsageError

LICENCE = "Covo-Audio licence: academic use only"
"""As it stands in the card of the model, and from there in the record of every clip."""

_CORE = (
    "The licence of Covo-Audio allows academic purposes only: no commercial use and no use in production, "
    "under any circumstances"
)


def require_acceptance(accepted: bool) -> None:
    """Raise `UsageError`, which tells the core of the licence and how to accept it, unless it is `accepted`."""
    if not accepted:
        raise UsageError(
            f"{_CORE}. Read the file LICENSE in the checkpoint's folder or on its page of the hub; "
            "if you accept it, give --accept-licence"
        )


def check_accepted(card: Mapping[str, Any], folder: object) -> None:
    """Raise `UsageError` for an imported `folder` whose card does not say that the licence was accepted, and when."""
    accepted = card.get("licence_accepted_utc")
    if card.get("licence") != LICENCE or not isinstance(accepted, str) or not accepted:
        raise UsageError(
            f"{folder}: the card does not say that the licence was accepted. {_CORE}. Import the checkpoint "
            "again with `covoguard models import covo`"
        )
