"""The demo: two real bots, a played WeChat, and you."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from logmonitor.demo import world as worlds
from logmonitor.demo.play import Play
from logmonitor.demo.stage import Seen, Stage, content_of
from logmonitor.demo.world import YOU, Arrival, Remark, Said, ToBot
from logmonitor.errors import LogMonitorError
from logmonitor.records import Attachment, Link, Qr
from logmonitor.transports.screen import Screen
from tests.terminal import Terminal, scanned

if TYPE_CHECKING:
    from logmonitor.demo.world import Effect, Frame, World

QR = "https://login.weixin.qq.com/l/0123456789=="
DEADLINE: Final = 60.0
DEMO: Final = (sys.executable, "-m", "logmonitor", "demo")
HELLO: Frame = {"type": "hello", "protocol": 1}
ANSWERS: Final = ("accepted", "refused")


def logged_in() -> World:
    """Return a world in which Alice and Bob are there and well."""
    world = worlds.begin("alice", "bob")
    for bot in ("alice", "bob"):
        world, _ = worlds.receive(world, bot, HELLO)
    return world


def remarks(effects: tuple[Effect, ...]) -> list[tuple[str, Remark]]:
    """Return what is said about whom."""
    return [(effect.bot, effect.remark) for effect in effects if isinstance(effect, Said)]


def frames(effects: tuple[Effect, ...], bot: str) -> list[Frame]:
    """Return what a bot is told."""
    return [effect.frame for effect in effects if isinstance(effect, ToBot) and effect.bot == bot]


def test_world_logs_a_bot_in_when_it_is_there() -> None:
    """A bot that says hello learns its contacts, before it can be asked for one, and that it is logged in."""
    world, effects = worlds.receive(worlds.begin("alice", "bob"), "alice", HELLO)
    assert (world.accounts["alice"].is_logged_in, world.accounts["bob"].is_logged_in) == (True, False)
    assert remarks(effects) == [("alice", Remark.LOGGED_IN)]
    assert frames(effects, "alice") == [
        {
            "type": "contacts",
            "contacts": [
                {"id": "you", "name": "You", "weixin": "you"},
                {"id": "bob", "name": "Bob", "weixin": "bob"},
            ],
        },
        {"type": "up"},
        {"type": "login", "user": "Alice"},
    ]


def test_world_tells_a_bot_of_its_loss() -> None:
    """A bot that is logged out learns that, and the QR that brings it back; a second time nothing happens."""
    world, effects = worlds.log_out(logged_in(), "bob", qr=QR)
    assert frames(effects, "bob") == [
        {"type": "down", "reason": "logged out"},
        {"type": "logout", "user": "Bob"},
        {"type": "scan", "qr": QR},
    ]
    assert (world.accounts["bob"].is_logged_in, world.accounts["bob"].qr) == (False, QR)
    assert worlds.log_out(world, "bob", qr="another") == (world, (Said(bot="bob", remark=Remark.ALREADY_OUT),))


def test_world_brings_a_bot_back_by_a_scan() -> None:
    """A scan of the QR is told first, then the login; without a QR there is nothing to scan."""
    world, _ = worlds.log_out(logged_in(), "bob", qr=QR)
    world, effects = worlds.scan(world, "bob")
    assert [frame["type"] for frame in frames(effects, "bob")] == ["scanned", "contacts", "up", "login"]
    assert remarks(effects) == [("bob", Remark.SCANNED), ("bob", Remark.LOGGED_IN)]
    assert (world.accounts["bob"].is_logged_in, world.accounts["bob"].qr) == (True, None)
    assert worlds.scan(world, "bob") == (world, (Said(bot="bob", remark=Remark.NOTHING_TO_SCAN),))


def test_world_delivers_what_you_write() -> None:
    """Each of your messages reaches its bot under an id of its own."""
    world, first = worlds.write(logged_in(), "alice", "status")
    world, second = worlds.write(world, "alice", "status")
    you = {"id": "you", "name": "You", "weixin": "you"}
    assert [frame for effects in (first, second) for frame in frames(effects, "alice")] == [
        {"type": "message", "id": f"message-{number}", "sender": you, "conversation": "you", "text": "status"}
        for number in (1, 2)
    ]


def test_world_keeps_messages_for_who_is_logged_out() -> None:
    """A bot that is logged out receives nothing until it is back, and then the newest messages."""
    world, _ = worlds.log_out(logged_in(), "bob", qr=QR)
    for number in range(30):
        world, effects = worlds.write(world, "bob", str(number))
        assert effects == (Said(bot="bob", remark=Remark.MESSAGE_WAITS),)
    world, effects = worlds.scan(world, "bob")
    texts = [frame["text"] for frame in frames(effects, "bob") if frame["type"] == "message"]
    assert texts == [str(number) for number in range(10, 30)]
    assert world.accounts["bob"].waiting == ()


def test_world_shows_you_what_a_bot_sends() -> None:
    """What a bot sends to you arrives and is accepted."""
    frame: Frame = {"type": "send", "id": 4, "to": YOU, "text": "hello"}
    world = logged_in()
    assert worlds.receive(world, "alice", frame) == (
        world,
        (
            Arrival(bot="alice", frame=frame),
            ToBot(bot="alice", frame={"type": "accepted", "id": 4, "message_id": "alice-4"}),
        ),
    )


def test_world_passes_messages_between_bots() -> None:
    """One bot can write to the other."""
    _, effects = worlds.receive(logged_in(), "alice", {"type": "send", "id": 1, "to": "bob", "text": "您好世界"})
    (message,) = frames(effects, "bob")
    assert (message["sender"], message["text"]) == ({"id": "alice", "name": "Alice", "weixin": "alice"}, "您好世界")
    assert frames(effects, "alice") == [{"type": "accepted", "id": 1, "message_id": "alice-1"}]


def test_world_refuses_for_now_who_is_logged_out() -> None:
    """A bot that is logged out cannot send, and is told that this will pass."""
    world, _ = worlds.log_out(logged_in(), "bob", qr=QR)
    _, effects = worlds.receive(world, "bob", {"type": "send", "id": 1, "to": YOU, "text": "help"})
    assert effects == (
        ToBot(bot="bob", frame={"type": "refused", "id": 1, "reason": "not logged in", "permanent": False}),
    )


def test_world_refuses_strangers_for_good() -> None:
    """Nobody can be written to who is not there, nor can a bot write to itself."""
    for to in ("carol", "alice"):
        _, effects = worlds.receive(logged_in(), "alice", {"type": "send", "id": 1, "to": to, "text": "x"})
        assert frames(effects, "alice") == [
            {"type": "refused", "id": 1, "reason": f"no contact {to!r}", "permanent": True}
        ]


def test_world_ignores_frames_it_does_not_know() -> None:
    """A frame of a later protocol changes nothing."""
    world = logged_in()
    assert worlds.receive(world, "alice", {"type": "typing"}) == (world, ())


def test_world_keeps_what_comes_for_a_bot_whose_process_has_ended() -> None:
    """A bot that begins anew is logged in as before, and receives what was written meanwhile."""
    world, effects = worlds.leave(logged_in(), "bob")
    assert effects == (Said(bot="bob", remark=Remark.LEFT),)
    world, effects = worlds.write(world, "bob", "status")
    assert effects == ()
    world, effects = worlds.receive(world, "bob", HELLO)
    assert [frame["type"] for frame in frames(effects, "bob")] == ["contacts", "up", "login", "message"]
    assert remarks(effects) == [("bob", Remark.LOGGED_IN)]


def test_world_asks_a_bot_that_begins_anew_for_the_scan_that_it_needs() -> None:
    """An account that is logged out stays so whatever becomes of the process, which learns of it and of the QR."""
    world, effects = worlds.log_out(worlds.leave(logged_in(), "bob")[0], "bob", qr=QR)
    assert (remarks(effects), frames(effects, "bob")) == ([("bob", Remark.LOGGED_OUT)], [])
    world, effects = worlds.receive(world, "bob", HELLO)
    assert frames(effects, "bob") == [{"type": "down", "reason": "logged out"}, {"type": "scan", "qr": QR}]
    world, effects = worlds.scan(worlds.leave(world, "bob")[0], "bob")
    assert (remarks(effects), frames(effects, "bob")) == (
        [("bob", Remark.SCANNED), ("bob", Remark.LOGGED_IN)],
        [],
    )
    assert [frame["type"] for frame in frames(worlds.receive(world, "bob", HELLO)[1], "bob")] == [
        "contacts",
        "up",
        "login",
    ]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["out", "scan", "write", "send", "hello", "end"]),
            st.sampled_from(["alice", "bob"]),
        ),
        max_size=40,
    )
)
def test_world_has_a_qr_exactly_while_logged_out(steps: list[tuple[str, str]]) -> None:
    """Who is logged in has no QR, who was thrown out receives no message, and who is not there is told nothing."""
    world = logged_in()
    for kind, bot in steps:
        match kind:
            case "out":
                world, effects = worlds.log_out(world, bot, qr=QR)
            case "scan":
                world, effects = worlds.scan(world, bot)
            case "write":
                world, effects = worlds.write(world, bot, "x")
            case "send":
                world, effects = worlds.receive(world, bot, {"type": "send", "id": 1, "to": YOU, "text": "x"})
            case "end":
                world, effects = worlds.leave(world, bot)
            case _:
                world, effects = worlds.receive(world, bot, HELLO)
        for account in world.accounts.values():
            assert account.is_logged_in == (account.qr is None)
            if not account.is_there:
                assert [one for one in frames(effects, account.name) if one["type"] not in ANSWERS] == []
            if not account.is_logged_in:
                assert not any(frame["type"] == "message" for frame in frames(effects, account.name))


def test_demo_reads_all_that_a_bot_sends() -> None:
    """Text, link and attachment come out of a frame as they went in."""
    assert content_of({"text": "hello"}) == "hello"
    assert content_of({"link": {"title": "t", "url": "u", "description": "d"}}) == Link(
        title="t", url="u", description="d"
    )
    attachment = {
        "filename": "q",
        "content_type": "image/png",
        "data": "YQ==",
        "caption": "c",
        "qr": QR,
        "modules": None,
    }
    assert content_of({"attachment": attachment}) == Attachment(
        filename="q", content_type="image/png", data=b"a", caption="c", qr=Qr(payload=QR)
    )
    assert content_of({"attachment": attachment | {"qr": None}}) == Attachment(
        filename="q", content_type="image/png", data=b"a", caption="c"
    )


def demo(*arguments: str, folder: Path, **environ: str) -> subprocess.Popen[str]:
    """Start the demo without a terminal, its temporary folder in `folder`."""
    return subprocess.Popen(
        [*DEMO, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), **environ},
    )


def on_terminal(*arguments: str, folder: Path, columns: int = 110, rows: int = 60, **environ: str) -> Terminal:
    """Start the demo in a terminal, its temporary folder in `folder`."""
    return Terminal(
        *DEMO[1:], *arguments, folder=folder, columns=columns, rows=rows, environ={"TMPDIR": str(folder), **environ}
    )


def pids(output: str) -> list[int]:
    """Return the process ids of both bots."""
    return [int(number) for number in re.findall(r"\(process (\d+)\)", output)]


def is_there(pid: int) -> bool:
    """Tell whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_demo_plays_its_story_without_a_terminal(tmp_path: Path) -> None:
    """Without a terminal the whole story is played and printed, its QR can be scanned, and nothing is left behind."""
    with demo(folder=tmp_path) as playing:
        output, errors = playing.communicate(timeout=DEADLINE)
    assert (playing.returncode, errors) == (0, "")
    told = [line[11:] for line in output.splitlines() if line.startswith("[")]
    assert "· Bob has lost the session: logged out, and a login QR waits in bob.log" in told
    assert told.count("you → alice: status") == 2
    assert told.index("you → alice: qr") < told.index("· your phone scans the QR of Bob, and you confirm")
    assert "alice → you: 您好世界" in told
    (before,) = re.findall(r"Bob \(process (\d+)\)", output)
    assert re.search(rf"^\[.{{8}}\] alice → you: bob was restarted in .*: pid {before} → \d+, ", output, re.MULTILINE)
    assert told.index("you → alice: tail 3 bob") < told.index("alice → you: bob.log, last lines: 3")
    assert "StarterBot Contact<Bob> login" in output
    code = next(line for line in told if line.startswith("· your authenticator shows for Alice: "))[38:44]
    assert told[told.index(f"you → alice: {code}") + 1] == "alice → you: 42 is the answer"
    payloads = scanned(output)
    assert len(payloads) == 2
    assert payloads[0] == payloads[1]
    assert re.fullmatch(r"https://login\.weixin\.qq\.com/l/[0-9a-f]{10}==", payloads[0])
    assert re.search(r"· \d+\.\d ms from the line in the log to this screen", output)
    assert not any(map(is_there, pids(output)))
    assert list(tmp_path.iterdir()) == []


def test_demo_plays_twice_at_once(tmp_path: Path) -> None:
    """Two demos side by side do not disturb each other; one of them may be Chinese."""
    with demo(folder=tmp_path) as first, demo("--language", "zh", folder=tmp_path) as second:
        outputs, errors = zip(*(playing.communicate(timeout=DEADLINE) for playing in (first, second)), strict=True)
    assert [first.returncode, second.returncode] == [0, 0], errors
    assert not set(scanned(outputs[0])) & set(scanned(outputs[1]))
    assert all("您好世界" in output for output in outputs)


def test_demo_lets_you_play_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal you ask, scan, look into a log and leave; nothing is left behind."""
    with on_terminal(folder=tmp_path) as terminal:
        opening = terminal.wait_for("in the log to this screen", deadline=DEADLINE)
        assert opening.index("it is your turn") < opening.index("Login QR")
        assert len(scanned(terminal.output)) == 1
        terminal.press("qr\r")
        terminal.wait_for("→ alice: qr")
        terminal.press("/fly bob\r/scan\r/to bo\t\r")
        terminal.wait_for("there is no /fly; /help shows what there is")
        terminal.wait_for("which bot? /scan alice, or /scan bob")
        terminal.wait_for("you → bob ▸")
        terminal.press("help\r")
        terminal.wait_for("Bob is logged out and receives this when back")
        terminal.press("/scan bob\r")
        terminal.wait_for("Bob is back. Now the server")
        terminal.press("/logout bob\r/logout bob\r")
        terminal.wait_for("Bob is logged out already")
        terminal.press("/log bob\r")
        terminal.wait_for("│ bob.log")
        terminal.press("/scan bob\r/to alice\rrestart bob\r")
        terminal.wait_for("brought it back; nothing was started besides")
        terminal.press("tail 20 bob\r")
        terminal.wait_for("bob.log, last lines: ")
        terminal.press("sh uptime\r")
        terminal.wait_for("Send the code of your authenticator within")
        terminal.press("/code\r")
        code = re.findall(r"your authenticator shows for Alice: (\d{6})", terminal.wait_for("it works once"))[-1]
        terminal.press(f"{code}\r")
        terminal.wait_for("load average")
        terminal.press("/help\r/quit\r")
        assert terminal.wait() == 0
    assert not any(map(is_there, pids(opening)))
    assert list(tmp_path.iterdir()) == []


def test_demo_writes_nothing_below_a_qr_that_fills_the_window(tmp_path: Path) -> None:
    """In a small window what to do is said before the QR, and how long it took once you did something."""
    with on_terminal(folder=tmp_path, columns=60, rows=20) as terminal:
        terminal.wait_for("▀▀▀▀▀▀▀ ▀", deadline=DEADLINE)
        terminal.press("hello")
        shown = terminal.wait_for("hello")
        assert "it is your turn" in shown
        assert "ms from the line" not in shown
        terminal.press("\r")
        terminal.wait_for("ms from the line")
        terminal.press("/quit\r")
        assert terminal.wait() == 0


def test_demo_breaks_the_lines_of_its_title_as_chinese_is_broken(tmp_path: Path) -> None:
    """A line of the box is full before the next one begins."""
    with on_terminal("--language", "zh", folder=tmp_path) as terminal:
        shown = terminal.wait_for("▸", deadline=DEADLINE)
        terminal.press("\x03")
        assert terminal.wait() == 0
    first = next(line.strip("│ ") for line in shown.splitlines() if line.startswith("│"))
    assert 79 <= cell_len(first) <= 82


@pytest.mark.parametrize("key", ["\x03", "\x04"])
def test_demo_ends_at_a_key(tmp_path: Path, key: str) -> None:
    """Ctrl-C and Ctrl-D end it cleanly at any time, in a narrow window without colours too."""
    with on_terminal(folder=tmp_path, columns=40, NO_COLOR="1") as terminal:
        terminal.wait_for("▸")
        terminal.press(key)
        assert terminal.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_demo_ends_at_a_signal(tmp_path: Path) -> None:
    """SIGTERM ends both bots and removes the folder."""
    with on_terminal(folder=tmp_path) as terminal:
        opening = terminal.wait_for("follows alice.log", deadline=DEADLINE)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait() == 128 + signal.SIGTERM
    assert not any(map(is_there, pids(opening)))
    assert list(tmp_path.iterdir()) == []


async def both_logged_in(stage: Stage) -> None:
    """Wait until both bots are there."""
    while not all(account.is_logged_in for account in stage.world.accounts.values()):
        await stage.changed()


async def until_said(stage: Stage) -> None:
    """Start both bots, ask Alice a lot, and fail when her first answer is there."""
    async with stage.running():
        await both_logged_in(stage)
        for _ in range(20):
            stage.write("alice", "status")
        await stage.next_seen()
        raise LogMonitorError("enough")


def test_demo_ends_its_bots_before_it_is_deaf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However it ends, a bot that is just sending gets its answers, so that it need not be waited for."""
    monkeypatch.setattr("logmonitor.demo.bots._STOP_SECONDS", DEADLINE)
    screen = Screen(io.StringIO(), reader="you")
    stage = Stage(screen=screen, prompt=None, folder=tmp_path, language="en", translate=str)
    with pytest.RaisesGroup(pytest.RaisesExc(LogMonitorError, match="enough")):
        asyncio.run(until_said(stage))
    told = (tmp_path / "alice.stderr").read_text()
    assert "SIGTERM: stopping" in told
    assert "not delivered" not in told


def test_demo_answers_what_is_typed_during_the_opening(tmp_path: Path) -> None:
    """Of what bots write, only the one answer that is asked for behind the scenes is not shown."""
    stage = Stage(
        screen=Screen(io.StringIO(), reader="you"), prompt=None, folder=tmp_path, language="en", translate=str
    )

    async def scenario() -> tuple[Seen, list[Seen]]:
        async with stage.running(), asyncio.timeout(DEADLINE):
            await both_logged_in(stage)
            stage.write("alice", "help")
            asking = asyncio.create_task(
                stage.ask("alice", "status", lambda seen: str(seen.content).startswith("bob:"))
            )
            await asyncio.sleep(0)
            for bot in ("bob", "alice"):
                stage.write(bot, "status")
            return await asking, [await stage.next_seen() for _ in range(3)]

    answer, shown = asyncio.run(scenario())
    assert (answer.bot, str(answer.content)[:4]) == ("alice", "bob:")
    beginnings = sorted((seen.bot, str(seen.content)[:4]) for seen in shown)
    assert beginnings == [("alice", "bob:"), ("alice", "stat"), ("bob", "alic")]


def test_demo_brings_a_bot_back_that_was_killed(tmp_path: Path) -> None:
    """A bot whose process is ended is started again, in the session it had, and answers."""
    with on_terminal(folder=tmp_path) as terminal:
        alice, bob = pids(terminal.wait_for("in the log to this screen", deadline=DEADLINE))
        os.kill(alice, signal.SIGKILL)
        terminal.wait_for("the process of Alice has ended; the demo starts it again, as a supervisor does")
        terminal.press("help\r")
        terminal.wait_for("ps [BOT]: tell how")
        terminal.press("/quit\r")
        assert terminal.wait() == 0
    assert not any(map(is_there, (alice, bob)))
    assert list(tmp_path.iterdir()) == []


def test_demo_tells_of_a_bot_that_cannot_begin(tmp_path: Path) -> None:
    """A bot that ends with an error is told by name and with its last words, and the other one is ended too."""
    with on_terminal("--keep", str(tmp_path / "kept"), folder=tmp_path) as terminal:
        alice, bob = pids(terminal.wait_for("follows alice.log", deadline=DEADLINE))
        (tmp_path / "kept" / "alice.toml").write_text("nonsense")
        os.kill(alice, signal.SIGKILL)
        assert terminal.wait() == 1
        assert "alice has ended by itself, exit code 2" in terminal.wait_for("not valid TOML")
    assert not any(map(is_there, (alice, bob)))


def test_demo_tells_what_did_not_happen(tmp_path: Path) -> None:
    """What does not happen in time is told, and ends the story."""
    play = Play(folder=tmp_path, language="en", is_interactive=False, deadline=0.01)
    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(play.run())
    (error,) = raised.value.exceptions
    assert str(error) == "this did not happen within 0.01 s: both bots log in"


def test_demo_keeps_what_it_made(tmp_path: Path) -> None:
    """With `--keep` the configurations and logs stay, in a folder that was empty."""
    folder = tmp_path / "kept"
    with demo("--keep", str(folder), folder=tmp_path) as playing:
        playing.communicate(timeout=DEADLINE)
    assert playing.returncode == 0
    assert {"alice.toml", "alice.log", "bob.toml", "bob.log"} <= {path.name for path in folder.iterdir()}
    with demo("--keep", str(folder), folder=tmp_path) as playing:
        _, errors = playing.communicate(timeout=DEADLINE)
    assert (playing.returncode, errors) == (2, f"cannot use {folder}: it is not empty\n")


def test_demo_says_where_it_cannot_play(tmp_path: Path) -> None:
    """A folder that cannot be written to, or none to be had, is told in a sentence."""
    full = ("sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *DEMO, "--script", "--keep", "kept")
    playing = subprocess.run(full, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (playing.returncode, playing.stderr) == (1, f"cannot start alice in {tmp_path}/kept: File too large\n")
    nowhere = "import tempfile; from logmonitor.cli import main; tempfile.tempdir = '/none'; raise SystemExit(main())"
    playing = subprocess.run(
        (sys.executable, "-c", nowhere, "demo"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    wanted = "there is no folder to play in: No such file or directory; name one with --keep DIR\n"
    assert (playing.returncode, playing.stderr) == (2, wanted)


def test_demo_leaves_the_image_of_a_qr_it_cannot_draw(tmp_path: Path) -> None:
    """An image that you are sent to is there after the end too: in a folder of yours, or in the one that is kept."""
    with demo(folder=tmp_path, PYTHONIOENCODING="ascii") as playing:
        output, _ = playing.communicate(timeout=DEADLINE)
    images = [Path(path) for path in re.findall(r"open the image (\S+)", output)]
    assert [image.name for image in images] == ["bob-qr.png", "2-bob-qr.png"]
    assert [image.read_bytes()[:4] for image in images] == [b"\x89PNG"] * 2
    assert {image.parent.parent for image in images} == {tmp_path}
    assert "your screen" not in output
    with demo("--keep", "kept", folder=tmp_path, PYTHONIOENCODING="ascii") as playing:
        playing.communicate(timeout=DEADLINE)
    assert {path.name for path in (tmp_path / "kept").glob("*.png")} == {"bob-qr.png", "2-bob-qr.png"}


def test_demo_ends_quietly_when_nobody_looks(tmp_path: Path) -> None:
    """A pipe that is closed ends the story and both bots without a word; an output that is full gives a sentence."""
    with demo(folder=tmp_path) as playing:
        assert playing.stdout is not None
        assert playing.stderr is not None
        playing.stdout.close()
        assert (playing.wait(DEADLINE), playing.stderr.read()) == (0, "")
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run((*DEMO, "--script"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (1, "logmonitor: cannot write: no space left on device\n")
    assert list(tmp_path.iterdir()) == []
