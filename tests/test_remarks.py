"""What is said of a bot's log besides its session."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from logmonitor.records import EventKind, Notice, NoticeKind, Refusal
from logmonitor.remarks import Remarks
from logmonitor.testing import FakeClock, event


class Scene:
    """What was remarked of Bob, and what the admins were told."""

    def __init__(self, *, language: str = "en") -> None:
        """Remark nothing yet."""
        self.clock = FakeClock()
        self.told: list[str] = []
        self.remarks = Remarks("bob", language=language, report=self.told.append, clock=self.clock)

    def rows(self, *troubles: Notice, why_no_profile: str = "") -> tuple[str, ...]:
        """Return what `status` says."""
        return self.remarks.rows(troubles, why_no_profile=why_no_profile, translate=str)


def gap(lost_bytes: int | None = None, *, name: str = "bob.log") -> Notice:
    """Make a notice of lines that nobody will ever read."""
    return Notice(kind=NoticeKind.GAP, path=Path("/var/log", name), detail="no copy is left", lost_bytes=lost_bytes)


@pytest.mark.parametrize(
    ("language", "lost_bytes", "told"),
    [
        ("en", 512, "bob: at least 512 bytes of its log bob.log are lost and were never read: no copy is left"),
        ("en", None, "bob: part of its log bob.log is lost and was never read: no copy is left"),
        ("zh", 512, "bob：日志 bob.log 至少有 512 字节已丢失，没有读到：no copy is left"),
        ("zh", None, "bob：日志 bob.log 有一部分已丢失，没有读到：no copy is left"),
    ],
)
def test_gap_is_told_to_the_admins(language: str, lost_bytes: int | None, told: str) -> None:
    """Which log, how much of it where that is known, and why."""
    scene = Scene(language=language)
    scene.remarks.heed(gap(lost_bytes))
    assert scene.told == [told]


def test_gaps_are_told_thrice_in_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    """Of more the log and `status` tell."""
    scene = Scene()
    for _ in range(5):
        scene.remarks.heed(gap(100))
    assert len(scene.told) == 3
    scene.clock.jump(600)
    scene.remarks.heed(gap(100))
    assert len(scene.told) == 4
    assert scene.rows() == ("at least 600 bytes of its log were lost to a rotation",)
    assert caplog.messages == ["bob: /var/log/bob.log: no copy is left"] * 6


def test_gaps_of_unknown_size_are_counted() -> None:
    """Where no number can be told, how often it happened is."""
    scene = Scene()
    scene.remarks.heed(gap())
    scene.remarks.heed(gap())
    assert scene.rows() == ("parts of its log were lost to a rotation: 2",)


def test_name_of_a_log_fools_nobody() -> None:
    """A name that whoever writes logs can choose is shown as it is, in one line."""
    scene = Scene()
    scene.remarks.heed(gap(name="bob\nstatus: fine.log"))
    assert "\n" not in scene.told[0]


def test_other_notices_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """What is no loss is told to no admin."""
    caplog.set_level(logging.INFO)
    scene = Scene()
    for kind in (NoticeKind.ROTATED, NoticeKind.MISSING):
        scene.remarks.heed(Notice(kind=kind, path=Path("bob.log"), detail=kind))
    assert (scene.told, scene.rows()) == ([], ())
    assert [(one.levelname, one.message) for one in caplog.records] == [
        ("INFO", "bob: bob.log: rotated"),
        ("WARNING", "bob: bob.log: missing"),
    ]


def test_troubles_are_shown_as_long_as_they_last() -> None:
    """Three of them, and how many more there are."""
    missing = [Notice(kind=NoticeKind.MISSING, path=Path(f"{name}.log"), detail="") for name in "abc"]
    unreadable = Notice(kind=NoticeKind.UNREADABLE, path=Path("d.log"), detail="permission denied")
    scene = Scene()
    assert scene.rows(unreadable, missing[0], why_no_profile="no line fits a family") == (
        "its log cannot be read: d.log: permission denied",
        "its log is not there: a.log",
        "its log is not understood: no line fits a family",
    )
    assert scene.rows(*missing, unreadable)[-1] == "1 more of its logs are not there, or cannot be read"


def test_what_could_not_be_understood_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    """The log has the error."""
    scene = Scene()
    scene.remarks.note_failure(ValueError("no number"))
    assert scene.rows() == ("1 pieces of its log could not be understood; the log of logmonitor tells more",)
    assert caplog.records[0].exc_info is not None


def test_refused_lines_are_counted_and_their_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Until a line is verified; what they say is nobody's business here."""
    scene = Scene()
    for _ in range(2):
        scene.remarks.note_event(event(EventKind.LOGIN, refused=Refusal.UNSIGNED, trusted=False))
        scene.remarks.warn()
    assert caplog.messages == ["bob: refused a session line: not signed"]
    assert len(scene.rows()) == 1


def test_history_that_is_lost_is_told() -> None:
    """With the reason."""
    scene = Scene()
    scene.remarks.tell_history_is_lost("it is damaged")
    assert scene.told == [
        "bob: what is kept of it cannot be used; what happened while nobody watched may not be told: it is damaged"
    ]
