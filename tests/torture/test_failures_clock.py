"""A rescue while the machine's clock is set, back and forward: in the running program, whose clocks a test moves."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import pytest
import zxingcpp
from PIL import Image

from logmonitor import Attachment, OperationConfig, TransportError
from logmonitor.testing import FakeClock, LogWriter, chat
from operations.qr_rescue import qr_rescue
from tests.torture.rescuer import BACK, LOST, PAYLOAD

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from logmonitor import Content
    from logmonitor.testing import Chat

STEPS: Final = (-86_400 * 400, -3600, -61, 61, 3600, 86_400 * 20, 86_400 * 40)
SCAN: Final = "onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{}%3D%3D"


class Bot:
    """Alice, whose log tells the time of a clock that is set."""

    def __init__(self, log: LogWriter, clock: FakeClock) -> None:
        """Write to `log`."""
        self.log = log
        self._clock = clock

    def says(self, *texts: str) -> None:
        """Write lines of the present time."""
        stamp = f"{self._clock.now().astimezone():%H:%M:%S}"
        self.log.write(*(f"{stamp} INFO StarterBot {text}" for text in texts))


def shows(name: str) -> Callable[[Content], bool]:
    """Accept an image from which a phone reads that QR."""

    def accept(content: Content) -> bool:
        if not isinstance(content, Attachment):
            return False
        (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(content.data)))
        return code.text == PAYLOAD.format(name)

    return accept


@pytest.mark.parametrize("step", STEPS)
async def test_rescue_goes_by_no_clock_that_can_be_set(tmp_path: Path, step: float) -> None:
    """Whenever the clock is set, and how far, each loss, QR and return is told once, over a restart too."""
    clock, log = FakeClock(), LogWriter(tmp_path / "alice.log")
    alice = Bot(log, clock)
    alice.says("Contact<Alice> login")
    folder = tmp_path / "kept"
    folder.mkdir()

    def running() -> AbstractAsyncContextManager[Chat]:
        return chat(
            qr_rescue(OperationConfig(watch="alice")),
            log_of={"alice": log},
            profile="wechaty-ts",
            folder=folder,
            clock=clock,
        )

    async with running() as here:
        ann = here.user("Ann")
        await here.settle()
        here.transport.fail_next(TransportError("no network"))
        alice.says("Contact<Alice> logout", SCAN.format("1"))
        await here.settle()
        clock.adjust(step)
        await here.move_on(60)
        await ann.should_receive(late(LOST))
        await ann.should_receive(shows("1"))
        alice.says(SCAN.format("2"))
        clock.adjust(-step)
        await here.move_on(60)
        await ann.should_receive(shows("2"))
        clock.adjust(step)
    async with running() as here:
        ann = here.user("Ann")
        await ann.should_receive_nothing()
        alice.says("Contact<Alice> login")
        await ann.should_receive(BACK)
        clock.adjust(-step)
        alice.says("Contact<Alice> logout", SCAN.format("3"))
        await ann.should_receive(LOST)
        await ann.should_receive(shows("3"))


def late(text: str) -> Callable[[Content], bool]:
    """Accept a text behind when it was written, if that is told."""
    return lambda content: isinstance(content, str) and content.endswith(text)
