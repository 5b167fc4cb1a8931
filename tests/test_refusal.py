"""What an operator and an admin are told of refused lines."""

from __future__ import annotations

from dataclasses import replace

from logmonitor.records import EventKind, Refusal
from logmonitor.refusal import Refusals, note, refusal_rows, tell
from logmonitor.testing import event

GOOD = event(EventKind.LOGIN, verified=True)
PLAIN = event(EventKind.LOGIN)


def refused(refusal: Refusal) -> Refusals:
    """Return what is known after one line was refused."""
    return note(Refusals(), event(EventKind.LOGIN, trusted=False, refused=refusal))


def test_refusal_is_told_once_until_a_line_is_verified() -> None:
    """Each reason is told once; a verified line makes it news again, one that needs no signature does not."""
    wrong = event(EventKind.LOGIN, trusted=False, refused=Refusal.WRONG)
    refusals, news = tell(refused(Refusal.WRONG))
    assert news == (Refusal.WRONG,)
    refusals, news = tell(note(note(refusals, wrong), PLAIN))
    assert news == ()
    refusals, news = tell(note(refusals, event(EventKind.LOGIN, trusted=False, refused=Refusal.REPLAYED)))
    assert news == (Refusal.REPLAYED,)
    refusals, news = tell(note(note(refusals, GOOD), wrong))
    assert news == (Refusal.WRONG,)
    assert refusals.counts == {Refusal.WRONG: 3, Refusal.REPLAYED: 1}


def test_refusal_that_a_verified_line_followed_is_not_told() -> None:
    """Lines of old, from before the bot signed, are no news once a signed one came."""
    assert tell(note(refused(Refusal.UNSIGNED), GOOD))[1] == ()


def test_refusal_in_reach_of_a_message_is_counted_and_not_told() -> None:
    """What a stranger may have said is in the count; the same from out of a message's reach is still news."""
    said = event(EventKind.LOGIN, trusted=False, refused=Refusal.WRONG, in_message=True)
    refusals, news = tell(note(Refusals(), said))
    assert (refusals.counts, news) == ({Refusal.WRONG: 1}, ())
    assert tell(note(refusals, replace(said, in_message=False)))[1] == (Refusal.WRONG,)


def test_rows_tell_how_many_and_why() -> None:
    """Each reason has a row; for a wrong signature it says where to look."""
    refusals = refused(Refusal.UNSIGNED)
    for refusal in (Refusal.WRONG, Refusal.REPLAYED, Refusal.WRONG):
        refusals = note(refusals, event(EventKind.LOGIN, trusted=False, refused=refusal))
    assert refusal_rows(refusals, str) == (
        "1 session lines were refused: not signed",
        (
            "2 session lines were refused: wrong signature; is `name` in the twin's [bot] the name of this [[watch]], "
            "and `twin_key` the same on both sides?"
        ),
        "1 session lines were refused: a copy of a signed line that stood elsewhere before",
    )
    assert refusal_rows(Refusals(), str) == ()
