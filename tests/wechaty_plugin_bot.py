"""A bot on the Wechaty SDK as its author writes one, with the plugin; started by tests as a process of its own.

    python wechaty_plugin_bot.py ENDPOINT TOKEN PORT [TWIN_KEY]

It tells what happens to it, one JSON object a line, and does what is written to it: `stop`, `restart`, `exit`, and
`off` and `on` for the plugin alone.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from typing import TYPE_CHECKING

from logmonitor import Command, Operation, OperationConfig
from logmonitor.transports.wechaty_plugin import WechatyLogMonitor
from operations.qr_rescue import qr_rescue

# The plugin mends what comes behind it.
# isort: split
from wechaty import Wechaty, WechatyOptions, WechatyPlugin

if TYPE_CHECKING:
    from logmonitor import Context, Invocation

CONFIG = OperationConfig(watch="bob", admins=("AdminWeixin",))


def tell(event: str, **values: object) -> None:
    """Write one line."""
    sys.stdout.write(f"{json.dumps({'event': event, **values})}\n")
    sys.stdout.flush()


class Bot(Wechaty):  # type: ignore[misc]  # the SDK has no types
    """The author's own bot, with handlers of its own."""

    async def init_puppet_event_bridge(self, puppet: object) -> None:
        """Tell of the connection, besides what the SDK does here."""
        await super().init_puppet_event_bridge(puppet)
        puppet.on("heartbeat", lambda _: tell("connected"))  # type: ignore[attr-defined]

    async def on_login(self, contact: object) -> None:
        """Tell of a login, as far as the SDK knows of it."""
        tell("login", contact=contact.contact_id)  # type: ignore[attr-defined]

    async def on_message(self, message: object) -> None:
        """Tell of a message."""
        if not message.is_self():  # type: ignore[attr-defined]
            tell("message", text=message.text())  # type: ignore[attr-defined]


class Other(WechatyPlugin):  # type: ignore[misc]  # the same
    """Another plugin of the author's."""

    async def on_message(self, message: object) -> None:
        """Tell of a message."""
        if not message.is_self():  # type: ignore[attr-defined]
            tell("plugin", text=message.text())  # type: ignore[attr-defined]


def failing(config: OperationConfig) -> Operation:
    """Fail whenever it is asked."""

    async def fail(_context: Context, _invocation: Invocation) -> None:
        raise RuntimeError

    return Operation(name="failing", config=config, commands=(Command(name="fail", handler=fail, help="Fail."),))


class Hearing(logging.Handler):
    """Tells what logmonitor makes of each message, answered or not."""

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of one record."""
        tell("heard", text=record.getMessage())


async def obey(bot: Bot) -> None:
    """Do what standard input says."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        match line.decode().strip():
            case "stop":
                await bot.stop()
                tell("stopped")
            case "restart":
                asyncio.create_task(bot.restart())  # noqa: RUF006  # ends with the process
            case "off":
                await bot._plugin_manager.stop_plugin(WechatyLogMonitor.__name__)  # noqa: SLF001  # as its page does
                tell("off")
            case "on":
                await bot._plugin_manager.start_plugin(WechatyLogMonitor.__name__)  # noqa: SLF001  # the same
                tell("on")
            case "exit":
                sys.exit(0)  # as the SDK does at a signal


async def main(endpoint: str, token: str, port: str, twin_key: str | None = None) -> None:
    """Run until told to end."""
    usual = logging.StreamHandler()
    usual.setLevel(logging.WARNING)
    for name in ("logmonitor.dispatcher", "logmonitor.jobs"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.DEBUG)
        logger.addHandler(usual)
        logger.addHandler(Hearing())
    bot = Bot(WechatyOptions(endpoint=endpoint, token=token, port=int(port)))
    operations = [qr_rescue(CONFIG, login_test="您好世界"), failing(CONFIG)]
    bot.use([Other(), WechatyLogMonitor(operations=operations, self_log="alice.log", twin_key=twin_key)])
    running = asyncio.create_task(bot.start())
    await obey(bot)
    running.cancel()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
