"""What no copy and no open descriptor holds any more is told: exactly, as far as the follower ever saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.torture.extent import IS_FULL
from tests.torture.numbered import Score, line, size_bytes
from tests.torture.scene import Scene
from tests.torture.writer import Kind, Writer

if TYPE_CHECKING:
    from pathlib import Path

LARGE = 200_000 if IS_FULL else 60_000


def test_bytes_destroyed_before_they_were_read_are_counted_exactly(tmp_path: Path) -> None:
    """A file truncated without a copy while half of it was read: what was read and what is told make up all."""
    with Scene(tmp_path, Kind.TRUNCATE) as scene:
        writer = Writer(scene.log, Kind.TRUNCATE)
        writer.write(LARGE, at_once=True)
        scene.start_witness(stop_behind=size_bytes(LARGE) // 2)
        scene.wait_until_stopped()
        writer.rotate()
        writer.write(1000)
        writer.close()
        scene.continue_witness()
        tally = scene.tally(writer.number)
        told = [remark.lost_bytes for remark in scene.loud_remarks()]
        assert told == [size_bytes(writer.number) - scene.ledger.size_bytes()]
        assert len(tally.gaps) == 1
        assert (tally.score.doubled, tally.score.misplaced) == (0, 0)
        assert tally.score.garbled <= 1


def test_lines_truncated_under_way_are_told_and_no_number_is_wrong(tmp_path: Path) -> None:
    """Where a log is emptied at full speed, there is a remark for what is lost, and no more is told than is lost."""
    with Scene(tmp_path, Kind.TRUNCATE) as scene:
        scene.start_witness()
        scene.wait_until_followed()
        scene.start_writer(seconds=10 if IS_FULL else 2, rate=20_000, every=1 if IS_FULL else 0.4)
        written = scene.wait_for_writer()
        tally = scene.tally(written)
        told = [remark.lost_bytes for remark in scene.loud_remarks()]
        lost_bytes = size_bytes(written) - scene.ledger.size_bytes()
        assert (tally.score.doubled, tally.score.misplaced) == (0, 0)
        assert len(tally.gaps) <= len(told)
        assert sum(number or 0 for number in told) <= lost_bytes


def test_generations_deleted_while_it_was_dead_are_told_once(tmp_path: Path) -> None:
    """Killed, and rotated until its file is deleted, it says so once, without a number, and gives out all the rest."""
    with Scene(tmp_path, Kind.RENAME) as scene:
        writer = Writer(scene.log, Kind.RENAME, keep=1)
        scene.start_witness()
        writer.write(1000)
        assert scene.wait_until(lambda: scene.ledger.has(line(999)))
        scene.kill_witness()
        writer.rotate()
        writer.write(500)
        writer.rotate()
        survives_from = writer.number
        writer.write(500)
        writer.rotate()
        writer.write(500)
        scene.start_witness()
        tally = scene.tally(writer.number)
        writer.close()
        lost = range(1000, survives_from)
        assert (tally.score, tally.gaps) == (
            Score(written=writer.number, lost=len(lost), doubled=0, garbled=0, misplaced=0),
            (lost,),
        )
        assert [(remark.kind, remark.lost_bytes) for remark in scene.loud_remarks()] == [("gap", None)]
