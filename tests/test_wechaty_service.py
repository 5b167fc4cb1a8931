"""The Wechaty transport against services that no real gateway can be made to be: old, odd, and hostile ones."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import pytest
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server
from wechaty_grpc.wechaty import puppet as protocol

from logmonitor.errors import RejectedError, TransportError
from logmonitor.records import EventKind
from logmonitor.transports.puppet_service.connection import Pace
from logmonitor.transports.wechaty import Wechaty
from tests.gateway.driver import DEADLINE
from tests.torture.way import Way
from tests.wechaty_client import recorded, take_events, take_messages, up

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from tests.wechaty_client import Record

HEARTBEAT: Final = (1, '{"data": "hello"}')
LOGIN: Final = (25, '{"contactId": "bob"}')
DONG: Final = (3, "{}")
LOST: Final = "the chat is down: the connection to "


@dataclass
class Service:
    """A puppet service whose stream tells `greeting` and what is put into `events`; None ends it.

    Each ding is answered by an event with `answers`, refused with `refuses`, and never answered with `hangs`.
    """

    greeting: tuple[tuple[int, str], ...] = (HEARTBEAT, LOGIN)
    answers: bool = True
    refuses: Status | None = None
    hangs: bool = False
    busy: int = 0
    stops: int = 0
    streams: int = 0
    dings: int = 0
    events: asyncio.Queue[tuple[int, str] | None] = field(default_factory=asyncio.Queue)
    dinged: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    endpoint: str = ""

    def __mapping__(self) -> Mapping[str, Handler]:
        """Tell grpclib what is served."""
        unary = Cardinality.UNARY_UNARY
        served: dict[str, tuple[Any, Cardinality, Any]] = {
            "Start": (self._start, unary, protocol.StartRequest),
            "Stop": (self._stop, unary, protocol.StopRequest),
            "Ding": (self._ding, unary, protocol.DingRequest),
            "Event": (self._event, Cardinality.UNARY_STREAM, protocol.EventRequest),
            "MessagePayload": (self._message, unary, protocol.MessagePayloadRequest),
            "ContactList": (self._contacts, unary, protocol.ContactListRequest),
            "ContactPayload": (self._contact, unary, protocol.ContactPayloadRequest),
        }
        return {
            f"/wechaty.Puppet/{name}": Handler(call, cardinality, request, _answer_type(name))
            for name, (call, cardinality, request) in served.items()
        }

    async def _start(self, stream: Any) -> None:  # noqa: ANN401  # grpclib's streams are generic in what they carry
        await stream.recv_message()
        await stream.send_message(protocol.StartResponse())

    async def _stop(self, stream: Any) -> None:  # noqa: ANN401
        await stream.recv_message()
        self.stops += 1
        await stream.send_message(protocol.StopResponse())

    async def _ding(self, stream: Any) -> None:  # noqa: ANN401
        await stream.recv_message()
        self.dings += 1
        self.dinged.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise GRPCError(self.refuses, "no")
        if self.answers:
            self.events.put_nowait(DONG)
        await stream.send_message(protocol.DingResponse())

    async def _event(self, stream: Any) -> None:  # noqa: ANN401
        await stream.recv_message()
        if self.busy > 0:
            self.busy -= 1
            raise GRPCError(Status.ALREADY_EXISTS, "busy")
        self.streams += 1
        self.events = asyncio.Queue()
        for one in self.greeting:
            self.events.put_nowait(one)
        while (event := await self.events.get()) is not None:
            await stream.send_message(protocol.EventResponse(type=event[0], payload=event[1]))
        self.ended.set()

    async def _message(self, stream: Any) -> None:  # noqa: ANN401
        asked = await stream.recv_message()
        if asked.id == "none":
            raise GRPCError(Status.UNKNOWN, "Error: no such message\n  at stack")
        writer = "" if asked.id == "nobody" else "ann"
        await stream.send_message(protocol.MessagePayloadResponse(id=asked.id, from_id=writer, text="qr", type=7))

    async def _contacts(self, stream: Any) -> None:  # noqa: ANN401
        await stream.recv_message()
        await stream.send_message(protocol.ContactListResponse())

    async def _contact(self, stream: Any) -> None:  # noqa: ANN401
        asked = await stream.recv_message()
        await stream.send_message(protocol.ContactPayloadResponse(id=asked.id))


def _answer_type(name: str) -> Any:  # noqa: ANN401
    return getattr(protocol, f"{name}Response")


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[Wechaty]:
    """Serve, and make a transport for it that does not wait long."""
    server = Server([service])
    await server.start("127.0.0.1", 0)
    listener: Any = server._server  # noqa: SLF001  # grpclib does not tell its port otherwise
    service.port = listener.sockets[0].getsockname()[1]
    service.endpoint = f"127.0.0.1:{service.port}"
    chat = Wechaty(endpoint=service.endpoint, token="t", tls=False)  # noqa: S106  # it guards nothing
    chat.pace = Pace(
        greeting=0.2, quiet=0.2, answer=0.3, handover=0.0, recheck=0.01, first_pause=0.01, longest_pause=0.01
    )
    try:
        yield chat
    finally:
        server.close()
        await server.wait_closed()


@pytest.fixture
def record() -> Iterator[Record]:
    """Return what the transport logs in one test."""
    with recorded() as record:
        yield record


async def test_wechaty_passes_over_hostile_events(record: Record) -> None:
    """Broken, huge and odd events and messages are logged without their content, and what follows is heard."""
    service = Service()
    hostile = [
        (2, "secret is no JSON"),
        (2, '{"messageId": 7, "secret": 1}'),
        (2, "[" * 100_000),
        (2, '{"secret": "' + "x" * 2_000_000 + '"}'),
        (22, '{"status": "2", "qrcode": "secret"}'),
        (25, '"secret"'),
        (26, "[]"),
        (27, '{"payloadType": 2}'),
        (27, '{"payloadType": 3, "payloadId": "room"}'),
        (27, '{"payloadType": 2, "payloadId": "ann"}'),
        (99, "secret"),
        (2, '{"messageId": "none"}'),
        (2, '{"messageId": "nobody"}'),
        (2, '{"messageId": "good"}'),
        (22, '{"status": 2, "qrcode": "payload"}'),
    ]
    async with serving(service) as chat, up(chat):
        for event in hostile:
            service.events.put_nowait(event)
        assert [message.id for message in await take_messages(chat, 1)] == ["good"]
        assert [event.kind for event in await take_events(chat, 2)] == [EventKind.LOGIN, EventKind.SCAN]
    assert service.streams == 1
    assert not any("secret" in line or "stack" in line for line in record.lines)
    assert sum("is passed over" in line for line in record.lines) == 10
    assert "message 'none' is passed over: the gateway refuses: no such message" in record.lines


@pytest.mark.parametrize("status", [None, Status.UNIMPLEMENTED, Status.UNKNOWN])
async def test_wechaty_stays_with_a_service_that_never_answers(status: Status | None) -> None:
    """A service that answers no ding, or refuses it, is not taken for deaf, for it never did otherwise."""
    service = Service(answers=False, refuses=status)
    async with serving(service) as chat, up(chat):
        async with asyncio.timeout(DEADLINE):
            while service.dings < 3:
                service.events.put_nowait((2, f'{{"messageId": "{service.dings}"}}'))
                await take_messages(chat, 1)
                await _probed(service)
        assert chat.health().is_up
    assert (service.streams, service.stops) == (1, 0)


async def _probed(service: Service) -> None:
    """Wait for the next ding."""
    service.dinged.clear()
    await service.dinged.wait()


async def test_wechaty_connects_anew_where_a_ding_hangs(record: Record) -> None:
    """A service that takes a ding and does not even accept it is lost."""
    service = Service(hangs=True)
    async with serving(service) as chat, up(chat):
        await record.wait_for(f"the chat is down: {service.endpoint} does not answer any more")
        service.hangs = False
        await record.wait_for("the chat is back")
        assert service.streams >= 2


@pytest.mark.parametrize("status", [Status.UNAUTHENTICATED, Status.UNAVAILABLE])
async def test_wechaty_connects_anew_where_a_ding_is_refused_for_all(status: Status, record: Record) -> None:
    """A service that refuses a ding as it would refuse everything is lost."""
    service = Service(refuses=status)
    async with serving(service) as chat, up(chat):
        await record.wait_for("the chat is down: the gateway refuses")
        service.refuses = None
        await record.wait_for("the chat is back")


async def test_wechaty_is_up_without_a_greeting() -> None:
    """A service that says nothing at first, as old ones do, is connected after a while."""
    service = Service(greeting=())
    async with serving(service) as chat, up(chat):
        service.events.put_nowait(LOGIN)
        assert [event.kind for event in await take_events(chat, 1)] == [EventKind.LOGIN]


async def test_wechaty_probes_again_a_stream_it_took_over(record: Record) -> None:
    """A service that another was thrown out of has to answer; one that does not is connected to once more."""
    service = Service(answers=False, busy=1)
    async with serving(service) as chat, up(chat):
        await record.wait_for("is connected and tells nothing any more")
        await record.wait_for("the chat is back")
        assert (service.streams, service.stops) == (2, 1)


async def test_wechaty_says_that_another_does_not_leave(record: Record) -> None:
    """A service that stays busy after its other client was thrown out is told as such, and asked again."""
    service = Service(busy=4)
    async with serving(service) as chat, chat:
        await record.wait_for("the chat is down: another client does not leave the gateway, which serves one")
        async with asyncio.timeout(DEADLINE):
            await chat.wait_until_up()
    assert service.stops == 2


async def test_wechaty_visitor_leaves_the_stream_to_another() -> None:
    """Who visits a service that another listens to asks it, and neither ends the other's stream nor dings into it."""
    service = Service(busy=1000)
    async with serving(service) as chat:
        visitor = chat.visiting()
        async with up(visitor):
            assert visitor.health().reason == "another client uses it, as a running bot does"
            with pytest.raises(RejectedError, match="no contact fits 'ann'"):
                await visitor.resolve("ann")
        assert not visitor.health().is_up
    assert (service.streams, service.stops, service.dings) == (0, 0, 0)


async def test_wechaty_visitor_gives_the_stream_up_to_another(record: Record) -> None:
    """Who visits a service that nobody listens to hears it, until another comes; then that one is left alone."""
    service = Service()
    async with serving(service) as chat:
        visitor = chat.visiting()
        async with up(visitor):
            assert (visitor.health().reason, service.streams) == ("", 1)
            service.events.put_nowait((2, '{"messageId": "one"}'))
            assert [message.id for message in await take_messages(visitor, 1)] == ["one"]
            service.events.put_nowait(None)
            async with asyncio.timeout(DEADLINE):
                await service.ended.wait()
            with pytest.raises(RejectedError):
                await visitor.resolve("ann")
            assert visitor.health().is_up
    assert (service.streams, service.stops) == (1, 0)
    assert not any("is down" in line for line in record.lines)


async def test_wechaty_visitor_notices_that_the_service_is_gone(record: Record) -> None:
    """A connection without a stream is known to be lost after a while, and is made anew."""
    service = Service(busy=1000)
    async with serving(service) as chat, Way(service.port) as network:
        visitor = Wechaty(endpoint=network.endpoint, token="t", tls=False).visiting()  # noqa: S106
        visitor.pace = chat.pace
        async with up(visitor):
            await network.cut()
            await record.wait_for("was lost")
            await record.wait_for("the chat is back")
            await network.cut()
            with pytest.raises(TransportError, match="was lost"):
                await visitor.resolve("ann")
            await record.wait_for("the chat is back", times=2)


async def test_wechaty_drops_the_oldest_of_too_many_messages(record: Record) -> None:
    """More messages than can wait push out the oldest, and the account's session is heard nevertheless."""
    service = Service()
    async with serving(service) as chat, up(chat):
        for number in range(1200):
            service.events.put_nowait((2, f'{{"messageId": "{number}"}}'))
        service.events.put_nowait((26, "{}"))
        assert [event.kind for event in await take_events(chat, 2)] == [EventKind.LOGIN, EventKind.LOGOUT]
        await record.wait_for("wait to be fetched; the oldest are passed over")
        assert int((await take_messages(chat, 1))[0].id) >= 0


async def test_wechaty_says_that_a_host_does_not_answer(record: Record) -> None:
    """Who accepts a connection and says nothing is told as such, after the time that an attempt has."""
    ended = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        ended.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        endpoint = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        chat = Wechaty(endpoint=endpoint, token="t", tls=False)  # noqa: S106  # it guards nothing
        chat.pace = replace(chat.pace, attempt=0.2)
        async with chat:
            await record.wait_for(f"the chat is down: {endpoint} did not answer within 0.2 s")
        async with asyncio.timeout(DEADLINE):
            await ended.wait()


async def test_wechaty_warns_of_a_token_in_the_clear(record: Record) -> None:
    """Without TLS to another machine the log says who can read the token; to this one there is nothing to say."""
    for endpoint in ("192.0.2.1:8788", "[::1]:9"):
        async with Wechaty(endpoint=endpoint, token="t", tls=False):  # noqa: S106
            pass
    assert [line for line in record.lines if "in the clear" in line] == [
        "192.0.2.1:8788 is spoken to in the clear: whoever stands in between can read the token and everything else"
    ]


async def test_wechaty_tells_of_a_fault_within() -> None:
    """A fault of this program ends the messages with an error, so that it is not taken for silence."""

    async def fail(_seconds: float) -> None:
        raise ZeroDivisionError

    async with serving(Service(greeting=(), refuses=Status.UNAVAILABLE)) as chat:
        chat.pace = replace(chat.pace, sleep=fail)
        async with chat:
            with pytest.raises(TransportError, match="because of a fault") as caught:
                await take_messages(chat, 1)
            assert [event async for event in chat.own_events()] == []
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_wechaty_pauses_double_up_to_half_a_minute() -> None:
    """Each pause is half of what it may be at least, and all of it at most."""
    least, most = Pace(rand=lambda: 0.0), Pace(rand=lambda: 1.0)
    assert [most.pause(failures) for failures in (0, 1, 2, 5, 6, 1000)] == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0]
    assert [least.pause(failures) for failures in (0, 1, 1000)] == [0.25, 0.5, 15.0]


async def test_wechaty_pauses_longer_each_time_and_anew_after_a_while(record: Record) -> None:
    """Attempts that come to nothing are ever further apart; after a steady connection the first comes soon."""
    pauses: list[float] = []
    service = Service(refuses=Status.UNAVAILABLE)

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        service.hangs = False
        if len(pauses) >= 3:
            service.refuses = None
        await asyncio.sleep(0)

    async with serving(service) as chat:
        chat.pace = replace(Pace(), quiet=0.1, answer=0.3, rand=lambda: 1.0, sleep=sleep)
        async with up(chat):
            await record.wait_for("the chat is back", times=3)
            chat.pace = replace(chat.pace, steady=0.0)
            service.hangs = True
            await record.wait_for("does not answer any more")
            await record.wait_for("the chat is back", times=4)
            service.events.put_nowait(None)
            await record.wait_for("the chat is down: another client has taken over")
            await record.wait_for("the chat is back", times=5)
    assert pauses == [0.5, 1.0, 2.0, 0.5, 4.0]
