"""The way over TCP to a service: it can be slow, closed at its end, or lead one way only, and it can be cut."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_PIECE_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a way: every piece of data takes `delay` seconds more, in each direction.

    One that `refuses` ends each connection as soon as it is made. One that is `mute` lets through what goes to the
    service, and nothing of what it answers; one that is `deaf` lets nothing through to the service.
    """

    delay: float = 0.0
    refuses: bool = False
    mute: bool = False
    deaf: bool = False


SOUND = Fault()


class Way:
    """A port of this machine that leads to another one, with a fault that may change at any time."""

    def __init__(self, port: int) -> None:
        """Lead to `port`."""
        self._target = port
        self._links: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._fault = SOUND
        self._changed = asyncio.Event()
        self.refused = 0
        self.kept_back = asyncio.Event()
        """Set once something did not get through."""

    @property
    def endpoint(self) -> str:
        """Where to connect to."""
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        """Let connect."""
        self._server = await asyncio.start_server(self._link, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut everything."""
        self._server.close()
        await self.cut()

    def become(self, fault: Fault) -> None:
        """Have this fault from now on, also on connections that there are."""
        self._fault = fault
        self._changed.set()
        self._changed = asyncio.Event()

    async def cut(self) -> None:
        """End every connection; what was on its way is lost."""
        for end in tuple(self._ends):
            end.transport.abort()
        await asyncio.gather(*self._links)

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        ends = [writer]
        self._ends.add(writer)
        try:
            if self._fault.refuses:
                self.refused += 1
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(far_writer)
            self._ends.add(far_writer)
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass(reader, far_writer, is_answer=False))
                directions.create_task(self._pass(far_reader, writer, is_answer=True))
        except* OSError:
            pass
        finally:
            self._links.discard(task)
            self._ends.difference_update(ends)
            for end in ends:
                end.transport.abort()
            for end in ends:
                with suppress(OSError):
                    await end.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while data := await reader.read(_PIECE_BYTES):
            if self._fault.delay:
                await asyncio.sleep(self._fault.delay)
            while self._fault.mute if is_answer else self._fault.deaf:
                self.kept_back.set()
                await self._changed.wait()
            writer.write(data)
            await writer.drain()
        raise ConnectionResetError
