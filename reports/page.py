"""Rich text to a binary stream, in 80 columns or the terminal's width if that is more; colours only on a terminal."""

import io
from typing import BinaryIO

from rich.console import Console, RenderableType

WIDTH_COLUMNS = 80


class TextPage:
    """Prints without trailing spaces, each time flushed."""

    def __init__(self, stream: BinaryIO) -> None:
        """Write UTF-8 to a binary stream; the caller closes it."""
        self._stream = stream
        terminal = stream.isatty()
        self._page = io.StringIO()
        self._console = Console(
            file=self._page,
            force_terminal=terminal,
            width=None if terminal else WIDTH_COLUMNS,
            highlight=False,
            markup=False,
            emoji=False,
        )
        # In a narrower terminal the lines wrap; columns of no width would lose the names.
        self._console.width = max(self._console.width, WIDTH_COLUMNS)

    def print(self, *parts: RenderableType) -> None:
        """Each part on lines of its own."""
        for part in parts:
            self._console.print(part)
        lines = (line.rstrip() + "\n" for line in self._page.getvalue().splitlines())
        self._stream.write("".join(lines).encode("utf-8"))
        self._stream.flush()
        self._page.seek(0)
        self._page.truncate()
