"""`logmonitor run` as a process of its own, by a real gateway: whom it answers, whom it leaves, and what it logs."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import pytest
import pytest_asyncio
import zxingcpp
from PIL import Image

from logmonitor import Chunk, Refusal
from logmonitor.follower import Follower, Start
from logmonitor.signing import key_text, verify
from tests.gateway.driver import DEADLINE, LACK, Gateway, Sent, needs_gateway
from tests.test_cli_run import Process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

KEY: Final = bytes(range(32))
PAYLOAD: Final = "https://login.weixin.qq.com/l/Alice=="
SHOWN: Final = "onScan: Waiting(2) - https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{name}%3D%3D"
LOSS: Final = "alice has lost its session and asks for a scan"
WORDS: Final = ("qr", "QR", "status", "Status")
ASKED: Final = {"qr": "qr of qr_rescue", "status": "status of logmonitor"}
"""How the log names a command that is run, by its name."""
ROOM: Final = "ops@chatroom"
OTHER_ROOM: Final = "talk@chatroom"
CONFIGURATION: Final = """
[bot]
name = "bob"
self_log = "bob.log"
twin_key = "{key}"

[chat]
transport = "wechaty"
endpoint = "{gateway.endpoint}"
token = "{gateway.token}"
tls = false
admins = ["AdminWeixin"]
rooms = ["{room}"]

[[watch]]
name = "alice"
log = "alice.log"
profile = "wechaty-ts"

[[operation]]
use = "qr_rescue"
watch = "alice"
"""
RUN: Final = "from logmonitor.cli import main; sys.exit(main())"
ASKING_AGAIN_SOON: Final = """
from functools import partial
from logmonitor import runtime
runtime.Directory = partial(runtime.Directory, pause=lambda times: 0.1)
"""
"""Lets a chat that does not know an admin be asked again at once, where it has 10 s in service."""


@asynccontextmanager
async def bob_at(gateway: Gateway, folder: Path, *, before: str = "") -> AsyncIterator[Process]:
    """Run Bob, who finds that Alice asks for a scan, until a signal ends him; Python code goes `before`."""
    (folder / "alice.log").write_text(f"22:44:35 INFO StarterBot {SHOWN.format(name='Alice')}\n")
    (folder / "bob.toml").write_text(CONFIGURATION.format(key=key_text(KEY), gateway=gateway, room=ROOM))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"import sys\n{before}\n{RUN}", "run", str(folder / "bob.toml")),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    bob = Process(process=process)
    try:
        await gateway.wait_for_connection()
        yield bob
        process.terminate()
        async with asyncio.timeout(DEADLINE):
            assert await bob.end() == 0
        assert "Traceback" not in "".join(bob.errors)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def heard(bob: Process, text: str) -> str:
    """Wait for a line with `text` in Bob's log; return what stands behind the time."""
    async with asyncio.timeout(DEADLINE):
        return (await bob.error_with(text)).split(" ", 2)[2].rstrip("\n")


def shown(sent: Sent) -> str:
    """Return a text, or what a phone reads from a QR."""
    if sent.data is None:
        return sent.text
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(sent.data)))
    return code.text


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def serving(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Gateway, Process]]:
    """Return a gateway and Bob, who has told his admin that Alice asks for a scan, for tests that change neither."""
    if LACK is not None:
        pytest.skip(LACK)
    async with Gateway() as gateway:
        await gateway.do("contact", id="admin", weixin="AdminWeixin")
        await gateway.do("contact", id="stranger")
        for room in (ROOM, OTHER_ROOM):
            await gateway.do("room", id=room, members=["bob", "admin", "stranger"])
        await gateway.do("login")
        async with bob_at(gateway, tmp_path_factory.mktemp("bob")) as bob:
            loss, _, image = await gateway.wait_for(3)
            assert [shown(loss), shown(image)] == [LOSS, PAYLOAD]
            yield gateway, bob


@pytest.fixture
def bob(serving: tuple[Gateway, Process]) -> Process:
    """Return Bob, of whom nothing that he sent or logged before counts."""
    gateway, bob = serving
    gateway.sent.clear()
    bob.errors.clear()
    return bob


@pytest.fixture
def chat(serving: tuple[Gateway, Process]) -> Gateway:
    """Return Bob's gateway."""
    return serving[0]


@pytest.mark.asyncio(loop_scope="module")
async def test_command_is_answered_for_the_admin_alone(bob: Process, chat: Gateway) -> None:
    """`qr` and `status`, in any case, are answered where the admin wrote; from others nothing but a log line comes."""
    for word in WORDS:
        await chat.say("stranger", word)
        await chat.say("admin", word, room=OTHER_ROOM)
        await chat.say("bob", word)
    asked = [await heard_and_sent(chat, bob, word) for word in WORDS]
    assert [one.to for one in chat.sent] == ["admin"] * 6
    assert [shown(answer[-1]).partition(" for a scan")[0] for answer in asked] == [
        PAYLOAD,
        PAYLOAD,
        "alice: waiting",
        "alice: waiting",
    ]
    left = [line.split(" ", 2)[2] for line in bob.errors if "is no command" in line and " in 'admin' " not in line]
    assert left == [
        "INFO logmonitor.dispatcher: message from 'stranger' in 'stranger' is no command: stranger\n",
        f"INFO logmonitor.dispatcher: message from 'admin' in {OTHER_ROOM!r} is no command: room\n",
        "INFO logmonitor.dispatcher: message from 'bob' in 'bob' is no command: from_self\n",
    ]
    assert [word for word in ("QR", "Status") if word in "".join(bob.errors)] == []


async def heard_and_sent(chat: Gateway, bob: Process, word: str) -> tuple[Sent, ...]:
    """Let the admin say a word; return what is sent until the whole answer is there."""
    before = len(chat.sent)
    await chat.say("admin", word)
    await heard(bob, f": {ASKED[word.casefold()]} for 'admin'")
    return (await chat.wait_for(before + (2 if word.casefold() == "qr" else 1)))[before:]


@pytest.mark.asyncio(loop_scope="module")
async def test_command_is_answered_in_a_room_that_is_named(bob: Process, chat: Gateway) -> None:
    """An admin's command in a room of the configuration is answered in it, a stranger's there is not."""
    await chat.say("stranger", "status", room=ROOM)
    await chat.say("admin", "how are you all", room=ROOM)
    await chat.say("admin", "status", room=ROOM)
    (status,) = await chat.wait_for(1)
    assert (status.to, status.text.partition(" for a scan")[0]) == (ROOM, "alice: waiting")
    await heard(bob, f": {ASKED['status']} for 'admin'")
    reasons = [line.rpartition(": ")[2] for line in bob.errors if f" in {ROOM!r} " in line]
    assert reasons == ["stranger\n", "talk\n"]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("bob")
async def test_command_of_a_minute_ago_is_refused(chat: Gateway) -> None:
    """What an admin wrote 61 s ago is not obeyed but answered with why; what he wrote 30 s ago is obeyed."""
    now = time.time()
    await chat.say("admin", "status", at=int((now - 61) * 1000))
    await chat.wait_for(1)
    await chat.say("admin", "status", at=int((now - 30) * 1000))
    refusal, status = await chat.wait_for(2)
    assert (refusal.to, refusal.text) == (
        "admin",
        "that was written too long ago, nothing was done; send it again",
    )
    assert status.text.startswith("alice: waiting for a scan")


@needs_gateway
async def test_admin_is_looked_up_anew_at_each_login(gateway: Gateway, tmp_path: Path) -> None:
    """Who has the admin's weixin number at a login is the admin from then on, and nobody is while two have it."""
    await gateway.do("contact", id="old", weixin="AdminWeixin")
    await gateway.do("login")
    async with bob_at(gateway, tmp_path) as bob:
        assert {sent.to for sent in await gateway.wait_for(3)} == {"old"}
        await gateway.do("logout")
        await gateway.do("contact", id="new", weixin="AdminWeixin")
        await gateway.do("login")
        unknown = await heard(bob, "admin AdminWeixin is unknown to the chat")
        assert "2 contacts fit 'AdminWeixin'; expected the id of one: new (number “AdminWeixin”), old (" in unknown
        await gateway.say("old", "status")
        await gateway.say("new", "status")
        await heard(bob, "message from 'new' in 'new' is no command: stranger")
        await gateway.do("logout")
        await gateway.do("contact", id="old", weixin="Former")
        await gateway.do("login")
        await heard(bob, "admin AdminWeixin is known to the chat now")
        await gateway.say("old", "status")
        await gateway.say("new", "status")
        await heard(bob, f": {ASKED['status']} for 'new'")
        await gateway.wait_for(4)
    await gateway.do("contact", id="last")  # behind all that was sent
    assert [sent.to for sent in gateway.sent] == ["old"] * 3 + ["new"]


@needs_gateway
async def test_loss_reaches_an_admin_that_is_listed_late(gateway: Gateway, tmp_path: Path) -> None:
    """A contact that the account gets only after its login is told of the loss and sent the QR without another one."""
    await gateway.do("login")
    async with bob_at(gateway, tmp_path, before=ASKING_AGAIN_SOON) as bob:
        await heard(bob, "admin AdminWeixin is unknown to the chat")
        await gateway.do("contact", id="admin")
        await gateway.do("contact", id="admin", weixin="AdminWeixin")
        loss, _, image = await gateway.wait_for(3)
        assert [(sent.to, shown(sent)) for sent in (loss, image)] == [("admin", LOSS), ("admin", PAYLOAD)]


@needs_gateway
async def test_own_session_is_logged_and_signed_through_two_cycles(gateway: Gateway, tmp_path: Path) -> None:
    """Each scan, login and logout of Bob's own account is one line, in order, that proves to be his."""
    await gateway.do("contact", id="admin", weixin="AdminWeixin")
    async with bob_at(gateway, tmp_path):
        await gateway.do("login")
        for name in ("1", "2"):
            await gateway.do("logout")
            await gateway.do("scan", qr=f"https://login.weixin.qq.com/l/{name}==")
            await gateway.do("login")
        lines = await own_lines(tmp_path / "bob.log", 7)
    told = [line.decode().partition(" INFO StarterBot ")[2].partition(" lm1 ")[0] for line in lines]
    login, logout = "Contact<bob> login", "Contact<bob> logout"
    assert told == [login, logout, SHOWN.format(name="1"), login, logout, SHOWN.format(name="2"), login]
    signatures = [verify(line, bot="bob", key=KEY) for line in lines]
    assert [one if isinstance(one, Refusal) else one.sequence for one in signatures] == list(range(7))
    assert verify(lines[0], bot="alice", key=KEY) is Refusal.WRONG


async def own_lines(path: Path, count: int) -> list[bytes]:
    """Wait until so many lines stand in a log; return them."""
    lines: list[bytes] = []
    async with asyncio.timeout(DEADLINE), Follower(path, start=Start.BEGINNING) as follower:
        async for item in follower:
            lines += item.data.splitlines() if isinstance(item, Chunk) else []
            if len(lines) >= count:
                break
    return lines
