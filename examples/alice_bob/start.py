"""Start Alice and Bob, each with a gateway of its own, and play the WeChat around them.

They are `logmonitor run` with alice.toml and bob.toml, or with `--code` alice.py and bob.py, bots of the Wechaty SDK.
What they write lies in a temporary folder, which is gone at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
from contextlib import AsyncExitStack, nullcontext, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

HERE: Final = Path(__file__).parent.absolute()
sys.path.insert(0, str(HERE.parent.parent))  # the gateway is not installed: it lies in tests/gateway
try:
    from process import BotError, running
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout
    from rich.console import Console
    from wechat import ADMIN, USAGE, WeChat

    from logmonitor.clock import SystemClock
    from logmonitor.sealing import load_seal, make_key_file
    from logmonitor.store import Store
    from logmonitor.testing.authenticator import Authenticator, enrol
    from tests.gateway.driver import LACK, Gateway
except ModuleNotFoundError as error:
    sys.exit(f"the example needs the package {error.name!r}; `make example` installs all that it needs")

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BOTS: Final = ("alice", "bob")
ADMIN_WEIXIN: Final = "AdminWeixin"
IS_TERMINAL: Final = sys.stdin.isatty() and sys.stdout.isatty()


async def play(*, as_code: bool) -> None:
    """Start everything, play until there is nothing more to do, and end everything."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alice-bob-")))
        environ = {**os.environ, "TWIN_KEY": secrets.token_urlsafe(32)}
        gateways = {name: Gateway(name=name, token=secrets.token_urlsafe()) for name in BOTS}
        for name, gateway in gateways.items():
            await stack.enter_async_context(gateway)
            await gateway.do("contact", id=ADMIN, name="You", weixin=ADMIN_WEIXIN)
            for other in set(BOTS) - {name}:
                await gateway.do("contact", id=other, name=other.capitalize(), weixin=f"{other.capitalize()}Weixin")
            environ |= {f"{name.upper()}_ENDPOINT": gateway.endpoint, f"{name.upper()}_TOKEN": gateway.token}
        bots, phones = {}, {}
        for name in BOTS:
            shutil.copy(HERE / f"{name}.toml", folder)
            phones[name] = enrolled(folder / name)
            argv = [str(HERE / f"{name}.py")] if as_code else ["-m", "logmonitor", "run", f"{name}.toml"]
            bots[name] = await stack.enter_async_context(running(name, *argv, folder=folder, environ=environ))
        stack.enter_context(patch_stdout(raw=True) if IS_TERMINAL else nullcontext())
        wechat = WeChat(gateways, phones, Console(highlight=False))
        async with asyncio.TaskGroup() as tasks:
            background = [tasks.create_task(wechat.show(name)) for name in BOTS]
            background += [tasks.create_task(bot.keep(partial(wechat.miss, name))) for name, bot in bots.items()]
            for name, gateway in gateways.items():
                try:
                    await gateway.wait_for_connection()
                except TimeoutError:
                    raise bots[name].failure("has not connected to its gateway") from None
                await gateway.do("login")
            wechat.note(USAGE)
            async for line in typed() if IS_TERMINAL else piped():
                if await wechat.act(line) and not IS_TERMINAL:
                    await wechat.settle()
            for task in background:
                task.cancel()


def enrolled(stem: Path) -> Authenticator:
    """Do what `logmonitor totp enroll AdminWeixin` does, and keep the authenticator."""
    key_file = stem.with_suffix(".key")
    make_key_file(key_file)
    with Store(stem.with_suffix(".db")) as store:
        return enrol(ADMIN_WEIXIN, store, load_seal(key=None, key_file=key_file), SystemClock())


async def typed() -> AsyncIterator[str]:
    """Yield what is typed."""
    session: PromptSession[str] = PromptSession("you: ")
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            yield await session.prompt_async(handle_sigint=False)


async def piped() -> AsyncIterator[str]:
    """Yield what is piped in, and show it."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read() -> None:
        with open(0, "rb", buffering=0, closefd=False) as stdin:  # a thread in a buffer could not be left behind
            while line := stdin.readline():
                loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, b"")

    threading.Thread(target=read, daemon=True).start()
    while line := (await lines.get()).decode(errors="replace"):
        print(f"you: {line.strip()}")
        yield line


async def until_stopped(*, as_code: bool) -> None:
    """Play until the end, or until a signal such as Ctrl-C; a second one interrupts nothing."""
    playing = asyncio.ensure_future(play(as_code=as_code))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, lambda: playing.cancelling() or playing.cancel())
    with suppress(asyncio.CancelledError):
        await playing


def main() -> None:
    """Say in one sentence what is missing, or play."""
    parser = argparse.ArgumentParser(description="Two bots that rescue each other, and you are their WeChat.")
    parser.add_argument("--code", action="store_true", help="run alice.py and bob.py, not alice.toml and bob.toml")
    arguments = parser.parse_args()
    if LACK is not None:
        sys.exit(LACK)
    if arguments.code and find_spec("wechaty") is None:
        sys.exit("alice.py and bob.py need the Wechaty SDK: pip install 'logmonitor[wechaty]'")
    try:
        asyncio.run(until_stopped(as_code=arguments.code))
    except* BotError as group:
        sys.exit("\n".join(map(str, group.exceptions)))


if __name__ == "__main__":
    main()
