"""What waits for a confirmation or a code, and what counts for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import Command, Context, Invocation, SecurityRule, Sender
from logmonitor.approval import (
    ID_ALPHABET,
    Pending,
    Proposal,
    Request,
    confirmable,
    drop,
    expire,
    fulfil,
    id_of,
    in_order,
    is_free,
    propose,
    waiting_for,
)
from logmonitor.testing import ADMIN, message

OTHER = Sender(id="other-id", name="Other")


async def nothing(_context: Context, _invocation: Invocation) -> None:
    """Do nothing."""


RESTART = Command(name="restart", handler=nothing, help="restart it")


def proposal(
    *needs: SecurityRule,
    id_: str = "7F3K",
    sender: Sender = ADMIN,
    room: str | None = None,
    text: str = "restart bob",
    expires_at: float = 120.0,
) -> Proposal:
    """Make a proposal as a dispatcher would."""
    invocation = Invocation(message=message(text, sender=sender, room=room), name="restart")
    request = Request(operation="restarter", command=RESTART, invocation=invocation, text=text, shown=text)
    return Proposal(
        id=id_, request=request, needs=needs or (SecurityRule.CONFIRM,), expires_at=expires_at, code="12345678"
    )


def test_new_proposal_takes_the_place_of_the_same_users_in_the_same_conversation() -> None:
    """What one user asked for before in a conversation waits no more; what others wait for stays."""
    first, elsewhere, others = proposal(), proposal(id_="AAAA", room="room-id"), proposal(id_="BBBB", sender=OTHER)
    pending = Pending(proposals=(first, elsewhere, others))
    second = proposal(id_="CCCC", text="restart alice")
    pending, replaced = propose(pending, second)
    assert replaced is first
    assert pending.proposals == (elsewhere, others, second)


def test_first_proposal_replaces_nothing() -> None:
    """Where nothing waits nothing is dropped."""
    pending, replaced = propose(Pending(), proposal())
    assert (len(pending.proposals), replaced) == (1, None)


def test_proposal_is_dropped_at_the_end_of_its_life() -> None:
    """A proposal waits until its time has come, and not at that moment."""
    early, late = proposal(expires_at=120.0), proposal(id_="AAAA", sender=OTHER, expires_at=121.0)
    pending = Pending(proposals=(early, late))
    assert expire(pending, now=119.9) == (pending, ())
    assert expire(pending, now=120.0) == (Pending(proposals=(late,)), (early,))


@pytest.mark.parametrize(
    "typed", ["7F3K", "7f3k", " 7f3k ", "７Ｆ３Ｋ", "7F3K.", "7f3k。", "“7F3K”", "`7F3K`", '"7f3k"']
)
def test_id_is_understood_as_a_phone_types_it(typed: str) -> None:
    """Lower case, full-width characters, quotes and a full stop change nothing."""
    assert confirmable(Pending(proposals=(proposal(),)), typed, user=ADMIN.id, conversation=ADMIN.id) is not None


@pytest.mark.parametrize("word", ["yes", "ok", "好", "是", "y", "", "7F3", "7F3KK", "confirm"])
def test_word_that_is_no_id_confirms_nothing(word: str) -> None:
    """A bare yes, in any language, or half an id is no confirmation."""
    assert confirmable(Pending(proposals=(proposal(),)), word, user=ADMIN.id, conversation=ADMIN.id) is None


def test_own_proposal_is_confirmed_where_it_was_asked_and_nowhere_else() -> None:
    """The same user cannot confirm in another conversation what waits in this one."""
    pending = Pending(proposals=(one := proposal(),))
    assert confirmable(pending, "7F3K", user=ADMIN.id, conversation=ADMIN.id) == (one, SecurityRule.CONFIRM)
    assert confirmable(pending, "7F3K", user=ADMIN.id, conversation="room-id") is None


def test_another_user_confirms_only_what_another_has_to() -> None:
    """A confirmation of one's own is nobody else's to give, and that of a peer not one's own."""
    own = Pending(proposals=(proposal(SecurityRule.CONFIRM),))
    assert confirmable(own, "7F3K", user=OTHER.id, conversation=ADMIN.id) is None
    peer = Pending(proposals=(waiting := proposal(SecurityRule.PEER),))
    assert confirmable(peer, "7F3K", user=ADMIN.id, conversation=ADMIN.id) is None
    assert confirmable(peer, "7F3K", user=OTHER.id, conversation=OTHER.id) == (waiting, SecurityRule.PEER)


def test_code_alone_is_not_confirmed_by_an_id() -> None:
    """What waits for a code is not done because somebody says its id."""
    pending = Pending(proposals=(proposal(SecurityRule.TOTP),))
    assert confirmable(pending, "7F3K", user=ADMIN.id, conversation=ADMIN.id) is None
    assert confirmable(pending, "7F3K", user=OTHER.id, conversation=OTHER.id) is None


def test_fulfilled_proposal_waits_no_longer() -> None:
    """Once nothing is missing it cannot be confirmed a second time."""
    pending = Pending(proposals=(one := proposal(SecurityRule.TOTP, SecurityRule.CONFIRM),))
    pending, half = fulfil(pending, one, SecurityRule.TOTP, factor="totp")
    assert (half.needs, half.given, pending.proposals) == ((SecurityRule.CONFIRM,), ("totp",), (half,))
    pending, whole = fulfil(pending, half, SecurityRule.CONFIRM, factor="confirm")
    assert (whole.needs, whole.given, pending.proposals) == ((), ("totp", "confirm"), ())
    assert confirmable(pending, "7F3K", user=ADMIN.id, conversation=ADMIN.id) is None


def test_dropped_proposal_waits_no_longer_however_far_it_had_come() -> None:
    """Dropping goes by the id, so that what a proposal was given meanwhile does not keep it."""
    one = proposal(SecurityRule.TOTP, SecurityRule.CONFIRM)
    pending, _half = fulfil(Pending(proposals=(one,)), one, SecurityRule.TOTP, factor="totp")
    assert drop(pending, one) == Pending()
    assert is_free(drop(pending, one), "7F3K")
    assert not is_free(pending, "7F3K")


def test_proposal_shows_nothing_of_its_code() -> None:
    """What a log or a traceback shows of a proposal holds no code."""
    assert "12345678" not in repr(proposal())


@given(st.frozensets(st.sampled_from(SecurityRule)))
def test_rules_are_asked_for_in_one_order(rules: frozenset[SecurityRule]) -> None:
    """Every rule is asked for, once, other people last."""
    ordered = in_order(rules)
    assert frozenset(ordered) == rules
    assert len(ordered) == len(rules)
    assert SecurityRule.PEER not in ordered[:-1]


@given(st.text(ID_ALPHABET, min_size=4, max_size=4))
def test_every_id_is_read_back(id_: str) -> None:
    """Whatever id is drawn, its owner can type it in either case."""
    assert id_of(id_) == id_of(id_.lower()) == id_


@given(
    st.lists(
        st.tuples(st.sampled_from(("ann", "ben")), st.sampled_from(("direct", "room")), st.integers(0, 300)),
        max_size=20,
    )
)
def test_nobody_ever_has_two_proposals_in_one_conversation(asked: list[tuple[str, str, int]]) -> None:
    """Whatever is asked when, at most one proposal waits for a user in a conversation, and it is the newest."""
    pending = Pending()
    newest: dict[tuple[str, str], Proposal] = {}
    for number, (user, conversation, at) in enumerate(asked):
        one = proposal(id_=f"{number:04}", sender=Sender(id=user), expires_at=at + 120.0)
        one = replace(
            one,
            request=replace(
                one.request,
                invocation=replace(
                    one.request.invocation, message=replace(one.request.invocation.message, conversation=conversation)
                ),
            ),
        )
        pending, _replaced = propose(pending, one)
        newest[user, conversation] = one
    assert {key: waiting_for(pending, user=key[0], conversation=key[1]) for key in newest} == newest
    assert len(pending.proposals) == len(newest)
