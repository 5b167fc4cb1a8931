"""How often a bot was lost, as `status` tells it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from logmonitor import OperationConfig
from logmonitor.records import SessionState
from logmonitor.session_history import history_row
from logmonitor.storage.progress import SessionChange
from logmonitor.store import Store
from logmonitor.testing import START, chat
from operations.qr_rescue import qr_rescue

OUT, SCAN, IN = SessionState.LOGGED_OUT, SessionState.AWAITING_SCAN, SessionState.LOGGED_IN


def change(state: SessionState, loss: int, *, days: float) -> SessionChange:
    """Make a change of so many days ago."""
    return SessionChange(state=state, loss=loss, at=START - timedelta(days=days))


@pytest.mark.parametrize(
    ("changes", "row"),
    [
        ([], None),
        ([change(IN, 0, days=1)], None),
        ([change(OUT, 1, days=31), change(IN, 1, days=29)], None),
        ([change(OUT, 1, days=-1)], None),
        (
            [change(OUT, 1, days=2), change(SCAN, 1, days=1.9), change(IN, 1, days=1)],
            "lost once in 30 days, 2 days ago",
        ),
        (
            [change(OUT, 4, days=31), change(OUT, 5, days=3), change(IN, 5, days=2), change(SCAN, 6, days=1 / 8)],
            "lost 2 times in 30 days, last 3 h ago",
        ),
    ],
)
def test_losses_of_the_last_month_are_counted(changes: list[SessionChange], row: str | None) -> None:
    """Each once, however its QR changed; none that is older, or of a clock that was set."""
    assert history_row(changes, now=START, translate=str) == row


def test_history_is_kept_for_a_year() -> None:
    """What is older is forgotten with the next change, of bots that are gone too."""
    with Store() as store:
        store.progress.add_change("gone", change(OUT, 1, days=401))
        store.progress.add_change("bob", change(OUT, 1, days=365))
        store.progress.add_change("bob", change(IN, 1, days=0))
        since = START - timedelta(days=1000)
        assert store.progress.changes("gone", since=since) == ()
        assert len(store.progress.changes("bob", since=since)) == 2


async def test_status_tells_how_often_a_bot_was_lost() -> None:
    """In a row of its own below the bot's, once that has happened."""
    async with chat(qr_rescue(OperationConfig(watch="bob")), watches=("bob",), profile="wechaty-ts") as here:
        ann, log = here.user("Ann"), here.log("bob")
        log.write("22:44:35 INFO StarterBot Contact<Bob> login")
        await here.settle()
        heard = await ann.says("status").should_reply()
        assert "30 days" not in str(heard.text)
        log.write("22:44:36 INFO StarterBot Contact<Bob> logout")
        await ann.should_receive()
        await here.move_on(10800)
        heard = await ann.says("status").should_reply()
        assert "  lost once in 30 days, 3 h ago" in str(heard.text).splitlines()
