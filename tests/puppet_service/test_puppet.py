"""What a puppet service answers, and what a client makes of it: answers that no real gateway can be made to give."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from wechaty_grpc.wechaty.puppet import ContactPayloadResponse, MessagePayloadResponse

from logmonitor.errors import RejectedError, TransportError
from logmonitor.records import Attachment, Link, Sender
from logmonitor.transports.puppet_service import puppet as puppet_module
from logmonitor.transports.puppet_service.puppet import LIMITS, Puppet, file_box, message_text, sent_at

TODAY_TEXT, OLD_TEXT, AUDIO = 7, 6, 2
TOKEN = "secret-token"  # noqa: S105  # it guards nothing


@dataclass
class Answer:
    """An answer with an id."""

    id: str | None = None
    success: bool = True
    ids: tuple[str, ...] = ()


@dataclass
class Stub:
    """A stub with the answers that a test gives: a value, or an error to raise; `asked` is what it was asked."""

    contacts: dict[str, Any] = field(default_factory=dict)
    messages: dict[str, Any] = field(default_factory=dict)
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def contact_payload(self, *, id: str) -> Any:  # noqa: A002, ANN401  # as the bindings have it
        """Return a contact."""
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self._answer("contact_payload", id, self.contacts[id])

    async def contact_list(self) -> Any:  # noqa: ANN401
        """Return who there is."""
        return self._answer("contact_list", None, Answer(ids=tuple(self.contacts)))

    async def message_payload(self, *, id: str) -> Any:  # noqa: A002, ANN401
        """Return a message."""
        return self._answer("message_payload", id, self.messages.get(id))

    async def message_recall(self, *, id: str) -> Any:  # noqa: A002, ANN401
        """Take back what is not too old."""
        return self._answer("message_recall", id, Answer(success=id != "old"))

    async def message_send_text(self, **values: str) -> Any:  # noqa: ANN401
        """Take a text."""
        return self._answer("text", values, Answer(id="m"))

    async def message_send_url(self, **values: str) -> Any:  # noqa: ANN401
        """Take a card."""
        return self._answer("url", values, Answer(id=None))

    async def message_send_file(self, **values: str) -> Any:  # noqa: ANN401
        """Take a file."""
        return self._answer("file", values, Answer(id=""))

    def _answer(self, name: str, asked: Any, answer: Any) -> Any:  # noqa: ANN401
        self.asked.append((name, asked))
        errors = self.errors.get(f"{name} {asked}") or self.errors.get(name)
        if errors:
            raise errors.pop(0)
        return answer


def contact(weixin: str = "", alias: str = "", name: str = "") -> ContactPayloadResponse:
    """Return what a gateway knows of a contact."""
    return ContactPayloadResponse(weixin=weixin, alias=alias, name=name)


def message(text: str = "qr", **values: Any) -> MessagePayloadResponse:  # noqa: ANN401
    """Return what a gateway knows of a message."""
    return MessagePayloadResponse(**{"text": text, "type": TODAY_TEXT, "from_id": "ann", "timestamp": 1} | values)


def refusal(status: Status, text: str | None = "no") -> GRPCError:
    """Return what a gateway refuses with."""
    return GRPCError(status, text)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (refusal(Status.UNKNOWN, "Error: not logged in\n    at Puppet"), TransportError, "refuses: not logged in"),
        (refusal(Status.UNAVAILABLE, None), TransportError, "refuses: unavailable"),
        (refusal(Status.INTERNAL, f"bad {TOKEN}"), TransportError, "refuses: bad [redacted]"),
        (refusal(Status.UNKNOWN, "x" * 999), TransportError, f"refuses: {'x' * 200}"),
        (refusal(Status.UNAUTHENTICATED, f"Invalid {TOKEN}"), TransportError, "refuses the token"),
        (refusal(Status.RESOURCE_EXHAUSTED, "too large"), RejectedError, "refuses: too large"),
        (refusal(Status.INVALID_ARGUMENT), RejectedError, "refuses: no"),
        (refusal(Status.NOT_FOUND), RejectedError, "refuses: no"),
        (StreamTerminatedError("x"), TransportError, None),
        (ConnectionResetError(), TransportError, None),
        (ProtocolError("x"), TransportError, None),
    ],
)
async def test_puppet_errors_are_for_good_or_for_now(error: Exception, kind: type[Exception], text: str | None) -> None:
    """Each failure is ours, in one line without the token; what caused it stays with it, but where it repeats that."""
    puppet = Puppet(Stub(errors={"text": [error]}), secrets=(TOKEN,))
    with pytest.raises(TransportError) as caught:
        await puppet.send("ann", "hello")
    assert type(caught.value) is kind
    assert caught.value.__cause__ is (None if text == "refuses the token" else error)
    assert str(caught.value) == (f"the gateway {text}" if text else "the connection to the gateway was lost")


@pytest.mark.parametrize(
    "error", [AssertionError(), UnicodeDecodeError("utf-8", b"", 0, 1, ""), IndexError(), KeyError()]
)
async def test_puppet_unreadable_answer_is_a_failure_for_now(error: Exception) -> None:
    """What the bindings cannot read is no fault of the program."""
    with pytest.raises(TransportError, match="an answer that cannot be read"):
        await Puppet(Stub(errors={"text": [error]})).send("ann", "hello")


async def test_puppet_call_that_hangs_has_a_deadline() -> None:
    """An answer that does not come is a failure like any other."""
    puppet = Puppet(Stub())
    with pytest.raises(TransportError, match="did not answer within 0 s") as caught:
        await puppet.ask(asyncio.Event().wait(), seconds=0)
    assert isinstance(caught.value.__cause__, TimeoutError)


async def test_puppet_sends_a_link_as_text_where_no_card_is_taken() -> None:
    """A gateway that refuses cards gets the link as a text; a lost connection does not."""
    link = Link(title="log", url="https://example.com/", description="of bob")
    stub = Stub(errors={"url": [refusal(Status.UNIMPLEMENTED), StreamTerminatedError("x")]})
    assert (await Puppet(stub).send("ann", link)).message_id == "m"
    with pytest.raises(TransportError, match="was lost"):
        await Puppet(stub).send("ann", link)
    assert [name for name, _ in stub.asked] == ["url", "text", "url"]
    assert stub.asked[1][1] == {"conversation_id": "ann", "text": "log\nof bob\nhttps://example.com/"}


async def test_puppet_receipt_has_no_id_where_none_is_told() -> None:
    """A gateway that tells no id, or an empty one, gives a receipt without."""
    puppet = Puppet(Stub())
    file = Attachment(filename="f.png", content_type="image/png", data=b"\x00\xff")
    assert (await puppet.send("ann", Link(title="t", url="u"))).message_id is None
    assert (await puppet.send("ann", file)).message_id is None


def test_puppet_file_box_is_read_by_old_and_new_gateways() -> None:
    """Both names of the kind of box are there, and the data as base64."""
    box = json.loads(file_box(Attachment(filename="f.png", content_type="image/png", data=b"\x00\xff", caption="c")))
    assert (box.pop("base64"), b64decode("AP8=")) == ("AP8=", b"\x00\xff")
    assert box == {"type": 1, "boxType": 1, "name": "f.png", "metadata": {}}


def test_puppet_largest_file_fits_one_message() -> None:
    """A file of the size that is promised is below what a gateway takes in one message, whatever its name."""
    file = Attachment(filename="名" * 100, content_type="image/png", data=bytes(LIMITS.attachment_bytes))
    assert len(file_box(file)) + 1000 < 4 * 1024 * 1024


async def test_puppet_does_not_take_back_what_is_too_old() -> None:
    """A recall that does not succeed is refused for good."""
    await Puppet(Stub()).recall("new")
    with pytest.raises(RejectedError, match="does not take back message 'old'"):
        await Puppet(Stub()).recall("old")


async def test_puppet_asks_once_for_each_contact() -> None:
    """Contacts are listed and fetched once, many but not all at a time, until they are forgotten."""
    stub = Stub(contacts={f"c{n}": contact(weixin=f"w{n}") for n in range(200)})
    puppet = Puppet(stub)
    found = await asyncio.gather(puppet.resolve("w7"), puppet.resolve("w8"))
    assert [sender.id for sender in found] == ["c7", "c8"]
    assert len(stub.asked) == 201
    assert stub.most_at_once == 64
    puppet.forget("c7")
    stub.contacts["c7"] = contact(weixin="other")
    assert (await puppet.resolve("other")).id == "c7"
    assert stub.asked[201:] == [("contact_list", None), ("contact_payload", "c7")]
    puppet.forget()
    await puppet.resolve("w8")
    assert len(stub.asked) == 203 + 201


async def test_puppet_exact_id_needs_no_other_contact() -> None:
    """Whoever is named by the id is fetched alone."""
    stub = Stub(contacts={f"c{n}": contact() for n in range(50)})
    assert (await Puppet(stub).resolve("c7")).id == "c7"
    assert stub.asked == [("contact_list", None), ("contact_payload", "c7")]


async def test_puppet_leaves_out_a_contact_that_is_refused_twice(caplog: pytest.LogCaptureFixture) -> None:
    """One contact that the gateway tells nothing of keeps nobody from finding another; once is not enough."""
    stub = Stub(
        contacts={"bad": contact(), "shaky": contact(weixin="w"), "good": contact(alias="boss")},
        errors={
            "contact_payload bad": [refusal(Status.UNKNOWN)] * 4,
            "contact_payload shaky": [refusal(Status.UNKNOWN)],
        },
    )
    assert (await Puppet(stub).resolve("boss")).id == "good"
    assert [record.getMessage() for record in caplog.records] == [
        "the gateway tells nothing of 1 of 3 contacts; they are left out"
    ]
    with pytest.raises(RejectedError, match=r"expected the id of one: good \(alias “boss”\), shaky \(number “w”\)"):
        await Puppet(stub).resolve("bad one")


async def test_puppet_finds_nobody_by_weixin_while_a_contact_cannot_be_read() -> None:
    """Who is meant by an alias may be the contact that is refused, and a stranger's weixin number be the same."""
    contacts = {"admin": contact(alias="boss"), "stranger": contact(weixin="boss")}
    stub = Stub(contacts=contacts, errors={"contact_payload admin": [refusal(Status.UNKNOWN)] * 4})
    with pytest.raises(TransportError, match="1 of 2 contacts cannot be read") as caught:
        await Puppet(stub).resolve("boss")
    assert not isinstance(caught.value, RejectedError)
    assert (await Puppet(stub).resolve("stranger")).id == "stranger"


async def test_puppet_does_not_decide_on_half_of_the_contacts() -> None:
    """A connection that dies in the middle decides nothing, for who was not heard of may fit as well."""
    stub = Stub(
        contacts={"good": contact(alias="boss"), "other": contact(weixin="boss")},
        errors={"contact_payload other": [StreamTerminatedError("x")]},
    )
    puppet = Puppet(stub)
    with pytest.raises(TransportError, match="was lost"):
        await puppet.resolve("boss")
    with pytest.raises(RejectedError, match="2 contacts fit"):
        await puppet.resolve("boss")


async def test_puppet_asks_anew_before_it_finds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is unknown, or fits twice, by contacts of some time ago is looked for among those of now; who fits is not."""
    monkeypatch.setattr(puppet_module, "_FRESH_SECONDS", 0.0)
    stub = Stub(contacts={"early": contact(alias="boss")})
    puppet = Puppet(stub)
    assert (await puppet.resolve("boss")).id == "early"
    stub.contacts["late"] = contact(weixin="AdminWeixin")
    assert (await puppet.resolve("boss")).id == "early"
    assert len(stub.asked) == 2
    assert (await puppet.resolve("AdminWeixin")).id == "late"
    stub.contacts["late"] = contact(weixin="boss")
    puppet.forget()
    with pytest.raises(RejectedError, match="2 contacts fit"):
        await puppet.resolve("boss")
    stub.contacts["late"] = contact()
    assert (await puppet.resolve("boss")).id == "early"


async def test_puppet_is_not_asked_twice_at_once_for_nobody() -> None:
    """Several names that are unknown cost one listing, not one each."""
    stub = Stub(contacts={"ann": contact()})
    puppet = Puppet(stub)
    for who in ("one", "two", "three"):
        with pytest.raises(RejectedError, match="no contact fits"):
            await puppet.resolve(who)
    assert stub.asked == [("contact_list", None), ("contact_payload", "ann")]


async def test_puppet_decides_on_all_contacts_though_some_are_forgotten_meanwhile() -> None:
    """Contacts that change while they are listed are still among those that may fit."""
    stub = Stub(contacts={"good": contact(alias="boss"), "other": contact(weixin="boss")})
    puppet = Puppet(stub)
    resolving = asyncio.ensure_future(puppet.resolve("boss"))
    while len(stub.asked) < 3:
        await asyncio.sleep(0)
        puppet.forget()
    with pytest.raises(RejectedError, match="2 contacts fit"):
        await resolving


async def test_puppet_own_account_is_nobodys_admin() -> None:
    """The account does not find itself, by whatever name; without any contact the text says so."""
    puppet = Puppet(Stub(contacts={"bob": contact(weixin="bobby")}))
    for who in ("bob", "bobby"):
        with pytest.raises(RejectedError, match=r"no contact fits '.*': the account has no contacts"):
            await puppet.resolve(who, own_id="bob")


async def test_puppet_remembers_only_so_many_contacts() -> None:
    """Whoever writes in a large room does not fill the memory: the oldest are forgotten."""
    stub = Stub(contacts={f"c{n}": contact() for n in range(20_001)})
    puppet = Puppet(stub)
    for one in stub.contacts:
        await puppet.contact(one)
    await puppet.contact("c20000")
    assert len(stub.asked) == 20_001
    await puppet.contact("c0")
    assert len(stub.asked) == 20_002


async def test_puppet_message_says_who_wrote_it() -> None:
    """A message has its writer's names, where the gateway tells them, and the room as its conversation."""
    stub = Stub(
        contacts={"ann": contact(weixin="w", alias="boss", name="Ann"), "eve": contact()},
        messages={
            "m": message(),
            "r": message(room_id="ops@chatroom", from_id="eve", mention_ids=["carol"]),
            "own": message(from_id="bob", to_id="ann"),
            "own in room": message(from_id="bob", room_id="ops@chatroom"),
            "own to nobody": message(from_id="bob"),
        },
        errors={"contact_payload eve": [refusal(Status.UNKNOWN), StreamTerminatedError("x")]},
    )
    puppet = Puppet(stub)
    direct, room = await puppet.message("m", own_id="bob"), await puppet.message("r", own_id="bob")
    assert direct.sender == Sender(id="ann", alias="boss", name="Ann", weixin="w")
    assert (direct.conversation, direct.room, direct.text) == ("ann", None, "qr")
    assert (room.sender, room.conversation, room.room) == (Sender(id="eve"), "ops@chatroom", "ops@chatroom")
    assert room.mentions == ("carol",)
    for one, conversation in (("own", "ann"), ("own in room", "ops@chatroom"), ("own to nobody", "bob")):
        own = await puppet.message(one, own_id="bob")
        assert (own.sender, own.conversation, own.from_self) == (Sender(id="bob"), conversation, True)
    assert not direct.from_self
    assert ("contact_payload", "bob") not in stub.asked
    with pytest.raises(TransportError, match="was lost"):
        await puppet.message("r")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"from_id": ""}, "nobody wrote it"),
        ({"text": "x" * 100_001}, "its text is too long"),
        ({"timestamp": 1 << 63}, "it was sent at no time there is"),
    ],
)
async def test_puppet_message_that_cannot_be_one_is_refused(broken: dict[str, Any], expected: str) -> None:
    """A message without a writer, without a time or too long is none, and the text does not show it."""
    stub = Stub(contacts={"ann": contact()}, messages={"m": message(**broken)})
    with pytest.raises(ValueError, match=f"^{expected}$"):
        await Puppet(stub).message("m")


async def test_puppet_mention_is_taken_off_the_text() -> None:
    """In a room, a message that mentions the account is read without that; one that does not is read as it is."""
    stub = Stub(contacts={"ann": contact(), "bob": contact(name="Bob the bot")})
    puppet = Puppet(stub)

    async def text(text: str, *, room: str = "ops@chatroom", mentions: tuple[str, ...] = ("bob",)) -> str:
        stub.messages["m"] = message(text, room_id=room, mention_ids=list(mentions))
        return (await puppet.message("m", own_id="bob")).text

    assert await text("@Bob the bot\u2005qr bob") == "qr bob"
    assert await text("@carol\u2005 @Bob the bot\u2005qr") == "qr"
    assert await text("@Bob the bot qr bob") == "qr bob"
    assert await text("@alias qr") == "qr"
    assert await text("qr @Bob the bot\u2005") == "qr @Bob the bot\u2005"
    assert await text("@carol\u2005qr", mentions=("carol",)) == "@carol\u2005qr"
    assert await text("@Bob the bot\u2005qr", room="") == "@Bob the bot\u2005qr"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (message("qr", type=TODAY_TEXT), "qr"),
        (message("qr", type=OLD_TEXT), "qr"),
        (message("qr", type=AUDIO), ""),
        (message("qr", filename="qr.png"), ""),
        (message('<?xml version="1.0"?><msg/>'), ""),
        (message("\n <msg><img/></msg>"), ""),
        (message("<3 qr"), "<3 qr"),
    ],
)
def test_puppet_text_is_what_a_person_typed(payload: Any, expected: str) -> None:  # noqa: ANN401
    """Only texts have one: neither files nor the XML of cards, images and videos."""
    assert message_text(payload) == expected


def test_puppet_time_is_in_milliseconds_or_seconds() -> None:
    """Today's gateways tell milliseconds, older ones seconds, and some nothing."""
    at = datetime(2026, 11, 20, 12, 0, 0, 500_000, tzinfo=UTC)
    assert sent_at(int(at.timestamp() * 1000)) == at
    assert sent_at(int(at.timestamp())) == at.replace(microsecond=0)
    before = datetime.now(UTC)
    assert before <= sent_at(0) <= datetime.now(UTC)
