"""Grants: a denial wins, an expired one decides nothing, and only a stable id is ever meant."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from logmonitor.errors import ConfigurationError
from logmonitor.grant import DIRECT, EVERYWHERE, Grant, find_grant, holds

_NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_WORDS = st.sampled_from(
    ["bob", "wxid_bob", "view", "log_view", "ops@chat", "direct", "b", "*", "?", "", " ", "\ud800"]
)
_PATTERNS = st.sampled_from(["*", "?", "bob", "wxid_bob", "wxid_*", "view", "log_view", "ops@chat", DIRECT, "b*"])
_MOMENTS = st.none() | st.integers(-3, 3).map(lambda seconds: _NOW + timedelta(seconds=seconds))
_GRANTS = st.builds(
    Grant,
    user=_PATTERNS,
    operation=_PATTERNS,
    command=_PATTERNS,
    room=_PATTERNS,
    until=_MOMENTS,
    is_denial=st.booleans(),
    at=st.just(_NOW),
)


def _numbered(grants: list[Grant]) -> list[Grant]:
    return [replace(grant, id=number) for number, grant in enumerate(grants, start=1)]


def _grant(**fields: object) -> Grant:
    values: dict[str, object] = {"user": "wxid_bob", "at": _NOW} | fields
    return Grant(**values)  # type: ignore[arg-type]  # the names are checked by Grant itself


def _holds(grant: Grant, *, user: str = "wxid_bob", room: str | None = None, command: str = "view") -> bool:
    return holds(grant, user=user, operation="log_view", command=command, room=room, now=_NOW)


def test_grant_of_a_user_holds_for_everything_in_direct_messages() -> None:
    """Without more said, a grant is of every command, for ever, in direct messages alone."""
    assert _holds(_grant())
    assert not _holds(_grant(), room="ops@chat")


@pytest.mark.parametrize(
    ("pattern", "text", "is_held"),
    [
        ("wxid_bob", "wxid_bob", True),
        ("wxid_bob", "wxid_bobby", False),
        ("wxid_bob", "xwxid_bob", False),
        ("wxid_bob", "WXID_BOB", False),
        ("wxid_bob", "wxid_bob\n", False),
        ("wxid_bob", "ｗxid_bob", False),
        ("wxid_*", "wxid_bob", True),
        ("wxid_?", "wxid_bob", False),
        ("wxid_b?b", "wxid_bob", True),
        ("*", "wxid_bob", True),
        ("*", "a\nb", True),
        ("?", "中", True),
        ("?", "\ud800", True),
        ("*", "\ud800", True),
        ("*", "", False),
        ("*", " \u3000", False),
        ("?", " ", False),
        ("wxid_bob", "*", False),
        ("wxid_bob", "wxid_*", False),
        ("[a-z]", "b", False),
        ("a.c", "abc", False),
        ("a|b*", "a", False),
        ("a\\*", "a\\c", True),
        ("a\x00*", "a\x00c", True),
    ],
)
def test_pattern_of_a_grant_means_itself_but_for_its_two_wildcards(pattern: str, text: str, *, is_held: bool) -> None:
    """`*` is any text and `?` one character; all else, in the id of whoever writes above all, is only text."""
    assert _holds(_grant(user=pattern), user=text) is is_held


@pytest.mark.parametrize(
    ("place", "room", "is_held"),
    [
        (DIRECT, None, True),
        (DIRECT, "ops@chat", False),
        (DIRECT, "direct", False),
        (EVERYWHERE, None, True),
        (EVERYWHERE, "ops@chat", True),
        (EVERYWHERE, "direct", True),
        (EVERYWHERE, "", False),
        ("ops@chat", "ops@chat", True),
        ("ops@chat", "other@chat", False),
        ("ops@chat", None, False),
        ("*@chat", "ops@chat", True),
        ("*@chat", None, False),
        ("dir*", None, False),
    ],
)
def test_place_of_a_grant_is_where_it_holds(place: str, room: str | None, *, is_held: bool) -> None:
    """A room's grant holds in no direct message, and that of direct messages in no room, one named `direct` either."""
    assert _holds(_grant(room=place), room=room) is is_held


def test_grant_ends_at_the_very_moment_it_names() -> None:
    """`until` is the first moment at which a grant holds no more."""
    assert _holds(_grant(until=_NOW + _MICROSECOND))
    assert not _holds(_grant(until=_NOW))


def test_grant_ends_at_one_moment_in_every_zone() -> None:
    """A moment is the same however it is written."""
    later = datetime.fromisoformat("2026-11-21T06:44:36+08:00")
    assert _holds(_grant(until=later))
    assert not _holds(_grant(until=later - timedelta(seconds=1)))


@pytest.mark.parametrize("field", ["user", "operation", "command", "room"])
@pytest.mark.parametrize("value", ["", " ", "\u3000", "wxid_\ud800"])
def test_grant_refuses_a_text_that_could_not_be_meant(field: str, value: str) -> None:
    """What is empty, or no whole text, is refused where it is written down."""
    with pytest.raises(ConfigurationError, match=f"bad {field}"):
        _grant(**{field: value})


@pytest.mark.parametrize("field", ["until", "at"])
def test_grant_refuses_a_time_without_its_zone(field: str) -> None:
    """A time that could mean several moments is refused."""
    with pytest.raises(ConfigurationError, match=rf"bad {field} '2026-12-31T00:00:00' of a grant"):
        _grant(**{field: datetime(2026, 12, 31)})  # noqa: DTZ001 - the lack of a zone is what is tested


def _decision(grants: list[Grant], user: str, command: str, room: str | None) -> Grant | None:
    return find_grant(grants, user=user, operation="log_view", command=command, room=room, now=_NOW)


@given(
    permissions=st.lists(_GRANTS, max_size=6), user=_WORDS, command=_WORDS, room=st.none() | _WORDS, at=st.integers()
)
def test_denial_wins_over_any_set_of_permissions(
    permissions: list[Grant], user: str, command: str, room: str | None, at: int
) -> None:
    """Whatever is permitted, before or after it, a denial that holds decides."""
    allowing = [replace(grant, is_denial=False) for grant in permissions]
    denial = _grant(user="*", room=EVERYWHERE, is_denial=True)
    place = at % (len(allowing) + 1)
    grants = _numbered([*allowing[:place], denial, *allowing[place:]])
    assume(holds(denial, user=user, operation="log_view", command=command, room=room, now=_NOW))
    found = _decision(grants, user, command, room)
    assert found is not None
    assert found.is_denial


@given(grants=st.lists(_GRANTS, max_size=6), user=_WORDS, command=_WORDS, room=st.none() | _WORDS)
def test_expired_grant_never_decides(grants: list[Grant], user: str, command: str, room: str | None) -> None:
    """What decides has not ended; without the grants that have, the same decides."""
    numbered = _numbered(grants)
    found = _decision(numbered, user, command, room)
    assert found is None or found.until is None or found.until > _NOW
    assert found == _decision(
        [grant for grant in numbered if grant.until is None or grant.until > _NOW], user, command, room
    )


@given(data=st.data(), user=_WORDS, command=_WORDS, room=st.none() | _WORDS)
def test_order_of_grants_does_not_matter(data: st.DataObject, user: str, command: str, room: str | None) -> None:
    """However the store hands them out, the same grant decides."""
    grants = _numbered(data.draw(st.lists(_GRANTS, max_size=6)))
    shuffled = data.draw(st.permutations(grants))
    assert _decision(grants, user, command, room) == _decision(shuffled, user, command, room)


@given(
    user=st.text(min_size=1).filter(lambda text: text.strip() and not {"*", "?"} & set(text)),
    other=st.text(max_size=20),
)
def test_grant_of_one_id_holds_for_no_other(user: str, other: str) -> None:
    """A name, an alias or an id that only looks like it is another text, and another person."""
    grant = _grant(user=user)
    assert _holds(grant, user=user)
    assert _holds(grant, user=other) is (user == other)


def test_oldest_of_several_permissions_is_the_one_named() -> None:
    """Of several that permit, the first that was given is what the audit names."""
    older, newer = _grant(id=3), _grant(id=7, until=_NOW + _MICROSECOND)
    assert find_grant([newer, older], user="wxid_bob", operation="x", command="y", room=None, now=_NOW) == older
    assert find_grant([], user="wxid_bob", operation="x", command="y", room=None, now=_NOW) is None
