r"""A pattern as hyperscan looks for it: over raw bytes, in whole chunks, wherever RE2 could match on a cleaned line.

A widened pattern matches at least in the lines in which the pattern does, and is free of all that the two engines read
differently or that hyperscan grows too large on. It takes bytes that are not UTF-8 for characters, and `\r\n` for a
line end, so that a chunk is scanned as it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from logmonitor.pattern import COUNT, flags_of, tokenize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.pattern import Token


def widen(pattern: str, *, drop_assertions: bool = False) -> str:
    r"""Return what hyperscan is to look for, in ASCII; it is to be compiled for bytes, with `^` and `$` at every line.

    Captures, large counts, Unicode properties and what depends on case beyond ASCII are given up, with
    `drop_assertions` also anchors and word boundaries. `\B` always is: RE2 finds it between the bytes of a character.
    """
    tokens = tuple(tokenize(pattern))
    fold = any("i" in flags_of(token.text)[0] for token in tokens if token.kind == "open")
    pieces: list[_Piece] = []
    for token in tokens:
        if token.kind == "repeat":
            pieces[-1] = replace(pieces[-1], count=_bounds(token.text))
        else:
            pieces += _pieces(token, fold=fold, drop_assertions=drop_assertions)
    return "".join(map(_written, _without_tail(pieces)))


class _Size(Enum):
    """How much of a line a piece stands for."""

    BYTE = "one byte of ASCII"
    CHARACTER = "one character, of one byte or of several"
    OTHER = "more, or nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """One piece of the result; `count` is how often it stands there, without limit if the second number is None."""

    text: str
    size: _Size = _Size.OTHER
    count: tuple[int, int | None] = (1, 1)


_ANY: Final = _Piece(text=".", size=_Size.CHARACTER)
_NOTHING: Final = _Piece(text="(?:)")
_LINE_END: Final = r"\r?$"
_LONGEST_CHARACTER: Final = 4
_LARGEST_COUNT: Final = 16
_FOREIGN: Final = r"[\x80-\xff]{2,3}"
_FOLD_BEYOND_ASCII: Final = frozenset("kKsS")
_CASELESS: Final = ("\u2e80", "\ua48f")
_SPACES: Final = r"\t\n\f\r\x20"
_NUMBER: Final = re.compile(r"\\(?:x\{([^}]*)\}|x([0-9A-Fa-f]{2})|([0-7]{1,3}))")
_SPELLED_OUT: Final = {
    r"\a": _Piece(text=r"\x07", size=_Size.BYTE),
    r"\f": _Piece(text=r"\x0c", size=_Size.BYTE),
    r"\n": _Piece(text=r"\x0a", size=_Size.BYTE),
    r"\r": _Piece(text=r"\x0d", size=_Size.BYTE),
    r"\t": _Piece(text=r"\x09", size=_Size.BYTE),
    r"\v": _Piece(text=r"\x0b", size=_Size.BYTE),
    r"\d": _Piece(text=r"\d", size=_Size.BYTE),
    r"\D": _Piece(text=r"[^\d\n]", size=_Size.CHARACTER),
    r"\s": _Piece(text=f"[{_SPACES}]", size=_Size.BYTE),
    r"\S": _Piece(text=f"[^{_SPACES}]", size=_Size.CHARACTER),
    r"\w": _Piece(text=r"\w", size=_Size.BYTE),
    r"\W": _Piece(text=r"[^\w\n]", size=_Size.CHARACTER),
}
_CASED: Final = {r"\w": _Piece(text=rf"(?:\w|{_FOREIGN})"), r"\W": _ANY}
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]|\\[pPSDW]|\\x\{|\\x[89a-fA-F]|\\[0-7]|\[[.=]|\[:\^")
_NOT_ASCII_IF_FOLDED: Final = re.compile(r"\\w|\[:")
_SPELLED: Final = re.compile(r"((?<!\\)(?:\\\\)*)\\([sv])")


def _pieces(token: Token, *, fold: bool, drop_assertions: bool) -> Iterator[_Piece]:
    """Widen one token; `fold` says that case may be ignored there."""
    match token.kind:
        case "quote":
            quoted = token.text.removeprefix(r"\Q").removesuffix(r"\E")
            yield from (_character(character, fold=fold) for character in quoted)
        case "literal":
            yield _character(token.text, fold=fold)
        case "escape":
            yield _escape(token.text, fold=fold)
        case "class":
            yield _class(token.text, fold=fold)
        case "any" | "property":
            yield _ANY
        case "open":
            yield _Piece(text=_opening(token.text))
        case "anchor" | "boundary" if drop_assertions or token.text == r"\B":
            yield _NOTHING
        case "anchor" if token.text == "$":
            yield _Piece(text=_LINE_END)
        case _:
            yield _Piece(text=token.text)


def _character(character: str, *, fold: bool) -> _Piece:
    """Write one character; what only newer Unicode tables know the other case of becomes any character."""
    if character.isascii():
        text = character if character.isalnum() else f"\\x{ord(character):02x}"
        if fold and character in _FOLD_BEYOND_ASCII:
            return _Piece(text=f"(?:{text}|{_FOREIGN})")
        return _Piece(text=text, size=_Size.BYTE)
    if character == "\ufffd" or (fold and not _CASELESS[0] <= character <= _CASELESS[1]):
        return _ANY
    return _Piece(text="(?:" + "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogatepass")) + ")")


def _escape(text: str, *, fold: bool) -> _Piece:
    """Spell an escape out."""
    if number := _NUMBER.fullmatch(text):
        return _character(chr(int(number[3], 8) if number[3] else int(number[1] or number[2], 16)), fold=fold)
    if fold and text in _CASED:
        return _CASED[text]
    return _SPELLED_OUT.get(text) or _character(text[1], fold=fold)


def _class(text: str, *, fold: bool) -> _Piece:
    """Write a class; one that holds more than plain ASCII becomes any character."""
    if _NOT_ASCII.search(text) or (fold and _NOT_ASCII_IF_FOLDED.search(text)):
        return _ANY
    spelled = _SPELLED.sub(lambda found: found[1] + (_SPACES if found[2] == "s" else r"\x0b"), text)
    if text.startswith("[^"):
        excluded = f"\\{spelled[2:]}" if spelled[2] in "]-" else spelled[2:]
        return _Piece(text=rf"[^\n{excluded}", size=_Size.CHARACTER)
    return _Piece(text=f"(?:{spelled}|{_FOREIGN})") if fold else _Piece(text=spelled, size=_Size.BYTE)


def _opening(text: str) -> str:
    """Open a group without capture; of the flags, only the one about case means something within a line."""
    set_flags, cleared_flags, ending = flags_of(text)
    flags = "i" if "i" in set_flags else "-i" if "i" in cleared_flags else ""
    if ending == ")":
        return f"(?{flags})" if flags else ""
    return f"(?{flags}:"


def _bounds(repeat: str) -> tuple[int, int | None]:
    """Return how often at least and at most."""
    if count := COUNT.match(repeat):
        return int(count[1]), int(count[1]) if count[2] is None else int(count[2]) if count[2] else None
    return {"*": (0, None), "+": (1, None), "?": (0, 1)}[repeat[0]]


def _without_tail(pieces: list[_Piece]) -> list[_Piece]:
    """Cut the last piece down to what has to be there: each further byte would be reported as one more match."""
    end = len(pieces) - 1
    while end >= 0 and pieces[end] == _Piece(text=")"):
        end -= 1
    if end < 0 or pieces[end].size is _Size.OTHER:
        return pieces
    last = pieces[end]
    needed = last.count[0] if last.size is _Size.BYTE else min(1, last.count[0])
    shortest = [replace(last, size=_Size.BYTE, count=(needed, needed))] if needed else []
    return [*pieces[:end], *shortest, *pieces[end + 1 :]]


def _written(piece: _Piece) -> str:
    """Write a piece with a repeat that hyperscan takes in its stride."""
    least, most = piece.count
    unlimited = piece.text + ("+" if least else "*")
    match piece.size:
        case _ if piece.text in {"^", "$", _LINE_END, r"\b"} and piece.count != (1, 1):
            return f"(?:{piece.text}){unlimited[-1]}"
        case _Size.BYTE if most is not None and 0 < most <= _LARGEST_COUNT:
            return piece.text if piece.count == (1, 1) else f"{piece.text}{{{least},{most}}}"
        case _Size.CHARACTER if most == 1:
            return f"{piece.text}{{{least},{_LONGEST_CHARACTER}}}"
        case _Size.OTHER if piece.count == (1, 1):
            return piece.text
    return unlimited
