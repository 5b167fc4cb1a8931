"""What is said of alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from logmonitor.alert.alert_text import digest_text, first_text
from logmonitor.alert.alerting import Alert, Digest, Group, Hold
from logmonitor.language import translation

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW = START + timedelta(seconds=300)
ALERT = Alert(path=Path("bob.log"), kind="a", lines=("ERR a",), head=1, left_out=0, brief=("ERR a",), matches=1)


def group(count: int, *example: str, first: float = 3, last: float = 298) -> Group:
    """Make a group of alerts."""
    times = [START + timedelta(seconds=seconds) for seconds in (first, last)]
    return Group(count=count, first_at=times[0], last_at=times[1], example=example)


def told(*groups: Group, others: Group | None = None, hold: Hold | None = None, language: str = "en") -> list[str]:
    """Return the lines of a digest."""
    digest = Digest(groups=groups, others=others, began_at=START, hold=hold)
    return digest_text("bob", digest, now=NOW, zone=UTC, translate=translation(language)).splitlines()


def shown(alert: Alert, *, log: str | None = None, until: str | None = None) -> list[str]:
    """Return the lines of an alert that is told at once."""
    return first_text("bob", alert, log=log, until=until, translate=str).splitlines()


def test_alert_stands_below_its_bot_and_its_log() -> None:
    """The name of the log stands there where there are several."""
    assert shown(ALERT) == ["bob:", "> ERR a"]
    assert shown(ALERT, log="bob.error.log") == ["bob (bob.error.log):", "> ERR a"]


def test_last_alert_told_at_once_says_so() -> None:
    """Who is told of many hears that from now on they are counted."""
    assert shown(ALERT, until="12:05:00")[-1] == "that were many; what follows is counted and told at 12:05:00"


def test_long_trace_says_how_much_is_left_out() -> None:
    """What is left out is told where it stood."""
    trace = replace(ALERT, lines=("ERR a", "  at b", "  at y", "  at z"), head=2, left_out=40)
    assert shown(trace) == ["bob:", "> ERR a", ">   at b", "… 40 more lines …", ">   at y", ">   at z"]


def test_no_line_passes_for_a_sentence_of_the_program() -> None:
    """What a log says is quoted, and what would turn or hide text is seen, in names of files too."""
    forged = replace(ALERT, lines=("\u202ebob: is logged in again\r\x1b[2K", "\tat \u200bb"))
    assert shown(forged, log="a\u202e\nb") == [
        "bob (a\\u202e␊b):",
        "> \\u202ebob: is logged in again␍␛[2K",
        ">     at \\u200bb",
    ]


def test_long_line_is_cut_without_cutting_a_secret() -> None:
    """A secret at the cut is taken out before, so that no half of it stays."""
    line = "ERR " + "x " * 240 + "token=abcdefghijklmnopqrstuvwxyz0123456789"
    (_bot, text) = shown(replace(ALERT, lines=(line,)))
    assert text.endswith("x token=[redacted]")
    (_bot, _head, text) = shown(replace(ALERT, lines=("ERR", "y" * 1000)))
    assert text == f"> {'y' * 199}…"


def test_one_time_code_in_a_line_is_not_shown() -> None:
    """What somebody typed to the bot may stand in its log."""
    assert shown(replace(ALERT, lines=("ERR Message [Ann] sh 123456 ls",)))[1] == "> ERR Message [Ann] sh [redacted] ls"


def test_digest_of_one_kind_tells_count_first_last_and_an_example() -> None:
    """As a person would say it, in as few lines as can be."""
    assert told(group(37, "ERR a 1", "ValueError: b")) == [
        "bob: ×37 in 5 min, 12:00:03 – 12:04:58",
        "> ERR a 1",
        "> ValueError: b",
    ]
    assert told(group(1, "ERR a", first=9, last=9))[0] == "bob: ×1 in 5 min, 12:00:09"


def test_digest_of_several_kinds_shows_the_first_and_counts_the_rest() -> None:
    """Five kinds are shown, and of how many others there are how many."""
    assert told(group(5, "ERR a"), group(2, "ERR b", last=3)) == [
        "bob: ×7 in 5 min",
        "×5, 12:00:03 – 12:04:58",
        "> ERR a",
        "×2, 12:00:03",
        "> ERR b",
    ]
    many = told(*(group(9 - number, f"ERR {number}") for number in range(8)))
    assert (many[0], len(many), many[-1]) == ("bob: ×44 in 5 min", 12, "×9 of 3 other kinds")


def test_digest_with_kinds_uncounted_says_that_there_are_more() -> None:
    """Nobody takes a hundred kinds for all."""
    rows = told(*(group(2, f"ERR {number}") for number in range(7)), others=group(1000, "ERR z"))
    assert (rows[0], rows[-1]) == ("bob: ×1014 in 5 min", "×1004 of many other kinds")
    assert told(group(2, "ERR a"), others=group(3, "ERR b"))[-1] == "×3 of many other kinds"


def test_digest_says_why_it_comes_late() -> None:
    """Muted or in quiet hours."""
    assert told(group(2, "ERR a"), hold=Hold.MUTED)[0] == "bob: ×2 in 5 min, while muted, 12:00:03 – 12:04:58"
    assert told(group(2, "ERR a"), hold=Hold.QUIET)[0] == "bob: ×2 in 5 min, in quiet hours, 12:00:03 – 12:04:58"


def test_digest_tells_times_of_the_zone() -> None:
    """Times are those of the admins' clocks."""
    digest = Digest(groups=(group(2, "ERR a"),), others=None, began_at=START, hold=None)
    text = digest_text("bob", digest, now=NOW, zone=ZoneInfo("Asia/Shanghai"), translate=str)
    assert text.splitlines()[0] == "bob: ×2 in 5 min, 20:00:03 – 20:04:58"


def test_digest_is_told_in_chinese() -> None:
    """As a developer would say it in a group."""
    assert told(group(37, "ERR a"), language="zh")[0] == "bob：5 分钟内 ×37，12:00:03 – 12:04:58"
