"""A rescue by `logmonitor run` beside an operation that hangs while very many lines come."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from tests.torture.test_failures_store import FIRST, SEEN, Scene

if TYPE_CHECKING:
    from pathlib import Path

HANGING: Final = """
[[operation]]
use = "tests.torture.hanging:hanging"
gate = "{folder}/gate"
count = "{folder}/count"
"""
LINES: Final = 100_000
WRITES: Final = 500
"""More than wait for an operation, which is 64."""


async def test_rescue_does_not_wait_for_a_handler_that_hangs(tmp_path: Path) -> None:
    """While another operation hangs over 100,000 lines that were written at once, the loss behind them is told."""
    scene = Scene(tmp_path, more=HANGING.format(folder=tmp_path))
    async with scene.bob as bob:
        await bob.says(SEEN)
        scene.alice.chatters(LINES)
        scene.alice.logs_out()
        scene.alice.shows("1")
        await scene.tells(*FIRST)
        (tmp_path / "gate").touch()
        await bob.until(lambda: has_counted(tmp_path, LINES), "every line was given to the operation")
        assert scene.told() == FIRST


async def test_line_is_not_lost_where_too_much_waits_for_an_operation(tmp_path: Path) -> None:
    """Where more waits for an operation than it may, the log is read on once there is room: no line is lost or doubled.

    The rescue of that bot is as late.
    """
    scene = Scene(tmp_path, more=HANGING.format(folder=tmp_path))
    async with scene.bob as bob:
        await bob.says(SEEN)
        for _ in range(WRITES):
            scene.alice.chatters(LINES // WRITES)
            await asyncio.sleep(0.01)  # each write is to be a batch of its own
        scene.alice.logs_out()
        scene.alice.shows("1")
        (tmp_path / "gate").touch()
        await scene.tells(*FIRST)
        await bob.until(lambda: has_counted(tmp_path, LINES), "every line was given to the operation")


def has_counted(folder: Path, lines: int) -> bool:
    """Tell whether the operation was given so many lines by now."""
    path = folder / "count"
    return path.exists() and path.read_text("utf-8").startswith(f"{lines} ")
