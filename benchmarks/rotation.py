"""Count what followers lose, double or garble while a log is rotated each second under 20,000 lines a second.

    python benchmarks/rotation.py [--seconds 10] [--rate 20000] [--backends events polling tick]

Three ways to rotate: *rename* (the writer goes on for 50 lines into the old inode), *copytruncate* (copy, truncate, go
on) and *regrow* (after the truncation one write makes the file longer than before; at a quarter of the rate, because
the file doubles each time). Lines are of uneven length, and
all of a line follows from its number, so that a torn one is seen. Beside ours: `tail -F`, and a reader that polls every
2 s. Prints JSON.
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
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

SCENARIOS: Final = ("rename", "copytruncate", "regrow")
_KEEP: Final = 40
_AFTER_RENAME: Final = 50
_BURST: Final = 20
_PATIENCE: Final = 8.0
_POLL: Final = 2.0


def line(number: int) -> bytes:
    """Make line `number`: of 10 to 149 bytes, mostly near 50, all of which follow from the number."""
    check = zlib.crc32(number.to_bytes(8, "little"))
    length = 20 + check % 60 if number % 10 else check % 140
    return b"%08d %s\n" % (number, (b"%08x" % check * 18)[:length])


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What became of the lines."""

    written: int
    lost: int
    doubled: int
    garbled: int
    misplaced: int


def score(lines: Iterable[bytes], *, written: int) -> Score:
    """Compare lines, without terminators, with those that were written; `misplaced` come after a later one."""
    seen = bytearray(written)
    doubled = garbled = misplaced = latest = 0
    for raw in lines:
        head = raw[:8]
        number = int(head) if head.isdigit() else written
        if number >= written or line(number)[:-1] != raw:
            garbled += 1
        elif seen[number]:
            doubled += 1
        else:
            seen[number] = 1
            misplaced += number < latest
            latest = max(latest, number)
    return Score(written=written, lost=seen.count(0), doubled=doubled, garbled=garbled, misplaced=misplaced)


class _Writer:
    """A program that writes a log and rotates it."""

    def __init__(self, path: Path, *, rate: int) -> None:
        self.path = path
        self.number = 0
        self.lines_in_file = 0
        self._rate = rate
        self._started_at = time.monotonic()
        self._descriptor = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def write(self, count: int, *, at_once: bool = False) -> None:
        """Write lines: one system call each, or one for all."""
        lines = [line(number) for number in range(self.number, self.number + count)]
        for data in [b"".join(lines)] if at_once else lines:
            os.write(self._descriptor, data)
        self.number += count
        self.lines_in_file += count

    def write_until(self, moment: float) -> None:
        """Write at the given rate until `moment`, in seconds since the start."""
        began_at, before = time.monotonic(), self.number
        while (now := time.monotonic()) - self._started_at < moment:
            if (behind := int((now - began_at) * self._rate) - (self.number - before)) > 0:
                self.write(min(behind, _BURST))
            else:
                time.sleep(0.0005)

    def rotate(self, scenario: str) -> None:
        """Rotate as `scenario` says."""
        for index in range(_KEEP, 0, -1):
            source = Path(f"{self.path}.{index}")
            if source.exists():
                source.rename(f"{self.path}.{index + 1}")
        if scenario == "rename":
            self.path.rename(f"{self.path}.1")
            self.write(_AFTER_RENAME)
            os.close(self._descriptor)
            self._descriptor = self._open()
            self.lines_in_file = 0
            return
        before, self.lines_in_file = self.lines_in_file, 0
        shutil.copyfile(self.path, f"{self.path}.1")
        os.ftruncate(self._descriptor, 0)
        if scenario == "regrow":
            self.write(before + 100, at_once=True)


def write(path: Path, scenario: str, *, seconds: float, rate: int, every: float) -> int:
    """Write and rotate a log for a while; return how many lines were written."""
    writer = _Writer(path, rate=rate)
    rotations = round(seconds / every)
    for index in range(1, rotations + 1):
        writer.write_until(index * every)
        if index < rotations:
            writer.rotate(scenario)
    return writer.number


def start_writer(path: Path, scenario: str, *, seconds: float, rate: int, every: float = 1.0) -> subprocess.Popen[str]:
    """Start a process that writes; its output is how many lines it wrote."""
    argv = [sys.executable, __file__, "--write", scenario, os.fspath(path), str(seconds), str(rate), str(every)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


async def follow(path: Path, scenario: str, *, backend: str, seconds: float, rate: int, every: float = 1.0) -> Score:
    """Follow a log while it is written and rotated."""
    from logmonitor.follower import Backend, Follower, Start  # noqa: PLC0415 - the writer does without
    from logmonitor.lines import split  # noqa: PLC0415
    from logmonitor.records import Chunk  # noqa: PLC0415

    lines: list[bytes] = []
    grown = asyncio.Event()
    async with Follower(path, start=Start.BEGINNING, backend=Backend(backend)) as follower:

        async def collect() -> None:
            async for item in follower:
                if isinstance(item, Chunk):
                    lines.extend(entry.raw for entry in split(item))
                    grown.set()

        collecting = asyncio.create_task(collect())
        writer = start_writer(path, scenario, seconds=seconds, rate=rate, every=every)
        output = writer.stdout
        assert output is not None
        written = int(await asyncio.get_running_loop().run_in_executor(None, output.read))
        writer.wait()
        output.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while len(lines) < written:
                    grown.clear()
                    await grown.wait()
        collecting.cancel()
    return score(lines, written=written)


def follow_by_tail(path: Path, scenario: str, *, seconds: float, rate: int) -> Score:
    """Let `tail -F` follow."""
    with tempfile.TemporaryFile() as output:
        path.touch()
        tail = subprocess.Popen(["tail", "-n", "+1", "-F", path], stdout=output, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        writer = start_writer(path, scenario, seconds=seconds, rate=rate)
        written = int(writer.communicate()[0])
        time.sleep(2.0)
        tail.terminate()
        tail.wait()
        output.seek(0)
        return score((raw.rstrip(b"\n") for raw in output), written=written)


def follow_by_poll(path: Path, scenario: str, *, seconds: float, rate: int) -> Score:
    """Read on every 2 s from the offset reached, as a plain poller does."""
    lines: list[bytes] = []
    writer = start_writer(path, scenario, seconds=seconds, rate=rate)
    offset = 0
    ends_at = time.monotonic() + seconds + 2 * _POLL + 1
    while time.monotonic() < ends_at:
        if path.exists():
            with path.open("rb") as log:
                log.seek(offset)
                lines += log.read().splitlines()
                offset = log.tell()
        time.sleep(_POLL)
    return score(lines, written=int(writer.communicate()[0]))


def main() -> None:
    """Run every scenario under every follower, or be the writer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each scenario lasts")
    parser.add_argument("--rate", type=int, default=20_000, help="lines a second")
    parser.add_argument("--backends", nargs="*", default=["events", "polling", "tick"])
    parser.add_argument("--only-ours", action="store_true", help="leave out tail and the poll")
    parser.add_argument("--write", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write:
        scenario, name, seconds, rate, every = arguments.write
        print(write(Path(name), scenario, seconds=float(seconds), rate=int(rate), every=float(every)))
        return
    figures: dict[str, dict[str, dict[str, int]]] = {}
    for scenario in SCENARIOS:
        of_scenario = figures[scenario] = {}
        pace = {"seconds": arguments.seconds, "rate": arguments.rate if scenario != "regrow" else arguments.rate // 4}
        for backend in arguments.backends:
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory, "x.log")
                of_scenario[f"logmonitor ({backend})"] = asdict(
                    asyncio.run(follow(path, scenario, backend=backend, **pace))
                )
        for name, other in {"tail -F": follow_by_tail, "2 s poll": follow_by_poll}.items():
            if not arguments.only_ours:
                with tempfile.TemporaryDirectory() as directory:
                    of_scenario[name] = asdict(other(Path(directory, "x.log"), scenario, **pace))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
