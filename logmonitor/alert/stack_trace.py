"""Stack traces in a log: which lines next to each other are one, as Python, Java, Node and Go write them.

A block is a line that somebody wants to hear of with the trace behind it, or a trace alone. What a line is, is told by
its own text, and whether it goes on with a block by what the block's last line is: no trace has to be whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

LINE_CHARACTERS: Final = 1000
"""So much of each line is looked at and kept."""

HEAD_LINES: Final = 8
TAIL_LINES: Final = 6
"""Of a longer block so many lines are kept of its beginning and its end."""

# pm2 and others put a time and a colon before every line, those of a trace too.
_STAMP: Final = r"(?:\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}[\d.,]*(?:Z|\ ?[+-]\d{2}:?\d{2})?:\ )?"
_COLOUR: Final = r"(?:\x1b\[[0-9;]*m)*"
_CONTEXT: Final = (
    r"(?:future|task|handle|message|protocol|transport|source_traceback|client_session|connections?|conn):\ "
)

TRACE_PATTERN: Final = (
    rf"^{_COLOUR}{_STAMP}{_COLOUR}(?:\s*$|[ \t]|[\^~]+{_COLOUR}$|Caused by: |Suppressed: |During handling of the above "
    rf"|The above exception was |goroutine \d+ \[|panic: |fatal error: |\[signal |created by |[^\s(]+\(.*\){_COLOUR}$"
    rf"|[}}\])]+[,;]?{_COLOUR}$|Node\.js v\d|exit status \d|(?:file://)?/[^\s:]+:\d+{_COLOUR}$|node:\S+:\d+{_COLOUR}$"
    rf"|{_CONTEXT}|Uncaught |Unhandled |Exception in thread |Exception ignored in|\[\w+: "
    rf"|(?:[A-Za-z_][\w$]*\.[\w.$]*|[A-Z][a-z\d]+[A-Z]\w*|\w*(?:Error|Exception|Throwable|Rejection|Failure))"
    rf"(?: \[\w+\])?(?::|{_COLOUR}$))"
    r"|Traceback \(most recent call last\)"
)
"""What every line of a trace matches (RE2 syntax), and few others do: such lines have to be seen to find the traces."""


class Role(StrEnum):
    """What a line is to a trace; a quote is none of it, but a line that an alert of ours has told of."""

    PLAIN = "plain"
    QUOTE = "quote"
    BLANK = "blank"
    OPENING = "opening"
    LATE_OPENING = "late_opening"
    CONTEXT = "context"
    THREAD = "thread"
    FRAME = "frame"
    INDENTED = "indented"
    CARET = "caret"
    EXCEPTION = "exception"
    NAME = "name"
    CAUSE = "cause"
    LINK = "link"
    PANIC = "panic"
    GOROUTINE = "goroutine"
    CALL = "call"
    LOCATION = "location"
    SOURCE = "source"
    END = "end"


_ROLES: Final = re.compile(
    _STAMP
    + rf"""
    (?: (?P<blank> \s*+$ )
      | (?P<quote> >\  )
      | (?P<opening> [ \t|+]*+(?:Exception\ Group\ )?Traceback\ \(most\ recent\ call\ last\) )
      | (?P<caret> [ \t]*+[\^~]++\s*$ )
      | (?P<frame> [ \t]++(?:at\ \S|File\ "|\.\.\.\ \d|/\S+:\d) )
      | (?P<cause> [ \t]*+(?:Caused\ by:|Suppressed:)\  )
      | (?P<link> During\ handling\ of\ the\ above\ |The\ above\ exception\ was\  )
      | (?P<indented> [ \t] )
      | (?P<context> {_CONTEXT} )
      | (?P<thread> Exception\ in\ thread\ |Exception\ ignored\ in )
      | (?P<goroutine> goroutine\ \d+\ \[ )
      | (?P<panic> panic:\ |fatal\ error:\ |\[signal\  )
      | (?P<end> [}}\])]++[,;]?\s*$ | Node\.js\ v\d | exit\ status\ \d )
      | (?P<location> (?:file://)?/[^\s:]++:\d+\s*$ | node:[^\s:]++:\d+\s*$ )
      | (?P<exception> \[?(?:Uncaught\ |Unhandled\ )?(?:\w++[.$])*+
            (?=\w*(?:Error|Exception|Throwable|Rejection|Failure))\w++(?:\ \[\w++\])?+(?::|\]?\s*$) )
      | (?P<name> [A-Za-z_][\w.$]*+(?::|\s*$) )
      | (?P<call> created\ by\ |[^\s(]++\(.*\)\s*$ )
    )
    """,
    re.VERBOSE,
)
_OPENING: Final = "Traceback (most recent call last)"
_BODY: Final = frozenset({Role.FRAME, Role.INDENTED, Role.CARET})
_RAISED: Final = frozenset({Role.EXCEPTION, Role.NAME})
_BEGINNINGS: Final = frozenset(
    {
        Role.OPENING,
        Role.LATE_OPENING,
        Role.CONTEXT,
        Role.THREAD,
        Role.EXCEPTION,
        Role.PANIC,
        Role.GOROUTINE,
        Role.LOCATION,
    }
)
_FOLLOWERS: Final = {
    Role.PLAIN: frozenset(
        {Role.OPENING, Role.CONTEXT, Role.FRAME, Role.EXCEPTION, Role.CAUSE, Role.PANIC, Role.GOROUTINE}
    ),
    Role.CONTEXT: frozenset({Role.CONTEXT, Role.OPENING}),
    Role.THREAD: frozenset({Role.OPENING, Role.FRAME, Role.CAUSE}),
    Role.OPENING: _BODY,
    Role.LATE_OPENING: _BODY,
    **dict.fromkeys(_BODY, _BODY | {Role.CAUSE, Role.CALL, Role.END}),
    **dict.fromkeys(_RAISED, frozenset({Role.FRAME, Role.CAUSE})),
    Role.CAUSE: frozenset({Role.FRAME, Role.CAUSE, Role.INDENTED}),
    Role.PANIC: frozenset({Role.PANIC, Role.INDENTED, Role.GOROUTINE}),
    Role.GOROUTINE: frozenset({Role.CALL}),
    Role.CALL: frozenset({Role.FRAME, Role.INDENTED, Role.CALL}),
    Role.SOURCE: frozenset({Role.CARET}),
    Role.END: frozenset({Role.END}),
}
_BEHIND_BLANKS: Final = frozenset({Role.LINK, Role.GOROUTINE, Role.END})
_MOST_BLANKS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Lines that belong together, so far.

    `number` and `role` are those of the last line; `blanks` counts blank lines behind it. `matches` counts the lines
    that somebody wants to hear of, and `is_ignored` says that one of them all is to be ignored. `head` and `tail` are
    what is kept of its `lines`, blank ones left out. `frame` is where it was raised, `exception` what. `is_awaited`
    says that Python has not yet written what was raised, `is_open` that the last line opens a brace.
    """

    number: int
    role: Role
    opened_at: float
    touched_at: float
    head: tuple[str, ...]
    matches: int
    is_ignored: bool
    tail: tuple[str, ...] = ()
    lines: int = 1
    blanks: int = 0
    frame: str = ""
    exception: str = ""
    is_awaited: bool = False
    is_open: bool = False


def role_of(text: str) -> Role:
    """Return what a line is to a trace, by itself; `text` without ANSI sequences."""
    found = _ROLES.match(text, 0, LINE_CHARACTERS)
    if found is not None:
        return Role(str(found.lastgroup))
    return Role.LATE_OPENING if _OPENING in text[:LINE_CHARACTERS] else Role.PLAIN


def is_beginning(role: Role) -> bool:
    """Tell whether a trace may begin with such a line."""
    return role in _BEGINNINGS


def begin(text: str, role: Role, number: int, *, is_match: bool, is_ignored: bool, now: float) -> Block:
    """Begin a block with the line of that number at `now`, in seconds of a clock that never steps."""
    text = text[:LINE_CHARACTERS]
    return Block(
        number=number,
        role=role,
        opened_at=now,
        touched_at=now,
        head=(text,),
        matches=int(is_match),
        is_ignored=is_ignored,
        exception=text if role in {Role.THREAD, Role.EXCEPTION, Role.PANIC} else "",
        is_awaited=role in {Role.OPENING, Role.LATE_OPENING},
        is_open=text.endswith("{"),
    )


def goes_on(block: Block, text: str, role: Role, number: int) -> bool:
    """Tell whether the line of that number belongs to a block."""
    if role is Role.QUOTE:
        return False
    if number != block.number + 1:
        return block.role is Role.LOCATION and role is Role.CARET and number == block.number + 2
    if block.role is Role.LOCATION:
        return True
    if role is Role.BLANK:
        return block.role is not Role.PLAIN and block.blanks < _MOST_BLANKS
    return _goes_on_behind_blanks(block, role) if block.blanks else _goes_on_at_once(block, text, role)


def add(block: Block, text: str, role: Role, number: int, *, is_match: bool, is_ignored: bool, now: float) -> Block:
    """Return the block with a line that belongs to it."""
    matches, is_ignored = block.matches + is_match, block.is_ignored or is_ignored
    if role is Role.BLANK:
        return replace(
            block, number=number, blanks=block.blanks + 1, matches=matches, is_ignored=is_ignored, touched_at=now
        )
    text = text[:LINE_CHARACTERS]
    is_head = not block.tail and len(block.head) < HEAD_LINES
    is_raised = role in _RAISED and (block.is_awaited or role is Role.EXCEPTION)
    is_frame = role in {Role.FRAME, Role.CALL} and (block.is_awaited or not block.frame)
    return replace(
        block,
        number=number,
        role=Role.SOURCE if block.role is Role.LOCATION and role is not Role.CARET else role,
        touched_at=now,
        head=(*block.head, text) if is_head else block.head,
        tail=block.tail if is_head else (*block.tail, text)[-TAIL_LINES:],
        lines=block.lines + 1,
        matches=matches,
        is_ignored=is_ignored,
        blanks=0,
        frame=text if is_frame else block.frame,
        exception=text if is_raised or role in {Role.CAUSE, Role.PANIC} else block.exception,
        is_awaited=role is Role.OPENING or (block.is_awaited and role not in _RAISED),
        is_open=text.endswith("{"),
    )


def _goes_on_behind_blanks(block: Block, role: Role) -> bool:
    return (
        role in _BEHIND_BLANKS
        or (role is Role.OPENING and block.role is Role.LINK)
        or (role in _RAISED and block.role is Role.CARET and not block.is_awaited)
    )


def _goes_on_at_once(block: Block, text: str, role: Role) -> bool:
    return (
        role in _FOLLOWERS.get(block.role, ())
        or (role in _RAISED and block.is_awaited)
        or (role is Role.OPENING and block.role in _BODY and text[:1].isspace())
        or (role in {Role.INDENTED, Role.END} and block.is_open)
    )
