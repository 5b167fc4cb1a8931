"""WeChat by a Wechaty gateway: a client of the puppet service over gRPC, which connects again for as long as it lives.

A gateway serves one account and one client. It holds the session; this end asks it to send, and is told of messages and
of the account's own scans, logins and logouts. Leaving does not stop the gateway, so that the account stays logged in.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from logmonitor.errors import TransportError
from logmonitor.throttle import Throttle, admit
from logmonitor.transports.puppet_service.account import AccountChat
from logmonitor.transports.puppet_service.connection import Connection, Pace
from logmonitor.transports.puppet_service.endpoint import check_token, find_endpoint
from logmonitor.transports.puppet_service.event import EventType, read_payload
from logmonitor.transports.puppet_service.puppet import LIMITS
from logmonitor.transports.quantity import Count, Seconds  # noqa: TC001  # a configuration reads this signature's types

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable
    from pathlib import Path
    from types import TracebackType

    from logmonitor.records import Content, Event, Health, Message, Receipt, Sender
    from logmonitor.transport import Limits

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_SHARED: Final = "another client uses it, as a running bot does"
_POLITE: Final = 3
"""As how many failed attempts it counts to be thrown out by another client, which may be thrown out in turn."""

_MEANT: Final = frozenset(EventType) - {EventType.HEARTBEAT, EventType.DONG}


class Wechaty:
    """A WeChat account that a Wechaty gateway holds."""

    def __init__(
        self,
        *,
        endpoint: str,
        token: str,
        tls: bool = True,
        ca_file: Path | None = None,
        server_name: str | None = None,
        insecure: bool = False,
        per_period: Count | None = None,
        period: Seconds = 3600.0,
        per_inbound: Count | None = None,
    ) -> None:
        """Say where the gateway is; nothing is connected.

        With `tls` its certificate is checked: by the system's authorities or those in `ca_file`, for the endpoint's
        host or `server_name`; `insecure` checks nothing. Without `tls` the token and all else travel in the clear.
        No more is sent than `per_period` messages in any `period` seconds, and `per_inbound` for each that comes from
        a conversation: neither WeChat nor a gateway says what an account may send before it is noticed.

        Raises:
            ConfigurationError: that cannot be, or contradicts itself.
        """
        self._endpoint = find_endpoint(endpoint, tls=tls, ca_file=ca_file, server_name=server_name, insecure=insecure)
        self._token = check_token(token)
        self._is_insecure = insecure
        self._another = partial(
            Wechaty,
            endpoint=endpoint,
            token=token,
            tls=tls,
            ca_file=ca_file,
            server_name=server_name,
            insecure=insecure,
            per_period=per_period,
            period=period,
            per_inbound=per_inbound,
        )
        self._limits = replace(LIMITS, per_period=per_period, period=period, per_inbound=per_inbound)
        self.pace = Pace()
        self.yields = False
        self._chat = AccountChat(reason=f"connecting to {self._endpoint}")
        self._service: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._answers_dings = False
        self._oddities = Throttle(limit=5, period=60.0)

    @property
    def limits(self) -> Limits:
        """What WeChat and one message to the gateway can carry."""
        return self._limits

    async def __aenter__(self) -> Self:
        """Begin to connect; whether that has worked tells `health`."""
        if self._is_insecure:
            _log.warning(
                "the certificate of %s is not checked (insecure): whoever stands in between can read the token and "
                "everything else, and write as anybody",
                self._endpoint,
            )
        elif self._endpoint.context is None and not self._endpoint.is_loopback:
            _log.warning(
                "%s is spoken to in the clear: whoever stands in between can read the token and everything else",
                self._endpoint,
            )
        self._service = asyncio.create_task(self._keep_connected())
        self._service.add_done_callback(lambda task: self._chat.close(None if task.cancelled() else task.exception()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close the connection; the gateway and the account's session go on."""
        if self._service is not None:
            self._service.cancel()
            await asyncio.wait({self._service})

    def messages(self) -> AsyncIterator[Message]:
        """Yield every message to or from the account, once.

        Raises:
            TransportError: the connection can no longer be kept up, for a reason within this program.
        """
        return self._chat.messages()

    def own_events(self) -> AsyncIterator[Event]:
        """Yield every scan, login and logout of the account, without what the gateway merely repeats."""
        return self._chat.own_events()

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send a text, a file without its caption, or a link to a contact or room.

        Raises:
            RejectedError: the gateway refuses it for good.
            TransportError: it did not work this time.
        """
        return await self._ask(self._chat.send(to, content))

    async def recall(self, message_id: str, /) -> None:
        """Take back what was sent.

        Raises:
            RejectedError: WeChat does not take it back.
            TransportError: it did not work this time.
        """
        await self._ask(self._chat.recall(message_id))

    async def resolve(self, who: str, /) -> Sender:
        """Find the one contact with the id `who`, else with that weixin number or alias; never the account itself.

        Raises:
            RejectedError: none or several fit.
            TransportError: the gateway cannot be asked now.
        """
        return await self._ask(self._chat.resolve(who))

    def health(self) -> Health:
        """Up while connected, and the account not known to be logged out; down since no time before the first try."""
        return self._chat.health()

    async def wait_until_up(self) -> None:
        """Return once the gateway is connected and the account not known to be logged out."""
        await self._chat.wait_until_up()

    def visiting(self) -> Wechaty:
        """Return the same chat, which is not entered yet, for a client that leaves the account's events to another one.

        Where another client hears them, messages and the account's own events are left to it, and nobody knows whether
        the account is logged in; all else can be done.
        """
        visitor = self._another()
        visitor.pace, visitor.yields = self.pace, True
        return visitor

    async def _keep_connected(self) -> None:
        """Connect, again and again."""
        failures = 0
        while True:
            connection = self._connection = Connection(
                self._endpoint,
                token=self._token,
                pace=self.pace,
                take=self._take,
                expects_answers=self._answers_dings,
                yields=self.yields,
            )
            self._chat.approach(connection.puppet)
            try:
                async with connection:
                    await connection.open()
                    if connection.has_answered:
                        self._chat.settle(has_answered=True)
                    self._chat.go_on(remark=_SHARED if connection.is_shared else "")
                    await connection.probe()
                    self._chat.settle(has_answered=connection.has_answered)
                    await connection.hold()
            except TransportError as error:
                self._chat.stop_at(str(error))
            self._answers_dings |= connection.has_answered
            failures = 0 if connection.open_for >= self.pace.steady else failures
            if connection.is_taken_over:
                failures = max(failures, _POLITE)
            await self.pace.sleep(self.pace.pause(failures))
            failures += 1

    def _take(self, kind: int, text: str) -> None:
        """Let an event of the gateway take effect; one that cannot be understood takes none."""
        if kind not in _MEANT:
            return
        try:
            self._chat.take(kind, read_payload(text))
        except ValueError as error:
            self._oddities, is_admitted = admit(self._oddities, time.monotonic())
            level = logging.WARNING if is_admitted else logging.DEBUG
            _log.log(level, "an event of type %d is passed over: %s", kind, error)

    async def _ask(self, call: Awaitable[_Answer]) -> _Answer:
        """Await what asks the gateway; see at once, where that fails, whether the connection is gone."""
        try:
            return await call
        except TransportError:
            if self._chat.is_open and self._connection is not None and self._connection.is_lost:
                self._chat.stop_at(f"the connection to {self._endpoint} was lost")
            raise
