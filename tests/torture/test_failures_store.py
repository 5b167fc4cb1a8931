"""A rescue by `logmonitor run` while what must last cannot: a disk full or read-only, a store damaged or taken away."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.storage.survey import read_survey
from logmonitor.testing.log_writer import LogWriter
from tests.torture.diary import entries
from tests.torture.rescuer import BACK, LOST, PAYLOAD, Alice, Rescuer
from tests.torture.rooms import Disk, break_disk, on_a_disk_that_can_break, on_a_read_only_disk, on_a_small_disk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parent.parent.parent
ENVIRON: Final = {**os.environ, "PYTHONPATH": str(ROOT)}
CONFIGURATION: Final = """
[bot]
name = "bob"
store = "{store}"

[chat]
transport = "tests.torture.diary:Diary"
path = "{diary}"
admins = ["admin"]

[security]
audit = false

[[watch]]
name = "alice"
log = "alice.log"
profile = "wechaty-ts"

[[operation]]
use = "qr_rescue"
"""
FIRST: Final = [LOST, PAYLOAD.format("1")]
SECOND: Final = [LOST, PAYLOAD.format("2")]
SEEN: Final = "alice: logged_in by login"
IN_MEMORY: Final = "what is decided is kept in memory only"
AGAIN: Final = "what is decided is written again"
ALERTS: Final = ("the store cannot be written", "the store can be written again")


class Scene:
    """Bob, Alice, and what the admin has read of a rescue."""

    def __init__(self, folder: Path, *, store: str = "bob.db", before: tuple[str, ...] = (), more: str = "") -> None:
        """Set up Alice, who is logged in, and Bob, who is not started; `more` ends his configuration."""
        self.folder = folder
        self._diary = folder / "diary"
        self.alice = Alice(LogWriter(folder / "alice.log"))
        self.alice.logs_in()
        config = folder / "bob.toml"
        config.write_text(CONFIGURATION.format(store=store, diary=self._diary) + more)
        self.bob = Rescuer(config, before=before, environ=ENVIRON)

    def told(self) -> list[str]:
        """Return what the admin was told of Alice's session."""
        return [text for text in entries(self._diary) if text in (LOST, BACK) or text.startswith("https://")]

    def others(self) -> list[str]:
        """Return what else the admin was told."""
        return [text for text in entries(self._diary) if text not in self.told()]

    async def tells(self, *texts: str) -> None:
        """Wait until the admin was told all that of Alice's session, and nothing else of it, in that order."""
        await self.bob.until(lambda: len(self.told()) >= len(texts), f"the admin was told {texts}")
        assert self.told() == [*texts]


@asynccontextmanager
async def on_a_disk(folder: Path) -> AsyncIterator[tuple[Scene, Disk]]:
    """Give a scene in which Bob's store is on a small disk of its own."""
    disk = folder / "disk"
    disk.mkdir()
    scene = Scene(folder, store="disk/bob.db", before=on_a_small_disk(disk))
    async with scene.bob as bob:
        await bob.says(SEEN)
        yield scene, Disk(bob.pid, disk)


async def test_rescue_goes_on_while_the_disk_is_full(tmp_path: Path) -> None:
    """On a full disk all is told as ever, once, and the admin that nothing lasts; with room again it does."""
    async with on_a_disk(tmp_path) as (scene, disk):
        disk.fill()
        await loses_and_returns(scene)
        await scene.bob.says(IN_MEMORY)
        await scene.bob.until(lambda: len(scene.others()) == 1, "the admin is told that nothing lasts")
        disk.make_room()
        await scene.bob.says(AGAIN)
        await scene.bob.until(lambda: len(scene.others()) == len(ALERTS), "the admin is told that all lasts again")
        failing, working = scene.others()
        assert failing.startswith(ALERTS[0])
        assert "disk is full" in failing
        assert working == ALERTS[1]
        scene.alice.logs_out()
        scene.alice.shows("2")
        await scene.tells(*FIRST, BACK, *SECOND)
        assert len(scene.others()) == len(ALERTS)


async def test_rescue_goes_on_while_the_disk_has_become_read_only(tmp_path: Path) -> None:
    """Where the store's disk breaks all is told as ever, once; the next start goes on where the store ends."""
    folder = tmp_path / "disk"
    folder.mkdir()
    scene = Scene(tmp_path, store="disk/bob.db", before=on_a_disk_that_can_break(folder))
    async with scene.bob as bob:
        await bob.says(SEEN)
        await loses_and_returns(scene)
        break_disk(bob.pid, folder)
        scene.alice.logs_out()
        scene.alice.shows("2")
        await scene.tells(*FIRST, BACK, *SECOND)
        await bob.until(lambda: len(scene.others()) == 1, "the admin is told that nothing lasts")
        assert scene.others()[0].startswith(ALERTS[0])
        bob.kill()
        bob.start()
        await scene.tells(*FIRST, BACK, *SECOND, *SECOND)
        assert len(scene.others()) == 1


async def test_rescue_goes_on_where_the_store_is_read_only(tmp_path: Path) -> None:
    """Where the store can only be read it is not used: the rescue goes on, and the admin is told once.

    Nobody can know later what was told then: the next start that can write goes on where the store ends, and tells of
    the same loss once more.
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    scene = Scene(tmp_path, store="disk/bob.db")
    async with scene.bob as bob:
        await bob.says(SEEN)
        await bob.until(lambda: is_kept(disk / "bob.db"), "the place in the log is kept")
    writing = scene.bob
    scene.bob = Rescuer(writing.config, before=on_a_read_only_disk(disk), environ=ENVIRON)
    async with scene.bob as bob:
        await bob.says(SEEN, times=2)
        scene.alice.logs_out()
        scene.alice.shows("1")
        await scene.tells(*FIRST)
        (said,) = scene.others()
        assert said.startswith("the store cannot be used")
    scene.bob = writing
    async with writing:
        await scene.tells(*FIRST, *FIRST)


def is_kept(path: Path) -> bool:
    """Tell whether a store holds how far a log was handled."""
    survey = read_survey(path)
    return survey is not None and bool(survey.logs)


async def loses_and_returns(scene: Scene) -> None:
    """Let Alice be rescued while nothing can be kept."""
    scene.alice.logs_out()
    scene.alice.shows("1")
    await scene.tells(*FIRST)
    scene.alice.logs_in()
    await scene.tells(*FIRST, BACK)
    assert scene.bob.errors.count(IN_MEMORY) <= 1


async def test_rescue_goes_on_without_a_store_that_cannot_be_opened(tmp_path: Path) -> None:
    """Where the store's place is no folder at the start the rescue goes on, and the admin is told once."""
    scene = Scene(tmp_path, store="gone/bob.db")
    async with scene.bob as bob:
        await bob.says(SEEN)
        await loses_and_returns(scene)
        (said,) = scene.others()
        assert said.startswith("the store cannot be used")


async def test_damaged_store_is_set_aside_and_the_rescue_goes_on(tmp_path: Path) -> None:
    """A store that is garbage at the start is kept under another name and told of once, over a restart too."""
    scene = Scene(tmp_path)
    (tmp_path / "bob.db").write_bytes(b"this is no database" * 1000)
    async with scene.bob as bob:
        await bob.says(SEEN)
        scene.alice.logs_out()
        scene.alice.shows("1")
        await scene.tells(*FIRST)
        await bob.keeps(lambda kept: not kept.pending_calls and not kept.letters_waiting, "all is told")
        bob.kill()
        bob.start()
        scene.alice.logs_in()
        await scene.tells(*FIRST, BACK)
        (said,) = scene.others()
        assert said.startswith("the store was damaged and has been set aside as bob.db.corrupt-")


async def test_rescue_goes_on_after_the_store_was_removed(tmp_path: Path) -> None:
    """A store taken away while in use is not used any more: the rescue goes on, and a restart makes a new one."""
    scene = Scene(tmp_path)
    async with scene.bob as bob:
        await bob.says(SEEN)
        remove_store(tmp_path)
        await loses_and_returns(scene)
        bob.kill()
        bob.start()
        await bob.says(SEEN, times=3)
        scene.alice.logs_out()
        scene.alice.shows("2")
        await scene.tells(*FIRST, BACK, *SECOND)


def remove_store(folder: Path) -> None:
    """Take the store away, with what SQLite keeps beside it."""
    for path in folder.glob("bob.db*"):
        path.unlink()


async def test_loss_while_the_program_was_dead_is_told_once(tmp_path: Path) -> None:
    """What happened between a kill and the next start is read first, and told once through all later kills."""
    scene = Scene(tmp_path)
    async with scene.bob as bob:
        await bob.says(SEEN)
        await bob.keeps(lambda kept: kept.logs == {"alice": 1}, "the place in the log is kept")
        bob.kill()
        scene.alice.logs_out()
        scene.alice.shows("1")
        bob.start()
        await scene.tells(*FIRST)
        await bob.keeps(lambda kept: not kept.pending_calls and not kept.letters_waiting, "all is told")
        bob.kill()
        bob.start()
        scene.alice.logs_in()
        await scene.tells(*FIRST, BACK)
