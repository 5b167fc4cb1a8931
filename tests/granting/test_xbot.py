"""What an XBot permitted: its dates in every form, and nothing that would permit more here than it did there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.errors import UsageError
from logmonitor.grant import Grant
from logmonitor.granting.xbot import Permission, grant_of, read_valid_until

_NOW = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_NEW_YEAR = datetime(2024, 12, 31, 16, tzinfo=UTC)  # the end of 2024-12-31 in Shanghai


def _permission(
    *, user: object = "ann", scene: object = "act_demo", command: object = "setup", until: object = "2024-12-31"
) -> Permission:
    return Permission(row=1, user=user, scene=scene, command=command, valid_until=until)


def _grant(permission: Permission, *, users: dict[str, str] | None = None, room: str = "direct") -> Grant:
    return grant_of(permission, at=_NOW, by="root", zone=_SHANGHAI, users=users, room=room)


@pytest.mark.parametrize(
    "value",
    [
        "2024-12-31",
        " 2024-12-31 ",
        "2024/12/31",
        "2024.12.31",
        "20241231",
        20241231,
        20241231.0,
        "2024年12月31日",
        "２０２４年１２月３１日",
        "2024-12-31 00:00:00",
        "2024-12-31T00:00:00",
        "2024-12-31 00:00:00.000",
        "2024-12-31T00:00:00Z",
        "2024-12-31T00:00:00+08:00",
        1735574400000,  # midnight in Shanghai, in milliseconds, as a database tool writes a DATE
        1735574400,
        "1735574400000",
        1735574400000.0,
        1735603200000,  # midnight in UTC
        1735603200,
    ],
)
def test_date_of_an_xbot_lasts_to_its_end_in_the_zone(value: object) -> None:
    """However a date was written, it is that day in Shanghai, all of it."""
    assert read_valid_until(value, zone=_SHANGHAI) == _NEW_YEAR


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2024-12-31 18:00", "2024-12-31T10:00:00"),
        ("2024-12-31 18:00:30", "2024-12-31T10:00:30"),
        ("2024-12-31T10:00:00Z", "2024-12-31T10:00:00"),
        ("2024-12-31T10:00:00.123456Z", "2024-12-31T10:00:00"),
        ("2024-12-31 18:00:00 +0800", "2024-12-31T10:00:00"),
        ("2024-12-31T18:00:00+08:00", "2024-12-31T10:00:00"),
        (1735639200, "2024-12-31T10:00:00"),
        (1735639200000, "2024-12-31T10:00:00"),
    ],
)
def test_time_of_an_xbot_is_that_moment(value: object, expected: str) -> None:
    """A time of day, or seconds that are no midnight, mean a moment and not a day."""
    assert read_valid_until(value, zone=_SHANGHAI) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", " ", "soon", "*", "forever", b"2024-12-31", "yes", "12-31", "12/31/2024"),
        *("31.12.2024", "2024-02-30", "2024-13-01", 20241301, "2024-12-31 25:00", "2024-12-31 18:00 CET", "2024-12"),
        *(-1, 1.5, float("inf"), float("nan"), 10**16, "1e12", "9" * 17, "7d", "today", "9999-12-31", 9999999999999999),
    ],
)
def test_date_that_cannot_be_read_is_refused(value: object) -> None:
    """What is no date, lacks its year, or lies beyond the calendar permits nothing."""
    with pytest.raises(UsageError, match=r"bad valid_until .*; expected a date such as 2024-12-31"):
        read_valid_until(value, zone=_SHANGHAI)


@given(value=st.none() | st.text() | st.integers() | st.floats() | st.binary())
def test_every_value_is_a_moment_or_is_refused(value: object) -> None:
    """Whatever stands in the column, nothing but a moment with its zone or a refusal comes of it."""
    for zone in (None, _SHANGHAI):
        try:
            assert read_valid_until(value, zone=zone).utcoffset() == timedelta(0)
        except UsageError:
            continue


def test_permission_becomes_a_grant_of_the_same() -> None:
    """User, scene, command and date are those of the grant; it holds where it is said to, in direct messages else."""
    assert _grant(_permission()) == Grant(
        user="ann", operation="act_demo", command="setup", until=_NEW_YEAR, by="root", at=_NOW
    )
    assert _grant(_permission(), room="ops@chat").room == "ops@chat"
    grant = _grant(_permission(scene="*", command="*"))
    assert (grant.operation, grant.command) == ("*", "*")


def test_permission_of_a_name_becomes_that_of_the_id_it_is_said_to_be() -> None:
    """XBot knows people by a name; which id that is here can be said, also where the name is no id."""
    assert _grant(_permission(), users={"ann": "wxid_ann"}).user == "wxid_ann"
    assert _grant(_permission(user="*"), users={"*": "wxid_star"}).user == "wxid_star"
    assert _grant(_permission(), users={"bob": "wxid_bob"}).user == "ann"


@pytest.mark.parametrize("user", ["*", "?", "a*", "ann?"])
def test_user_that_would_mean_others_here_is_refused(user: str) -> None:
    """To XBot a star is one user's name; here it would be everybody."""
    with pytest.raises(UsageError, match=r"bad username .*; XBot takes it for one user's name"):
        _grant(_permission(user=user))


@pytest.mark.parametrize("name", ["a*", "?", "**", "a b", "a\tb"])
def test_name_that_would_mean_more_here_is_refused(name: str) -> None:
    """To XBot a star within a name is a star; here it would be any text."""
    for permission, column in ((_permission(scene=name), "cmd"), (_permission(command=name), "subcmd")):
        with pytest.raises(UsageError, match=f"bad {column} "):
            _grant(permission)


@pytest.mark.parametrize("value", [None, 7, b"ann", "", " ", "x" * 101, "a\nb", "a\udcff"])
def test_text_that_is_none_is_refused(value: object) -> None:
    """What is empty, no text, endless or broken names nobody and nothing."""
    for permission in (_permission(user=value), _permission(scene=value), _permission(command=value)):
        with pytest.raises(UsageError, match="expected"):
            _grant(permission)


@pytest.mark.parametrize("value", [None, "", " \t"])
def test_empty_column_is_said_to_be_empty(value: object) -> None:
    """Where nothing stands, also as NULL, that is what is said, and what should stand there."""
    for permission, problem in (
        (_permission(user=value), "username is empty; expected a user's name"),
        (_permission(scene=value), "cmd is empty; expected one word, or '*' for all"),
        (_permission(command=value), "subcmd is empty; expected one word, or '*' for all"),
    ):
        with pytest.raises(UsageError) as caught:
            _grant(permission)
        assert str(caught.value) == problem


def test_refusal_shows_no_endless_value() -> None:
    """Of a long value the beginning is shown."""
    with pytest.raises(UsageError) as caught:
        _grant(_permission(until="x" * 10_000))
    assert len(str(caught.value)) < 250


def test_bytes_are_shown_as_they_are() -> None:
    """A value that is no text is shown by its bytes."""
    with pytest.raises(UsageError, match=r"bad username b'\\xff'"):
        _grant(_permission(user=b"\xff"))
