"""Measure what following many quiet logs costs: seconds of CPU a minute, memory, and what is written to disk.

    python benchmarks/idle.py [--files 1000] [--directories 1] [--seconds 30] [--backends events polling tick]

Each backend is measured in a process of its own, from when all files have been opened; then the whole program, from
when its store has a place in each of them; beside it `tail -F` on the same files. `memory_mb` is the process's resident
memory, the interpreter included. Prints JSON.
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
from pathlib import Path
from typing import Final

from logmonitor.storage.survey import read_survey

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_SETTLE: Final = 3.0
_CONFIGURATION: Final = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["admin"]
[[watch]]
name = "bob"
log = {logs}
profile = "wechaty-ts"
[[operation]]
use = "qr_rescue"
"""


def make_logs(directory: Path, *, files: int, directories: int) -> list[str]:
    """Make logs of a few lines each, spread over directories."""
    paths = [directory / f"bots{number % directories}" / f"bot{number:05}.log" for number in range(files)]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"12:00:00 INFO a line\n" * 20)
    return [os.fspath(path) for path in paths]


def cpu_seconds(process: int) -> float:
    """Read how much CPU a process has used, user and system."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_mb(process: int) -> float:
    """Read a process's resident memory."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def written_kb(process: int) -> int:
    """Read how much a process has had written to disk."""
    rows = Path(f"/proc/{process}/io").read_text(encoding="ascii").splitlines()
    return int(dict(row.split(": ") for row in rows)["write_bytes"]) // 1024


def measure(process: int, *, seconds: float) -> dict[str, float]:
    """Watch a process that has nothing to do."""
    time.sleep(_SETTLE)
    before, written, began_at = cpu_seconds(process), written_kb(process), time.monotonic()
    time.sleep(seconds)
    used = cpu_seconds(process) - before
    elapsed = time.monotonic() - began_at
    return {
        "cpu_s_per_minute": round(used * 60 / elapsed, 3),
        "percent_of_a_core": round(used * 100 / elapsed, 3),
        "memory_mb": round(memory_mb(process), 1),
        "written_kb": written_kb(process) - written,
    }


async def follow(paths: list[str], backend: str) -> None:
    """Follow quiet logs until this process is ended."""
    from logmonitor.follower import Backend, Follower  # noqa: PLC0415 - only in the process that is measured

    async with Follower(*paths, backend=Backend(backend)) as follower:
        left = len(paths)
        async for _ in follower:
            left -= 1
            if not left:
                print("all open", flush=True)


def measure_ours(paths: list[str], backend: str, *, seconds: float) -> dict[str, float]:
    """Measure a follower in its own process."""
    argv = [sys.executable, __file__, "--follow", backend]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n".join(paths))
        process.stdin.close()
        assert process.stdout.readline() == "all open\n"
        figures = measure(process.pid, seconds=seconds)
        process.terminate()
    return figures


def measure_program(directory: Path, files: int, *, seconds: float) -> dict[str, float]:
    """Measure `logmonitor run`, whose peer says nothing."""
    config = directory / "alice.toml"
    globs = [f"{folder.name}/bot*.log" for folder in sorted(directory.glob("bots*"))]
    config.write_text(_CONFIGURATION.format(logs=json.dumps(globs)), encoding="utf-8")
    argv = [sys.executable, "-m", "logmonitor", "run", os.fspath(config)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not ((survey := read_survey(config.with_suffix(".db"))) and sum(survey.logs.values()) == files):
            assert process.poll() is None, "logmonitor has ended"
            time.sleep(0.1)
        figures = measure(process.pid, seconds=seconds)
        process.terminate()
    return figures


def measure_tail(paths: list[str], *, seconds: float) -> dict[str, float]:
    """Measure `tail -F`."""
    with subprocess.Popen(["tail", "-n", "0", "-F", *paths], stdout=subprocess.DEVNULL) as process:
        figures = measure(process.pid, seconds=seconds)
        process.terminate()
    return figures


def main() -> None:
    """Measure every backend, or be what is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--directories", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each is watched")
    parser.add_argument("--backends", nargs="*", default=["events", "polling", "tick"])
    parser.add_argument("--follow", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.follow:
        asyncio.run(follow(sys.stdin.read().split("\n"), arguments.follow))
        return
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as directory:
        paths = make_logs(Path(directory), files=arguments.files, directories=arguments.directories)
        for backend in arguments.backends:
            figures[f"logmonitor ({backend})"] = measure_ours(paths, backend, seconds=arguments.seconds)
        figures["logmonitor run, with its store"] = measure_program(
            Path(directory), arguments.files, seconds=arguments.seconds
        )
        figures["tail -F"] = measure_tail(paths, seconds=arguments.seconds)
    print(json.dumps({"files": arguments.files, "directories": arguments.directories, "figures": figures}, indent=2))


if __name__ == "__main__":
    main()
