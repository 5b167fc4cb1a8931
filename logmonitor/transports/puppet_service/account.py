"""The chat of one Wechaty account, whoever keeps the connection: what is told takes effect, what is asked goes out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self, TypeVar

from logmonitor.errors import TransportError
from logmonitor.records import EventKind, Health
from logmonitor.throttle import Throttle, admit
from logmonitor.transports.puppet_service.event import (
    Account,
    EventType,
    connect,
    dirty_contact,
    meet,
    renew,
    settle,
    text_of,
    write_to,
)
from logmonitor.transports.puppet_service.puppet import LIMITS, LOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
    from types import TracebackType

    from logmonitor.records import Content, Event, Message, Receipt, Sender
    from logmonitor.transport import Limits
    from logmonitor.transports.puppet_service.puppet import Puppet

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
_Item = TypeVar("_Item")
_WAITING: Final = 1000
_SEEN: Final = 10_000
_FETCH_SECONDS: Final = 60.0
_NAME_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.5
_LOGGED_OUT: Final = "the account is logged out; it asks for a scan"


class AccountChat:
    """A Wechaty account as a chat.

    Whoever keeps the connection says how it stands and passes on what the gateway tells (`take`), from the event loop:
    `begin` where the gateway's session starts with the connection; else `approach`, `go_on` and `settle`, in that
    order, for a connection on which the gateway repeats what it told; `stop_at` when it is gone.
    """

    def __init__(self, *, reason: str) -> None:
        """Be down, for that reason; since when is open until a connection has stood or failed."""
        self._puppet: Puppet | None = None
        self._account = Account()
        self._failure: str | None = reason
        self._remark = ""
        self._health = Health(is_up=False, reason=reason)
        self._told: set[str] = set()
        self._open = asyncio.Event()
        self._up = asyncio.Event()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._ids: asyncio.Queue[str | None] = asyncio.Queue(_WAITING)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(_WAITING)
        self._overflows = Throttle(limit=1, period=60.0)
        self._is_closed = False
        self._fault: BaseException | None = None

    @property
    def limits(self) -> Limits:
        """What WeChat and one message to the gateway can carry."""
        return LIMITS

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, whoever is logged in."""
        return self._open.is_set() and not self._is_closed

    async def __aenter__(self) -> Self:
        """Connect nothing: whoever keeps the connection does."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close nothing."""

    async def messages(self) -> AsyncIterator[Message]:
        """Yield every message to or from the account, once, in order, until `close`.

        Raises:
            TransportError: the connection can no longer be kept up, for a reason within this program.
        """
        while (message_id := await self._ids.get()) is not None:
            try:
                async with asyncio.timeout(_FETCH_SECONDS) as deadline:
                    message = await self._fetch(message_id)
            except TimeoutError:
                if not deadline.expired():
                    raise
                _log.warning("message %r is passed over: it could not be fetched in time", message_id)
                continue
            if message is not None:
                yield message
        if self._fault is not None:
            raise TransportError("the connection has ended because of a fault") from self._fault

    async def own_events(self) -> AsyncIterator[Event]:
        """Yield every scan, login and logout of the account, without what the gateway merely repeats."""
        name: tuple[str, str] | None = None
        while (event := await self._events.get()) is not None:
            if event.kind is EventKind.LOGIN and event.user is not None:
                name = event.user, await self._name(event.user)
            yield replace(event, user=name[1]) if name is not None and event.user == name[0] else event

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

    def begin(self, puppet: Puppet, *, is_in: bool | None) -> None:
        """Note that a connection is open, by which `puppet` asks, and that what is told from now on is news.

        `is_in` is False where the gateway's session begins anew with it, so that a login will be told, and None where
        nobody knows whether the account is logged in.
        """
        self._puppet = puppet
        self._account = renew(self._account, is_in=is_in)
        self.go_on()

    def approach(self, puppet: Puppet) -> None:
        """Note that a connection is being opened, by which `puppet` will ask; what is repeated on it is no news."""
        self._puppet = puppet
        self._account = connect(self._account)

    def go_on(self, *, remark: str = "") -> None:
        """Note that the connection is open; `remark` is what is worth telling of it."""
        self._failure, self._remark = None, remark
        self._told.clear()
        self._open.set()
        self._refresh()

    def settle(self, *, has_answered: bool) -> None:
        """Note that the gateway has had its time to repeat; `has_answered` that it has answered behind all of that."""
        self._account = settle(self._account, has_answered=has_answered)
        self._refresh()

    def stop_at(self, reason: str) -> None:
        """Note that the connection is gone, or has not come about."""
        self._failure = reason
        self._open.clear()
        self._refresh()

    def close(self, fault: BaseException | None = None) -> None:
        """End what is yielded, for there will be no connection any more: because of a `fault`, or as was wished."""
        self._is_closed, self._fault = True, fault
        self._open.set()  # what waits for a connection has waited for long enough
        self._up.clear()
        self._failure = "closed" if fault is None else "the connection has ended because of a fault"
        self._health = Health(is_up=False, since=datetime.now(UTC), reason=self._failure)
        _offer(self._ids, None)
        _offer(self._events, None)

    def take(self, kind: int, payload: Mapping[str, object], /) -> None:
        """Let an event of the gateway take effect.

        Raises:
            ValueError: the payload is not what such an event carries; it has taken none.
        """
        match kind:
            case EventType.MESSAGE:
                self._announce(text_of(payload, "messageId"))
                self._account = write_to(self._account)  # an old gateway may not have told the login
            case EventType.DIRTY:
                changed = dirty_contact(payload)
                if self._puppet is not None and changed is not None:
                    self._puppet.forget(changed)
            case EventType.READY:  # the contacts are there only now
                if self._puppet is not None:
                    self._puppet.forget()
            case _:
                self._account, event = meet(self._account, kind, payload, now=datetime.now(UTC))
                if self._puppet is not None and kind == EventType.LOGIN:
                    self._puppet.forget()
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
            self._overflows, is_admitted = admit(self._overflows, time.monotonic())
            if is_admitted:
                _log.warning("over %d messages wait to be fetched; the oldest are passed over", _WAITING)

    async def _fetch(self, message_id: str) -> Message | None:
        """Fetch a message, on the next connection if this one dies; None for one that cannot be."""
        while True:
            await self._open.wait()
            if self._is_closed:
                return None
            try:
                return await self._ask(lambda puppet: puppet.message(message_id, own_id=self._account.id), is_up=False)
            except TransportError as error:
                if not self.is_open or (isinstance(error.__cause__, LOST) and not _is_timeout(error)):
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                _log.warning("message %r is passed over: %s", message_id, error)
                return None
            except ValueError as error:
                _log.warning("message %r is passed over: %s", message_id, error)
                return None

    async def _ask(self, call: Callable[[Puppet], Awaitable[_Answer]], *, is_up: bool = True) -> _Answer:
        """Ask the gateway; with `is_up` only while the account is not known to be logged out."""
        if self._puppet is None or not self.is_open or (is_up and not self._health.is_up):
            raise TransportError(self._health.reason)
        return await call(self._puppet)

    async def _name(self, user: str) -> str:
        """Return the name of the account, or its id where it is not told."""
        with suppress(TransportError, TimeoutError):
            async with asyncio.timeout(_NAME_SECONDS):
                return (await self._ask(lambda puppet: puppet.contact(user), is_up=False)).name or user
        return user

    def _refresh(self) -> None:
        """Work out whether the chat is up, and log it if that has changed or has another reason."""
        before, now = self._health, datetime.now(UTC)
        reason = self._failure or (_LOGGED_OUT if self._account.is_in is False else None)
        if reason is None:
            self._up.set()
            if not before.is_up:
                self._health = Health(is_up=True, since=now, reason=self._remark)
                self._told.clear()
                if before.since is None:
                    _log.info("the chat is up")
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


def _is_timeout(error: TransportError) -> bool:
    """Tell whether the gateway let the time pass; asked again, it would hold up the messages behind."""
    return isinstance(error.__cause__, TimeoutError)


def _offer(queue: asyncio.Queue[_Item], item: _Item) -> bool:
    """Put `item` into a queue that nobody may be reading; where it is full the oldest makes room, and False is told."""
    is_full = queue.full()
    if is_full:
        queue.get_nowait()
    queue.put_nowait(item)
    return not is_full
