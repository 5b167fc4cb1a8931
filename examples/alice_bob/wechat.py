"""WeChat as you play it: what you type happens to an account, and what a bot sends to its admin is shown."""

from __future__ import annotations

import asyncio
import io
import secrets
from typing import TYPE_CHECKING, Final

import zxingcpp
from PIL import Image
from rich.text import Text

from logmonitor import Qr, render_terminal
from tests.gateway.driver import GatewayError

if TYPE_CHECKING:
    from rich.console import Console

    from logmonitor.testing.authenticator import Authenticator
    from tests.gateway.driver import Gateway, Sent

ADMIN: Final = "admin"
USAGE: Final = """\
You are their WeChat, and the admin to whom they write. Type:
  bob logout            his account is thrown out
  bob scan [CONTENT]    WeChat asks him for a scan, with a QR of CONTENT
  bob expire            nobody has scanned it in time
  bob login             somebody has scanned it
  alice say qr          you write to her: qr, status, restart, tail 20, checks, help or whatever
  alice code            your authenticator shows the code of now, which she wants for sh
and the same with alice and bob exchanged. An empty line shows this again, Ctrl-D ends everything."""
_ANSWER_SECONDS: Final = 5.0
_QUIET_SECONDS: Final = 1.0
_TIMEOUT: Final = 5
"""How Wechaty calls a QR that has expired."""


class WeChat:
    """The accounts of some bots, each behind a gateway, and the phone of their admin."""

    def __init__(self, gateways: dict[str, Gateway], phones: dict[str, Authenticator], console: Console) -> None:
        """Show on `console` what is sent through `gateways`, which bear their bots' names as `phones` do."""
        self._gateways = gateways
        self._phones = phones
        self._console = console
        self._news = asyncio.Event()

    async def act(self, line: str) -> bool:
        """Let happen what was typed; say so, and return False, where it cannot."""
        self._news.clear()
        try:
            match line.split(maxsplit=2):
                case [bot, "login" | "logout" as action] if bot in self._gateways:
                    await self._gateways[bot].do(action)
                case [bot, "scan", *content] if bot in self._gateways:
                    qr = content[0].strip() if content else f"http://weixin.qq.com/x/{secrets.token_urlsafe(12)}"
                    await self._gateways[bot].do("scan", qr=qr)
                case [bot, "expire"] if bot in self._gateways:
                    await self._gateways[bot].do("scan", status=_TIMEOUT)
                case [bot, "say", text] if bot in self._gateways:
                    await self._gateways[bot].say(ADMIN, self._with_code(bot, text.strip()))
                case [bot, "code"] if bot in self._phones:
                    self.note(f"your authenticator shows for {bot}: {self._phones[bot].code()}")
                    return False
                case _:
                    self.note(USAGE)
                    return False
        except GatewayError as error:
            self.note(str(error))
            return False
        return True

    async def show(self, bot: str) -> None:
        """Show all that a bot sends to its admin, as it is sent, and deliver what it sends to another bot."""
        count = 0
        while True:
            for sent in (await self._gateways[bot].wait_for(count + 1, seconds=None))[count:]:
                count += 1
                if sent.to in self._gateways:
                    await self._gateways[sent.to].say(bot, sent.text)
                    continue
                self._draw(bot, sent)
                self._news.set()

    def miss(self, bot: str) -> None:
        """Say that the process of a bot has ended."""
        self.note(f"the process of {bot} has ended, and is started again as a supervisor does")

    async def settle(self) -> None:
        """Wait until something is sent, and then until nothing more is."""
        seconds = _ANSWER_SECONDS
        while True:
            try:
                await asyncio.wait_for(self._news.wait(), seconds)
            except TimeoutError:
                return
            self._news.clear()
            seconds = _QUIET_SECONDS

    def note(self, text: str) -> None:
        """Show what is no message."""
        self._console.print(Text(text, style="dim"), soft_wrap=True)

    def _with_code(self, bot: str, text: str) -> str:
        """Return a text with the code of now in the place of CODE, as you would read it off your phone."""
        return text.replace("CODE", self._phones[bot].code())

    def _draw(self, bot: str, sent: Sent) -> None:
        """Show a message, with its QR in one piece: nothing that is typed meanwhile comes between."""
        what = sent.text if sent.data is None else f"{sent.filename} ({len(sent.data):,} bytes)"
        rows = [Text.assemble((f"{bot}: ", "bold green"), what)]
        if sent.data is not None and (sent.filename or "").endswith(".png"):
            is_coloured = self._console.color_system is not None
            style = "black on bright_white" if is_coloured else ""
            for code in zxingcpp.read_barcodes(Image.open(io.BytesIO(sent.data))):
                qr = render_terminal(Qr(payload=code.text), dark_blocks=is_coloured)
                rows.extend(Text(row, style=style) for row in qr)
        self._console.print(Text("\n").join(rows), soft_wrap=True)
