"""A log that is written and rotated, and a follower that is stopped and killed meanwhile, each in a process."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.torture.ledger import Ledger, Remark
from tests.torture.numbered import Tally, line, tally

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from tests.torture.writer import Kind

ROOT: Final = Path(__file__).parent.parent.parent
DEADLINE: Final = 60.0
LOUD: Final = frozenset({"gap", "long_line", "unreadable"})
_PAUSE: Final = 0.02
_GROWN_BYTES: Final = 50_000


class Scene:
    """A writer and a witness of one log in a folder; both are ended on the way out."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        """Set the scene; nothing is started."""
        self.log: Final = folder / "logs" / "x.log"
        self._kind = kind
        self._ledger_path = folder / "ledger.db"
        self._ledger: Ledger | None = None
        self._witness: subprocess.Popen[str] | None = None
        self._writer: subprocess.Popen[str] | None = None
        self._processes = ExitStack()

    def __enter__(self) -> Self:
        """Make the folder of the log."""
        self.log.parent.mkdir(parents=True)
        self._ledger = Ledger(self._ledger_path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process."""
        self._processes.close()
        self.ledger.close()

    @property
    def ledger(self) -> Ledger:
        """What the witness wrote down."""
        assert self._ledger is not None
        return self._ledger

    @property
    def witness_pid(self) -> int:
        """The process that follows."""
        assert self._witness is not None
        return self._witness.pid

    # The follower

    def start_witness(self, *, stop_behind: int = 0) -> None:
        """Follow from where the ledger ends."""
        argv = [sys.executable, "-m", "tests.torture.witness", os.fspath(self.log), os.fspath(self._ledger_path)]
        argv += ["--stop-behind", str(stop_behind)]
        self._witness = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._processes.callback(_end, self._witness)

    def wait_until_followed(self) -> None:
        """Wait until the witness has looked at the log, or at where it will be."""
        assert self._witness is not None
        assert self._witness.stdout is not None
        assert self._witness.stdout.readline() == "following\n"

    def stop_witness(self) -> None:
        """Stop it as SIGSTOP does."""
        os.kill(self.witness_pid, signal.SIGSTOP)
        self.wait_until_stopped()

    def wait_until_stopped(self) -> None:
        """Wait until it has stopped."""
        _, status = os.waitpid(self.witness_pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status), status

    def continue_witness(self) -> None:
        """Let it go on."""
        os.kill(self.witness_pid, signal.SIGCONT)

    def kill_witness(self) -> None:
        """Kill it as nothing that it could prepare for."""
        assert self._witness is not None
        assert self._witness.poll() is None
        self._witness.kill()
        self._witness.wait()

    # The writer

    def start_writer(self, *, seconds: float, rate: int, every: float, keep: int = 40) -> None:
        """Write and rotate."""
        argv = [sys.executable, "-m", "tests.torture.writer", self._kind.value, os.fspath(self.log)]
        argv += ["--seconds", str(seconds), "--rate", str(rate), "--every", str(every), "--keep", str(keep)]
        self._writer = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self._processes.callback(_end, self._writer)

    def wait_for_rotation(self, number: int) -> None:
        """Wait until the log has been rotated so often."""
        while (said := self._said()) != f"rotated {number}":
            assert said.startswith("rotated "), said

    def wait_until_grown(self) -> None:
        """Wait until the file that stands there has lines."""
        assert self.wait_until(lambda: self.log.stat().st_size > _GROWN_BYTES)

    def wait_for_writer(self) -> int:
        """Wait until all is written; return how many lines."""
        while not (said := self._said()).startswith("written "):
            assert said, "the writer has ended"
        return int(said.removeprefix("written "))

    def limit_descriptors(self, count: int | None = None) -> None:
        """Let the witness open nothing that would be beyond `count` descriptors; without it as many as it may."""
        _, hard_limit = resource.prlimit(self.witness_pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.witness_pid, resource.RLIMIT_NOFILE, (count or hard_limit, hard_limit))

    @property
    def is_writing(self) -> bool:
        """Whether the writer is at work."""
        return self._writer is not None and self._writer.poll() is None

    def _said(self) -> str:
        assert self._writer is not None
        assert self._writer.stdout is not None
        return self._writer.stdout.readline().strip()

    # What came out

    def wait_until(self, is_so: Callable[[], bool]) -> bool:
        """Wait under a deadline; return whether it is so."""
        ends_at = time.monotonic() + DEADLINE
        while not is_so():
            if time.monotonic() > ends_at:
                return False
            time.sleep(_PAUSE)
        return True

    def wait_for_bytes(self, size_bytes: int) -> None:
        """Wait until so much has been given out, or all is written."""
        self.wait_until(lambda: self.ledger.size_bytes() >= size_bytes or not self.is_writing)

    def tally(self, written: int) -> Tally:
        """Return what has become of the lines, once the last one has been given out."""
        assert self.wait_until(lambda: self.ledger.has(line(written - 1))), (
            tally(self.ledger.lines(), written=written),
            self.ledger.remarks(),
        )
        return tally(self.ledger.lines(), written=written)

    def loud_remarks(self) -> list[Remark]:
        """Return what the follower said of losses and failures."""
        return [remark for remark in self.ledger.remarks() if remark.kind in LOUD]


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, also one that is stopped; one that is over is left alone."""
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
