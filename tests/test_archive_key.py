"""The key `archive` of a `[[watch]]`: a log that is rotated into another folder is read on there after a restart."""

from __future__ import annotations

import asyncio
import gzip
from typing import TYPE_CHECKING

from logmonitor.cli.check_logs import archive_rows
from logmonitor.cli.row import user_name
from logmonitor.config import build_operations, load
from logmonitor.runtime import serve
from logmonitor.testing import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logmonitor.cli.row import Row

LOGIN = "22:44:35 INFO StarterBot Contact<Bob> login\n"
LOGOUT = "22:44:36 INFO StarterBot Contact<Bob> logout\n"
LOST = "bob has been logged out; its login QR follows as soon as its log shows one"
DEADLINE = 20
TEXT = """
[bot]
name = "alice"

[chat]
transport = "console"
admins = ["AdminWeixin"]

[[watch]]
name = "bob"
log = "logs/bob.log"
archive = ["{archive}", "nowhere"]
profile = "wechaty-ts"

[[operation]]
use = "qr_rescue"
watch = "bob"
"""


async def lived(configuration: Path, is_over: Callable[[MemoryTransport], bool]) -> list[str]:
    """Let the configured program run until it has said what is awaited; return all that it said."""
    config = load(configuration)
    chat, stop = MemoryTransport(), asyncio.Event()
    async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(config, transport=chat, operations=build_operations(config), stop=stop))
        while not is_over(chat):
            chat.receive("status")
            await asyncio.sleep(0.01)
        stop.set()
    return [str(content) for _, content in chat.sent]


def test_loss_that_was_rotated_into_an_archive_while_nobody_watched_is_told(tmp_path: Path) -> None:
    """The log is moved to the archive and packed with the logout in it; the next start reads it there."""
    logs, old, path = tmp_path / "logs", tmp_path / "old", tmp_path / "alice.toml"
    logs.mkdir()
    old.mkdir()
    (logs / "bob.log").write_text(LOGIN)
    path.write_text(TEXT.format(archive="old"))
    asyncio.run(lived(path, lambda chat: any("logged in" in str(content) for _, content in chat.sent)))
    (old / "bob.log.1.gz").write_bytes(gzip.compress((LOGIN + LOGOUT).encode()))
    (logs / "bob.log").unlink()
    (logs / "bob.log").write_text("22:44:37 INFO StarterBot goes on\n")
    said = asyncio.run(lived(path, lambda chat: any(content == LOST for _, content in chat.sent)))
    assert said.count(LOST) == 1
    assert not any("never read" in text for text in said)


def test_check_tells_of_each_archive_whether_it_can_be_read(tmp_path: Path) -> None:
    """A folder that is there is said so; one that is not, and one that cannot be listed, are findings."""
    (tmp_path / "old").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / "alice.toml"
    rows: list[Row] = []
    for archive in ("old", "loop"):
        path.write_text(TEXT.format(archive=archive))
        rows += archive_rows(load(path).watches[0])
    assert [(row.text.replace(str(tmp_path), "@"), row.remedy) for row in rows] == [
        ("the archive @/old can be read", None),
        (
            "the archive @/nowhere: no such file or directory",
            "correct archive, or make the folder; what is rotated into another is not found again",
        ),
        (
            "the archive @/loop cannot be read: too many levels of symbolic links",
            f"let the user {user_name()} list it, and enter the folders above it",
        ),
        (
            "the archive @/nowhere: no such file or directory",
            "correct archive, or make the folder; what is rotated into another is not found again",
        ),
    ]
