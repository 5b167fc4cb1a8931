"""The whole program with many bots, in a process of its own that tells on demand what it holds.

    python -m tests.torture.crowd FOLDER BOTS

The logs are `FOLDER/logs/botN.log`. To each line on its standard input it answers with one of JSON: how many log lines
it was given, how much was sent, its memory, descriptors, open logs, tasks and threads.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor import Operation, OperationConfig, Receipt
from logmonitor.config import load
from logmonitor.runtime import serve
from logmonitor.testing import MemoryTransport
from operations.log_alert import log_alert
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from logmonitor import Content, Context, LogBatch

ADMIN: Final = "AdminWeixin"


def log_of(folder: Path, bot: int) -> Path:
    """Return where a bot's log is."""
    return folder / "logs" / f"bot{bot}.log"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What the program has done and holds at one moment."""

    lines: int
    sent: int
    resident_bytes: int
    descriptors: int
    open_logs: int
    tasks: int
    threads: int


class _Sink(MemoryTransport):
    """A chat that counts what it is sent and keeps none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Count one more."""
        del content
        self.count += 1
        return Receipt(message_id=f"{to}-{self.count}", accepted_at=datetime.now(UTC))


def _configuration(folder: Path, bots: int) -> Path:
    """Write the configuration of a program that watches so many bots."""
    path = folder / "crowd.toml"
    watches = (
        f'[[watch]]\nname = "bot{bot}"\nlog = "logs/bot{bot}.log"\nprofile = "wechaty-ts"\n' for bot in range(bots)
    )
    path.write_text(
        f'[bot]\nname = "monitor"\nstore = "monitor.db"\n[chat]\ntransport = "console"\nadmins = ["{ADMIN}"]\n'
        + "".join(watches)
        + '[[operation]]\nuse = "qr_rescue"\n',
        encoding="utf-8",
    )
    return path


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _opened() -> list[str]:
    """Name what is open now, logs that were rotated and deleted too."""
    names = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            names.append(os.readlink(descriptor))  # noqa: PTH115 - no path, where it is a socket
    return names


async def crowd(folder: Path, bots: int) -> None:
    """Serve until the standard input ends."""
    lines = 0
    sink = _Sink()

    async def on_batch(context: Context, batch: LogBatch) -> None:
        nonlocal lines
        del context
        lines += len(batch.lines)

    operations = (
        Operation(name="count", config=OperationConfig(), on_batch=on_batch),
        log_alert(OperationConfig(name="alert"), match=" ERR ", has_commands=False),
        qr_rescue(OperationConfig(name="rescue"), login_test="back"),
    )
    stop = asyncio.Event()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with asyncio.TaskGroup() as tasks:
        config = load(_configuration(folder, bots))
        tasks.create_task(serve(config, transport=sink, operations=operations, stop=stop))
        while await reader.readline():
            gc.collect()
            sample = Sample(
                lines=lines,
                sent=sink.count,
                resident_bytes=_resident_bytes(),
                descriptors=len(opened := _opened()),
                open_logs=sum(name.startswith(os.fspath(folder / "logs")) for name in opened),
                tasks=len(asyncio.all_tasks()),
                threads=threading.active_count(),
            )
            sys.stdout.write(json.dumps(asdict(sample)) + "\n")
            sys.stdout.flush()
        stop.set()


if __name__ == "__main__":
    asyncio.run(crowd(Path(sys.argv[1]), int(sys.argv[2])))
