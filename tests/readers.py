"""What tests of the follower share: a clock that a test moves, a reader that waits for what it expects, open things."""

from __future__ import annotations

import asyncio
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from logmonitor.lines import split
from logmonitor.records import Chunk, Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from logmonitor.follower import Follower

DEADLINE = 10.0


class StepWaker:
    """Time that passes only when a test says so."""

    def __init__(self) -> None:
        """Start at zero."""
        self._seconds = 0.0
        self._woken = asyncio.Event()
        self._idle = asyncio.Event()

    def now(self) -> float:
        """How much has passed."""
        return self._seconds

    def wake(self) -> None:
        """Wake the follower; time stands still."""
        self._woken.set()

    async def wait(self, _: float, /) -> None:
        """Wait for the test."""
        self._idle.set()
        await self._woken.wait()
        self._woken.clear()

    async def step(self, seconds: float = 1.0) -> None:
        """Let time pass, and wait until the follower has done all there was to do."""
        await self._idle.wait()
        self._idle.clear()
        self._seconds += seconds
        self._woken.set()
        async with asyncio.timeout(DEADLINE):
            await self._idle.wait()


class Reader:
    """All that a follower gives out, while it is open."""

    def __init__(self, follower: Follower) -> None:
        """Read from `follower` once entered."""
        self.follower = follower
        self.items: list[Chunk | Notice] = []
        self._grown = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Enter the follower and begin to read."""
        await self.follower.__aenter__()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop reading and leave the follower."""
        await self.follower.__aexit__(kind, error, trace)
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    async def _read(self) -> None:
        async for item in self.follower:
            self.items.append(item)
            self._grown.set()

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Wait, under a deadline, for what has been read to be as expected."""
        async with asyncio.timeout(DEADLINE):
            while not is_there():
                self._grown.clear()
                await self._grown.wait()

    async def until_lines(self, *expected: bytes) -> None:
        """Wait until there are as many lines as expected, and assert that they are these."""
        await self.until(lambda: len(self.lines) >= len(expected))
        assert self.lines == list(expected)

    async def until_notice(self, kind: NoticeKind) -> Notice:
        """Wait for a notice of this kind."""
        await self.until(lambda: kind in self.kinds)
        return next(item for item in self.items if isinstance(item, Notice) and item.kind is kind)

    async def until_begun(self) -> None:
        """Wait until the files that were there at the start have been read."""
        await self.until(lambda: any(chunk.caught_up for chunk in self.chunks))

    @property
    def chunks(self) -> list[Chunk]:
        """The chunks so far."""
        return [item for item in self.items if isinstance(item, Chunk)]

    @property
    def lines(self) -> list[bytes]:
        """The lines so far, without terminators."""
        return [line.raw for chunk in self.chunks for line in split(chunk)]

    @property
    def kinds(self) -> list[NoticeKind]:
        """The kinds of the notices so far."""
        return [item.kind for item in self.items if isinstance(item, Notice)]


def append(path: Path, data: bytes) -> None:
    """Append to a log as a bot does."""
    with path.open("ab") as log:
        log.write(data)


def shift(log: Path) -> None:
    """Move each rotated file one number on, so that there is room for the next."""
    for index in range(100, 0, -1):
        rotated = Path(f"{log}.{index}")
        if rotated.exists():
            rotated.rename(f"{log}.{index + 1}")


def count_open() -> dict[str, int]:
    """Count this process's descriptors, threads and inotify watches."""
    descriptors = os.listdir("/proc/self/fd")  # noqa: PTH208
    watches = 0
    for descriptor in descriptors:
        info = Path("/proc/self/fdinfo", descriptor)
        if info.exists():
            watches += info.read_text().count("inotify wd:")
    return {"descriptors": len(descriptors), "threads": threading.active_count(), "watches": watches}
