"""Alerts: log lines that somebody wants to hear of, with their traces; the first of a kind at once, the rest counted.

`gather` makes alerts of lines, `flush` of those that nothing goes on with. `meet` decides which are told at once,
`tick` when the others are: none is ever forgotten before it was told, if only as one of many.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor.alert.shape import shape_of
from logmonitor.alert.stack_trace import LINE_CHARACTERS, Role, add, begin, goes_on, is_beginning, role_of
from logmonitor.code_redaction import redact_codes
from logmonitor.errors import OperationError
from logmonitor.pattern import compile_pattern
from logmonitor.redact import redact
from logmonitor.scan import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from logmonitor.alert.stack_trace import Block
    from logmonitor.pattern import Regex
    from logmonitor.records import Line, LogBatch

QUIET_SECONDS: Final = 0.2
"""A line is told this long after it was seen at the latest, unless something goes on with it."""

LONGEST_SECONDS: Final = 0.5
"""A trace is told this long after its first line was seen at the latest."""

MOST_KINDS: Final = 100
"""So many kinds of alerts are counted each for itself, all others together."""

LINES_AT_ONCE: Final = 1000
BYTES_AT_ONCE: Final = 200_000
"""So many lines, of so many bytes together, keep everything else waiting for a few hundredths of a second."""

EXAMPLE_CHARACTERS: Final = 300
_LONGEST_TERMINATOR: Final = len(b"\r\n")
_CHARACTER_BYTES: Final = 8  # none takes more, and colours take some
_OPENINGS: Final = ("Traceback (", "Exception Group Traceback (")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRules:
    """Which lines are wanted: those in which a pattern of `match` is found, without traces with one of `ignore`.

    A line is not unwanted for what stands before it.
    """

    match: tuple[Regex, ...]
    ignore: tuple[Regex, ...] = ()

    @property
    def patterns(self) -> tuple[str, ...]:
        """The patterns of lines that are wanted."""
        return tuple(regex.pattern for regex in self.match)

    def is_match(self, data: bytes) -> bool:
        """Tell whether a line, as `as_matched` returns it, is wanted."""
        return any(regex.search(data) for regex in self.match)

    def is_ignored(self, data: bytes) -> bool:
        """Tell whether a line, as `as_matched` returns it, keeps the alert from being told."""
        return any(regex.search(data) for regex in self.ignore)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell of: `lines` of the log at `path`, of which `left_out` are left out behind the first `head`.

    `kind` is the same for alerts of the same shape. `brief` says in a line or two what it is.
    """

    path: Path
    kind: str
    lines: tuple[str, ...]
    head: int
    left_out: int
    brief: tuple[str, ...]
    matches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How alerts are told: `most` kinds at once in a `period` of seconds, everything else together at its end."""

    period: float
    most: int

    def __post_init__(self) -> None:
        """Refuse what tells nothing, or does not hold anything back."""
        if not self.period > 0:
            raise OperationError(f"bad period {self.period!r}; expected seconds above 0")
        if self.most < 1:
            raise OperationError(f"bad most {self.most!r}; expected 1 or more")


class Hold(StrEnum):
    """Why nothing is told for now."""

    MUTED = "muted"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Alerts of one kind that wait to be told; times are aware UTC. `example` is what the first of them says."""

    count: int
    first_at: datetime
    last_at: datetime
    example: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What is known of the alerts of one bot.

    `groups` are those that wait, by kind, and `others` the rest, for whose kinds there was no room. `seen` tells when a
    kind that is not told at once again was seen last. A period began at `began_at`, and is over at `ends_at`, in
    seconds of a clock that never steps; `told` counts the kinds told at once in it. `hold` is why nothing is told.
    """

    groups: Mapping[str, Group] = field(default_factory=dict)
    others: Group | None = None
    seen: Mapping[str, float] = field(default_factory=dict)
    began_at: datetime | None = None
    ends_at: float | None = None
    told: int = 0
    hold: Hold | None = None

    @property
    def waiting(self) -> int:
        """How many alerts wait to be told."""
        return sum(group.count for group in self.groups.values()) + (self.others.count if self.others else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Now:
    """When a decision is made, by the calendar (aware UTC) and by a clock that never steps."""

    at: datetime
    monotonic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Tell of an alert; `is_last` says that the next ones are told together, whatever their kind."""

    alert: Alert
    is_last: bool
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Tell of what was counted since `began_at`, the most frequent kind first; `hold` is why not before."""

    groups: tuple[Group, ...]
    others: Group | None
    began_at: datetime
    hold: Hold | None

    @property
    def count(self) -> int:
        """How many alerts it tells of."""
        return sum(group.count for group in self.groups) + (self.others.count if self.others else 0)


Step: TypeAlias = First | Digest


def line_rules(match: str | Sequence[str], ignore: str | Sequence[str] = ()) -> LineRules:
    """Compile patterns (RE2 syntax).

    Raises:
        OperationError: nothing is to match.
        PatternError: a pattern is refused.
    """
    wanted, unwanted = ((one,) if isinstance(one, str) else tuple(one) for one in (match, ignore))
    if not wanted:
        raise OperationError("bad match (); expected at least one pattern")
    return LineRules(match=tuple(map(compile_pattern, wanted)), ignore=tuple(map(compile_pattern, unwanted)))


def parts(batch: LogBatch, *, most: int = LINES_AT_ONCE, most_bytes: int = BYTES_AT_ONCE) -> Iterator[LogBatch]:
    """Divide a batch into such of at most so many lines, and so many bytes unless a single line has more."""
    start, size_bytes = 0, 0
    for end, line in enumerate(batch.lines):
        size_bytes += len(line.raw)
        if end > start and (end - start == most or size_bytes > most_bytes):
            yield replace(batch, lines=batch.lines[start:end], end_offset=line.offset)
            start, size_bytes = end, len(line.raw)
    if start < len(batch.lines):
        yield replace(batch, lines=batch.lines[start:])


def gather(
    block: Block | None,
    path: Path,
    lines: Sequence[Line],
    *,
    rules: LineRules,
    now: float,
    end_offset: int | None = None,
) -> tuple[Block | None, tuple[Alert, ...]]:
    """Make alerts of the next lines of the log at `path`, of which `block` is what may go on.

    `lines` are those that match the rules or `TRACE_PATTERN`, so that lines between which none was left out are known
    by their numbers; others follow the last if it does not end at `end_offset`. How they are divided among calls makes
    no difference, but that time may pass in between.

    A wanted line behind an ignored one begins a block of its own: what a stranger makes a bot log would otherwise
    be a trace that a real alert belongs to and is lost with. A line that quotes another one is no alert: it is what a
    twin told of, in the log of who told or heard it, and alerts would answer alerts.
    """
    alerts: list[Alert] = []
    if block is not None and not block.matches and now >= block.touched_at + QUIET_SECONDS:
        block = None  # what went on from it would have come at once
    for line in lines:
        data = line.raw if line.raw.isascii() else line.text.encode()
        text = clean_text(line.raw[: _CHARACTER_BYTES * LINE_CHARACTERS], strip_ansi=True)
        role = role_of(text)
        is_match = role is not Role.QUOTE and rules.is_match(data)
        is_ignored = bool(rules.ignore) and rules.is_ignored(data)
        is_lost = block is not None and block.is_ignored and is_match and not is_ignored
        if block is not None and not is_lost and goes_on(block, text, role, line.number):
            block = add(block, text, role, line.number, is_match=is_match, is_ignored=is_ignored, now=now)
            continue
        alerts += _finished(block, path)
        is_begun = is_match or is_beginning(role)
        block = begin(text, role, line.number, is_match=is_match, is_ignored=is_ignored, now=now) if is_begun else None
    if block is not None and block.role is not Role.LOCATION and _is_followed(lines[-1:], end_offset):
        alerts += _finished(block, path)
        block = None
    return block, tuple(alerts)


def due_at(block: Block | None) -> float | None:
    """Return when to `flush` a block, None if it may wait for ever."""
    if block is None or not block.matches:
        return None
    return min(block.touched_at + QUIET_SECONDS, block.opened_at + LONGEST_SECONDS)


def flush(blocks: Mapping[Path, Block], *, now: float | None) -> tuple[Mapping[Path, Block], tuple[Alert, ...]]:
    """Make alerts of the blocks that are due; with None for the time, of all."""
    due = {
        path: block
        for path, block in blocks.items()
        if now is None or ((at := due_at(block)) is not None and at <= now)
    }
    left = {path: block for path, block in blocks.items() if path not in due}
    return left, tuple(alert for path, block in due.items() for alert in _finished(block, path))


def meet(tally: Tally, alerts: Sequence[Alert], now: Now, *, pace: Pace) -> tuple[Tally, tuple[First, ...]]:
    """Decide which alerts are told at once; count the others."""
    if not alerts:
        return tally, ()
    began_at, ends_at = tally.began_at or now.at, tally.ends_at
    if ends_at is None:
        began_at, ends_at = now.at, now.monotonic + pace.period
    groups, others, seen, told = dict(tally.groups), tally.others, dict(tally.seen), tally.told
    counts: dict[str, int] = {}
    firsts: list[First] = []
    for alert in alerts:
        kind = alert.kind
        if kind in groups:
            counts[kind] = counts.get(kind, 0) + 1
        elif told < pace.most and tally.hold is None and now.monotonic >= seen.get(kind, -inf) + pace.period:
            told += 1
            firsts.append(First(alert=alert, is_last=told == pace.most, until=ends_at))
        elif len(groups) < MOST_KINDS:
            groups[kind] = _counted(None, 1, now.at, alert)
        else:
            others = _counted(others, 1, now.at, alert)
            continue
        seen[kind] = now.monotonic
    for kind, count in counts.items():
        groups[kind] = _counted(groups[kind], count, now.at)
    return replace(
        tally, groups=groups, others=others, seen=seen, began_at=began_at, ends_at=ends_at, told=told
    ), tuple(firsts)


def tick(tally: Tally, now: Now, *, pace: Pace, hold: Hold | None) -> tuple[Tally, Digest | None]:
    """Do what time asks for: tell what was counted once a period is over, or once nothing holds it back any more."""
    if hold is not None:
        return tally if tally.hold is hold else replace(tally, hold=hold), None
    is_over = tally.ends_at is not None and now.monotonic >= tally.ends_at
    if tally.hold is None and not is_over:
        return tally, None
    digest = None
    if tally.waiting:
        ordered = sorted(tally.groups.values(), key=lambda group: -group.count)
        began_at = tally.began_at or now.at
        digest = Digest(groups=tuple(ordered), others=tally.others, began_at=began_at, hold=tally.hold)
    seen = {kind: at for kind, at in tally.seen.items() if now.monotonic < at + pace.period}
    if not seen:
        return Tally(), digest
    return Tally(seen=seen, began_at=now.at, ends_at=now.monotonic + pace.period), digest


def shortened(text: str, characters: int) -> str:
    """Return the beginning of a text, if it has more characters than that; a word at its end is kept whole or not."""
    if len(text) <= characters:
        return text
    head, _, rest = text[: characters - 1].rpartition(" ")
    return f"{head if len(rest) < characters // 2 else text[: characters - 1]}…"


def _is_followed(last: Sequence[Line], end_offset: int | None) -> bool:
    """Tell whether a line stands behind the last one that was left out; an empty one never is."""
    return end_offset is not None and any(
        end_offset - line.offset - len(line.raw) > _LONGEST_TERMINATOR for line in last if not line.truncated
    )


def _counted(group: Group | None, count: int, at: datetime, alert: Alert | None = None) -> Group:
    if group is not None:
        return replace(group, count=group.count + count, last_at=at)
    brief = alert.brief if alert is not None else ()
    return Group(count=count, first_at=at, last_at=at, example=tuple(map(_example, brief)))


def _example(text: str) -> str:
    """Return what is kept of a line, and that on disk: no code or secret that can be told by its form."""
    return shortened(redact(redact_codes(text)), EXAMPLE_CHARACTERS)


def _finished(block: Block | None, path: Path) -> tuple[Alert, ...]:
    """Make the alert of a block that nothing goes on with, if it is wanted."""
    if block is None or not block.matches or block.is_ignored:
        return ()
    first = block.head[0]
    frame = block.frame.replace('"', "")  # the file that it names makes a difference
    shapes = dict.fromkeys(map(shape_of, filter(None, (first, frame, block.exception))))
    kind = hashlib.blake2b("\n".join(shapes).encode("utf-8", "replace"), digest_size=12).hexdigest()
    return (
        Alert(
            path=path,
            kind=kind,
            lines=(*block.head, *block.tail),
            head=len(block.head),
            left_out=block.lines - len(block.head) - len(block.tail),
            brief=_brief(first, block.exception),
            matches=block.matches,
        ),
    )


def _brief(first: str, exception: str) -> tuple[str, ...]:
    """Return the first line and what was raised, as far as they say something."""
    if not exception or exception == first:
        return (first,)
    return (exception,) if first.lstrip(" +|").startswith(_OPENINGS) else (first, exception)
