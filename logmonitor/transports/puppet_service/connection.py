"""One connection to a Wechaty gateway: opened, listened to, probed while it is quiet, closed; never mended."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn

from grpclib.client import Channel
from grpclib.config import Configuration
from grpclib.const import Status
from grpclib.exceptions import GRPCError
from wechaty_grpc.wechaty import PuppetStub

from logmonitor.errors import TransportError
from logmonitor.transports.puppet_service.event import EventType
from logmonitor.transports.puppet_service.puppet import BROKEN, LOST, Puppet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from grpclib.protocol import H2Protocol

    from logmonitor.transports.puppet_service.endpoint import Endpoint

_REFUSED: Final = frozenset({Status.UNAUTHENTICATED, Status.UNAVAILABLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long things may take, in seconds.

    `attempt` is for connecting, `greeting` for the first event of a stream, which older gateways do without. A stream
    quiet for `quiet` is probed, and deaf once the answer does not come within `answer`. A gateway that another client
    was thrown out of may take the end of that one's stream for the end of ours: it is left alone for `handover`, and
    probed once more after `recheck`. Pauses between attempts double from `first_pause` to `longest_pause` and begin
    anew after a connection of `steady`; each is a random part of that, by `rand`, and half of it at least.
    """

    attempt: float = 30.0
    greeting: float = 5.0
    quiet: float = 30.0
    answer: float = 15.0
    handover: float = 0.25
    recheck: float = 2.0
    first_pause: float = 0.5
    longest_pause: float = 30.0
    steady: float = 60.0
    rand: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def pause(self, failures: int, /) -> float:
        """Return how long to wait after so many attempts in a row that came to nothing."""
        longest = min(self.longest_pause, self.first_pause * 2.0 ** min(failures, 30))
        return longest * (1 + self.rand()) / 2


class _Channel(Channel):
    """A channel that connects once: that a connection was lost is for us to see, not to be passed over."""

    _has_connected = False

    async def __connect__(self) -> H2Protocol:
        if self._has_connected and not self._connected:
            raise ConnectionResetError("the connection was lost")
        protocol = await super().__connect__()
        self._has_connected = True
        return protocol

    @property
    def is_lost(self) -> bool:
        return self._has_connected and not self._connected


class Connection:
    """A connection while it is entered; `take` is given the type and payload of every event.

    `expects_answers` says that this gateway is known to answer dings; `has_answered` that it did here. `was_busy` says
    that another client's stream was ended for ours, which may have ended ours too, so that an answer is expected then;
    `is_taken_over` that another client did the same to us. With `yields` another client's stream is left to it: the
    gateway can be asked and tells nothing, which is `is_shared`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        token: str,
        pace: Pace,
        take: Callable[[int, str], None],
        expects_answers: bool,
        yields: bool = False,
    ) -> None:
        """Prepare to connect; nothing is connected yet."""
        configuration = Configuration(ssl_target_name_override=endpoint.server_name)
        self._channel = _Channel(endpoint.host, endpoint.port, ssl=endpoint.context, config=configuration)
        self._stub = PuppetStub(self._channel, metadata={"authorization": f"Wechaty {token}"})
        self.puppet = Puppet(self._stub, secrets=(token,))
        self.was_busy = False
        self.has_answered = False
        self.is_taken_over = False
        self.is_shared = False
        self._endpoint = endpoint
        self._pace = pace
        self._take = take
        self._expects_answers = expects_answers
        self._yields = yields
        self._is_probed = False
        self._opened_at: float | None = None
        self._stream: asyncio.Task[None] | None = None
        self._end: str | None = None
        self._is_busy = False
        self._is_greeted = False
        self._answers = 0
        self._heard_at = 0.0
        self._stirred = asyncio.Event()

    @property
    def open_for(self) -> float:
        """How long it has been open, in seconds."""
        return 0.0 if self._opened_at is None else _now() - self._opened_at

    @property
    def is_lost(self) -> bool:
        """Whether the connection itself is gone, noticed or not."""
        return self._channel.is_lost

    @property
    def _is_over(self) -> bool:
        """Whether the stream tells nothing any more."""
        return self._end is not None or self.is_shared

    async def __aenter__(self) -> Self:
        """Connect nothing yet."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """End the stream and close the channel; the gateway is not told to stop."""
        if self._stream is not None:
            self._stream.cancel()
            await asyncio.wait({self._stream})
        self._channel.close()

    async def open(self) -> None:
        """Connect and listen; throw out whoever listens already, or leave that to him.

        Raises:
            TransportError: it did not work; the text is a sentence of its own.
        """
        try:
            async with asyncio.timeout(self._pace.attempt) as deadline:
                await self._listen()
                if self._is_busy and not self._yields:
                    self.was_busy = True
                    await self._ask(self._stub.stop())
                    await self._pace.sleep(self._pace.handover)
                    await self._listen()
        except TimeoutError:
            if not deadline.expired():
                raise
            raise TransportError(f"{self._endpoint} did not answer within {self._pace.attempt:g} s") from None
        if self._end is not None:
            self._raise()
        if self._expects_answers:
            await self.probe()
        self._opened_at = _now()

    async def probe(self) -> None:
        """See once whether the stream tells anything.

        Raises:
            TransportError: it does not; the text is a sentence of its own.
        """
        if not self._is_probed and not self.is_shared:
            await self._probe()

    async def hold(self) -> None:
        """Stay connected until the connection is lost, or nothing is heard by it any more.

        Raises:
            TransportError: always; the text is a sentence of its own.
        """
        if self.was_busy:
            await self._wait(lambda: self._is_over, self._pace.recheck)
            await self._probe()
        while self._end is None:
            rest = self._heard_at + self._pace.quiet - _now()
            if self.is_shared:
                await self._pace.sleep(self._pace.quiet)
                self._end = f"the connection to {self._endpoint} was lost" if self.is_lost else None
            elif rest > 0:
                await self._wait(lambda: self._is_over, rest)
            else:
                await self._probe()
        self._raise()

    async def _listen(self) -> None:
        """Start the puppet and the stream of its events; wait for the first, or for a while."""
        await self._ask(self._stub.start())
        self._end, self._is_busy = None, False
        self._stream = asyncio.create_task(self._read())
        await self._wait(lambda: self._is_greeted or self._is_over, self._pace.greeting)

    async def _read(self) -> None:
        """Take events until the stream ends; note why it did."""
        try:
            async with aclosing(self._stub.event()) as events:
                async for event in events:
                    self._heard_at, self._is_greeted = _now(), True
                    self._answers += event.type == EventType.DONG
                    self._take(event.type, event.payload)
                    self._stirred.set()
            self.is_shared, self.is_taken_over = self._yields, not self._yields
            self._end = "another client has taken over the gateway, which serves one"
        except GRPCError as error:
            self._is_busy = error.status is Status.ALREADY_EXISTS
            self.is_shared = self._is_busy and self._yields
            refusal = "another client does not leave the gateway, which serves one"
            self._end = refusal if self._is_busy else str(self.puppet.refusal(error))
        except LOST:
            self._end = f"the connection to {self._endpoint} was lost"
        except BROKEN:
            self._end = f"{self._endpoint} sent what cannot be read"
        finally:
            self._end = None if self.is_shared else self._end or "an event could not be taken"
            self._stirred.set()

    def _raise(self) -> NoReturn:
        """Raise why the stream has ended, a fault of ours as it is."""
        if self._stream is not None and self._stream.done():
            self._stream.result()
        raise TransportError(self._end)

    async def _probe(self) -> None:
        """Ask for an event, and see whether it comes.

        Raises:
            TransportError: the gateway cannot be asked, or the stream is deaf.
        """
        self._is_probed, answers = True, self._answers
        self._heard_at = _now()
        try:
            async with asyncio.timeout(self._pace.answer):
                await self._stub.ding(data="logmonitor")
        except GRPCError as error:
            if error.status in _REFUSED:
                raise TransportError(str(self.puppet.refusal(error))) from error
        except TimeoutError:
            raise TransportError(f"{self._endpoint} does not answer any more") from None
        except LOST:
            raise TransportError(f"the connection to {self._endpoint} was lost") from None
        except BROKEN:
            raise TransportError(f"{self._endpoint} sent what cannot be read") from None
        await self._wait(lambda: self._answers > answers or self._is_over, self._pace.answer)
        if self._answers > answers:
            self.has_answered = self._expects_answers = True
        elif not self._is_over and (self._expects_answers or self.was_busy):
            raise TransportError(f"the gateway at {self._endpoint} is connected and tells nothing any more")

    async def _ask(self, call: Awaitable[object]) -> None:
        """Await what belongs to opening the connection."""
        try:
            await self.puppet.ask(call, seconds=self._pace.attempt)
        except TransportError as error:
            cause = error.__cause__
            if isinstance(cause, LOST):
                raise TransportError(self._endpoint.explain(cause)) from cause
            raise

    async def _wait(self, holds: Callable[[], bool], seconds: float) -> None:
        """Wait until something holds, for so long at most."""
        try:
            async with asyncio.timeout(seconds) as deadline:
                while not holds():
                    self._stirred.clear()
                    await self._stirred.wait()
        except TimeoutError:
            if not deadline.expired():
                raise


def _now() -> float:
    return asyncio.get_running_loop().time()
