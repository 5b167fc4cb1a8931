"""100 bots and 10 million lines: what the program holds does not grow. A tenth of the bots within the test suite."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import pytest

from tests.torture.crowd import Sample, log_of
from tests.torture.extent import IS_FULL
from tests.torture.scene import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BOTS: Final = 100 if IS_FULL else 10
BLOCK_LINES: Final = 1000 if IS_FULL else 200
ROUNDS: Final = 100 if IS_FULL else 15
WARM_UP: Final = 20 if IS_FULL else 0
ROTATED_EVERY: Final = 5
LOST_EVERY: Final = 10
TIMERS: Final = 2 * BOTS  # whoever waits for something waits for a time besides
GROWTH: Final = 1.1
DEADLINE: Final = 120.0
_PAUSE: Final = 0.05


class Crowd:
    """The program with all its bots, and their logs."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        """Write the logs that `process` follows."""
        self._folder = folder
        self._process = process
        self.written = 0

    def sample(self) -> Sample:
        """Ask the program what it holds."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Sample(**json.loads(self._process.stdout.readline()))

    def wait_until(self, is_so: Callable[[Sample], bool]) -> Sample:
        """Wait until the program holds what is expected."""
        ends_at = time.monotonic() + DEADLINE
        while not is_so(sample := self.sample()):
            assert time.monotonic() < ends_at, (self.written, sample)
            time.sleep(_PAUSE)
        return sample

    def rest(self) -> Sample:
        """Wait until every rotated file has been let go."""
        return self.wait_until(lambda sample: sample.open_logs == BOTS)

    def write(self, number: int) -> None:
        """Write one block to each log; some bots are lost in it and come back, and some logs are rotated before."""
        for bot in range(BOTS):
            log = log_of(self._folder, bot)
            if number % ROTATED_EVERY == bot % ROTATED_EVERY and number:
                log.rename(f"{log}.1")
            block = _block(bot, number, is_lost=number % LOST_EVERY == bot % LOST_EVERY)
            with log.open("ab") as file:
                file.write(block)
            self.written += block.count(b"\n")


def _block(bot: int, number: int, *, is_lost: bool) -> bytes:
    """Make the lines that a bot writes in one round."""
    stamp = time.strftime("%H:%M:%S")
    lines = [f"{stamp} INFO StarterBot Message#Text[Contact<Ann>] line {index}" for index in range(BLOCK_LINES)]
    lines[0] = f"{stamp} ERR StarterBot onError: Error: request {number} of bot {bot} timed out"
    if is_lost:
        url = f"https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{bot}-{number}%3D%3D"
        lines[1] = f"{stamp} INFO StarterBot Contact<Bob> logout"
        lines[2] = f"{stamp} INFO StarterBot onScan: Waiting(2) - {url}"
        lines[-1] = f"{stamp} INFO StarterBot Contact<Bob> login"
    return ("\n".join(lines) + "\n").encode()


@contextmanager
def crowd(folder: Path) -> Iterator[Crowd]:
    """Start the program; end it on the way out."""
    log_of(folder, 0).parent.mkdir()
    for bot in range(BOTS):
        log_of(folder, bot).touch()
    argv = [sys.executable, "-m", "tests.torture.crowd", os.fspath(folder), str(BOTS)]
    process = subprocess.Popen(argv, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Crowd(folder, process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(DEADLINE) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@pytest.mark.timeout(3600 if IS_FULL else 240)
def test_program_holds_no_more_after_many_lines_than_after_few(tmp_path: Path) -> None:
    """Each line is handed out once; memory stays flat, and no task, thread or descriptor is left behind."""
    with crowd(tmp_path) as here:
        here.wait_until(lambda sample: sample.open_logs == BOTS)
        first: Sample | None = None
        sizes: list[int] = []
        for number in range(ROUNDS):
            here.write(number)
            sample = here.wait_until(lambda sample: sample.lines >= here.written)
            if number == WARM_UP:
                first = here.rest()
            if first is not None:
                sizes.append(sample.resident_bytes)
        last = here.rest()
    assert first is not None
    assert last.lines == here.written
    assert last.sent > first.sent
    assert last.open_logs == BOTS
    assert last.descriptors <= first.descriptors
    assert last.threads <= first.threads
    assert last.tasks <= first.tasks + TIMERS
    if IS_FULL:
        assert max(sizes) <= GROWTH * min(sizes), sizes
