"""What `status` says of logs that bring nothing, of the chat, and where nothing is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import RejectedError
from logmonitor.operation import Operation, OperationConfig
from logmonitor.records import Health
from logmonitor.testing import MemoryTransport
from logmonitor.testing import chat as whole_chat
from logmonitor.transport import Limits
from tests.test_runtime import configuration, ready, serving

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.config import Config
    from logmonitor.operation import Context


async def status_until(chat: MemoryTransport, row: str, *, is_there: bool = True) -> list[str]:
    """Ask for `status` until it has that row, or has it no more; return what it says then of the bots."""
    async with asyncio.timeout(10):
        while True:
            chat.sent.clear()
            chat.receive("status")
            ((_to, content),) = await chat.wait_for(1)
            rows = str(content).splitlines()
            if (row in rows) is is_there:
                return list(takewhile(lambda row: not row.startswith(("chat: ", "聊天通道：")), rows))


def chinese(config: Config) -> Config:
    """Return the same for an admin who reads Chinese."""
    return replace(config, bot=replace(config.bot, language="zh"))


async def test_status_tells_of_a_log_that_is_not_there_until_it_is(tmp_path: Path) -> None:
    """A log that was moved away, or never was, is named as long as nothing stands at its path."""
    log = tmp_path / "bob.log"
    row = f"  its log is not there: {log}"
    async with serving(configuration(tmp_path)) as chat:
        await ready(chat)
        assert await status_until(chat, row) == ["bob: not known yet", row]
        log.touch()
        assert await status_until(chat, row, is_there=False) == ["bob: not known yet"]
        log.unlink()
        assert await status_until(chat, row) == ["bob: not known yet", row]


async def test_status_tells_why_a_log_cannot_be_read_until_it_can(tmp_path: Path) -> None:
    """A log that stands there and cannot be read is named with the reason, as long as that holds."""
    log = tmp_path / "bob.log"
    log.symlink_to(log)
    row = f"  its log cannot be read: {log}: Too many levels of symbolic links"
    async with serving(configuration(tmp_path)) as chat:
        await ready(chat)
        assert await status_until(chat, row) == ["bob: not known yet", row]
        log.unlink()
        log.touch()
        assert await status_until(chat, row, is_there=False) == ["bob: not known yet"]


async def test_status_tells_of_a_pattern_that_nothing_fits(tmp_path: Path) -> None:
    """A pattern without a file is a log that is not there, and no more so once there is one."""
    config = configuration(tmp_path)
    pattern = tmp_path / "bob-*.log"
    config = replace(config, watches=(replace(config.watches[0], logs=(str(pattern),)),))
    row = f"  its log is not there: {pattern}"
    async with serving(config) as chat:
        await ready(chat)
        assert await status_until(chat, row) == ["bob: not known yet", row]
        (tmp_path / "bob-1.log").touch()
        assert await status_until(chat, row, is_there=False) == ["bob: not known yet"]


async def test_status_lists_no_endless_row_of_logs(tmp_path: Path) -> None:
    """Of many logs that bring nothing the first three are named and the others counted, in Chinese too."""
    config = chinese(configuration(tmp_path))
    logs = tuple(str(tmp_path / f"{number}.log") for number in range(5))
    (tmp_path / "0.log").symlink_to("0.log")
    config = replace(config, watches=(replace(config.watches[0], logs=logs),))
    async with serving(config) as chat:
        await ready(chat)
        assert await status_until(chat, "  它还有 2 份日志找不到或无法读取") == [
            "bob: 状态未知",
            f"  无法读取它的日志 {logs[0]}：Too many levels of symbolic links",
            f"  找不到它的日志：{logs[1]}",
            f"  找不到它的日志：{logs[2]}",
            "  它还有 2 份日志找不到或无法读取",
        ]


async def test_status_says_that_nothing_is_watched(tmp_path: Path) -> None:
    """A bot that watches nothing says so, and how the chat is."""
    config = configuration(tmp_path, watches=())
    for each, rows in (
        (config, ["nothing is watched", "chat: up", "messages: 1 sent in the last hour, 0 waiting"]),
        (chinese(config), ["没有监视任何机器人", "聊天通道：正常", "消息：最近一小时发出 1 条，待发 0 条"]),
    ):
        async with serving(each) as chat:
            await ready(chat)
            chat.receive("status")
            ((_to, content),) = await chat.wait_for(1)
            assert str(content).splitlines() == rows


class Budgeted(MemoryTransport):
    """A chat that takes ten messages an hour, and has something to say of itself."""

    def __init__(self) -> None:
        """Be up."""
        super().__init__(limits=Limits(per_period=10))
        self.state = Health(is_up=True, since=datetime.now(UTC) - timedelta(hours=3), reason="over a slow line")

    def health(self) -> Health:
        """Say what the test says."""
        return self.state


async def test_status_tells_since_when_the_chat_is_up_and_what_it_allows(tmp_path: Path) -> None:
    """A chat's time, its remark, how many messages went and how many may; for one bot none of that."""
    async with serving(configuration(tmp_path, watches=()), transport=Budgeted()) as chat:
        await ready(chat)
        chat.receive("status")
        await chat.wait_for(1)
        chat.receive("status")
        sent = await chat.wait_for(2)
    assert str(sent[1][1]).splitlines()[1:] == [
        "chat: up for 3 h: over a slow line",
        "messages: 2 of 10 that the chat takes sent within 1 h, 0 waiting",
    ]


@pytest.mark.parametrize(
    ("age", "row"),
    [(timedelta(minutes=5), "chat: down for 5 min: logged out"), (None, "chat: down: logged out")],
)
async def test_status_tells_that_the_chat_is_down(tmp_path: Path, age: timedelta | None, row: str) -> None:
    """What a chat says of its outage is told, and since when if that is known."""
    async with serving(configuration(tmp_path, watches=()), transport=Budgeted()) as chat:
        assert isinstance(chat, Budgeted)
        await ready(chat)
        since = None if age is None else datetime.now(UTC) - age
        chat.state = Health(is_up=False, since=since, reason="logged out")
        chat.receive("status")
        ((_to, content),) = await chat.wait_for(1)
    assert str(content).splitlines()[1] == row


async def test_status_tells_of_what_failed_for_good(tmp_path: Path) -> None:
    """What the chat has refused is counted, with the command that shows it; while there is none, nothing is said."""
    config = configuration(tmp_path, watches=())
    for each, row in (
        (config, "messages given up: 1; `logmonitor outbox` shows them"),
        (chinese(config), "放弃发送的消息：1 条，用 `logmonitor outbox` 查看"),
    ):
        async with serving(each) as chat:
            await ready(chat)
            chat.fail_next(RejectedError("no such contact"))
            chat.receive("status")
            assert await status_until(chat, row)


async def test_status_goes_on_where_an_operations_own_code_fails(caplog: pytest.LogCaptureFixture) -> None:
    """What fails says so in its place, by its own name; the bot and the other operations are told of."""

    def fail(_context: Context, _bot: str) -> tuple[str, ...]:
        raise RuntimeError("boom")

    def tell(_context: Context, bot: str) -> tuple[str, ...]:
        return (f"{bot} is fine",)

    config = OperationConfig(watch="bob")
    operations = (
        Operation(name="broken", config=config, status=fail),
        Operation(name="whole", config=config, status=tell),
    )
    async with whole_chat(*operations, watches=("bob",), profile="wechaty-ts") as here:
        heard = await here.user("Ann").says("status bob").should_reply()
    assert str(heard.text).splitlines() == [
        "bob: not known yet",
        "  status of broken failed: RuntimeError; the log of logmonitor tells more",
        "  bob is fine",
    ]
    assert "boom" in caplog.text
