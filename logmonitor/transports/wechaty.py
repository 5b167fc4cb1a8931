"""WeChat by a Wechaty gateway: a client of the puppet service over gRPC, which connects again for as long as it lives.

A gateway serves one account and one client. It holds the session; this end asks it to send, and is told of messages and
of the account's own scans, logins and logouts. Leaving does not stop the gateway, so that the account stays logged in.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self, TypeVar

from logmonitor.errors import TransportError
from logmonitor.records import EventKind, Health
from logmonitor.transports.puppet_service.connection import Connection, Pace
from logmonitor.transports.puppet_service.endpoint import check_token, find_endpoint
from logmonitor.transports.puppet_service.event import (
    Account,
    EventType,
    connect,
    dirty_contact,
    meet,
    read_payload,
    settle,
    text_of,
)
from logmonitor.transports.puppet_service.puppet import LIMITS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from pathlib import Path
    from types import TracebackType

    from logmonitor.records import Content, Event, Message, Receipt, Sender
    from logmonitor.transport import Limits
    from logmonitor.transports.puppet_service.puppet import Puppet

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")
_WAITING: Final = 1000
_SEEN: Final = 10_000
_NAME_SECONDS: Final = 5.0
_POLITE: Final = 3
"""As how many failed attempts it counts to be thrown out by another client, which may be thrown out in turn."""

_MEANT: Final = frozenset({EventType.MESSAGE, EventType.SCAN, EventType.LOGIN, EventType.LOGOUT, EventType.DIRTY})
_LOGGED_OUT: Final = "the account is logged out; it asks for a scan"


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
    ) -> None:
        """Say where the gateway is; nothing is connected.

        With `tls` its certificate is checked: by the system's authorities or those in `ca_file`, for the endpoint's
        host or `server_name`; `insecure` checks nothing. Without `tls` the token and all else travel in the clear.

        Raises:
            ConfigurationError: that cannot be, or contradicts itself.
        """
        self._endpoint = find_endpoint(endpoint, tls=tls, ca_file=ca_file, server_name=server_name, insecure=insecure)
        self._token = check_token(token)
        self._is_insecure = insecure
        self.pace = Pace()
        self._service: asyncio.Task[None] | None = None
        self._connection: Connection | None = None
        self._open = asyncio.Event()
        self._up = asyncio.Event()
        self._account = Account()
        self._answers_dings = False
        self._failure: str | None = f"connecting to {self._endpoint}"
        self._health = Health(is_up=False, reason=self._failure)
        self._told: set[str] = set()
        self._ids: asyncio.Queue[str] = asyncio.Queue(_WAITING)
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(_WAITING)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING)

    @property
    def limits(self) -> Limits:
        """What WeChat and one message to the gateway can carry."""
        return LIMITS

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
        self._service = asyncio.create_task(self._serve())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close the connection; the gateway and the account's session go on."""
        if self._service is not None:
            self._service.cancel()
            await asyncio.wait({self._service})
        self._health = Health(is_up=False, since=datetime.now(UTC), reason="closed")
        self._up.clear()

    async def messages(self) -> AsyncIterator[Message]:
        """Yield every message that others write to the account, once.

        Raises:
            TransportError: the connection can no longer be kept up, for a reason within this program.
        """
        while (message := await self._messages.get()) is not None:
            yield message
        if self._service is not None and self._service.done() and not self._service.cancelled():
            raise TransportError("the connection has ended because of a fault") from self._service.exception()

    async def own_events(self) -> AsyncIterator[Event]:
        """Yield every scan, login and logout of the account, without what the gateway merely repeats."""
        name: tuple[str, str] | None = None
        while (event := await self._events.get()) is not None:
            if event.kind is EventKind.LOGIN and event.user is not None:
                name = event.user, await self._name(event.user)
            if name is not None and event.user == name[0]:
                yield replace(event, user=name[1])
            else:
                yield event

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send a text, a file without its caption, or a link to a contact or room.

        Raises:
            RejectedError: the gateway refuses it for good.
            TransportError: it did not work this time.
        """
        return await self._ask(lambda puppet: puppet.send(to, content))

    async def recall(self, message_id: str, /) -> None:
        """Take back what was sent.

        Raises:
            RejectedError: WeChat does not take it back.
            TransportError: it did not work this time.
        """
        await self._ask(lambda puppet: puppet.recall(message_id))

    async def resolve(self, who: str, /) -> Sender:
        """Find the one contact with the id `who`, else with that weixin number or alias; never the account itself.

        Raises:
            RejectedError: none or several fit.
            TransportError: the gateway cannot be asked now.
        """
        return await self._ask(lambda puppet: puppet.resolve(who, own_id=self._account.id))

    def health(self) -> Health:
        """Up while connected, and the account not known to be logged out."""
        return self._health

    async def wait_until_up(self) -> None:
        """Return once the gateway is connected and the account not known to be logged out."""
        await self._up.wait()

    async def _serve(self) -> None:
        """Keep connected, and fetch the messages that are announced."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_connected())
                tasks.create_task(self._fetch_messages())
        finally:
            _offer(self._messages, None)
            _offer(self._events, None)

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
            )
            self._account = connect(self._account)
            try:
                async with connection:
                    await connection.open()
                    if connection.has_answered:
                        self._account = settle(self._account, has_answered=True)
                    self._go_on()
                    await connection.probe()
                    self._account = settle(self._account, has_answered=connection.has_answered)
                    self._refresh()
                    await connection.hold()
            except TransportError as error:
                self._stop_at(str(error))
            self._answers_dings |= connection.has_answered
            failures = 0 if connection.open_for >= self.pace.steady else failures
            if connection.is_taken_over:
                failures = max(failures, _POLITE)
            await self.pace.sleep(self.pace.pause(failures))
            failures += 1

    def _go_on(self) -> None:
        """Be connected."""
        self._failure = None
        self._told.clear()
        self._open.set()
        self._refresh()

    def _stop_at(self, reason: str) -> None:
        """Be connected no more."""
        self._failure = reason
        self._open.clear()
        self._refresh()

    def _refresh(self) -> None:
        """Work out whether the chat is up, and log it if that has changed or has another reason."""
        before, now = self._health, datetime.now(UTC)
        reason = self._failure or (_LOGGED_OUT if self._account.is_in is False else None)
        if reason is None:
            self._up.set()
            if not before.is_up:
                self._health = Health(is_up=True, since=now)
                self._told.clear()
                if before.since is None:
                    _log.info("connected to %s", self._endpoint)
                else:
                    _log.info("the chat is back, after %.0f s", (now - before.since).total_seconds())
            return
        self._up.clear()
        if not before.is_up and before.reason == reason:
            return
        self._health = Health(is_up=False, since=now if before.is_up else before.since or now, reason=reason)
        if reason not in self._told:
            self._told.add(reason)
            _log.warning("the chat is down: %s", reason)

    def _take(self, kind: int, text: str) -> None:
        """Let an event of the gateway take effect; one that cannot be understood takes none."""
        if kind not in _MEANT:
            return
        try:
            self._meet(kind, read_payload(text))
        except ValueError as error:
            _log.warning("an event of type %d is passed over: %s", kind, error)

    def _meet(self, kind: int, payload: Mapping[str, object]) -> None:
        puppet = None if self._connection is None else self._connection.puppet
        if kind == EventType.MESSAGE:
            self._announce(text_of(payload, "messageId"))
            return
        if kind == EventType.DIRTY:
            changed = dirty_contact(payload)
            if puppet is not None and changed is not None:
                puppet.forget(changed)
            return
        self._account, event = meet(self._account, kind, payload, now=datetime.now(UTC))
        if puppet is not None and kind == EventType.LOGIN:
            puppet.forget()
        if event is not None:
            _offer(self._events, event)
        self._refresh()

    def _announce(self, message_id: str) -> None:
        """Queue a message for being fetched, unless it was announced before."""
        if message_id in self._seen:
            _log.debug("message %r was announced twice", message_id)
            return
        self._seen[message_id] = None
        if len(self._seen) > _SEEN:
            self._seen.popitem(last=False)
        if not _offer(self._ids, message_id):
            _log.warning("over %d messages wait to be fetched; the oldest is passed over", _WAITING)

    async def _fetch_messages(self) -> None:
        """Fetch what was announced, in order."""
        while True:
            message_id = await self._ids.get()
            try:
                async with asyncio.timeout(self.pace.fetch) as deadline:
                    message = await self._fetch(message_id)
            except TimeoutError:
                if not deadline.expired():
                    raise
                _log.warning("message %r is passed over: it could not be fetched in time", message_id)
                continue
            if message is not None:
                await self._messages.put(message)

    async def _fetch(self, message_id: str) -> Message | None:
        """Fetch a message, on the next connection if this one dies; None for one that cannot be, or is our own."""
        while True:
            await self._open.wait()
            try:
                message = await self._ask(
                    lambda puppet: puppet.message(message_id, own_id=self._account.id), is_up=False
                )
            except TransportError as error:
                if not self._open.is_set() or isinstance(error.__cause__, TimeoutError):
                    continue
                _log.warning("message %r is passed over: %s", message_id, error)
                return None
            except ValueError as error:
                _log.warning("message %r is passed over: %s", message_id, error)
                return None
            if message is None:
                _log.debug("message %r is the account's own", message_id)
            return message

    async def _ask(self, call: Callable[[Puppet], Awaitable[_Answer]], *, is_up: bool = True) -> _Answer:
        """Ask the gateway; with `is_up` only while the account is not known to be logged out."""
        connection = self._connection
        if connection is None or not self._open.is_set() or (is_up and not self._health.is_up):
            raise TransportError(self._health.reason)
        try:
            return await call(connection.puppet)
        except TransportError:
            if connection.is_lost and connection is self._connection and self._open.is_set():
                self._stop_at(f"the connection to {self._endpoint} was lost")
            raise

    async def _name(self, user: str) -> str:
        """Return the name of the account, or its id where it is not told."""
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(_NAME_SECONDS):
                return (await self._ask(lambda puppet: puppet.contact(user), is_up=False)).name or user
        return user


def _offer(queue: asyncio.Queue[_Item], item: _Item) -> bool:
    """Put `item` into a queue that nobody may be reading; where it is full the oldest makes room, and False is told."""
    is_full = queue.full()
    if is_full:
        queue.get_nowait()
    queue.put_nowait(item)
    return not is_full
