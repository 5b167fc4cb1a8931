"""What waits for one operation: calls of its handlers, in order, no more than it can be expected to come to.

What an operation has to hear of a session never waits for it. Lines do, while it is slow, and the log behind them is
read later: nothing is lost. An operation that takes nothing at all would hold back the rescue of its bot for ever, so
lines pass it over until it has made up half of what waits: they are counted, and that is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from logmonitor.clock import Clock
    from logmonitor.worker import Call

PATIENCE_SECONDS: Final = 5.0
"""How long an operation may take nothing before lines pass it over for which there is no room."""

BEHIND: Final = 64
"""How many calls may wait where somebody could ask again later."""

MOST_CALLS: Final = 1000
MOST_BYTES: Final = 8 << 20
"""How much may wait with lines before further lines wait."""

MOST_NEWS: Final = 10_000
"""How many calls may wait in all."""


class Inbox:
    """The calls that wait. `passed_over` counts the lines, of each bot, that found no room since the start."""

    def __init__(self, clock: Clock) -> None:
        """Be empty; `clock` tells for how long nothing was taken."""
        self._clock = clock
        self._calls: asyncio.Queue[Call | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self._taken = asyncio.Event()
        self._taken_at = clock.monotonic()
        self.is_passing_over = False
        self.passed_over: Counter[str] = Counter()

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that whoever can should ask again later."""
        return self._calls.qsize() >= BEHIND

    @property
    def is_full(self) -> bool:
        """Whether there is no room for lines."""
        return self.is_passing_over or self._calls.qsize() >= MOST_CALLS or self._waiting_bytes >= MOST_BYTES

    def put(self, call: Call) -> None:
        """Take a call, however much waits."""
        self._waiting_bytes += call.size_bytes
        self._calls.put_nowait(call)

    async def offer(self, call: Call, *, watch: str) -> bool:
        """Take a call that came of a bot's log if there is room, or will be before long; tell whether it was taken."""
        if not call.size_bytes:
            self.is_passing_over |= self._calls.qsize() >= MOST_NEWS
            has_room = self._calls.qsize() < MOST_NEWS
        else:
            has_room = await self._has_room()
        if has_room:
            self.put(call)
        else:
            self.passed_over[watch] += call.lines
        return has_room

    async def _has_room(self) -> bool:
        """Wait for room; give up where none is made."""
        began_at = self._clock.monotonic()
        while self.is_full and not self.is_passing_over:
            seconds = max(self._taken_at, began_at) + PATIENCE_SECONDS - self._clock.monotonic()
            if seconds <= 0:
                self.is_passing_over = True
            else:
                await self._wait(seconds)
        return not self.is_full

    async def _wait(self, seconds: float) -> None:
        """Wait until a call is taken, but no longer than that."""
        self._taken.clear()
        taking, waking = asyncio.ensure_future(self._taken.wait()), asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({taking, waking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            taking.cancel()
            waking.cancel()

    def wake(self) -> None:
        """Have whoever waits in `get` look at the time again."""
        if self._calls.empty():
            self._calls.put_nowait(None)

    async def get(self) -> Call | None:
        """Wait for the next call; None after `wake`."""
        call = await self._calls.get()
        if call is None:
            return None
        self._waiting_bytes -= call.size_bytes
        self._taken_at = self._clock.monotonic()
        self._taken.set()
        if self._calls.qsize() <= MOST_CALLS // 2 and self._waiting_bytes <= MOST_BYTES // 2:
            self.is_passing_over = False
        return call
