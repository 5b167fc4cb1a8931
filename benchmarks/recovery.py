"""Measure how long after its start a killed logmonitor tells a loss: `python benchmarks/recovery.py [--runs 5]`.

`logmonitor run` follows a log and is ended by SIGKILL while that is written. Then comes what each case says, and it is
started again: `told_ms` is from the start of the process until the peer of its chat has read of the loss, with the
interpreter's start and all imports, which `imports` gives alone; `cpu_ms` is what it has used of the processor by then,
for machines that do other work too. `doubled` counts losses that were told twice. Where nothing is new, it is until a
command is answered. Beside it the same by a loop that looks every 2 s, one from the end
of the log on, as many bots do, and one that keeps how far it has read. All in turn, medians of all runs. Prints JSON.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from idle import cpu_seconds

from logmonitor.storage.survey import read_survey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CONFIGURATION: Final = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["admin"]
[[watch]]
name = "bob"
log = "bob.log"
profile = "wechaty-ts"
[[operation]]
use = "qr_rescue"
"""
IMPORTS: Final = "import logmonitor.cli.run, logmonitor.transports.stdio, operations.qr_rescue"
POLL: Final = """
import os, sys, time
path, offset = sys.argv[1], int(sys.argv[2])
if offset < 0:
    offset = os.path.getsize(path)
while True:
    if os.path.getsize(path) < offset:
        offset = 0
    with open(path, "rb") as log:
        log.seek(offset)
        for line in log:
            if b" logout" in line:
                print("lost", flush=True)
        offset = log.tell()
    time.sleep(2)
"""
Sample: TypeAlias = tuple[float, float]
"""Milliseconds by the clock, and of the processor."""

ADMIN: Final = {"id": "admin", "name": "Ann"}
LOST: Final = "bob has been logged out"
HISTORY_BYTES: Final = 4_000_000
DEADLINE_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 5.0
"""For how long a poll is waited for: it has looked twice by then."""


def write(log: Path, text: str) -> None:
    """Append a line as a Wechaty bot does."""
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%H:%M:%S')} INFO StarterBot {text}\n")


def chatter(log: Path, size_bytes: int) -> None:
    """Append lines of 60 to 160 bytes that say nothing of a session."""
    stamp = time.strftime("%H:%M:%S")
    lines = (f"{stamp} VERB StarterBot Message#Text[Contact<Carol>] {'the quick brown fox ' * n}\n" for n in range(6))
    block = "".join(lines).encode()
    with log.open("ab") as file:
        for _ in range(size_bytes // len(block) // 100):
            file.write(block * 100)


def rotated(log: Path, *, packed: bool) -> None:
    """Lose the session, then rotate the log and go on in a new one."""
    write(log, "Contact<Bob> logout")
    older = log.rename(log.with_name("bob.log.1"))
    if packed:
        log.with_name("bob.log.1.gz").write_bytes(gzip.compress(older.read_bytes()))
        older.unlink()
    chatter(log, 10_000)


def lost_after(log: Path, size_bytes: int) -> None:
    """Lose the session after so much else."""
    chatter(log, size_bytes)
    write(log, "Contact<Bob> logout")


CASES: Final[dict[str, Callable[[Path], None]]] = {
    "nothing new": lambda _log: None,
    "a loss": lambda log: lost_after(log, 0),
    "10 MB, then a loss": lambda log: lost_after(log, 10_000_000),
    "100 MB, then a loss": lambda log: lost_after(log, 100_000_000),
    "a loss, then a rotation": lambda log: rotated(log, packed=False),
    "a loss, then a rotation with gzip": lambda log: rotated(log, packed=True),
}


class Chat:
    """`logmonitor run`, and the peer that holds its chat."""

    def __init__(self, config: Path) -> None:
        """Start it."""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "logmonitor", "run", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.tell(type="contacts", contacts=[ADMIN])
        self.tell(type="up")
        self.losses = 0
        self._last_resort = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        self._last_resort.start()

    def tell(self, **frame: object) -> None:
        """Write a frame."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(frame).encode() + b"\n")
        self.process.stdin.flush()

    def until(self, said: str) -> Sample:
        """Wait until a text holds that; return how long after the start it was read, and what that took."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            read = time.monotonic()
            frame: dict[str, Any] = json.loads(line)
            if frame["type"] == "send":
                self.tell(type="accepted", id=frame["id"])
                text = frame.get("text") or ""
                self.losses += LOST in text
                if said in text:
                    return (read - self.started) * 1000, cpu_seconds(self.process.pid) * 1000
        raise SystemExit("logmonitor has ended")

    def until_answer(self) -> Sample:
        """Ask for the status; return how long after the start it was read, and what that took."""
        self.tell(type="message", id=f"{time.monotonic()}", sender=ADMIN, conversation=ADMIN["id"], text="status")
        return self.until("chat: up")

    def kill(self) -> None:
        """End it."""
        self._last_resort.cancel()
        self.process.kill()
        self.process.communicate()


@contextmanager
def being_written(log: Path) -> Iterator[None]:
    """Write lines meanwhile, some 20 at a time."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(0.005):
            chatter(log, 100_000)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def kill_while_written(config: Path, log: Path) -> None:
    """Let logmonitor follow a log with some history, and end it."""
    write(log, "Contact<Bob> login")
    chatter(log, HISTORY_BYTES)
    chat = Chat(config)
    chat.until_answer()
    while not ((survey := read_survey(config.with_suffix(".db"))) and survey.logs):
        time.sleep(0.05)
    with being_written(log):
        time.sleep(0.5)
        chat.kill()


def recover(config: Path, *, is_lost: bool) -> tuple[Sample, int]:
    """Start it again; return when it told of the loss or, without one, answered, and how many it told too much."""
    chat = Chat(config)
    sample = chat.until(LOST) if is_lost else chat.until_answer()
    chat.until_answer()
    chat.kill()
    return sample, chat.losses - is_lost


def poll(log: Path, offset: int) -> Sample | None:
    """Start the loop; return when it told of the loss, None if it did not."""
    started = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", POLL, str(log), str(offset)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        is_told, _, _ = select.select([process.stdout], [], [], PATIENCE_SECONDS)
        sample = (time.monotonic() - started) * 1000, cpu_seconds(process.pid) * 1000
        process.kill()
    return sample if is_told else None


def alone(code: str) -> Sample:
    """Return how long a Python takes from its start to its end."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", code], check=True)
    elapsed, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return elapsed * 1000, (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def figure(samples: Sequence[Sample | None]) -> dict[str, float] | str:
    """Return the medians, and the longest."""
    known = [sample for sample in samples if sample is not None]
    if len(known) < len(samples):
        return "missed" if not known else f"missed {len(samples) - len(known)} of {len(samples)}"
    elapsed, used = zip(*known, strict=True)
    return {"told_ms": round(median(elapsed)), "longest_ms": round(max(elapsed)), "cpu_ms": round(median(used))}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only-ours", action="store_true", help="leave out the loops")
    parser.add_argument("--cases", nargs="*", choices=CASES, default=tuple(CASES))
    arguments = parser.parse_args()
    imports: list[Sample] = []
    samples: dict[str, dict[str, list[Sample | None]]] = {case: {} for case in arguments.cases}
    doubled = dict.fromkeys(arguments.cases, 0)
    for case in arguments.cases * arguments.runs:
        taken = samples[case]
        with tempfile.TemporaryDirectory(prefix="recovery-") as name:
            config, log = Path(name, "alice.toml"), Path(name, "bob.log")
            config.write_text(CONFIGURATION, encoding="utf-8")
            kill_while_written(config, log)
            imports.append(alone(IMPORTS))
            size_bytes = log.stat().st_size
            CASES[case](log)
            is_lost = case != "nothing new"
            if is_lost and not arguments.only_ours:
                taken.setdefault("2 s poll from the end", []).append(poll(log, -1))
                taken.setdefault("2 s poll from where it was", []).append(poll(log, size_bytes))
            sample, too_many = recover(config, is_lost=is_lost)
            taken.setdefault("logmonitor", []).append(sample)
            doubled[case] += too_many
    result = {
        "runs": arguments.runs,
        "python": sys.version.partition(" ")[0],
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "imports": figure(imports),
        "doubled": sum(doubled.values()),
        "figures": {case: {who: figure(of) for who, of in taken.items()} for case, taken in samples.items()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
