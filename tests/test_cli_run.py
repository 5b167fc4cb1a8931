"""`logmonitor run`, as a process of its own: exit codes, signals, what stands where."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from logmonitor import cli
from logmonitor.cli import run

if TYPE_CHECKING:
    from pathlib import Path

BOT = '[bot]\nname = "alice"\n'
CHAT = '[chat]\ntransport = "{}"\nadmins = ["AdminWeixin"]\n'
WATCH = '[[watch]]\nname = "bob"\nlog = "bob.log"\n'
CHATS = '''
import asyncio, logging
from logmonitor import Health, Limits, TransportError

class Chat:
    """A chat in which nothing happens; it says when it is entered."""
    limits = Limits()
    def __init__(self, *, token: str = ""): self.token = token
    def health(self): return Health(is_up=True)
    async def messages(self):
        await asyncio.Event().wait()
        yield
    async def send(self, to, content, /): raise TransportError("not now")
    async def resolve(self, who, /): raise TransportError("not now")
    async def __aenter__(self):
        logging.getLogger("chats").warning("entered \\x1b[31m")
        logging.getLogger("chats").warning("the token is %s", self.token)
        logging.getLogger("chats").debug("a detail")
        logging.getLogger("hpack.hpack").debug("Encoded header block to x")
        logging.getLogger("watchdog.observers").debug("in-event")
        return self
    async def __aexit__(self, *_): ...

class Stuck(Chat):
    """A chat that never closes."""
    async def __aexit__(self, *_): await asyncio.Event().wait()

class Closed(Chat):
    """A chat that cannot be entered."""
    async def __aenter__(self): raise TransportError(f"the gateway refuses the token {self.token}".strip())
'''


@dataclass
class Process:
    """A `logmonitor run` that is under way."""

    process: asyncio.subprocess.Process
    errors: list[str] = field(default_factory=list)

    async def error_with(self, text: str) -> str:
        """Wait for the line on standard error that has `text` in it."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.errors.append(line.decode())
            if text in self.errors[-1]:
                return self.errors[-1]
        raise AssertionError(self.errors)

    async def end(self) -> int:
        """Wait for its end; return its exit code."""
        _, rest = await self.process.communicate()
        self.errors += rest.decode().splitlines(keepends=True)
        assert self.process.returncode is not None
        return self.process.returncode


async def start(folder: Path, transport: str, *options: str, keys: str = "") -> Process:
    """Start `logmonitor run` on a configuration with this transport and more of its keys."""
    (folder / "chats.py").write_text(CHATS)
    (folder / "bots.toml").write_text(BOT + CHAT.format(transport) + keys + WATCH)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "logmonitor",
        "run",
        str(folder / "bots.toml"),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    return Process(process=process)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_run_stops_cleanly_at_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    """The protocol stands alone on standard output, the log on standard error; a signal ends both with 0."""

    async def story() -> tuple[bytes, int, list[str]]:
        async with asyncio.timeout(60):
            running = await start(tmp_path, "stdio")
            assert running.process.stdout is not None
            hello = await running.process.stdout.readline()
            running.process.send_signal(number)
            assert await running.process.stdout.read() == b""
            return hello, await running.end(), running.errors

    hello, code, errors = asyncio.run(story())
    assert json.loads(hello)["type"] == "hello"
    assert code == 0
    assert [line.split(" ", 2)[2] for line in errors if "logmonitor.cli.run" in line] == [
        "INFO logmonitor.cli.run: alice watches bob\n",
        f"INFO logmonitor.cli.run: {number.name}: stopping\n",
    ]
    assert "Traceback" not in "".join(errors)


@pytest.mark.parametrize("closing", ["<&-", ">&-"])
def test_run_says_that_a_stream_is_closed(tmp_path: Path, closing: str) -> None:
    """The bridge without standard input or output is one sentence and exit code 1."""
    path = tmp_path / "bots.toml"
    path.write_text(BOT + CHAT.format("stdio") + WATCH)

    async def story() -> tuple[int | None, list[str]]:
        async with asyncio.timeout(60):
            process = await asyncio.create_subprocess_exec(
                *("sh", "-c", f'exec "$0" -m logmonitor run "$1" {closing}', sys.executable, str(path)),
                stderr=asyncio.subprocess.PIPE,
            )
            _, errors = await process.communicate()
            return process.returncode, errors.decode().splitlines()

    code, errors = asyncio.run(story())
    assert code == 1
    assert errors[-1].startswith(f"{path}: standard input and output have to be open for transport 'stdio'")
    assert "Traceback" not in "".join(errors)


def test_run_is_ended_by_a_second_interrupt(tmp_path: Path) -> None:
    """A chat that does not close keeps nobody waiting: the second Ctrl-C ends with 130."""

    async def story() -> int:
        async with asyncio.timeout(60):
            running = await start(tmp_path, "chats:Stuck")
            await running.error_with("entered")
            running.process.send_signal(signal.SIGINT)
            await running.error_with("SIGINT: stopping")
            running.process.send_signal(signal.SIGTERM)
            running.process.send_signal(signal.SIGINT)
            return await running.end()

    assert asyncio.run(story()) == 130


def test_run_ends_by_itself_if_stopping_takes_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not stop in time is cancelled and told, with exit code 1."""
    (tmp_path / "bots.toml").write_text(BOT + CHAT.format("stdio") + WATCH)

    async def serve(*_: object, stop: asyncio.Event, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await stop.wait()
        await asyncio.Event().wait()

    monkeypatch.setattr(run, "serve", serve)
    monkeypatch.setattr(run, "STOP_SECONDS", 0.0)
    assert cli.main(["run", str(tmp_path / "bots.toml")]) == 1
    assert capsys.readouterr().err.endswith("bots.toml: did not stop within 0 s; ended\n")


def test_run_tells_why_the_chat_cannot_be_entered(tmp_path: Path) -> None:
    """A chat that refuses is one sentence and exit code 1, no traceback."""

    async def story() -> tuple[int, list[str]]:
        async with asyncio.timeout(60):
            running = await start(tmp_path, "chats:Closed")
            return await running.end(), running.errors

    code, errors = asyncio.run(story())
    assert code == 1
    assert errors[-1] == f"{tmp_path}/bots.toml: the gateway refuses the token\n"
    assert "Traceback" not in "".join(errors)


def test_run_shows_no_secret(tmp_path: Path) -> None:
    """Whatever a transport logs or says of its end, the configured token is not in it."""

    async def story(transport: str) -> str:
        async with asyncio.timeout(60):
            running = await start(tmp_path, transport, keys='token = "hunter22"\n')
            line = await running.error_with("the token")
            if transport == "chats:Chat":
                running.process.send_signal(signal.SIGTERM)
            await running.end()
            assert "hunter22" not in "".join(running.errors)
            return line

    assert asyncio.run(story("chats:Chat")).endswith("WARNING chats: the token is [redacted]\n")
    assert asyncio.run(story("chats:Closed")).endswith("bots.toml: the gateway refuses the token [redacted]\n")


def test_run_shows_control_characters_in_its_log(tmp_path: Path) -> None:
    """What a stranger's text could do to a terminal is shown, not done; details come with `--verbose` only.

    Those of libraries that would give the token away, or never end, do not come at all.
    """

    async def story(*options: str) -> tuple[str, str]:
        async with asyncio.timeout(60):
            running = await start(tmp_path, "chats:Chat", *options)
            line = await running.error_with("entered")
            running.process.send_signal(signal.SIGTERM)
            assert await running.end() == 0
            return line, "".join(running.errors)

    line, errors = asyncio.run(story())
    assert line.endswith(" WARNING chats: entered ␛[31m\n")
    assert "a detail" not in errors
    _, errors = asyncio.run(story("--verbose"))
    assert " DEBUG chats: a detail\n" in errors
    assert "hpack" not in errors
    assert "in-event" not in errors


def test_run_uses_the_terminal_where_there_is_one(tmp_path: Path) -> None:
    """On a terminal the log is short and coloured."""

    async def story() -> bytes:
        master, slave = os.openpty()
        (tmp_path / "chats.py").write_text(CHATS)
        (tmp_path / "bots.toml").write_text(BOT + CHAT.format("chats:Chat") + WATCH)
        async with asyncio.timeout(60):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "logmonitor", "run", str(tmp_path / "bots.toml"), stderr=slave,
                env=os.environ | {"TERM": "xterm", "COLUMNS": "80"},
            )  # fmt: skip
            os.close(slave)
            seen = b""
            while b"entered" not in seen:
                seen += await asyncio.to_thread(os.read, master, 4096)
            process.send_signal(signal.SIGTERM)
            assert await process.wait() == 0
        os.close(master)
        return seen

    seen = asyncio.run(story())
    assert "entered ␛[31m".encode() in seen
    assert b"\x1b[31m" not in seen.partition(b"entered")[2]
    assert b"chats: " not in seen


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (None, ["{}: no such file"]),
        ("[bot", ["{}: line 1, column 5: not valid TOML: expected ']' at the end of a table declaration"]),
        (
            BOT.replace("name", "nmae") + CHAT.format("stdoi") + WATCH,
            [
                "{}: [bot] nmae: unknown key; did you mean 'name'?",
                "{}: [chat] transport = 'stdoi': unknown transport; did you mean 'stdio'?",
            ],
        ),
    ],
)
def test_run_refuses_a_bad_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, sentences: list[str]
) -> None:
    """Every finding stands on standard error, the exit code is 2, and nothing starts."""
    path = tmp_path / "bots.toml"
    if text is not None:
        path.write_text(text)
    assert cli.main(["run", str(path)]) == 2
    assert capsys.readouterr() == ("", "".join(f"{sentence.format(path)}\n" for sentence in sentences))


def test_run_takes_variables_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stands there counts before what is set; a file that is missing ends it as a bad configuration does."""
    monkeypatch.setenv("CHAT", "wechaty")
    (tmp_path / "alice.toml").write_text(BOT + CHAT.format("${CHAT}") + WATCH)
    words = ["run", str(tmp_path / "alice.toml"), "--variables", str(tmp_path / "alice.env")]
    assert cli.main(words) == 2
    assert capsys.readouterr().err == f"{tmp_path}/alice.env: cannot be read: no such file or directory\n"
    (tmp_path / "alice.env").write_text("CHAT=nosuch\n")
    assert cli.main(words) == 2
    assert "unknown transport; expected 'console'" in capsys.readouterr().err


def test_run_needs_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    """Without one, usage is told and the exit code is 2."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["run"])
    assert caught.value.code == 2
    assert "CONFIG.toml" in capsys.readouterr().err


def test_run_ends_though_a_thread_of_an_operation_does_not(tmp_path: Path) -> None:
    """A handler that hangs in a thread of its own cannot keep the program from its end for ever."""
    (tmp_path / "hanging.py").write_text(
        "import asyncio, time\n"
        "from logmonitor import Command, Operation\n"
        "async def hang(context, invocation):\n"
        "    await context.send('hanging')\n"
        "    await asyncio.to_thread(time.sleep, 60)\n"
        "def hanging(config):\n"
        "    command = Command(name='hang', handler=hang, help='hang')\n"
        "    return Operation(name='hanging', config=config, commands=(command,))\n"
    )
    (tmp_path / "alice.toml").write_text(
        BOT + CHAT.format("stdio") + WATCH + '[[operation]]\nuse = "hanging:hanging"\n'
    )
    program = (
        "import sys; from logmonitor import cli, jobs; from logmonitor.cli import run;"
        "run.STOP_SECONDS = run.GRACE_SECONDS = 0.5; jobs.GRACE_SECONDS = 0.1;"
        "sys.exit(cli.main(['run', 'alice.toml']))"
    )

    async def story() -> tuple[int | None, bytes]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", program),
            cwd=tmp_path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        ann = {"id": "ann-id", "weixin": "AdminWeixin"}
        for frame in (
            {"type": "contacts", "contacts": [ann]},
            {"type": "message", "id": "1", "sender": ann, "conversation": "ann-id", "text": "hang"},
        ):
            process.stdin.write(json.dumps(frame).encode() + b"\n")
        async with asyncio.timeout(50):
            async for line in process.stdout:
                frame = json.loads(line)
                if frame.get("text") == "hanging":
                    break
            process.send_signal(signal.SIGTERM)
            _, errors = await process.communicate()
        return process.returncode, errors

    code, errors = asyncio.run(story())
    assert code == 1
    assert b"did not stop within 1 s; ended" in errors
