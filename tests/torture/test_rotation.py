"""20,000 lines a second, rotated in every way, and a follower that is stopped and killed: each line comes once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

import pytest

from tests.torture.extent import FULL_ONLY, IS_FULL
from tests.torture.numbered import Score
from tests.torture.scene import Scene
from tests.torture.writer import Kind

if TYPE_CHECKING:
    from pathlib import Path

LASTING: Final = [kind for kind in Kind if kind is not Kind.TRUNCATE]
LEFT_ALONE: Final = LASTING if IS_FULL else [Kind.ELSEWHERE, Kind.REGROW]
STOPPED: Final = LASTING if IS_FULL else [Kind.RENAME, Kind.COPY, Kind.SYMLINK, Kind.NO_APPEND]
KILLED: Final = LASTING if IS_FULL else [Kind.RENAME_TWICE, Kind.RENAME_GZIP, Kind.COPY_TWICE, Kind.COPY_ELSEWHERE]
KILLED_AGAIN: Final = LASTING if IS_FULL else [Kind.COPY_GZIP]
EVERY: Final = 1.0 if IS_FULL else 0.3
ROTATIONS: Final = 9 if IS_FULL else 5


def start(scene: Scene, kind: Kind) -> None:
    """Let the log be written and followed."""
    rate = 20_000 // 4 if kind is Kind.REGROW else 20_000
    scene.start_witness()
    scene.wait_until_followed()
    scene.start_writer(seconds=(ROTATIONS + 1) * EVERY, rate=rate, every=EVERY)


def assert_nothing_is_lost(scene: Scene) -> None:
    """Assert that each line came once, whole and in order, and that no loss was told."""
    written = scene.wait_for_writer()
    tally = scene.tally(written)
    assert (tally.score, tally.gaps, scene.loud_remarks()) == (
        Score(written=written, lost=0, doubled=0, garbled=0, misplaced=0),
        (),
        [],
    )
    assert written


@pytest.mark.parametrize("kind", LEFT_ALONE)
def test_follower_loses_no_line(tmp_path: Path, kind: Kind) -> None:
    """Left alone it gives out each line once, whole and in order."""
    with Scene(tmp_path, kind) as scene:
        start(scene, kind)
        assert_nothing_is_lost(scene)


@pytest.mark.parametrize("kind", STOPPED)
def test_follower_that_was_stopped_loses_no_line(tmp_path: Path, kind: Kind) -> None:
    """Stopped between two rotations, and for two, it gives out each line once, whole and in order."""
    with Scene(tmp_path, kind) as scene:
        start(scene, kind)
        scene.wait_for_rotation(2)
        scene.wait_until_grown()
        scene.stop_witness()
        scene.wait_for_rotation(4)
        scene.wait_until_grown()
        scene.continue_witness()
        assert_nothing_is_lost(scene)


@FULL_ONLY
@pytest.mark.parametrize("kind", LASTING)
def test_follower_that_was_stopped_at_a_rotation_loses_no_line(tmp_path: Path, kind: Kind) -> None:
    """Stopped and let go at the moment of a rotation, it gives out each line once, whole and in order."""
    with Scene(tmp_path, kind) as scene:
        start(scene, kind)
        scene.wait_for_rotation(2)
        scene.stop_witness()
        scene.wait_for_rotation(4)
        scene.continue_witness()
        assert_nothing_is_lost(scene)


@pytest.mark.parametrize("kind", KILLED)
def test_follower_that_was_killed_loses_no_line(tmp_path: Path, kind: Kind) -> None:
    """Killed, and started two rotations later, it gives out each line once, whole and in order."""
    with Scene(tmp_path, kind) as scene:
        start(scene, kind)
        scene.wait_for_rotation(2)
        scene.kill_witness()
        scene.wait_for_rotation(4)
        scene.start_witness()
        assert_nothing_is_lost(scene)


@pytest.mark.parametrize("kind", KILLED_AGAIN)
def test_follower_killed_again_and_again_loses_no_line(tmp_path: Path, kind: Kind) -> None:
    """Killed at any moment and started at once, again and again, it gives out each line once, whole and in order."""
    chance = random.Random(6)  # noqa: S311 - the same moments each time, not a secret
    with Scene(tmp_path, kind) as scene:
        start(scene, kind)
        while scene.is_writing:
            scene.wait_for_bytes(scene.ledger.size_bytes() + chance.randrange(1, 1_500_000))
            scene.kill_witness()
            scene.start_witness()
        assert_nothing_is_lost(scene)
