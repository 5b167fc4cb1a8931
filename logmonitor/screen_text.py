"""What a program writes for a screen, as it stands there in the end, in as much as a chat shows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from logmonitor.display import visible
from logmonitor.scan import clean_text

_LONGEST_CHARACTER_BYTES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The end of a text; `lines` counts those before it that are left out, at least one if anything is."""

    text: str
    lines: int = 0


def screen_text(data: bytes) -> str:
    """Return output as a screen shows it: without colours, each line as it was written last."""
    lines = clean_text(data.replace(b"\r\n", b"\n"), strip_ansi=True).split("\n")
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)


def excerpt(data: bytes, *, characters: int, lines: int) -> Excerpt:
    """Return the last lines of an output for a message, with what controls a screen shown; at least the last one's end.

    They are at most so many lines and characters.

    It takes a time that depends on `characters`, not on the size of the output, but for counting what is left out.
    """
    end = data[-_LONGEST_CHARACTER_BYTES * characters :]
    text = visible(screen_text(end)).strip("\n")
    if len(end) == len(data) and len(text) <= characters and text.count("\n") < lines:
        return Excerpt(text=text)
    start = len(text) - characters
    if start > 0 or len(end) < len(data):
        first = text.find("\n", max(start - 1, 0)) + 1
        text = text[first:] if first else text[max(start, 0) :]
    kept = "\n".join(text.split("\n")[-lines:])
    return Excerpt(text=kept, lines=max(data.rstrip(b"\n").count(b"\n") - kept.count("\n"), 1))
