"""Alerts of log lines, as admins see them."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from logmonitor import (
    Command,
    Context,
    Invocation,
    Operation,
    OperationConfig,
    OperationError,
    PatternError,
    StoreError,
)
from logmonitor.config import build_operations, load
from logmonitor.testing import Chat, FakeClock, LogWriter, MemoryKeyValue, RecordingContext, batch, chat, message
from operations.log_alert import log_alert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LATE = 0.5
DISK = "12:00:03 ERR disk 1 full"
FULL = re.compile(r"\Abob: ×")


def alerts(watch: str | None = "bob", **parameters: Any) -> Operation:  # noqa: ANN401  # what a configuration gives
    """Make the operation under test."""
    return log_alert(OperationConfig(watch=watch, timezone=UTC), **{"match": "ERR"} | parameters)


@pytest.fixture
async def here() -> AsyncIterator[Chat]:
    """Run a chat in which Ann and Ben hear of Bob's errors."""
    async with chat(alerts(), admins=("Ann", "Ben"), users=("Cy",), watches=("bob",)) as chatting:
        yield chatting


async def both_receive(here: Chat, text: str | re.Pattern[str]) -> None:
    """Expect that both admins are told."""
    for name in ("Ann", "Ben"):
        await here.user(name).should_receive(text)


# What is told


async def test_line_that_matches_is_told_at_once(here: Chat) -> None:
    """Admins read it half a second later at the latest; nobody else does, and of no other line."""
    here.log("bob").write("12:00:02 INFO all is well", DISK)
    await here.move_on(LATE)
    await both_receive(here, f"bob:\n> {DISK}")
    await here.user("Cy").should_receive_nothing()


async def test_line_with_another_behind_it_is_told_without_waiting(here: Chat) -> None:
    """Where it is certain that nothing belongs to it any more, no time has to pass."""
    here.log("bob").write(DISK, "12:00:03 ERR no network")
    await both_receive(here, f"bob:\n> {DISK}")
    await here.user("Ann").should_receive_nothing()
    here.log("bob").write("12:00:04 ERR no power", "12:00:04 INFO x")
    await both_receive(here, "bob:\n> 12:00:03 ERR no network")
    await both_receive(here, "bob:\n> 12:00:04 ERR no power")


async def test_lines_like_it_are_counted_and_told_together(here: Chat) -> None:
    """The first goes at once, 37 others at the end of five minutes, with the first, the last and an example."""
    bob = here.log("bob")
    bob.write(DISK)
    await here.move_on(5)
    await both_receive(here, f"bob:\n> {DISK}")
    for number in range(37):
        bob.write(f"12:00:{number:02} ERR disk {number} full")
        await here.move_on(5)
    await here.move_on(110)
    await here.user("Ann").should_receive_nothing()
    await here.move_on(LATE)
    await both_receive(here, "bob: ×37 in 5 min, 12:00:05 – 12:03:05\n> 12:00:00 ERR disk 0 full")
    await here.move_on(600)
    bob.write(DISK)
    await here.move_on(LATE)
    await both_receive(here, f"bob:\n> {DISK}")


async def test_many_kinds_are_told_together(here: Chat) -> None:
    """Ten kinds go at once; the tenth says that the next ones wait, and they come as one message."""
    names = ("disk", "net", "tea", "ink", "oil", "gas", "ice", "egg", "jam", "ham", "fig", "pie", "nut")
    here.log("bob").write(*(f"12:00:00 ERR {name}" for name in names))
    await here.move_on(LATE)
    for name in names[:9]:
        await both_receive(here, f"bob:\n> 12:00:00 ERR {name}")
    told = "that were many; what follows is counted and told at 12:05:00"
    await both_receive(here, f"bob:\n> 12:00:00 ERR ham\n{told}")
    await here.user("Ann").should_receive_nothing()
    await here.move_on(300)
    rest = "".join(f"\n×1, 12:00:00\n> 12:00:00 ERR {name}" for name in names[10:])
    await both_receive(here, f"bob: ×3 in 5 min{rest}")


async def test_parameters_set_the_pace_and_what_is_told() -> None:
    """Several patterns, others that are ignored, another period and another number."""
    operation = alerts(match=("ERR", "panic"), ignore="(?i)timeout", period=60.0, most=1)
    async with chat(operation, watches=("bob",)) as here:
        ann = here.user("Ann")
        here.log("bob").write("ERR a", "ERR a Timeout", "no panic", "INFO")
        await here.move_on(LATE)
        await ann.should_receive("bob:\n> ERR a\nthat were many; what follows is counted and told at 12:01:00")
        await here.move_on(60)
        await ann.should_receive("bob: ×1 in 1 min, 12:00:00\n> no panic")


async def test_logs_of_several_bots_are_counted_apart() -> None:
    """An operation about all bots tells of which it is, and one's storm hides nothing of the other."""
    async with chat(alerts(None, most=1), watches=("alice", "bob"), strict=False) as here:
        ann = here.user("Ann")
        here.log("bob").write(*(f"ERR {word}" for word in ("a", "b", "c")))
        await here.move_on(1)
        here.log("alice").write("ERR a")
        await here.move_on(1)
        await ann.should_receive(re.compile(r"\Abob:\n> ERR a\n"))
        await ann.should_receive(re.compile(r"\Aalice:\n> ERR a\n"))
        await here.move_on(300)
        await ann.should_receive(re.compile(r"\Abob: ×2 in 5 min\n"))


async def test_alert_names_its_log_where_there_are_several() -> None:
    """Which of a bot's logs it is tells where to look."""
    context, operation = RecordingContext(), alerts()
    paths = Path("/var/log/bob.log"), Path("/var/log/bob-error.log")
    context.log_files["bob"] = paths
    assert operation.on_batch is not None
    await operation.on_batch(context, batch("ERR a", "ERR b", path=paths[1]))
    assert [sent.content for sent in context.sent] == ["bob (bob-error.log):\n> ERR a"]


async def test_alert_is_told_although_its_logs_cannot_be_listed() -> None:
    """A log that is rotated away at that moment costs no alert."""

    class Rotating(RecordingContext):
        def logs(self, watch: str, /) -> tuple[Path, ...]:
            raise FileNotFoundError(watch)

    context, operation = Rotating(), alerts()
    assert operation.on_batch is not None
    await operation.on_batch(context, batch("ERR a", "ERR b", path=Path("bob.log")))
    assert [sent.content for sent in context.sent] == ["bob (bob.log):\n> ERR a"]


async def test_hostile_lines_fool_nobody(here: Chat) -> None:
    """A line that pretends to be the program's own, turns text or clears screens is quoted, and seen for what it is."""
    here.log("bob").write("\u202eERR\rbob: ×2, \x1b[2Jalice: is logged in", "Traceback ERR\x00", "12 INFO")
    await both_receive(here, "bob:\n> \\u202eERR␍bob: ×2, alice: is logged in")
    await both_receive(here, "bob:\n> Traceback ERR␀")


async def test_huge_line_is_told_by_its_beginning(here: Chat) -> None:
    """A line of two megabytes takes no more room in the chat than a long one."""
    here.log("bob").write("ERR " + "x" * (2 << 20), "12 INFO")
    await here.move_on(LATE)
    for name in ("Ann", "Ben"):
        heard = str((await here.user(name).should_receive()).content)
        assert heard.startswith("bob:\n> ERR xxx")
        assert len(heard) < 600


async def test_secrets_in_a_line_are_not_told(here: Chat) -> None:
    """What goes to a chat holds no secret and no one-time code."""
    here.log("bob").write("ERR https://login.weixin.qq.com/l/Abc123== token=abcdef123456 said 123456", "12 INFO")
    await both_receive(here, "bob:\n> ERR https://login.weixin.qq.com/[redacted] token=[redacted] said [redacted]")


# Stack traces


TRACE = (
    "12:00:03 ERR request 1 failed",
    "Traceback (most recent call last):",
    '  File "a.py", line 1, in b',
    "    c()",
    "ERRError: d",
)


async def test_trace_is_one_alert_in_however_many_writes(here: Chat) -> None:
    """A trace that is written line by line, and even byte by byte, is one message."""
    bob = here.log("bob")
    for byte in "\n".join((*TRACE, "")).encode():
        bob.write_bytes(bytes([byte]))
        await here.settle()
    await here.user("Ann").should_receive_nothing()
    await here.move_on(LATE)
    await both_receive(here, "\n".join(("bob:", *(f"> {line}" for line in TRACE))))


async def test_trace_that_stops_in_the_middle_is_told(here: Chat) -> None:
    """A program that dies while it writes has said enough; what it may say later is not waited for."""
    bob = here.log("bob")
    bob.write(*TRACE[:3])
    await here.move_on(LATE)
    await both_receive(here, "\n".join(("bob:", *(f"> {line}" for line in TRACE[:3]))))
    bob.write(*TRACE[3:])
    await here.move_on(LATE)
    await both_receive(here, "bob:\n> ERRError: d")


async def test_trace_that_never_ends_is_told_within_half_a_second(here: Chat) -> None:
    """However steadily lines come that belong to it."""
    bob = here.log("bob")
    bob.write("ERR a")
    for _ in range(4):
        await here.move_on(0.1)
        bob.write("    at b (c.js:1:2)")
    await here.user("Ann").should_receive_nothing()
    await here.move_on(0.11)
    await both_receive(here, "bob:\n> ERR a" + "\n>     at b (c.js:1:2)" * 4)


async def test_trace_of_a_real_program_is_one_alert(here: Chat, tmp_path: Path) -> None:
    """What Python writes when it fails, while the log is followed."""
    script = tmp_path / "fail.py"
    script.write_text(
        "def outer():\n    inner()\ndef inner():\n    raise ERRError\nclass ERRError(Exception): pass\nouter()\n"
    )
    log = here.log("bob")
    with log.path.open("ab") as errors:
        failing = await asyncio.create_subprocess_exec(sys.executable, "-u", script, stderr=errors)
        assert await failing.wait() == 1
    log.lines += log.path.read_bytes().count(b"\n")
    await here.move_on(LATE)
    for name in ("Ann", "Ben"):
        heard = await here.user(name).should_receive(re.compile(r"\Abob:\n> Traceback \(most recent call last\):\n"))
        assert str(heard.content).splitlines()[-1] == "> ERRError"


async def test_trace_is_not_lost_in_a_rotation(here: Chat) -> None:
    """What stands before a rotation and behind it is told, and nothing twice."""
    bob = here.log("bob")
    bob.write(*TRACE[:3])
    bob.rotate()
    bob.write(*TRACE[3:])
    await here.move_on(LATE)
    await both_receive(here, "\n".join(("bob:", *(f"> {line}" for line in TRACE[:3]))))
    await both_receive(here, "bob:\n> ERRError: d")


# Storms


async def test_storm_is_a_few_messages_and_no_line_is_lost() -> None:
    """Twenty thousand lines are told in two messages; a command is answered in between."""
    async with chat(alerts(), watches=("bob",), deadline=60) as here:
        ann, bob = here.user("Ann"), here.log("bob")
        for start in range(0, 20_000, 1000):
            bob.write(*(f"12:00:03 ERR disk {number} full" for number in range(start, start + 1000)))
        await ann.says("status").should_reply(re.compile("alerts are on"))
        await here.move_on(LATE)
        await ann.should_receive("bob:\n> 12:00:03 ERR disk 0 full")
        await here.move_on(300)
        heard = str((await ann.should_receive(FULL)).content)
        assert heard.startswith("bob: ×19999 in 5 min, ")


async def test_storm_of_distinct_lines_is_counted_to_the_last() -> None:
    """Lines that are all of another kind are counted together once there are too many to tell apart."""
    words = [f"{a}{b}{c}" for a in "ghijklmnop" for b in "qrstuvwxyz" for c in "ghijklmnopqrstuvwxyz"]
    async with chat(alerts(most=2), watches=("bob",), deadline=60) as here:
        ann = here.user("Ann")
        here.log("bob").write(*(f"ERR {word}" for word in words), "INFO")
        await here.move_on(301)
        await ann.should_receive("bob:\n> ERR gqg")
        await ann.should_receive(re.compile(r"\Abob:\n> ERR gqh\nthat were many"))
        rows = str((await ann.should_receive(FULL)).content).splitlines()
        assert (rows[0], rows[-1]) == ("bob: ×1998 in 5 min", "×1993 of many other kinds")


async def test_storm_can_be_muted_while_it_lasts() -> None:
    """An operation that is behind does not refuse the one command that helps."""
    release = asyncio.Event()

    async def block(_context: Context, _invocation: Invocation) -> None:
        await release.wait()

    operation = alerts()
    stuck = Command(name="stick", handler=block, help="stay at work")
    blocked = Operation(
        name="log_alert",
        config=operation.config,
        commands=(*operation.commands, stuck),
        on_start=operation.on_start,
        on_tick=operation.on_tick,
    )
    async with chat(blocked, watches=("bob",), strict=False) as here:
        ann = here.user("Ann")
        ann.says("stick")
        await ann.says("mute 30m").should_reply(re.compile("alerts of bob are muted until 12:30:00"))
        release.set()


# Mute


async def test_mute_counts_and_tells_at_its_end(here: Chat) -> None:
    """Nothing is told for half an hour, then everything, and both admins knew."""
    ann, ben, bob = here.user("Ann"), here.user("Ben"), here.log("bob")
    await ann.says("mute 30m").should_reply(
        "alerts of bob are muted until 12:30:00; they are counted, and told then or at `unmute`"
    )
    await ben.should_receive(
        "“Ann” (ann-id) has muted the alerts of bob until 12:30:00; they are counted, and told then"
    )
    bob.write(DISK, DISK, "ERR b", "INFO")
    await here.move_on(1799)
    await ann.should_receive_nothing()
    await ann.says("status").should_reply(re.compile(r"alerts are muted until 12:30:00; counted so far: 3"))
    await here.move_on(1)
    await both_receive(here, f"bob: ×3 in 30 min, while muted\n×2, 12:00:00\n> {DISK}\n×1, 12:00:00\n> ERR b")
    bob.write("ERR other")
    await here.move_on(LATE)
    await both_receive(here, "bob:\n> ERR other")


async def test_unmute_tells_at_once(here: Chat) -> None:
    """What was counted goes to all admins, and what comes then goes out as ever."""
    ann, ben, bob = here.user("Ann"), here.user("Ben"), here.log("bob")
    await ann.says("mute bob 2h").should_reply(re.compile("until 14:00:00"))
    await ben.should_receive(re.compile("has muted"))
    bob.write(DISK, "INFO")
    await here.move_on(60)
    await ben.says("unmute").should_reply("alerts of bob are not muted any more")
    await ann.should_receive("“Ben” (ben-id) has ended the mute of the alerts of bob")
    await both_receive(here, f"bob: ×1 in 1 min, while muted, 12:00:00\n> {DISK}")


@pytest.mark.parametrize("said", ["mute 30m bob", "Mute ３０分钟", "mute bob 30 min", "静音"])
async def test_mute_is_understood_as_phones_type_it(here: Chat, said: str) -> None:
    """The bot may stand before or behind, or not at all."""
    told = "until 12:30:00"
    if said == "静音":
        said, told = "mute", "until 13:00:00"
    await here.user("Ann").says(said).should_reply(re.compile(told))
    await here.user("Ben").should_receive(re.compile(told))


@pytest.mark.parametrize("said", ["mute soon", "mute 30", "mute 30m 40x", "mute 400d"])
async def test_mute_that_cannot_be_meant_mutes_nothing(here: Chat, said: str) -> None:
    """It is objected to before anything is asked."""
    ann = here.user("Ann")
    await ann.says(said).should_reply(re.compile("no length of time|30 days at most"))
    here.log("bob").write(DISK, "INFO")
    await both_receive(here, f"bob:\n> {DISK}")


async def test_mute_is_for_admins_and_whom_they_grant_it(here: Chat) -> None:
    """Whoever may, all admins hear of it; what was counted goes to them and not to who asked."""
    ann, cy, bob = here.user("Ann"), here.user("Cy"), here.log("bob")
    await cy.should_be_denied("mute 30m")
    await cy.should_be_denied("unmute")
    here.grant(cy, "log_alert.mute")
    here.grant(cy, "log_alert.unmute")
    await cy.says("mute 30m").should_reply(re.compile("until 12:30:00"))
    await both_receive(here, re.compile("“Cy” .*has muted the alerts of bob"))
    bob.write(DISK, "INFO")
    await here.settle()
    await cy.says("unmute").should_reply("alerts of bob are not muted any more")
    await both_receive(here, re.compile("“Cy” .*has ended the mute"))
    await both_receive(here, re.compile(r"\Abob: ×1"))
    await cy.should_receive_nothing()
    await ann.should_receive_nothing()


async def test_mute_of_an_operation_about_all_bots_names_one_or_means_all() -> None:
    """Without a name all are muted, with one only that bot, and a name that nobody has is told."""
    async with chat(alerts(None), watches=("alice", "bob")) as here:
        ann = here.user("Ann")
        await ann.says("mute 30m").should_reply(re.compile("alerts of alice, bob are muted until 12:30:00"))
        await ann.says("unmute alice").should_reply("alerts of alice are not muted any more")
        here.log("alice").write("ERR a", "INFO")
        here.log("bob").write("ERR a", "INFO")
        await ann.should_receive("alice:\n> ERR a")
        await ann.says("mute Alice 1h").should_reply(re.compile("alerts of alice are muted until 13:00:00"))
        await ann.says("mute dave 1h").should_reply("there is no bot called “dave”; expected one of: alice, bob")
        await ann.says("unmute dave").should_reply("there is no bot called “dave”; expected one of: alice, bob")
        await here.move_on(1800)
        await ann.should_receive(re.compile(r"\Abob: ×1 in 30 min, while muted"))


async def test_mutes_of_several_operations_are_apart() -> None:
    """Each about a bot of its own; a second one about the same bot goes without commands."""
    with pytest.raises(OperationError, match="both claim command 'mute'"):
        async with chat(alerts(), log_alert(OperationConfig(watch="bob", name="second"), match="x"), watches=("bob",)):
            pass
    second = log_alert(OperationConfig(watch="bob", name="second"), match="x", has_commands=False)
    async with chat(alerts(), second, watches=("bob",)) as here:
        await here.user("Ann").says("mute 30m").should_reply(re.compile("alerts of bob"))
        here.log("bob").write("x", "ERR", "INFO")
        await here.user("Ann").should_receive("bob:\n> x")
        await here.user("Ann").says("unmute").should_reply()
        await here.user("Ann").should_receive(FULL)


async def test_mute_follows_the_calendar() -> None:
    """A clock that is set forward ends it, as the time that was told."""
    clock = FakeClock()
    async with chat(alerts(), watches=("bob",), clock=clock) as here:
        ann = here.user("Ann")
        await ann.says("mute 30m").should_reply()
        here.log("bob").write(DISK, "INFO")
        await here.settle()
        clock.adjust(3600)
        here.log("bob").write("ERR b", "INFO")
        await ann.should_receive(re.compile("while muted"))
        await ann.should_receive("bob:\n> ERR b")


# Quiet hours


async def test_quiet_hours_count_and_tell_in_the_morning() -> None:
    """At night nothing goes out; at seven, by the clocks of the zone, all of it does."""
    zone = ZoneInfo("Asia/Shanghai")
    clock = FakeClock(datetime(2026, 11, 20, 21, 59, 0, tzinfo=zone).astimezone(UTC))
    operation = log_alert(OperationConfig(watch="bob", timezone=zone), match="ERR", quiet_hours="22:00-07:00")
    async with chat(operation, watches=("bob",), clock=clock) as here:
        ann, bob = here.user("Ann"), here.log("bob")
        bob.write("ERR a", "INFO")
        await ann.should_receive("bob:\n> ERR a")
        await here.move_on(60)
        bob.write("ERR b", "INFO", "ERR b", "INFO")
        await here.move_on(9 * 3600 - 1)
        await ann.should_receive_nothing()
        await ann.says("status").should_reply(re.compile("the end of the quiet hours at 07:00:00; counted so far: 2"))
        await ann.says("unmute").should_reply(
            "alerts of bob are not muted any more; they wait for the end of the quiet hours at 07:00:00"
        )
        await here.move_on(1)
        await ann.should_receive("bob: ×2 in 9 h, in quiet hours, 2026-11-20 22:00:00\n> ERR b")
        bob.write("ERR c", "INFO")
        await ann.should_receive("bob:\n> ERR c")


async def test_mute_that_ends_at_night_waits_for_the_morning() -> None:
    """Whatever ends first, nothing is told before both have."""
    clock = FakeClock(datetime(2026, 11, 20, 21, 30, tzinfo=UTC))
    async with chat(alerts(quiet_hours="22:00-07:00"), watches=("bob",), clock=clock) as here:
        ann = here.user("Ann")
        await ann.says("mute 1h").should_reply()
        here.log("bob").write("ERR a", "INFO")
        await here.move_on(9.5 * 3600 - 1)
        await ann.should_receive_nothing()
        await here.move_on(1)
        await ann.should_receive(re.compile(r"\Abob: ×1 in 9 h, in quiet hours"))


# What lasts


async def test_counted_alerts_survive_a_restart(tmp_path: Path) -> None:
    """They are told when they would have been, with those that came before the end and after it; nothing twice."""
    clock = FakeClock()
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        here.log("bob").write(DISK, *[DISK] * 20, "INFO")
        await here.user("Ann").should_receive(f"bob:\n> {DISK}")
        await here.move_on(100)
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        ann = here.user("Ann")
        await ann.says("status").should_reply(re.compile("alerts are on; counted, and told in 3 min: 20"))
        here.log("bob").write(*[DISK] * 5, "INFO")
        await here.move_on(199)
        await ann.should_receive_nothing()
        await here.move_on(1)
        await ann.should_receive(f"bob: ×25 in 5 min, 12:00:00 – 12:01:40\n> {DISK}")
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        await here.move_on(1000)
        await here.user("Ann").should_receive_nothing()


async def test_counted_alerts_are_told_at_the_start_when_their_time_has_come(tmp_path: Path) -> None:
    """Who was away for an hour tells of what was counted before."""
    clock = FakeClock()
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        here.log("bob").write(DISK, DISK, "INFO")
        await here.user("Ann").should_receive(f"bob:\n> {DISK}")
    clock.jump(3600)
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        await here.user("Ann").should_receive(f"bob: ×1 in 1 h, 12:00:00\n> {DISK}")


async def test_line_that_waits_for_a_trace_is_told_at_the_end(tmp_path: Path) -> None:
    """A program that is stopped the moment a line came tells it on its way out, and the rest of it is no news."""
    clock = FakeClock()
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock, strict=False) as here:
        here.log("bob").write(DISK)
        await here.user("Ann").should_receive_nothing()
    assert [entry.content for entry in here.transcript.entries if entry.is_from_bot] == [f"bob:\n> {DISK}"]
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        here.log("bob").write(DISK)
        await here.move_on(1)
        await here.user("Ann").should_receive_nothing()
        await here.move_on(299)
        await here.user("Ann").should_receive(FULL)


async def test_mute_survives_a_restart(tmp_path: Path) -> None:
    """It ends when it was said to, whatever happened to the program meanwhile."""
    clock = FakeClock()
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        await here.user("Ann").says("mute 30m").should_reply()
        here.log("bob").write(DISK, "INFO")
        await here.settle()
    for seconds in (1000, 799):
        async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
            here.log("bob").write(DISK, "INFO")
            await here.move_on(seconds)
            await here.user("Ann").should_receive_nothing()
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        await here.move_on(1)
        await here.user("Ann").should_receive(re.compile(r"\Abob: ×3 in 30 min, while muted"))


async def test_mute_that_ended_while_the_program_was_away_is_over(tmp_path: Path) -> None:
    """What was counted before is told at the start, and what comes goes out."""
    clock = FakeClock()
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        await here.user("Ann").says("mute 30m").should_reply()
        here.log("bob").write(DISK, "INFO")
        await here.settle()
    clock.jump(4000)
    async with chat(alerts(), watches=("bob",), folder=tmp_path, clock=clock) as here:
        await here.user("Ann").should_receive(re.compile(r"\Abob: ×1 in 1 h, 12:00:00"))
        await here.user("Ann").says("status").should_reply(re.compile("alerts are on"))


class BrokenStore(MemoryKeyValue):
    """A store that can be neither read nor written for a while."""

    is_broken = True

    def get(self, key: str, /) -> str | None:
        """Fail."""
        self._fail()
        return super().get(key)

    def put(self, key: str, value: str, /) -> None:
        """Fail."""
        self._fail()
        super().put(key, value)

    def delete(self, key: str, /) -> None:
        """Fail."""
        self._fail()
        super().delete(key)

    def _fail(self) -> None:
        if self.is_broken:
            raise StoreError("the store {is} broken")


async def test_store_that_fails_costs_no_alert() -> None:
    """Alerts are told and counted nevertheless, and kept as soon as they can be; a mute says that it will not last."""
    context, operation = RecordingContext(), alerts()
    store = BrokenStore()
    context.store, context.watches = store, ("bob",)
    assert operation.on_start is not None
    assert operation.on_batch is not None
    assert operation.on_tick is not None
    await operation.on_start(context)
    await operation.on_batch(context, batch("ERR 1", "ERR 2", "ERR 3", path=Path("bob.log")))
    assert [sent.content for sent in context.sent] == ["bob:\n> ERR 1"]
    (mute,) = (command for command in operation.commands if command.name == "mute")
    await mute.handler(context, invocation("mute", "30m", watch="bob"))
    assert str(context.sent[-1].content).splitlines() == [
        "alerts of bob are muted until 12:30:00; they are counted, and told then or at `unmute`",
        "this does not last over a restart: the store {is} broken",
    ]
    store.is_broken = False
    context.move_on(30)
    await operation.on_tick(context)
    assert store.keys() == ()
    context.move_on(30)
    await operation.on_tick(context)
    assert store.keys() == ("alerts bob",)


async def test_record_that_cannot_be_read_is_told() -> None:
    """What was counted before is not lost without a word, and everything goes on."""
    for kept in ({"alerts bob": "garbage"}, {"muted bob": "tomorrow"}):
        context, operation = RecordingContext(), alerts()
        context.store, context.watches = MemoryKeyValue(**kept), ("bob",)
        assert operation.on_start is not None
        await operation.on_start(context)
        assert [sent.content for sent in context.sent] == [
            "what was counted of bob's alerts before the restart cannot be read"
        ]


async def test_storm_writes_to_disk_once_a_second() -> None:
    """However many batches come, the store is not written for each."""
    written: list[str] = []

    class CountingStore(MemoryKeyValue):
        def put(self, key: str, value: str, /) -> None:
            written.append(key)
            super().put(key, value)

    context, operation = RecordingContext(), alerts()
    context.store, context.watches = CountingStore(), ("bob",)
    assert operation.on_batch is not None
    assert operation.on_stop is not None
    for _ in range(1000):
        await operation.on_batch(context, batch("ERR 1", "ERR 2", path=Path("bob.log")))
        context.move_on(0.01)
    assert 9 <= len(written) <= 11
    await operation.on_stop(context)
    kept = context.store.get("alerts bob")
    assert kept is not None
    assert ":[1999," in kept


# What is configured


def invocation(name: str, *arguments: str, watch: str | None = None) -> Invocation:
    """Make a command as it reaches its handler."""
    return Invocation(message=message(name), name=name, arguments=arguments, text=" ".join(arguments), watch=watch)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"match": ()}, "expected at least one pattern"),
        ({"period": -1.0}, "bad period -1.0; expected seconds above 0"),
        ({"most": 0}, "bad most 0; expected 1 or more"),
        ({"quiet_hours": "night"}, "bad hours 'night'; expected a start and an end, such as 22:00-07:00"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any], text: str) -> None:
    """What can be wrong is refused before anything is followed."""
    with pytest.raises(OperationError, match=text):
        alerts(**parameters)


def test_pattern_that_is_refused_says_why() -> None:
    """A pattern has to be one that takes linear time."""
    with pytest.raises(PatternError, match="lookahead"):
        alerts(match="(?=a)")
    with pytest.raises(PatternError, match="lookahead"):
        alerts(ignore="(?=a)")


@pytest.mark.parametrize("match", ['"ERR"', '["ERR", "panic: "]'])
def test_operation_is_configured_by_a_file(tmp_path: Path, match: str) -> None:
    """Every parameter is a key; a pattern may be one or a list."""
    path = tmp_path / "alice.toml"
    path.write_text(
        '[bot]\nname = "alice"\n[chat]\ntransport = "console"\nadmins = ["Ann"]\n'
        '[[watch]]\nname = "bob"\nlog = "bob.log"\nprofile = "wechaty-ts"\n'
        f'[[operation]]\nuse = "operations.log_alert:log_alert"\nwatch = "bob"\nmatch = {match}\n'
        'ignore = "Timeout"\nperiod = 60\nmost = 3\nquiet_hours = "22:00-07:00"\nhas_commands = true\n',
        encoding="utf-8",
    )
    (operation,) = build_operations(load(path))
    assert operation.name == "log_alert"
    assert operation.patterns[0] == "ERR"


async def test_alerts_are_told_in_chinese() -> None:
    """An admin may read all of it in Chinese."""
    operation = log_alert(OperationConfig(watch="bob", timezone=UTC, language="zh"), match="ERR", most=1)
    async with chat(operation, watches=("bob",), language="zh") as here:
        ann = here.user("Ann")
        here.log("bob").write("ERR a", "ERR b", "INFO")
        await ann.should_receive("bob:\n> ERR a\n告警太多，后续的先累计，12:05:00 一起发")
        await ann.says("mute 半小时").should_reply("bob 的告警已静音到 12:30:00；期间只累计，到时或 `unmute` 后一起发")
        await here.move_on(1800)
        await ann.should_receive("bob：静音期间，30 分钟内 ×1，12:00:00\n> ERR b")


async def test_log_of_a_bot_that_was_there_before_brings_no_alert(tmp_path: Path) -> None:
    """What stood in a log before the program began is the past."""
    with LogWriter(tmp_path / "old.log") as writer:
        writer.write(*["ERR a"] * 50)
        async with chat(alerts(), log_of={"bob": writer}) as here:
            await here.move_on(400)
            await here.user("Ann").should_receive_nothing()
