"""The demo's bots: real processes of `logmonitor run`, each with its own configuration, log and folder of its own."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.clock import SystemClock
from logmonitor.demo.world import YOU
from logmonitor.errors import LogMonitorError
from logmonitor.sealing import load_seal, make_key_file
from logmonitor.store import Store
from logmonitor.testing.authenticator import enrol
from logmonitor.totp import STEP_SECONDS

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import Callable
    from pathlib import Path

    from logmonitor.demo.world import Frame
    from logmonitor.testing.authenticator import Authenticator

LOGIN_TEST: Final = "您好世界"
_FRAME_BYTES: Final = 1 << 24
_STOP_SECONDS: Final = 5.0
_RESPAWN_SECONDS: Final = 20.0
"""How long a bot waits for the demo to bring its twin back; on a busy machine that takes a while."""

_TOLD_LINES: Final = 12

_CONFIGURATION: Final = """\
# {name} watches {twin}. The same file without the [chat] of the demo works for a bot of your own.

[bot]
name = "{name}"
language = "{language}"
self_log = "{name}.log"
pid_file = "{name}.pid"

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

[[operation]]
use = "restart_process"
watch = "{twin}"
pid_file = "{twin}.pid"
stdout = "{twin}.out"       # where nothing brings the twin back, as the demo does
respawn = {respawn:.0f}
stay_up = 0.5
wait_for_login = true

[[operation]]
use = "status"

[[operation]]
use = "log_view"
watch = "{twin}"

[[operation]]
use = "shell_exec"
folder = "."
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
            name=name, twin=twin, language=language, admin=YOU, login_test=LOGIN_TEST, respawn=_RESPAWN_SECONDS
        )
        self._process: Process | None = None
        self._authenticator: Authenticator | None = None
        self._is_heard = False
        self._is_stopping = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return 0 if self._process is None else self._process.pid

    async def start(self) -> None:
        """Write the configuration, enrol you, and start the process.

        Raises:
            LogMonitorError: its folder cannot be written to, or no process can be started.
        """
        try:
            self._config_path.write_text(self._configuration, encoding="utf-8")
        except OSError as error:
            raise self._failure(error) from error
        self._authenticator = await asyncio.to_thread(self._enrol)
        await self._launch()

    async def keep(self, on_frame: Callable[[Bot, Frame], None], on_end: Callable[[Bot], None]) -> None:
        """Hand on every frame that it writes; bring it back when its process ends, as a supervisor does.

        Raises:
            LogMonitorError: it ended by itself, with an error; the text holds the last lines that it wrote to standard
                error.
        """
        while self._process is not None:
            await self._listen(self._process, on_frame)
            code = await self._process.wait()
            if self._is_stopping:
                return
            if code > 0:
                lines = self._error_path.read_text(encoding="utf-8", errors="replace").splitlines()[-_TOLD_LINES:]
                raise LogMonitorError("\n".join((f"{self.name} has ended by itself, exit code {code}", *lines)))
            on_end(self)
            await self._launch()

    def code(self) -> tuple[str, float]:
        """Return what your authenticator shows for it, and for how many seconds still."""
        now = time.time()
        if self._authenticator is None:
            raise LogMonitorError(f"nobody is enrolled with {self.name} yet")
        return self._authenticator.code(), STEP_SECONDS - now % STEP_SECONDS

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

    def _enrol(self) -> Authenticator:
        """Have a secret in its store of which your authenticator makes codes."""
        path = self._config_path
        make_key_file(path.with_suffix(".key"))
        with Store(path.with_suffix(".db")) as store:
            return enrol(YOU, store, load_seal(key=None, key_file=path.with_suffix(".key")), SystemClock())

    async def _launch(self) -> None:
        """Start the process, out of reach of the terminal's Ctrl-C."""
        try:
            with self._error_path.open("ab") as errors:
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
            raise self._failure(error) from error
        if self._is_stopping:
            await self.stop()

    async def _listen(self, process: Process, on_frame: Callable[[Bot, Frame], None]) -> None:
        """Hand on every frame that a process writes, until it writes no more."""
        if process.stdout is None:
            return
        self._is_heard = True
        try:
            while line := await process.stdout.readline():
                on_frame(self, json.loads(line))
        finally:
            self._is_heard = False

    def _failure(self, error: OSError) -> LogMonitorError:
        return LogMonitorError(f"cannot start {self.name} in {self._config_path.parent}: {error.strerror}")
