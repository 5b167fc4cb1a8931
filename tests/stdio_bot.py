"""`logmonitor run` as a process of its own, with the test as the bot that holds its chat."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

ADMIN: Final = "admin"
DEADLINE: Final = 60.0
_FRAME_BYTES: Final = 1 << 24


class StdioBot:
    """A bot whose only contact is its admin, and `logmonitor run` below it."""

    def __init__(self, process: Process) -> None:
        """Speak to `process`."""
        self._process = process
        self._said = 0

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._process.pid

    def say(self, text: str) -> None:
        """Let the admin write a text."""
        self._said += 1
        sender = {"id": ADMIN, "name": "Ann"}
        self.tell(type="message", id=f"said-{self._said}", sender=sender, conversation=ADMIN, text=text)

    def tell(self, **frame: object) -> None:
        """Write a frame."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(frame).encode() + b"\n")

    async def next_frame(self) -> dict[str, Any]:
        """Return the next frame; what is sent is accepted."""
        assert self._process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = await self._process.stdout.readline()
        assert line, "logmonitor has ended"
        frame: dict[str, Any] = json.loads(line)
        if frame["type"] == "send":
            self.tell(type="accepted", id=frame["id"])
        return frame

    async def next_text(self) -> str:
        """Return the next text that the admin is sent."""
        while "text" not in (frame := await self.next_frame()):
            pass
        return str(frame["text"])

    async def answer_to(self, text: str) -> str:
        """Return what the admin is sent next after having written `text`."""
        self.say(text)
        return await self.next_text()

    async def stop(self) -> tuple[int, str]:
        """End it as a service is ended; return its exit code and what it wrote to standard error."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            _, errors = await asyncio.gather(self._accept_all(), self._process.stderr.read())
            return await self._process.wait(), errors.decode()

    async def _accept_all(self) -> None:
        """Accept what is still sent on the way out."""
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            frame = json.loads(line)
            if frame["type"] == "send":
                self.tell(type="accepted", id=frame["id"])


@asynccontextmanager
async def stdio_bot(config: Path, *, environ: Mapping[str, str] | None = None) -> AsyncIterator[StdioBot]:
    """Run a configuration whose chat is `stdio` and whose admin is `ADMIN`; it is ended at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "logmonitor", "run", str(config)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_FRAME_BYTES,
        cwd=config.parent,
        env=environ,
    )
    try:
        bot = StdioBot(process)
        assert (await bot.next_frame())["type"] == "hello"
        bot.tell(type="contacts", contacts=[{"id": ADMIN, "name": "Ann"}])
        bot.tell(type="up")
        yield bot
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
