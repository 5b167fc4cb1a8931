r"""One-time codes out of log text: a bot's framework may log what somebody typed to it.

`redact` takes out a code that a word calls one. Here every text goes that could be one, by its form alone: six or
eight digits by themselves, also in two halves (`123 456`, `1234-5678`), and a recovery code, in any case and width.
What stays, as nobody types a code so:

- digits within a longer number or beside letters (`id123456`, `123456ms`, `0x12345678`), in a path (`proc/123456`),
  behind `#`, or joined to more by hyphens (`12345678-9abc`);
- the fraction of a number or of a time (`0.123456`, `22:35:57,627123`), and a number that has one (`123456.5`);
- dates from 2000 to 2099 (`20261121`), and a time directly behind one (`20261121 062510`, `20261121-062510`);
- the number in plain brackets (`[123456]`, `sshd[123456]:`), and behind `pid`, `ppid`, `tid`, `uid`, `gid`, `port`;
- digits in other groups (`12 34 56`) and a recovery code without its hyphen, but where a message would stand: as all of
  a line, as what it ends with behind `: ` or a tab, or as a text in quotes; with a blank for its hyphen a recovery code
  goes also where both its halves have letters and digits.

So an eight-digit code that reads as a date stays too, and the size of a file in six digits goes.
"""

from __future__ import annotations

import re
from typing import Final

from logmonitor.one_time_code import code_of
from logmonitor.redact import REDACTED

_FULL_WIDTH: Final = dict(zip(range(0xFF01, 0xFF5F), range(0x21, 0x7F), strict=True))
_BLANKS: Final = dict.fromkeys(map(ord, "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{IDEOGRAPHIC SPACE}"), " ")
_DASHES: Final = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-")
_PLAIN: Final = {
    character: text if isinstance(text, str) else chr(text)
    for character, text in (_FULL_WIDTH | _BLANKS | _DASHES).items()
}
_ODD: Final = re.compile(f"[{re.escape(''.join(map(chr, _PLAIN)))}]")
# Each of these looks at a few dozen characters from where it begins, so that all of it is linear in time.
_DIGITS: Final = re.compile(r"(?<![0-9A-Za-z_])(?:[0-9]{3}[ -]?[0-9]{3}|[0-9]{4}[ -]?[0-9]{4})(?![0-9A-Za-z_])")
_GROUPS: Final = re.compile(r"(?<![\w-])(?=(?P<code>[0-9A-Za-z]{5}[ -][0-9A-Za-z]{5})(?![\w-]))", re.ASCII)
_ALONE: Final = re.compile(
    r"""
    (?: ^ | (?<=:[ ]) | (?<=\t) | (?<=["'“‘]) )
    (?: [0-9A-Za-z]{5}[ -]?[0-9A-Za-z]{5} | [0-9](?:[ -]?[0-9]){5} | [0-9](?:[ -]?[0-9]){7} )
    (?= [ \t\r]*$ | ["'”’] )
    """,
    re.VERBOSE | re.MULTILINE | re.ASCII,
)
_LONGEST_CONTEXT: Final = 16
_ELSE_BEFORE: Final = re.compile(
    r"""
    [0-9]\. | :[0-9]{2},              # a fraction
    | [\w.~-]/ | \#                  # a path, a number of something
    | [0-9]-                          # a part of something longer
    | \b(?:p?pid|[tug]id|port)[ =:]{1,2}
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_ENDS_WITH_ELSE: Final = re.compile(rf"(?:{_ELSE_BEFORE.pattern})\Z", _ELSE_BEFORE.flags)
_ELSE_BEHIND: Final = re.compile(r"\.[0-9]|/|-[0-9A-Za-z]", re.ASCII)
_DATE: Final = r"20[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
_IS_DATE: Final = re.compile(_DATE)
_IS_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]")
_ENDS_WITH_DATE: Final = re.compile(rf"(?<![0-9]){_DATE} \Z")
_IS_MIXED: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z]).*")


def redact_codes(text: str) -> str:
    """Return log text for a chat with `[redacted]` for every one-time code that somebody may have typed.

    Too much rather than too little: what stays is told above. It takes out nothing else; `redact` does.
    """
    plain = _ODD.sub(lambda odd: _PLAIN[ord(odd[0])], text)
    found = [match.span() for match in _DIGITS.finditer(plain) if not _is_else(plain, match)]
    found += [match.span("code") for match in _GROUPS.finditer(plain) if _is_recovery_code(match["code"])]
    found += [match.span() for match in _ALONE.finditer(plain) if _is_answer(match[0])]
    kept: list[str] = []
    at = 0
    for start, end in sorted(found):
        if start >= at:
            kept += (text[at:start], REDACTED)
        at = max(at, end)
    return "".join((*kept, text[at:]))


def _is_else(text: str, digits: re.Match[str]) -> bool:
    """Tell whether a group of digits is something else by what it is, or what stands around it."""
    before = text[max(0, digits.start() - _LONGEST_CONTEXT) : digits.start()]
    behind = text[digits.end() : digits.end() + 2]
    return (
        _IS_DATE.fullmatch(digits[0]) is not None
        or (_IS_TIME.fullmatch(digits[0]) is not None and _ENDS_WITH_DATE.search(before) is not None)
        or _ENDS_WITH_ELSE.search(before) is not None
        or _ELSE_BEHIND.match(behind) is not None
        or (before.endswith("[") and behind.startswith("]"))
    )


def _is_recovery_code(groups: str) -> bool:
    """Tell whether two groups of five could be a recovery code and not two words."""
    return code_of(groups) is not None and ("-" in groups or all(map(_IS_MIXED.fullmatch, groups.split(" "))))


def _is_answer(text: str) -> bool:
    """Tell whether a text that stands alone could answer the question for a code."""
    code = code_of(text, is_answer=True)
    return code is not None and _IS_DATE.fullmatch(code) is None
