"""How long from the write of a log line to `send`: logmonitor beside a 2 s poll and `tail -F | grep --line-buffered`.

One command: `python benchmarks/latency.py`; JSON on stdout. A process of its own writes the lines; each holds the time
of its writing, by the clock that all processes of a machine share. logmonitor's figure is taken where the transport's
`send` is called: the whole runtime lies in between, and each message is in the store before it is sent. Beside it, in
turn, the same with the store in memory only, and what the disk takes for one small write that lasts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from logmonitor import LogBatch, Operation, OperationConfig, Receipt
from logmonitor.config import load
from logmonitor.runtime import serve
from logmonitor.testing import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor import Content, Context

WRITER = """
import os, random, sys, time
path, count, pause = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
rand = random.Random(1)
file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for _ in range(count):
    time.sleep(rand.uniform(0.5, 1.5) * pause)
    os.write(file, b"12:00:00 INFO bench written %d\\n" % time.monotonic_ns())
"""


ROUNDS = 10


def milliseconds_since(text: str) -> float:
    """Return how long ago the line was written."""
    return (time.monotonic_ns() - int(text.rpartition(" ")[2])) / 1e6


def figures(samples: list[float]) -> dict[str, float | int]:
    """Return the median and the 99th percentile."""
    ordered = sorted(samples)
    return {
        "lines": len(ordered),
        "p50_ms": round(statistics.median(ordered), 3),
        "p99_ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
    }


def start_writer(path: Path, count: int, pause: float) -> subprocess.Popen[bytes]:
    """Start the process that writes."""
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(count), str(pause)])


async def by_logmonitor(folder: Path, count: int, pause: float, *, lasts: bool) -> list[float]:
    """Measure the whole runtime with an operation that sends every matching line, its store on disk or in memory."""
    log = folder / "bob.log"
    log.touch()
    path = folder / "alice.toml"
    path.write_text(
        '[bot]\nname = "alice"\n[chat]\ntransport = "console"\nadmins = ["AdminWeixin"]\n'
        '[[watch]]\nname = "bob"\nlog = "bob.log"\nprofile = "wechaty-ts"\n'
        '[[operation]]\nuse = "qr_rescue"\nwatch = "bob"\n',
        encoding="utf-8",
    )
    samples: list[float] = []
    done = asyncio.Event()

    class Stopwatch(MemoryTransport):
        async def send(self, to: str, content: Content, /) -> Receipt:
            samples.append(milliseconds_since(str(content)))
            if len(samples) == count:
                done.set()
            return Receipt(message_id=to, accepted_at=datetime.now(UTC))

    async def on_batch(context: Context, batch: LogBatch) -> None:
        for line in batch.lines:
            await context.send(line.text)

    config = load(path)
    if not lasts:
        config = replace(config, bot=replace(config.bot, store=None))
    operation = Operation(name="echo", config=OperationConfig(), patterns=("INFO bench written",), on_batch=on_batch)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(config, transport=Stopwatch(), operations=(operation,), stop=stop))
        await asyncio.sleep(1)
        writer = start_writer(log, count, pause)
        await done.wait()
        stop.set()
    writer.wait()
    return samples


def by_disk(folder: Path, count: int) -> list[float]:
    """Measure a write of one page that lasts, as a transaction does at its end."""
    samples: list[float] = []
    file = os.open(folder / "page", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(count):
        started = time.monotonic_ns()
        os.write(file, bytes(4096))
        os.fdatasync(file)
        samples.append((time.monotonic_ns() - started) / 1e6)
    os.close(file)
    return samples


def by_poll(folder: Path, count: int, pause: float) -> list[float]:
    """Measure a loop that reads what was added every 2 seconds."""
    log = folder / "poll.log"
    log.touch()
    samples: list[float] = []
    writer = start_writer(log, count, pause)
    with log.open(encoding="utf-8") as file:
        while len(samples) < count:
            time.sleep(2)
            samples.extend(milliseconds_since(line.rstrip()) for line in file)
    writer.wait()
    return samples


def by_tail(folder: Path, count: int, pause: float) -> list[float]:
    """Measure `tail -F | grep --line-buffered`."""
    log = folder / "tail.log"
    log.touch()
    tail = subprocess.Popen(["tail", "-n", "0", "-F", str(log)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    grep = subprocess.Popen(["grep", "--line-buffered", "bench written"], stdin=tail.stdout, stdout=subprocess.PIPE)
    assert grep.stdout is not None
    time.sleep(0.5)
    writer = start_writer(log, count, pause)
    samples = [milliseconds_since(grep.stdout.readline().decode().rstrip()) for _ in range(count)]
    writer.wait()
    tail.terminate()
    grep.wait()
    tail.wait()
    return samples


def by_logmonitor_in_turn(count: int, pause: float) -> dict[str, list[float]]:
    """Measure with the store and without in turn, so that what slows the machine or its disk down slows both."""
    samples: dict[str, list[float]] = {"logmonitor": [], "logmonitor, store in memory": [], "the disk alone": []}
    with_store, without_store, disk = samples.values()
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            disk += by_disk(Path(one), count // ROUNDS)
            with_store += asyncio.run(by_logmonitor(Path(one), count // ROUNDS, pause, lasts=True))
            without_store += asyncio.run(by_logmonitor(Path(other), count // ROUNDS, pause, lasts=False))
    return samples


def main() -> None:
    """Measure all of them and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--only-ours", action="store_true", help="leave out everybody else")
    arguments = parser.parse_args()
    lines = arguments.lines
    result: dict[str, object] = {"load": round(os.getloadavg()[0], 1)}
    result |= {label: figures(samples) for label, samples in by_logmonitor_in_turn(lines, 0.02).items()}
    peers: dict[str, tuple[Callable[[Path, int, float], list[float]], int, float]] = {
        "tail -F | grep --line-buffered": (by_tail, lines, 0.02),
        "poll every 2 s": (by_poll, 100, 0.2),
    }
    for label, (measure, count, pause) in peers.items() if not arguments.only_ours else ():
        with tempfile.TemporaryDirectory() as name:
            result[label] = figures(measure(Path(name), count, pause))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
