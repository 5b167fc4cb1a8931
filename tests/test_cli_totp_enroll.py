"""`logmonitor totp enroll`: what it shows, what it asks for, and whom it refuses to enrol."""

from __future__ import annotations

import re
import signal
import stat
from base64 import b32decode
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len

from logmonitor.cli import totp_enroll
from logmonitor.errors import StoreError
from logmonitor.grant import Grant
from logmonitor.sealing import make_key_file
from logmonitor.storage.database import Database
from logmonitor.totp import STEP_SECONDS, Verdict
from tests.terminal import Terminal, plain, scanned
from tests.totp_bench import ADMIN, KEY, SECRET
from tests.totp_desk import RECOVERY_CODE, Desk, code_now


def test_enroll_counts_once_a_code_was_given(desk: Desk) -> None:
    """With a right code the admin is enrolled, ten recovery codes are shown once, and all of them work."""
    given: list[str] = []

    def answer() -> str:
        given.append(desk.code())
        return given[0]

    assert desk.run("enroll", ADMIN, answers=(answer,)) == 0
    assert desk.said == ""
    recovery = RECOVERY_CODE.findall(desk.shown)
    assert len(set(recovery)) == 10
    assert desk.enrolled() == [ADMIN]
    totp = desk.totp()
    assert totp.verify((ADMIN,), desk.code(steps=1), command="sh uptime").verdict is Verdict.ACCEPTED
    assert totp.verify((ADMIN,), given[0], command="sh uptime").verdict is Verdict.USED
    assert [totp.verify((ADMIN,), code, command="sh uptime").verdict for code in recovery] == [Verdict.ACCEPTED] * 10


def test_enroll_hands_the_secret_over_as_text_where_there_is_no_terminal(desk: Desk) -> None:
    """Piped, the key stands in groups of four with all that is typed by hand, and the address for a QR of one's own."""
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 0
    (uri,) = re.findall(r"^otpauth://.*$", desk.shown, re.MULTILINE)
    key = re.findall(r"key +(.*)", desk.shown)[0].replace(" ", "")
    assert uri == f"otpauth://totp/logmonitor%20alice:AdminWeixin?secret={key}&issuer=logmonitor%20alice"
    assert len(key) == 32
    for part in (
        "account  logmonitor alice: AdminWeixin",
        "time-based, 6 digits, every 30 seconds",
        "never through the",
    ):
        assert part in desk.shown
    assert "█" not in desk.shown


def test_enroll_makes_a_key_of_its_owners_alone(desk: Desk) -> None:
    """The first enrolment makes the key file with mode 0600 and says what it takes; the next ones use it."""
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 0
    assert stat.S_IMODE((desk.folder / "bot.key").stat().st_mode) == 0o600
    assert f"A key was made: {desk.folder / 'bot.key'}. If the bot is running now, stop it and start" in desk.shown
    key = (desk.folder / "bot.key").read_bytes()
    assert desk.run("enroll", "管理员", answers=(desk.code,)) == 0
    assert "A key was made" not in desk.shown
    assert (desk.folder / "bot.key").read_bytes() == key
    assert desk.enrolled() == [ADMIN, "管理员"]


def test_enroll_takes_a_key_from_the_environment(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a key in the environment no file is made."""
    monkeypatch.setenv("LOGMONITOR_KEY", KEY)
    desk.configure('[security]\nkey = "${LOGMONITOR_KEY}"\n')
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 0
    assert not (desk.folder / "bot.key").exists()
    assert "A key was made" not in desk.shown


def test_enroll_is_on_record_without_anything_secret(desk: Desk) -> None:
    """The audit says who was enrolled; neither it nor the store holds secret, code or recovery code."""
    assert desk.run("enroll", ADMIN, answers=("000000", desk.code)) == 0
    assert desk.audit() == [("enrolled", "totp enroll AdminWeixin", "")]
    secret, recovery = re.findall(r"secret=(\w+)", desk.shown), RECOVERY_CODE.findall(desk.shown)
    kept = b"".join(path.read_bytes() for path in desk.folder.iterdir())
    hidden = [*secret, *recovery, desk.secret().hex(), desk.code()]
    assert [text for text in hidden if text.encode() in kept] == []


@pytest.mark.parametrize(
    ("user", "meant"),
    [
        ("AdminWexin", "did you mean 'AdminWeixin'?"),
        ("adminweixin", "did you mean 'AdminWeixin'?"),
        ("wxid_9", "expected 'AdminWeixin', 'Charlie', '管理员' or an id that was granted something"),
        ("", "expected 'AdminWeixin'"),
        ("*", "expected 'AdminWeixin'"),
        ("x\x1b[2J", "'x\\x1b[2J' is no admin"),
    ],
)
def test_enroll_refuses_who_would_never_be_asked(desk: Desk, user: str, meant: str) -> None:
    """A name that is no admin's, a mistyped one above all, is refused with the one that was meant; nothing is shown."""
    assert desk.run("enroll", user, answers=("000000",)) == 2
    assert meant in desk.said
    assert "is no admin in bot.toml, and no stable id with a grant" in desk.said
    assert desk.shown == ""
    assert not (desk.folder / "bot.key").exists()


def test_enroll_takes_the_admins_of_an_operation(desk: Desk) -> None:
    """Who commands one operation alone can be enrolled too."""
    assert desk.run("enroll", "Charlie", answers=(desk.code,)) == 0
    assert desk.enrolled() == ["Charlie"]


def test_enroll_takes_an_id_with_a_grant(desk: Desk) -> None:
    """A stable id that may run something now can be enrolled; one with a denial, an expired grant or none cannot."""
    now = datetime.now(UTC)
    with desk.store() as store:
        store.add_grant(Grant(user="wxid_1", at=now))
        store.add_grant(Grant(user="wxid_2", at=now, is_denial=True))
        store.add_grant(Grant(user="wxid_3", at=now, until=now - timedelta(seconds=1)))
        store.add_grant(Grant(user="wxid_*", at=now))
    assert desk.run("enroll", "wxid_1", answers=(desk.code,)) == 0
    assert [desk.run("enroll", user, answers=(desk.code,)) for user in ("wxid_2", "wxid_3", "wxid_4", "wxid_*")] == [
        2
    ] * 4
    assert desk.enrolled() == ["wxid_1"]


def test_enroll_gives_three_tries(desk: Desk) -> None:
    """Two wrong codes are explained and asked for again; the third ends it, and nothing is left behind."""
    assert desk.run("enroll", ADMIN, answers=("000000", "nonsense", desk.code)) == 0
    assert desk.said.count("this is not the code of now; expected the 6 digits") == 2
    assert desk.run("enroll", "管理员", answers=("000000", "1234567", "-12345", desk.code)) == 1
    assert desk.said.count("not the code of now") == 3
    assert desk.said.endswith("that was the last try\nlogmonitor totp: nobody was enrolled\n")
    assert desk.enrolled() == [ADMIN]


def test_enroll_leaves_nothing_when_it_is_given_up(desk: Desk) -> None:
    """At the end of input nobody is enrolled, there is no key, and nothing is on record."""
    assert desk.run("enroll", ADMIN) == 1
    assert desk.said == "logmonitor totp: no code was given\nlogmonitor totp: nobody was enrolled\n"
    assert desk.enrolled() == []
    assert sorted(path.name for path in desk.folder.iterdir()) == ["bot.audit.jsonl", "bot.db", "bot.toml"]
    assert (desk.folder / "bot.audit.jsonl").read_bytes() == b""


def test_enroll_tells_clocks_that_are_apart(desk: Desk) -> None:
    """A code of another time is told by how many seconds the clocks differ, and enrols nobody."""
    assert desk.run("enroll", ADMIN, answers=(lambda: desk.code(steps=5), lambda: desk.code(steps=-5))) == 1
    ahead, behind = re.findall(r"the authenticator's clock is about (\d+) seconds (?:ahead of|behind) this", desk.said)
    assert 130 <= int(ahead) <= 170
    assert 130 <= int(behind) <= 170
    assert desk.enrolled() == []


@pytest.mark.parametrize("typed", ["{0} {1}", "{0}-{1}", "wide"])
def test_enroll_understands_a_code_as_it_is_typed(desk: Desk, typed: str) -> None:
    """A blank or hyphen within a code, and full-width digits, make no difference."""

    def answer() -> str:
        code = desk.code()
        if typed == "wide":
            return "".join(chr(ord(digit) + 0xFEE0) for digit in code)
        return typed.format(code[:3], code[3:])

    assert desk.run("enroll", ADMIN, answers=(answer,)) == 0


def test_enroll_asks_before_it_replaces(desk: Desk) -> None:
    """Where nobody can be asked, only --replace replaces an enrolment; then the old one counts no more."""
    old = desk.enrol()
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 1
    assert re.search(r"is enrolled since \d{4}-\d\d-\d\d \d\d:\d\d CST; expected --replace", desk.said)
    assert desk.shown == ""
    assert desk.run("enroll", ADMIN, "--replace", answers=(desk.code,)) == 0
    totp = desk.totp()
    assert totp.verify((ADMIN,), old[0], command="").verdict is Verdict.WRONG
    assert totp.verify((ADMIN,), code_now(SECRET, steps=1), command="").verdict is Verdict.WRONG
    assert totp.verify((ADMIN,), desk.code(steps=1), command="").verdict is Verdict.ACCEPTED


def test_enroll_keeps_the_old_enrolment_until_the_new_one_counts(desk: Desk) -> None:
    """Given up, a replacement replaces nothing."""
    old = desk.enrol()
    assert desk.run("enroll", ADMIN, "--replace", answers=("000000",)) == 1
    assert desk.totp().verify((ADMIN,), old[0], command="").verdict is Verdict.ACCEPTED


def test_enroll_counts_no_code_of_the_old_secret_against_the_new(desk: Desk) -> None:
    """Enrolled anew within the half minute of a code that the old secret was asked for, the new one's is taken."""
    desk.enrol()
    assert desk.totp().verify((ADMIN,), code_now(SECRET), command="sh uptime").verdict is Verdict.ACCEPTED
    with desk.store() as store:
        for step in range(-2, 3):
            moment = datetime.now(UTC)
            store.use_step(ADMIN, int(moment.timestamp()) // STEP_SECONDS + step, purpose="", at=moment)
    given: list[str] = []

    def answer() -> str:
        given.append(desk.code())
        return given[0]

    assert desk.run("enroll", ADMIN, "--replace", answers=(answer,)) == 0
    assert desk.said == ""
    assert desk.totp().verify((ADMIN,), given[0], command="sh uptime").verdict is Verdict.USED


def test_enroll_refuses_a_key_that_others_can_read_before_it_shows_a_secret(desk: Desk) -> None:
    """An open key file is refused with its remedy, and so is a folder in which none can be made; nothing is shown."""
    make_key_file(desk.folder / "bot.key")
    (desk.folder / "bot.key").chmod(0o644)
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 2
    assert f"chmod 600 '{desk.folder / 'bot.key'}'" in desk.said
    desk.configure('[security]\nkey_file = "missing/bot.key"\n')
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 2
    assert "cannot be made" in desk.said
    assert desk.shown == ""


def test_enroll_shows_nothing_that_could_not_be_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An audit, a store or a folder for the key that cannot be written is told before there is a secret to be seen."""
    desk.configure('[security]\naudit = "logs/audit.jsonl"\n')
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 2
    assert "audit.jsonl: cannot be written: no such file or directory; make the folder" in desk.said
    assert desk.shown == ""

    def refuse(*_: object) -> int:
        raise StoreError("store bot.db cannot be written: its disk is full")

    desk.configure()
    with monkeypatch.context() as patched:
        patched.setattr(Database, "change", refuse)
        assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 2
    assert (desk.said, desk.shown) == ("logmonitor totp: store bot.db cannot be written: its disk is full\n", "")
    monkeypatch.setattr(totp_enroll, "TemporaryFile", lambda **_: (desk.folder / "bot.toml" / "x").open())
    assert desk.run("enroll", ADMIN, answers=(desk.code,)) == 2
    assert "bot.key' cannot be made: not a directory; expected a folder" in desk.said
    assert desk.shown == ""


def test_enroll_is_undone_where_it_cannot_be_put_on_record(desk: Desk) -> None:
    """Should the audit be lost while the code is typed, nobody is enrolled."""

    def answer() -> str:
        (desk.folder / "bot.audit.jsonl").unlink()
        (desk.folder / "bot.audit.jsonl").mkdir()
        return desk.code()

    assert desk.run("enroll", ADMIN, answers=(answer,)) == 2
    assert "bot.audit.jsonl: cannot be written" in desk.said
    assert not RECOVERY_CODE.search(desk.shown)
    assert desk.enrolled() == []


def seated(
    desk: Desk, *words: str, columns: int = 80, rows: int = 24, environ: dict[str, str] | None = None
) -> Terminal:
    """Run a command in a terminal."""
    argv = ("-m", "logmonitor", "totp", *words)
    return Terminal(*argv, folder=desk.folder, columns=columns, rows=rows, environ=environ)


def typed_secret(terminal: Terminal) -> bytes:
    """Return the secret that a terminal shows as text."""
    found = re.search(r"key +((?:[A-Z2-7]{4}\s+){7}[A-Z2-7]{4})", plain(terminal.output))
    assert found is not None
    return b32decode("".join(found[1].split()))


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}])
def test_enroll_draws_a_qr_that_a_phone_reads(desk: Desk, colour: dict[str, str]) -> None:
    """In a terminal of 80 × 24 the QR holds the very secret that stands beside it, and the code of it enrols."""
    with seated(desk, "enroll", ADMIN, environ=colour) as terminal:
        terminal.wait_for("The code that it shows now:")
        secret = typed_secret(terminal)
        (uri,) = scanned(terminal.output)
        assert uri.startswith("otpauth://totp/logmonitor%20alice:AdminWeixin?secret=")
        assert "otpauth://" not in plain(terminal.output)
        terminal.press(code_now(secret) + "\r")
        assert terminal.wait() == 0
        shown = plain(terminal.output)
    assert len(set(RECOVERY_CODE.findall(shown))) == 10
    assert "Then clear this window" in shown
    assert desk.enrolled() == [ADMIN]


@pytest.mark.parametrize(("columns", "rows"), [(44, 50), (100, 23)])
def test_enroll_shows_text_where_the_qr_does_not_fit(desk: Desk, columns: int, rows: int) -> None:
    """In a window that is too narrow or too low there is no torn QR, but how large it has to be; the key enrols."""
    with seated(desk, "enroll", ADMIN, columns=columns, rows=rows) as terminal:
        terminal.wait_for("The code that it shows now:")
        assert "█" not in terminal.output
        assert f"and this window has {columns} × {rows}." in plain(terminal.output).replace("\n", " ")
        terminal.press(code_now(typed_secret(terminal)) + "\r")
        assert terminal.wait() == 0


def test_enroll_shows_text_where_blocks_cannot_be_written(desk: Desk) -> None:
    """Where the output's encoding has no block characters the key is shown as text alone."""
    with seated(desk, "enroll", ADMIN, environ={"PYTHONIOENCODING": "ascii"}) as terminal:
        terminal.wait_for("The code that it shows now:")
        assert "The QR is not drawn: " in plain(terminal.output)
        assert "\\u2588" not in terminal.output
        terminal.press(code_now(typed_secret(terminal)) + "\r")
        assert terminal.wait() == 0


def test_enroll_shows_text_where_the_qr_would_be_too_large(desk: Desk) -> None:
    """With a name that no QR has room for, the key is shown as text alone."""
    with desk.store() as store:
        store.add_grant(Grant(user="名" * 400, at=datetime.now(UTC)))
    with seated(desk, "enroll", "名" * 400) as terminal:
        shown = terminal.wait_for("The code that it shows now:")
        assert "The QR is not drawn: the names of bot and user are too long for one." in shown
        terminal.press(code_now(typed_secret(terminal)) + "\r")
        assert terminal.wait() == 0


def test_enroll_leaves_nothing_when_it_is_interrupted(desk: Desk) -> None:
    """After Ctrl-C at the question nobody is enrolled, there is no key, and nothing is on record."""
    with seated(desk, "enroll", ADMIN) as terminal:
        terminal.wait_for("The code that it shows now:")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 130
        assert "nobody was enrolled" in plain(terminal.output)
        assert "Traceback" not in terminal.output
    assert desk.enrolled() == []
    assert sorted(path.name for path in desk.folder.iterdir()) == ["bot.audit.jsonl", "bot.db", "bot.toml"]
    assert (desk.folder / "bot.audit.jsonl").read_bytes() == b""


def test_enroll_shows_qr_and_key_in_one_window(desk: Desk) -> None:
    """At 80 × 24 both the QR, which a phone reads, and the key below it are still to be seen at the question."""
    with seated(desk, "enroll", ADMIN, columns=80, rows=24) as terminal:
        terminal.wait_for("The code that it shows now:")
        seen = terminal.output.split("\n")[-24:]
        (uri,) = scanned("\n".join(seen))
        assert uri.startswith("otpauth://totp/")
        assert plain(seen[-2]).startswith("  key      ")
        assert f"secret={plain(seen[-2]).removeprefix('  key').replace(' ', '')}&" in uri


@pytest.mark.parametrize("columns", [40, 80])
def test_enroll_wraps_between_words(desk: Desk, columns: int) -> None:
    """In a window of any width no word is cut, nor is any of an error; piped, a paragraph is one line."""
    desk.enrol("管理员")
    with seated(desk, "enroll", ADMIN, columns=columns, rows=50) as terminal:
        shown = terminal.wait_for("The code that it shows now:")
        terminal.press("000000\r")
        terminal.press("\x04")
        assert terminal.wait() == 1
        told = plain(terminal.output)
    assert max(map(cell_len, shown.splitlines())) <= columns
    assert max(map(cell_len, told.splitlines())) <= columns
    words = " ".join(told.split())
    for sentence in (
        "Who sees what follows can make these codes. Do this on the bot's machine or over SSH, never through the chat,",
        "logmonitor totp: no code was given",
    ):
        assert sentence in words
    assert desk.run("enroll", ADMIN) == 1
    assert re.search(r"^AdminWeixin gets codes of .* or holds the phone\.$", desk.shown, re.MULTILINE)


def test_enroll_asks_somebody_who_is_there_before_it_replaces(desk: Desk) -> None:
    """In a terminal it asks; anything but yes changes nothing, and yes goes on to the QR."""
    desk.enrol()
    with seated(desk, "enroll", ADMIN) as terminal:
        terminal.wait_for("Go on? [y/N]")
        terminal.press("\r")
        assert terminal.wait() == 1
        assert "nothing was changed" in plain(terminal.output)
    with seated(desk, "enroll", ADMIN) as terminal:
        terminal.wait_for("Go on? [y/N]")
        terminal.press("y\r")
        terminal.wait_for("The code that it shows now:")
        terminal.press("\x04")
        assert terminal.wait() == 1
    assert desk.totp().verify((ADMIN,), code_now(SECRET), command="").verdict is Verdict.ACCEPTED
