"""Sentences for a person: wrapped between words to the width of a terminal, one line each where they are piped."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from typing import TextIO


def tell(text: str, *, stream: TextIO | None = None, end: str = "\n") -> None:
    """Print `text`, by default on standard output; what is untrusted in it was made `visible` before."""
    stream = sys.stdout if stream is None else stream
    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        console.print(Text(text), end=end)
        stream.flush()
    else:
        print(text, file=stream, end=end, flush=True)
