"""`logmonitor fallback test` and what `check` tells of fallbacks."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import cli
from tests.mailbox import file_in, mailbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHATS: Final = """
from logmonitor import Health, Limits, RejectedError, Sender, TransportError
from logmonitor.records import Receipt
from datetime import UTC, datetime

class Chat:
    limits = Limits()
    sent = []
    def __init__(self, *, token: str = "", tls: bool = True, fault: str = ""): self.fault = fault
    def health(self): return Health(is_up=True)
    async def messages(self): yield
    async def send(self, to, content, /):
        if self.fault: raise TransportError(self.fault)
        self.sent.append((to, content))
        return Receipt(message_id=None, accepted_at=datetime.now(UTC))
    async def resolve(self, who, /):
        if who != "boss": raise RejectedError(f"no contact fits {who!r}")
        return Sender(id="id-1")
    async def __aenter__(self): return self
    async def __aexit__(self, *_): ...
"""
START: Final = """
[bot]
name = "alice"
language = "zh"
[chat]
transport = "console"
admins = ["Boss"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "qr_rescue"
"""


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Return where a configuration is to be, beside a chat that is no other module's."""
    (tmp_path / "fallback_chats.py").write_text(CHATS)
    search = sys.path[:]
    yield tmp_path / "alice.toml"
    sys.path[:] = search
    sys.modules.pop("fallback_chats", None)


def told(path: Path, capsys: pytest.CaptureFixture[str], text: str, *words: str) -> tuple[int, list[str], str]:
    """Run a command about a configuration; return its exit code, and what it says here and there."""
    path.write_text(START + text, encoding="utf-8")
    code = cli.main([*words, "--config", str(path)])
    captured = capsys.readouterr()
    return code, captured.out.replace(str(path), "@").splitlines(), captured.err.replace(str(path), "@")


async def test_fallback_test_sends_a_qr_by_each(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What arrives is an image with a caption in the bot's language, and says which fallback it came by."""
    async with mailbox() as box:
        text = f'[[fallback]]\nname = "mail"\nurl = "{box.url}"\n'
        text += '[[fallback]]\ntransport = "fallback_chats:Chat"\nto = ["boss"]\n'
        code, out, errors = await asyncio.to_thread(told, path, capsys, text, "fallback", "test")
        assert (code, errors) == (0, "")
        assert out == [
            "ok: fallback mail: has taken the message; look whether it is there",
            "ok: fallback Chat: has taken the message; look whether it is there",
        ]
        (mail,) = box.mails
    name, content_type, data = file_in(mail)
    body = mail.get_body()
    assert (name, content_type, data[:4]) == ("test-qr.png", "image/png", b"\x89PNG")
    assert body is not None
    assert "mail" in body.get_content()
    ((to, content),) = sys.modules["fallback_chats"].Chat.sent
    assert (to, content.data) == ("id-1", data)


def test_fallback_test_tells_what_does_not_work(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each that fails is told with the reason and what to look at, and the others are tried all the same."""
    text = '[[fallback]]\nname = "one"\ntransport = "fallback_chats:Chat"\nto = ["boss"]\nfault = "it is closed"\n'
    text += '[[fallback]]\nname = "two"\ntransport = "fallback_chats:Chat"\nto = ["boss"]\n'
    assert told(path, capsys, text, "fallback", "test") == (
        1,
        [
            "finding: fallback one: did not work: it is closed",
            "  remedy: check its keys in the configuration, and whether what it names is up from this machine",
            "ok: fallback two: has taken the message; look whether it is there",
            "1 finding; once mended, try again.",
        ],
        "",
    )
    code, out, _ = told(path, capsys, text, "fallback", "test", "two")
    assert (code, out) == (0, ["ok: fallback two: has taken the message; look whether it is there"])


def test_fallback_test_says_that_there_is_none(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not there, a configuration without any and one that is wrong are said in a sentence."""
    text = '[[fallback]]\nname = "two"\nurl = "json://127.0.0.1"\n'
    assert told(path, capsys, text, "fallback", "test", "tow") == (
        2,
        [],
        "logmonitor fallback: @: no fallback is called 'tow'; did you mean 'two'?\n",
    )
    assert told(path, capsys, "", "fallback", "test") == (
        2,
        [],
        "logmonitor fallback: @: there is no fallback; expected a [[fallback]] with a url or transport\n",
    )
    code, out, errors = told(path, capsys, '[[fallback]]\nurl = "jsno://u:hunter22@h"\n', "fallback", "test")
    assert (code, out) == (2, [])
    assert "[[fallback]] #1 url = '[redacted]': unknown service; did you mean 'json://'?" in errors


def test_check_tells_where_fallbacks_lead(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has its rows: where to, whether images go there, whether a chat is up and knows whom it is to tell."""
    path.with_name("bob.log").write_text("22:40:00 INFO StarterBot Contact<Bob> login\n")
    path.write_text(
        START
        + '[[fallback]]\nurl = "wecombot://hunter22"\nafter = 30\n[[fallback]]\nurl = "mailtos://me:hunter33@e.org"\n'
        + '[[fallback]]\nname = "other"\ntransport = "fallback_chats:Chat"\nto = ["boss", "nobody"]\n',
    )
    path.chmod(0o600)
    code = cli.main(["check", str(path)])
    out = capsys.readouterr().out.replace(str(path), "@")
    lines = out.splitlines()
    begin = next(index for index, line in enumerate(lines) if "fallback" in line)
    assert code == 1
    assert lines[begin:-1] == [
        (
            "ok: fallback wecombot: what has not been taken for 30 s goes over wecombot,"
            " which shows no image: a login QR goes as a text"
        ),
        "ok: fallback mailtos: what has not been taken for 60 s goes over mailtos",
        "ok: fallback other: what has not been taken for 60 s goes over fallback_chats:Chat to boss, nobody",
        "ok: fallback other, chat fallback_chats:Chat: can be reached",
        "ok: fallback other, admin boss: is the contact id-1",
        "finding: fallback other, admin nobody: unknown to the chat: no contact fits 'nobody'",
        "  remedy: name one contact by id, number or alias; a display name is none of these",
        "ok: fallback other, admins: best named by id, which nobody else can come to have: 'id-1' for 'boss'",
        "ok: fallbacks: nothing was sent by them; to try them: logmonitor fallback test --config @",
    ]
    assert "hunter" not in out
