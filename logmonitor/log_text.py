"""Lines of a log as they go into a chat, as a file or as a text: none holds a one-time code, and no text is obeyed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.code_redaction import redact_codes
from logmonitor.display import visible
from logmonitor.scan import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE_CHARACTERS: Final = 1 << 16  # so that no other thread waits long while one is looked through


def log_file(data: bytes) -> bytes:
    """Return lines of a log for a file; bytes that are not UTF-8 stay as they are.

    This takes about a second for each ten megabytes: do it in a thread.
    """
    return _without_codes(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def log_text(data: bytes) -> str:
    """Return lines of a log for a message: without colours, and with what controls a screen shown."""
    return visible(_without_codes(clean_text(data, strip_ansi=True)))


def _without_codes(text: str) -> str:
    return "".join(map(redact_codes, _pieces(text)))


def _pieces(text: str) -> Iterator[str]:
    """Divide a text between lines."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _PIECE_CHARACTERS) + 1 or len(text)
        yield text[start:end]
        start = end
