"""A rescue by `logmonitor run` beside an operation that hangs while very many lines come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.torture.test_failures_store import FIRST, SEEN, Scene

if TYPE_CHECKING:
    from pathlib import Path

HANGING: Final = """
[[operation]]
use = "tests.torture.hanging:hanging"
gate = "{folder}/gate"
count = "{folder}/count"
"""
FEW: Final = 20_000
"""As many lines as may wait for an operation."""

MANY: Final = 100_000
HANGS: Final = "hanging has taken no line for 5 s; lines are being passed over"
GOES_ON: Final = "hanging takes lines again; lines that were passed over: "


async def test_rescue_does_not_wait_for_a_handler_that_hangs(tmp_path: Path) -> None:
    """While another operation hangs over lines that were written at once, the loss behind them is told.

    The operation is given all of them once it goes on.
    """
    scene = Scene(tmp_path, more=HANGING.format(folder=tmp_path))
    async with scene.bob as bob:
        await bob.says(SEEN)
        scene.alice.chatters(FEW)
        scene.alice.logs_out()
        scene.alice.shows("1")
        await scene.tells(*FIRST)
        (tmp_path / "gate").touch()
        await bob.until(lambda: counted(tmp_path) == FEW, "every line was given to the operation")
        assert (scene.told(), scene.others()) == (FIRST, [])


async def test_rescue_does_not_wait_where_too_much_waits_for_a_handler_that_hangs(tmp_path: Path) -> None:
    """Where more comes than may wait for an operation that hangs, lines pass it over: that is told, and how many."""
    scene = Scene(tmp_path, more=HANGING.format(folder=tmp_path))
    async with scene.bob as bob:
        await bob.says(SEEN)
        scene.alice.chatters(MANY)
        scene.alice.logs_out()
        scene.alice.shows("1")
        await scene.tells(*FIRST)
        assert scene.others() == [HANGS]
        (tmp_path / "gate").touch()
        await bob.until(lambda: len(scene.others()) > 1, "it is told how many lines were passed over")
        (told,) = scene.others()[1:]
        passed_over = int(told.removeprefix(GOES_ON))
        assert passed_over
        await bob.until(lambda: counted(tmp_path) == MANY - passed_over, "every other line was given to the operation")


def counted(folder: Path) -> int:
    """Return how many lines the operation was given by now."""
    path = folder / "count"
    text = path.read_text("utf-8") if path.exists() else ""
    return int(text.split()[0]) if text else 0
