"""What tests of the Wechaty transport share: one that does not wait long, and what it logs."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from logmonitor.transports.wechaty import Wechaty
from tests.gateway.driver import DEADLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from logmonitor.records import Event, Message
    from tests.gateway.driver import Gateway


class Record(logging.Handler):
    """What the transport logs, which can be waited for."""

    def __init__(self) -> None:
        """Start without a line."""
        super().__init__()
        self.lines: list[str] = []
        self._grown = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        self.lines.append(record.getMessage())
        self._grown.set()

    async def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until lines with `text` in them were logged so many times."""
        async with asyncio.timeout(DEADLINE):
            while sum(text in line for line in self.lines) < times:
                self._grown.clear()
                await self._grown.wait()


@contextmanager
def recorded() -> Iterator[Record]:
    """Record what the transports log."""
    log, record = logging.getLogger("logmonitor.transports"), Record()
    level = log.level
    log.addHandler(record)
    log.setLevel(logging.DEBUG)
    try:
        yield record
    finally:
        log.removeHandler(record)
        log.setLevel(level)


def client(gateway: Gateway, *, tls: bool = False, pause: float = 0.02, **parameters: object) -> Wechaty:
    """Make a transport for `gateway` that does not wait long."""
    values = {"endpoint": gateway.endpoint, "token": gateway.token, "tls": tls} | parameters
    chat = Wechaty(**values)  # type: ignore[arg-type]  # the names are checked by Wechaty itself
    chat.pace = replace(chat.pace, first_pause=pause, longest_pause=pause, quiet=2.0, answer=3.0)
    return chat


@asynccontextmanager
async def up(chat: Wechaty) -> AsyncIterator[Wechaty]:
    """Enter a transport and wait until it is up."""
    async with chat:
        async with asyncio.timeout(DEADLINE):
            await chat.wait_until_up()
        yield chat


async def take_messages(chat: Wechaty, count: int) -> list[Message]:
    """Return the next messages."""
    taken: list[Message] = []
    async with asyncio.timeout(DEADLINE):
        async for message in chat.messages():
            taken.append(message)
            if len(taken) == count:
                break
    return taken


async def take_events(chat: Wechaty, count: int) -> list[Event]:
    """Return the next events of the account."""
    taken: list[Event] = []
    async with asyncio.timeout(DEADLINE):
        async for event in chat.own_events():
            taken.append(event)
            if len(taken) == count:
                break
    return taken
