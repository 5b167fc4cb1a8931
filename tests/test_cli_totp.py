"""`logmonitor totp`: codes tried, revoked and listed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from logmonitor.lockout import Lockout
from logmonitor.totp import Verdict
from tests.totp_bench import ADMIN, SECRET
from tests.totp_desk import Desk, code_now


def test_verify_accepts_a_code_once(desk: Desk) -> None:
    """A right code is accepted and said to be used up; the same one again is refused."""
    desk.enrol()
    code = code_now(SECRET, steps=1)
    assert desk.run("verify", ADMIN, answers=(code,)) == 0
    assert desk.shown.endswith("Accepted. This code is used up: wait for the next one before you send a command.\n")
    assert desk.run("verify", ADMIN, answers=(code,)) == 1
    assert desk.shown.endswith("Refused: this code was used before, and each works once. Wait for the next one.\n")
    assert desk.audit() == [
        ("verified", "totp verify AdminWeixin", "accepted"),
        ("refused", "totp verify AdminWeixin", "used"),
    ]


def test_verify_counts_recovery_codes(desk: Desk) -> None:
    """A recovery code is accepted once, and how many are left is said."""
    recovery = desk.enrol()
    assert desk.run("verify", ADMIN, answers=(recovery[3].lower(),)) == 0
    assert "This recovery code is used up; 9 left." in desk.shown
    assert desk.run("verify", ADMIN, answers=(recovery[3],)) == 1


@pytest.mark.parametrize(("steps", "wanted"), [(4, "ahead of this machine's"), (-4, "behind this machine's")])
def test_verify_tells_clocks_that_are_apart(desk: Desk, steps: int, wanted: str) -> None:
    """A code of some minutes off is refused, and by how many seconds the clocks differ is said."""
    desk.enrol()
    assert desk.run("verify", ADMIN, answers=(lambda: code_now(SECRET, steps=steps),)) == 1
    found = re.search(
        r"Refused: the authenticator's clock is about (\d+) seconds (.*); expected at most 30", desk.shown
    )
    assert found is not None
    assert 100 <= int(found[1]) <= 140
    assert found[2] == wanted


def test_verify_locks_and_says_until_when(desk: Desk) -> None:
    """The fifth wrong code locks, which is said and on record; then not even the right one is looked at."""
    desk.enrol()
    for _ in range(4):
        assert desk.run("verify", ADMIN, answers=("ABCD2-EFGH3",)) == 1
        assert "Refused: this is not the code of now, nor a recovery code that is left.\n" in desk.shown
    assert desk.run("verify", ADMIN, answers=("ABCD2-EFGH3",)) == 1
    assert re.search(r"one too many: no code is looked at until \d{4}-\d\d-\d\d \d\d:\d\d CST\.", desk.shown)
    assert desk.run("verify", ADMIN, answers=(lambda: code_now(SECRET),)) == 1
    assert re.search(r"Refused: too many wrong codes, so that none is looked at until .* CST\.", desk.shown)
    assert [decision for decision, _, _ in desk.audit()] == ["refused"] * 5 + ["locked", "refused"]


def test_verify_refuses_who_is_not_enrolled(desk: Desk) -> None:
    """Without an enrolment nothing is asked; who is enrolled is said."""
    assert desk.run("verify", ADMIN, answers=("000000",)) == 1
    remedy = "to enroll somebody: logmonitor totp enroll ADMIN --config bot.toml"
    assert desk.said == f"logmonitor totp: 'AdminWeixin' is not enrolled; nobody is; {remedy}\n"
    desk.enrol()
    assert desk.run("verify", "AdminWexin", answers=("000000",)) == 1
    assert desk.said == "logmonitor totp: 'AdminWexin' is not enrolled; did you mean 'AdminWeixin'?\n"
    assert desk.shown == ""


def test_verify_needs_a_code_and_the_key(desk: Desk) -> None:
    """Without a code nothing is verified; without the right key, or with a store that cannot be written, it says so."""
    desk.enrol()
    assert desk.run("verify", ADMIN) == 1
    assert desk.said == "logmonitor totp: no code was given\n"
    (desk.folder / "bot.key").write_text("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
    assert desk.run("verify", ADMIN, answers=(lambda: code_now(SECRET),)) == 2
    assert "bot.key is not the one that a secret in the store was sealed under" in desk.said
    (desk.folder / "bot.key").unlink()
    assert desk.run("verify", ADMIN, answers=(lambda: code_now(SECRET),)) == 2
    assert "no key file" in desk.said


def test_verify_takes_bytes_that_are_no_text_for_a_wrong_code(desk: Desk) -> None:
    """What is piped and is no UTF-8 is refused like any other text that is no code."""
    desk.enrol()
    argv = [sys.executable, "-X", "utf8=0", "-m", "logmonitor", "totp", "verify", ADMIN]
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    done = subprocess.run(
        argv, input=b"\xff\xfe\n", cwd=desk.folder, env=environ, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert done.stdout.endswith(b"Refused: this is not the code of now, nor a recovery code that is left.\n")


def test_verify_says_when_it_could_not_be_put_on_record(desk: Desk) -> None:
    """A code that was accepted and is not on record is told as that, and the exit code is 1."""
    desk.enrol()
    (desk.folder / "bot.audit.jsonl").mkdir()
    assert desk.run("verify", ADMIN, answers=(lambda: code_now(SECRET),)) == 1
    assert "Accepted." in desk.shown
    assert "this was done, and is not on record: " in desk.said


def test_revoke_works_at_once_and_always(desk: Desk) -> None:
    """After it no code counts and the lock is gone; it needs no key, and no audit that can be written."""
    recovery = desk.enrol()
    (desk.folder / "bot.key").rename(desk.folder / "lost.key")
    assert desk.run("revoke", ADMIN) == 0
    assert desk.shown == "AdminWeixin is enrolled no more: commands that ask for a code refuse them.\n"
    assert desk.audit() == [("revoked", "totp revoke AdminWeixin", "")]
    (desk.folder / "lost.key").rename(desk.folder / "bot.key")
    assert desk.totp().verify((ADMIN,), recovery[0], command="").verdict is Verdict.NOT_ENROLLED
    assert desk.run("revoke", ADMIN) == 1
    desk.enrol("管理员")
    (desk.folder / "bot.audit.jsonl").unlink()
    (desk.folder / "bot.audit.jsonl").mkdir()
    assert desk.run("revoke", "管理员") == 1
    assert "this was done, and is not on record" in desk.said
    assert desk.enrolled() == []


def test_revoke_takes_who_is_no_admin_any_more(desk: Desk) -> None:
    """An enrolment outlives the configuration that allowed it, and is revoked all the same."""
    desk.enrol("Dave")
    assert desk.run("revoke", "Dave") == 0
    assert desk.enrolled() == []


def test_list_shows_who_is_enrolled(desk: Desk) -> None:
    """Users, since when, how many recovery codes are left and who is locked, in the configured time zone, aligned."""
    assert desk.run("list") == 0
    assert desk.shown == "Nobody is enrolled. To enroll an admin: logmonitor totp enroll ADMIN --config bot.toml\n"
    sealed, at = b"x", datetime(2026, 11, 20, 20, 5, tzinfo=UTC)
    with desk.store() as store:
        store.enrol(ADMIN, sealed, recovery=[b"1", b"2"], at=at)
        store.enrol("管理员", sealed, recovery=[], at=at)
        store.enrol("a\x1b]0;b", sealed, recovery=[], at=at)
        store.put_lockout(ADMIN, Lockout(times=1, until=datetime(2126, 11, 20, 20, 5, tzinfo=UTC)))
        store.put_lockout("管理员", Lockout(times=1, until=at))
    assert desk.run("list", "--config", "bot.toml") == 0
    assert desk.shown == (
        "user         since                 recovery codes left  locked until\n"
        "AdminWeixin  2026-11-21 04:05 CST  2                    2126-11-21 04:05 CST\n"
        "a␛]0;b       2026-11-21 04:05 CST  0                    -\n"
        "管理员       2026-11-21 04:05 CST  0                    -\n"
    )


@pytest.mark.parametrize("words", [("enroll", ADMIN), ("verify", ADMIN), ("revoke", ADMIN), ("list",)])
def test_totp_says_what_stands_in_its_way(desk: Desk, words: tuple[str, ...]) -> None:
    """A configuration that cannot be read, or a store that cannot be used, ends each action with 2 and a sentence."""
    assert desk.run(*words, "--config", "missing.toml") == 2
    assert desk.said == "logmonitor totp: missing.toml: no such file\n"
    (desk.folder / "bot.db").mkdir()
    assert desk.run(*words) == 2
    assert re.fullmatch(r"logmonitor totp: store .*bot\.db is a directory; expected a file\n", desk.said)


def test_totp_says_when_the_store_had_to_be_set_aside(desk: Desk) -> None:
    """After a damaged store nobody is enrolled, which is said together with where it lies now."""
    desk.enrol()
    (desk.folder / "bot.db").write_bytes(b"nonsense" * 10_000)
    assert desk.run("list") == 0
    assert re.search(r"the store was damaged and set aside as .*bot\.db\.corrupt-.*: nobody is enrolled", desk.said)
    assert "Nobody is enrolled." in desk.shown


@pytest.mark.parametrize("words", [(), ("enrol", ADMIN), ("enroll",), ("verify",), ("revoke",), ("list", "--json")])
def test_totp_refuses_wrong_usage(desk: Desk, words: tuple[str, ...]) -> None:
    """What is missing or unknown is wrong usage, with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        desk.run(*words)
    assert ended.value.code == 2
