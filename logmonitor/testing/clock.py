"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import math
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

START: Final = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
"""When a fake clock begins: noon of 20 November 2026, UTC."""

ROUNDS: Final = 50
"""How often the event loop comes round before whoever was woken is taken to have done what it does."""


async def come_round() -> None:
    """Let the event loop come round, so that whoever can go on does."""
    for _ in range(ROUNDS):
        await asyncio.sleep(0)


class FakeClock:
    """A `Clock` for tests: no time passes but what `move_on` lets pass, and nobody really waits."""

    def __init__(self, at: datetime = START) -> None:
        """Stand at `at`, aware UTC, and at 0 seconds."""
        self._at = at
        self._elapsed = 0.0
        self._numbers = count()
        self._watching: list[asyncio.Future[None]] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None], asyncio.Task[object] | None]] = []

    @property
    def sleepers(self) -> tuple[float, ...]:
        """When those who sleep want to be woken, in seconds of `monotonic`, the earliest first."""
        return tuple(due for due, _, future, _ in sorted(self._sleepers) if not future.done())

    def is_slept_on_by(self, task: asyncio.Task[object] | None) -> bool:
        """Tell whether a task waits for this clock."""
        return any(sleeping is task and not future.done() for _, _, future, sleeping in self._sleepers)

    def now(self) -> datetime:
        """Return the time, aware UTC."""
        return self._at + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self._elapsed

    async def sleep(self, seconds: float, /) -> None:
        """Return once the clock has moved on by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future = asyncio.get_running_loop().create_future()
        sleeper = (self._elapsed + seconds, next(self._numbers), future, asyncio.current_task())
        heapq.heappush(self._sleepers, sleeper)
        watching, self._watching = self._watching, []
        for one in watching:
            if not one.done():
                one.set_result(None)
        try:
            await future
        finally:
            if sleeper in self._sleepers:
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)

    def jump(self, seconds: float) -> None:
        """Let time pass at once; who has slept long enough wakes as soon as the loop goes on.

        Raises:
            ValueError: time would go back.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"cannot move on by {seconds!r} s; expected 0 or more")
        self._elapsed += seconds
        self._wake()

    async def move_on(self, seconds: float, *, settle: Callable[[], Awaitable[None]] = come_round) -> None:
        """Let time pass, from one sleeper to the next: each wakes at its own time and does what it does then.

        `settle` waits until those who were woken have done it.

        Raises:
            ValueError: time would go back.
        """
        if not 0 <= seconds < math.inf:
            raise ValueError(f"cannot move on by {seconds!r} s; expected 0 or more")
        end = self._elapsed + seconds
        await settle()
        while (sleepers := self.sleepers) and sleepers[0] <= end:
            self._elapsed = max(self._elapsed, sleepers[0])
            self._wake()
            await settle()
        self._elapsed = end

    async def wait_for_sleeper(self) -> None:
        """Wait until somebody else begins to sleep."""
        self._watching.append(asyncio.get_running_loop().create_future())
        await self._watching[-1]

    def adjust(self, seconds: float) -> None:
        """Step the time of day, forwards or back, as setting a clock does; `monotonic` and sleepers do not notice."""
        self._at += timedelta(seconds=seconds)

    def _wake(self) -> None:
        while self._sleepers and self._sleepers[0][0] <= self._elapsed:
            _due, _number, future, _task = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
