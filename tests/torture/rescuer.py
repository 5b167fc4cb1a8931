"""`logmonitor run` as a process that can be killed and started again, and the log of the bot that it rescues."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from logmonitor.storage.survey import Survey, read_survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from logmonitor.testing.log_writer import LogWriter

DEADLINE: Final = 60.0
_PAUSE: Final = 0.02
PAYLOAD: Final = "https://login.weixin.qq.com/l/{}=="
LOST: Final = "alice has been logged out; its login QR follows as soon as its log shows one"
BACK: Final = "alice is logged in again"
_SHOWN: Final = "onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{}%3D%3D"


class Alice:
    """A bot of the family wechaty-ts, as far as its log goes."""

    def __init__(self, log: LogWriter) -> None:
        """Write to `log`."""
        self.log = log

    def logs_in(self) -> None:
        """Be logged in."""
        self._says("Contact<Alice> login")

    def logs_out(self) -> None:
        """Be logged out."""
        self._says("Contact<Alice> logout")

    def shows(self, name: str) -> None:
        """Show a login QR, whose payload ends with `name`."""
        self._says(_SHOWN.format(name))

    def chatters(self, count: int) -> None:
        """Write so many lines that say nothing of the session."""
        stamp = time.strftime("%H:%M:%S")
        self.log.write(*(f"{stamp} VERB StarterBot line {number:07}" for number in range(count)))

    def _says(self, text: str) -> None:
        self.log.write(f"{time.strftime('%H:%M:%S')} INFO StarterBot {text}")


class Rescuer:
    """A configuration at work in a process of its own, which is ended at the end, whatever it is doing."""

    def __init__(
        self, config: Path, *, before: tuple[str | os.PathLike[str], ...] = (), environ: Mapping[str, str] | None = None
    ) -> None:
        """Run `config` once `start` is called, by the words `before`, if there are any."""
        self.config = config
        self.errors_path = config.with_suffix(".err")
        self._words = (*before, sys.executable, "-m", "logmonitor", "run", "--verbose", config)
        self._environ = environ
        self.process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it."""
        self.kill()

    @property
    def pid(self) -> int:
        """The id of the process."""
        assert self.process is not None
        return self.process.pid

    @property
    def errors(self) -> str:
        """All that it has logged since it was started first."""
        return self.errors_path.read_text("utf-8", "replace") if self.errors_path.exists() else ""

    def start(self) -> None:
        """Start it, for the first time or anew."""
        with self.errors_path.open("ab") as errors:
            self.process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=self.config.parent,
                env=self._environ,
            )

    def kill(self) -> None:
        """End it as nothing that it could prepare for, and so if it is stopped."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Have it hang, until `go_on`."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    async def end(self) -> int:
        """End it as a service is ended; return its exit code."""
        assert self.process is not None
        self.process.terminate()
        return await asyncio.wait_for(asyncio.to_thread(self.process.wait), DEADLINE)

    async def says(self, text: str, *, times: int = 1) -> None:
        """Wait until its log has `text` in it so many times."""
        await self.until(lambda: self.errors.count(text) >= times, text)

    def survey(self) -> Survey | None:
        """Return what stands in its store."""
        return read_survey(self.config.with_suffix(".db"))

    async def keeps(self, holds: Callable[[Survey], bool], what: str) -> None:
        """Wait until the store is as expected."""

        def is_so() -> bool:
            survey = self.survey()
            return survey is not None and holds(survey)

        await self.until(is_so, what)

    async def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait under a deadline until something holds; `what` is told where it does not."""
        ends_at = time.monotonic() + DEADLINE
        while not holds():
            assert self.process is not None
            assert self.process.poll() is None, f"it has ended before {what!r}:\n{self.errors}"
            assert time.monotonic() < ends_at, f"not within {DEADLINE:g} s: {what!r}\n{self.errors}\n{self.survey()}"
            await asyncio.sleep(_PAUSE)
