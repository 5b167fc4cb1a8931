"""Show a bot's log: all of it, its end, what matches in it, what it says since a time.

`count_of`, `pattern_of` and `start_of` read what was typed, `heading` and `caption` tell what was found; all are pure.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from logmonitor import (
    Attachment,
    Command,
    LastLines,
    LinesSince,
    MatchingLines,
    Operation,
    OperationConfig,
    OperationError,
    PatternError,
    Right,
    UsageError,
    log_file,
    log_text,
    parse_duration,
    size_text,
    time_text,
    translation,
    visible,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from logmonitor import Context, Invocation, LogSlice, Selection

TEXT_BYTES: Final = 1 << 15
"""What is longer goes as a file and not as a text."""

LONGEST_SECONDS: Final = 300.0
_LONGEST_SHOWN: Final = 60
_COUNT: Final = re.compile(r"-?(?P<count>[1-9][0-9]{0,8})", re.ASCII)
_TIME: Final = re.compile(r"(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})", re.ASCII)
_ANY_CASE: Final = "(?i)"
_ESCAPE: Final = re.compile(r"\\(?:[pPx]\{[^}]*\}|[pP]?.)")

Wanted: TypeAlias = "LastLines | MatchingLines | timedelta | time"
"""What is asked for; what was said since a time by how long ago that is, or by the time of day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is looked for in logs, and when that is asked, in which zone and language."""

    selection: Selection
    now: datetime
    zone: tzinfo | None
    translate: Callable[[str], str]


def log_view(
    config: OperationConfig,
    *,
    lines: int = 20,
    matches: int = 50,
    most_bytes: int = 8 << 20,
    most_logs: int = 3,
) -> Operation:
    """Send a bot's log, its last `lines`, the last `matches` of those that match a pattern, or those since a time.

    Of a log at most the last `most_bytes` are sent, and of several logs the `most_logs` last written to.
    """
    _check(lines=lines, matches=matches, most_bytes=most_bytes, most_logs=most_logs)
    _ = translation(config.language)

    def whole(words: Sequence[str]) -> Wanted:
        if words:
            raise UsageError(_("{command} takes the name of a bot and nothing else").format(command="log"))
        return LastLines()

    def end(words: Sequence[str]) -> Wanted:
        return LastLines(count=count_of(words, otherwise=lines, translate=_))

    def matching(words: Sequence[str]) -> Wanted:
        return MatchingLines(pattern=pattern_of(words, translate=_), count=matches)

    def later(words: Sequence[str]) -> Wanted:
        return span_of(words, translate=_)

    def command_of(name: str, read: Callable[[Sequence[str]], Wanted], *, usage: str, text: str) -> Command:
        async def handle(context: Context, invocation: Invocation) -> None:
            bot, wanted = invocation.watch or "", read(invocation.arguments)
            selection = _selected(context, bot, wanted, zone=config.timezone)
            if selection is None:
                untimed = _("the log of {bot} tells no time, or it is not known yet how it does; `tail` shows its end")
                await context.send(untimed.format(bot=bot))
                return
            view = View(selection=selection, now=context.now(), zone=config.timezone, translate=_)
            paths = context.logs(bot)
            labels = labels_of(paths)
            shown = [await _show(context, path, labels[path], view, most_bytes) for path in paths[-most_logs:]]
            await _send(context, shown, rest_text(bot, len(paths), most_logs, translate=_))

        def objection(invocation: Invocation) -> str | None:
            try:
                read(invocation.arguments)
            except UsageError as error:
                return str(error)
            return None

        return Command(
            name=name,
            handler=handle,
            help=text,
            usage=usage,
            takes_watch=True,
            takes_arguments=name != "log",
            right=Right.GRANT,
            objection=objection,
            read_only=True,
            concurrent=True,
            timeout=LONGEST_SECONDS,
        )

    return Operation(
        name="log_view",
        config=config,
        commands=(
            command_of("log", whole, usage=_("[BOT]"), text=_("send the bot's log as a file")),
            command_of("tail", end, usage=_("[COUNT] [BOT]"), text=_("show the last lines of the bot's log")),
            command_of(
                "grep",
                matching,
                usage=_("PATTERN [BOT]"),
                text=_("show the last lines of the bot's log in which a pattern matches"),
            ),
            command_of(
                "since", later, usage=_("10m [BOT]"), text=_("show what the bot's log says since then, or since 09:30")
            ),
        ),
    )


def count_of(words: Sequence[str], *, otherwise: int, translate: Callable[[str], str]) -> int:
    """Return how many lines are asked for, as `50`, or as it is typed in a shell: `-50`, `-n 50`.

    Raises:
        UsageError: that is no number of lines.
    """
    match [word for word in words if word != "-n"]:
        case []:
            return otherwise
        case [word] if found := _COUNT.fullmatch(word):
            return int(found["count"])
    raise UsageError(translate("how many lines? Say it as in `tail 50`"))


def pattern_of(words: Sequence[str], *, translate: Callable[[str], str]) -> str:
    """Return the pattern asked for; one without capitals, or behind `-i`, matches in any case.

    Raises:
        UsageError: there is none, or it is refused.
    """
    is_any_case = len(words) > 1 and words[0] == "-i"
    pattern = " ".join(words[is_any_case:])
    if not pattern:
        raise UsageError(translate("what is to be looked for? Say it as in `grep ERROR`"))
    try:
        MatchingLines(pattern=pattern, count=1)
    except PatternError as error:
        raise UsageError(str(error)) from None
    bare = _ESCAPE.sub("", pattern)
    return f"{_ANY_CASE}{pattern}" if is_any_case or bare == bare.lower() else pattern


def span_of(words: Sequence[str], *, translate: Callable[[str], str]) -> timedelta | time:
    """Return since when: how long ago, or from which time of day on, as `09:30`.

    Raises:
        UsageError: it is neither.
    """
    text = " ".join(words)
    clock = _TIME.fullmatch(text)
    try:
        if clock is not None:
            return time(int(clock["hour"]), int(clock["minute"]))
    except ValueError:
        pass
    seconds = parse_duration(text)
    if seconds is None:
        raise UsageError(translate("since when? Say it as in `since 10m`, `since 2h` or `since 09:30`"))
    return timedelta(seconds=seconds)


def start_of(span: timedelta | time, *, now: datetime, zone: tzinfo | None) -> datetime:
    """Return the moment that is meant, aware UTC; a time of day is the last one that has come."""
    if isinstance(span, timedelta):
        return now - span
    today = now.astimezone(zone).date()
    days = (datetime.combine(today - timedelta(days=ago), span).replace(tzinfo=zone) for ago in (0, 1))
    return next(moment for day in days if (moment := day.astimezone(UTC)) <= now)


def labels_of(paths: Sequence[Path]) -> dict[Path, str]:
    """Return what logs are called: by their names, with their folder's where two have the same."""
    names = Counter(path.name for path in paths)
    return {
        path: visible(path.name if names[path.name] == 1 else f"{path.parent.name}/{path.name}", one_line=True)
        for path in paths
    }


def heading(view: View, found: LogSlice) -> str:
    """Return what stands above lines of a log: which they are, and how many of how many."""
    _, selection = view.translate, view.selection
    if found.size_bytes == 0:
        return _("empty")
    if not found.is_timed:
        return _("no line tells its time; `tail` shows its end")
    match selection:
        case MatchingLines():
            pattern = visible(selection.pattern.removeprefix(_ANY_CASE), one_line=True)
            shown = pattern if len(pattern) <= _LONGEST_SHOWN else f"{pattern[:_LONGEST_SHOWN]}…"
            what = _("lines with {pattern}").format(pattern=shown)
        case LinesSince():
            what = _("lines since {time}").format(time=time_text(selection.since, now=view.now, zone=view.zone))
        case _:
            what = _("last lines")
    if found.lines == found.found:
        number = str(found.lines)
    elif found.found is not None:
        number = _("the last {lines} of {found}").format(lines=found.lines, found=found.found)
    else:
        number = _("the last {lines}, and there may be more").format(lines=found.lines)
    told = _("{what}: {number}").format(what=what, number=number)
    return _("{told}; some are cut").format(told=told) if found.is_cut else told


def caption(view: View, found: LogSlice) -> str:
    """Return how much of a log goes as a file."""
    size = size_text(found.size_bytes)
    if found.found is not None:
        return size
    return view.translate("the last {part} of {size}").format(part=size_text(len(found.data)), size=size)


def rest_text(bot: str, logs: int, most_logs: int, *, translate: Callable[[str], str]) -> str:
    """Return what is to be said of logs that are not shown; nothing if there are none."""
    if not logs:
        return translate("no log of {bot} is there now").format(bot=bot)
    if logs > most_logs:
        return translate("older logs that are left out: {count}").format(count=logs - most_logs)
    return ""


def _check(**numbers: int) -> None:
    """Refuse what shows nothing."""
    for name, number in numbers.items():
        if number < 1:
            raise OperationError(f"bad {name} {number!r} of log_view; expected 1 or more")


def _selected(context: Context, bot: str, wanted: Wanted, *, zone: tzinfo | None) -> Selection | None:
    """Return what is looked for in a bot's log; None where it tells no time and one is asked for."""
    if isinstance(wanted, LastLines | MatchingLines):
        return wanted
    clock = context.log_clock(bot)
    return None if clock is None else LinesSince(since=start_of(wanted, now=context.now(), zone=zone), clock=clock)


async def _show(context: Context, path: Path, label: str, view: View, limit_bytes: int) -> str | Attachment:
    """Read a log; return what was found as a text, or as a file if it is large or was asked for."""
    _ = view.translate
    try:
        found = await context.host.read_log(path, view.selection, limit_bytes=limit_bytes)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return _("{log} cannot be read: {reason}").format(log=label, reason=reason)
    is_file = view.selection == LastLines() and found.data != b""
    head = _("{log}, {told}").format(log=label, told=caption(view, found) if is_file else heading(view, found))
    if is_file or len(found.data) > TEXT_BYTES:
        data = await asyncio.to_thread(log_file, found.data)
        filename = f"{label.replace('/', '-')}.txt"
        return Attachment(filename=filename, content_type="text/plain", data=data, caption=head)
    return f"{head}\n{await asyncio.to_thread(log_text, found.data)}".rstrip()


async def _send(context: Context, shown: Sequence[str | Attachment], rest: str) -> None:
    """Send what was found: the texts as one, then the files."""
    texts = [*(part for part in shown if isinstance(part, str)), *([rest] if rest else ())]
    if texts:
        await context.send("\n\n".join(texts))
    for part in shown:
        if isinstance(part, Attachment):
            await context.send(part)
