"""Which files a bot's logs are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from logmonitor.checkpoint import Checkpoint
from logmonitor.clock import SystemClock
from logmonitor.config import BotConfig, WatchConfig
from logmonitor.operation import Operation, OperationConfig
from logmonitor.outbox import Outbox
from logmonitor.store import Store
from logmonitor.testing import MemoryTransport, chat
from logmonitor.watcher import Watcher

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.operation import Context
    from logmonitor.records import LogBatch


def logs_of(folder: Path, *logs: str) -> tuple[str, ...]:
    """Return the names of the files that patterns below a folder mean, the one written to last at the end."""
    watch = WatchConfig(name="bob", logs=tuple(str(folder / log) for log in logs))
    bot = BotConfig(name="alice", self_log=folder / "alice.log")
    with Store() as store:
        checkpoint = Checkpoint(store, Outbox(MemoryTransport()), now=SystemClock().now)
        watcher = Watcher(watch, workers=(), sessions={}, bot=bot, checkpoint=checkpoint, report=pytest.fail)
    return tuple(path.name for path in watcher.logs())


def test_logs_are_in_the_order_in_which_they_were_written_to(tmp_path: Path) -> None:
    """Each file counts once, whichever patterns mean it; this bot's own log is none of another bot's."""
    for name, at in (("a.log", 30), ("b.log", 10), ("c.log", 20), ("alice.log", 40)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (at, at))
    assert logs_of(tmp_path, "*.log", "a.log") == ("b.log", "c.log", "a.log")


def test_logs_are_those_that_can_be_looked_at(tmp_path: Path) -> None:
    """What is not there, is no file, or has a name that nothing can have keeps nobody from the others."""
    (tmp_path / "bob.log").touch()
    (tmp_path / "folder.log").mkdir()
    (tmp_path / "loop.log").symlink_to("loop.log")
    os.mkfifo(tmp_path / "pipe.log")
    names = ("missing.log", "folder.log", "loop.log", "pipe.log", "x" * 300, "bob.log/below.log", "bob.log")
    assert logs_of(tmp_path, *names) == ("bob.log",)
    assert logs_of(tmp_path, "*.log") == ("bob.log",)


async def test_patterns_see_no_colours() -> None:
    """A pattern for the start of a line fits a line that a terminal would show in colours; the line is as written."""
    lines: list[bytes] = []

    async def on_batch(_context: Context, batch: LogBatch) -> None:
        lines.extend(line.raw for line in batch.lines)

    operation = Operation(name="reader", config=OperationConfig(watch="bob"), patterns=("^ERROR$",), on_batch=on_batch)
    async with chat(operation, watches=("bob",)) as here:
        here.log("bob").write("\x1b[31mERROR\x1b[0m", "an ERROR", "ERROR")
        await here.settle()
    assert lines == [b"\x1b[31mERROR\x1b[0m", b"ERROR"]
