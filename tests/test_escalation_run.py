"""`logmonitor run` whose gateway is down, by itself and with the other one: what then reaches the admin, and how."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import zxingcpp
from PIL import Image

from tests.gateway.driver import DEADLINE, Gateway, needs_gateway
from tests.mailbox import file_in, mailbox
from tests.test_cli_run import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.mailbox import Mailbox

pytestmark = needs_gateway

SHOWN: Final = "onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{name}%3D%3D"
PAYLOAD: Final = "https://login.weixin.qq.com/l/{name}=="
CONFIGURATION: Final = """
[bot]
name = "alice"

[chat]
transport = "wechaty"
endpoint = "{first.endpoint}"
token = "{first.token}"
tls = false
admins = ["AdminWeixin"]

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
RUN: Final = "import sys; from logmonitor.cli import main; sys.exit(main())"


@asynccontextmanager
async def alice_at(first: Gateway, second: Gateway, box: Mailbox, folder: Path) -> AsyncIterator[Process]:
    """Run Alice until a signal ends her."""
    for name in ("bob", "carol"):
        (folder / f"{name}.log").write_text("22:40:00 INFO StarterBot started\n")
    (folder / "alice.toml").write_text(CONFIGURATION.format(first=first, second=second, box=box))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN, "run", str(folder / "alice.toml")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    alice = Process(process=process)
    try:
        yield alice
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


def read_qr(data: bytes | None) -> str:
    """Return what a phone reads from an image."""
    assert data is not None
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(data)))
    return code.text


async def test_qr_reaches_the_admin_with_one_gateway_down_and_with_both(tmp_path: Path) -> None:
    """Over the other account while that is up, by mail with the QR attached when neither is, and never twice."""
    async with Gateway(name="alice") as first, Gateway(name="second") as second, mailbox() as box:
        for gateway in (first, second):
            await gateway.do("contact", id="admin", weixin="AdminWeixin")
            await gateway.do("login")
        async with alice_at(first, second, box, tmp_path) as alice:
            await first.wait_for_connection()
            await first.kill()
            async with asyncio.timeout(DEADLINE):
                lose(tmp_path, "bob")
                loss, caption, image = await second.wait_for(3)
            assert loss.text.endswith("bob has lost its session and asks for a scan")
            assert "Login QR of bob" in caption.text
            assert read_qr(image.data) == PAYLOAD.format(name="bob")
            assert {sent.to for sent in second.sent} == {"admin"}

            await first.restart()
            await first.do("login")
            await first.wait_for_connection(2)
            with (tmp_path / "bob.log").open("a") as log:
                log.write("22:50:00 INFO StarterBot Contact<bob> login\n")
            await first.wait_for(1)
            await first.say("admin", "status")  # answered once the message before has been accepted
            back, status = await first.wait_for(2)
            assert back.text == "bob is logged in again"
            assert "fallback other: 2 sent\nfallback mail: 0 sent" in status.text

            await first.kill()
            await second.kill()
            async with asyncio.timeout(2 * DEADLINE):
                lose(tmp_path, "carol")
                await box.wait_for(2)
            told, shown = box.mails
            name, content_type, data = file_in(shown)
            assert "carol has lost its session and asks for a scan" in told.get_content()
            assert (name, content_type) == ("carol-qr.png", "image/png")
            assert read_qr(data) == PAYLOAD.format(name="carol")
            assert shown["Subject"] == "alice"
        assert (len(box.mails), len(first.sent), len(second.sent)) == (2, 2, 3)
        assert not [line for line in alice.errors if box.url in line or first.token in line]
