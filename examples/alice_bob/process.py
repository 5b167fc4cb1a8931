"""A bot as a process of its own, which is brought back when it was asked to end, and missed when it fails."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path
    from typing import Never

_STOP_SECONDS: Final = 7.0
_AS_ASKED: Final = (0, -signal.SIGTERM)
"""How a bot ends that its twin restarts: by itself, or where nothing in it minds the signal, by that."""


class BotError(Exception):
    """A bot does not do what it should; the text holds the last that it wrote."""


class Bot:
    """A bot that runs; what it writes to its terminal goes to the file `out_path`."""

    def __init__(
        self, name: str, start: Callable[[], Awaitable[asyncio.subprocess.Process]], *, out_path: Path
    ) -> None:
        """Look after the process that `start` starts; nothing is started yet."""
        self._name = name
        self._start = start
        self._process: asyncio.subprocess.Process | None = None
        self._out_path = out_path

    def failure(self, what: str) -> BotError:
        """Return what is to be raised when it fails."""
        last_words = self._out_path.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        return BotError(f"{self._name} {what}; it wrote:\n{last_words or 'nothing'}")

    async def start(self) -> None:
        """Start it."""
        self._process = await self._start()

    async def keep(self, on_end: Callable[[], None]) -> Never:
        """Bring it back when it was asked to end, as a supervisor does; complain when it ends in another way."""
        while True:
            code = None if self._process is None else await self._process.wait()
            if code not in _AS_ASKED:
                raise self.failure(f"has ended by itself with {code}")
            on_end()
            await self.start()

    async def stop(self) -> None:
        """Ask it to end, wait, and insist."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def running(name: str, *argv: str, folder: Path, environ: dict[str, str]) -> AsyncIterator[Bot]:
    """Run a bot by this Python with `argv`, out of reach of the terminal's Ctrl-C; end it at the end."""
    out_path = folder / f"{name}.out"

    async def start() -> asyncio.subprocess.Process:
        with out_path.open("ab") as out:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, *argv),
                cwd=folder,
                env=environ,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    bot = Bot(name, start, out_path=out_path)
    try:
        await bot.start()
        yield bot
    finally:
        await bot.stop()
