"""A program that begins again where an earlier one ended or was killed: nothing is missed, nothing is said twice."""

from __future__ import annotations

import asyncio
import io
import shutil
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import zxingcpp
from PIL import Image

from logmonitor.config import BotConfig, ChatConfig, Config, WatchConfig
from logmonitor.errors import OperationError
from logmonitor.operation import Operation, OperationConfig
from logmonitor.records import Attachment
from logmonitor.runtime import serve
from logmonitor.store import Store
from logmonitor.testing import LogWriter, MemoryTransport
from operations.qr_rescue import qr_rescue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from logmonitor.clock import Clock
    from logmonitor.operation import Context
    from logmonitor.records import Content, LogBatch, Transition

WRAPPED = "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{name}%3D%3D"
URL = "https://login.weixin.qq.com/l/{name}=="
LOGIN = "22:44:35 INFO StarterBot Contact<Bob> login"
LOGOUT = "22:44:36 INFO StarterBot Contact<Bob> logout"
LOST = "bob has been logged out; its login QR follows as soon as its log shows one"
BACK = "bob is logged in again"
DEADLINE = 10


def scan_line(name: str) -> str:
    """Return a scan line as a wechaty-ts bot writes it."""
    return f"22:44:37 INFO StarterBot onScan: Waiting(2) - {WRAPPED.format(name=name)}"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    """Bob's log, in which he is logged in."""
    with LogWriter(tmp_path / "bob.log") as writer:
        writer.write(LOGIN)
        yield writer


def configuration(folder: Path) -> Config:
    """Make a configuration whose log and store are in `folder`."""
    return Config(
        path=folder / "alice.toml",
        bot=BotConfig(name="alice", store=folder / "alice.db"),
        chat=ChatConfig(transport="memory", admins=("AdminWeixin",)),
        watches=(WatchConfig(name="bob", logs=(str(folder / "bob.log"),), profile="wechaty-ts"),),
    )


@asynccontextmanager
async def serving(
    folder: Path, *operations: Operation, config: Config | None = None, clock: Clock | None = None
) -> AsyncIterator[MemoryTransport]:
    """Serve while the test runs."""
    chat, stop, config = MemoryTransport(), asyncio.Event(), config or configuration(folder)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(config, transport=chat, operations=operations, stop=stop, clock=clock))
        try:
            yield chat
        finally:
            stop.set()


def rescue() -> Operation:
    """Make the rescue of Bob."""
    return qr_rescue(OperationConfig(watch="bob"))


def shown(content: Content) -> str:
    """Return a text, or what a phone reads from a QR."""
    if not isinstance(content, Attachment):
        return str(content)
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(content.data)))
    return code.text


async def said(chat: MemoryTransport, count: int) -> list[str]:
    """Wait for so many messages; return them all."""
    return [shown(content) for _, content in await chat.wait_for(count)]


async def news(chat: MemoryTransport, count: int) -> list[str]:
    """Wait for so many messages that are no answers; return all of these."""
    async with asyncio.timeout(DEADLINE):
        while len(texts := [text for _, content in chat.sent if "jobs" not in (text := shown(content))]) < count:
            await chat.wait_for(len(chat.sent) + 1)
    return texts


async def ended(chat: MemoryTransport) -> None:
    """Wait until the program has done all that came before: it answers."""
    async with asyncio.timeout(DEADLINE):
        while not any("jobs" in str(content) for _, content in chat.sent):
            chat.receive("help")
            await asyncio.sleep(0.01)


class Frozen:
    """A store as it stood at a moment, as after a kill: what was written then, and no more."""

    def __init__(self, folder: Path) -> None:
        """Copy what is on disk now."""
        self._folder = folder
        self._copy = folder / "frozen"
        self._copy.mkdir()
        for path in folder.glob("alice.db*"):
            shutil.copyfile(path, self._copy / path.name)

    def restore(self) -> None:
        """Put it back."""
        for path in self._folder.glob("alice.db*"):
            path.unlink()
        for path in self._copy.iterdir():
            shutil.copyfile(path, self._folder / path.name)
            (self._folder / path.name).chmod(0o600)


async def first_life(folder: Path, *operations: Operation) -> None:
    """Let a program read what stands in the log, and end."""
    async with serving(folder, *operations) as chat:
        async with asyncio.timeout(DEADLINE):
            while not any("logged in" in str(content) for _, content in chat.sent):
                chat.receive("status")
                await asyncio.sleep(0.01)


async def test_loss_and_return_while_nobody_watched_are_told_in_order(tmp_path: Path, log: LogWriter) -> None:
    """What happened while the program was down is told when it is back, once."""
    await first_life(tmp_path, rescue())
    log.write(LOGOUT, scan_line("Abc123"), LOGIN)
    async with serving(tmp_path, rescue()) as chat:
        assert await said(chat, 2) == [LOST, BACK]
        await ended(chat)
    async with serving(tmp_path, rescue()) as chat:
        await ended(chat)
        assert all("jobs" in str(content) for _, content in chat.sent)


async def test_loss_that_stands_after_a_restart_brings_its_qr_once(tmp_path: Path, log: LogWriter) -> None:
    """The QR of a loss that happened meanwhile is sent, and another start sends it no more."""
    await first_life(tmp_path, rescue())
    log.write(LOGOUT, scan_line("Abc123"))
    async with serving(tmp_path, rescue()) as chat:
        assert await said(chat, 2) == [LOST, URL.format(name="Abc123")]
        await ended(chat)
    async with serving(tmp_path, rescue()) as chat:
        await ended(chat)
        log.write(LOGIN)
        assert await news(chat, 1) == [BACK]


async def test_lines_written_while_nobody_watched_reach_an_operation_once(tmp_path: Path, log: LogWriter) -> None:
    """Lines of before the end of a program are not given again, those after it are."""
    lines: list[str] = []
    last = asyncio.Event()

    async def on_batch(_context: Context, batch: LogBatch) -> None:
        lines.extend(line.text for line in batch.lines)
        if lines[-1].startswith("last"):
            last.set()

    reader = Operation(name="reader", config=OperationConfig(), on_batch=on_batch)
    await first_life(tmp_path, reader)
    for number in range(3):
        last.clear()
        log.write(f"first {number}", "more", f"last {number}")
        async with serving(tmp_path, reader), asyncio.timeout(DEADLINE):
            await last.wait()
    assert lines == [text for number in range(3) for text in (f"first {number}", "more", f"last {number}")]


async def test_what_was_decided_before_a_kill_is_not_decided_again(tmp_path: Path, log: LogWriter) -> None:
    """Killed after a handler's end, the next program neither repeats it nor leaves out what another had to do."""
    calls: list[str] = []
    is_held, held = asyncio.Event(), asyncio.Event()

    async def quick(context: Context, batch: LogBatch) -> None:
        calls.append(f"quick {batch.lines[0].text}")
        count = int(context.store.get("count") or 0) + len(batch.lines)
        context.store.put("count", str(count))
        await context.send(f"{count} lines")

    async def slow(_context: Context, batch: LogBatch) -> None:
        calls.append(f"slow {batch.lines[0].text}")
        held.set()
        await is_held.wait()

    operations = (
        Operation(name="slow", config=OperationConfig(), on_batch=slow),
        Operation(name="quick", config=OperationConfig(), on_batch=quick),
    )
    await first_life(tmp_path, *operations)
    async with serving(tmp_path, *operations) as chat:
        log.write("one", "two")
        assert await said(chat, 1) == ["2 lines"]
        await held.wait()
        frozen = Frozen(tmp_path)
    frozen.restore()
    is_held.set()
    async with serving(tmp_path, *operations) as chat:
        log.write("three")
        doubled = await said(chat, 1) == ["2 lines"]  # killed between the chat's taking it and the record of that
        assert (await said(chat, 1 + doubled))[-1] == "3 lines"
    assert sorted(calls) == ["quick one", "quick three", "slow one", "slow one", "slow three"]


async def test_what_acts_outside_runs_once_whenever_it_is_interrupted(tmp_path: Path, log: LogWriter) -> None:
    """A program that was begun before a kill is not run again: its result is known, or that it is not is told."""
    ran = tmp_path / "ran"
    told: list[str] = []
    again = asyncio.Event()

    async def on_transition(context: Context, transition: Transition) -> None:
        if not transition.is_loss:
            return
        await context.send("about to act")
        try:
            completed = await context.run("sh", "-c", f"echo ran >> {ran}; echo done")
        except OperationError as error:
            told.append(str(error))
        else:
            told.append(completed.stdout.strip())
        frozen.append(Frozen(tmp_path) if not frozen else frozen[0])
        await context.send("acted")
        again.set()

    frozen: list[Frozen] = []
    actor = Operation(name="actor", config=OperationConfig(watch="bob"), on_transition=on_transition)
    await first_life(tmp_path, actor)
    async with serving(tmp_path, actor) as chat:
        log.write(LOGOUT)
        assert await said(chat, 2) == ["about to act", "acted"]
    frozen[0].restore()
    again.clear()
    async with serving(tmp_path, actor) as chat:
        async with asyncio.timeout(DEADLINE):
            await again.wait()
        sent = await said(chat, 1)
    assert (told, ran.read_text(), sent[-1]) == (["done", "done"], "ran\n", "acted")


async def test_session_that_cannot_be_read_is_read_out_of_the_log(
    tmp_path: Path, log: LogWriter, caplog: pytest.LogCaptureFixture
) -> None:
    """Where a session was kept that is none, what stands before the place in the log tells it, and that is said."""
    await first_life(tmp_path, rescue())
    with Store(tmp_path / "alice.db") as store:
        store._database.change("UPDATE watch_state SET state = '{}'")  # noqa: SLF001  # damage that SQLite does not see
    log.write(LOGOUT, scan_line("Abc123"), LOGIN)
    async with serving(tmp_path, rescue()) as chat:
        told, *sent = await said(chat, 3)
    assert told.startswith("bob: what is kept of it cannot be used; what happened while nobody watched may not be")
    assert sent == [LOST, BACK]
    assert "bob: its history cannot be used: the store holds what is no WatchState" in caplog.text
