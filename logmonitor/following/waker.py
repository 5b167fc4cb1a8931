"""The clock of a follower, and its wait for the next tick or hint."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Protocol


class Waker(Protocol):
    """The clock, and the wait for the next tick or hint; a test brings its own."""

    def now(self) -> float:
        """Seconds on a clock that never goes back."""

    def wake(self) -> None:
        """End the wait, or the next one."""

    async def wait(self, seconds: float, /) -> None:
        """Wait to be woken, at most so many seconds."""


class LoopWaker:
    """The event loop's own time."""

    def __init__(self) -> None:
        """Start awake to nothing."""
        self._is_woken = asyncio.Event()

    def now(self) -> float:
        """Seconds on the loop's kind of clock."""
        return time.monotonic()

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._is_woken.set()

    async def wait(self, seconds: float, /) -> None:
        """Wait to be woken, at most so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._is_woken.wait()
        self._is_woken.clear()
