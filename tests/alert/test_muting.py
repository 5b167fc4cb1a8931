"""What `mute` is told, and what is said of it."""

from __future__ import annotations

import pytest

from logmonitor.alert.muting import MUTE_SECONDS, Mute, effect, muted_texts, objection, parse_mute, unmuted_texts
from logmonitor.errors import UsageError


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), Mute(seconds=MUTE_SECONDS)),
        (("30m",), Mute(seconds=1800.0)),
        (("30", "min"), Mute(seconds=1800.0)),
        (("bob",), Mute(seconds=MUTE_SECONDS, name="bob")),
        (("30m", "bob"), Mute(seconds=1800.0, name="bob")),
        (("bob", "30m"), Mute(seconds=1800.0, name="bob")),
        (("bob", "1", "小时"), Mute(seconds=3600.0, name="bob")),
    ],
)
def test_mute_is_read_with_the_bot_before_or_behind(arguments: tuple[str, ...], expected: Mute) -> None:
    """A length, a bot's name, both in any order, or neither."""
    assert parse_mute(arguments, is_named=True, translate=str) == expected


@pytest.mark.parametrize("arguments", [("bob",), ("30",), ("30m", "bob"), ("a", "b")])
def test_mute_of_a_bot_that_is_known_takes_a_length_alone(arguments: tuple[str, ...]) -> None:
    """Where the command itself knows the bot, what is left has to be a length."""
    with pytest.raises(UsageError, match="is no length of time; expected one such as 30m or 2h"):
        parse_mute(arguments, is_named=False, translate=str)


def test_mute_that_cannot_be_meant_is_objected_to() -> None:
    """Before anything is asked; the text is quoted, and a mute has an end that can be seen."""
    assert objection(("30m",), is_named=False, translate=str) is None
    assert objection(("a:b", "c"), is_named=True, translate=str) == (
        "“a·b c” is no length of time; expected one such as 30m or 2h"
    )
    assert objection(("31d",), is_named=True, translate=str) == "alerts can be muted for 30 days at most"


@pytest.mark.parametrize(
    ("arguments", "watch", "expected"),
    [
        ((), None, "tell of no alert for 1 h; they are counted and told then"),
        (("30m",), "bob", "tell of no alert of bob for 30 min; they are counted and told then"),
        (("30m", "bob"), None, "tell of no alert of “bob” for 30 min; they are counted and told then"),
    ],
)
def test_effect_says_what_will_be(arguments: tuple[str, ...], watch: str | None, expected: str) -> None:
    """Who is asked to confirm reads of which bot nothing will be heard, and for how long."""
    assert effect(arguments, watch=watch, is_named=watch is None, translate=str) == expected


def test_mute_is_told_to_who_asked_and_to_the_others() -> None:
    """The others read who it was."""
    assert muted_texts(("alice", "bob"), until="12:30:00", person="Ann", translate=str) == (
        "alerts of alice, bob are muted until 12:30:00; they are counted, and told then or at `unmute`",
        "Ann has muted the alerts of alice, bob until 12:30:00; they are counted, and told then",
    )
    assert unmuted_texts(("bob",), quiet_until=None, person="Ann", translate=str) == (
        "alerts of bob are not muted any more",
        "Ann has ended the mute of the alerts of bob",
    )
    assert unmuted_texts(("bob",), quiet_until="07:00:00", person="Ann", translate=str)[0] == (
        "alerts of bob are not muted any more; they wait for the end of the quiet hours at 07:00:00"
    )
