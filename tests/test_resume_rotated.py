"""A log that was rotated, lost lines, or showed a QR while nobody watched: what the next start finds, and tells."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from tests.test_resume import (
    BACK,
    LOGIN,
    LOGOUT,
    LOST,
    configuration,
    ended,
    first_life,
    news,
    rescue,
    said,
    serving,
)

if TYPE_CHECKING:
    from pathlib import Path

GOES_ON: Final = "22:50:00 INFO StarterBot goes on"
QR: Final = "https://liteapp.weixin.qq.com/q/7GiQu1?qrcode=a1b2c3&bot_type=3"
QR_LIFE: Final = 300.0


def add(path: Path, *lines: str) -> None:
    """Append lines to a log."""
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def rotate(path: Path, name: str) -> None:
    """Rename the log, or leave it packed under that name; and begin a new one."""
    rotated = path.with_name(name)
    if name.endswith(".gz"):
        rotated.write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    else:
        path.rename(rotated)
    add(path, GOES_ON)


def destroy(path: Path) -> None:
    """Delete the log, and begin a new one."""
    path.unlink()
    add(path, GOES_ON)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Bob's log, in which he is logged in, read by a program that is over."""
    path = tmp_path / "bob.log"
    add(path, LOGIN)
    return path


@pytest.mark.parametrize(
    "name",
    [
        "bob.log.1",
        "bob.log.1.gz",
        "bob.log-20261120",
        "bob.log-20261120.gz",
        "bob.log.2026-11-20",
        "bob.log.2026-11-20.gz",
        "bob-20261120.log",
        "bob-2026-11-20.log.gz",
    ],
)
async def test_loss_in_a_rotated_file_is_told_whatever_it_is_called(tmp_path: Path, log: Path, name: str) -> None:
    """What was written behind the checkpoint before the rotation is read first, once, and nothing counts as lost."""
    await first_life(tmp_path, rescue())
    add(log, LOGOUT)
    rotate(log, name)
    async with serving(tmp_path, rescue()) as chat:
        assert await said(chat, 1) == [LOST]
        await ended(chat)
    async with serving(tmp_path, rescue()) as chat:
        await ended(chat)
        add(log, LOGIN)
        assert await news(chat, 1) == [BACK]


async def test_lines_that_no_copy_holds_are_told_of_once(tmp_path: Path, log: Path) -> None:
    """Where the file that was read is gone and no copy is left, the admin is told, and `status` counts it."""
    await first_life(tmp_path, rescue())
    destroy(log)
    async with serving(tmp_path, rescue()) as chat:
        (told,) = await news(chat, 1)
        assert told.startswith("bob: part of its log bob.log is lost and was never read: ")
        await ended(chat)
        assert len([content for _, content in chat.sent if "never read" in str(content)]) == 1
    async with serving(tmp_path, rescue()) as chat:
        await ended(chat)
        assert all("jobs" in str(content) for _, content in chat.sent)


@pytest.mark.parametrize("age", [QR_LIFE / 5, QR_LIFE * 2])
async def test_qr_that_expired_while_nobody_watched_is_not_sent(tmp_path: Path, log: Path, age: float) -> None:
    """A loss that happened meanwhile is told in either case, and its QR is sent if a phone can still use it."""
    plain = configuration(tmp_path)
    config = replace(plain, watches=tuple(replace(watch, profile="cow") for watch in plain.watches))

    def says(seconds: float, text: str) -> None:
        add(
            log,
            f"[INFO][{datetime.now().astimezone() - timedelta(seconds=seconds):%F %T}][weixin.py:1] - [Weixin] {text}",
        )

    says(QR_LIFE * 4, "Login confirmed: bot_id=44b9b8ec@im.bot")
    async with serving(tmp_path, rescue(), config=config) as chat:
        await ended(chat)
    says(age, "Session expired (errcode -14), starting re-login...")
    says(age, f"微信二维码链接: {QR}")
    async with serving(tmp_path, rescue(), config=config) as chat:
        expected = [LOST, QR] if age < QR_LIFE else [LOST]
        assert await news(chat, len(expected)) == expected
        await ended(chat)
        assert await news(chat, len(expected)) == expected
