"""`logmonitor run` whose gateway is down, by itself and with the other one: what then reaches the admin, and how."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import zxingcpp
from PIL import Image

from tests.gateway.driver import DEADLINE, Gateway, free_port, needs_gateway
from tests.mailbox import file_in, mailbox
from tests.test_cli_run import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from email.message import EmailMessage
    from pathlib import Path

SHOWN: Final = "onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{name}%3D%3D"
PAYLOAD: Final = "https://login.weixin.qq.com/l/{name}=="
WATCHES: Final = """
[[watch]]
name = "bob"
log = "bob.log"
profile = "wechaty-ts"

[[watch]]
name = "carol"
log = "carol.log"
profile = "wechaty-ts"

[[operation]]
use = "qr_rescue"
"""
CHATS: Final = (
    """
[bot]
name = "alice"

[chat]
transport = "wechaty"
endpoint = "{first.endpoint}"
token = "{first.token}"
tls = false
admins = ["AdminWeixin"]
"""
    + WATCHES
    + """
[[fallback]]
name = "other"
after = 1
transport = "wechaty"
endpoint = "{second.endpoint}"
token = "{second.token}"
tls = false
to = ["AdminWeixin"]

[[fallback]]
name = "mail"
after = 1
url = "{box.url}"
"""
)
MAIL: Final = (
    """
[bot]
name = "alice"

[chat]
transport = "wechaty"
endpoint = "127.0.0.1:{port}"
token = "nobody-listens"
tls = false
admins = ["AdminWeixin"]
"""
    + WATCHES
    + """
[[fallback]]
url = "json://127.0.0.1:{dead}"
after = {after}

[[fallback]]
url = "{box.url}"
after = {after}
"""
)
RUN: Final = """
import sys
from logmonitor.cli import main
from logmonitor.escalating import way
way.CONNECT_SECONDS = 1.0
sys.exit(main())
"""


@asynccontextmanager
async def running(folder: Path, configuration: str, *, ends: bool = True) -> AsyncIterator[Process]:
    """Run Alice until a signal ends her, or the test does."""
    for name in ("bob", "carol"):
        with (folder / f"{name}.log").open("a") as log:
            log.write("22:40:00 INFO StarterBot started\n")
    (folder / "alice.toml").write_text(configuration)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, "run", "--verbose", str(folder / "alice.toml")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    alice = Process(process=process)
    try:
        yield alice
        if ends:
            process.terminate()
            async with asyncio.timeout(DEADLINE):
                assert await alice.end() == 0
            assert "Traceback" not in "".join(alice.errors)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def lose(folder: Path, name: str) -> None:
    """Let a bot's log show that it needs a scan."""
    with (folder / f"{name}.log").open("a") as log:
        log.write(f"22:44:35 INFO StarterBot {SHOWN.format(name=name)}\n")


def bring_back(folder: Path, name: str) -> None:
    """Let a bot's log show that it is logged in."""
    with (folder / f"{name}.log").open("a") as log:
        log.write(f"22:50:00 INFO StarterBot Contact<{name}> login\n")


async def follow(alice: Process, folder: Path) -> None:
    """Wait until what happens to the bots from now on is news."""
    for name in ("bob", "carol"):
        bring_back(folder, name)
        await alice.error_with(f"{name}: logged_in")


def told_in(mail: EmailMessage) -> str:
    """Return what the QR in a mail says, or what the mail does, without when that was."""
    if mail.is_multipart():
        return read_qr(file_in(mail)[2])
    return str(mail.get_content()).strip().rpartition("] ")[2]


def read_qr(data: bytes | None) -> str:
    """Return what a phone reads from an image."""
    assert data is not None
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(data)))
    return code.text


@needs_gateway
async def test_qr_reaches_the_admin_while_logged_out_and_with_both_gateways_down(tmp_path: Path) -> None:
    """Over the other account while that is up, its own QR too, by mail with the QR attached then, and never twice."""
    async with AsyncExitStack() as stack:
        first, second = Gateway(name="alice"), Gateway(name="second")
        await asyncio.gather(*(stack.enter_async_context(one) for one in (first, second)))
        box = await stack.enter_async_context(mailbox())
        for gateway in (first, second):
            await gateway.do("contact", id="admin", weixin="AdminWeixin")
            await gateway.do("login")
        async with running(tmp_path, CHATS.format(first=first, second=second, box=box)) as alice:
            await first.wait_for_connection()
            await first.do("logout")
            await first.do("scan", qr=PAYLOAD.format(name="alice"))
            own_caption, own_image = await second.wait_for(2)
            lose(tmp_path, "bob")
            loss, caption, image = (await second.wait_for(5))[2:]
            assert "Login QR of alice" in own_caption.text
            assert read_qr(own_image.data) == PAYLOAD.format(name="alice")
            assert loss.text.endswith("bob has lost its session and asks for a scan")
            assert "Login QR of bob" in caption.text
            assert read_qr(image.data) == PAYLOAD.format(name="bob")
            assert {sent.to for sent in second.sent} == {"admin"}

            await first.do("login")
            bring_back(tmp_path, "bob")
            await first.wait_for(1)
            await first.say("admin", "status")  # answered once the message before has been accepted
            back, status = await first.wait_for(2)
            assert back.text == "bob is logged in again"
            assert "fallback other: 3 sent\nfallback mail: 0 sent" in status.text

            await asyncio.gather(first.kill(), second.kill())
            async with asyncio.timeout(2 * DEADLINE):
                lose(tmp_path, "carol")
                await box.wait_for(2)
            told, shown = box.mails
            name, content_type, data = file_in(shown)
            assert "carol has lost its session and asks for a scan" in told.get_content()
            assert (name, content_type) == ("carol-qr.png", "image/png")
            assert read_qr(data) == PAYLOAD.format(name="carol")
            assert shown["Subject"] == "alice"
        assert (len(box.mails), len(first.sent), len(second.sent)) == (2, 2, 5)
        assert not [line for line in alice.errors if box.url in line or first.token in line]


async def test_kill_doubles_no_more_than_what_was_being_taken(tmp_path: Path) -> None:
    """One that is killed half way through the chain goes on there; only what a service had just taken comes again."""
    async with mailbox() as box:
        text = MAIL.format(port=free_port(), dead=free_port(), box=box, after=1)
        box.is_going.clear()
        async with running(tmp_path, text, ends=False) as alice, asyncio.timeout(DEADLINE):
            await follow(alice, tmp_path)
            lose(tmp_path, "bob")
            await box.wait_for(1)
            alice.process.kill()
            await alice.process.wait()
        box.is_going.set()
        async with running(tmp_path, text), asyncio.timeout(DEADLINE):
            await box.wait_for(3)
        async with running(tmp_path, text), asyncio.timeout(DEADLINE):
            lose(tmp_path, "carol")
            await box.wait_for(5)
    assert [told_in(mail) for mail in box.mails] == [
        "bob has lost its session and asks for a scan",
        "bob has lost its session and asks for a scan",
        PAYLOAD.format(name="bob"),
        "carol has lost its session and asks for a scan",
        PAYLOAD.format(name="carol"),
    ]


async def test_qr_of_a_bot_that_is_back_does_not_go(tmp_path: Path) -> None:
    """What a return makes useless while it waits for its time is not sent; that it was lost and is back is."""
    async with mailbox() as box:
        text = MAIL.format(port=free_port(), dead=free_port(), box=box, after=3)
        async with running(tmp_path, text) as alice, asyncio.timeout(DEADLINE):
            await follow(alice, tmp_path)
            lose(tmp_path, "bob")
            bring_back(tmp_path, "bob")
            await box.wait_for(2)
            lose(tmp_path, "carol")
            await box.wait_for(4)
    assert [told_in(mail) for mail in box.mails] == [
        "bob has lost its session and asks for a scan",
        "bob is logged in again",
        "carol has lost its session and asks for a scan",
        PAYLOAD.format(name="carol"),
    ]
