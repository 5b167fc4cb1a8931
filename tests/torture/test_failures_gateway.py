"""A rescue by `logmonitor run` and a real gateway that is down, slow, answers errors, or takes and does not answer."""

from __future__ import annotations

import io
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest
import zxingcpp
from PIL import Image

from logmonitor.testing.log_writer import LogWriter
from tests.gateway.driver import Sent, needs_gateway
from tests.torture.rescuer import BACK, LOST, PAYLOAD, Alice, Rescuer
from tests.torture.way import SOUND, Fault, Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.gateway.driver import Gateway

pytestmark = needs_gateway

CONFIGURATION: Final = """
[bot]
name = "bob"

[chat]
transport = "wechaty"
endpoint = "{endpoint}"
token = "{token}"
tls = false
admins = {admins}

[[watch]]
name = "alice"
log = "alice.log"
profile = "wechaty-ts"

[[operation]]
use = "qr_rescue"
"""
RESCUE: Final = [LOST, "Login QR of alice, from alice.log", PAYLOAD.format("1")]
LATE: Final = re.compile(r"^\[[^]]*\d\d:\d\d\] ")
TRIES: Final = 3
WAITING: Final = 2


@asynccontextmanager
async def bob_at(
    gateway: Gateway, folder: Path, *, admins: tuple[str, ...] = ("admin",)
) -> AsyncIterator[tuple[Rescuer, Alice, Way]]:
    """Give Bob in his chat, by a way to the gateway that is sound, and Alice, who is logged in.

    The one admin is whom all of `admins` mean.
    """
    await gateway.do("contact", id="admin", alias="AdminAlias", weixin="AdminWeixin")
    await gateway.do("login")
    alice = Alice(LogWriter(folder / "alice.log"))
    alice.logs_in()
    async with Way(gateway.port) as way:
        config = folder / "bob.toml"
        config.write_text(CONFIGURATION.format(endpoint=way.endpoint, token=gateway.token, admins=json.dumps(admins)))
        async with Rescuer(config) as bob:
            await gateway.wait_for_connection()
            await is_obeyed(gateway)
            await bob.keeps(lambda kept: not kept.letters_waiting, "all that was sent is accepted")
            yield bob, alice, way


async def is_obeyed(gateway: Gateway) -> list[str]:
    """Wait until an admin's command is answered; return what else has been sent since the last time.

    What is sent to one recipient goes in order, but for its urgency: whatever was to be sent before is then there.
    """
    await gateway.say("admin", "status")
    while not any(map(is_status, gateway.sent)):
        await gateway.wait_for(len(gateway.sent) + 1)
    sent = [shown(one) for one in gateway.sent if not is_status(one)]
    gateway.sent.clear()
    return sent


def is_status(sent: Sent) -> bool:
    """Tell whether this is what `status` answers."""
    return sent.text.startswith("alice: ")


def shown(sent: Sent) -> str:
    """Return a text without when it was written, of several lines the first, or what a phone reads from a QR."""
    if sent.data is None:
        return LATE.sub("", sent.text).partition("\n")[0]
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(sent.data)))
    return code.text


async def test_rescue_waits_for_a_gateway_that_is_down(gateway: Gateway, tmp_path: Path) -> None:
    """What is due while the gateway is dead arrives once, in order, when it is back and its account logged in."""
    async with bob_at(gateway, tmp_path) as (bob, alice, _):
        await gateway.kill()
        await bob.says("the chat is down")
        alice.logs_out()
        alice.shows("1")
        await gateway.restart()
        await gateway.do("login")
        assert [shown(one) for one in await gateway.wait_for(3)] == RESCUE
        assert await is_obeyed(gateway) == RESCUE


async def test_rescue_goes_over_a_slow_way(gateway: Gateway, tmp_path: Path) -> None:
    """Where every piece takes a third of a second more, all of it arrives once and in order."""
    async with bob_at(gateway, tmp_path) as (bob, alice, way):
        way.become(Fault(delay=0.3))
        alice.logs_out()
        alice.shows("1")
        await gateway.wait_for(3)
        alice.logs_in()
        assert [shown(one) for one in await gateway.wait_for(4)] == [*RESCUE, BACK]
        way.become(SOUND)
        assert await is_obeyed(gateway) == [*RESCUE, BACK]
        assert "the chat is down" not in bob.errors


async def test_rescue_is_tried_again_while_the_gateway_answers_errors(gateway: Gateway, tmp_path: Path) -> None:
    """Sends that are answered by an error are tried again until they are accepted, each once and in order."""
    async with bob_at(gateway, tmp_path) as (bob, alice, _):
        await gateway.do("fail", times=3, text="internal error")
        alice.logs_out()
        alice.shows("1")
        await gateway.wait_for(3)
        assert await is_obeyed(gateway) == RESCUE
        await bob.says("did not go and will be tried again")


async def test_message_that_is_taken_and_not_answered_for_is_sent_again(gateway: Gateway, tmp_path: Path) -> None:
    """Where the way dies between a message and its answer nothing is lost, in order; that one alone may come twice."""
    async with bob_at(gateway, tmp_path) as (_, alice, way):
        way.become(Fault(mute=True))
        alice.logs_out()
        alice.shows("1")
        await gateway.wait_for(1)
        way.become(SOUND)
        await way.cut()
        while [one for one in gateway.sent if one.data is not None] == list[Sent]():
            await gateway.wait_for(len(gateway.sent) + 1)
        sent = await is_obeyed(gateway)
    assert list(dict.fromkeys(sent)) == RESCUE
    assert [text for text in RESCUE if sent.count(text) > 1] in ([], [LOST])
    assert len(sent) <= len(RESCUE) + 1


async def test_gateway_that_ends_every_connection_is_tried_until_it_stays(gateway: Gateway, tmp_path: Path) -> None:
    """Connections that are taken and dropped at once are an outage: all arrives once when one stays."""
    async with bob_at(gateway, tmp_path) as (bob, alice, way):
        way.become(Fault(refuses=True))
        await way.cut()
        alice.logs_out()
        alice.shows("1")
        await bob.until(lambda: way.refused >= TRIES, "it has tried to connect again")
        way.become(SOUND)
        await gateway.wait_for(3)
        assert await is_obeyed(gateway) == RESCUE


@pytest.mark.parametrize("admins", [("admin",), ("AdminWeixin",), ("AdminWeixin", "AdminAlias")])
async def test_rescue_survives_a_kill_while_the_gateway_is_down(
    admins: tuple[str, ...], gateway: Gateway, tmp_path: Path
) -> None:
    """What waits for a dead gateway is in the store: killed and started anew, the program sends it, once.

    So it is by whatever name the admin is configured, and by two.
    """
    async with bob_at(gateway, tmp_path, admins=admins) as (bob, alice, _):
        await loses_while_down(gateway, bob, alice)
        bob.kill()
        bob.start()
        await gateway.restart()
        await gateway.do("login")
        await gateway.wait_for(3)
        assert await is_obeyed(gateway) == RESCUE


async def loses_while_down(gateway: Gateway, bob: Rescuer, alice: Alice, *, waiting: int = WAITING) -> None:
    """Let Alice need a rescue while nothing can be sent, of which so many messages wait."""
    await gateway.kill()
    await bob.says("the chat is down")
    alice.logs_out()
    alice.shows("1")
    await bob.keeps(lambda kept: kept.letters_waiting == waiting, "the messages wait in the store")


async def test_what_waits_reaches_nobody_who_has_taken_an_admin_s_name_meanwhile(
    gateway: Gateway, tmp_path: Path
) -> None:
    """While two fit the name that an admin is configured by neither is sent anything; the admin is, once it is his."""
    async with bob_at(gateway, tmp_path, admins=("AdminWeixin", "keeper")) as (bob, alice, _):
        await loses_while_down(gateway, bob, alice, waiting=2 * WAITING)
        bob.kill()
        await gateway.restart()
        await gateway.do("contact", id="keeper")
        await gateway.do("contact", id="eve", name="AdminWeixin", weixin="AdminWeixin")
        bob.start()
        await gateway.do("login")
        await bob.says("admin AdminWeixin is unknown to the chat, which will be asked again: 2 contacts fit")
        alice.logs_in()
        await gateway.say("keeper", "status")
        while not any(map(is_status, gateway.sent)):
            await gateway.wait_for(len(gateway.sent) + 1)
        assert {one.to for one in gateway.sent} == {"keeper"}
        await gateway.do("contact", id="eve", name="AdminWeixin", weixin="eve")
        while not any(shown(one) == BACK and one.to == "admin" for one in gateway.sent):
            await gateway.wait_for(len(gateway.sent) + 1)
        assert [shown(one) for one in gateway.sent if one.to == "admin"] == [LOST, BACK]
        assert {one.to for one in gateway.sent} == {"keeper", "admin"}
