"""What a person typed on a phone, read as words: capitals, widths, dashes, quotes and spaces as keyboards make them."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Final

from logmonitor.one_time_code import CodeKind, code_of, kind_of

_JOINERS: Final = "\u200c\u200d"
_INVISIBLE: Final = "\xad\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_SPACES: Final = "".join(filter(str.isspace, map(chr, range(0x3001))))
_BLANK: Final = _SPACES + _INVISIBLE + _JOINERS
_UNSEEN: Final = dict.fromkeys(map(ord, _INVISIBLE))
_HYPHENS: Final = dict.fromkeys(map(ord, "‐‑‒−"), "-")
_IN_NAMES: Final = _UNSEEN | _HYPHENS | dict.fromkeys(map(ord, _JOINERS)) | dict.fromkeys(map(ord, "–—―"), "-")
_IN_WORDS: Final = _UNSEEN | _HYPHENS
_SLASHES: Final = ("/", "／", "、", "。")
_LONG_DASHES: Final = re.compile("[–—]{1,2}")
_QUOTES: Final = "\"'“”‘’「」`"
_END_OF_SENTENCE: Final = ".,!?;:。、"
_WORD: Final = re.compile(
    r"""
    (?P<option>[^\s"“”＂'‘’＇]*=)?
    (?:["“”＂](?P<double>[^"“”＂]*)["“”＂] | ['‘’＇](?P<single>[^'‘’＇]*)['‘’＇])
    (?!\S)
    | (?P<plain>\S+)
    """,
    re.VERBOSE,
)
_PIECE: Final = re.compile(
    r"""
    (?P<escaped>[\\＼].)
    | "(?P<straight_double>(?:[^"\\]|\\.)*)"
    | ["“”＂](?P<double>(?:[^"“”＂\\]|\\.)*)["“”＂]
    | '(?P<straight_single>[^']*)'
    | ['‘’＇](?P<single>[^'‘’＇]*)['‘’＇]
    | (?P<dashes>[–—]{1,2})
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_TO_ASCII: Final = (
    dict(zip(range(0xFF01, 0xFF5F), map(chr, range(0x21, 0x7F)), strict=True))
    | dict.fromkeys(map(ord, "“”"), '"')
    | dict.fromkeys(map(ord, "‘’"), "'")
    | dict.fromkeys(map(ord, "\xa0\u2005\u202f\u3000"), " ")
    | _UNSEEN
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A message read as a command.

    `name` is normalised: lower case, no full-width letters. `arguments` are the words behind it, in their case;
    `text` is what stands behind the name as it was typed, and `straightened` makes of it what a shell understands.
    """

    name: str
    arguments: tuple[str, ...] = ()
    text: str = ""


def parse(text: str) -> Typed | None:
    """Read a message as a command; None if it holds no word.

    A leading `/` is optional; `、` and `。` are what that key and the one beside it type in Chinese. Full-width letters
    and digits, capitals, dashes and curly quotes, as a phone's keyboard puts them in, are understood, and spaces of any
    kind; what cannot be seen is passed over. Words in quotes stay together and as they were typed; a quote that is
    never closed is an ordinary character.

    A mention (`@Alice`) is a word like any other and no command's name: a chat takes off the bot's own, and what is
    said to somebody else is not for the bot.
    """
    rest = _bare(text)
    if rest.startswith(_SLASHES):
        rest = _bare(rest[1:])
    word, behind = (*rest.split(maxsplit=1), "", "")[:2]
    name = name_of(word)
    return Typed(name=name, arguments=tuple(word for word, _, _ in words(behind)), text=behind) if name else None


def without_argument(typed: Typed, index: int, /) -> Typed:
    """Take out the word `arguments[index]`, such as a one-time code, and the space behind it; the rest stays as typed.

    Raises:
        IndexError: there is no such argument.
    """
    _, start, end = words(typed.text)[index]
    text = typed.text[:start] + typed.text[end:].lstrip()
    arguments = typed.arguments[:index] + typed.arguments[index:][1:]
    return replace(typed, arguments=arguments, text=text.rstrip() if end == len(typed.text) else text)


def without_code(typed: Typed, *, takes_watch: bool) -> tuple[Typed, str | None]:
    """Take the code out of a command that was typed with one: behind its name, or with `takes_watch` behind the bot's.

    An authenticator's code may stand in two words, as its app shows it. One for a second channel is never typed so.
    """
    for index in range(2 if takes_watch else 1):
        for count in (1, 2):
            words = typed.arguments[index : index + count]
            code = code_of(" ".join(words)) if len(words) == count else None
            kinds = (CodeKind.TOTP, CodeKind.RECOVERY) if count == 1 else (CodeKind.TOTP,)
            if code is not None and kind_of(code) in kinds:
                for _word in words:
                    typed = without_argument(typed, index)
                return typed, code
    return typed, None


def straightened(text: str) -> str:
    """Return a typed text as a shell understands it, without taking it apart.

    `—` and `–`, one or two of them, become `--`; curly quotes straight ones; full-width letters, digits, punctuation
    and spaces (no-break ones too) their ASCII form; what cannot be seen goes. What stands in quotes or behind a
    backslash stays as it is, and so does every other character.
    """
    return "".join(map(_straight, _PIECE.finditer(text)))


def name_of(word: str) -> str:
    """Turn a command's name as it was typed into the name; punctuation alone stays what it is."""
    name = unicodedata.normalize("NFKC", word).translate(_IN_NAMES).casefold()
    return name.lstrip("/" + _QUOTES).rstrip(_END_OF_SENTENCE + _QUOTES) or name


def words(text: str) -> tuple[tuple[str, int, int], ...]:
    """Split into words, each with its start and end in `text`.

    A quote opens at the start of a word or behind its `=`, and closes at the end of one. A word of nothing but what
    cannot be seen is none.
    """
    found: list[tuple[str, int, int]] = []
    for match in _WORD.finditer(text):
        plain = unicodedata.normalize("NFKC", (match["plain"] or match["option"] or "").translate(_IN_WORDS))
        word = _LONG_DASHES.sub("--", plain) + (match["double"] or match["single"] or "")
        if word or match["plain"] is None:
            found.append((word, match.start(), match.end()))
    return tuple(found)


def _bare(text: str) -> str:
    """Take off what cannot be seen at both ends, white space in between it too."""
    return text.strip(_BLANK)


def _straight(piece: re.Match[str]) -> str:
    match piece.lastgroup:
        case "escaped":
            return "\\" + piece[0][1:]
        case "straight_double" | "double":
            return f'"{piece[piece.lastgroup]}"'
        case "straight_single" | "single":
            return f"'{piece[piece.lastgroup]}'"
        case "dashes":
            return "--"
        case _:
            return piece[0].translate(_TO_ASCII)
