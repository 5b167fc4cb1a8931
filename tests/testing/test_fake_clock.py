"""The fake clock moves when it is moved, and wakes sleepers as a real one would."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor.testing import START, FakeClock

if TYPE_CHECKING:
    from logmonitor.clock import Clock


async def sleeping(clock: Clock, seconds: float, woken: list[tuple[float, float]]) -> None:
    """Sleep, and note who woke when."""
    await clock.sleep(seconds)
    woken.append((seconds, clock.monotonic()))


async def test_sleepers_wake_in_order_at_their_own_time() -> None:
    """Whoever sleeps wakes at the very time they asked for, the earliest first, and equals as they came."""
    clock, woken = FakeClock(), list[tuple[float, float]]()
    async with asyncio.TaskGroup() as tasks:
        for seconds in (3.0, 1.0, 2.0, 1.0, 0.0):
            tasks.create_task(sleeping(clock, seconds, woken))
        await clock.move_on(0)
        assert (woken, clock.sleepers) == ([(0.0, 0.0)], (1.0, 1.0, 2.0, 3.0))
        await clock.move_on(2.5)
        assert woken[1:] == [(1.0, 1.0), (1.0, 1.0), (2.0, 2.0)]
        assert clock.monotonic() == 2.5
        await clock.move_on(0.5)
    assert woken[-1] == (3.0, 3.0)
    assert clock.now() == START + timedelta(seconds=3)


async def test_sleeper_that_sleeps_again_wakes_as_often_as_its_time_comes() -> None:
    """One long move wakes who sleeps in turns at each of the turns, and those in between in order."""
    clock, beats = FakeClock(), list[float]()

    async def beat() -> None:
        while True:
            await clock.sleep(10)
            beats.append(clock.monotonic())

    task = asyncio.create_task(beat())
    await clock.move_on(35)
    task.cancel()
    await asyncio.wait({task})
    assert (beats, clock.sleepers) == ([10.0, 20.0, 30.0], ())


async def test_clock_knows_which_task_sleeps_on_it() -> None:
    """A task that sleeps on the clock is told from one that waits for something else."""
    clock = FakeClock()
    asleep = asyncio.create_task(clock.sleep(5))
    waiting = asyncio.create_task(asyncio.Event().wait())
    await clock.move_on(0)
    assert (clock.is_slept_on_by(asleep), clock.is_slept_on_by(waiting)) == (True, False)
    clock.jump(5)
    await asleep
    assert not clock.is_slept_on_by(asleep)
    waiting.cancel()
    await asyncio.wait({waiting})


async def test_adjusted_clock_wakes_nobody() -> None:
    """Setting the time of day, forwards or back, moves neither the seconds that have passed nor a sleeper."""
    clock, woken = FakeClock(), list[tuple[float, float]]()
    task = asyncio.create_task(sleeping(clock, 1, woken))
    await clock.move_on(0)
    clock.adjust(3600)
    assert (clock.now(), clock.monotonic()) == (START + timedelta(hours=1), 0)
    clock.adjust(-7200)
    await clock.move_on(0.5)
    assert (woken, clock.now()) == ([], START - timedelta(seconds=3599.5))
    await clock.move_on(0.5)
    assert (woken, task.done()) == ([(1, 1)], True)


@pytest.mark.parametrize("seconds", [-0.1, float("inf"), float("nan")])
async def test_clock_never_goes_back(seconds: float) -> None:
    """What is no way forward is refused."""
    clock = FakeClock()
    with pytest.raises(ValueError, match="cannot move on by"):
        clock.jump(seconds)
    with pytest.raises(ValueError, match="cannot move on by"):
        await clock.move_on(seconds)
