"""What a restart decides, from what is known of a process alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.language import translation
from logmonitor.machine import Ending, Launch, Origin, Process, Stream, StreamKind
from logmonitor.restart.restarting import (
    Change,
    Problem,
    change_rows,
    command_text,
    heirs,
    is_same,
    is_supervised,
    keeper_of,
    launch_of,
    origin_rows,
    process_text,
)
from logmonitor.testing import START

LOG = Path("/var/log/bob.log")
ERRORS = Path("/var/log/bob.err")
NOWHERE = Stream(kind=StreamKind.NULL)
PIPE = Stream(kind=StreamKind.PIPE)
TO_LOG = Stream(kind=StreamKind.FILE, path=LOG)
TO_ERRORS = Stream(kind=StreamKind.FILE, path=ERRORS)


def process(pid: int = 12, *argv: str, **changes: Any) -> Process:  # noqa: ANN401  # the fields of a process
    """Return a process, Bob's unless it is told otherwise."""
    words = argv or ("node", "bob.js")
    bob = Process(
        pid=pid,
        created=1000.0 + pid,
        name=words[0],
        argv=words,
        parent=1,
        user="ann",
        started_at=START - timedelta(hours=3),
        memory_bytes=50 << 20,
        cpu_seconds=1.0,
    )
    return replace(bob, **changes)


def origin(**changes: Any) -> Origin:  # noqa: ANN401  # the fields of an origin
    """Return how Bob was started, in a way that he can be started again."""
    bob = Origin(
        process=process(),
        argv=(b"node", b"bob.js"),
        executable=Path("/usr/bin/node"),
        is_executable_gone=False,
        environ=(b"HOME=/home/ann", b"KEY=\xff"),
        folder=Path("/home/ann"),
        uid=1000,
        gid=1001,
        groups=(1001, 27),
        umask=0o27,
        limits=((7, 1024, 4096),),
        stdout=TO_LOG,
        stderr=TO_ERRORS,
        is_contained=False,
        parent=process(1, "systemd"),
        unit=None,
    )
    return replace(bob, **changes)


def reason_for(known: Origin, *, stdout: Path | None = None) -> str:
    """Return why a process cannot be started again."""
    launch = launch_of(known, stdout=stdout, translate=str)
    assert isinstance(launch, str)
    return launch


def launched(known: Origin, *, stdout: Path | None = None) -> Launch:
    """Return how a process is started again."""
    launch = launch_of(known, stdout=stdout, translate=str)
    assert isinstance(launch, Launch)
    return launch


def test_launch_keeps_everything() -> None:
    """A process is started with the bytes, user, groups, folder, umask, limits and files that it had."""
    assert launched(origin()) == Launch(
        executable=Path("/usr/bin/node"),
        argv=(b"node", b"bob.js"),
        environ=(b"HOME=/home/ann", b"KEY=\xff"),
        folder=Path("/home/ann"),
        uid=1000,
        gid=1001,
        groups=(1001, 27),
        umask=0o27,
        limits=((7, 1024, 4096),),
        stdout=LOG,
        stderr=ERRORS,
    )


@pytest.mark.parametrize("kind", [StreamKind.NULL, StreamKind.CLOSED])
def test_launch_writes_nowhere_what_went_nowhere(kind: StreamKind) -> None:
    """An output that was closed or thrown away still is."""
    launch = launched(origin(stdout=Stream(kind=kind), stderr=Stream(kind=kind)))
    assert (launch.stdout, launch.stderr) == (None, None)


@pytest.mark.parametrize(
    ("stdout", "stderr", "paths"),
    [
        (PIPE, PIPE, ("/bob.log", "/bob.log")),
        (TO_LOG, TO_LOG, ("/bob.log", "/bob.log")),
        (PIPE, TO_ERRORS, ("/bob.log", str(ERRORS))),
        (NOWHERE, NOWHERE, ("/bob.log", None)),
        (TO_LOG, PIPE, ("/bob.log", "/bob.log")),
        (Stream(kind=StreamKind.CLOSED), Stream(kind=StreamKind.CLOSED), ("/bob.log", "/bob.log")),
    ],
)
def test_launch_writes_to_the_configured_file(
    stdout: Stream, stderr: Stream, paths: tuple[str | None, str | None]
) -> None:
    """With `stdout` the output goes there, and so does what it complains of unless that had a place of its own."""
    launch = launched(origin(stdout=stdout, stderr=stderr), stdout=Path("/bob.log"))
    assert tuple(path and str(path) for path in (launch.stdout, launch.stderr)) == paths


REMEDY = 'configure a file for it, as stdout = "bot.log"'


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"is_contained": True}, "it runs in a container, which only the container's own tools can start again"),
        (
            {"is_contained": True, "unit": "bob.service"},
            ('it sees other files or processes than this program does; name its service, as systemd = "bob.service"'),
        ),
        ({"is_executable_gone": True}, "its program is not there any more: /usr/bin/node"),
        (
            {"argv": ()},
            "it does not show the words it was started with; name its unit, as pm2, supervisor or systemd",
        ),
        (
            {"argv": (b"",), "parent": None},
            "it does not show the words it was started with; name its unit, as pm2, supervisor or systemd",
        ),
        ({"executable": None}, "it cannot be seen how it was started: it is a process of ann"),
        ({"environ": None}, "it cannot be seen how it was started: it is a process of ann"),
        ({"folder": None, "environ": None}, "it cannot be seen how it was started: it is a process of ann"),
        (
            {"folder": None},
            "the folder that it works in was deleted or moved, or something else has taken its place",
        ),
        ({"umask": None}, "it cannot be seen how it was started: it is a process of ann"),
        ({"stdout": PIPE}, f"its output goes to a pipe, which cannot be kept: {REMEDY}"),
        (
            {"stdout": Stream(kind=StreamKind.TERMINAL)},
            f"its output goes to a terminal, which cannot be kept: {REMEDY}",
        ),
        (
            {"stderr": Stream(kind=StreamKind.SOCKET)},
            f"its error output goes to a socket, which cannot be kept: {REMEDY}",
        ),
        (
            {"stderr": Stream(kind=StreamKind.OTHER)},
            f"its error output goes to something that is no file, which cannot be kept: {REMEDY}",
        ),
        (
            {"stdout": Stream(kind=StreamKind.FILE)},
            f"its output goes to something that is no file, which cannot be kept: {REMEDY}",
        ),
        (
            {"stdout": PIPE, "unit": "b.service"},
            f'its output goes to a pipe, which cannot be kept: {REMEDY}, or name its service, as systemd = "b.service"',
        ),
        (
            {"stdout": PIPE, "parent": process(7, "pm2")},
            (
                f"its output goes to a pipe, which cannot be kept: {REMEDY},"
                " or if pm2 (7) keeps it, name it as its unit (pm2, supervisor or systemd)"
            ),
        ),
    ],
)
def test_launch_is_refused_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    """What cannot be started as it was is told in one sentence, with what helps."""
    assert reason_for(origin(**changes)) == reason


def test_launch_refusal_shows_what_a_name_hides() -> None:
    """A program's path cannot pass for more of the sentence."""
    known = origin(is_executable_gone=True, executable=Path("/tmp/x\nall is well\u202e"))
    assert reason_for(known) == r"its program is not there any more: /tmp/x␊all is well\u202e"


@pytest.mark.parametrize(
    ("changes", "is_kept"),
    [
        ({}, False),
        ({"parent": process(1, "supervisord")}, True),
        ({"parent": process(7, "bash")}, True),
        ({"unit": "bob.service"}, True),
        ({"parent": None}, False),
        ({"parent": None, "process": process(parent=7)}, True),
    ],
)
def test_supervised_is_what_a_service_or_a_living_parent_may_bring_back(
    changes: dict[str, Any],
    is_kept: bool,  # noqa: FBT001  # pytest names them
) -> None:
    """Orphans that an init has taken in are brought back by nobody."""
    assert is_supervised(origin(**changes)) is is_kept


def test_keeper_is_named_as_far_as_it_is_known() -> None:
    """The service is named before the parent."""
    known = origin(parent=process(7, "pm2"))
    assert keeper_of(known) == "pm2 (7)"
    assert keeper_of(replace(known, unit="bob.service")) == "bob.service"
    assert keeper_of(replace(known, parent=None)) == ""


def test_heirs_are_others_of_the_same_words_or_parent() -> None:
    """A supervisor's new child is an heir even under a new title; a stranger, and the process itself, are none."""
    before = process(12, parent=7)
    twin, titled = process(34), process(35, "node", "renamed", parent=7)
    strangers = [before, process(36, "tail", "-f", "bob.log"), process(37, "sh", parent=7)]
    assert heirs(before, [*strangers, twin, titled]) == (twin, titled)
    orphan = process(12, parent=1)
    assert heirs(orphan, [process(34, "node", "other.js", parent=1)]) == ()


def test_what_another_user_runs_is_no_heir() -> None:
    """Neither the same words nor the same parent make another user's process the bot's."""
    before = process(12, parent=7)
    assert heirs(before, [process(34, user="eve"), process(35, "node", "renamed", parent=7, user="eve")]) == ()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.integers(1, 3))
def test_process_of_the_same_id_is_another_when_created_at_another_time(
    pid: int, other_pid: int, created: int, other_created: int
) -> None:
    """Both id and time of creation make a process."""
    one, other = process(pid, created=float(created)), process(other_pid, created=float(other_created))
    assert is_same(one, other) is ((pid, created) == (other_pid, other_created))


def test_process_is_told_on_one_line() -> None:
    """Words that are long, not UTF-8 or of several lines stay one short line."""
    told = process_text(process(12, "node", "a\nb\udcff", "x" * 300), now=START, translate=str)
    assert told.startswith(r"pid 12, ann, up 3 h, 50.0 MB: node a␊b\udcff xxx")
    assert told.endswith("x…")
    assert len(command_text(process(12, "x" * 300))) == 200
    assert command_text(replace(process(), argv=(), name="kworker")) == "[kworker]"


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["/usr/bin/mysql", "-uroot", "-phunter2", "-P", "3306", "db"], "-uroot -p[redacted] -P 3306 db"),
        (["mysqldump", "-p", "123456"], "-p [redacted]"),
        (["mysql", "-phunter 2"], "-p[redacted]"),
        (["sshpass", "-p", "hunter 2", "ssh", "bob"], "-p [redacted] ssh bob"),
        (["sudo", "redis-cli", "-p", "6379", "-a", "hunter2"], "redis-cli -p 6379 -a [redacted]"),
        (["redis-cli", "--pass", "hunter2"], "--pass [redacted]"),
        (["sh", "-c", "mysql -p'hunter 2' db"], "-c mysql -p[redacted] db"),
        (["bot", "-p", "hunter2", "-P", "hunter3", "-pw", "hunter4"], "-p [redacted] -P [redacted] -pw [redacted]"),
        (["psql", "-p", "5432"], "-p 5432"),
        (["docker", "run", "-p", "127.0.0.1:80:8080/tcp"], "run -p 127.0.0.1:80:8080/tcp"),
        (["bot", "-p", "/run/bob.pid", "-p", "-v"], "-p /run/bob.pid -p -v"),
        (["node", "bob.js", "-path", "--port", "a"], "bob.js -path --port a"),
    ],
)
def test_command_is_told_without_passwords(argv: list[str], shown: str) -> None:
    """What stands behind a short option for a password is hidden, ports and paths are not."""
    assert command_text(process(12, *argv)) == f"{argv[0]} {shown}"


def test_origin_is_told_as_far_as_it_is_known() -> None:
    """What cannot be seen is left out."""
    known = origin(unit="bob.service", stderr=PIPE)
    assert origin_rows(known, translate=str) == (
        "program: /usr/bin/node",
        "folder: /home/ann",
        "output: /var/log/bob.log; errors: a pipe",
        "started by: systemd (1)",
        "service: bob.service",
    )
    hidden = origin(executable=None, folder=None, parent=None, stdout=NOWHERE, stderr=Stream(kind=StreamKind.OTHER))
    assert origin_rows(hidden, translate=str) == ("output: nowhere; errors: something that is no file",)


LAUNCH = launched(origin())


@pytest.mark.parametrize(
    ("change", "rows"),
    [
        (
            Change(before=(process(),), after=(process(34),), seconds=3.42, launch=LAUNCH, keeper="bash (7)"),
            ["bob was restarted in 3.4 s: pid 12 → 34, 50.0 MB"],
        ),
        (
            Change(before=(process(), process(13)), after=(process(34), process(35)), seconds=63),
            ["bob was restarted in 1 min: pid 12, 13 → 34, 35, 100.0 MB"],
        ),
        (
            Change(before=(process(),), after=(process(34),), ending=Ending(killed=(12, 13)), keeper="pm2 (7)"),
            [
                "bob was restarted in 0.0 s: pid 12 → 34, 50.0 MB",
                "had to be killed: pid 12, 13",
                "pm2 (7) brought it back; nothing was started besides",
            ],
        ),
        (Change(after=(process(34),), launch=LAUNCH), ["bob was started in 0.0 s: pid 34, 50.0 MB"]),
        (
            Change(before=(process(),), ending=Ending(survivors=(12,)), keeper="x", problem=Problem.SURVIVES),
            ["bob does not end, not even when killed: pid 12; nothing was started"],
        ),
        (
            Change(before=(process(),), problem=Problem.SURVIVES),
            ["bob does not end, not even when killed: pid ; nothing was started"],
        ),
        (
            Change(before=(process(),), after=(process(),), problem=Problem.GOES_ON),
            ["bob goes on running: pid 12"],
        ),
        (
            Change(reason="systemctl: no", problem=Problem.REFUSED),
            ["what keeps bob refused: systemctl: no"],
        ),
        (
            Change(before=(process(),), launch=LAUNCH, reason="disk full", problem=Problem.NOT_STARTED),
            ["bob was ended (pid 12) and cannot be started again: disk full; `start` tries once more"],
        ),
        (
            Change(after=(process(34),), launch=LAUNCH, seconds=0.21, problem=Problem.ENDED, last_words="Error: no"),
            [
                "bob does not run: it was started as pid 34 and ended within 0.2 s",
                "the last it has written:",
                "Error: no",
            ],
        ),
        (
            Change(after=(process(34),), launch=LAUNCH, problem=Problem.ENDED),
            ["bob does not run: it was started as pid 34 and ended within 0.0 s", "it has written nothing"],
        ),
        (
            Change(after=(process(34),), launch=replace(LAUNCH, stdout=None, stderr=None), problem=Problem.ENDED),
            ["bob does not run: it was started as pid 34 and ended within 0.0 s"],
        ),
        (
            Change(after=(process(34),), problem=Problem.ENDED),
            ["bob does not run: it was started as pid 34 and ended within 0.0 s"],
        ),
        (Change(problem=Problem.ENDED), ["bob was started, but no new process of it has appeared"]),
        (
            Change(after=(process(34),), seconds=61, reason="8080", problem=Problem.NO_ANSWER),
            ["bob runs as pid 34, but port 8080 does not answer after 1 min"],
        ),
        (
            Change(after=(process(34),), launch=LAUNCH, seconds=61, problem=Problem.NO_LOGIN),
            ["bob runs as pid 34, but its log shows no login after 1 min"],
        ),
    ],
)
def test_change_is_told(change: Change, rows: list[str]) -> None:
    """Whether it has worked is the first row; what there is to know besides follows."""
    assert list(change_rows("bob", change, translate=str)) == rows


def test_change_is_told_in_chinese() -> None:
    """Who reads Chinese reads it here."""
    change = Change(before=(process(),), after=(process(34),), seconds=3.42, keeper="pm2 (7)")
    assert change_rows("bob", change, translate=translation("zh")) == (
        "bob 已重启，用时 3.4 秒：pid 12 → 34，50.0 MB",
        "是 pm2 (7) 把它拉起的；没有另外启动",
    )
