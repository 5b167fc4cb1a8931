"""What a handler is given on this machine, where time passes by itself."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from logmonitor import Invocation
from logmonitor.host import LocalHost
from logmonitor.testing import RecordingContext, message

if TYPE_CHECKING:
    from logmonitor import Operation


class RealContext(RecordingContext):
    """A context that records what is sent, and does all else on this machine."""

    def __init__(self) -> None:
        """Know no session."""
        super().__init__()
        self.host: Any = LocalHost()

    async def sleep(self, seconds: float, /) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the seconds of a clock that never steps."""
        return time.monotonic()

    async def do(self, operation: Operation, command: str, *, watch: str) -> str:
        """Run a command of an operation that begins; return what was said in the end."""
        if operation.on_start is not None:
            await operation.on_start(self)
        (found,) = (one for one in operation.commands if one.name == command)
        await found.handler(self, Invocation(message=message(command), name=command, watch=watch))
        return str(self.sent[-1].content)
