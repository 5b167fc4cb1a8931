"""The shipped rescue in a chat of its own: the kit tests what it was not written for."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import zxingcpp
from PIL import Image

from logmonitor import Attachment, OperationConfig
from logmonitor.testing import chat
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from logmonitor import Content

URL = "https://login.weixin.qq.com/l/Abc123=="
SCAN = (
    "22:44:35 INFO StarterBot onScan: Waiting(2) - "
    "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D"
)
LOGIN = "22:44:40 INFO StarterBot Contact<Bob> login"


def shows_the_qr(content: Content) -> bool:
    """Accept a picture from which a phone reads the QR."""
    if not isinstance(content, Attachment):
        return False
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(content.data)))
    return code.text == URL


async def test_rescue_tells_its_admins_and_nobody_else() -> None:
    """A lost session brings every admin a sentence and the QR, and whom the command is granted the QR on demand."""
    rescue = qr_rescue(OperationConfig(watch="bob"))
    async with chat(
        rescue, admins=("Ann", "Ben"), users=("Cy", "Eve"), rooms={"fun": ("Ann", "Eve")}, watches=("bob",)
    ) as here:
        ann, ben, cy, eve = map(here.user, ("Ann", "Ben", "Cy", "Eve"))
        here.log("bob").write(LOGIN, SCAN)
        for admin in (ann, ben):
            await admin.should_receive("bob has lost its session and asks for a scan")
            await admin.should_receive(shows_the_qr)
        await cy.should_be_denied("qr")
        here.grant(cy, "qr_rescue.qr")
        await cy.says("qr").should_reply(shows_the_qr)
        await eve.should_be_denied("qr bob")
        await ann.says("qr", room="fun").should_not_reply()
        here.log("bob").write(LOGIN)
        for admin in (ann, ben):
            await admin.should_receive("bob is logged in again")
