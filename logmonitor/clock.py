"""The clocks, as one thing that a test can replace."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The time of day, a time that never steps, and waiting."""

    def now(self) -> datetime:
        """Return the time, aware UTC."""

    def monotonic(self) -> float:
        """Return seconds that never step."""

    async def sleep(self, seconds: float, /) -> None:
        """Return after `seconds`."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the time, aware UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never step."""
        return time.monotonic()

    async def sleep(self, seconds: float, /) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)
