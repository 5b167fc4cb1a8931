"""The runtime beside a bot begins again where it fails, and ends where nothing helps."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import OperationConfig, OperationError, ProfileError
from logmonitor.config import BotConfig, ChatConfig, Config, WatchConfig
from logmonitor.runtime import serve
from logmonitor.transports.wechaty_sdk.work import Pace, Work
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logmonitor.transports.puppet_service.account import AccountChat

DEADLINE: Final = 30.0


class Clock:
    """A clock that goes on by what is waited for, and notes each wait."""

    def __init__(self) -> None:
        """Begin at no time in particular."""
        self.time = 1000.0
        self.pauses: list[float] = []

    def now(self) -> float:
        """Return the seconds so far."""
        return self.time

    async def wait(self, _stop: asyncio.Event, seconds: float) -> None:
        """Let so much time pass at once."""
        self.pauses.append(seconds)
        self.time += seconds

    @property
    def pace(self) -> Pace:
        """The usual pace by this clock."""
        return Pace(now=self.now, wait=self.wait)


class Runtime:
    """A runtime that takes a step at each beginning; behind the last it works until it is stopped."""

    def __init__(self, *steps: Callable[[asyncio.Event], None]) -> None:
        """Take these steps; nothing is begun."""
        self.chats: list[AccountChat] = []
        self.is_at_work = asyncio.Event()
        self._steps = list(steps)

    async def serve(self, chat: AccountChat, stop: asyncio.Event) -> None:
        """Take the next step."""
        self.chats.append(chat)
        if self._steps:
            self._steps.pop(0)(stop)
        else:
            self.is_at_work.set()
            await stop.wait()


def failing(error: Exception) -> Callable[[asyncio.Event], None]:
    """Return a step that fails."""

    def fail(_stop: asyncio.Event) -> None:
        raise error

    return fail


async def ended(work: Work) -> Work:
    """Return `work` once it is over."""
    await asyncio.wait_for(work.wait_until_over(), DEADLINE)
    return work


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged as an error, and forget it."""
    texts = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    caplog.clear()
    return texts


async def test_work_begins_again_after_a_growing_pause(caplog: pytest.LogCaptureFixture) -> None:
    """Each failure is logged with its cause, and the pause behind it doubles up to a minute; the chat stays."""
    clock, runtime = Clock(), Runtime(*[failing(RuntimeError("boom"))] * 8)
    work = Work(runtime.serve, pace=clock.pace)
    await asyncio.wait_for(runtime.is_at_work.wait(), DEADLINE)
    assert clock.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert all(record.exc_info and str(record.exc_info[1]) == "boom" for record in caplog.records)
    assert errors(caplog) == [
        f"logmonitor has failed and begins again in {pause} s; the bot goes on"
        for pause in (1, 2, 4, 8, 16, 32, 60, 60)
    ]
    assert runtime.chats == [work.chat] * 9
    assert not work.is_over
    work.end()
    assert (await ended(work)).is_over
    assert errors(caplog) == []


async def test_pause_begins_anew_behind_steady_work() -> None:
    """What was at work for a minute before it failed begins again after a second."""
    clock = Clock()

    def fail_late(_stop: asyncio.Event) -> None:
        clock.time += 60
        raise RuntimeError

    quick = failing(RuntimeError())
    runtime = Runtime(quick, quick, quick, fail_late, quick)
    work = Work(runtime.serve, pace=clock.pace)
    await asyncio.wait_for(runtime.is_at_work.wait(), DEADLINE)
    assert clock.pauses == [1, 2, 4, 1, 2]
    work.end()
    await ended(work)


@pytest.mark.parametrize(
    "error",
    [
        OperationError("two of a name"),
        ExceptionGroup("", [RuntimeError("x"), ExceptionGroup("", [ProfileError("two of a name")])]),
    ],
)
async def test_what_is_put_together_wrongly_ends_the_work_for_good(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in one sentence without a traceback, however deep it was found, and nothing begins again."""
    clock, runtime = Clock(), Runtime(failing(error))
    work = await ended(Work(runtime.serve, pace=clock.pace))
    assert (work.is_over, work.is_hopeless, clock.pauses, len(runtime.chats)) == (True, True, [], 1)
    assert [record.exc_info for record in caplog.records] == [None]
    assert errors(caplog) == ["logmonitor has ended for good, the bot goes on without: two of a name"]


async def test_group_without_such_an_error_is_a_failure_like_others() -> None:
    """Several failures at once, none of which says that something is put together wrongly, lead to a new beginning."""
    clock, runtime = Clock(), Runtime(failing(ExceptionGroup("", [RuntimeError(), OSError()])))
    work = Work(runtime.serve, pace=clock.pace)
    await asyncio.wait_for(runtime.is_at_work.wait(), DEADLINE)
    work.end()
    assert not (await ended(work)).is_hopeless


async def test_real_runtime_that_refuses_its_operations_ends_for_good(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Operations that claim the same name are refused by the runtime itself, which is not begun again."""
    config = Config(
        path=tmp_path / "x",
        bot=BotConfig(name="alice"),
        chat=ChatConfig(transport="x", admins=("Boss",)),
        watches=(WatchConfig(name="bob", logs=(str(tmp_path / "bob.log"),)),),
    )
    operations = (qr_rescue(OperationConfig(watch="bob")),) * 2

    async def run(chat: AccountChat, stop: asyncio.Event) -> None:
        await serve(config, transport=chat, operations=operations, stop=stop)

    assert (await ended(Work(run))).is_hopeless
    (text,) = errors(caplog)
    assert text.startswith("logmonitor has ended for good, the bot goes on without: two operations have the name")


async def test_end_cuts_a_pause_short() -> None:
    """What is told to end while it waits for its next beginning ends without one."""
    is_waiting = asyncio.Event()

    async def wait(stop: asyncio.Event, _seconds: float) -> None:
        is_waiting.set()
        await Pace().wait(stop, 3600.0)

    runtime = Runtime(failing(RuntimeError()))
    work = Work(runtime.serve, pace=Pace(wait=wait))
    await asyncio.wait_for(is_waiting.wait(), DEADLINE)
    work.end()
    assert not (await ended(work)).is_hopeless
    assert len(runtime.chats) == 1


async def test_pause_ends_by_itself() -> None:
    """A pause in real time comes to an end, and the runtime is begun again."""
    runtime = Runtime(failing(RuntimeError()))
    work = Work(runtime.serve, pace=Pace(first_pause=0.0))
    await asyncio.wait_for(runtime.is_at_work.wait(), DEADLINE)
    work.end()
    await ended(work)


async def test_failure_on_the_way_out_begins_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A runtime that fails as it is stopped is told of, and stays ended."""

    def fail_at_the_end(stop: asyncio.Event) -> None:
        stop.set()
        raise RuntimeError

    runtime = Runtime(fail_at_the_end)
    work = await ended(Work(runtime.serve))
    assert (work.is_hopeless, len(runtime.chats)) == (False, 1)
    assert errors(caplog) == ["logmonitor has failed as it was stopped"]
