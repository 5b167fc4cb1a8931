"""What an alert storm costs: 100,000 matching lines by `log_alert`, by sending each, and by counting as fail2ban does.

One command: `python benchmarks/log_alert.py`; JSON on stdout. The lines are there within a moment, in a log that the
whole runtime follows into a transport that takes every message at once. Each way runs in its own process: processor
time and memory are that process's. `told` counts the lines that a message holds or counts. fail2ban's way, a regular
expression for each line and a list of times for each address, is the least that counting takes; it tells nobody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, deque
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from logmonitor import Content, Context, LogBatch, Operation, OperationConfig, Receipt
from logmonitor.config import load
from logmonitor.runtime import serve
from logmonitor.testing import MemoryTransport
from operations.log_alert import log_alert

CONFIGURATION = (
    '[bot]\nname = "alice"\n[chat]\ntransport = "console"\nadmins = ["AdminWeixin"]\n'
    '[[watch]]\nname = "bob"\nlog = "bob.log"\nprofile = "wechaty-ts"\n'
)
LINE = "12:00:{second:02} ERR Gateway: connect ECONNREFUSED 10.0.{number}.7:8788, try {index}\n"
DISTINCT = "12:00:{second:02} ERR {word} of StarterBot failed, try {index}\n"
MATCH = " ERR "
PERIOD = 2.0
WORD = str.maketrans("0123456789", "ghijklmnop")
WAYS = ("log_alert", "log_alert, every line of another kind", "send each", "count as fail2ban does")


def lines(count: int, form: str) -> str:
    """Return the lines of a storm."""
    return "".join(
        form.format(second=index // 2000 % 60, number=index % 256, index=index, word=str(index).translate(WORD))
        for index in range(count)
    )


def send_each(config: OperationConfig) -> Operation:
    """Send every line that matches."""

    async def on_batch(context: Context, batch: LogBatch) -> None:
        for line in batch.lines:
            await context.send(f"{batch.watch}: {line.text}")

    return Operation(name="send_each", config=config, patterns=(MATCH,), on_batch=on_batch)


async def by_runtime(folder: Path, count: int, operation: Operation, *, form: str) -> dict[str, object]:
    """Measure the whole runtime with an operation, until it has told of every line or says that it dropped some."""
    log = folder / "bob.log"
    log.touch()
    (folder / "alice.toml").write_text(CONFIGURATION, encoding="utf-8")
    messages, told, seen, dropped, done = 0, 0, 0, 0, asyncio.Event()
    digest = re.compile(r"\Abob: ×(\d+) ")

    class Sink(MemoryTransport):
        async def send(self, to: str, content: Content, /) -> Receipt:
            nonlocal messages, told
            messages += 1
            found = digest.match(str(content))
            told += int(found[1]) if found else 1
            if told == count:
                done.set()
            return Receipt(message_id=to, accepted_at=datetime.now(UTC))

    async def on_batch(context: Context, batch: LogBatch) -> None:
        nonlocal seen, dropped
        assert operation.on_batch is not None
        await operation.on_batch(context, batch)
        seen += len(batch.lines)
        dropped = context.delivery().dropped
        if seen == count and dropped:
            done.set()

    stop = asyncio.Event()
    data = lines(count, form)
    async with asyncio.TaskGroup() as tasks:
        watched = replace(operation, on_batch=on_batch)
        tasks.create_task(serve(load(folder / "alice.toml"), transport=Sink(), operations=(watched,), stop=stop))
        await asyncio.sleep(1)
        before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
        log.write_text(data, encoding="utf-8")
        await done.wait()
        seconds = time.monotonic() - began
        after = resource.getrusage(resource.RUSAGE_SELF)
        stop.set()
    return {
        "told": told,
        "messages": messages,
        "messages_dropped": dropped,
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "seconds": round(seconds, 2),
        "memory_added_mb": round((after.ru_maxrss - before.ru_maxrss) / 1024, 1),
    }


def by_counting(folder: Path, count: int) -> dict[str, object]:
    """Measure a loop that keeps the times of each address, as fail2ban does before it bans."""
    log = folder / "bob.log"
    log.write_text(lines(count, LINE), encoding="utf-8")
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    pattern = re.compile(r"^\d\d:\d\d:\d\d ERR .*ECONNREFUSED (?P<host>[\d.]+):\d+")
    times: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=1000))
    counted = 0
    with log.open(encoding="utf-8") as file:
        for line in file:
            if found := pattern.search(line):
                times[found["host"]].append(time.time())
                counted += 1
    after = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "counted": counted,
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "seconds": round(time.monotonic() - began, 2),
        "memory_added_mb": round((after.ru_maxrss - before.ru_maxrss) / 1024, 1),
    }


def measure(way: str, count: int) -> dict[str, object]:
    """Measure one way, in this process."""
    with tempfile.TemporaryDirectory() as name:
        folder, config = Path(name), OperationConfig(watch="bob")
        if way == WAYS[3]:
            return by_counting(folder, count)
        operation = send_each(config) if way == WAYS[2] else log_alert(config, match=MATCH, period=PERIOD)
        return asyncio.run(by_runtime(folder, count, operation, form=DISTINCT if way == WAYS[1] else LINE))


def main() -> None:
    """Measure each way in a process of its own and print their figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--way", choices=WAYS)
    arguments = parser.parse_args()
    if arguments.way is not None:
        print(json.dumps(measure(arguments.way, arguments.lines)))
        return
    result = {
        way: json.loads(
            subprocess.run(
                [sys.executable, __file__, "--lines", str(arguments.lines), "--way", way],
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        )
        for way in WAYS
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
