"""Foreign text made harmless: file names and messages come from whoever made the file."""


def printable(text: str) -> str:
    r"""`text` with everything that a terminal could obey written as an escape (`\n`, `\x1b`, `\u202e`).

    Control, bidirectional, invisible, unassigned and undecodable characters are replaced; letters of every
    script, accents and emoji stay.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def short_seconds(value_s: float) -> str:
    """Seconds in at most seven columns up to 9,999 s: tenths only below a thousand."""
    return f"{value_s:.1f} s" if value_s < 999.95 else f"{value_s:.0f} s"
