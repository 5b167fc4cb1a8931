"""Whether everything that was written to the logs has been read and handed out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from logmonitor.operation import Operation, OperationConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logmonitor.operation import Context
    from logmonitor.records import LogBatch
    from logmonitor.testing.log_writer import LogWriter

NAME: Final = "log_fence"


class LogFence:
    """Counts the lines that are written to logs, and those that come out on the other side.

    The logs are followed by the real follower, from real files: a line is waited for in real time. It comes out in an
    operation that stands behind all others, so that these have got it when this one gets it.
    """

    def __init__(self, writers: Mapping[str, LogWriter]) -> None:
        """Count what is written from now on."""
        self._writers = dict(writers)
        self._before = {watch: writer.lines for watch, writer in writers.items()}
        self._read = dict.fromkeys(writers, 0)
        self._changed = asyncio.Event()
        self.operation = Operation(
            name=NAME, config=OperationConfig(), on_start=self._on_start, on_batch=self._on_batch
        )

    @property
    def unread(self) -> Mapping[str, int]:
        """How many lines of each log are still to come."""
        left = {
            watch: writer.lines - self._before[watch] - self._read[watch] for watch, writer in self._writers.items()
        }
        return {watch: count for watch, count in left.items() if count > 0}

    async def wait(self) -> None:
        """Wait until no line is still to come."""
        while self.unread:
            self._changed.clear()
            await self._changed.wait()

    async def _on_start(self, context: Context) -> None:
        """Expect what was written since an earlier program in the same folder."""
        for watch, writer in self._writers.items():
            handled = context.store.get(watch)
            if handled is not None:
                self._before[watch] -= writer.path.read_bytes()[int(handled) :].count(b"\n")

    async def _on_batch(self, context: Context, batch: LogBatch) -> None:
        context.store.put(batch.watch, str(batch.end_offset))
        ends = (*(line.offset for line in batch.lines[1:]), batch.end_offset)
        whole = sum(line.offset + len(line.raw) < end for line, end in zip(batch.lines, ends, strict=True))
        self._read[batch.watch] += whole
        self._changed.set()
