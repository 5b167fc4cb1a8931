"""The console: a chat in the terminal, whose QR a phone reads from the screen."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.display import visible
from logmonitor.errors import TransportError
from logmonitor.qr import render_png
from logmonitor.records import Attachment, Link, Qr, Sender
from logmonitor.transports.console import Console
from logmonitor.transports.content import Composer
from logmonitor.transports.screen import Entry, Screen
from tests.terminal import Terminal, open_terminal, plain, scanned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logmonitor.records import Content, Message

PAYLOAD = "https://login.weixin.qq.com/l/AbcdEfghij=="
QR = Attachment(
    filename="bob-qr.png",
    content_type="image/png",
    data=render_png(Qr(payload=PAYLOAD)),
    caption="Login QR of bob, from bob.log",
    qr=Qr(payload=PAYLOAD),
)
NOTE = Attachment(filename="log.txt", content_type="text/plain", data=b"a\nb\n", caption="the log")


@contextmanager
def streams(
    monkeypatch: pytest.MonkeyPatch, *, typed: bytes = b"", encoding: str = "utf-8"
) -> Iterator[Callable[[], str]]:
    """Put pipes in place of standard input, which holds `typed`, and output; give what reads the latter to its end."""
    source, feed = os.pipe()
    drain, target = os.pipe()
    os.write(feed, typed)
    os.close(feed)
    with (
        os.fdopen(source, encoding="utf-8") as stdin,
        os.fdopen(target, "w", encoding=encoding) as stdout,
        os.fdopen(drain, encoding=encoding) as reader,
    ):
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stdout", stdout)

        def written() -> str:
            stdout.close()
            return reader.read()

        yield written


async def talk(console: Console, *contents: Content, to: str = "console") -> list[Message]:
    """Send `contents`, then read what was typed."""
    async with console:
        for content in contents:
            await console.send(to, content)
        return [message async for message in console.messages()]


def on_terminal(action: Callable[[Screen], None], *, columns: int = 100, rows: int = 50) -> str:
    """Return what `action` writes to a screen on a terminal of this size."""
    person, program = open_terminal(columns=columns, rows=rows)
    with os.fdopen(program, "w", encoding="utf-8") as stream:
        action(Screen(stream, reader="you"))
        os.set_blocking(person, False)
        data = b""
        try:
            while piece := os.read(person, 1 << 16):
                data += piece
        except BlockingIOError:
            pass
    os.close(person)
    return data.decode()


def composer(screen: Screen, *, folder: Path | None = None) -> Composer:
    """Make what decides how content is drawn on `screen`."""
    return Composer(screen, folder=folder, translate=str)


def entry(text: str, *, sender: str = "alice", receiver: str = "you") -> Entry:
    """Make a message at noon."""
    at = datetime(2026, 11, 20, 12, 0, 5).astimezone()
    return Entry(at=at, sender=sender, receiver=receiver, text=text)


def test_visible_shows_control_characters() -> None:
    """What a terminal would obey is shown, what a reader can see is left alone."""
    assert visible("\x1b[31m\a\x7f\r\x9b2J") == "␛[31m␇␡␍\\x9b2J"
    assert visible("a\tb\r\nc") == "a    b\nc"
    assert visible("\u202egnp.exe\u2066 \ufeff") == "\\u202egnp.exe\\u2066 \\ufeff"
    assert visible("您好　世界 👨\u200d👩\u200d👧 é\xa0!") == "您好　世界 👨\u200d👩\u200d👧 é\xa0!"


def test_screen_aligns_messages_on_a_terminal() -> None:
    """Each line of a message stands behind a rule, and a long one is wrapped there, wide characters too."""
    text = plain(on_terminal(lambda screen: screen.draw(entry("status\n" + "世界" * 10)), columns=60))
    assert text.splitlines() == [
        " 12:00:05    alice │ status",
        "                   │ " + "世界" * 9 + "世",
        "                   │ 界",
    ]


def test_screen_breaks_chinese_where_chinese_is_broken() -> None:
    """A line breaks between wide characters, though not before a full stop, and not within a word."""
    text = plain(on_terminal(lambda screen: screen.draw(entry("bob 已退出登录，请扫码。再试 status 一次")), columns=22))
    assert text.splitlines() == [
        "12:00:05 alice",
        "  bob 已退出登录，请扫",
        "  码。再试 status 一次",
    ]
    text = plain(on_terminal(lambda screen: screen.draw(entry("一二三四五六七八九十。word " + "x" * 25)), columns=22))
    assert text.splitlines()[1:] == ["  一二三四五六七八九", "  十。word", "  xxxxxxxxxxxxxxxxxxxx", "  xxxxx"]


def test_screen_draws_remarks() -> None:
    """A remark that nobody wrote is set apart, and wastes no room in a narrow window."""
    at = entry("").at
    assert plain(on_terminal(lambda screen: screen.note("Bob is\nback", at=at))).splitlines() == [
        " 12:00:05        · │ Bob is",
        "                   │ back",
    ]
    assert plain(on_terminal(lambda screen: screen.note("Bob is back", at=at), columns=8)).splitlines() == [
        "· Bob is",
        "  back",
    ]


def test_screen_names_another_receiver() -> None:
    """A message to you needs no receiver, one to somebody else does."""
    text = plain(on_terminal(lambda screen: screen.draw(entry("hello", sender="you", receiver="bob"))))
    assert text == " 12:00:05      you │ → bob: hello\n"


def test_screen_puts_text_below_the_name_in_a_narrow_window() -> None:
    """A window too narrow for a gutter loses no width to it."""
    text = plain(on_terminal(lambda screen: screen.draw(entry("one two three four five six")), columns=20))
    assert text == "12:00:05 alice\n  one two three four\n  five six\n"


def test_screen_shortens_a_long_name() -> None:
    """A name that its owner chose takes no more room than its column, on one line."""
    text = plain(on_terminal(lambda screen: screen.draw(entry("x", sender="a\nvery long name"))))
    assert text == " 12:00:05 a␊very … │ x\n"


@pytest.mark.parametrize(
    ("columns", "environ"),
    [
        (100, {"TERM": "xterm-256color"}),
        (100, {"TERM": "xterm-256color", "COLORTERM": "truecolor"}),
        (100, {"TERM": "xterm"}),
        (100, {"TERM": "xterm-256color", "NO_COLOR": "1"}),
        (100, {"TERM": "dumb"}),
        (58, {"TERM": "xterm-256color"}),
        (37, {"TERM": "xterm-256color"}),
        (33, {"TERM": "xterm-256color"}),
    ],
)
def test_screen_draws_a_qr_that_a_camera_reads(
    monkeypatch: pytest.MonkeyPatch, columns: int, environ: dict[str, str]
) -> None:
    """A QR is read from the screen however wide the window, as long as it fits, with and without colours."""
    for name in ("TERM", "COLORTERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    def action(screen: Screen) -> None:
        text, rows = asyncio.run(composer(screen).compose(QR))
        screen.draw(entry(text), rows=rows)

    output = on_terminal(action, columns=columns)
    assert "Login QR of bob" in plain(output)
    assert scanned(output) == [PAYLOAD]


@pytest.mark.parametrize(("columns", "rows"), [(32, 50), (100, 17)])
def test_screen_saves_a_qr_that_does_not_fit(tmp_path: Path, columns: int, rows: int) -> None:
    """A window too small for the QR says so, and where the image is."""

    def action(screen: Screen) -> None:
        text, drawn = asyncio.run(composer(screen, folder=tmp_path).compose(QR))
        screen.draw(entry(text), rows=drawn)

    output = " ".join(plain(on_terminal(action, columns=columns, rows=rows)).split())
    assert f"this window has {columns} × {rows} characters, and 33 × 18 are needed" in output.replace(" │", "")
    assert (tmp_path / "bob-qr.png").read_bytes() == QR.data


@pytest.mark.parametrize(("rows", "below"), [(20, 1), (19, 0)])
def test_screen_leaves_a_line_below_a_qr_where_there_is_room(rows: int, below: int) -> None:
    """Below a QR that just fits, together with a prompt and its toolbar, there is no empty line to push it out."""

    def action(screen: Screen) -> None:
        text, drawn = asyncio.run(composer(screen).compose(QR))
        assert len(drawn) == 17
        screen.draw(entry(text), rows=drawn)

    lines = plain(on_terminal(action, rows=rows)).splitlines()
    assert lines[-18 - below].strip() == ""
    assert len(lines) == 2 + 17 + below


def test_console_writes_plain_lines_to_a_pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a terminal each message is a line with time, sender and receiver, and the QR plain half-blocks."""
    with streams(monkeypatch, typed=b"status\n\n  \nqr bob") as written:
        messages = asyncio.run(talk(Console(bot="alice", save_to=tmp_path), "one\ntwo\x1b[2J", QR))
        text = written()
    lines = [line[11:] for line in text.splitlines() if line.startswith(("[", " "))]
    assert lines[:2] == ["alice → you: one", "two␛[2J"]
    assert lines[2] == "alice → you: Login QR of bob, from bob.log"
    assert lines[-2:] == ["you → alice: status", "you → alice: qr bob"]
    assert scanned(text) == [PAYLOAD]
    assert [message.text for message in messages] == ["status", "qr bob"]
    assert list(tmp_path.iterdir()) == []


def test_console_messages_come_from_the_admin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever an admin is called, what is typed comes from them, directly, under an id of its own."""
    with streams(monkeypatch, typed=b"status\nstatus\n"):
        console = Console()
        messages = asyncio.run(talk(console))
    admin = asyncio.run(console.resolve("AdminWeixin"))
    assert admin == Sender(id="console", alias="AdminWeixin", weixin="AdminWeixin")
    assert [(message.sender.id, message.conversation, message.room) for message in messages] == [
        (admin.id, "console", None)
    ] * 2
    assert len({message.id for message in messages}) == 2
    assert all(message.sent_at.tzinfo is UTC for message in messages)


def test_console_goes_on_without_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a service manager, or with `< /dev/null`, `messages` ends at once and sending still works."""

    async def scenario() -> list[Message]:
        async with Console(bot="alice") as console:
            messages = [message async for message in console.messages()]
            await console.send("console", "still here")
            assert console.health().is_up
            return messages

    with streams(monkeypatch) as written, Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        assert asyncio.run(scenario()) == []
        assert written().endswith("alice → you: still here\n")


def test_console_draws_what_its_encoding_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An output without half-blocks says so and gets the QR as a file; other characters are shown by their numbers."""
    with streams(monkeypatch, encoding="ascii") as written:
        asyncio.run(talk(Console(bot="alice", save_to=tmp_path), QR, "您好"))
        text = written()
    assert (tmp_path / "bob-qr.png").read_bytes() == QR.data
    assert "The QR is not drawn here: the encoding of this output, ascii, has no block characters. Use UTF-8" in text
    assert f"open the image {tmp_path}/bob-qr.png and scan that" in text
    assert "window" not in text
    assert text.endswith("alice \\u2192 you: \\u60a8\\u597d\n")


def test_console_saves_attachments_for_nobody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An attachment is saved under its own name, without a path, never over another, readable by its owner alone."""
    hostile = Attachment(filename="../../.evil\n", content_type="text/plain", data=b"x")
    with streams(monkeypatch) as written:
        asyncio.run(talk(Console(bot="alice", save_to=tmp_path / "new"), NOTE, NOTE, hostile))
        text = written()
    files = sorted((tmp_path / "new").iterdir())
    assert [(path.name, path.read_bytes()) for path in files] == [
        ("2-log.txt", b"a\nb\n"),
        ("evil_", b"x"),
        ("log.txt", b"a\nb\n"),
    ]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert f"alice → you: the log\n           log.txt saved as {tmp_path}/new/log.txt\n" in text


def test_console_makes_a_private_folder_when_it_needs_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without `save_to`, a folder that nobody else can read is made at the first attachment."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with streams(monkeypatch):
        asyncio.run(talk(Console(), "text"))
    assert list(tmp_path.iterdir()) == []
    with streams(monkeypatch):
        asyncio.run(talk(Console(), NOTE, NOTE))
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len(list(folder.iterdir())) == 2


def test_console_saves_an_image_of_a_qr_it_cannot_draw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A QR known only as an image file is saved as any other image."""
    image = Attachment(filename="qr.png", content_type="image/png", data=QR.data, qr=Qr(image_path=Path("/x/qr.png")))
    with streams(monkeypatch) as written:
        asyncio.run(talk(Console(bot="alice", save_to=tmp_path), image))
        assert written().endswith(f"alice → you: qr.png saved as {tmp_path}/qr.png\n")


def test_console_shows_links_and_other_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link is its title, address and description; a message to somebody else says to whom."""
    link = Link(title="Status", url="https://example.org/", description="")
    with streams(monkeypatch) as written:
        asyncio.run(talk(Console(bot="alice"), link, to="bob"))
        assert written()[11:] == "alice → bob: Status\n           https://example.org/\n"


def test_console_speaks_only_while_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before and after, sending fails and the health says why."""
    console = Console()
    assert console.health().reason == "not connected"
    with streams(monkeypatch):
        asyncio.run(talk(console))
    assert (console.health().is_up, console.health().reason) == (False, "closed")
    with pytest.raises(TransportError, match="not connected"):
        asyncio.run(console.send("console", "too late"))


def test_console_tells_that_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed pipe is a chat that is down, not a crash."""

    async def scenario(stream: int) -> None:
        async with Console() as console:
            os.close(stream)
            with pytest.raises(TransportError, match="cannot write to the terminal: Broken pipe"):
                await console.send("console", "x" * 100_000)
            assert not console.health().is_up

    drain, target = os.pipe()
    stdout = os.fdopen(target, "w", encoding="utf-8", buffering=1)
    monkeypatch.setattr(sys, "stdout", stdout)
    asyncio.run(scenario(drain))
    with suppress(BrokenPipeError):
        stdout.close()


def test_console_refuses_to_save_where_it_cannot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder that cannot be written to is told by name."""
    (tmp_path / "file").write_bytes(b"")
    with streams(monkeypatch), pytest.raises(TransportError, match=r"cannot save 'log.txt': .*File exists"):
        asyncio.run(talk(Console(save_to=tmp_path / "file"), NOTE))


PROGRAM = """
import asyncio, logging, sys
from logmonitor.qr import render_png
from logmonitor.records import Attachment, Qr
from logmonitor.transports.console import Console

async def main():
    async with Console(bot="alice") as console:
        logging.basicConfig(level="WARNING")
        async for message in console.messages():
            if message.text == "qr":
                qr = Qr(payload=sys.argv[1])
                await console.send("console", Attachment(
                    filename="qr.png", content_type="image/png", data=render_png(qr), caption="a QR", qr=qr))
            elif message.text == "soon":
                asyncio.get_running_loop().add_reader(int(sys.argv[2]), spring, console)
            else:
                await console.send("console", f"read {message.text!r}")

def spring(console):
    loop = asyncio.get_running_loop()
    loop.remove_reader(int(sys.argv[2]))
    loop.create_task(console.send("console", "meanwhile"))
    logging.warning("a log record")

try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""


def test_console_draws_a_qr_above_the_prompt(tmp_path: Path) -> None:
    """On a terminal a command is typed at a prompt that says what to type; the QR is read from the screen."""
    with Terminal("-c", PROGRAM, PAYLOAD, folder=tmp_path) as terminal:
        assert "· │ alice: `help` lists the commands; Ctrl-D ends" in terminal.wait_for("you → alice ▸")
        terminal.press("qr\r")
        text = terminal.wait_for("▀▀▀▀▀▀▀ ▀")
        assert "you │ → alice: qr" in text
        terminal.press("\x04")
        terminal.wait_for("interrupted")
        assert terminal.wait() == 0
        assert scanned(terminal.output) == [PAYLOAD]


def test_console_keeps_what_is_being_typed(tmp_path: Path) -> None:
    """A message or a log record that arrives while a line is typed tears nothing apart: the line is read whole."""
    ready, spring = os.pipe()
    with Terminal("-c", PROGRAM, PAYLOAD, str(ready), folder=tmp_path, pass_fds=(ready,)) as terminal:
        terminal.wait_for("▸")
        terminal.press("soon\r")
        terminal.wait_for("→ alice: soon")
        terminal.press("sta")
        terminal.wait_for("sta")
        os.write(spring, b"!")
        terminal.wait_for("alice │ meanwhile")
        terminal.wait_for("a log record")
        terminal.press("tus\r")
        terminal.wait_for("read 'status'")
    os.close(ready)
    os.close(spring)


def test_console_ends_at_an_interrupt(tmp_path: Path) -> None:
    """Ctrl-C reaches the program as the signal it is everywhere else."""
    with Terminal("-c", PROGRAM, PAYLOAD, folder=tmp_path) as terminal:
        terminal.wait_for("▸")
        terminal.press("half a line\x03")
        terminal.wait_for("interrupted")
        assert terminal.wait() == 0


def test_console_takes_what_is_pasted_as_text(tmp_path: Path) -> None:
    """Escape sequences, and bytes that are no UTF-8, neither break the prompt nor reach anyone as half characters."""
    with Terminal("-c", PROGRAM, PAYLOAD, folder=tmp_path) as terminal:
        terminal.wait_for("▸")
        terminal.press("hello \x1b[31mred\r")
        terminal.wait_for("read 'hello red'")
        terminal.press("a\x1b[99;1mb\x16\x1b[<1mc\r")
        terminal.wait_for("read 'abc'")
        terminal.press(b"a\xff\xe4\xbdb\x9b1m\r")
        text = terminal.wait_for("read 'a��b�1m'")
    assert "Press ENTER" not in text
