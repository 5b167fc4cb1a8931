"""Text that strangers wrote, made fit to be shown: its control characters are seen, and obeyed by nothing."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_CONTROL: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINER: Final = "\N{ZERO WIDTH JOINER}"
_DELETE: Final = "\x7f"
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def visible(text: str, *, one_line: bool = False) -> str:
    r"""Return `text` with its control characters shown rather than obeyed; tabs become spaces.

    Line ends stay, unless it is to be `one_line`. Also shown are the characters that turn the direction of writing or
    are not seen at all, such as U+202E.
    """
    shown = "".join(map(_visible, text.replace("\r\n", "\n")))
    return shown.replace("\n", "␊") if one_line else shown


def whole(text: str) -> str:
    """Put U+FFFD where a text holds half a character, as a writer that cuts text in UTF-16 leaves it."""
    return _SURROGATE.sub("\ufffd", text)


def _visible(character: str) -> str:
    if character in {"\n", _JOINER} or unicodedata.category(character) not in _CONTROL:
        return character
    if character == "\t":
        return "    "
    if character < " ":
        return chr(0x2400 + ord(character))
    return "␡" if character == _DELETE else character.encode("unicode_escape", "surrogatepass").decode()
