"""A bot's log in the chat: what admins are shown of it, by which words, and what is kept from them."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
import re
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import (
    Attachment,
    Content,
    Invocation,
    LastLines,
    LinesSince,
    LogClock,
    LogSlice,
    MatchingLines,
    OperationConfig,
    OperationError,
    UsageError,
)
from logmonitor.command import Found, build, find
from logmonitor.testing import FakeHost, LogWriter, RecordingContext, chat, message
from logmonitor.testing.clock import START
from logmonitor.transport import Limits
from logmonitor.typed import parse
from operations.log_view import TEXT_BYTES, View, count_of, heading, log_view, pattern_of, span_of, start_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from logmonitor import Operation, Selection
    from logmonitor.testing.chat import Chat

LINE = "12:00:00 INFO StarterBot"


def view(language: str = "en", **limits: int) -> Operation:
    """Make the operation for all bots."""
    return log_view(OperationConfig(language=language, timezone=UTC), **limits)


def written(here: Chat, bot: str, *, ago: timedelta = timedelta(0)) -> None:
    """Let a log have been written to by the time of the chat."""
    at = (here.clock.now() - ago).timestamp()
    os.utime(here.log(bot).path, (at, at))


def is_file(filename: str, caption: str, data: bytes) -> Callable[[Content], bool]:
    """Expect a file; a packed one by what is in it."""

    def accepts(content: Content) -> bool:
        if not isinstance(content, Attachment):
            return False
        found = gzip.decompress(content.data) if content.filename.endswith(".gz") else content.data
        return (content.filename, content.caption, found) == (filename, caption, data)

    return accepts


async def test_tail_shows_the_last_lines() -> None:
    """As many as are asked for, else twenty, and not more than there are; the bot stands at either end."""
    async with chat(view(), watches=("bob", "carol"), profile="wechaty-ts") as here:
        ann = here.user("Ann")
        here.log("bob").write(*(f"line {number}" for number in range(100)))
        here.log("carol").write("only line")
        for text in ("tail 2 bob", "Tail bob 2", "/tail -2 Bob", "tail -n 2 bob"):
            await ann.says(text).should_reply("bob.log, last lines: 2\nline 98\nline 99")
        last = "\n".join(f"line {number}" for number in range(80, 100))
        await ann.says("tail bob").should_reply(f"bob.log, last lines: 20\n{last}")
        await ann.says("tail 999999999 carol").should_reply("carol.log, last lines: 1\nonly line")
        await ann.says("tail 5").should_reply("which bot? Say tail and one of: bob, carol")


async def test_tail_of_the_only_bot_needs_no_name() -> None:
    """Where one bot is watched it is meant."""
    async with chat(view(lines=1), watches=("bob",)) as here:
        ann = here.user("Ann")
        here.log("bob").write("first", "last", end="")
        await ann.says("tail").should_reply("bob.log, last lines: 1\nlast")
        await ann.says("tail 2").should_reply("bob.log, last lines: 2\nfirst\nlast")


async def test_tail_shows_what_a_log_says_and_obeys_none_of_it() -> None:
    """Colours go, controls are seen, what is no text is replaced, secrets, QR addresses and codes are taken out."""
    async with chat(view(), watches=("bob",)) as here:
        here.log("bob").write_bytes(
            b"\x1b[32mINFO\x1b[0m fine\r\n"
            b"\xe2\x80\xaeevil \x07\xff\x00\n"
            b"onScan: Waiting(2) - https://login.weixin.qq.com/l/Abc123==\n"
            b"token=topsecret Message#Text[Contact<Ann>]\t654321\n"
        )
        await (
            here.user("Ann")
            .says("tail bob")
            .should_reply(
                "bob.log, last lines: 4\n"
                "INFO fine\n"
                "\\u202eevil ␇\ufffd␀\n"
                "onScan: Waiting(2) - https://login.weixin.qq.com/[redacted]\n"
                "token=[redacted] Message#Text[Contact<Ann>]    [redacted]"
            )
        )


async def test_log_sends_the_whole_file() -> None:
    """The file goes as it stands, under a name that a phone opens, without secrets and codes."""
    async with chat(view(), watches=("bob",)) as here:
        ann = here.user("Ann")
        here.log("bob").write_bytes(b"\x1b[1mfirst\x1b[0m \xff\ntoken=topsecret sh 123456 uptime\nunfinished")
        data = b"\x1b[1mfirst\x1b[0m \xff\ntoken=[redacted] sh [redacted] uptime\nunfinished"
        await ann.says("log bob").should_reply(is_file("bob.log.txt", "bob.log, 59 B", data))


async def test_log_sends_the_end_of_a_large_file_packed() -> None:
    """What is over the limit is left out, which is said; what is large goes packed."""
    async with chat(view(most_bytes=2 << 20), watches=("bob",)) as here:
        ann, lines = here.user("Ann"), [f"{LINE} line {number:05}\n".encode() for number in range(99_999)]
        here.log("bob").write_bytes(b"".join(lines))
        kept = b"".join(lines[-((2 << 20) // len(lines[0])) :])
        expected = is_file("bob.log.txt.gz", "bob.log, the last 2.0 MB of 3.4 MB", kept)
        await ann.says("log bob").should_reply(expected, deadline=30)


async def test_log_sends_what_the_chat_carries() -> None:
    """In a chat that carries little the file's end goes, and its caption says so."""
    async with chat(view(), watches=("bob",), limits=Limits(attachment_bytes=9000)) as here:
        here.log("bob").write(*(os.urandom(30).hex() for _ in range(1000)))
        pattern = re.compile(r"bob\.log, 60 KB\nthe chat carries no more: this is the end of it, \d+ of 61000 bytes")
        heard = await here.user("Ann").says("log bob").should_reply(pattern)
        assert isinstance(heard.content, Attachment)
        sent = gzip.decompress(heard.content.data)
        assert here.log("bob").path.read_bytes().endswith(b"\n" + sent)


async def test_grep_shows_the_last_lines_that_match() -> None:
    """All that match are counted; a pattern without capitals matches in any case, several words are one pattern."""
    async with chat(view(matches=2), watches=("bob",)) as here:
        ann = here.user("Ann")
        here.log("bob").write("ERROR disk full", "error net", "fine", "Error: disk  full", "ERROR again")
        lines = "\nError: disk  full\nERROR again"
        await ann.says("grep error bob").should_reply(f"bob.log, lines with error: the last 2 of 4{lines}")
        await ann.says("grep -i ERROR bob").should_reply(f"bob.log, lines with ERROR: the last 2 of 4{lines}")
        await ann.says("grep bob ERROR").should_reply("bob.log, lines with ERROR: 2\nERROR disk full\nERROR again")
        await ann.says("grep disk +full bob").should_reply(
            "bob.log, lines with disk +full: 2\nERROR disk full\nError: disk  full"
        )
        await ann.says("grep “error net” bob").should_reply("bob.log, lines with error net: 1\nerror net")
        await ann.says("grep nothing").should_reply("bob.log, lines with nothing: 0")


async def test_since_shows_what_was_written_since() -> None:
    """From a length of time ago, or a time of day, by the log's own clock."""
    async with chat(view(), watches=("bob",), profile="wechaty-ts") as here:
        ann, bob = here.user("Ann"), here.log("bob")
        bob.write("11:40:00 INFO StarterBot old", "11:55:00 INFO StarterBot a", "trace of a", "11:59:59 ERR Bot b")
        written(here, "bob")
        lines = "11:55:00 INFO StarterBot a\ntrace of a\n11:59:59 ERR Bot b"
        await ann.says("since 10m bob").should_reply(f"bob.log, lines since 11:50:00: 3\n{lines}")
        await ann.says("Since bob 10 分钟").should_reply(f"bob.log, lines since 11:50:00: 3\n{lines}")
        await ann.says("since 11：55").should_reply(f"bob.log, lines since 11:55:00: 3\n{lines}")
        await ann.says("since 1m").should_reply("bob.log, lines since 11:59:00: 1\n11:59:59 ERR Bot b")
        written(here, "bob", ago=timedelta(hours=1))
        await ann.says("since 10m").should_reply("bob.log, lines since 11:50:00: 0")
        await ann.says("since 12:01").should_reply(re.compile("lines since 2026-11-19 12:01:00: 4\n"))


async def test_since_says_that_a_log_tells_no_time() -> None:
    """Where the family writes no times, is not known, or no line has one, that is said."""
    async with chat(view(), watches=("bob",)) as here:
        here.log("bob").write("no family writes so")
        await (
            here.user("Ann")
            .says("since 10m")
            .should_reply("the log of bob tells no time, or it is not known yet how it does; `tail` shows its end")
        )
    async with chat(view(), watches=("bob",), profile="astrbot") as here:
        here.log("bob").write("no line has a time")
        await here.user("Ann").says("since 10m").should_reply("bob.log, no line tells its time; `tail` shows its end")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("tail many bob", "how many lines? Say it as in `tail 50`"),
        ("tail 0 bob", "how many lines? Say it as in `tail 50`"),
        ("tail 5 6", "how many lines? Say it as in `tail 50`"),
        ("grep", "what is to be looked for? Say it as in `grep ERROR`"),
        ("grep bob", "what is to be looked for? Say it as in `grep ERROR`"),
        (
            "grep (a bob",
            "pattern '(a' is refused: the ( at position 0 is not closed; add ) or write \\( for the character",
        ),
        ("since bob", "since when? Say it as in `since 10m`, `since 2h` or `since 09:30`"),
        ("since 10 bob", "since when? Say it as in `since 10m`, `since 2h` or `since 09:30`"),
        ("since 25:00 bob", "since when? Say it as in `since 10m`, `since 2h` or `since 09:30`"),
        ("log bob 50", "log takes the name of a bot and nothing else"),
        ("log bbo", "there is no bot called bbo; expected one of: bob"),
    ],
)
async def test_what_cannot_be_meant_is_said_at_once(text: str, answer: str) -> None:
    """A number, pattern or time that is none is answered by an example, and nothing is read."""
    async with chat(view(), watches=("bob",)) as here:
        await here.user("Ann").says(text).should_reply(answer)
        assert here.ran == frozenset()


async def ask(context: RecordingContext, operation: Operation, text: str) -> list[Content]:
    """Let a command about bob run; return what it sent."""
    name, *words = text.split()
    (command,) = (command for command in operation.commands if command.name == name)
    context.sent.clear()
    await command.handler(context, Invocation(message=message(text), name=name, arguments=tuple(words), watch="bob"))
    return [sent.content for sent in context.sent]


async def test_several_logs_are_each_headed() -> None:
    """What stands in which file is told, the file last written to at the end; large ones go as files."""
    context, operation, count = RecordingContext(), view(most_logs=4), TEXT_BYTES // 4
    logs = {"a": b"of a\n", "b": b"of b\n", "c": b"of c\n" * count, "d": b"", "e": b"of e\n"}
    context.host.files = {Path(f"/{name}.log"): data for name, data in logs.items()}
    context.log_files = {"bob": (*context.host.files, Path("/gone.log"))[1:]}
    (text,) = await ask(context, operation, "tail 1")
    assert text == (
        "c.log, last lines: 1\nof c\n\nd.log, empty\n\ne.log, last lines: 1\nof e\n\n"
        "gone.log cannot be read: FileNotFoundError\n\nolder logs that are left out: 1"
    )
    text, file = await ask(context, operation, "tail 99999")
    assert str(text).startswith("d.log, empty\n\ne.log, last lines: 1\nof e\n\ngone.log")
    assert is_file("c.log.txt", f"c.log, last lines: {count}", logs["c"])(file)
    text, *files = await ask(context, operation, "log")
    assert str(text).startswith("d.log, empty\n\ngone.log cannot be read")
    assert [file.caption for file in files if isinstance(file, Attachment)] == ["c.log, 40 KB", "e.log, 5 B"]


async def test_logs_of_the_same_name_are_told_apart() -> None:
    """Two files of one name are called by their folders, too; a name that would be obeyed is shown."""
    context, operation = RecordingContext(), view()
    context.host.files = {Path(path): b"x\n" for path in ("/one/bob.log", "/two/bob.log", "/two/\u202ea.log")}
    context.log_files = {"bob": tuple(context.host.files)}
    (text,) = await ask(context, operation, "grep y")
    assert text == ("one/bob.log, lines with y: 0\n\ntwo/bob.log, lines with y: 0\n\n\\u202ea.log, lines with y: 0")
    files = await ask(context, operation, "log")
    names = [file.filename for file in files if isinstance(file, Attachment)]
    assert names == ["one-bob.log.txt", "two-bob.log.txt", "\\u202ea.log.txt"]


async def test_a_bot_without_a_log_is_told_of() -> None:
    """Where no file is there now, that is the answer to everything."""
    context, operation = RecordingContext(), view()
    assert await ask(context, operation, "tail") == ["no log of bob is there now"]
    assert await ask(context, operation, "log") == ["no log of bob is there now"]


class BadHost(FakeHost):
    """A machine whose disk never finds what is looked for, and cannot read anything else for the reason given."""

    def __init__(self, error: OSError | None = None) -> None:
        """Fail by `error`; without one only the looking takes for ever."""
        super().__init__()
        self.error = error

    async def read_log(
        self, path: Path, selection: Selection, /, *, limit_bytes: int, owner: int | None = None
    ) -> LogSlice:
        """Return the end of a log, if anything."""
        assert owner is None
        if self.error is not None:
            raise self.error
        if isinstance(selection, MatchingLines):
            await asyncio.Event().wait()
        data = path.name.encode()[:limit_bytes]
        return LogSlice(data=data, lines=1, found=1, size_bytes=len(data))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/secret/bob.log"), "Permission denied"),
        (OSError("/secret/bob.log is odd"), "OSError"),
    ],
)
async def test_a_log_that_cannot_be_read_is_told_of(error: OSError, reason: str) -> None:
    """The reason is told, and nothing of the path."""
    context, operation = RecordingContext(), view()
    context.host = BadHost(error)
    context.log_files = {"bob": (Path("/secret/bob.log"),)}
    for text in ("tail", "log", "grep x"):
        assert await ask(context, operation, text) == [f"bob.log cannot be read: {reason}"]


async def test_showing_a_log_is_for_admins_and_whom_they_grant_it() -> None:
    """Nobody else learns that there are such commands; nothing has to be confirmed, for nothing is changed."""
    async with chat(view(), users=("Cy",), watches=("bob",)) as here:
        cy = here.user("Cy")
        here.log("bob").write("line")
        for text in ("log bob", "tail bob", "grep line bob", "since 10m bob"):
            await cy.should_be_denied(text)
        here.grant(cy, "log_view.tail")
        await cy.says("tail bob").should_reply("bob.log, last lines: 1\nline")
        await cy.should_be_denied("log bob")


async def test_a_log_is_shown_in_chinese() -> None:
    """The answers are in the language that is configured."""
    async with chat(view("zh"), watches=("bob",), language="zh") as here:
        ann = here.user("Ann")
        here.log("bob").write("错误 磁盘", "好")
        await ann.says("grep 错误 bob").should_reply("bob.log，含 错误 的行：1\n错误 磁盘")
        await ann.says("tail 十").should_reply("要看几行？例如 `tail 50`")


async def test_a_long_look_can_be_cancelled(tmp_path: Path) -> None:
    """A look through a log that takes long is announced, ends when it is cancelled, and lets others be answered."""
    async with chat(view(), users=("Ben",), log_of={"bob": LogWriter(tmp_path / "bob.log")}, host=BadHost()) as here:
        ann, ben = here.user("Ann"), here.user("Ben")
        here.grant(ben, "log_view.tail")
        said = await ann.says("grep x bob")
        await here.move_on(2)
        await said.should_reply(re.compile("job 1 .* is running"))
        await ben.says("tail bob").should_reply("bob.log, last lines: 1\nbob.log")
        await ann.says("cancel 1").should_reply(re.compile("job 1 .* was cancelled"))


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (("error",), "(?i)error"),
        (("错误",), "(?i)错误"),
        (("ERROR",), "ERROR"),
        ((r"\d+\s\S\pL\p{Lu}",), r"(?i)\d+\s\S\pL\p{Lu}"),
        ((r"\\Server",), r"\\Server"),
        (("-i", "ERROR"), "(?i)ERROR"),
        (("-i",), "(?i)-i"),
        (("a", "B"), "a B"),
    ],
)
def test_pattern_matches_in_any_case_unless_it_has_capitals(words: tuple[str, ...], pattern: str) -> None:
    """What a phone types in lower case finds capitals; what was typed with some is meant so."""
    assert pattern_of(words, translate=str) == pattern


@pytest.mark.parametrize(("words", "count"), [((), 7), (("50",), 50), (("-50",), 50), (("-n", "50"), 50), (("-n",), 7)])
def test_count_is_read_as_it_is_typed(words: tuple[str, ...], count: int) -> None:
    """A number, with or without what a shell's command would want before it."""
    assert count_of(words, otherwise=7, translate=str) == count


@given(words=st.lists(st.text(max_size=8), max_size=3))
def test_whatever_is_typed_is_understood_or_refused_in_a_sentence(words: list[str]) -> None:
    """No text that somebody types ends in anything but a number, a pattern, a time or a sentence."""
    for read in (
        lambda: count_of(words, otherwise=1, translate=str),
        lambda: pattern_of(words, translate=str),
        lambda: start_of(span_of(words, translate=str), now=START, zone=UTC),
    ):
        with suppress(UsageError):
            read()


@pytest.mark.parametrize(
    ("span", "now", "zone", "start"),
    [
        (timedelta(minutes=10), START, None, START - timedelta(minutes=10)),
        (time(11, 30), START, UTC, START - timedelta(minutes=30)),
        (time(12, 0), START, UTC, START),
        (time(12, 1), START, UTC, START - timedelta(hours=23, minutes=59)),
        (time(19, 30), START, timezone(timedelta(hours=8)), START - timedelta(minutes=30)),
        (time(20, 30), START, timezone(timedelta(hours=8)), START - timedelta(hours=23, minutes=30)),
    ],
)
def test_start_is_the_last_such_time(
    span: timedelta | time, now: datetime, zone: tzinfo | None, start: datetime
) -> None:
    """A time of day is today's, or yesterday's where it is still to come, on the clocks of the zone."""
    assert start_of(span, now=now, zone=zone) == start


@pytest.mark.parametrize(
    ("selection", "found", "told"),
    [
        (LastLines(count=9), {}, "last lines: 3"),
        (LastLines(count=9), {"found": None}, "last lines: the last 3, and there may be more"),
        (
            LastLines(count=9),
            {"found": None, "is_cut": True},
            "last lines: the last 3, and there may be more; some are cut",
        ),
        (MatchingLines(pattern="(?i)x", count=9), {"found": 5}, "lines with x: the last 3 of 5"),
        (MatchingLines(pattern="x" * 70, count=9), {}, f"lines with {'x' * 60}…: 3"),
        (LinesSince(since=START - timedelta(days=1), clock=LogClock()), {}, "lines since 2026-11-19 12:00:00: 3"),
        (
            LinesSince(since=START, clock=LogClock()),
            {"is_timed": False},
            "no line tells its time; `tail` shows its end",
        ),
        (LastLines(count=9), {"size_bytes": 0}, "empty"),
    ],
)
def test_heading_tells_which_lines_these_are(selection: Selection, found: dict[str, Any], told: str) -> None:
    """How many of how many lines are shown, and whether whole."""
    view = View(selection=selection, now=START, zone=UTC, translate=str)
    slice_ = replace(LogSlice(data=b"a\nb\nc\n", lines=3, found=3, size_bytes=6), **found)
    assert heading(view, slice_) == told


@pytest.mark.parametrize("name", ["lines", "matches", "most_bytes", "most_logs"])
def test_log_view_refuses_to_show_nothing(name: str) -> None:
    """A number below 1 is refused when the operation is made."""
    with pytest.raises(OperationError, match=f"bad {name} 0 of log_view; expected 1 or more"):
        log_view(OperationConfig(), **{name: 0})


def test_two_operations_show_logs_of_different_bots() -> None:
    """One for each bot may be configured, as each bot's log may be shown in another way."""
    bob, carol = (log_view(OperationConfig(name=f"view-{bot}", watch=bot)) for bot in ("bob", "carol"))
    entries = build([bob, carol])
    typed = parse("tail 5 carol")
    assert typed is not None
    found = find(typed, entries, watches=("bob", "carol"))
    assert isinstance(found, Found)
    assert (found.entry.operation, found.arguments) == ("view-carol", ("5",))
