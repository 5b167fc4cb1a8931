"""The shape of a log line: what is left of it when numbers, ids, addresses, times and quoted words are folded.

Lines of one shape say the same of different things. All of it is linear in the text's length.
"""

from __future__ import annotations

import re
from typing import Final

SHAPED_CHARACTERS: Final = 1000
"""What stands behind so many characters makes no difference."""

_FOLDED: Final = "#"
_QUOTED: Final = re.compile(
    r"""
    (?<=[\s(\[:,])
    (?: '[^'\n]*+'(?!\w) | "[^"\n]*+"(?!\w) | `[^`\n]*+` )
    | “[^“”]*+” | ‘[^‘’]*+’ | 「[^「」]*+」 | 『[^『』]*+』 | 《[^《》]*+》
    | (?<=\w)<[^<>\n]++>
    """,
    re.VERBOSE,
)
_MAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w.-]+")
_ID: Final = re.compile(r"(?<![\dA-Za-z_])(?:[A-Za-z_]*+\d[\dA-Za-z_]*+|[a-fA-F]{4,}+(?![\dA-Za-z_]))")
_SEVERAL: Final = re.compile(r"(?:(?<![\w:])::)?#(?:[-.,:/+ ]{1,2}#)*+")


def shape_of(text: str) -> str:
    """Return the shape of a line.

    A word with a digit in it is folded, and one of hexadecimal digits; so are mail addresses, what stands in quotes,
    and a name in angle brackets such as `Contact<Ann>`. What stands in quotes in JSON, or behind `=`, is not: that is
    how structured logs write everything.
    """
    shape = text[:SHAPED_CHARACTERS]
    if not shape.lstrip().startswith(("{", "[{")):
        shape = _QUOTED.sub(_FOLDED, shape)
    if "@" in shape:
        shape = _MAIL.sub(_FOLDED, shape)
    return _SEVERAL.sub(_FOLDED, _ID.sub(_FOLDED, shape))
