"""One operation at work, as its people see it."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from logmonitor import Command, Context, Invocation, Operation, OperationConfig
from logmonitor.handler_context import HandlerContext
from logmonitor.testing import FakeClock, chat

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor import Event, LogBatch
    from logmonitor.testing import User


def reminder(*, control: bool) -> Operation:
    """Make an operation that reminds the admins when the time has come."""

    async def remind(context: Context, invocation: Invocation) -> None:
        context.wake_at(context.monotonic() + float(invocation.arguments[0]))

    async def on_tick(context: Context) -> None:
        await context.send(f"it is {context.monotonic():g}")

    command = Command(name="remind", handler=remind, help="remind you", usage="SECONDS", control=control)
    return Operation(name="reminder", config=OperationConfig(), commands=(command,), on_tick=on_tick)


@pytest.mark.parametrize("control", [False, True])
async def test_operation_is_woken_whichever_handler_asked_for_it(*, control: bool) -> None:
    """A control command, which runs beside the operation's other handlers, can have it woken like any other."""
    async with chat(reminder(control=control)) as here:
        ann = here.user("Ann")
        await ann.says("remind 10").should_not_reply()
        await here.move_on(9)
        await ann.should_receive_nothing()
        await here.move_on(1)
        await ann.should_receive("it is 10")


async def test_operation_is_woken_at_the_earliest_time_asked_for() -> None:
    """Of several times the earliest wins, whichever was asked for first."""
    async with chat(reminder(control=True)) as here:
        ann = here.user("Ann")
        for seconds in (20, 10, 15):
            await ann.says(f"remind {seconds}").should_not_reply()
        await here.move_on(60)
        await ann.should_receive("it is 10")
        await ann.should_receive_nothing()


async def test_operation_is_told_when_the_program_ends(tmp_path: Path) -> None:
    """What it keeps in memory it can put away at the end, and what it says then still goes out; a failure is told."""
    said: list[str] = []

    async def remember(context: Context, invocation: Invocation) -> None:
        said.append(invocation.text)
        context.wake_at(context.monotonic() + 10)

    async def put_away(context: Context) -> None:
        context.store.put("said", " ".join(said))
        await context.send("good night")
        raise OSError("no bed")

    async def tell(context: Context) -> None:
        await context.send(context.store.get("said") or "nothing")

    command = Command(name="remember", handler=remember, help="remember what you say")
    operation = Operation(
        name="memory", config=OperationConfig(), commands=(command,), on_start=tell, on_stop=put_away, on_tick=tell
    )
    clock = FakeClock()
    async with chat(operation, folder=tmp_path, clock=clock, strict=False) as here:
        await here.user("Ann").should_receive("nothing")
        await here.user("Ann").says("remember the milk")
    texts = [str(entry.content) for entry in here.transcript.entries if entry.is_from_bot]
    assert texts == ["nothing", "good night", "on_stop of memory failed: OSError; the log of logmonitor tells more"]
    async with chat(operation, folder=tmp_path, clock=clock, strict=False) as here:
        await here.user("Ann").should_receive("the milk")


async def test_operation_that_does_not_stop_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program ends although an operation would go on."""
    ended = asyncio.Event()

    async def go_on(_context: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr("logmonitor.worker.STOP_SECONDS", 0.05)
    async with chat(Operation(name="stubborn", config=OperationConfig(), on_stop=go_on), strict=False):
        pass
    assert ended.is_set()


async def test_admins_are_told_of_lines_that_pass_an_operation_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """That it takes none is told once, then how many it did not get; `status` tells both, of no other bot.

    The rescue goes on meanwhile, and so does the operation's work with what it got.
    """
    monkeypatch.setattr("logmonitor.inbox.MOST_CALLS", 4)
    gate, taken = asyncio.Event(), list[str]()

    async def on_batch(_context: Context, batch: LogBatch) -> None:
        await gate.wait()
        taken.extend(line.text for line in batch.lines)

    async def on_event(context: Context, event: Event) -> None:
        await context.send(f"seen {event.kind}")

    slow = Operation(name="slow", config=OperationConfig(), on_batch=on_batch)
    quick = Operation(name="quick", config=OperationConfig(), on_event=on_event)
    async with chat(slow, quick, watches=("bob", "carol"), profile="wechaty-ts") as here:
        ann, log = here.user("Ann"), here.log("bob")
        for number in range(6):
            log.write(f"line {number}")
            await here.settle()
        await here.move_on(5)
        await ann.should_receive("slow has taken no line for 5 s; lines are being passed over")
        log.write("22:44:35 INFO StarterBot Contact<Bob> login")
        await ann.should_receive("seen login")
        assert await told_by_status(ann) == ["slow takes no lines; passed over since the start: 2"]
        gate.set()
        await ann.should_receive("slow takes lines again; lines that were passed over: 2")
        log.write("line 8")
        await here.settle()
        assert await told_by_status(ann) == ["slow could not keep up; lines passed over since the start: 2"]
    assert taken == [*(f"line {number}" for number in range(5)), "line 8"]


async def test_alerts_of_lines_that_pass_an_operation_over_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an operation that hangs again and again that is told thrice in ten minutes; later ones count what was not."""
    monkeypatch.setattr("logmonitor.inbox.MOST_CALLS", 2)
    gate = asyncio.Event()

    async def on_batch(_context: Context, _batch: LogBatch) -> None:
        await gate.wait()

    slow = Operation(name="slow", config=OperationConfig(), on_batch=on_batch)
    async with chat(slow, watches=("bob",)) as here:
        ann, log = here.user("Ann"), here.log("bob")

        async def hang() -> None:
            gate.clear()
            for number in range(4):
                log.write(f"line {number}")
                await here.settle()
            await here.move_on(5)

        for _ in range(3):
            await hang()
            await ann.should_receive("slow has taken no line for 5 s; lines are being passed over")
            gate.set()
            await ann.should_receive("slow takes lines again; lines that were passed over: 1")
            await here.settle()
        for _ in range(2):
            await hang()
            gate.set()
            await ann.should_receive_nothing()
        await here.move_on(600)
        await hang()
        await ann.should_receive("slow has taken no line for 5 s; lines are being passed over")
        gate.set()
        await ann.should_receive("slow takes lines again; lines that were passed over: 3")


async def test_failures_of_a_handler_are_told_thrice_in_ten_minutes() -> None:
    """One that fails over each line floods no chat; how often it was not told comes with the next alert."""

    async def on_batch(_context: Context, _batch: LogBatch) -> None:
        raise OSError("no")

    text = "on_batch of reader failed: OSError; the log of logmonitor tells more"
    reader = Operation(name="reader", config=OperationConfig(), on_batch=on_batch)
    async with chat(reader, watches=("bob",), strict=False) as here:
        ann, log = here.user("Ann"), here.log("bob")
        for number in range(5):
            log.write(f"line {number}")
            await here.settle()
        for _ in range(3):
            await ann.should_receive(text)
        await ann.should_receive_nothing()
        await here.move_on(600)
        log.write("line 6")
        await ann.should_receive(f"{text} (and 2 times more before, which was not told)")


async def test_everything_else_goes_on_between_the_calls_of_an_operation() -> None:
    """Where very much waits that is quickly done, messages are delivered meanwhile, and not only after all of it."""
    handled: list[Event] = []
    turns = [0]

    def turn() -> None:
        turns[0] += 1
        if len(handled) < 100:
            asyncio.get_running_loop().call_soon(turn)

    async def on_event(_context: Context, event: Event) -> None:
        if not handled:
            turn()
        handled.append(event)

    quick = Operation(name="quick", config=OperationConfig(), on_event=on_event)
    async with chat(quick, watches=("bob",), profile="wechaty-ts") as here:
        here.log("bob").write(
            *(f"22:44:35 INFO StarterBot Contact<Bob> {word}" for _ in range(50) for word in ("login", "logout"))
        )
        await here.settle()
    assert (len(handled), turns[0] >= 100) == (100, True)


async def told_by_status(user: User) -> list[str]:
    """Return what `status` tells a user of lines that were passed over."""
    heard = await user.says("status").should_reply()
    return [row.strip() for row in str(heard.text).splitlines() if "passed over" in row]


async def test_handler_whose_decision_cannot_take_effect_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A defect behind a handler costs what that call decided; the next one is made."""
    finish = HandlerContext.finish
    failures = iter([ArithmeticError("a defect of ours")])

    def failing(context: HandlerContext) -> None:
        finish(context)
        for failure in failures:
            raise failure

    async def on_batch(context: Context, batch: LogBatch) -> None:
        await context.send(batch.lines[0].text)

    monkeypatch.setattr(HandlerContext, "finish", failing)
    operation = Operation(name="echo", config=OperationConfig(watch="bob"), patterns=("line",), on_batch=on_batch)
    async with chat(operation, watches=("bob",)) as here:
        ann, bob = here.user("Ann"), here.log("bob")
        for text in ("line 1", "line 2"):
            bob.write(text)
            await ann.should_receive(text)


async def test_time_that_is_no_number_fails_the_handler_alone() -> None:
    """Who asks to be woken at what is no time is told so, and goes on."""

    async def remind(context: Context, invocation: Invocation) -> None:
        context.wake_at(invocation.arguments[0])  # type: ignore[arg-type]  # as one without types would

    command = Command(name="remind", handler=remind, help="remind you", usage="SECONDS")
    async with chat(Operation(name="reminder", config=OperationConfig(), commands=(command,))) as here:
        ann = here.user("Ann")
        await ann.says("remind noon").should_reply(re.compile("remind of reminder failed: ValueError"))
        await ann.says("remind 10").should_not_reply()
