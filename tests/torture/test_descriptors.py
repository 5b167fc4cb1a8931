"""A process whose descriptors are used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.extent import IS_FULL
from tests.torture.numbered import Score
from tests.torture.scene import Scene
from tests.torture.writer import Kind

if TYPE_CHECKING:
    from pathlib import Path

EVERY = 1.0 if IS_FULL else 0.4


def test_follower_without_descriptors_goes_on_once_there_are_some(tmp_path: Path) -> None:
    """Unable to open a file during two rotations it says so, and has lost nothing once it can."""
    with Scene(tmp_path, Kind.RENAME) as scene:
        scene.start_witness()
        scene.wait_until_followed()
        scene.start_writer(seconds=6 * EVERY, rate=20_000, every=EVERY)
        scene.wait_for_rotation(1)
        scene.limit_descriptors(3)
        scene.wait_for_rotation(3)
        scene.wait_until_grown()
        scene.limit_descriptors()
        written = scene.wait_for_writer()
        tally = scene.tally(written)
        assert (tally.score, tally.gaps) == (Score(written=written, lost=0, doubled=0, garbled=0, misplaced=0), ())
        assert [remark.kind for remark in scene.loud_remarks()] == ["unreadable"]
