"""Codes of an authenticator where something fails, races or is read by a stranger: nothing is accepted or shown."""

from __future__ import annotations

import logging
import os
import select
import signal
import sqlite3
import subprocess
import sys
from base64 import b32encode
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import CodeError, StoreError
from logmonitor.sealing import Seal
from logmonitor.store import Store
from logmonitor.totp import Totp, Verdict, Verification
from tests.totp_bench import ADMIN, KEY, NAMES, NOW, SECRET, Bench

if TYPE_CHECKING:
    from pathlib import Path


def test_totp_fails_closed_without_its_store(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """With a store that cannot be used no code is accepted, nothing is raised, and the log says why."""
    code = bench.code()
    bench.store.close()
    assert bench.verify(code) == Verification(verdict=Verdict.UNAVAILABLE)
    assert bench.totp.note_failure(NAMES) == Verification(verdict=Verdict.UNAVAILABLE)
    for use in (bench.totp.locked_until, bench.totp.clear):
        with pytest.raises(StoreError):
            use(NAMES)
    with pytest.raises(StoreError):
        bench.totp.enrolled()
    assert "one-time codes cannot be checked, so that none is accepted: " in caplog.text
    assert code not in caplog.text


def test_totp_fails_closed_when_it_cannot_write(tmp_path: Path) -> None:
    """While another process holds the store a right code is refused, and it still works afterwards."""
    path = tmp_path / "bot.db"
    bench = Bench(path)
    with Store(path, patience=0.01) as store:
        totp = Totp(store, Seal(KEY), now=lambda: NOW)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert totp.verify(NAMES, bench.code(), command="sh uptime").verdict is Verdict.UNAVAILABLE
        other.execute("ROLLBACK")
        other.close()
        assert totp.verify(NAMES, bench.code(), command="sh uptime").verdict is Verdict.ACCEPTED
    bench.store.close()


@pytest.mark.parametrize("seal", [None, Seal("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")])
def test_totp_fails_closed_without_its_key(bench: Bench, seal: Seal | None) -> None:
    """Without the key, or with another, neither codes nor recovery codes are accepted."""
    totp = Totp(bench.store, seal, now=lambda: NOW)
    for code in (bench.code(), bench.recovery[0], "000000"):
        assert totp.verify(NAMES, code, command="sh uptime") == Verification(verdict=Verdict.UNAVAILABLE)
    assert bench.verify(bench.code()).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"version": 2}',
        b'{"version": 1, "user": "AdminWeixin"}',
        b'{"version": 1, "user": "AdminWeixin", "secret": "zz", "pepper": ""}',
        b'{"version": 1, "user": "AdminWeixin", "secret": 1, "pepper": 2}',
    ],
)
def test_totp_fails_closed_on_what_it_did_not_seal(bench: Bench, packed: bytes) -> None:
    """What opens under the key and is no secret of ours, or a newer version's, accepts nothing."""
    bench.store.enrol(ADMIN, bench.seal.seal(packed), recovery=[], at=NOW)
    assert bench.verify(bench.code()).verdict is Verdict.UNAVAILABLE


def test_totp_refuses_a_secret_moved_to_another_user(bench: Bench) -> None:
    """Who can write the store, and has an authenticator of their own, cannot make it an admin's."""
    mine = b"09876543210987654321"
    bench.enrol("Eve", mine)
    (sealed,) = (enrolment.sealed for enrolment in bench.store.enrolments() if enrolment.user == "Eve")
    bench.store.enrol(ADMIN, sealed, recovery=[], at=NOW)
    assert bench.verify(bench.code(secret=mine, steps=1)).verdict is Verdict.UNAVAILABLE


@pytest.mark.parametrize("command", ["", "sh uptime", "sh \ud83d", "x" * 100_000])
def test_totp_binds_a_code_to_its_command_without_keeping_it(tmp_path: Path, command: str) -> None:
    """What a code was used for is kept as a digest; neither code nor command stands in the store."""
    bench = Bench(tmp_path / "bot.db")
    assert bench.verify(bench.code(), command=command).verdict is Verdict.ACCEPTED
    bench.store.close()
    connection = sqlite3.connect(tmp_path / "bot.db")
    purposes = {purpose for (purpose,) in connection.execute("SELECT purpose FROM used_step")}
    connection.close()
    assert {len(purpose) for purpose in purposes} == {64}
    assert len(purposes) == 2


def test_totp_shows_no_secret_and_no_code(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither secret nor code nor recovery code stands in a record, an error, a log or the store's file."""
    caplog.set_level(logging.DEBUG)
    bench = Bench(tmp_path / "bot.db")
    begun = bench.totp.begin(ADMIN, issuer="bob")
    shown = [repr(begun), repr(bench.totp), repr(bench.seal), repr(bench.store.enrolments())]
    hidden = [begun.secret, SECRET.decode(), SECRET.hex(), b32encode(SECRET).decode(), KEY, *bench.recovery]
    hidden += [code.replace("-", "") for code in bench.recovery]
    for code in (bench.code(), bench.code(), bench.code(steps=5), bench.wrong(), bench.recovery[0], bench.recovery[0]):
        shown.append(repr(bench.verify(code)))
        hidden.append(code)
    with pytest.raises(CodeError) as caught:
        bench.totp.finish(begun, bench.code(steps=5))
    shown += [str(caught.value), repr(caught.value.__context__), caplog.text]
    shown += [repr(Totp(bench.store, None, now=lambda: NOW).verify(NAMES, bench.code(), command="x")), caplog.text]
    bench.store.close()
    shown += [path.read_bytes().decode("latin-1") for path in tmp_path.iterdir()]
    assert [secret for secret in hidden if any(secret in text for text in shown)] == []


OTHER_PROCESS = """
import sys, datetime
from pathlib import Path
from logmonitor.sealing import Seal
from logmonitor.store import Store
from logmonitor.totp import Totp
path, key, now, code = sys.argv[1:]
totp = Totp(Store(Path(path)), Seal(key), now=lambda: datetime.datetime.fromisoformat(now))
print("ready", flush=True)
sys.stdin.readline()
print(totp.verify(["AdminWeixin"], code, command="sh reboot").verdict, flush=True)
sys.stdin.readline()
"""


def other_process(path: Path, code: str) -> subprocess.Popen[str]:
    """Start a process that verifies a code when it is given a line, and waits for another one to end."""
    argv = [sys.executable, "-c", OTHER_PROCESS, str(path), KEY, NOW.isoformat(), code]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def line_of(process: subprocess.Popen[str]) -> str:
    """Wait for the next line that a process writes."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], 60)[0]
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a process take its next step."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("is_recovery", [False, True])
def test_totp_gives_a_code_to_one_of_many_processes(tmp_path: Path, *, is_recovery: bool) -> None:
    """Of four processes that are given one code at the same moment, one accepts it."""
    bench = Bench(tmp_path / "bot.db")
    code = bench.recovery[0] if is_recovery else bench.code()
    processes = [other_process(tmp_path / "bot.db", code) for _ in range(4)]
    try:
        assert [line_of(process) for process in processes] == ["ready"] * 4
        for process in processes:
            go_on(process)
        verdicts = sorted(line_of(process) for process in processes)
    finally:
        for process in processes:
            process.communicate()
    assert verdicts == ["accepted", *(["wrong"] if is_recovery else ["used"]) * 3]
    bench.store.close()


def test_totp_counts_each_failure_of_many_processes(tmp_path: Path) -> None:
    """Five processes with a wrong code each lock together: no failure is lost between them."""
    bench = Bench(tmp_path / "bot.db")
    processes = [other_process(tmp_path / "bot.db", bench.wrong()) for _ in range(5)]
    try:
        assert [line_of(process) for process in processes] == ["ready"] * 5
        for process in processes:
            go_on(process)
        assert [line_of(process) for process in processes] == ["wrong"] * 5
    finally:
        for process in processes:
            process.communicate()
    assert bench.verify(bench.code()).verdict is Verdict.LOCKED
    bench.store.close()


def test_totp_keeps_a_code_used_when_it_is_killed_before_it_runs(tmp_path: Path) -> None:
    """After kill -9 between verifying and running the code stays used."""
    bench = Bench(tmp_path / "bot.db")
    code = bench.code()
    with other_process(tmp_path / "bot.db", code) as process:
        assert line_of(process) == "ready"
        go_on(process)
        assert line_of(process) == "accepted"
        os.kill(process.pid, signal.SIGKILL)
        process.wait(60)
    bench.store.close()
    with Store(tmp_path / "bot.db") as store:
        totp = Totp(store, Seal(KEY), now=lambda: NOW)
        assert totp.verify(NAMES, code, command="sh reboot").verdict is Verdict.USED
