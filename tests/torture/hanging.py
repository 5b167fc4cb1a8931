"""An operation that hangs until it is let go, and counts the lines that it was given."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from logmonitor import Operation

if TYPE_CHECKING:
    from logmonitor import Context, LogBatch, OperationConfig

_PAUSE = 0.05


def hanging(config: OperationConfig, *, gate: str, count: str) -> Operation:
    """Hang as long as there is no file `gate`; then write into the file `count` how many lines came, and the last."""
    counted = 0

    async def on_batch(_context: Context, batch: LogBatch) -> None:
        nonlocal counted
        while not Path(gate).exists():  # noqa: ASYNC110, ASYNC240  # a file sets no event
            await asyncio.sleep(_PAUSE)
        counted += len(batch.lines)
        Path(count).write_text(f"{counted} {batch.lines[-1].text}", "utf-8")  # noqa: ASYNC240  # a test's own, small

    return Operation(name="hanging", config=config, patterns=("VERB StarterBot line ",), on_batch=on_batch)
