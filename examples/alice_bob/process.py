"""A bot as a process of its own, which ends with the example and is missed when it ends before."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path
    from typing import Never

_STOP_SECONDS: Final = 7.0


class BotError(Exception):
    """A bot does not do what it should; the text holds the last that it wrote."""


class Bot:
    """A bot that runs; what it writes to its terminal goes to the file `out_path`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, *, out_path: Path) -> None:
        """Look after `process`."""
        self._name = name
        self._process = process
        self._out_path = out_path

    def failure(self, what: str) -> BotError:
        """Return what is to be raised when it fails."""
        last_words = self._out_path.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
        return BotError(f"{self._name} {what}; it wrote:\n{last_words or 'nothing'}")

    async def miss(self) -> Never:
        """Complain when it ends."""
        code = await self._process.wait()
        raise self.failure(f"has ended by itself with {code}")


@asynccontextmanager
async def running(name: str, *argv: str, folder: Path, environ: dict[str, str]) -> AsyncIterator[Bot]:
    """Run a bot by this Python with `argv`, out of reach of the terminal's Ctrl-C; end it at the end."""
    out_path = folder / f"{name}.out"
    with out_path.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *argv),
            cwd=folder,
            env=environ,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield Bot(name, process, out_path=out_path)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
