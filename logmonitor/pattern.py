r"""One pattern: what RE2 and hyperscan both take, what is refused and what to write instead.

A pattern is RE2's syntax, searched for in one line. What either engine refuses is refused on every machine alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol, overload

import re2

from logmonitor.errors import PatternError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Match(Protocol):
    """A match on one line; the methods are those of `re.Match`."""

    def start(self, group: int | str = 0, /) -> int:
        """Return where `group` starts, -1 if it took no part."""

    def end(self, group: int | str = 0, /) -> int:
        """Return where `group` ends, -1 if it took no part."""

    def span(self, group: int | str = 0, /) -> tuple[int, int]:
        """Return both."""

    @overload
    def group(self, group: int | str = 0, /) -> str | None: ...
    @overload
    def group(self, first: int | str, second: int | str, /, *more: int | str) -> tuple[str | None, ...]: ...
    def group(self, *groups: int | str) -> str | tuple[str | None, ...] | None:
        """Return the text of one group, or of several."""

    def groupdict(self) -> dict[str, str | None]:
        """Return the text of each named group, None where it took no part."""


class Regex(Protocol):
    """A compiled pattern; the methods are those of `re.Pattern`."""

    @property
    def pattern(self) -> str:
        """What it was compiled from."""

    @property
    def groupindex(self) -> Mapping[str, int]:
        """The named groups and their numbers."""

    def search(self, text: str | bytes, start: int | None = None, end: int | None = None, /) -> Match | None:
        """Find the first match; positions are characters of a `str`, bytes of `bytes`."""

    def match(self, text: str | bytes, start: int | None = None, end: int | None = None, /) -> Match | None:
        """Find a match that starts at `start`."""

    def fullmatch(self, text: str | bytes, start: int | None = None, end: int | None = None, /) -> Match | None:
        """Find a match of all of the text."""

    def finditer(self, text: str | bytes, /) -> Iterator[Match]:
        """Find the matches that do not overlap, in order."""


def options(*, never_capture: bool = False, never_nl: bool = False, max_mem: int = 8 << 20) -> re2.Options:
    """Return RE2's options: silent, with what is asked for."""
    result = re2.Options()
    result.log_errors = False
    result.never_capture = never_capture
    result.never_nl = never_nl
    result.max_mem = max_mem
    return result


@lru_cache(maxsize=1024)
def compile_pattern(pattern: str) -> Regex:
    """Compile `pattern` with RE2, once for all bots of a family.

    Raises:
        PatternError: RE2 or hyperscan refuses it. The text is one sentence that names the construct, its position
            (0-based, in characters) and what to write instead.
    """
    tokens = tuple(tokenize(pattern))
    reason = _unsupported(tokens) or _repeated_name(tokens)
    if not reason:
        try:
            compiled: Regex = re2.compile(pattern, options())
        except UnicodeEncodeError as error:
            reason = f"the character at position {error.start} is half of a surrogate pair; write the whole character"
        except re2.error as error:
            reason = _explain(error.args[0].decode("utf-8", "replace"), pattern, tokens)
        else:
            return compiled
    raise PatternError(f"pattern {pattern!r} is refused: {reason}")


_TOKEN: Final = re.compile(
    r"""
      (?P<quote>    \\Q .*? (?: \\E | \Z ) )
    | (?P<property> \\[pP] (?: \{ [^}]* \} | . ) )
    | (?P<boundary> \\[bB] )
    | (?P<escape>   \\ (?: x\{ [^}]* \} | x[0-9A-Fa-f]{2} | [0-7]{1,3} | . ) )
    | (?P<class>    \[ \^? \]? (?: \[:\^?\w+:\] | \\[pP]\{ [^}]* \} | \\. | [^\]\\] )* \] )
    | (?P<open>     \( (?: \? (?: P?<\w+> | [a-zA-Z]*-?[a-zA-Z]*[:)] | [+-]?\d | <[=!] | P[=>] | . )? )? )
    | (?P<close>    \) )
    | (?P<repeat>   (?: [*+?] | \{ \d+ (?: ,\d* )? \} ) \?? )
    | (?P<bar>      \| )
    | (?P<anchor>   [\^$] )
    | (?P<any>      \. )
    | (?P<literal>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_FLAGS: Final = re.compile(r"\(\?([a-zA-Z]*)-?([a-zA-Z]*)([:)])")
_NAME: Final = re.compile(r"\(\?P?<(\w+)>")
COUNT: Final = re.compile(r"\{(\d+)(?:,(\d*))?\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """One piece of a pattern's text; `kind` names the alternative of `_TOKEN`, `position` is 0-based, in characters."""

    kind: str
    text: str
    position: int


def tokenize(pattern: str) -> Iterator[Token]:
    r"""Yield the pieces of `pattern`, also of one that is not valid; a `\` at its end is left out."""
    for found in _TOKEN.finditer(pattern):
        yield Token(kind=str(found.lastgroup), text=found[0], position=found.start())


def flags_of(opening: str) -> tuple[str, str, str]:
    """Return the flags that an opening parenthesis sets and clears, and whether it ends with `:` or `)`."""
    flags = _FLAGS.fullmatch(opening)
    return (flags[1], flags[2], flags[3]) if flags else ("", "", "")


_OPENINGS: Final = {
    "(?=": ("lookahead", "match the text itself and capture the part you need"),
    "(?!": ("negative lookahead", "match what may stand there, such as [^x]"),
    "(?<=": ("lookbehind", "match the text itself and capture the part you need"),
    "(?<!": ("negative lookbehind", "match what may stand there, such as [^x]"),
    "(?>": ("atomic group", "write (?:...), matching takes linear time anyway"),
    "(?#": ("comment group", "leave it out"),
    "(?(": ("conditional", "write both alternatives out with |"),
    "(?P=": ("back-reference", "write the text out, or capture both"),
    "(?P>": ("recursion", "write the repeated part out"),
    "(?&": ("recursion", "write the repeated part out"),
    "(?|": ("branch reset", "write (?:...)"),
    "(?'": ("group name in quotes", "write (?P<name>...)"),
}
_RECURSION: Final = re.compile(r"\(\?[+-]?(?:\d|R\))")
_FLAG_ADVICE: Final = {
    "x": ("verbose flag", "write the pattern without layout and comments"),
    "U": ("ungreedy flag", "write *? or +? where it matters"),
    "u": ("Unicode flag", "leave it out, patterns are Unicode"),
    "a": ("ASCII flag", r"leave it out, \w \d \s and \b are ASCII"),
    "L": ("locale flag", "leave it out"),
}
_NUMBERED = ("back-reference", r"write the text out, or for a character \x{...}")
_ESCAPES: Final = {
    **dict.fromkeys("123456789", _NUMBERED),
    "k": ("back-reference", "write the text out, or capture both"),
    "g": ("back-reference", "write the text out, or capture both"),
    "A": ("start of text", "write ^"),
    "z": ("end of text", "write $"),
    "Z": ("end of text", "write $"),
    "K": ("match reset", "capture the part you need"),
    "G": ("end of the previous match", "write ^ or the text that stands there"),
    "C": ("single byte", "write . for a character"),
    "R": ("line break", "leave it out, each line is matched on its own"),
    "X": ("whole grapheme", "write . for a character"),
    "N": ("non-newline or named character", r"write . or \x{...}"),
    "h": ("horizontal space", r"write [ \t]"),
    "H": ("non-horizontal space", r"write [^ \t]"),
    "u": ("escape", r"write \x{...} with the same digits"),
    "U": ("escape", r"write \x{...} with the same digits"),
    "e": ("escape", r"write \x1b"),
    "c": ("control character", r"write \x and two hexadecimal digits"),
    "E": ("end of a quotation", r"write \Q before it or leave it out"),
}


def _unsupported(tokens: tuple[Token, ...]) -> str:
    """Name the first construct that one of the engines does not have and what to write instead."""
    previous = ""
    for token in tokens:
        found: tuple[str, str] | None = None
        shown = token.text
        if token.kind == "open":
            found, shown = _unsupported_opening(token.text)
        elif token.kind == "escape":
            found = _ESCAPES.get(token.text[1])
            shown = token.text[:2]
        elif token.kind == "class":
            bytewise = r"\C" in token.text.replace(r"\\", "")
            found = ("single byte", "write the characters") if bytewise else None
        elif token.kind == "quote" and not token.text.endswith(r"\E"):
            found = ("open quotation", r"close it with \E")
        elif token.kind == "repeat":
            found = _unsupported_repeat(token.text, previous)
        if found:
            construct, advice = found
            return f"{construct} {shown} at position {token.position} is not supported; {advice}"
        previous = token.kind
    return ""


def _unsupported_opening(text: str) -> tuple[tuple[str, str] | None, str]:
    """Look an opening parenthesis up; return what is wrong with it and how much of it to show."""
    for opening, found in _OPENINGS.items():
        if text.startswith(opening):
            return found, opening
    if _RECURSION.match(text):
        return ("recursion", "write the repeated part out"), text
    set_flags, cleared_flags, _ = flags_of(text)
    for flag in set_flags + cleared_flags:
        if advice := _FLAG_ADVICE.get(flag):
            return advice, text
    if "m" in cleared_flags:
        return ("switched-off multi-line flag", "leave it out, ^ and $ are the line's"), text
    return None, text


def _unsupported_repeat(text: str, previous: str) -> tuple[str, str] | None:
    """Tell what is wrong with a repeat that stands behind a piece of kind `previous`."""
    if previous == "repeat":
        if text == "+":
            return "possessive repeat", "leave the + out, matching takes linear time anyway"
        return "repeat of a repeat", "put (?:...) around what is to be repeated"
    if count := COUNT.match(text):
        lowest, highest = int(count[1]), int(count[2] or count[1])
        if max(lowest, highest) > _LARGEST_COUNT:
            return "too large repeat", f"at most {_LARGEST_COUNT}, or write + or *"
        if lowest > highest:
            return "repeat", "write the smaller number first"
    return None


_LARGEST_COUNT: Final = 1000


def _repeated_name(tokens: tuple[Token, ...]) -> str:
    """Name the first group name that stands twice: only one of the two would ever be seen."""
    seen: set[str] = set()
    for token in tokens:
        if token.kind == "open" and (found := _NAME.fullmatch(token.text)):
            if found[1] in seen:
                return f"group name {found[1]!r} stands a second time at position {token.position}; give it another"
            seen.add(found[1])
    return ""


_REASONS: Final = {
    "missing ]": "the [ is not closed; add ] or write \\[ for the character",
    "trailing \\": "it ends in a single \\; write \\\\ for the character",
    "no argument for repetition operator": "nothing stands before {0} to repeat; write \\ before it for the character",
    "bad repetition operator": "{0} repeats a repeat; put (?:...) around what is to be repeated",
    "invalid character class range": "{0} is no known class or range; write the characters or ranges such as a-z",
    "invalid repetition size": "repeat {0} is too large with those around it; write + or *",
    "invalid escape sequence": "escape {0} is not known; leave the \\ out for the plain character",
    "invalid perl operator": "group {0} is not known; write (...), (?:...), (?P<name>...) or (?i)",
    "invalid named capture group": "{0} is no group name; write (?P<name>...) in letters, digits and _",
    "pattern too large": "it needs too much memory; use smaller repeats, or write + or *",
}
_UNKNOWN_REASON: Final = "RE2 cannot read {0}; write it in RE2's syntax"


def _explain(error: str, pattern: str, tokens: tuple[Token, ...]) -> str:
    """Turn RE2's message into a sentence that says what to write instead."""
    opened: list[int] = []
    for token in tokens:
        if token.kind == "open" and not (token.text.startswith("(?") and token.text.endswith(")")):
            opened.append(token.position)
        elif token.kind == "close" and opened:
            opened.pop()
        elif token.kind == "close":
            return f"the ) at position {token.position} closes nothing; remove it or write \\) for the character"
    if error.startswith("missing )") and opened:
        return f"the ( at position {opened[-1]} is not closed; add ) or write \\( for the character"
    message, _, fragment = error.partition(": ")
    reason = next((reason for start, reason in _REASONS.items() if message.startswith(start)), _UNKNOWN_REASON)
    position = pattern.find(fragment) if fragment else -1
    shown = f"{fragment!r} at position {position}" if position >= 0 else repr(fragment)
    return reason.replace("{0}", shown)
