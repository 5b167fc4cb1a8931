"""An account as a chat, whoever keeps the connection: what is told, what is asked, and what waits for what."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError, StreamTerminatedError

from logmonitor import EventKind, Health, TransportError
from logmonitor.transports.puppet_service import account
from logmonitor.transports.puppet_service.account import AccountChat
from logmonitor.transports.puppet_service.event import EventType
from logmonitor.transports.puppet_service.puppet import Puppet

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wechaty_grpc.wechaty import PuppetStub

    from logmonitor import Event, Message

OUT: Final = "the account is logged out; it asks for a scan"
BOB: Final = {"contactId": "bob"}
SECONDS: Final = 10.0


class Stub:
    """A gateway that knows some messages and the account; it fails as it is told to, once for each failure."""

    def __init__(self, **messages: str) -> None:
        """Know messages, each by its sender."""
        self.messages = messages
        self.failures: list[Exception] = []
        self.asked: list[str] = []
        self.has_failed = asyncio.Event()

    async def message_payload(self, *, id: str) -> Any:  # noqa: A002, ANN401  # as the bindings have it
        """Return a message."""
        self.asked.append(id)
        if self.failures:
            self.has_failed.set()
            raise self.failures.pop()
        sender = self.messages[id]
        return SimpleNamespace(
            from_id=sender,
            to_id="",
            room_id="",
            text=id,
            type=7,
            filename="",
            mention_ids=[],
            timestamp=1_700_000_000_000,
        )

    async def contact_payload(self, *, id: str) -> Any:  # noqa: A002, ANN401  # the same
        """Return a contact."""
        self.asked.append(id)
        return SimpleNamespace(name=id.title(), alias="", weixin="")

    async def message_send_text(self, *, conversation_id: str, text: str) -> Any:  # noqa: ANN401  # the same
        """Take a text."""
        self.asked.append(f"{conversation_id}: {text}")
        return SimpleNamespace(id="sent-1")


def puppet_of(stub: Stub) -> Puppet:
    """Ask by `stub`."""
    return Puppet(cast("PuppetStub", stub))


def connected(stub: Stub) -> AccountChat:
    """Return a chat whose connection is open and whose account, bob, is logged in."""
    chat = AccountChat(reason="not yet")
    chat.begin(puppet_of(stub), is_in=False)
    chat.take(EventType.LOGIN, BOB)
    return chat


def announce(chat: AccountChat, *ids: str) -> None:
    """Tell of messages."""
    for message_id in ids:
        chat.take(EventType.MESSAGE, {"messageId": message_id})


async def received(chat: AccountChat, count: int) -> list[str]:
    """Wait for so many messages; return their texts."""
    messages: list[Message] = []
    async with asyncio.timeout(SECONDS):
        async for message in chat.messages():
            messages.append(message)
            if len(messages) == count:
                break
    return [message.text for message in messages]


async def happened(chat: AccountChat, count: int) -> list[Event]:
    """Wait for so many events of the account."""
    events: list[Event] = []
    async with asyncio.timeout(SECONDS):
        async for event in chat.own_events():
            events.append(event)
            if len(events) == count:
                break
    return events


async def test_chat_is_down_until_it_begins() -> None:
    """Before the connection is open the chat is down for the reason given, and whoever waits, waits."""
    chat = AccountChat(reason="not yet")
    waiting = asyncio.ensure_future(chat.wait_until_up())
    assert (chat.health().is_up, chat.health().reason) == (False, "not yet")
    with pytest.raises(TransportError, match=r"^not yet$"):
        await chat.send("admin", "hi")
    chat.begin(puppet_of(Stub()), is_in=None)
    await asyncio.wait_for(waiting, SECONDS)
    assert chat.health().is_up


@pytest.mark.parametrize(("kind", "payload"), [(EventType.SCAN, {"qrcode": "x", "status": 2}), (EventType.LOGOUT, BOB)])
async def test_chat_is_down_while_the_account_is_out(kind: EventType, payload: Mapping[str, object]) -> None:
    """A scan or a logout takes the chat down, a login brings it back; what is sent reaches the gateway then."""
    stub = Stub()
    chat = connected(stub)
    chat.take(kind, payload)
    assert (chat.health().is_up, chat.health().reason) == (False, OUT)
    chat.take(EventType.LOGIN, BOB)
    assert (await chat.send("admin", "hi")).message_id == "sent-1"
    assert stub.asked == ["admin: hi"]


async def test_chat_says_since_when_it_is_down() -> None:
    """The time is that of the first reason, whatever reason comes after it; none before the first attempt has ended."""
    chat = AccountChat(reason="not yet")
    chat.approach(puppet_of(Stub()))
    assert chat.health() == Health(is_up=False, reason="not yet")
    chat.stop_at("refused")
    assert (chat.health().reason, chat.health().since is None) == ("refused", False)
    chat = connected(Stub())
    chat.take(EventType.LOGOUT, BOB)
    since = chat.health().since
    chat.stop_at("gone")
    assert (chat.health().reason, chat.health().since) == ("gone", since)


async def test_message_comes_once_with_the_accounts_own_among_them() -> None:
    """A message that is announced twice comes once, one that the account wrote too, and its writer is not looked up."""
    stub = Stub(one="adm", mine="bob", two="adm")
    chat = connected(stub)
    announce(chat, "one", "one", "mine", "mine", "two")
    assert await received(chat, 3) == ["one", "mine", "two"]
    assert stub.asked == ["one", "adm", "mine", "two"]


async def test_message_is_fetched_by_the_next_connection() -> None:
    """A connection that dies while a message is fetched costs no message."""
    dying, living = Stub(one="adm"), Stub(one="adm")
    dying.failures.append(StreamTerminatedError("Connection lost"))
    chat = connected(dying)
    announce(chat, "one")
    receiving = asyncio.ensure_future(received(chat, 1))
    await asyncio.wait_for(dying.has_failed.wait(), SECONDS)
    chat.stop_at("gone")
    chat.begin(puppet_of(living), is_in=False)
    assert await receiving == ["one"]
    assert living.asked[0] == "one"


@pytest.mark.parametrize("failure", [GRPCError(Status.UNKNOWN, "Error: no such message"), None])
async def test_message_that_cannot_be_had_is_passed_over(failure: Exception | None) -> None:
    """A message that the gateway refuses, or that nobody wrote, does not hold up the next."""
    stub = Stub(broken="", fine="adm")
    stub.failures += [] if failure is None else [failure]
    chat = connected(stub)
    announce(chat, "broken", "fine")
    assert await received(chat, 1) == ["fine"]


async def test_message_that_takes_too_long_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that cannot be fetched within its time does not hold up the next."""
    stub = Stub(slow="adm", fine="adm")
    stub.failures.append(StreamTerminatedError("Connection lost"))
    monkeypatch.setattr(account, "_FETCH_SECONDS", 0.01)
    chat = connected(stub)
    announce(chat, "slow", "fine")
    assert await received(chat, 1) == ["fine"]


async def test_oldest_of_too_many_messages_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing grows without bound: over its limit the oldest announcement is dropped, and so is what was seen."""
    monkeypatch.setattr(account, "_WAITING", 2)
    monkeypatch.setattr(account, "_SEEN", 2)
    chat = connected(Stub(one="adm", two="adm", three="adm"))
    announce(chat, "one", "two", "three")
    assert await received(chat, 2) == ["two", "three"]


async def test_own_events_bear_the_accounts_name() -> None:
    """A login and a logout tell the account's name, a scan its payload."""
    chat = connected(Stub())
    chat.take(EventType.LOGOUT, BOB)
    chat.take(EventType.SCAN, {"qrcode": "x", "status": 2})
    login, logout, scan = await happened(chat, 3)
    assert [(event.kind, event.user) for event in (login, logout)] == [
        (EventKind.LOGIN, "Bob"),
        (EventKind.LOGOUT, "Bob"),
    ]
    assert scan.qr is not None
    assert scan.qr.payload == "x"


async def test_login_is_told_once_for_each_connection() -> None:
    """What a gateway repeats within a connection is no event; a login on the next is one, for it is the next login."""
    chat = connected(Stub())
    chat.take(EventType.LOGIN, BOB)
    chat.begin(puppet_of(Stub()), is_in=False)
    assert (chat.health().is_up, chat.health().reason) == (False, OUT)
    chat.take(EventType.LOGIN, BOB)
    assert chat.health().is_up
    chat.take(EventType.LOGOUT, BOB)
    kinds = [event.kind for event in await happened(chat, 3)]
    assert kinds == [EventKind.LOGIN, EventKind.LOGIN, EventKind.LOGOUT]


async def test_message_proves_a_login_that_was_not_told() -> None:
    """An account that is written to is logged in, unless the gateway has said that it is not."""
    chat = AccountChat(reason="not yet")
    chat.begin(puppet_of(Stub()), is_in=False)
    announce(chat, "one")
    assert chat.health().is_up
    chat.take(EventType.LOGOUT, BOB)
    announce(chat, "late")
    assert not chat.health().is_up


async def test_login_that_is_repeated_on_the_next_connection_is_told_once() -> None:
    """On a connection on which the gateway repeats, the chat is up as it stands open, and only what is new is told."""
    chat = AccountChat(reason="not yet")
    for _ in range(2):
        chat.approach(puppet_of(Stub()))
        chat.take(EventType.LOGIN, BOB)
        assert not chat.health().is_up
        chat.go_on()
        chat.settle(has_answered=True)
        assert chat.health().is_up
        chat.stop_at("gone")
    chat.approach(puppet_of(Stub(one="adm")))
    chat.settle(has_answered=True)
    chat.go_on()
    assert chat.health().reason == OUT
    announce(chat, "one")
    assert chat.health().is_up
    chat.take(EventType.LOGIN, BOB)
    chat.close()
    assert [event.kind async for event in chat.own_events()] == [EventKind.LOGIN, EventKind.LOGIN]


async def test_chat_ends_when_it_is_closed() -> None:
    """What cannot be fetched any more is left, nothing more is yielded, and the chat is down."""
    chat = connected(Stub(one="adm"))
    announce(chat, "one")
    chat.close()
    assert [message async for message in chat.messages()] == []
    assert [event.kind async for event in chat.own_events()] == [EventKind.LOGIN]
    assert (chat.health().is_up, chat.health().reason, chat.is_open) == (False, "closed", False)


async def test_chat_that_ends_by_a_fault_says_so() -> None:
    """Whoever waits for messages, or for one of them to be fetched, is told that none will come."""
    for chat in (AccountChat(reason="not yet"), connected(Stub(one="adm"))):
        chat.stop_at("gone")
        announce(chat, "one")
        receiving = asyncio.ensure_future(received(chat, 1))
        await asyncio.sleep(0)
        chat.close(fault := KeyError())
        with pytest.raises(TransportError, match="because of a fault") as caught:
            await receiving
        assert caught.value.__cause__ is fault


async def test_changed_contact_is_asked_for_anew() -> None:
    """A contact that the gateway calls changed is fetched again for the next message."""
    stub = Stub(one="adm", two="adm", three="adm")
    chat = connected(stub)
    announce(chat, "one", "two")
    await received(chat, 2)
    chat.take(EventType.DIRTY, {"payloadType": 2, "payloadId": "adm"})
    announce(chat, "three")
    await received(chat, 1)
    assert stub.asked == ["one", "adm", "two", "three", "adm"]


async def test_contacts_are_asked_for_anew_once_they_are_there() -> None:
    """What was known of contacts before the gateway calls itself ready is asked for anew, and nothing else happens."""
    stub = Stub(one="adm", two="adm")
    chat = connected(stub)
    announce(chat, "one")
    await received(chat, 1)
    chat.take(EventType.READY, {"data": "ready"})
    announce(chat, "two")
    await received(chat, 1)
    assert stub.asked == ["one", "adm", "two", "adm"]
    AccountChat(reason="not yet").take(EventType.READY, {})


async def test_event_that_is_none_takes_no_effect() -> None:
    """A login that does not say whose it is is refused, and the account stays as it was."""
    chat = connected(Stub())
    with pytest.raises(ValueError, match="contactId"):
        chat.take(EventType.LOGIN, {"contactId": None})
    assert chat.health().is_up
