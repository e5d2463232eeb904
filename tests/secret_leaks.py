"""Looks for a secret in text or bytes, in every form that it commonly takes.

Loaded by `conftest.py` under its own name, because the folders of `tests` are no packages.
"""

import base64

from covoguard.core.keys import SecretKey


def forms_of(secret: bytes) -> dict[str, bytes]:
    """The secret raw, in hexadecimal digits, in base64 (without the padding and its neighbour) and as Python prints it.

    Hexadecimal digits are given in lower case; `assert_no_secret` folds the case.
    """
    whole = len(secret) // 3 * 3  # the last characters of base64 depend on what follows
    return {
        "raw": secret,
        "hex": secret.hex().encode(),
        "hex with spaces": secret.hex(" ").encode(),
        "hex with colons": secret.hex(":").encode(),
        "base64": base64.b64encode(secret[:whole]),
        "base64, url-safe": base64.urlsafe_b64encode(secret[:whole]),
        "repr of bytes": repr(secret)[2:-1].encode(),
        "list of numbers": ", ".join(map(str, secret)).encode(),
        "JSON list": ",".join(map(str, secret)).encode(),
        "integer": str(int.from_bytes(secret, "big")).encode(),
        "integer, little-endian": str(int.from_bytes(secret, "little")).encode(),
    }


def assert_no_secret(text: str | bytes, key: SecretKey, *subkeys: bytes) -> None:
    """Fail when `text` holds the key's master or one of `subkeys`. The complaint names the form, not the secret."""
    content = text.encode("utf-8", errors="surrogateescape") if isinstance(text, str) else text
    folded = content.lower()
    for number, secret in enumerate([key.master_bytes(), *subkeys]):
        name = f"subkey {number}" if number else "the master"
        leaks = [
            form
            for form, shape in forms_of(secret).items()
            if len(shape) >= 24  # a master of zeros, which tests may draw, is the integer 0
            and (shape in content or (form.startswith("hex") and shape in folded))
        ]
        assert not leaks, f"{name} of {key!r} leaks as {leaks}"
