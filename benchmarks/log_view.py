"""Measure how fast an admin sees a large log from the chat, beside tail, grep and awk.

    python benchmarks/log_view.py [--megabytes 1000] [--runs 5]

Writes a log of a wechaty-ts bot into a temporary folder and asks for its end, for what matches in it, and for the last
ten minutes, by the port that operations use and by the tools of a shell in turn. Times are of whole processes, start-up
included, medians of all runs; the log is in the page cache. `call` is the port alone, in a program that runs already.
Then a log's last 8 MiB are made ready to be sent, while it is measured how long the event loop is kept from other work.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from throughput import time_process, write_log

from logmonitor import Attachment, LastLines, LinesSince, LogClock, MatchingLines, log_file
from logmonitor.host import LocalHost
from logmonitor.parcel import packed
from logmonitor.transport import Limits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor import LogSlice, Selection

LIMIT_BYTES: Final = 8 << 20
FREQUENT: Final = "INFO"
RARE: Final = "onError: Error: request 9[0-9]* timed out"
CLOCK: Final = LogClock(prefix=r"(?P<time>\d{2}:\d{2}:\d{2}) ", time_format="%H:%M:%S")
TICK_SECONDS: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The medians of several runs: of a whole process, and for ours of the call alone."""

    seconds: float
    peak_mb: float
    call: float | None = None
    lines: int | None = None


def main() -> None:
    """Measure and print, or read once as the measured process does."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the log (default: 1000)")
    parser.add_argument("--runs", type=int, default=5, help="how often each command runs (default: 5)")
    parser.add_argument("--read", nargs=2, metavar=("WHAT", "LOG"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read(arguments.read[0], Path(arguments.read[1]))))
        return
    with tempfile.TemporaryDirectory(prefix="log-view-") as folder:
        log = Path(folder) / "bot.log"
        lines, _ = write_log(log, arguments.megabytes * 1_000_000)
        figures = measure(commands(log), runs=arguments.runs)
        sending = asyncio.run(prepare(log))
    result = {
        "megabytes": arguments.megabytes,
        "lines": lines,
        "runs": arguments.runs,
        "python": sys.version.partition(" ")[0],
        "cores": os.cpu_count(),
        "figures": {name: asdict(figure) for name, figure in figures.items()},
        "sending": sending,
    }
    print(json.dumps(result, indent=2))


def selections() -> dict[str, Selection]:
    """Return what is asked for."""
    return {
        "whole": LastLines(),
        "last": LastLines(count=50),
        "frequent": MatchingLines(pattern=FREQUENT, count=50),
        "rare": MatchingLines(pattern=RARE, count=50),
        "since": LinesSince(since=datetime.now(UTC) - timedelta(minutes=10), clock=CLOCK),
    }


def read(what: str, log: Path) -> dict[str, object]:
    """Read once, and tell how long the call took."""
    began = time.perf_counter()
    found: LogSlice = asyncio.run(LocalHost().read_log(log, selections()[what], limit_bytes=LIMIT_BYTES))
    return {"call": time.perf_counter() - began, "lines": found.lines}


def commands(log: Path) -> dict[str, Sequence[str]]:
    """Return what is measured."""
    since = (last_stamp(log) - timedelta(minutes=10)).strftime("%H:%M:%S")
    shell = {
        "tail": f"tail -n 50 {log}",
        "grep_frequent": f"grep -E '{FREQUENT}' {log} | tail -n 50",
        "grep_rare": f"grep -E '{RARE}' {log} | tail -n 50",
        "awk_since": f"awk '$1 >= \"{since}\"' {log} | tail -n 100000",
    }
    ours = {what: [sys.executable, __file__, "--read", what, str(log)] for what in selections()}
    return {**{name: ["sh", "-c", script] for name, script in shell.items()}, **ours}


def last_stamp(log: Path) -> datetime:
    """Return the time of day of a log's last line."""
    with log.open("rb") as file:
        file.seek(-1000, os.SEEK_END)
        return datetime.strptime(file.read().splitlines()[-1][:8].decode(), "%H:%M:%S").replace(tzinfo=UTC)


def measure(measured: dict[str, Sequence[str]], *, runs: int) -> dict[str, Figure]:
    """Run the commands in turn, so that what slows the machine down slows them all."""
    taken: dict[str, list[tuple[float, float, float | None, int | None]]] = {name: [] for name in measured}
    for _ in range(runs + 1):
        for name, argv in measured.items():
            run = time_process(argv, {"LC_ALL": "C"})
            assert run.code == 0, run.output
            told: dict[str, float] = {}
            with suppress(ValueError):
                told = json.loads(run.output)
            lines = int(told["lines"]) if told else None
            taken[name].append((run.seconds, run.peak_mb, told.get("call"), lines))
    return {
        name: Figure(
            seconds=round(median(seconds for seconds, _, _, _ in every[1:]), 3),
            peak_mb=round(max(peak for _, peak, _, _ in every[1:]), 1),
            call=round(median(call for _, _, call, _ in every[1:] if call is not None), 3) if every[0][2] else None,
            lines=every[0][3],
        )
        for name, every in taken.items()
    }


async def prepare(log: Path) -> dict[str, float]:
    """Make the end of a log ready to be sent in a thread; tell how long that took, and the loop's worst delay."""
    found = await LocalHost().read_log(log, LastLines(), limit_bytes=LIMIT_BYTES)
    worst = 0.0

    async def tick() -> None:
        nonlocal worst
        while True:
            began = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            worst = max(worst, time.perf_counter() - began - TICK_SECONDS)

    ticking = asyncio.create_task(tick())
    began = time.perf_counter()
    data = await asyncio.to_thread(log_file, found.data)
    without_codes = time.perf_counter()
    file = Attachment(filename="bot.log.txt", content_type="text/plain", data=data)
    parcel = await asyncio.to_thread(packed, file, Limits(), secrets=("a secret of the configuration",))
    ended = time.perf_counter()
    ticking.cancel()
    assert isinstance(parcel.content, Attachment)
    return {
        "megabytes": round(len(found.data) / 1e6, 1),
        "packed_megabytes": round(len(parcel.content.data) / 1e6, 2),
        "codes_seconds": round(without_codes - began, 2),
        "secrets_and_packing_seconds": round(ended - without_codes, 2),
        "worst_delay_of_the_loop_ms": round(worst * 1000, 1),
    }


if __name__ == "__main__":
    main()
