"""Who may command: an admin, by id, in a direct message, now."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.access import Decision, Policy, Reason, Seen, decide, remember
from logmonitor.errors import ConfigurationError
from logmonitor.records import Message, Sender

_NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
_POLICY = Policy(admins=frozenset({"wxid_admin"}), signals=frozenset({"ding", "您好世界"}))


def _message(
    *,
    sender: Sender | None = None,
    text: str = "qr bob",
    room: str | None = None,
    from_self: bool = False,
    age: float = 1.0,
) -> Message:
    return Message(
        id="1",
        sender=sender or Sender(id="wxid_admin"),
        conversation="wxid_admin",
        text=text,
        sent_at=_NOW - timedelta(seconds=age),
        room=room,
        from_self=from_self,
    )


def test_decide_allows_an_admins_direct_message() -> None:
    """The id of an admin, no room, a young text: a command."""
    assert decide(_message(), _POLICY, now=_NOW) == Decision(allowed=True, reason=Reason.ADMIN)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (_message(sender=Sender(id="wxid_stranger")), Reason.STRANGER),
        (_message(sender=Sender(id="")), Reason.STRANGER),
        (_message(room="room@chat"), Reason.ROOM),
        (_message(room=""), Reason.ROOM),
        (_message(from_self=True), Reason.FROM_SELF),
        (_message(text=" \n\u3000"), Reason.EMPTY),
        (_message(text=" Ding\n"), Reason.SIGNAL),
        (_message(text="您好世界", age=61.0), Reason.SIGNAL),
        (_message(text="ding", sender=Sender(id="wxid_stranger")), Reason.STRANGER),
        (_message(age=61.0), Reason.STALE),
        (_message(age=-61.0), Reason.STALE),
        (_message(text="", age=61.0), Reason.EMPTY),
        (_message(sender=Sender(id="wxid_stranger"), room="room@chat", age=61.0), Reason.ROOM),
        (_message(sender=Sender(id="wxid_stranger"), age=61.0), Reason.STRANGER),
    ],
)
def test_decide_refuses_everything_else_with_its_reason(message: Message, reason: Reason) -> None:
    """Strangers, rooms, the bot itself, what is empty and what is old are refused; what needs an answer comes last."""
    assert decide(message, _POLICY, now=_NOW) == Decision(allowed=False, reason=reason)


def test_decide_goes_by_id_alone() -> None:
    """A stranger who takes an admin's name, alias and weixin number stays a stranger."""
    imposter = Sender(id="wxid_stranger", alias="wxid_admin", name="wxid_admin", weixin="wxid_admin")
    assert decide(_message(sender=imposter), _POLICY, now=_NOW).reason is Reason.STRANGER


def test_decide_hears_an_admin_in_a_room_that_is_named() -> None:
    """In a room of the policy an admin is heard and everybody else is a stranger."""
    policy = Policy(admins=frozenset({"wxid_admin"}), rooms=frozenset({"ops@chat"}))
    assert decide(_message(room="ops@chat"), policy, now=_NOW).allowed
    stranger = _message(room="ops@chat", sender=Sender(id="wxid_stranger"))
    assert decide(stranger, policy, now=_NOW).reason is Reason.STRANGER


@given(
    sender=st.text(max_size=5),
    text=st.text(max_size=5),
    room=st.none() | st.text(max_size=5),
    from_self=st.booleans(),
    age=st.floats(min_value=-1e6, max_value=1e6),
)
def test_decide_without_admins_allows_nobody(
    sender: str, text: str, room: str | None, age: float, *, from_self: bool
) -> None:
    """A policy that names nobody fails closed, whatever the message."""
    message = _message(sender=Sender(id=sender), text=text, room=room, from_self=from_self, age=age)
    policy = Policy(admins=frozenset(), rooms=frozenset({room} if room and room.strip() else ()))
    assert not decide(message, policy, now=_NOW).allowed


@pytest.mark.parametrize("empty", ["", " "])
def test_policy_refuses_an_empty_id(empty: str) -> None:
    """An empty id would match every message that lacks a sender or a room."""
    with pytest.raises(ConfigurationError, match="bad admin id"):
        Policy(admins=frozenset({"wxid_admin", empty}))
    with pytest.raises(ConfigurationError, match="bad room id"):
        Policy(admins=frozenset({"wxid_admin"}), rooms=frozenset({empty}))


@pytest.mark.parametrize("max_age", [0.0, -1.0, math.nan])
def test_policy_refuses_an_age_that_makes_no_sense(max_age: float) -> None:
    """An age that is not above 0 is refused; a NaN would let every age pass."""
    with pytest.raises(ConfigurationError, match="bad max_age"):
        Policy(admins=frozenset({"wxid_admin"}), max_age=max_age)


def test_remember_tells_the_second_delivery_of_a_message() -> None:
    """An id is new once."""
    seen, first = remember(Seen(), "a")
    seen, other = remember(seen, "b")
    _, second = remember(seen, "a")
    assert (first, other, second) == (True, True, False)


@given(ids=st.lists(st.text(max_size=2), max_size=30))
def test_remember_keeps_no_more_than_its_limit(ids: list[str]) -> None:
    """Only the latest distinct ids are kept, in the order they came."""
    seen = Seen(limit=5)
    expected: list[str] = []
    for message_id in ids:
        seen, is_new = remember(seen, message_id)
        assert is_new == (message_id not in expected)
        expected = [*expected, message_id][-5:] if is_new else expected
    assert list(seen.ids) == expected
