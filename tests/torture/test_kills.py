"""A rescuer that is killed again and again while a bot is lost and comes back: no loss is missed, nothing is left."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import groupby
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.storage.survey import read_survey
from logmonitor.testing.log_writer import LogWriter
from tests.torture.diary import entries
from tests.torture.extent import IS_FULL
from tests.torture.rescuer import BACK, LOST, PAYLOAD, Alice, Rescuer
from tests.torture.test_failures_store import CONFIGURATION, ENVIRON

if TYPE_CHECKING:
    from pathlib import Path

KILLS: Final = 200 if IS_FULL else 6
LONGEST_LIFE: Final = 1.0
"""How many seconds a run is killed after at most: after its start, or after it has begun its work."""

LONGEST_PAUSE: Final = 0.6
"""How many seconds pass at most between a loss, its QR, the return and the next loss."""

BEGUN: Final = "bob watches alice"

MOST_DOUBLED: Final = KILLS // 10
"""A kill between the chat's taking a message and the record of that doubles it; this chat takes one in milliseconds."""


@pytest.mark.timeout(3600)
async def test_no_loss_is_missed_however_often_the_rescuer_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each loss and each return is told, in order, and so is the QR of a loss that stands; next to nothing twice."""
    chance = random.Random(6)  # noqa: S311  # nobody is to be surprised by it
    diary = tmp_path / "diary"
    config = tmp_path / "bob.toml"
    config.write_text(CONFIGURATION.format(store="bob.db", diary=diary))
    rescuer = Rescuer(config, environ=ENVIRON)
    began_at = time.monotonic()
    with LogWriter(tmp_path / "alice.log") as log:
        alice = Alice(log)
        alice.logs_in()
        async with rescuer:
            await rescuer.keeps(lambda survey: bool(survey.sessions), "Alice's session is known")
            rescuer.kill()
            losses = 1 + await _killed(rescuer, alice, chance)
            alice.logs_out()
            alice.shows("last")
            await rescuer.until(lambda: PAYLOAD.format("last") in entries(diary), "the last QR is told")
            alice.logs_in()
            await rescuer.until(lambda: entries(diary)[-1] == BACK, "the last return is told")
            await rescuer.keeps(lambda survey: not survey.letters_waiting, "nothing waits")
    told = entries(diary)
    moves = [text for text in told if text in (LOST, BACK)]
    missed = 2 * losses - sum(1 for _ in groupby(moves))
    doubled = len(moves) - 2 * losses + missed
    codes = [text for text in told if text.startswith("https://")]
    doubled_codes = len(codes) - len(set(codes))
    figures = (
        f"{KILLS} kills in {time.monotonic() - began_at:.0f} s, {losses} losses and as many returns: {missed} missed,"
        f" {doubled} doubled; {len(codes)} QRs, {doubled_codes} doubled"
    )
    with capsys.disabled():
        print(f"\n{figures}")  # noqa: T201  # what a torture has found is what it is made for
    survey = read_survey(config.with_suffix(".db"))
    assert survey is not None
    assert (survey.letters_waiting, survey.letters_failed, survey.pending_calls) == (0, 0, 0)
    assert (missed, set(told) - {LOST, BACK} - set(codes)) == (0, set())
    assert doubled + doubled_codes <= MOST_DOUBLED


async def _killed(rescuer: Rescuer, alice: Alice, chance: random.Random) -> int:
    """Kill the rescuer again and again while Alice is lost and comes back; return how often she was lost."""
    over = asyncio.Event()
    losses = 0

    async def live() -> None:
        nonlocal losses
        while not over.is_set():
            losses += 1
            alice.logs_out()
            await asyncio.sleep(chance.random() * LONGEST_PAUSE)
            alice.shows(str(losses))
            await asyncio.sleep(chance.random() * LONGEST_PAUSE)
            alice.logs_in()
            alice.chatters(chance.randrange(1, 50))
            await asyncio.sleep(chance.random() * LONGEST_PAUSE)

    living = asyncio.ensure_future(live())
    for _ in range(KILLS):
        if chance.random() < 0.8:
            times = rescuer.errors.count(BEGUN) + 1
            rescuer.start()
            await rescuer.says(BEGUN, times=times)
        else:
            rescuer.start()
        await asyncio.sleep(chance.random() * LONGEST_LIFE)
        rescuer.kill()
    rescuer.start()
    over.set()
    await living
    return losses
