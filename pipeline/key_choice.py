"""Which keys a command looks for."""

from collections.abc import Sequence

from ..core.keyring import KeyRing
from ..core.keys import SecretKey


def keys_to_test(ring: KeyRing, names: Sequence[str], *, all_keys: bool = False) -> list[SecretKey]:
    """Every epoch, the newest first, of the keys called `names`; without names, of the default key or of all keys.

    Empty when the ring is and no key was named. Raises as `KeyRing.find` for a name, and as `KeyRing.default`
    when the chosen default key is gone.
    """
    if all_keys:
        return ring.keys()
    if not names:
        if ring.default_id() is None:
            return []
        names = [ring.default().key_id]
    files = {file.key_id: file for file in map(ring.find, names)}
    return [epoch for file in files.values() for epoch in reversed(file.epochs)]
