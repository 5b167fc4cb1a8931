"""What `status` says of logs that bring nothing, and where nothing is wrong."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.test_runtime import configuration, ready, serving

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.config import Config
    from logmonitor.testing import MemoryTransport


async def status_until(chat: MemoryTransport, row: str, *, is_there: bool = True) -> list[str]:
    """Ask for `status` until it has that row, or has it no more; return what it says then."""
    async with asyncio.timeout(10):
        while True:
            chat.sent.clear()
            chat.receive("status")
            ((_to, content),) = await chat.wait_for(1)
            rows = str(content).splitlines()
            if (row in rows) is is_there:
                return rows


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


async def test_status_is_not_empty_where_nothing_is_watched(tmp_path: Path) -> None:
    """A bot that watches nothing, and with which nothing is wrong, says just that."""
    config = configuration(tmp_path, watches=())
    for each, row in (
        (config, "nothing is watched; the chat is up"),
        (chinese(config), "没有监视任何机器人；聊天通道正常"),
    ):
        async with serving(each) as chat:
            await ready(chat)
            assert await status_until(chat, row) == [row]
