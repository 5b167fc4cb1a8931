"""Measure how fast a large log is read, start-up included, beside grep: `python benchmarks/throughput.py`.

Writes a log of a wechaty-ts bot into a temporary folder, counts its matching lines with `logmonitor follow` and with
`grep` in turn, replays it, and prints one JSON object. Times are of whole processes, medians of all runs; the log is in
the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

PATTERNS: Final = (
    r"onScan: Waiting\(2\) - https?://",
    r"onScan: Scanned\(3\)",
    r"onScan: Timeout\(5\)",
    r"Contact<[^>]+> login$",
    r"Contact<[^>]+> logout$",
    r"ERR [A-Za-z]+ onError: ",
    r"getUpdates: token for .* is stale",
    r"session expired \(errcode=-?[0-9]+",
    r"panic|unhandledRejection",
    r"start login with type: QrLogin",
)
MATCHING: Final = (
    "INFO StarterBot onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FQ{}%3D%3D",
    "INFO StarterBot onScan: Scanned(3)",
    "INFO StarterBot Contact<Bob> login",
    "INFO StarterBot Contact<Bob> logout",
    "ERR StarterBot onError: Error: request {} timed out",
)
LEVELS: Final = ("INFO", "VERB", "SILL")
NAMES: Final = ("Alice", "Carol", "Dave", "Erin", "王小明", "李雷")
WORDS: Final = (
    *("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "while", "room", "member"),
    *("sends", "message", "to", "contact", "and", "bot", "answers", "later", "您好", "世界"),
)
MATCHING_SHARE: Final = 0.001
WITHOUT_HYPERSCAN: Final = (
    "import sys; sys.modules['hyperscan'] = None; from logmonitor.cli import main; sys.exit(main(sys.argv[1:]))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process: how long it took, the most memory it had, and what it wrote."""

    seconds: float
    peak_mb: float
    code: int
    output: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The medians of several runs of one command."""

    seconds: float
    mb_per_second: float
    peak_mb: float
    matching: int | None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=500, help="size of the log (default: 500)")
    parser.add_argument("--runs", type=int, default=5, help="how often each command runs (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="throughput-") as folder:
        log = Path(folder) / "bot.log"
        lines, matching = write_log(log, arguments.megabytes * 1_000_000)
        figures = measure(commands(log), runs=arguments.runs, size_bytes=log.stat().st_size)
    follow, grep = figures["follow"], figures["grep"]
    replay = figures.get("replay")
    result = {
        "megabytes": arguments.megabytes,
        "lines": lines,
        "matching": matching,
        "patterns": len(PATTERNS),
        "runs": arguments.runs,
        "python": sys.version.partition(" ")[0],
        "cores": os.cpu_count(),
        "figures": {name: asdict(figure) for name, figure in figures.items()},
        "follow_to_grep": round(follow.seconds / grep.seconds, 2),
        "re2_to_grep": round(figures["follow_re2"].seconds / grep.seconds, 2),
        "replay_to_follow": round(replay.seconds / follow.seconds, 2) if replay else None,
        "goals": {
            "follow_faster_than_grep": follow.seconds < grep.seconds,
            "follow_below_100_mb": follow.peak_mb < 100,  # noqa: PLR2004 - the goal
            "replay_within_1.5_of_follow": replay.seconds <= 1.5 * follow.seconds if replay else None,
        },
    }
    print(json.dumps(result, indent=2))


def write_log(path: Path, size_bytes: int) -> tuple[int, int]:
    """Write lines of about 140 bytes, the same at each call; return how many there are and how many match."""
    chance = random.Random(20)  # noqa: S311 - the same log each time, not a secret
    lines = matching = written = 0
    with path.open("wb") as file:
        while written < size_bytes:
            stamp = f"{lines // 36000 % 24:02}:{lines // 600 % 60:02}:{lines // 10 % 60:02}"
            if chance.random() < MATCHING_SHARE:
                text = chance.choice(MATCHING).format(lines)
                matching += 1
            else:
                said = " ".join(chance.choices(WORDS, k=15))
                text = f"{chance.choice(LEVELS)} StarterBot Message#Text[Contact<{chance.choice(NAMES)}>] {said}"
            lines += 1
            written += file.write(f"{stamp} {text}\n".encode())
    return lines, matching


def commands(log: Path) -> dict[str, tuple[Sequence[str], dict[str, str]]]:
    """Return what is measured: argv and what is added to the environment."""
    matches = [word for pattern in PATTERNS for word in ("--match", pattern)]
    follow = ["follow", "--from", "start", "--once", "--count", *matches, str(log)]
    logmonitor = [sys.executable, "-m", "logmonitor"]
    grep = shutil.which("grep")
    assert grep, "grep is not installed"
    measured: dict[str, tuple[Sequence[str], dict[str, str]]] = {
        "grep": ([grep, "-cE", *(word for pattern in PATTERNS for word in ("-e", pattern)), str(log)], {"LC_ALL": "C"}),
        "follow": ([*logmonitor, *follow], {}),
        "follow_re2": ([sys.executable, "-c", WITHOUT_HYPERSCAN, *follow], {}),
    }
    if find_spec("logmonitor.cli.replay"):
        measured["replay"] = ([*logmonitor, "replay", str(log), "--profile", "wechaty-ts", "--json"], {})
    return measured


def measure(
    measured: dict[str, tuple[Sequence[str], dict[str, str]]], *, runs: int, size_bytes: int
) -> dict[str, Figure]:
    """Run the commands in turn, so that what slows the machine down slows them all; leave out what does not work."""
    taken: dict[str, list[Run]] = {name: [] for name in measured}
    for _ in range(runs + 1):
        for name, (argv, environ) in measured.items():
            taken[name].append(time_process(argv, environ))
    figures = {}
    for name, every in taken.items():
        if failed := [run for run in every if run.code]:
            print(f"{name} ended with {failed[0].code} and is left out: {failed[0].output[:500]}", file=sys.stderr)
            continue
        counted = every[1:]
        seconds = median(run.seconds for run in counted)
        figures[name] = Figure(
            seconds=round(seconds, 3),
            mb_per_second=round(size_bytes / 1e6 / seconds),
            peak_mb=round(max(run.peak_mb for run in counted), 1),
            matching=int(counted[0].output) if counted[0].output.strip().isdecimal() else None,
        )
    return figures


def time_process(argv: Sequence[str], environ: dict[str, str]) -> Run:
    """Run a process to its end; its output goes to a file, as it is not to be waited for."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.perf_counter()
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **environ})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        return Run(
            seconds=seconds,
            peak_mb=usage.ru_maxrss / 1000,
            code=process.returncode,
            output=output.read(10_000),
        )


if __name__ == "__main__":
    main()
