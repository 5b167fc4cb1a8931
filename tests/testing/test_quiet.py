"""It is told soundly when nothing more can come, without waiting for real time."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor import Command, Context, Invocation, Message, Operation, OperationConfig, Right, TransportError
from logmonitor.testing import FakeClock, chat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def slow(work: Callable[[Context], Awaitable[object]], *, timeout: float = 60.0) -> Operation:
    """Make an operation that works, then answers; so does any message."""

    async def answer(context: Context, invocation: Invocation) -> None:
        await work(context)
        await context.send(f"done {invocation.text}".strip())

    async def on_message(context: Context, message: Message) -> None:
        await work(context)
        await context.send("hello", to=message.conversation)

    command = Command(name="work", handler=answer, help="work", right=Right.GRANT, timeout=timeout)
    return Operation(name="slow", config=OperationConfig(), commands=(command,), on_message=on_message)


async def in_many_steps(_context: Context) -> None:
    """Give way far more often than the loop is let come round."""
    for _ in range(5000):
        await asyncio.sleep(0)


async def in_a_thread(context: Context) -> None:
    """Read a file of the machine."""
    await context.host.read_file(Path(__file__), limit_bytes=1 << 20)


async def in_many_tasks(_context: Context) -> None:
    """Have others do it, each of whom has others do it."""

    async def descend(depth: int) -> None:
        await asyncio.gather(*(descend(depth - 1) for _ in range(min(depth, 2))))

    await descend(7)


async def in_a_process(_context: Context) -> None:
    """Wait for a real process."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print()", stdout=asyncio.subprocess.DEVNULL)
    await process.wait()


@pytest.mark.parametrize("work", [in_many_steps, in_a_thread, in_many_tasks, in_a_process])
async def test_answer_of_a_handler_that_takes_long_is_caught(work: Callable[[Context], Awaitable[object]]) -> None:
    """However a handler works, silence is not believed before it has ended, and an answer is waited for."""
    async with chat(slow(work), users=("Cy",)) as here:
        await here.user("Ann").says("work").should_reply("done")
        said = here.user("Cy").says("hello")
        with pytest.raises(AssertionError, match="should have received nothing in answer to 'hello', and has"):
            await said.should_not_reply()
        await said.should_reply("hello")


async def test_handler_that_waits_for_an_event_of_the_test_is_left_to_it() -> None:
    """What is said comes in while a handler waits; silence cannot be told then, and the failure says why."""
    gate = asyncio.Event()
    async with chat(slow(lambda _context: gate.wait())) as here:
        said = await here.user("Ann").says("work")
        with pytest.raises(AssertionError, match="cannot be told: what is at work waits for something") as told:
            await said.should_not_reply(deadline=0.01)
        assert "Still at work: command work" in str(told.value)
        with pytest.raises(AssertionError, match="should have received anything"):
            await said.should_reply(deadline=0.01)
        gate.set()
        await said.should_reply("done")


async def test_handler_that_sleeps_on_the_clock_waits_for_time() -> None:
    """A handler that waits by the fake clock says nothing before its time, then all there is to say."""
    clock = FakeClock()
    async with chat(slow(lambda _context: clock.sleep(10)), clock=clock) as here:
        said = here.user("Ann").says("work")
        await said.should_not_reply()
        await here.move_on(2)
        await said.should_reply("job 1 (work) is running; you are told when it ends. `cancel 1` ends it now")
        await here.move_on(8)
        await said.should_reply("done")
        await said.should_reply("job 1 (work) is done after 10 s")


async def test_hour_of_fake_time_takes_no_real_time() -> None:
    """A deadline of an hour is met by moving on, long before the suite's own deadline."""
    clock = FakeClock()
    async with chat(slow(lambda _context: clock.sleep(1e6), timeout=3600), clock=clock) as here:
        said = here.user("Ann").says("work")
        await here.move_on(3600)
        await said.should_reply()
        await said.should_reply("job 1 (work) was ended after 3600 s")


async def test_operation_that_talks_without_end_is_told() -> None:
    """What never comes to rest is ended by the deadline, with the transcript."""

    async def on_message(_context: Context, _message: Message) -> None:
        while True:
            await asyncio.create_task(asyncio.sleep(0))

    operation = replace(slow(in_many_steps), on_message=on_message)
    async with chat(operation, users=("Cy",), strict=False) as here:
        here.user("Cy").says("hello")
        with pytest.raises(AssertionError, match=r"within 0\.2 s of real time does not come to rest"):
            await here.settle(deadline=0.2)
        with pytest.raises(AssertionError, match="it cannot be told: what is at work"):
            await here.user("Cy").should_receive_nothing(deadline=0.2)


async def test_log_that_is_not_read_is_told() -> None:
    """Lines that do not arrive, because the test cut them away, are counted in the failure."""
    async with chat(watches=("bob",), strict=False) as here:
        here.log("bob").write("never", "seen")
        here.log("bob").truncate()
        with pytest.raises(AssertionError, match=r"within 0\.2 s of real time were not read: 2 lines of bob"):
            await here.settle(deadline=0.2)


async def test_program_that_has_ended_is_told() -> None:
    """A chat that is lost for good ends the program; whoever goes on testing is told why."""
    async with chat() as here:
        here.transport.break_down(TransportError("logged out for good"))
        with pytest.raises(ExceptionGroup) as told:
            await here.settle()
        assert told.group_contains(TransportError, match="logged out for good")


async def test_program_that_ends_with_an_error_fails_the_test() -> None:
    """What ends the program is raised at the end of the chat at the latest."""
    with pytest.raises(ExceptionGroup) as told:
        await _break_down_unseen()
    assert told.group_contains(TransportError, match="logged out for good")


async def _break_down_unseen() -> None:
    async with chat(strict=False) as here:
        here.transport.break_down(TransportError("logged out for good"))


async def test_program_that_does_not_end_is_told() -> None:
    """A handler that does not let itself be ended keeps the program from ending, and is named."""
    released = asyncio.Event()

    async def hold_on(_context: Context) -> None:
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()

    with pytest.raises(AssertionError, match="the program does not end within 2 s of real time") as told:
        await _work_without_end(slow(hold_on))
    assert "Still at work: on_message of slow" in str(told.value)
    released.set()


async def _work_without_end(operation: Operation) -> None:
    async with chat(operation, users=("Cy",), strict=False, deadline=2) as here:
        await here.user("Cy").says("hello")
