"""A rescue by `logmonitor run` for which the kernel has thrown away what it had to tell of the log's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.torture.rescuer import BACK
from tests.torture.test_failures_store import FIRST, SEEN, Scene

QUEUED: Final = Path("/proc/sys/fs/inotify/max_queued_events")
MOST: Final = 100_000
"""How many files are made at most, to fill a queue."""


def queue_size() -> int:
    """Return how many events the kernel keeps for a program that does not take them; too many where it has none."""
    return int(QUEUED.read_text("ascii")) if QUEUED.exists() else MOST + 1


def overflow(folder: Path, count: int) -> None:
    """Cause two events each that are not alike, so that the kernel puts none of them together."""
    for number in range(count):
        path = folder / f"other-{number}"
        path.touch()
        path.unlink()


@pytest.mark.skipif(queue_size() > MOST, reason="the kernel keeps more events than a test should cause")
async def test_rescue_goes_on_where_the_queue_of_events_has_overflowed(tmp_path: Path) -> None:
    """A loss behind more events than the kernel keeps is told as ever, and so is the return: events are but hints."""
    scene = Scene(tmp_path)
    async with scene.bob as bob:
        await bob.says(SEEN)
        bob.stop()
        overflow(tmp_path, queue_size())
        scene.alice.logs_out()
        scene.alice.shows("1")
        bob.go_on()
        await scene.tells(*FIRST)
        scene.alice.logs_in()
        await scene.tells(*FIRST, BACK)
        assert scene.others() == []
