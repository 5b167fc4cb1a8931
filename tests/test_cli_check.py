"""`logmonitor check`: what it finds, what it says to do about it, and what it leaves alone."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor import cli
from logmonitor.cli import check_chat, check_logs
from logmonitor.cli.row import Row, user_name
from logmonitor.config import ChatConfig, WatchConfig
from logmonitor.records import Event, EventKind, Signature
from logmonitor.self_log import self_log_line
from logmonitor.signed_lines import SignedLines
from logmonitor.signing import key_text, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
CHATS = '''
import asyncio
from datetime import UTC, datetime
from logmonitor import Health, Limits, RejectedError, Sender, TransportError

class Chat:
    """A chat that knows one contact."""
    limits = Limits()
    def __init__(self, *, up: bool = True, fault: str = "", down: str = "", token: str = "", insecure: bool = False):
        self.up, self.fault, self.down = up, fault, down
    def health(self):
        if self.down: return Health(is_up=False, since=datetime.now(UTC), reason=self.down)
        return Health(is_up=self.up, reason="" if self.up else "the gateway does not answer")
    async def messages(self): yield
    async def send(self, to, content, /): raise AssertionError
    async def resolve(self, who, /):
        if who.startswith("busy"): raise TransportError("try again later")
        if who == "slow": await asyncio.Event().wait()
        if who != "AdminWeixin": raise RejectedError(f"no contact fits {who!r}")
        return Sender(id="id-1")
    async def __aenter__(self):
        if self.fault == "refused": raise TransportError("the token is not accepted")
        if self.fault == "network": raise ConnectionRefusedError(111, "Connection refused")
        if self.fault == "hang": await asyncio.Event().wait()
        return self
    async def __aexit__(self, *_): ...
'''
BOT = '[bot]\nname = "alice"\n'
CHAT = '[chat]\ntransport = "check_chats:Chat"\nadmins = ["AdminWeixin"]\n'
WATCH = '[[watch]]\nname = "bob"\nlog = "bob.log"\n'
RESCUE = '[[operation]]\nuse = "qr_rescue"\n'
FINE = BOT + CHAT + WATCH + RESCUE


@pytest.fixture(scope="module", autouse=True)
def chats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Provide chats to check."""
    folder = tmp_path_factory.mktemp("chats")
    (folder / "check_chats.py").write_text(CHATS)
    search = sys.path[:]
    sys.path.append(str(folder))
    yield
    sys.path[:] = search
    sys.modules.pop("check_chats", None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder in which `FINE` has nothing to be found."""
    (tmp_path / "bob.log").write_bytes((DATA / "wechaty-ts.real.log").read_bytes())
    return tmp_path.resolve()


def checked(folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> tuple[int, list[str]]:
    """Check a configuration; return exit code and lines, without what is about the configuration itself."""
    path = folder / "bots.toml"
    path.write_text(text, encoding="utf-8")
    code = cli.main(["check", str(path)])
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.replace(str(folder), "@").splitlines()
    return code, [line for line in lines if line != "ok: configuration: @/bots.toml is valid"]


def findings(folder: Path, capsys: pytest.CaptureFixture[str], text: str) -> list[str]:
    """Check what has findings; return these and their remedies."""
    code, lines = checked(folder, capsys, text)
    found = [line for line in lines if line.startswith(("finding", "  "))]
    count = sum(line.startswith("finding") for line in found)
    assert (code, lines[-1]) == (1, f"{count} finding{'s' * (count > 1)}; once mended, check again.")
    return found


def test_check_tells_that_nothing_stands_in_the_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each thing looked at has its line, and the last says how to go on."""
    assert checked(folder, capsys, FINE.replace("[chat]", 'self_log = "logs/alice.log"\n[chat]')) == (
        0,
        [
            "ok: watch bob: @/bob.log can be read",
            "ok: watch bob: its log is that of wechaty-ts",
            "ok: self_log: @/logs/alice.log can be written",
            "ok: store: @/bots.db can be made",
            "ok: audit: @/bots.audit.jsonl can be made",
            "ok: one-time codes: nobody is enrolled",
            "ok: chat check_chats:Chat: can be reached",
            "ok: admin AdminWeixin: is the contact id-1",
            "ok: admins: best named by id, which nobody else can come to have: 'id-1' for 'AdminWeixin'",
            "Nothing stands in the way of: logmonitor run @/bots.toml",
        ],
    )
    assert not (folder / "logs").exists()


def test_check_tells_every_finding_of_the_configuration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not valid is told with exit code 2, and nothing else is looked at."""
    wrong = FINE.replace("name", "nmae", 1).replace("log =", "lgo =")
    assert checked(folder, capsys, wrong) == (
        2,
        [
            "finding: configuration: @/bots.toml: [bot] nmae: unknown key; did you mean 'name'?",
            "finding: configuration: @/bots.toml: [[watch]] #1 lgo: unknown key; did you mean 'log'?",
            "2 findings in the configuration; nothing else was looked at.",
        ],
    )


def test_check_shows_a_hint_whole_and_a_secret_in_one_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What an example of a URL looks like is no secret; what is one is hidden alike, whatever its key is called."""
    channel = '[[second_channel]]\nadmin = "AdminWeixin"\nurl = "{url}"\n'
    code, lines = checked(folder, capsys, FINE + channel.format(url="nothing"))
    start = "finding: configuration: @/bots.toml: "
    assert (code, lines[0]) == (
        2,
        (
            f"{start}[[second_channel]] #1 url = '[redacted]': expected an Apprise URL, such as"
            " 'ntfys://<HOST>/<TOPIC>' or 'mailtos://<USER>:<PASSWORD>@<HOST>'"
        ),
    )
    text = FINE.replace("[chat]", 'twin_key = "${NO_KEY}"\n[chat]') + channel.format(url="${NO_URL}")
    assert checked(folder, capsys, text)[1][:2] == [
        f"{start}[bot] twin_key = '[redacted]': environment variable NO_KEY is not set",
        f"{start}[[second_channel]] #1 url = '[redacted]': environment variable NO_URL is not set",
    ]


def test_check_tells_that_the_configuration_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration that is not there is one finding, with exit code 2."""
    path = tmp_path / "nowhere.toml"
    assert cli.main(["check", str(path)]) == 2
    assert capsys.readouterr().out == (
        f"finding: configuration: {path}: no such file\n1 finding in the configuration; nothing else was looked at.\n"
    )


def test_check_finds_a_log_that_is_missing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing log and a missing folder each have their remedy."""
    text = FINE.replace('"bob.log"', '["bob.lgo", "a/b/c.log"]')
    assert findings(folder, capsys, text) == [
        "finding: watch bob: @/bob.lgo does not exist",
        "  remedy: correct the path, or start the bot that writes it; it is followed from then on",
        "finding: watch bob: @/a/b does not exist, nor does c.log in it",
        "  remedy: correct the path; it leads as far as @",
    ]


def test_check_finds_a_bot_that_nothing_is_done_about(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A watch without any operation tells nobody of a loss."""
    assert findings(folder, capsys, BOT + CHAT + WATCH) == [
        "finding: watch bob: nothing is done when it is lost",
        '  remedy: add an [[operation]], such as use = "qr_rescue"',
    ]


def test_check_finds_a_pattern_that_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration in which nothing is wrong but a pattern can be read: that is a finding."""
    (folder / "mine").mkdir()
    (folder / "mine" / "my.toml").write_text('title = "x"\n[[event]]\nkind = "login"\npattern = "in(?!x)"\n')
    code, lines = checked(folder, capsys, FINE.replace('name = "alice"', 'name = "alice"\nprofiles = "mine"'))
    assert code == 1
    assert "pattern 'in(?!x)' is refused" in lines[0]
    code, lines = checked(folder, capsys, FINE.replace('name = "alice"', 'name = "alice"\nnam = 1\nprofiles = "mine"'))
    assert code == 2


def test_check_finds_a_pattern_that_no_file_fits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pattern without a file is a finding where the bot has no other log, and else to be expected."""
    assert findings(folder, capsys, FINE.replace('"bob.log"', '"*.txt"')) == [
        "finding: watch bob: no file fits @/*.txt",
        "  remedy: correct the pattern, or start the bot that writes; what fits it is followed from then on",
    ]
    code, lines = checked(folder, capsys, FINE.replace('"bob.log"', '["bob.log", "*.txt"]'))
    assert code == 0
    assert "ok: watch bob: no file fits @/*.txt" in lines


def test_check_finds_a_log_that_cannot_be_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no log, or out of reach, is told; a pipe is not waited for."""
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    text = FINE.replace('"bob.log"', '[".", "pipe", "loop", "bob.log/x"]')
    user = user_name()
    assert findings(folder, capsys, text) == [
        "finding: watch bob: @/. is no file that a bot writes lines to".replace("/.", ""),
        "  remedy: name the log itself, or a pattern that fits it",
        "finding: watch bob: @/pipe is no file that a bot writes lines to",
        "  remedy: name the log itself, or a pattern that fits it",
        "finding: watch bob: @/loop cannot be read: too many levels of symbolic links",
        f"  remedy: let the user {user} read it, and enter the folders above it",
        "finding: watch bob: @/bob.log/x cannot be read: not a directory",
        f"  remedy: let the user {user} read it, and enter the folders above it",
    ]


def test_check_finds_that_no_family_fits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that no profile knows, or not the one named, is told with what to do."""
    (folder / "bob.log").write_text("nothing that a bot writes\n" * 20)
    problem, remedy = findings(folder, capsys, FINE)
    assert problem == "finding: watch bob: no profile fits this log"
    assert remedy.startswith("  remedy: name one of astrbot, ")
    assert remedy.endswith(" as its profile; `logmonitor profiles` tells about each")
    assert findings(folder, capsys, BOT + CHAT + WATCH + 'profile = "wechaty-ts"\n' + RESCUE) == [
        "finding: watch bob: no line of its log is one of wechaty-ts",
        "  remedy: name another profile, or auto; `logmonitor profiles` lists them",
    ]


def test_check_waits_for_the_first_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty log is no finding: its family is seen when it is written to."""
    (folder / "bob.log").write_text("")
    code, lines = checked(folder, capsys, FINE)
    assert code == 0
    assert "ok: watch bob: its log is empty; the family shows when it is written to" in lines


def test_check_takes_the_files_of_one_bot_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second file that shows no family is no finding beside one that does."""
    (folder / "bob.err").write_text("Error: boom\n")
    code, lines = checked(folder, capsys, FINE.replace('"bob.log"', '"bob.*"'))
    assert code == 0
    assert lines[:3] == [
        "ok: watch bob: @/bob.err can be read",
        "ok: watch bob: @/bob.log can be read",
        "ok: watch bob: its log is that of wechaty-ts",
    ]


def test_check_finds_a_self_log_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands in the way of this bot's own log is told."""

    def about(self_log: str) -> list[str]:
        return findings(folder, capsys, FINE.replace("[chat]", f'self_log = "{self_log}"\n[chat]'))

    assert about(".") == ["finding: self_log: @ is no file", "  remedy: name a file that this bot may write to"]
    (folder / "x").touch()
    assert about("x/alice.log") == ["finding: self_log: @/x is no folder", "  remedy: name a file in a folder"]
    monkeypatch.setattr(os, "access", lambda path, _: path != folder)
    assert about("new/alice.log")[:2] == [
        "finding: self_log: @ cannot be written to",
        f"  remedy: let the user {user_name()} write to it, or name another file",
    ]


CHECK_KEYS = "check the keys of [chat], and whether the service it names is up from this machine"
AGAIN = "; then check again, since no admin could be looked up"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            'fault = "refused"',
            (
                "cannot be reached: the token is not accepted",
                f"give [chat] the token with which its service was started{AGAIN}",
            ),
        ),
        ('fault = "network"', ("cannot be reached: [Errno 111] Connection refused", CHECK_KEYS + AGAIN)),
        ('fault = "hang"', ("no answer within 0.1 s", CHECK_KEYS)),
        ("up = false", ("no answer within 0.1 s: the gateway does not answer", CHECK_KEYS)),
        ('down = "nobody listens there"', ("is down: nobody listens there", CHECK_KEYS + AGAIN)),
        (
            'down = "the certificate is not trusted"',
            (
                "is down: the certificate is not trusted",
                f"name in ca_file who vouches for the certificate, and in server_name whom it is for{AGAIN}",
            ),
        ),
        (
            'down = "it speaks no TLS"',
            ("is down: it speaks no TLS", f"say with tls whether the service speaks TLS{AGAIN}"),
        ),
        (
            'down = "the account is logged out"',
            (
                "can be reached, but the account is logged out",
                f"scan the login QR that it asks for, or let its twin rescue it{AGAIN}",
            ),
        ),
    ],
)
def test_check_finds_a_chat_that_cannot_be_reached(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, keys: str, told: tuple[str, str]
) -> None:
    """A chat that refuses, is down or says nothing is told once with what helps, and nobody is looked up."""
    monkeypatch.setattr(check_chat, "CONNECT_SECONDS", 0.1)
    text, remedy = told
    assert findings(folder, capsys, FINE.replace("[[watch]]", f"{keys}\n[[watch]]")) == [
        f"finding: chat check_chats:Chat: {text}",
        f"  remedy: {remedy}",
    ]


def test_check_finds_an_admin_that_is_unknown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Admins of the chat and of operations, and who else an operation writes to, are looked up, each once."""
    text = FINE.replace('"AdminWeixin"', '"AdminWeixin", "nobody", "busy", "busy too"')
    text += 'admins = ["nobody", "someone"]\nlogin_test = "x"\nlogin_test_to = "other"\n'
    remedy = "  remedy: name one contact by id, number or alias; a display name is none of these"
    assert findings(folder, capsys, text) == [
        "finding: admin nobody: unknown to the chat: no contact fits 'nobody'",
        remedy,
        "finding: admin other: unknown to the chat: no contact fits 'other'",
        remedy,
        "finding: admin someone: unknown to the chat: no contact fits 'someone'",
        remedy,
        "finding: admins busy, busy too: cannot be looked up: try again later",
        "  remedy: check again once the chat can be reached",
    ]


def test_check_does_not_wait_for_a_look_up_for_ever(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chat that is up and never answers is told as such."""
    monkeypatch.setattr(check_chat, "LOOK_UP_SECONDS", 0.1)
    text = FINE.replace('"AdminWeixin"', '"AdminWeixin", "slow", "busy"')
    assert findings(folder, capsys, text) == [
        "finding: chat check_chats:Chat: no answer within 0.1 s",
        f"  remedy: {CHECK_KEYS}",
    ]


def test_check_finds_secrets_that_others_can_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A token in a file that is not its owner's alone is told by its key, with both remedies; it is never shown."""
    (folder / "bots.toml").touch(0o644)
    text = FINE.replace("[[watch]]", 'token = "hunter22"\ndown = "hunter22 is no token"\n[[watch]]')
    found = findings(folder, capsys, text)
    assert found[:3] == [
        "finding: configuration: others than its owner can reach what stands in it: [chat] token",
        "  remedy: chmod 600 @/bots.toml, or write ${NAME} there and set NAME in the environment",
        "finding: chat check_chats:Chat: is down: [redacted] is no token",
    ]
    (folder / "bots.toml").chmod(0o600)
    assert checked(folder, capsys, text.replace("hunter22 is no token", ""))[0] == 0


@pytest.mark.parametrize(
    ("endpoint", "texts"),
    [
        ("127.0.0.1:8788", []),
        ("[::1]:8788", []),
        ("localhost:8788", []),
        (
            "gateway.example:8788",
            ["tls = false: whoever stands between here and the gateway can read the token and all else"],
        ),
        ("203.0.113.5:1", ["tls = false: whoever stands between here and the gateway can read the token and all else"]),
    ],
)
def test_check_tells_what_goes_in_the_clear(endpoint: str, texts: list[str]) -> None:
    """Without TLS what leaves this machine can be read, which is said; that it was asked for is no finding."""
    chat = ChatConfig(transport="wechaty", admins=("a",), parameters={"endpoint": endpoint, "tls": False})
    rows = list(check_chat.tls_rows(chat))
    assert [row.text for row in rows] == texts
    assert all(row.remedy is None for row in rows)


def test_check_finds_a_chat_that_proves_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `insecure` the chat works, and that is told as what it is."""
    assert findings(folder, capsys, FINE.replace("[[watch]]", "insecure = true\n[[watch]]")) == [
        (
            "finding: chat check_chats:Chat: insecure = true: no certificate is checked,"
            " so whoever stands in between can read the token and all else"
        ),
        "  remedy: name in ca_file who vouches for a certificate of its own, and take insecure out",
    ]


TWIN_KEY = bytes(range(32))


def signed_line(sequence: int = 0, *, bot: str = "bob", key: bytes = TWIN_KEY) -> str:
    """Return a line that a bot signs."""
    signature = Signature(at=datetime(2026, 11, 20, 12, tzinfo=UTC), boot="0123456789abcdef", sequence=sequence)
    line = self_log_line(
        Event(kind=EventKind.LOGIN, line=0, offset=0, user="Bob"),
        at=signature.at,
        sign=lambda text: sign(text, signature, bot=bot, key=key),
    )
    return f"{line}\n"


UNSIGNED = "12:00:00 INFO StarterBot Contact<Bob> login\n"
WRONG_REMEDY = "give both bots the same twin_key, and this [[watch]] the [bot] name of its twin, if that is not bob"


@pytest.mark.parametrize(
    ("lines", "is_required", "said", "remedy"),
    [
        ([signed_line()], True, "its lines are signed by bob", None),
        (
            [UNSIGNED, signed_line(), signed_line()],
            True,
            "its lines are signed by bob; 2 other session lines are refused",
            None,
        ),
        ([signed_line(), UNSIGNED], False, "its lines are signed by bob", None),
        ([UNSIGNED], False, "its lines are not signed by bob; they are believed as they are", None),
        (
            [UNSIGNED],
            True,
            "require_signed = true, and none of its session lines is signed: all are refused",
            "give bob the same twin_key and watch its self_log, or take require_signed out",
        ),
        (
            [signed_line(bot="bobby")],
            False,
            "no signature in its log is that of bob, so these lines are refused",
            WRONG_REMEDY,
        ),
        (
            [signed_line(key=bytes(32)), UNSIGNED],
            True,
            "no signature in its log is that of bob, so these lines are refused",
            WRONG_REMEDY,
        ),
    ],
)
def test_check_tells_who_signed_a_log(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    lines: list[str],
    said: str,
    remedy: str | None,
    *,
    is_required: bool,
) -> None:
    """With a twins' key the lines of a log prove who wrote them, or what keeps them from it is told."""
    (folder / "bob.log").write_text("".join(lines))
    (folder / "bots.toml").touch(0o600)
    text = FINE.replace("[chat]", f'twin_key = "{key_text(TWIN_KEY)}"\n[chat]')
    if is_required:
        text = text.replace("[[operation]]", "require_signed = true\n[[operation]]")
    code, told = checked(folder, capsys, text)
    at = next(index for index, line in enumerate(told) if line.endswith(f": watch bob: {said}"))
    assert (code, told[at].partition(":")[0]) == ((0, "ok") if remedy is None else (1, "finding"))
    assert told[at + 1] == f"  remedy: {remedy}" or remedy is None


def test_check_awaits_the_first_signed_line() -> None:
    """A log in which no session line stands yet is no finding."""
    watch = WatchConfig(name="bob", logs=("bob.log",), require_signed=True)
    assert check_logs.signed_row(watch, SignedLines()) == Row(
        subject="watch bob", text="no session line to be signed stands in its log yet"
    )


@pytest.mark.parametrize("transport", ["console", "stdio"])
def test_check_leaves_the_terminal_alone(folder: Path, transport: str) -> None:
    """A chat that is this terminal is not entered: nothing is read from standard input, nothing said to a peer."""
    (folder / "bots.toml").write_text(FINE.replace("check_chats:Chat", transport))
    source, target = os.pipe()
    os.write(target, b"status\n")
    with os.fdopen(source, "rb") as kept, os.fdopen(target, "wb"):
        done = subprocess.run(
            [sys.executable, "-m", "logmonitor", "check", str(folder / "bots.toml")],
            stdin=source,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert kept.read1() == b"status\n"
    assert (done.returncode, done.stderr) == (0, "")
    assert f"ok: chat {transport}: needs no connection\n" in done.stdout


def test_check_draws_on_a_terminal(folder: Path) -> None:
    """On a terminal a mark and an arrow stand where the plain lines have words; control characters are shown."""
    (folder / "bots.toml").write_text(FINE.replace("bob.log", "b\\u001bb.log"))
    master, slave = os.openpty()
    command = [sys.executable, "-m", "logmonitor", "check", str(folder / "bots.toml")]
    environ = os.environ | {"TERM": "xterm", "COLUMNS": "300", "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=slave, env=environ) as process:
        os.close(slave)
        seen = b""
        while b"check again" not in seen:
            seen += os.read(master, 4096)
        assert process.wait(60) == 1
    os.close(master)
    text = seen.decode()
    assert "✔ " in text
    assert "✘ " in text
    assert "  → " in text
    assert "b␛b.log does not exist" in text
