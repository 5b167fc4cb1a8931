"""Count what followers lose, double or garble while a log is rotated each second under 20,000 lines a second.

    python benchmarks/rotation.py [--seconds 10] [--rate 20000] [--backends events polling tick] [--kinds rename ...]

Every way to rotate that tests/torture/writer.py knows and that destroys nothing, among them *rename* (the writer goes
on for 50 lines into the old inode), *copytruncate* (copy, truncate, go on) and *regrow* (after the truncation one write
makes the file longer than before; at a quarter of the rate, because the file grows each time). Lines are of uneven
length, and all of a line follows from its number, so that a torn one is seen. Beside ours: `tail -F`, fail2ban's
inotify filter, and a reader that polls every 2 s. fail2ban is left out unless `--fail2ban` names a Python that has it
(on Debian: `apt install fail2ban`, `--fail2ban /usr/bin/python3`). Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.follower import Backend, Follower, Start
from logmonitor.lines import split
from logmonitor.records import Chunk

sys.path.insert(0, str(Path(__file__).parent.parent))
from tests.torture.numbered import Score, line, score
from tests.torture.writer import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["SCENARIOS", "Score", "follow"]

SCENARIOS: Final = ("rename", "copytruncate", "regrow")
_ROOT: Final = Path(__file__).parent.parent
_KINDS: Final = tuple(kind.value for kind in Kind if kind is not Kind.TRUNCATE)
_PATIENCE: Final = 8.0
_POLL: Final = 2.0


def start_writer(path: Path, scenario: str, *, seconds: float, rate: int, every: float = 1.0) -> subprocess.Popen[str]:
    """Start a process that writes; the last word of its output is how many lines it wrote."""
    argv = [sys.executable, "-m", "tests.torture.writer", scenario, os.fspath(path)]
    argv += ["--seconds", str(seconds), "--rate", str(rate), "--every", str(every)]
    return subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def _written(writer: subprocess.Popen[str]) -> int:
    """Wait for a writer; return how many lines it wrote."""
    return int(writer.communicate()[0].split()[-1])


async def follow(path: Path, scenario: str, *, backend: str, seconds: float, rate: int, every: float = 1.0) -> Score:
    """Follow a log while it is written and rotated."""
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
        written = await asyncio.get_running_loop().run_in_executor(None, _written, writer)
        last = line(written - 1)[:-1]
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                while len(lines) < written or lines[-1] != last:
                    grown.clear()
                    await grown.wait()
        collecting.cancel()
    return score(lines, written=written)


def _prepare(path: Path, scenario: str) -> None:
    """Have a log there that is empty: a link where it will be one, as some give up a file that becomes a link."""
    if scenario == Kind.SYMLINK:
        path.symlink_to("first.log")
    path.touch()


def follow_by_tail(path: Path, scenario: str, *, seconds: float, rate: int) -> Score:
    """Let `tail -F` follow."""
    with tempfile.TemporaryFile() as output:
        _prepare(path, scenario)
        tail = subprocess.Popen(["tail", "-n", "+1", "-F", path], stdout=output, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        written = _written(start_writer(path, scenario, seconds=seconds, rate=rate))
        time.sleep(2.0)
        tail.terminate()
        tail.wait()
        output.seek(0)
        return score((raw.rstrip(b"\n") for raw in output), written=written)


def follow_by_fail2ban(path: Path, scenario: str, *, seconds: float, rate: int, python: str) -> Score:
    """Let fail2ban's inotify filter follow."""
    with tempfile.TemporaryFile() as output:
        _prepare(path, scenario)
        script = Path(__file__).with_name("fail2ban_lines.py")
        ban = subprocess.Popen([python, script, path], stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE)
        assert ban.stderr is not None
        assert any(said == b"following\n" for said in ban.stderr), "fail2ban cannot be started"
        written = _written(start_writer(path, scenario, seconds=seconds, rate=rate))
        time.sleep(5.0)
        ban.communicate()
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
    return score(lines, written=_written(writer))


def _has_fail2ban(python: str | None) -> bool:
    """Tell whether that Python has fail2ban, and say so where it has not."""
    if python is None:
        print("fail2ban is left out: name a Python that has it with --fail2ban", file=sys.stderr)
        return False
    argv = [python, "-c", "import fail2ban.server.filterpyinotify"]
    if subprocess.run(argv, check=False, stderr=subprocess.DEVNULL).returncode:
        print(f"fail2ban is left out: {python} lacks it, or pyinotify", file=sys.stderr)
        return False
    return True


def main() -> None:
    """Run every scenario under every follower."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each scenario lasts")
    parser.add_argument("--rate", type=int, default=20_000, help="lines a second")
    parser.add_argument("--kinds", nargs="*", choices=_KINDS, default=_KINDS, help="ways to rotate (default: all)")
    parser.add_argument("--backends", nargs="*", default=["events", "polling", "tick"])
    parser.add_argument("--only-ours", action="store_true", help="leave out everybody else")
    parser.add_argument("--fail2ban", metavar="PYTHON", help="a Python that has fail2ban and pyinotify")
    arguments = parser.parse_args()
    others: dict[str, Callable[..., Score]] = {}
    if not arguments.only_ours:
        others = {"tail -F": follow_by_tail, "2 s poll": follow_by_poll}
        if _has_fail2ban(arguments.fail2ban):
            others["fail2ban inotify"] = partial(follow_by_fail2ban, python=arguments.fail2ban)
    figures: dict[str, dict[str, dict[str, int]]] = {}
    for kind in arguments.kinds:
        of_kind = figures[kind] = {}
        pace = {"seconds": arguments.seconds, "rate": arguments.rate if kind != "regrow" else arguments.rate // 4}
        for backend in arguments.backends:
            with tempfile.TemporaryDirectory() as directory:
                path = Path(directory, "x.log")
                of_kind[f"logmonitor ({backend})"] = asdict(asyncio.run(follow(path, kind, backend=backend, **pace)))
        for name, other in others.items():
            with tempfile.TemporaryDirectory() as directory:
                of_kind[name] = asdict(other(Path(directory, "x.log"), kind, **pace))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
