"""The plugin inside a real bot on the Wechaty SDK, in a process of its own, against a real gateway."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import pytest_asyncio
import zxingcpp
from PIL import Image

from logmonitor import Chunk, Refusal
from logmonitor.follower import Follower, Start
from logmonitor.signing import key_text, verify
from tests.gateway.driver import DEADLINE, LACK, Gateway, Sent, free_port, needs_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parent.parent
KEY: Final = bytes(range(32))
SHOWN: Final = "onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{name}%3D%3D"
SCAN: Final = f"22:44:35 INFO StarterBot {SHOWN}"
URL: Final = "https://login.weixin.qq.com/l/{name}=="
LOGIN: Final = "22:44:36 INFO StarterBot Contact<Bob> login"
ADMIN: Final = "filehelper-admin"
LOST: Final = "bob has lost its session and asks for a scan"
NOISE: Final = ("was destroyed", "never retrieved", "never awaited", f"{ROOT / 'logmonitor'}{os.sep}")
"""What a process must not end with; the SDK's own handlers may fail at a `stop`, and say so, but none of ours."""


class Bot:
    """The bot's process, and what it has told."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, gateway: Gateway) -> None:
        """Listen to `process`, which works in `folder` and by `gateway`."""
        assert process.stdin is not None
        assert process.stdout is not None
        self.gateway = gateway
        self.folder = folder
        self.process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._told: list[dict[str, Any]] = []

    async def until(self, event: str, **values: object) -> dict[str, Any]:
        """Wait until the process tells something, return all of it; forget what it told before that."""
        wanted = {"event": event, **values}.items()
        async with asyncio.timeout(DEADLINE):
            while not any(wanted <= record.items() for record in self._told):
                line = await self._stdout.readline()
                assert line, f"the bot has ended before it told {wanted}; it told {self._told}"
                self._told += [json.loads(line)] if line.startswith(b"{") else []
        while not wanted <= (record := self._told.pop(0)).items():
            pass
        return record

    def tell(self, command: str) -> None:
        """Have it do something."""
        self._stdin.write(f"{command}\n".encode())

    def log(self, *lines: str) -> None:
        """Write to the log of its twin."""
        with (self.folder / "bob.log").open("a", encoding="utf-8") as log:
            log.writelines(f"{line}\n" for line in lines)

    async def self_log(self, count: int) -> list[bytes]:
        """Wait until so many lines stand in its own log; return them."""
        lines: list[bytes] = []
        async with asyncio.timeout(DEADLINE), Follower(self.folder / "alice.log", start=Start.BEGINNING) as follower:
            async for item in follower:
                lines += item.data.splitlines() if isinstance(item, Chunk) else []
                if len(lines) >= count:
                    break
        return lines


@asynccontextmanager
async def bot_at(gateway: Gateway, folder: Path) -> AsyncIterator[Bot]:
    """Run a bot at `gateway` until it ends by itself, or is killed; its standard error stands in `stderr` then."""
    await gateway.do("contact", id=ADMIN, weixin="AdminWeixin")
    await gateway.do("contact", id="stranger")
    arguments = (gateway.endpoint, gateway.token, str(free_port()), key_text(KEY))
    with (folder / "stderr").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "default", ROOT / "tests" / "wechaty_plugin_bot.py", *arguments),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "WECHATY_LOG": "error"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            bot = Bot(process, folder, gateway)
            await bot.until("connected")
            yield bot
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def log_in(bot: Bot) -> None:
    """Let the account log in, and wait until its admin is known."""
    await bot.gateway.do("login")
    await bot.until("login", contact="bob")
    await until_answered(bot)
    bot.gateway.sent.clear()


async def until_answered(bot: Bot) -> None:
    """Ask for help until that is answered: whoever is not known yet is a stranger."""
    heard = ""
    while "help of logmonitor" not in heard:
        await bot.gateway.say(ADMIN, "help")
        heard = (await bot.until("heard"))["text"]
    await bot.gateway.wait_for(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_bot(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bot]:
    """Return a bot whose account is logged in and whose admin is known, for all tests that leave it like that."""
    if LACK is not None:
        pytest.skip(LACK)
    async with Gateway() as gateway, bot_at(gateway, tmp_path_factory.mktemp("bot")) as bot:
        await log_in(bot)
        yield bot


@pytest.fixture
def bot(running_bot: Bot) -> Bot:
    """Return the running bot, of which nothing that was sent before counts."""
    running_bot.gateway.sent.clear()
    return running_bot


def shown(sent: Sent) -> str:
    """Return a text, or what a phone reads from a QR."""
    if sent.data is None:
        return sent.text
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(sent.data)))
    return code.text


@pytest.mark.asyncio(loop_scope="module")
async def test_loss_reaches_the_admin_with_a_qr_and_the_return_the_login_test(bot: Bot) -> None:
    """A scan line in bob.log brings the admin a sentence and a PNG of exactly that payload; a login the login test."""
    bot.log(SCAN.format(name="one"))
    text, caption, image = await bot.gateway.wait_for(3)
    assert [text.to, caption.to, image.to] == [ADMIN] * 3
    assert text.text == LOST
    assert caption.text.startswith("Login QR of bob, from bob.log")
    assert shown(image) == URL.format(name="one")
    bot.log(LOGIN)
    sent = [shown(one) for one in (await bot.gateway.wait_for(5))[3:]]
    assert "您好世界" in sent


@pytest.mark.asyncio(loop_scope="module")
async def test_command_is_answered_for_the_admin_alone(bot: Bot) -> None:
    """`status` and `qr` are answered in any case from the admin, and not from a stranger or in a room."""
    await bot.gateway.do("room", id="ops@chatroom", members=["bob", ADMIN])
    await bot.gateway.say("stranger", "status")
    await bot.gateway.say(ADMIN, "status", room="ops@chatroom")
    await bot.gateway.say(ADMIN, "STATUS")
    await bot.gateway.say(ADMIN, "qr")
    sent = await bot.gateway.wait_for(2)
    assert [(one.to, one.text.split()[0].rstrip(":")) for one in sent] == [(ADMIN, "bob")] * 2


@pytest.mark.asyncio(loop_scope="module")
async def test_message_reaches_the_authors_handlers(bot: Bot) -> None:
    """What the plugin answers, and what it does not want, reach the bot's own handler and its other plugin."""
    for sender, text in (("stranger", "hello"), (ADMIN, "status")):
        await bot.gateway.say(sender, text)
        await bot.until("message", text=text)
        await bot.until("plugin", text=text)
    await bot.gateway.wait_for(1)


@pytest.mark.asyncio(loop_scope="module")
async def test_failing_operation_ends_nothing(bot: Bot) -> None:
    """An operation that raises is told of; the bot and the other commands go on."""
    await bot.gateway.say(ADMIN, "fail")
    await bot.gateway.wait_for(1)
    await bot.gateway.say(ADMIN, "status")
    failure, status = await bot.gateway.wait_for(2)
    assert failure.text == "fail of failing failed: RuntimeError; the log of logmonitor tells more"
    assert status.text.startswith("bob:")
    await bot.gateway.say("stranger", "still there")
    await bot.until("message", text="still there")


@pytest.mark.asyncio(loop_scope="module")
async def test_plugin_can_be_switched_off_and_on(bot: Bot) -> None:
    """What the SDK's web page switches off neither answers nor hears, and does again when it is switched on."""
    bot.tell("off")
    await bot.until("off")
    await bot.gateway.say(ADMIN, "status")
    await bot.until("message", text="status")
    bot.tell("on")
    await bot.until("on")
    await until_answered(bot)
    assert [one.text.partition(":")[0] for one in bot.gateway.sent] == ["status [BOT]"]


@needs_gateway
async def test_self_log_tells_every_login_and_is_signed(gateway: Gateway, tmp_path: Path) -> None:
    """From the first scan, through two full cycles, each scan, login and logout is a signed line; the SDK sees one."""
    async with bot_at(gateway, tmp_path) as bot:
        await gateway.do("scan", qr=URL.format(name="0"))
        await gateway.do("scan", qr=URL.format(name="0"), status=3)
        await gateway.do("login")
        for cycle in ("1", "2"):
            await gateway.do("logout")
            await gateway.do("scan", qr=URL.format(name=cycle))
            await gateway.do("login")
        lines = await bot.self_log(9)
    told = [line.decode().partition(" INFO StarterBot ")[2].partition(" lm1 ")[0] for line in lines]
    scans = [SHOWN.format(name=cycle) for cycle in "012"]
    login, logout = "Contact<bob> login", "Contact<bob> logout"
    assert told == [scans[0], "onScan: Scanned(3)", login, logout, scans[1], login, logout, scans[2], login]
    signatures = [verify(line, bot="alice", key=KEY) for line in lines]
    assert [one if isinstance(one, Refusal) else one.sequence for one in signatures] == list(range(9))
    assert verify(lines[0], bot="bob", key=KEY) is Refusal.WRONG


@needs_gateway
async def test_restart_is_survived(gateway: Gateway, tmp_path: Path) -> None:
    """After the SDK's own restart the plugin listens again: its account's scans, and commands."""
    async with bot_at(gateway, tmp_path) as bot:
        await gateway.do("login")
        await bot.self_log(1)
        bot.tell("restart")
        await bot.until("connected")
        await gateway.do("scan", qr=URL.format(name="anew"))
        await gateway.do("login")
        assert len(await bot.self_log(3)) == 3
        await gateway.say(ADMIN, "status")
        (status,) = await gateway.wait_for(1)
        assert status.text.startswith("bob:")


@needs_gateway
async def test_loss_during_an_outage_arrives_once_after_it(gateway: Gateway, tmp_path: Path) -> None:
    """A QR that is due while the gateway is gone waits, and is sent once the SDK has connected again."""
    async with bot_at(gateway, tmp_path) as bot:
        await gateway.do("login")
        await bot.until("login", contact="bob")
        await gateway.kill()
        bot.log(SCAN.format(name="late"))
        await gateway.restart()
        bot.tell("restart")  # what the SDK does by itself after 60 s
        await bot.until("connected")
        await gateway.do("login")
        assert [shown(one) for one in (await gateway.wait_for(3))[::2]] == [LOST, URL.format(name="late")]
        await gateway.say(ADMIN, "status")
        assert (await gateway.wait_for(4))[3].text.startswith("bob:")


@needs_gateway
async def test_runtime_ends_with_the_bot(gateway: Gateway, tmp_path: Path) -> None:
    """After `stop` nothing is answered any more, and the process ends without a word about what was left behind."""
    async with bot_at(gateway, tmp_path) as bot:
        await log_in(bot)
        bot.tell("stop")
        await bot.until("stopped")
        await gateway.do("login")
        await gateway.say(ADMIN, "status")
        bot.tell("exit")
        assert await asyncio.wait_for(bot.process.wait(), DEADLINE) == 0
    assert gateway.sent == []
    assert [word for word in NOISE if word in (tmp_path / "stderr").read_text()] == []


@needs_gateway
async def test_exit_of_the_sdk_is_quiet(gateway: Gateway, tmp_path: Path) -> None:
    """When the process is ended from within while all is at work, as the SDK does at a signal, it ends in silence."""
    async with bot_at(gateway, tmp_path) as bot:
        await log_in(bot)
        bot.log(SCAN.format(name="one"))
        await gateway.wait_for(3)
        bot.tell("exit")
        assert await asyncio.wait_for(bot.process.wait(), DEADLINE) == 0
    assert [word for word in NOISE if word in (tmp_path / "stderr").read_text()] == []


def run_python(code: str, folder: Path, *, warnings: str = "ignore") -> subprocess.CompletedProcess[str]:
    """Run `code` in a process of its own, since the SDK leaves its marks in one that imports it."""
    return subprocess.run(
        (sys.executable, "-W", warnings, "-c", code),
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WECHATY_LOG": "error"},
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def test_plugin_is_used_as_the_documentation_says(tmp_path: Path) -> None:
    """The line of the README works as written, on a bot that is not started; the SDK can be imported behind it."""
    done = run_python(
        """
from logmonitor import OperationConfig
from logmonitor.transports.wechaty_plugin import WechatyLogMonitor
from operations.qr_rescue import qr_rescue
from wechaty import Wechaty, WechatyOptions
config = OperationConfig(watch="bob", admins=("AdminWeixin",))
bot = Wechaty(WechatyOptions(endpoint="127.0.0.1:8788", token="secret"))
bot.use(WechatyLogMonitor(operations=[qr_rescue(config, login_test="您好世界")], self_log="alice.log"))
""",
        tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_plugin_refuses_when_it_is_made(tmp_path: Path) -> None:
    """What is wrong is refused by the constructor, before the SDK has made the plugin's folder."""
    done = run_python(
        """
from logmonitor.transports.wechaty_plugin import WechatyLogMonitor
from logmonitor import ConfigurationError
try:
    WechatyLogMonitor(operations=[])
except ConfigurationError as error:
    print(error)
""",
        tmp_path,
    )
    assert done.stdout == "WechatyLogMonitor: nothing to do; expected at least one operation\n"
    assert [path.name for path in tmp_path.glob(".wechaty/*")] == []


BOTS = """
import asyncio, logging, sys
from logmonitor import OperationConfig
from logmonitor.transports.wechaty_plugin import WechatyLogMonitor
from operations.qr_rescue import qr_rescue
from wechaty import Wechaty, WechatyOptions

logging.getLogger("logmonitor").addHandler(logging.StreamHandler(sys.stdout))
logging.getLogger("logmonitor").setLevel(logging.ERROR)
plugin = WechatyLogMonitor([qr_rescue(OperationConfig(watch="bob", admins=("A",)))])

def using(start=None):
    bot = Wechaty(WechatyOptions(endpoint="127.0.0.1:8788", token="secret"))
    bot.puppet.start = start or bot.puppet.start
    return bot.use(plugin)

async def connect(bot):
    await bot.init_puppet_event_bridge(bot.puppet)  # what each start of a bot does before its puppet's
    print(len(list(bot._plugin_manager.plugins())))
"""
"""Bots that share one plugin object, and start as far as it is before their gateway is asked for anything."""

REFUSED: Final = (
    "this WechatyLogMonitor is at work in another bot; expected one of its own for each; the bot goes on without"
)


def test_plugin_used_in_two_bots_serves_the_first_alone(tmp_path: Path) -> None:
    """The second bot that starts goes on without, which is logged; once the first has stopped another may have it."""
    code = """
async def main():
    first, second, third = using(), using(), using()
    for bot in (first, second, first, second):
        await connect(bot)
    await first.puppet.stop()
    await connect(third)
    await connect(first)

asyncio.run(main())
"""
    done = run_python(BOTS + code, tmp_path)
    assert (done.stdout.splitlines(), done.stderr) == (["1", REFUSED, "0", "1", "0", "1", REFUSED, "0"], "")


def test_plugin_is_free_once_its_bots_start_has_ended(tmp_path: Path) -> None:
    """A start that ends leaves the plugin to another bot, unless the SDK begins anew, and so does a closed loop."""
    code = """
def ending(error):
    async def start():
        if error is not None:
            raise error
    return start

async def main():
    for error in (None, RuntimeError(), asyncio.CancelledError(), ConnectionError()):
        bot = using(ending(error))
        await connect(bot)
        await asyncio.gather(bot.puppet.start(), return_exceptions=True)
    await connect(using())

async def again():
    await connect(using())

asyncio.run(main())
asyncio.run(again())
"""
    done = run_python(BOTS + code, tmp_path)
    assert (done.stdout.splitlines(), done.stderr) == (["1", "1", "1", "1", REFUSED, "0", "1"], "")


def test_start_after_the_end_for_good_begins_nothing(tmp_path: Path) -> None:
    """What ended for good is not begun again when the SDK starts anew, and is logged once."""
    done = run_python(
        """
import asyncio, logging, sys
from logmonitor import OperationConfig, OperationError
from logmonitor.transports import wechaty_plugin
from operations.qr_rescue import qr_rescue
from wechaty import Wechaty, WechatyOptions

async def refuse(config, *, transport, operations, stop):
    raise OperationError("two of a name")

async def main():
    bot = Wechaty(WechatyOptions(endpoint="127.0.0.1:8788", token="secret"))
    bot.use(wechaty_plugin.WechatyLogMonitor([qr_rescue(OperationConfig(watch="bob", admins=("A",)))]))
    for _ in range(2):
        await bot.init_puppet_event_bridge(bot.puppet)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        print(len(others))
        if others:
            await asyncio.wait(others)

wechaty_plugin.serve = refuse
logger = logging.getLogger("logmonitor")
logger.addHandler(logging.StreamHandler(sys.stdout))
asyncio.run(main())
""",
        tmp_path,
    )
    told = "logmonitor has ended for good, the bot goes on without: two of a name"
    assert (done.stdout.splitlines(), done.stderr) == (["1", told, "0"], "")


STREAM = (
    BOTS
    + """
from json import dumps
from types import SimpleNamespace
from grpclib import GRPCError, Status
from logmonitor import RejectedError, TransportError
from logmonitor.transports import wechaty_plugin
from wechaty_grpc.wechaty.puppet import ContactPayloadResponse

class Stub:
    def __init__(self):
        self.told = asyncio.Queue()
        self.ids = ["bob"]

    async def event(self):
        while (one := await self.told.get()) is not None:
            kind, payload = one
            yield SimpleNamespace(type=kind, payload=dumps(payload))

    async def contact_list(self):
        return SimpleNamespace(ids=self.ids)

    async def contact_payload(self, id):
        return ContactPayloadResponse(id=id, name=id)

    async def message_send_text(self, conversation_id, text):
        raise GRPCError(Status.UNKNOWN, "Error: no 'secret' is known")

    async def stop(self):
        pass

runtimes = asyncio.Queue()

async def serve(config, *, transport, operations, stop):
    runtimes.put_nowait(transport)
    await stop.wait()
    print("over")

wechaty_plugin.serve = serve

async def at_work():
    stub = Stub()

    async def start():
        bot.puppet._puppet_stub = stub
        await bot.puppet._listen_for_event()

    bot = using(start)
    await connect(bot)
    stub.told.put_nowait((1, {"data": ""}))
    stub.told.put_nowait((25, {"contactId": "bob"}))
    running = asyncio.create_task(bot.puppet.start())
    async with asyncio.timeout(10):
        chat = await runtimes.get()
        await chat.wait_until_up()
    return bot, stub, chat, running
"""
)
"""A bot whose account is logged in, by what a gateway tells; the runtime beside it does nothing until its end."""


def test_ready_brings_contacts_that_come_after_the_login(tmp_path: Path) -> None:
    """A contact that the list lacked is found as soon as the gateway says that the list is there."""
    code = """
async def main():
    bot, stub, chat, running = await at_work()
    try:
        await chat.resolve("late")
    except RejectedError:
        print("unknown")
    stub.ids.append("late")
    told = asyncio.Event()
    bot.puppet.on("ready", lambda _: told.set())
    stub.told.put_nowait((23, {"data": ""}))
    await told.wait()
    print((await chat.resolve("late")).id)

asyncio.run(main())
"""
    done = run_python(STREAM + code, tmp_path)
    assert done.stdout.splitlines() == ["1", "unknown", "late"], done.stderr


def test_end_of_the_stream_takes_the_chat_down(tmp_path: Path) -> None:
    """Once the SDK's stream has ended the chat says why it is down, and what is to be sent waits."""
    code = """
async def main():
    bot, stub, chat, running = await at_work()
    stub.told.put_nowait(None)
    await running
    print(chat.health().is_up, chat.health().reason)
    waiting = asyncio.create_task(chat.wait_until_up())
    await asyncio.wait({waiting}, timeout=0)
    print(waiting.done())

asyncio.run(main())
"""
    done = run_python(STREAM + code, tmp_path)
    expected = ["1", "False the gateway has ended the connection", "False"]
    assert done.stdout.splitlines() == expected, done.stderr


def test_token_is_kept_out_of_errors(tmp_path: Path) -> None:
    """A gateway's refusal that repeats the bot's token reaches nobody with it."""
    code = """
async def main():
    bot, stub, chat, running = await at_work()
    try:
        await chat.send("A", "hi")
    except TransportError as error:
        print(error)

asyncio.run(main())
"""
    lines = run_python(STREAM + code, tmp_path).stdout.splitlines()
    assert lines[1].startswith("the gateway refuses: no '")
    assert "secret" not in lines[1]


def test_stop_ends_what_is_at_work(tmp_path: Path) -> None:
    """After the bot's own `stop` the runtime ends, and the chat is down because of that."""
    code = """
async def main():
    bot, stub, chat, running = await at_work()
    await bot.stop()
    await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task(), running}, timeout=5)
    print(chat.health().reason)

asyncio.run(main())
"""
    done = run_python(STREAM + code, tmp_path)
    assert done.stdout.splitlines() == ["1", "over", "the bot has stopped"], done.stderr


def test_plugin_that_is_switched_off_stays_so_at_a_start(tmp_path: Path) -> None:
    """A bot that starts with the plugin switched off in the SDK's page begins nothing; with it on it does."""
    code = """
async def main():
    bot = using()
    for switch in (bot._plugin_manager.stop_plugin, bot._plugin_manager.start_plugin):
        await switch(plugin.name)
        await connect(bot)
        print(len(asyncio.all_tasks()) - 1)

asyncio.run(main())
"""
    done = run_python(BOTS + code, tmp_path)
    assert done.stdout.splitlines() == ["1", "0", "1", "1"], done.stderr


def test_import_warns_of_nothing(tmp_path: Path) -> None:
    """With every warning an error, the module and behind it the SDK are imported; the filters are as before."""
    code = """
import warnings
filters = warnings.filters[:]
import logmonitor.transports.wechaty_plugin
import wechaty
print(warnings.filters == filters)
"""
    done = run_python(code, tmp_path, warnings="error")
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_logging_is_not_configured(tmp_path: Path) -> None:
    """The module puts no handler on the loggers of logmonitor nor on the root, and sets no level."""
    code = """
import logging
import logmonitor.transports.wechaty_plugin
for name in (None, "logmonitor", "logmonitor.transports.wechaty_plugin"):
    logger = logging.getLogger(name)
    print(logger.handlers, logger.propagate, logging.getLevelName(logger.level))
"""
    assert run_python(code, tmp_path).stdout.splitlines() == ["[] True WARNING", "[] True NOTSET", "[] True NOTSET"]
