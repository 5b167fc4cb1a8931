"""The real runtime at work in a chat in memory."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from logmonitor.runtime import serve

if TYPE_CHECKING:
    from logmonitor.config import Config
    from logmonitor.machine import Host
    from logmonitor.operation import Operation
    from logmonitor.testing.clock import FakeClock
    from logmonitor.testing.log_fence import LogFence
    from logmonitor.testing.quiet import Quiet
    from logmonitor.testing.second_channel import MemorySecondChannel
    from logmonitor.testing.transport import MemoryTransport


class Program:
    """The runtime, begun, brought to rest and ended."""

    def __init__(
        self,
        config: Config,
        *,
        operations: tuple[Operation, ...],
        transport: MemoryTransport,
        channel: MemorySecondChannel,
        clock: FakeClock,
        host: Host | None,
        fence: LogFence,
        quiet: Quiet,
    ) -> None:
        """Put the runtime together; nothing is begun. `quiet` sees everything that happens in it."""
        self._fence = fence
        self._quiet = quiet
        self._stop = asyncio.Event()
        watched = (*map(quiet.watched, operations), *((fence.operation,) if config.watches else ()))
        self._serve = partial(
            serve,
            config,
            transport=transport,
            operations=watched,
            stop=self._stop,
            clock=clock,
            host=host,
            channel=channel,
        )
        self._task: asyncio.Task[None] | None = None
        self._is_told = False

    def begin(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._serve())

    async def settle(self) -> None:
        """Wait until all that was logged is read, and all that can happen without input or time has happened.

        Raises:
            Exception: the runtime has ended with it.
        """
        await self._fence.wait()
        await self._quiet.settle()
        self._look()

    async def end(self, *, deadline: float) -> bool:
        """Stop; what waits for time is not waited for. Tell whether it ended within `deadline` seconds.

        Raises:
            Exception: the runtime has ended with it, and it was not raised before.
        """
        if self._task is None:
            return True
        self._stop.set()
        await self._quiet.settle()
        self._task.cancel()
        done, _ = await asyncio.wait({self._task}, timeout=deadline)
        self._look()
        return bool(done)

    def _look(self) -> None:
        """Raise what the runtime has ended with, once."""
        task = self._task
        if task is not None and task.done() and not task.cancelled() and not self._is_told:
            self._is_told = True
            task.result()
