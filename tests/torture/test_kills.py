"""A rescuer that is killed again and again while a bot is lost and comes back: no loss is missed, nothing is left."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.storage.survey import read_survey
from logmonitor.testing.log_writer import LogWriter
from tests.torture.diary import entries
from tests.torture.extent import IS_FULL
from tests.torture.rescuer import BACK, LOST, Alice, Rescuer
from tests.torture.test_failures_store import CONFIGURATION, ENVIRON

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KILLS: Final = 200 if IS_FULL else 6
LONGEST_LIFE: Final = 1.2
"""How many seconds a run lives at most; it takes half a second to begin."""


@pytest.mark.timeout(1200)
async def test_no_loss_is_missed_however_often_the_rescuer_is_killed(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Each loss, each QR that is still of use, and each return is told at least once, in order."""
    chance = random.Random(6)  # noqa: S311  # nobody is to be surprised by it
    diary = tmp_path / "diary"
    config = tmp_path / "bob.toml"
    config.write_text(CONFIGURATION.format(store="bob.db", diary=diary))
    rescuer = Rescuer(config, environ=ENVIRON)
    with LogWriter(tmp_path / "alice.log") as log:
        alice = Alice(log)
        alice.logs_in()
        async with rescuer:
            await rescuer.keeps(lambda survey: bool(survey.sessions), "Alice's session is known")
            losses = await _killed(rescuer, alice, chance)
            await rescuer.until(lambda: entries(diary).count(BACK) >= losses, "the last return is told")
            await rescuer.keeps(lambda survey: not survey.letters_waiting, "nothing waits")
    told = Counter(text for text in entries(diary) if text in (LOST, BACK))
    doubles = sum(told.values()) - 2 * losses
    record_property("doubles", doubles)
    assert (told[LOST] >= losses, told[BACK] >= losses) == (True, True)
    assert doubles <= KILLS
    survey = read_survey(config.with_suffix(".db"))
    assert survey is not None
    assert (survey.letters_waiting, survey.letters_failed, survey.pending_calls) == (0, 0, 0)


async def _killed(rescuer: Rescuer, alice: Alice, chance: random.Random) -> int:
    """Kill the rescuer again and again while Alice is lost and comes back; return how often she was lost."""
    over = asyncio.Event()
    losses = 0

    async def live() -> None:
        nonlocal losses
        while not over.is_set():
            losses += 1
            alice.logs_out()
            await asyncio.sleep(chance.random() * 0.2)
            alice.shows(str(losses))
            await asyncio.sleep(chance.random() * 0.2)
            alice.logs_in()
            alice.chatters(chance.randrange(1, 50))
            await asyncio.sleep(chance.random() * 0.2)

    living = asyncio.ensure_future(live())
    for _ in range(KILLS):
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), chance.random() * LONGEST_LIFE)
        rescuer.kill()
        rescuer.start()
    over.set()
    await living
    return losses
