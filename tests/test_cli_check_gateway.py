"""`logmonitor check` of a chat by Wechaty, as a process of its own, against a running gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.gateway.certificate import make_certificate
from tests.gateway.driver import DEADLINE, Gateway, free_port, needs_gateway
from tests.wechaty_client import client, take_messages, up

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = needs_gateway

LOG = Path(__file__).parent / "data" / "wechaty-ts.real.log"
BY_ID = "ok: admins: best named by id, which nobody else can come to have:"
CONFIGURATION = """
[bot]
name = "alice"

[chat]
transport = "wechaty"
endpoint = "{endpoint}"
token = "${{WECHATY_TOKEN}}"
{keys}
admins = {admins}

[[watch]]
name = "bob"
log = "{log}"

[[operation]]
use = "qr_rescue"
"""


async def chat_lines(
    folder: Path, gateway: Gateway, keys: str = "tls = false", *, admins: str = '["AdminWeixin"]', token: str = ""
) -> tuple[int, list[str]]:
    """Check a configuration; return the exit code and the lines about the chat and its admins."""
    path = folder / "bots.toml"
    text = CONFIGURATION.format(endpoint=gateway.endpoint, keys=keys, admins=admins, log=LOG)
    path.write_text(text, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "logmonitor", "check", str(path)),
        env=os.environ | {"WECHATY_TOKEN": token or gateway.token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(DEADLINE):
        out, errors = await process.communicate()
    assert (errors, process.returncode is None) == (b"", False)
    lines = out.decode().replace(gateway.endpoint, "HERE").splitlines()[6:-1]
    return int(process.returncode or 0), lines


async def know_contacts(gateway: Gateway) -> None:
    """Let the account know an admin, and two others whom one number fits."""
    await gateway.do("contact", id="admin", name="Boss", weixin="AdminWeixin", alias="the boss")
    await gateway.do("contact", id="one", alias="twice")
    await gateway.do("contact", id="two", weixin="twice")


async def test_check_finds_nothing_wrong_with_a_gateway_that_is_well(tmp_path: Path) -> None:
    """With the right keys, an account that is logged in and admins by id, number and alias, nothing is found."""
    async with Gateway() as gateway:
        await know_contacts(gateway)
        await gateway.do("login")
        assert await chat_lines(tmp_path, gateway, admins='["admin", "AdminWeixin", "the boss"]') == (
            0,
            [
                "ok: chat wechaty: can be reached",
                "ok: admin admin: is the contact admin",
                "ok: admin AdminWeixin: is the contact admin",
                "ok: admin the boss: is the contact admin",
                f"{BY_ID} 'admin' for 'AdminWeixin', 'admin' for 'the boss'",
            ],
        )


async def test_check_does_not_disturb_a_bot_that_runs(tmp_path: Path) -> None:
    """A bot's events go on, its account stays logged in and nothing of it is connected anew; the admins are found."""
    async with Gateway() as gateway:
        await know_contacts(gateway)
        await gateway.do("login")
        async with up(client(gateway)) as chat:
            assert await chat_lines(tmp_path, gateway) == (
                0,
                [
                    "ok: chat wechaty: can be reached; another client uses it, as a running bot does",
                    "ok: admin AdminWeixin: is the contact admin",
                    f"{BY_ID} 'admin' for 'AdminWeixin'",
                ],
            )
            await gateway.say("admin", "status")
            assert [message.text for message in await take_messages(chat, 1)] == ["status"]
            await chat.send("admin", "fine")
            assert chat.health().is_up
        assert [sent.text for sent in gateway.sent] == ["fine"]
        assert gateway.connections == 1


async def test_check_finds_an_admin_that_is_unknown_or_ambiguous_on_a_gateway(tmp_path: Path) -> None:
    """Each is one sentence that lists what was found; a display name is nobody."""
    async with Gateway() as gateway:
        await know_contacts(gateway)
        await gateway.do("login")
        code, lines = await chat_lines(tmp_path, gateway, admins='["Boss", "twice"]')
    remedy = "  remedy: name one contact by id, number or alias; a display name is none of these"
    assert (code, lines[0], lines[2], lines[4]) == (1, "ok: chat wechaty: can be reached", remedy, remedy)
    assert lines[1].startswith(
        "finding: admin Boss: unknown to the chat: no contact fits 'Boss'; expected the id of one: "
    )
    assert lines[3] == (
        "finding: admin twice: unknown to the chat: 2 contacts fit 'twice'; expected the id of one:"
        " one (alias “twice”), two (number “twice”)"
    )


async def test_check_finds_that_the_account_is_logged_out(tmp_path: Path) -> None:
    """A gateway whose account asks for a scan is told as such, not as a gateway that is not there."""
    async with Gateway() as gateway:
        await know_contacts(gateway)
        await gateway.do("scan", qr="https://login.weixin.qq.com/l/Abc==")
        code, lines = await chat_lines(tmp_path, gateway)
    assert code == 1
    assert [line.partition(";")[0] for line in lines] == [
        "finding: chat wechaty: can be reached, but the account is logged out",
        "  remedy: scan the login QR that it asks for, or let its twin rescue it",
    ]


async def test_check_finds_that_the_token_is_wrong(tmp_path: Path) -> None:
    """A token that the gateway refuses is one finding, not that no answer came in time, and is shown nowhere."""
    async with Gateway() as gateway:
        await gateway.do("login")
        code, lines = await chat_lines(tmp_path, gateway, token="hunter22")  # noqa: S106  # it is wrong
    assert code == 1
    assert lines == [
        "finding: chat wechaty: is down: the gateway refuses the token",
        (
            "  remedy: give [chat] the token with which its service was started;"
            " then check again, since no admin could be looked up"
        ),
    ]


@pytest.mark.parametrize(
    ("make", "keys", "reason"),
    [
        (lambda _: Gateway(), "", "HERE does not speak TLS; tls = false speaks to it in the clear"),
        (
            lambda _: Gateway(default_certificate=True),
            "",
            "the certificate of HERE is not trusted by the system's authorities: ",
        ),
        (
            lambda folder: Gateway(certificate=make_certificate(folder).pair),
            'ca_file = "ca.pem"',
            "the certificate of HERE is not for '127.0.0.1'; ",
        ),
        (
            lambda _: Gateway(default_certificate=True),
            "tls = false",
            "HERE ends the connection at once, as one that speaks TLS does; ",
        ),
    ],
)
async def test_check_finds_that_tls_is_refused(
    tmp_path: Path, make: Callable[[Path], Gateway], keys: str, reason: str
) -> None:
    """Whichever side does not speak TLS, or whatever is wrong with the certificate, is one finding with its remedy."""
    async with make(tmp_path) as gateway:
        await gateway.do("login")
        code, (finding, remedy) = await chat_lines(tmp_path, gateway, keys)
    assert code == 1
    assert finding.startswith(f"finding: chat wechaty: is down: {reason}")
    assert remedy.startswith("  remedy: name in ca_file " if "certificate" in reason else "  remedy: say with tls ")


async def test_check_trusts_a_certificate_of_ones_own(tmp_path: Path) -> None:
    """With its authority and its name nothing is found; without any check, that is the finding."""
    certificate = make_certificate(tmp_path)
    async with Gateway(certificate=certificate.pair) as gateway:
        await know_contacts(gateway)
        await gateway.do("login")
        well = [
            "ok: chat wechaty: can be reached",
            "ok: admin AdminWeixin: is the contact admin",
            f"{BY_ID} 'admin' for 'AdminWeixin'",
        ]
        keys = f'ca_file = "ca.pem"\nserver_name = "{certificate.name}"'
        assert await chat_lines(tmp_path, gateway, keys) == (0, well)
        code, (finding, _, *rest) = await chat_lines(tmp_path, gateway, "insecure = true")
    assert (code, rest) == (1, well)
    assert finding.startswith("finding: chat wechaty: insecure = true: no certificate is checked")


async def test_check_finds_that_nothing_listens(tmp_path: Path) -> None:
    """An endpoint at which nothing listens is one finding, and not that no answer came in time."""
    code, lines = await chat_lines(tmp_path, Gateway(port=free_port()))
    assert code == 1
    assert lines == [
        "finding: chat wechaty: is down: HERE cannot be reached: connection refused",
        (
            "  remedy: check the keys of [chat], and whether the service it names is up from this machine;"
            " then check again, since no admin could be looked up"
        ),
    ]
