"""Who is heard, and who may run what: by stable id, here, now; and every way round it that was thought of."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.access import Decision, Policy, Reason, Rights, Seen, authorise, hear, remember
from logmonitor.errors import ConfigurationError
from logmonitor.grant import DIRECT, EVERYWHERE, Grant
from logmonitor.operation import Command, Context, Invocation, Right
from logmonitor.records import Message, Sender

_NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
_POLICY = Policy(signals=frozenset({"ding", "您好世界"}))
_MICROSECOND = timedelta(microseconds=1)


async def _nothing(_context: Context, _invocation: Invocation) -> None:
    """Do nothing."""


def _command(right: Right, name: str = "view") -> Command:
    return Command(name=name, handler=_nothing, help="show it", right=right)


_VIEW = _command(Right.GRANT)
_SH = _command(Right.ADMIN, "sh")
_HELLO = _command(Right.ANYONE, "hello")


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


def _rights(*grants: Grant, rooms: frozenset[str] = frozenset()) -> Rights:
    numbered = tuple(replace(grant, id=number) for number, grant in enumerate(grants, start=1))
    return Rights(
        admins=frozenset({"wxid_admin"}),
        operation_admins={"log_view": frozenset({"wxid_second"})},
        grants=numbered,
        rooms=rooms,
    )


def _grant(**fields: object) -> Grant:
    values: dict[str, object] = {"user": "wxid_bob", "at": _NOW} | fields
    return Grant(**values)  # type: ignore[arg-type]  # the names are checked by Grant itself


def _ask(
    rights: Rights,
    user: str,
    command: Command = _VIEW,
    *,
    room: str | None = None,
    operation: str = "log_view",
    now: datetime = _NOW,
) -> Reason:
    """Return the reason of a decision that is allowed for the reasons that allow, and for no other."""
    decision = authorise(rights, user=user, room=room, operation=operation, command=command, now=now)
    assert decision.allowed is (decision.reason in {Reason.ADMIN, Reason.GRANTED, Reason.PUBLIC})
    assert (decision.grant is not None) is (decision.reason in {Reason.GRANTED, Reason.DENIED})
    return decision.reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (_message(), Reason.HEARD),
        (_message(sender=Sender(id="wxid_stranger")), Reason.HEARD),
        (_message(room="room@chat"), Reason.HEARD),
        (_message(age=60.0), Reason.HEARD),
        (_message(age=-60.0), Reason.HEARD),
        (_message(from_self=True), Reason.FROM_SELF),
        (_message(from_self=True, age=61.0, text=""), Reason.FROM_SELF),
        (_message(text=" \n\u3000"), Reason.EMPTY),
        (_message(text="", age=61.0), Reason.EMPTY),
        (_message(text=" Ding\n"), Reason.SIGNAL),
        (_message(text="您好世界", age=61.0), Reason.SIGNAL),
        (_message(age=60.001), Reason.STALE),
        (_message(age=-60.001), Reason.STALE),
    ],
)
def test_hear_tells_what_can_be_no_command(message: Message, reason: Reason) -> None:
    """The bot itself, what is empty, what twins say, what is old or from the future: no command, whoever says it."""
    assert hear(message, _POLICY, now=_NOW) == Decision(allowed=reason is Reason.HEARD, reason=reason)


@given(age=st.floats(min_value=-1e6, max_value=1e6), max_age=st.floats(min_value=0.001, max_value=1e5))
def test_hear_refuses_every_age_beyond_the_limit(age: float, max_age: float) -> None:
    """However the clocks differ, what is heard was sent within `max_age` of now."""
    message = _message(age=age)
    seconds = abs((_NOW - message.sent_at).total_seconds())
    assert hear(message, Policy(max_age=max_age), now=_NOW).allowed is (seconds <= max_age)


@pytest.mark.parametrize("max_age", [0.0, -1.0, math.nan])
def test_policy_refuses_an_age_that_makes_no_sense(max_age: float) -> None:
    """An age that is not above 0 is refused; a NaN would let every age pass."""
    with pytest.raises(ConfigurationError, match="bad max_age"):
        Policy(max_age=max_age)


@pytest.mark.parametrize("empty", ["", " ", "\u3000"])
def test_rights_refuse_an_empty_id(empty: str) -> None:
    """An empty id would match every message that lacks a sender or a room."""
    with pytest.raises(ConfigurationError, match="bad admin id"):
        Rights(admins=frozenset({"wxid_admin", empty}), operation_admins={})
    with pytest.raises(ConfigurationError, match="bad admin id"):
        Rights(admins=frozenset(), operation_admins={"log_view": frozenset({empty})})
    with pytest.raises(ConfigurationError, match="bad room id"):
        Rights(admins=frozenset(), operation_admins={}, rooms=frozenset({empty}))


def test_authorise_lets_admins_run_everything_in_direct_messages() -> None:
    """An admin needs no grant, whatever right a command has."""
    assert [_ask(_rights(), "wxid_admin", command) for command in (_VIEW, _SH, _HELLO)] == [Reason.ADMIN] * 3


def test_authorise_lets_an_operations_own_admin_run_that_operation_alone() -> None:
    """Who is an admin of one operation is a stranger to every other."""
    assert _ask(_rights(), "wxid_second", _SH) is Reason.ADMIN
    assert _ask(_rights(), "wxid_second", _SH, operation="shell") is Reason.STRANGER
    assert _ask(_rights(), "wxid_second", _SH, operation="logmonitor") is Reason.STRANGER


def test_authorise_goes_by_stable_id_alone() -> None:
    """Who takes an admin's or a granted user's name, alias and number stays a stranger: only the id is asked for."""
    rights = _rights(_grant())
    for taken in ("wxid_admin", "wxid_bob"):
        imposter = Sender(id="wxid_stranger", alias=taken, name=taken, weixin=taken)
        assert _ask(rights, imposter.id) is Reason.STRANGER


@pytest.mark.parametrize(
    "user",
    ["WXID_ADMIN", "wxid_admin ", " wxid_admin", "wxid_admin\n", "wxid_admіn", "ｗxid_admin", "wxid_*", "*", "?"],
)
def test_authorise_takes_no_id_for_another(user: str) -> None:
    """Case, white space, a look-alike letter or a wildcard in the sender's own id makes nobody an admin or granted."""
    assert _ask(_rights(_grant()), user) is Reason.STRANGER
    assert _ask(_rights(_grant(user="wxid_admin")), user) is Reason.STRANGER


@pytest.mark.parametrize("user", ["", " ", "\u3000"])
def test_authorise_lets_nobody_without_an_id_run_anything(user: str) -> None:
    """Who has no id is a stranger, even to what is for anyone or granted to everybody."""
    rights = _rights(_grant(user="*", room=EVERYWHERE), rooms=frozenset({"ops@chat"}))
    for command in (_VIEW, _SH, _HELLO):
        for room in (None, "ops@chat"):
            assert _ask(rights, user, command, room=room) is Reason.STRANGER


def test_authorise_copes_with_an_id_that_is_no_whole_text() -> None:
    """Half a character in an id is an id like any other: a denial of everybody holds for it too."""
    assert _ask(_rights(_grant()), "wxid_\ud800") is Reason.STRANGER
    assert _ask(_rights(_grant(user="*", is_denial=True)), "wxid_\ud800", _HELLO) is Reason.DENIED


def test_authorise_hears_an_admin_in_the_rooms_that_are_named() -> None:
    """In a room of `rooms` an admin may what an admin may, in another one nothing."""
    rights = _rights(rooms=frozenset({"ops@chat"}))
    assert _ask(rights, "wxid_admin", _SH, room="ops@chat") is Reason.ADMIN
    assert _ask(rights, "wxid_admin", _SH, room="other@chat") is Reason.ROOM
    assert _ask(rights, "wxid_admin", _HELLO, room="other@chat") is Reason.ROOM
    assert _ask(rights, "wxid_stranger", _SH, room="ops@chat") is Reason.STRANGER


@pytest.mark.parametrize("room", ["", " ", "direct", "*", "ops@chat\n", "OPS@chat"])
def test_authorise_takes_no_room_for_another(room: str) -> None:
    """A room without an id, named like direct messages or like a pattern, is none of those that are named."""
    rights = _rights(_grant(), _grant(room="ops@chat"), rooms=frozenset({"ops@chat"}))
    assert _ask(rights, "wxid_admin", room=room) is Reason.ROOM
    assert _ask(rights, "wxid_bob", room=room) is Reason.STRANGER
    assert _ask(rights, "wxid_bob", _HELLO, room=room) is Reason.STRANGER


def test_authorise_lets_a_room_that_is_named_be_heard_and_no_more() -> None:
    """That admins are heard in a room grants the people in it nothing but what is for anyone."""
    rights = _rights(rooms=frozenset({"ops@chat"}))
    assert _ask(rights, "wxid_bob", room="ops@chat") is Reason.STRANGER
    assert _ask(rights, "wxid_bob", _HELLO, room="ops@chat") is Reason.PUBLIC
    assert _ask(rights, "wxid_bob", _HELLO) is Reason.PUBLIC


def test_authorise_lets_a_grant_hold_where_it_says() -> None:
    """A grant for one room holds in that room, listed or not, in no other and in no direct message."""
    rights = _rights(_grant(room="ops@chat"), rooms=frozenset({"other@chat"}))
    assert _ask(rights, "wxid_bob", room="ops@chat") is Reason.GRANTED
    assert _ask(rights, "wxid_bob", room="other@chat") is Reason.STRANGER
    assert _ask(rights, "wxid_bob") is Reason.STRANGER


def test_authorise_lets_a_grant_give_what_it_names_and_nothing_else() -> None:
    """Another user, command or operation is none of a grant's business."""
    rights = _rights(_grant(operation="log_view", command="view"))
    assert _ask(rights, "wxid_bob") is Reason.GRANTED
    assert _ask(rights, "wxid_carol") is Reason.STRANGER
    assert _ask(rights, "wxid_bob", _command(Right.GRANT, "view_all")) is Reason.STRANGER
    assert _ask(rights, "wxid_bob", operation="log_view2") is Reason.STRANGER


def test_authorise_lets_no_grant_give_what_is_for_admins() -> None:
    """A command with the right ADMIN stays the admins', whatever somebody has granted, in every room too."""
    rights = _rights(_grant(command="sh"), _grant(user="*", room=EVERYWHERE), rooms=frozenset({"ops@chat"}))
    for room in (None, "ops@chat", "other@chat"):
        assert _ask(rights, "wxid_bob", _SH, room=room) is Reason.STRANGER


def test_authorise_lets_a_grant_let_an_admin_run_it_in_a_room() -> None:
    """An admin whom a grant names is granted it where admins are not heard; what is for admins stays direct."""
    rights = _rights(_grant(user="wxid_admin", room="ops@chat"))
    assert _ask(rights, "wxid_admin", room="ops@chat") is Reason.GRANTED
    assert _ask(rights, "wxid_admin", _SH, room="ops@chat") is Reason.ROOM


def test_authorise_ends_a_grant_at_the_very_second() -> None:
    """A grant holds to the last microsecond before `until`, and not at it, nor after a day."""
    rights = _rights(_grant(until=_NOW))
    assert _ask(rights, "wxid_bob", now=_NOW - _MICROSECOND) is Reason.GRANTED
    assert _ask(rights, "wxid_bob", now=_NOW) is Reason.STRANGER
    assert _ask(rights, "wxid_bob", now=_NOW + timedelta(days=1)) is Reason.STRANGER


def test_authorise_asked_again_sees_what_has_changed() -> None:
    """What was allowed when it was asked is refused when it runs, if it was revoked, denied or has ended meanwhile."""
    assert _ask(_rights(_grant()), "wxid_bob") is Reason.GRANTED
    assert _ask(_rights(), "wxid_bob") is Reason.STRANGER
    assert _ask(_rights(_grant(), _grant(is_denial=True)), "wxid_bob") is Reason.DENIED


@pytest.mark.parametrize("user", ["wxid_admin", "wxid_second", "wxid_bob", "wxid_stranger"])
@pytest.mark.parametrize("command", [_VIEW, _SH, _HELLO])
@pytest.mark.parametrize("denied", ["*", "user"])
def test_authorise_lets_a_denial_win_over_everything(user: str, command: Command, denied: str) -> None:
    """A denial holds for an admin, for a granted user and for what is for anyone, and names itself."""
    denial = _grant(user=user if denied == "user" else "*", room=EVERYWHERE, is_denial=True)
    rights = _rights(_grant(user="*", room=EVERYWHERE), denial, rooms=frozenset({"ops@chat"}))
    for room in (None, "ops@chat", "other@chat"):
        assert _ask(rights, user, command, room=room) is Reason.DENIED
    decision = authorise(rights, user=user, room=None, operation="log_view", command=command, now=_NOW)
    assert decision.grant == replace(denial, id=2)


def test_authorise_lets_a_denial_hold_no_further_than_it_says() -> None:
    """A denial for one command, in direct messages, or that has ended, leaves the rest as it was."""
    rights = _rights(
        _grant(room=EVERYWHERE),
        _grant(command="sh", is_denial=True),
        _grant(room=DIRECT, is_denial=True, until=_NOW),
        _grant(user="wxid_admin", room="ops@chat", is_denial=True),
        rooms=frozenset({"ops@chat"}),
    )
    assert _ask(rights, "wxid_bob") is Reason.GRANTED
    assert _ask(rights, "wxid_bob", _SH) is Reason.DENIED
    assert _ask(rights, "wxid_bob", _SH, room="ops@chat") is Reason.STRANGER
    assert _ask(rights, "wxid_admin") is Reason.ADMIN
    assert _ask(rights, "wxid_admin", room="ops@chat") is Reason.DENIED


@given(
    user=st.text(max_size=5),
    room=st.none() | st.text(max_size=5),
    operation=st.text(max_size=5),
    command=st.sampled_from([_VIEW, _SH]),
)
def test_authorise_without_admins_and_grants_allows_nobody(
    user: str, room: str | None, operation: str, command: Command
) -> None:
    """Rights that name nobody fail closed, whoever asks for what, wherever."""
    rights = Rights(admins=frozenset(), operation_admins={}, rooms=frozenset({room} if room and room.strip() else ()))
    assert _ask(rights, user, command, room=room, operation=operation) is Reason.STRANGER


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
