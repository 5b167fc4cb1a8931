"""The demo's bots: real processes of `logmonitor run`, each with its own configuration, log and folder of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.demo.world import YOU
from logmonitor.errors import LogMonitorError

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable
    from pathlib import Path

    from logmonitor.demo.world import Frame

LOGIN_TEST: Final = "您好世界"
_FRAME_BYTES: Final = 1 << 24
_STOP_SECONDS: Final = 5.0
_TOLD_LINES: Final = 12

_CONFIGURATION: Final = """\
# {name} watches {twin}. The same file without the [chat] of the demo works for a bot of your own.

[bot]
name = "{name}"
language = "{language}"
self_log = "{name}.log"

[chat]
transport = "stdio"
admins = ["{admin}"]

[[watch]]
name = "{twin}"
log = "{twin}.log"
profile = "wechaty-ts"

[[operation]]
use = "qr_rescue"
watch = "{twin}"
login_test = "{login_test}"
"""


class Bot:
    """A bot that runs as a process of its own, in the demo's folder."""

    def __init__(self, name: str, *, twin: str, folder: Path, language: str) -> None:
        """Know where it lives; nothing is written or started yet."""
        self.name = name
        self.log_path = folder / f"{name}.log"
        self._config_path = folder / f"{name}.toml"
        self._error_path = folder / f"{name}.stderr"
        self._configuration = _CONFIGURATION.format(
            name=name, twin=twin, language=language, admin=YOU, login_test=LOGIN_TEST
        )
        self._process: Process | None = None
        self._is_heard = False
        self._is_stopping = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Write the configuration and start the process, out of reach of the terminal's Ctrl-C.

        Raises:
            LogMonitorError: its folder cannot be written to, or no process can be started.
        """
        try:
            self._config_path.write_text(self._configuration, encoding="utf-8")
            with self._error_path.open("wb") as errors:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "logmonitor",
                    "run",
                    str(self._config_path),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=errors,
                    limit=_FRAME_BYTES,
                    start_new_session=True,
                )
        except OSError as error:
            raise LogMonitorError(
                f"cannot start {self.name} in {self._config_path.parent}: {error.strerror}"
            ) from error

    async def listen(self, on_frame: Callable[[Bot, Frame], None]) -> None:
        """Hand on every frame that it writes, until it ends.

        Raises:
            LogMonitorError: it ended by itself; the text holds the last lines that it wrote to standard error.
        """
        if self._process is None or self._process.stdout is None:
            return
        self._is_heard = True
        try:
            while line := await self._process.stdout.readline():
                on_frame(self, json.loads(line))
        finally:
            self._is_heard = False
        code = await self._process.wait()
        if not self._is_stopping:
            lines = self._error_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TOLD_LINES:]
            raise LogMonitorError("\n".join((f"{self.name} has ended by itself, exit code {code}", *lines)))

    def tell(self, frame: Frame) -> None:
        """Write a frame to it."""
        if self._process is not None and self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(frame).encode() + b"\n")

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines of its log; none if it has not written any."""
        with suppress(OSError):
            return self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        return []

    async def stop(self) -> None:
        """End the process: ask for it, wait, and insist; at once if nobody listens, for it waits for answers."""
        self._is_stopping = True
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_SECONDS if self._is_heard else 0):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
