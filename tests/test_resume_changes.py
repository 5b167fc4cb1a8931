"""A program that begins again while something else has changed: its configuration, its store, the clock."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from logmonitor.clock import SystemClock
from logmonitor.operation import Operation, OperationConfig
from logmonitor.storage.survey import read_survey
from logmonitor.store import Store
from logmonitor.testing import LogWriter
from operations.qr_rescue import qr_rescue
from tests.test_resume import (
    BACK,
    LOGIN,
    LOGOUT,
    LOST,
    URL,
    Frozen,
    configuration,
    ended,
    first_life,
    news,
    rescue,
    scan_line,
    serving,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from logmonitor.config import Config
    from logmonitor.operation import Context
    from logmonitor.records import LogBatch


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    """Bob's log, in which he is logged in."""
    with LogWriter(tmp_path / "bob.log") as writer:
        writer.write(LOGIN)
        yield writer


def watching(folder: Path, **logs: str) -> Config:
    """Make a configuration of bots and their logs."""
    config = configuration(folder)
    (watch,) = config.watches
    return replace(
        config, watches=tuple(replace(watch, name=name, logs=(str(folder / log),)) for name, log in logs.items())
    )


def reader(lines: list[str], name: str = "reader") -> Operation:
    """Make an operation that keeps the lines that it is given, and counts them in the chat."""

    async def on_batch(context: Context, batch: LogBatch) -> None:
        lines.extend(line.text for line in batch.lines)
        await context.send(f"{name} {len(lines)}")

    return Operation(name=name, config=OperationConfig(), on_batch=on_batch)


async def test_call_of_an_operation_that_is_gone_is_forgotten(tmp_path: Path, log: LogWriter) -> None:
    """What it had to do is not done by anybody else, and keeps nobody from going on; one that is new begins there."""
    is_held, held = asyncio.Event(), asyncio.Event()

    async def hold(_context: Context, _batch: LogBatch) -> None:
        held.set()
        await is_held.wait()

    lines: list[str] = []
    operations = (Operation(name="slow", config=OperationConfig(), on_batch=hold), reader(lines))
    await first_life(tmp_path, *operations)
    async with serving(tmp_path, *operations) as chat:
        log.write("one")
        assert await news(chat, 1) == ["reader 1"]
        await held.wait()
        frozen = Frozen(tmp_path)
        is_held.set()
    frozen.restore()
    survey = read_survey(tmp_path / "alice.db")
    assert survey is not None
    assert survey.pending_calls == 1
    others: list[str] = []
    async with serving(tmp_path, reader(others, "other")) as chat:
        log.write("two")
        assert "other 1" in await news(chat, 1)
    survey = read_survey(tmp_path / "alice.db")
    assert survey is not None
    assert (survey.pending_calls, lines, others) == (0, ["one"], ["two"])


async def test_state_of_an_older_version_is_gone_on_from(tmp_path: Path, log: LogWriter) -> None:
    """What it did not know yet is as if it had not happened."""
    await first_life(tmp_path, rescue())
    with Store(tmp_path / "alice.db") as store:
        store._database.change(  # noqa: SLF001  # as another version wrote it
            "UPDATE watch_state SET state ="
            """ '{"WatchState":{"session":{"Session":{"watch":"bob","state":{"SessionState":"logged_in"}}}}}'"""
        )
    log.write(LOGOUT)
    async with serving(tmp_path, rescue()) as chat:
        assert await news(chat, 1) == [LOST]


async def test_log_that_is_not_configured_any_more_is_not_read(tmp_path: Path, log: LogWriter) -> None:
    """Though it is known how far it was read; once it is configured again what came meanwhile is read."""
    lines: list[str] = []
    await first_life(tmp_path, reader(lines))
    with LogWriter(tmp_path / "other.log") as other:
        other.write("22:44:34 INFO StarterBot another log", LOGIN)
        log.write("meanwhile")
        async with serving(tmp_path, reader(lines), config=watching(tmp_path, bob="other.log")) as chat:
            await ended(chat)
            other.write("other")
            assert await news(chat, 1) == ["reader 1"]
    async with serving(tmp_path, reader(lines)) as chat:
        assert await news(chat, 1) == ["reader 2"]
    assert lines == ["other", "meanwhile"]


async def test_bot_that_is_called_otherwise_is_a_new_one(tmp_path: Path, log: LogWriter) -> None:
    """Of a loss that stands in its log its QR is told, as at a first start."""
    await first_life(tmp_path, rescue())
    log.write(LOGOUT, scan_line("Abc123"))
    config = watching(tmp_path, robert="bob.log")
    async with serving(tmp_path, qr_rescue(OperationConfig(watch="robert")), config=config) as chat:
        assert URL.format(name="Abc123") in await news(chat, 2)


async def test_bots_that_write_to_one_log_are_each_told_of_once(tmp_path: Path, log: LogWriter) -> None:
    """Two watches of one file do not disturb each other, across a restart."""
    config = watching(tmp_path, bob="bob.log", robert="bob.log")
    operations = (rescue(), replace(qr_rescue(OperationConfig(watch="robert", name="other rescue")), commands=()))
    texts = [text.replace("bob", name) for text in (LOST, BACK) for name in ("bob", "robert")]
    async with serving(tmp_path, *operations, config=config) as chat:
        await ended(chat)
        log.write(LOGOUT)
        assert sorted(await news(chat, 2)) == sorted(texts[:2])
        await ended(chat)
    log.write(LOGIN)
    async with serving(tmp_path, *operations, config=config) as chat:
        assert sorted(await news(chat, 2)) == sorted(texts[2:])
        await ended(chat)
        assert len(await news(chat, 2)) == 2


async def test_store_that_is_another_ones_is_begun_with(tmp_path: Path, log: LogWriter) -> None:
    """One that knows nothing of the bot leads to a first start: a loss that stands is told with its QR."""
    await first_life(tmp_path, rescue())
    (tmp_path / "other").mkdir()
    with LogWriter(tmp_path / "other" / "bob.log") as other:
        other.write(*(f"22:44:36 VERB StarterBot line {number}" for number in range(100)), LOGIN)
        await first_life(tmp_path / "other", rescue())
    swap(tmp_path / "other", tmp_path)
    log.write(LOGOUT, scan_line("Abc123"))
    async with serving(tmp_path, rescue()) as chat:
        assert URL.format(name="Abc123") in await news(chat, 2)


def swap(folder: Path, other: Path) -> None:
    """Put the store of one folder in place of another's."""
    for path in other.glob("alice.db*"):
        path.unlink()
    for path in folder.glob("alice.db*"):
        shutil.copy(path, other / path.name)


async def test_store_out_of_a_backup_tells_again_rather_than_too_little(tmp_path: Path, log: LogWriter) -> None:
    """What happened since is read again."""
    await first_life(tmp_path, rescue())
    backup = Frozen(tmp_path)
    for _ in range(2):
        async with serving(tmp_path, rescue()) as chat:
            log.write(LOGOUT)
            assert (await news(chat, 1))[0] == LOST
            log.write(LOGIN)
            await news(chat, 2)
    backup.restore()
    async with serving(tmp_path, rescue()) as chat:
        assert await news(chat, 4) == [LOST, BACK] * 2


class SetClock(SystemClock):
    """The machine's clock, set by so many days."""

    def __init__(self, days: int) -> None:
        """Be wrong by `days`."""
        self._offset = timedelta(days=days)

    def now(self) -> datetime:
        """Return the time, aware UTC."""
        return datetime.now(UTC) + self._offset


@pytest.mark.parametrize("days", [366, -366])
async def test_clock_that_was_set_loses_nothing_across_restarts(tmp_path: Path, log: LogWriter, days: int) -> None:
    """A year forward or back, and then right again: each loss and each return is told once."""
    await first_life(tmp_path, rescue())
    for clock in (SetClock(days), SystemClock(), SetClock(days)):
        log.write(LOGOUT)
        async with serving(tmp_path, rescue(), clock=clock) as chat:
            assert await news(chat, 1) == [LOST]
            log.write(LOGIN)
            assert await news(chat, 2) == [LOST, BACK]
