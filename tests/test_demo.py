"""The demo: two real bots, a played WeChat, and you."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from logmonitor.demo import world as worlds
from logmonitor.demo.stage import content_of
from logmonitor.demo.world import YOU, Arrival, Remark, Said, ToBot
from logmonitor.records import Attachment, Link, Qr

if TYPE_CHECKING:
    from logmonitor.demo.world import Effect, Frame, World

QR = "https://login.weixin.qq.com/l/0123456789=="
HELLO: Frame = {"type": "hello", "protocol": 1}


def logged_in() -> World:
    """Return a world in which Alice and Bob are there and well."""
    world = worlds.begin("alice", "bob")
    for bot in ("alice", "bob"):
        world, _ = worlds.receive(world, bot, HELLO)
    return world


def remarks(effects: tuple[Effect, ...]) -> list[tuple[str, Remark]]:
    """Return what is said about whom."""
    return [(effect.bot, effect.remark) for effect in effects if isinstance(effect, Said)]


def frames(effects: tuple[Effect, ...], bot: str) -> list[Frame]:
    """Return what a bot is told."""
    return [effect.frame for effect in effects if isinstance(effect, ToBot) and effect.bot == bot]


def test_world_logs_a_bot_in_when_it_is_there() -> None:
    """A bot that says hello learns its contacts, before it can be asked for one, and that it is logged in."""
    world, effects = worlds.receive(worlds.begin("alice", "bob"), "alice", HELLO)
    assert (world.accounts["alice"].is_logged_in, world.accounts["bob"].is_logged_in) == (True, False)
    assert remarks(effects) == [("alice", Remark.LOGGED_IN)]
    assert frames(effects, "alice") == [
        {
            "type": "contacts",
            "contacts": [
                {"id": "you", "name": "You", "weixin": "you"},
                {"id": "bob", "name": "Bob", "weixin": "bob"},
            ],
        },
        {"type": "up"},
        {"type": "login", "user": "Alice"},
    ]


def test_world_tells_a_bot_of_its_loss() -> None:
    """A bot that is logged out learns that, and the QR that brings it back; a second time nothing happens."""
    world, effects = worlds.log_out(logged_in(), "bob", qr=QR)
    assert frames(effects, "bob") == [
        {"type": "down", "reason": "logged out"},
        {"type": "logout", "user": "Bob"},
        {"type": "scan", "qr": QR},
    ]
    assert (world.accounts["bob"].is_logged_in, world.accounts["bob"].qr) == (False, QR)
    assert worlds.log_out(world, "bob", qr="another") == (world, (Said(bot="bob", remark=Remark.ALREADY_OUT),))


def test_world_brings_a_bot_back_by_a_scan() -> None:
    """A scan of the QR is told first, then the login; without a QR there is nothing to scan."""
    world, _ = worlds.log_out(logged_in(), "bob", qr=QR)
    world, effects = worlds.scan(world, "bob")
    assert [frame["type"] for frame in frames(effects, "bob")] == ["scanned", "contacts", "up", "login"]
    assert remarks(effects) == [("bob", Remark.SCANNED), ("bob", Remark.LOGGED_IN)]
    assert (world.accounts["bob"].is_logged_in, world.accounts["bob"].qr) == (True, None)
    assert worlds.scan(world, "bob") == (world, (Said(bot="bob", remark=Remark.NOTHING_TO_SCAN),))


def test_world_delivers_what_you_write() -> None:
    """Each of your messages reaches its bot under an id of its own."""
    world, first = worlds.write(logged_in(), "alice", "status")
    world, second = worlds.write(world, "alice", "status")
    you = {"id": "you", "name": "You", "weixin": "you"}
    assert [frame for effects in (first, second) for frame in frames(effects, "alice")] == [
        {"type": "message", "id": f"message-{number}", "sender": you, "conversation": "you", "text": "status"}
        for number in (1, 2)
    ]


def test_world_keeps_messages_for_who_is_logged_out() -> None:
    """A bot that is logged out receives nothing until it is back, and then the newest messages."""
    world, _ = worlds.log_out(logged_in(), "bob", qr=QR)
    for number in range(30):
        world, effects = worlds.write(world, "bob", str(number))
        assert effects == (Said(bot="bob", remark=Remark.MESSAGE_WAITS),)
    world, effects = worlds.scan(world, "bob")
    texts = [frame["text"] for frame in frames(effects, "bob") if frame["type"] == "message"]
    assert texts == [str(number) for number in range(10, 30)]
    assert world.accounts["bob"].waiting == ()


def test_world_shows_you_what_a_bot_sends() -> None:
    """What a bot sends to you arrives and is accepted."""
    frame: Frame = {"type": "send", "id": 4, "to": YOU, "text": "hello"}
    world = logged_in()
    assert worlds.receive(world, "alice", frame) == (
        world,
        (
            Arrival(bot="alice", frame=frame),
            ToBot(bot="alice", frame={"type": "accepted", "id": 4, "message_id": "alice-4"}),
        ),
    )


def test_world_passes_messages_between_bots() -> None:
    """One bot can write to the other."""
    _, effects = worlds.receive(logged_in(), "alice", {"type": "send", "id": 1, "to": "bob", "text": "您好世界"})
    (message,) = frames(effects, "bob")
    assert (message["sender"], message["text"]) == ({"id": "alice", "name": "Alice", "weixin": "alice"}, "您好世界")
    assert frames(effects, "alice") == [{"type": "accepted", "id": 1, "message_id": "alice-1"}]


def test_world_refuses_for_now_who_is_logged_out() -> None:
    """A bot that is logged out cannot send, and is told that this will pass."""
    world, _ = worlds.log_out(logged_in(), "bob", qr=QR)
    _, effects = worlds.receive(world, "bob", {"type": "send", "id": 1, "to": YOU, "text": "help"})
    assert effects == (
        ToBot(bot="bob", frame={"type": "refused", "id": 1, "reason": "not logged in", "permanent": False}),
    )


def test_world_refuses_strangers_for_good() -> None:
    """Nobody can be written to who is not there, nor can a bot write to itself."""
    for to in ("carol", "alice"):
        _, effects = worlds.receive(logged_in(), "alice", {"type": "send", "id": 1, "to": to, "text": "x"})
        assert frames(effects, "alice") == [
            {"type": "refused", "id": 1, "reason": f"no contact {to!r}", "permanent": True}
        ]


def test_world_ignores_frames_it_does_not_know() -> None:
    """A frame of a later protocol changes nothing."""
    world = logged_in()
    assert worlds.receive(world, "alice", {"type": "typing"}) == (world, ())


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["out", "scan", "write", "send", "hello"]),
            st.sampled_from(["alice", "bob"]),
        ),
        max_size=40,
    )
)
def test_world_has_a_qr_exactly_while_logged_out(steps: list[tuple[str, str]]) -> None:
    """Whatever happens, an account that is logged in has no QR, and one that was thrown out receives no message."""
    world = logged_in()
    for kind, bot in steps:
        match kind:
            case "out":
                world, effects = worlds.log_out(world, bot, qr=QR)
            case "scan":
                world, effects = worlds.scan(world, bot)
            case "write":
                world, effects = worlds.write(world, bot, "x")
            case "send":
                world, effects = worlds.receive(world, bot, {"type": "send", "id": 1, "to": YOU, "text": "x"})
            case _:
                world, effects = worlds.receive(world, bot, HELLO)
        for account in world.accounts.values():
            assert account.is_logged_in == (account.qr is None)
            if not account.is_logged_in:
                assert not any(frame["type"] == "message" for frame in frames(effects, account.name))


def test_demo_reads_all_that_a_bot_sends() -> None:
    """Text, link and attachment come out of a frame as they went in."""
    assert content_of({"text": "hello"}) == "hello"
    assert content_of({"link": {"title": "t", "url": "u", "description": "d"}}) == Link(
        title="t", url="u", description="d"
    )
    attachment = {
        "filename": "q",
        "content_type": "image/png",
        "data": "YQ==",
        "caption": "c",
        "qr": QR,
        "modules": None,
    }
    assert content_of({"attachment": attachment}) == Attachment(
        filename="q", content_type="image/png", data=b"a", caption="c", qr=Qr(payload=QR)
    )
    assert content_of({"attachment": attachment | {"qr": None}}) == Attachment(
        filename="q", content_type="image/png", data=b"a", caption="c"
    )
