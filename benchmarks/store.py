"""Measure what the store costs the whole runtime while a log grows as fast as it can: `python benchmarks/store.py`.

A log of a wechaty-ts bot is appended to one that is followed, and it takes until its last line has been handled and
every message sent. An operation with ten patterns *reads* what matches, or *sends* the last of it in each piece that is
read, or it is `log_alert` beside `qr_rescue`. Each with the store on disk and in memory, in turn, in processes of their
own; `ratio` is how fast it is with the store, of without, the median of all turns. Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from throughput import PATTERNS, write_log

from logmonitor import LogBatch, Operation, OperationConfig, Receipt
from logmonitor.config import load
from logmonitor.runtime import serve
from logmonitor.testing import MemoryTransport
from operations.log_alert import log_alert
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from logmonitor import Content, Context
    from logmonitor.config import Config

WAYS: Final = ("reads", "sends", "alerts and rescues")
CONFIGURATION: Final = """
[bot]
name = "alice"
[chat]
transport = "console"
admins = ["AdminWeixin"]
[[watch]]
name = "bob"
log = "bob.log"
profile = "wechaty-ts"
"""
END: Final = "00:00:00 INFO this is the end\n"


async def measure(folder: Path, config: Config, corpus: Path, way: str) -> dict[str, float]:
    """Follow a log to which the corpus is appended; return how long that took, and how many messages were sent."""
    messages, done = 0, asyncio.Event()

    class Sink(MemoryTransport):
        async def send(self, to: str, _content: Content, /) -> Receipt:
            nonlocal messages
            messages += 1
            return Receipt(message_id=to, accepted_at=datetime.now(UTC))

    async def on_batch(context: Context, batch: LogBatch) -> None:
        if way == "sends":
            await context.send(batch.lines[-1].text)

    async def on_end(_context: Context, _batch: LogBatch) -> None:
        done.set()

    about = OperationConfig(watch="bob")
    end = Operation(name="end", config=about, patterns=("this is the end",), on_batch=on_end)
    one = Operation(name="one", config=about, patterns=PATTERNS, on_batch=on_batch)
    alerts = log_alert(about, match="|".join(PATTERNS)), qr_rescue(about)
    operations = (*(alerts if way == WAYS[2] else (one,)), end)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(serve(config, transport=Sink(), operations=operations, stop=stop))
        await asyncio.sleep(1)
        cpu, started = time.process_time(), time.monotonic()
        tasks.create_task(asyncio.to_thread(append, corpus, folder / "bob.log"))
        await done.wait()
        stop.set()
        await serving
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "messages": messages}


def measure_here(corpus: Path, way: str, *, lasts: bool) -> dict[str, float]:
    """Measure in this process."""
    with tempfile.TemporaryDirectory(prefix="store-") as name:
        folder = Path(name)
        path = folder / "alice.toml"
        path.write_text(CONFIGURATION, encoding="utf-8")
        (folder / "bob.log").touch()
        config = load(path)
        if not lasts:
            config = replace(config, bot=replace(config.bot, store=None))
        return asyncio.run(measure(folder, config, corpus, way))


def append(source: Path, target: Path) -> None:
    """Append one file to another, and a last line."""
    with source.open("rb") as corpus, target.open("ab") as log:
        shutil.copyfileobj(corpus, log, 1 << 20)
        log.write(END.encode())


def figures(on_disk: list[dict[str, float]], in_memory: list[dict[str, float]], size_bytes: int) -> dict[str, float]:
    """Return the medians."""
    pairs = list(zip(on_disk, in_memory, strict=True))
    return {
        "mb_per_second": round(median(size_bytes / 1e6 / one["seconds"] for one in on_disk), 1),
        "mb_per_second_in_memory": round(median(size_bytes / 1e6 / one["seconds"] for one in in_memory), 1),
        "ratio": round(median(memory["seconds"] / disk["seconds"] for disk, memory in pairs), 2),
        "cpu_ratio": round(median(memory["cpu_seconds"] / disk["cpu_seconds"] for disk, memory in pairs), 2),
        "messages": round(median(one["messages"] for one in on_disk)),
    }


def run(corpus: Path, way: str, *, lasts: bool) -> dict[str, float]:
    """Measure in a process of its own."""
    argv = [sys.executable, __file__, "--measure", str(corpus), way, str(lasts)]
    measured: dict[str, float] = json.loads(subprocess.run(argv, stdout=subprocess.PIPE, check=True).stdout)
    return measured


def main() -> None:
    """Measure and print, or be what is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--ways", nargs="*", choices=WAYS, default=WAYS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        corpus, way, lasts = arguments.measure
        print(json.dumps(measure_here(Path(corpus), way, lasts=lasts == str(True))))
        return
    taken: dict[tuple[str, bool], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="store-") as folder:
        corpus = Path(folder, "corpus.log")
        lines, matching = write_log(corpus, arguments.megabytes * 1_000_000)
        size_bytes = corpus.stat().st_size
        for way in arguments.ways * arguments.runs:
            for lasts in (True, False):
                taken.setdefault((way, lasts), []).append(run(corpus, way, lasts=lasts))
    result = {
        "megabytes": arguments.megabytes,
        "lines": lines,
        "matching": matching,
        "runs": arguments.runs,
        "load": round(os.getloadavg()[0], 1),
        "figures": {way: figures(taken[way, True], taken[way, False], size_bytes) for way in arguments.ways},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
