"""`logmonitor store check`: what it finds, what it tells, and that it leaves no trace."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import cli
from logmonitor.cli import store as command
from logmonitor.cli.row import Row, user_name
from logmonitor.errors import StoreError
from logmonitor.following.generation import Position
from logmonitor.grant import Grant
from logmonitor.records import EventKind, Session, SessionState
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.storage.survey import NEWEST_VERSION, Survey, read_survey
from logmonitor.store import Store
from logmonitor.testing import event
from logmonitor.watch import WatchState
from tests.storage.files import NOW, cut_page, damaged_page, execute, fill, garbage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG: Final = """
[bot]
name = "alice"
[chat]
transport = "stdio"
admins = ["AdminWeixin"]
[[watch]]
name = "bob"
log = "bob.log"
"""
NOBODY: Final = 65534
HOLD: Final = """
import sys, time
from pathlib import Path
from logmonitor.store import Store
store = Store(Path(sys.argv[1]))
store.view("one").put("key", "value")
print("open", flush=True)
time.sleep(600)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store of `CONFIG` is, which stands beside it."""
    tmp_path.chmod(0o700)
    (tmp_path / "bots.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path.resolve() / "bots.db"


def contents(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return all that stands in a folder, with modes and times."""
    return {
        each.name: (each.read_bytes(), each.stat().st_mode, each.stat().st_mtime_ns)
        for each in folder.iterdir()
        if not each.name.endswith("-shm")  # SQLite's locks, which are no content
    }


def checked(path: Path, capsys: pytest.CaptureFixture[str], *, code: int) -> list[str]:
    """Check the store; return the lines that are said, and see that nothing has changed."""
    before = contents(path.parent)
    assert cli.main(["store", "check", str(path.with_name("bots.toml"))]) == code
    assert contents(path.parent) == before
    out, errors = capsys.readouterr()
    assert errors == ""
    return out.splitlines()


def fill_progress(path: Path) -> None:
    """Keep what a bot keeps that has been at work."""
    lost = Session(
        watch="bob",
        state=SessionState.LOGGED_OUT,
        since=datetime.now(UTC) - timedelta(hours=3, minutes=1),
        is_lost=True,
    )
    with Store(path) as store:
        store.progress.put_state("bob", WatchState(session=lost), at=NOW)
        for name in ("one.log", "two.log"):
            store.progress.put_position("bob", Path("/logs", name), Position(offset=7, marker=b"marker\n"))
        store.progress.add_pending("bob", "qr_rescue", event(EventKind.LOGOUT, watch="bob"), sent=0)
        store.add_grant(Grant(user="cy", at=NOW))
        store.add_grant(Grant(user="eve", is_denial=True, at=NOW))
        store.enrol("ann", b"sealed", recovery=[], at=NOW)


def test_sound_store_is_told_with_what_stands_in_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Version, owner, mode, sizes and all that is counted stand in rows, and the exit code is 0."""
    fill_progress(path)
    lines = checked(path, capsys, code=0)
    assert lines[:2] == [f"ok: owner: {path} belongs to {user_name()}", "ok: mode: 600, for its owner alone"]
    assert lines[2].startswith("ok: size: ")
    assert lines[3].startswith("ok: disk: ")
    assert lines[4:] == [
        f"ok: version: version {NEWEST_VERSION}, the newest",
        "ok: soundness: every page, index and reference is sound",
        "ok: session: bob: logged out, for 3 h; 2 logs to be read on",
        "ok: handlers: 1 call of operations to be made again at the next start, if none runs",
        "ok: messages: 0 to be sent; 0 failed for good",
        "ok: rights: 1 grant, 1 denial, 1 enrolled",
        "Nothing is wrong with the store.",
    ]


def test_survey_counts_messages() -> None:
    """What waits and what has failed are told apart, and how long the oldest has waited."""
    survey = Survey(
        version=NEWEST_VERSION, letters_waiting=3, oldest_letter_at=NOW - timedelta(minutes=5), letters_failed=2
    )
    rows = tuple(command.survey_rows(Path("bots.db"), survey, NOW))
    assert rows[2] == Row(subject="messages", text="3 to be sent, the oldest for 5 min; 2 failed for good")


def test_store_that_is_not_there_yet_is_no_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first start there is no store, and the check makes none."""
    lines = checked(path, capsys, code=0)
    assert lines[0] == f"ok: store: there is no {path} yet; the first start makes it"


def test_empty_store_is_no_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty file is told to be one."""
    path.touch(0o600)
    assert f"ok: store: nothing stands in {path}; the next start begins it anew" in checked(path, capsys, code=0)


@pytest.mark.parametrize("damage", [garbage, damaged_page, cut_page])
def test_damage_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]) -> None:
    """A damaged store is told with what helps, is left as it is, and the exit code is 1."""
    fill(path)
    damage(path)
    lines = checked(path, capsys, code=1)
    assert lines[0].startswith(f"finding: store: store {path} is damaged: ")
    assert lines[1:] == [
        "  remedy: put a copy of it in its place, or let the next start set it aside and go on without history",
        "1 finding; once mended, check again.",
    ]


def test_reference_to_nothing_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a quick look does not see is found too: rows that belong to one that is not there."""
    fill(path)
    execute(path, "PRAGMA foreign_keys = OFF", "INSERT INTO begun_run VALUES (7, 0, NULL)")
    lines = checked(path, capsys, code=1)
    assert "finding: soundness: a row of begun_run belongs to one of pending_call that is not there" in lines


def test_session_that_cannot_be_read_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A session that is no text of ours is told, and the others are told as ever."""
    fill_progress(path)
    execute(path, "INSERT INTO watch_state VALUES ('carol', '{}', 0)")
    lines = checked(path, capsys, code=1)
    assert any(line.startswith("finding: session: carol: cannot be read: ") for line in lines)
    assert any(line.startswith("ok: session: bob: logged out") for line in lines)


def test_older_version_is_told_and_left(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store of an older logmonitor is counted as far as it goes, and not migrated."""
    with Store(path, migrations=MIGRATIONS[:2]) as store:
        store.add_grant(Grant(user="cy", at=NOW))
    lines = checked(path, capsys, code=0)
    assert f"ok: version: version 2, which the next start makes {NEWEST_VERSION}" in lines
    assert "ok: rights: 1 grant, 0 denials, 0 enrolled" in lines


def test_newer_version_and_other_programs_are_findings(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is none of ours is told to be, with where to put it."""
    Store(path).close()
    execute(path, "PRAGMA user_version = 99")
    lines = checked(path, capsys, code=1)
    assert "made by a newer logmonitor" in lines[0]
    assert lines[1].startswith("  remedy: run the logmonitor that made it, or name another file")
    execute(path, "PRAGMA application_id = 7")
    lines = checked(path, capsys, code=1)
    assert "is a database of another program" in lines[0]
    assert lines[1] == f"  remedy: name another file as [bot] store, or mv {path} {path}.other"


def test_mode_that_lets_others_in_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file or folder that others can write is told with the command that mends it."""
    fill(path)
    path.chmod(0o644)
    path.parent.chmod(0o777)
    lines = checked(path, capsys, code=1)
    assert lines[1:3] == [
        "finding: mode: bots.db has mode 644, so that others can use it",
        f"  remedy: chmod 600 {path}",
    ]
    assert f"  remedy: chmod o-w {path.parent}" in lines
    assert lines[-1] == "2 findings; once mended, check again."


def test_store_set_aside_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged one that a start has put aside is told until it is moved."""
    garbage(path)
    with Store(path) as store:
        aside = store.set_aside
    lines = checked(path, capsys, code=1)
    assert lines[0] == (f"finding: store: one that was damaged was set aside as {aside}, with all that stood in it")


def test_scarce_room_is_a_finding(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is nearly full is told before it is full."""
    fill(path)
    monkeypatch.setattr(command, "LEAST_FREE_BYTES", 1 << 62)
    lines = checked(path, capsys, code=1)
    scarce = "  remedy: make room: while there is none the rescue goes on, and nothing of it lasts"
    assert scarce in lines
    monkeypatch.chdir(path.parent)
    cli.main(["check", "bots.toml"])
    assert scarce in capsys.readouterr().out.splitlines()


def test_folder_that_is_missing_is_a_finding(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that could never be made is told."""
    config = path.with_name("bots.toml")
    config.write_text(CONFIG.replace('"alice"', '"alice"\nstore = "gone/bots.db"'), encoding="utf-8")
    lines = checked(path, capsys, code=1)
    assert f"finding: folder: {path.parent}/gone is no folder that exists" in lines


@pytest.mark.parametrize("words", [["bots.toml", "--config", "other.toml"], ["missing.toml"]])
def test_no_configuration_is_exit_code_2(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    """Two configurations, or none that can be read, are wrong usage."""
    monkeypatch.chdir(path.parent)
    assert cli.main(["store", "check", *words]) == 2
    assert capsys.readouterr().err.startswith("logmonitor store: ")


def test_store_of_a_running_bot_is_checked_without_disturbing_it(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside a process that has it open, and on what a kill of that leaves, the check adds nothing."""
    with subprocess.Popen((sys.executable, "-c", HOLD, path), stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "open\n"
            names = sorted(os.listdir(tmp_path))  # noqa: PTH208 - what stands there, not what is made of it
            lines = checked(path, capsys, code=0)
            assert any("beside it that belong to it" in line for line in lines)
            assert sorted(os.listdir(tmp_path)) == names  # noqa: PTH208 - as above
        finally:
            holder.send_signal(signal.SIGKILL)
    path.with_name("bots.db-shm").unlink()
    names = sorted(os.listdir(tmp_path))  # noqa: PTH208 - as above
    assert checked(path, capsys, code=0)[-1] == "Nothing is wrong with the store."
    assert sorted(os.listdir(tmp_path)) == names  # noqa: PTH208 - as above


@contextmanager
def as_nobody() -> Iterator[None]:
    """Have no rights for a while."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_store_of_somebody_else_is_a_finding(strange_folder: Path) -> None:
    """Who may not read it is told so; who may, though it is another's, is told whose it is."""
    path = strange_folder / "bots.db"
    fill(path)
    with as_nobody():
        (row,) = command.store_rows(path, now=NOW)
    assert row.subject == "store"
    assert row.remedy == f"let the user {user_name()} read it, on a disk that works"
    path.chmod(0o644)
    with as_nobody():
        rows = {row.subject: row for row in command.store_rows(path, now=NOW)}
    assert rows["owner"].text == f"{path} belongs to root"
    assert str(rows["owner"].remedy).startswith("run logmonitor as root, or let it belong to the user that runs it")
    assert rows["folder"].text.startswith(f"{strange_folder} cannot be written by ")
    assert rows["rights"] == Row(subject="rights", text="1 grant, 0 denials, 1 enrolled")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_owner_without_a_name_is_told_by_number(path: Path) -> None:
    """An owner whom the machine does not know is a number."""
    fill(path)
    os.chown(path, 54321, -1)
    rows = {row.subject: row for row in command.store_rows(path, now=NOW)}
    assert rows["owner"] == Row(subject="owner", text=f"{path} belongs to 54321")


def test_survey_of_a_changed_file_is_of_one_state(path: Path) -> None:
    """What is surveyed is counted in one version of the file, and damage raises."""
    fill(path)
    assert read_survey(path.with_name("none.db")) is None
    survey = read_survey(path)
    assert survey is not None
    assert replace(survey, logs={}) == Survey(version=NEWEST_VERSION, grants=1, enrolled=1)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE access_grant")
    with pytest.raises(StoreError, match="no such table"):
        read_survey(path)
