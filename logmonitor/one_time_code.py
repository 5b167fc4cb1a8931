"""One-time codes as people type them, on a phone's keyboard or a Chinese one.

A code is a text: its zeros in front count. Full-width digits and letters are what a Chinese keyboard makes of them, and
are understood; other digits that Unicode knows, superscripts and those of other scripts among them, are no code.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""What recovery codes are made of: no I, L and O, which are read as 1, 1 and 0."""

_LIMIT: Final = 64
_WIDTH: Final = dict(zip(range(0xFF01, 0xFF5F), range(0x21, 0x7F), strict=True))
_BLANKS: Final = dict.fromkeys(map(ord, "\t\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"), " ")
_DASHES: Final = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_LIKENESS: Final = str.maketrans("ILO", "110")
_PLAIN: Final = _WIDTH | _BLANKS | _DASHES
_GROUPED: Final = re.compile(r"[0-9]{3}[ -]?[0-9]{3}|[0-9]{4}[ -]?[0-9]{4}|[0-9A-Z]{5}[ -][0-9A-Z]{5}")
_HALVES: Final = re.compile(r"[0-9A-Z]{5}[ -]*[0-9A-Z]{5}")
_SEPARATED: Final = re.compile(r"[0-9A-Z](?:[0-9A-Z -]*[0-9A-Z])?")


class CodeKind(StrEnum):
    """What a code is for; its form tells."""

    TOTP = "totp"
    OUT_OF_BAND = "out_of_band"
    RECOVERY = "recovery"


_FORMS: Final = {
    CodeKind.TOTP: re.compile(r"[0-9]{6}"),
    CodeKind.OUT_OF_BAND: re.compile(r"[0-9]{8}"),
    CodeKind.RECOVERY: re.compile(rf"[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}}"),
}


def code_of(word: str, *, is_answer: bool = False) -> str | None:
    """Return the code that `word` is, as it is compared: `123456`, `12345678` or `ABCD2-EFGH3`; None if it is none.

    A code may stand in two halves with a blank or a hyphen between (`123 456`), a recovery code has to. Where nothing
    but a code is expected, `is_answer`, the digits of one may be parted anywhere, and a recovery code needs no hyphen:
    there a date or a short hash is no argument that could be meant.
    """
    if len(word) > _LIMIT:
        return None
    text = word.translate(_PLAIN).strip()
    if not text.isascii() or not (_SEPARATED if is_answer else _GROUPED).fullmatch(text.upper()):
        return None
    code = text.upper().replace(" ", "").replace("-", "")
    if len(code) == 10:  # noqa: PLR2004  # a recovery code's two groups of five
        if _HALVES.fullmatch(text.upper()) is None:
            return None
        code = code.translate(_LIKENESS)
        code = f"{code[:5]}-{code[5:]}"
    return code if kind_of(code) is not None else None


def kind_of(code: str) -> CodeKind | None:
    """Tell what a code is for, given as `code_of` returns it; None for any other text."""
    kind = next((kind for kind, form in _FORMS.items() if form.fullmatch(code)), None)
    if kind is CodeKind.RECOVERY and not (re.search(r"[2-9]", code) and re.search(r"[A-Z]", code)):
        return None
    return kind
