"""`logmonitor outbox`: what it shows of what waits and what failed, and what it changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import cli
from logmonitor.records import Attachment, Priority, Qr
from logmonitor.sending.letter import Letter
from logmonitor.store import Store
from tests.terminal import open_terminal

if TYPE_CHECKING:
    from logmonitor.records import Content

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
ROOT: Final = Path(__file__).parent.parent
PAYLOAD: Final = "https://login.weixin.qq.com/l/payload=="
MANY: Final = 10_000
QR: Final = Attachment(
    filename="qr.png", content_type="image/png", data=b"pixels", caption=f"scan {PAYLOAD}", qr=Qr(payload=PAYLOAD)
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration and a store of nothing."""
    tmp_path.chmod(0o700)
    (tmp_path / "alice.toml").write_text(CONFIG, encoding="utf-8")
    Store(tmp_path / "alice.db").close()
    return tmp_path


def letter_of(
    id_: int, to: str = "AdminWeixin", content: Content = "hello", *, age: float = 60.5, expires_in: float | None = None
) -> Letter:
    """Make a letter written so many seconds ago."""
    now = datetime.now(UTC)
    return Letter(
        id=id_,
        to=to,
        content=content,
        priority=Priority.QR if content is QR else Priority.ALERT,
        written_at=now - timedelta(seconds=age),
        expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
        put_at=0.0,
    )


def fill(folder: Path) -> None:
    """Keep letters of each kind."""
    with Store(folder / "alice.db") as store:
        letters = store.letters
        letters.add(letter_of(1, content=QR))
        letters.add(letter_of(2, "管理员\x1b[31m\n3: evil"))
        letters.note_attempt(2, attempts=3, reason="503 网关")
        letters.add(letter_of(3, expires_in=-1.0))
        letters.give_up(letter_of(4), reason="no such contact", at=datetime.now(UTC) - timedelta(hours=2.01))
        letters.give_up(
            letter_of(5, content=QR, expires_in=-1.0), reason="late", at=datetime.now(UTC) - timedelta(seconds=61)
        )


def run(folder: Path, capsys: pytest.CaptureFixture[str], *words: str, code: int) -> tuple[list[str], str]:
    """Run the command; return the lines it prints, and what it says of errors."""
    assert cli.main(["outbox", str(folder / "alice.toml"), *words]) == code
    out, errors = capsys.readouterr()
    assert not {"payload", "hello", "pixels"} & set((out + errors).replace("=", " ").replace("/", " ").split())
    return out.splitlines(), errors


def test_outbox_without_a_letter_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to tell is one sentence, and no object."""
    assert run(folder, capsys, code=0) == (["nothing waits to be sent, and nothing failed"], "")
    assert run(folder, capsys, "--json", code=0) == ([], "")
    (folder / "alice.db").unlink()
    assert run(folder, capsys, code=0) == (["nothing waits to be sent, and nothing failed"], "")


def test_outbox_shows_what_waits_and_then_what_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each letter is one line: how urgent, for whom, how old, how often tried and why, and nothing of what it says."""
    fill(folder)
    assert run(folder, capsys, code=1) == (
        [
            "1: qr to AdminWeixin, written 1 min ago: waits",
            "2: alert to 管理员␛[31m␊3: evil, written 1 min ago: waits after 3 attempts: 503 网关",
            "3: alert to AdminWeixin, written 1 min ago: not sent any more, as it is of no use",
            "4: alert to AdminWeixin, written 1 min ago: failed for good 2 h ago after 0 attempts: no such contact",
            "5: qr to AdminWeixin, written 1 min ago: failed for good 1 min ago after 0 attempts: late",
            "`logmonitor outbox --retry ID` has one sent after all, `--drop ID` forgets it",
        ],
        "",
    )


def test_outbox_tells_other_programs_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json each letter is an object on a line of its own, by id, with all that is shown."""
    fill(folder)
    lines, errors = run(folder, capsys, "--json", code=1)
    told = [json.loads(line) for line in lines]
    assert [one["id"] for one in told] == [1, 2, 3, 4, 5]
    assert {key: told[1][key] for key in ("to", "priority", "attempts", "reason", "failed_at", "expires_at")} == {
        "to": "管理员\x1b[31m\n3: evil",
        "priority": "alert",
        "attempts": 3,
        "reason": "503 网关",
        "failed_at": None,
        "expires_at": None,
    }
    assert datetime.fromisoformat(told[3]["failed_at"]) < datetime.now(UTC) - timedelta(hours=2)
    assert errors == ""


def test_outbox_has_a_failed_letter_sent_after_all(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--retry lets one wait that failed, and nothing else."""
    fill(folder)
    assert run(folder, capsys, "--retry", "4", code=0) == (["message 4 to AdminWeixin is to be sent"], "")
    assert run(folder, capsys, code=1)[0][3] == "4: alert to AdminWeixin, written 1 min ago: waits"
    for id_, reason in (
        ("4", "message 4 has not failed: it waits to be sent"),
        ("5", "message 5 is of no use any more, so it is not sent; --drop forgets it"),
        ("6", "there is no message 6; `logmonitor outbox` shows those there are"),
        (str(10**30), f"there is no message {10**30}; `logmonitor outbox` shows those there are"),
    ):
        assert run(folder, capsys, "--retry", id_, code=1) == ([], f"logmonitor outbox: {reason}\n")


def test_outbox_drops_a_letter(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--drop forgets one, whether it waits or failed."""
    fill(folder)
    assert run(folder, capsys, "--drop", "2", code=0)[0] == ["message 2 to 管理员␛[31m␊3: evil is forgotten"]
    assert run(folder, capsys, "--drop", "5", code=0)[0] == ["message 5 to AdminWeixin is forgotten"]
    lines, _ = run(folder, capsys, code=1)
    assert [line.partition(":")[0] for line in lines[:-1]] == ["1", "3", "4"]
    assert run(folder, capsys, "--drop", "2", code=1)[1].startswith("logmonitor outbox: there is no message 2;")


def test_outbox_tells_why_it_cannot(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A broken configuration and a store that is none are said, with the code for each."""
    (folder / "alice.db").write_bytes(b"no database" * 1000)
    lines, errors = run(folder, capsys, code=1)
    assert (lines, errors.startswith("logmonitor outbox: ")) == ([], True)
    (folder / "alice.toml").write_text("[bot", encoding="utf-8")
    assert run(folder, capsys, code=2)[1].startswith("logmonitor outbox: ")


def test_outbox_is_read_by_a_program_that_stops_reading(folder: Path) -> None:
    """Of ten thousand letters the first are shown, to a reader that wants no more, without a word of complaint."""
    with Store(folder / "alice.db") as store, store.transaction():
        for number in range(1, MANY + 1):
            store.letters.add(letter_of(number))
    with subprocess.Popen(
        [sys.executable, "-m", "logmonitor", "outbox", folder / "alice.toml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"1: alert to AdminWeixin, written 1 min ago: waits\n"
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_outbox_is_shown_in_a_narrow_window(folder: Path, encoding: str) -> None:
    """A terminal of thirty columns gets each letter as one line, in whatever it can show, which it folds itself."""
    fill(folder)
    person, program = open_terminal(columns=30)
    with closing(os.fdopen(person, "rb", buffering=0)) as screen:
        subprocess.run(
            [sys.executable, "-m", "logmonitor", "outbox", folder / "alice.toml"],
            check=False,
            stdin=program,
            stdout=program,
            stderr=program,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        )
        os.close(program)
        shown = screen.read(1 << 16).decode()
    name = "管理员␛[31m␊3: evil"
    name = name if encoding == "utf-8" else name.encode("ascii", "backslashreplace").decode()
    assert f"2: alert to {name}, written 1 min ago: waits after 3 attempts: 503 " in shown.replace("\r", "")
    words = "`logmonitor outbox --retry ID` has one sent after all, `--drop ID` forgets it"
    assert [line.rstrip() for line in shown.splitlines()[-3:]] == textwrap.wrap(words, 30)
