"""Sentences for a person: wrapped between words to the width of a terminal, one line each where they are piped."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from typing import TextIO


def tell(text: str, *, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print `text`, by default on standard output; what is untrusted in it was made `visible` before."""
    stream = sys.stdout if stream is None else stream
    if stream.isatty():
        width = os.get_terminal_size(stream.fileno()).columns or None  # rich takes what is no clever one for 80 columns
        console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
        console.print(Text(text), end=end)
        stream.flush()
    else:
        print(text, file=stream, end=end, flush=True)
