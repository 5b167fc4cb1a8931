"""Shell commands from the chat: what is asked for, what is told of them and when, and what nobody learns."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor import (
    Attachment,
    HostError,
    Invocation,
    OperationConfig,
    OperationError,
    Outcome,
    PatternError,
    ShellEnd,
    ShellLimits,
    ShellStop,
    translation,
)
from logmonitor.host import LocalHost
from logmonitor.testing import FakeHost, FakeShell, RecordingContext, chat, message
from operations.shell_exec import SHOWN_CHARACTERS, SHOWN_LINES, Told, end_text, progress, result, script_of, shell_exec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from logmonitor import Content

LIMITS = ShellLimits()
SUCCESS = ShellEnd(exit_code=0, stopped_at=None, seconds=0.1)
DEADLINE = 30.0


def invoked(text: str) -> Invocation:
    """Make what a handler is given for what stands behind `sh`."""
    return Invocation(message=message(f"sh {text}"), name="sh", arguments=tuple(text.split()), text=text)


def told_of(content: Content) -> tuple[str, bytes]:
    """Return the text of an answer and its file."""
    if isinstance(content, Attachment):
        assert (content.filename, content.content_type) == ("sh.txt", "text/plain")
        return content.caption, content.data
    return str(content), b""


async def ran(context: RecordingContext, text: str = "make") -> Outcome | None:
    """Run the command of an operation for a handler's context."""
    (command,) = shell_exec(OperationConfig()).commands
    return await command.handler(context, invoked(text))


async def test_sh_asks_for_a_code_and_runs() -> None:
    """Without a code it asks for one; with it the command runs, in its folder, with its variables and limits."""
    host = FakeHost()
    host.shells.append(FakeShell(pieces=(b"12:00 up 3 days\n",)))
    operation = shell_exec(
        OperationConfig(),
        folder=Path("/srv"),
        environ={"A": "b"},
        timeout=30,
        output_bytes=5,
        memory_bytes=6,
        processes=7,
    )
    async with chat(operation, host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        await ann.says("sh uptime").should_reply(
            "sh uptime\n→ the shell runs it in /srv\nSend the code of your authenticator within 2 min."
        )
        await ann.says(phone.code()).should_reply("12:00 up 3 days\n→ exit code 0 after 0.1 s")
    limits = ShellLimits(timeout=30, output_bytes=5, memory_bytes=6, processes=7)
    assert host.scripts == [("uptime", Path("/srv"), {"A": "b"}, limits)]


async def test_sh_is_for_admins_whatever_is_granted() -> None:
    """No grant opens the shell, and nobody else learns that there is one."""
    host = FakeHost()
    async with chat(shell_exec(OperationConfig()), users=("Cy",), host=host) as here:
        cy = here.user("Cy")
        await cy.should_be_denied("sh id")
        here.grant(cy, "shell_exec.sh")
        await cy.should_be_denied("sh id")
    assert host.scripts == []


async def test_sh_needs_an_authenticator() -> None:
    """An admin without one runs nothing."""
    host = FakeHost()
    async with chat(shell_exec(OperationConfig()), host=host) as here:
        await here.user("Ann").says("sh id").should_reply(re.compile("authenticator"))
    assert host.scripts == []


async def test_sh_without_a_command_costs_no_code() -> None:
    """What cannot be meant is refused before a code is asked for."""
    async with chat(shell_exec(OperationConfig()), host=FakeHost()) as here:
        ann = here.user("Ann")
        here.enrol(ann)
        await ann.says("sh").should_reply("there is nothing to run; say `sh` and a command")


async def test_only_what_is_allowed_is_asked_for() -> None:
    """With a list of what may be run nothing else is, and no code is asked for it."""
    host = FakeHost()
    async with chat(shell_exec(OperationConfig(), allow=("uptime", r"df -[a-z]+")), host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        for text in ("sh df -h; reboot", "sh reboot", "sh df -h\nreboot"):
            await ann.says(text).should_reply("that is none of the commands that may be run here")
        await ann.says(f"sh {phone.code()} df -h").should_reply("(no output)\n→ exit code 0 after 0.1 s")
    assert [script for script, *_ in host.scripts] == ["df -h"]


async def test_what_a_phone_types_is_straightened_and_shown() -> None:
    """Dashes and quotes as a phone makes them reach the shell as it knows them, which is shown before."""
    host = FakeHost()
    async with chat(shell_exec(OperationConfig(), folder=Path("/srv")), host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        await ann.says("sh git log —oneline “a b”").should_reply(
            "sh git log —oneline “a b”\n"
            '→ the shell runs it in /srv, as git log --oneline "a b"\n'
            "Send the code of your authenticator within 2 min."
        )
        await ann.says(phone.code()).should_reply()
    assert [script for script, *_ in host.scripts] == ['git log --oneline "a b"']


async def test_output_comes_at_growing_pauses() -> None:
    """What is written is told after 2 s, then less and less often, in a few messages, and the rest at the end."""
    host = FakeHost()
    pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
    host.shells.append(Slow(pieces))
    async with chat(shell_exec(OperationConfig(), timeout=600), host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        pieces.put_nowait(b"one\ntwo\nthr")
        await ann.says(f"sh {phone.code()} make")
        await here.move_on(1.5)
        await ann.should_receive(re.compile("job 1 .* is running"))
        await here.move_on(0.5)
        await ann.should_receive("one\ntwo")
        pieces.put_nowait(b"ee\n")
        await here.move_on(4)
        await ann.should_receive("three")
        await here.move_on(8)
        pieces.put_nowait(b"four\n")
        await here.move_on(16)
        await ann.should_receive("four")
        await here.move_on(32)
        pieces.put_nowait(b"five\n")
        await here.move_on(100)
        pieces.put_nowait(None)
        await ann.should_receive("five\n→ exit code 0 after 0.1 s")
        await ann.should_receive(re.compile("job 1 .* is done"))


class Slow(FakeShell):
    """A command that writes what a test puts into a queue, until it is None."""

    def __init__(self, queue: asyncio.Queue[bytes | None]) -> None:
        """Take pieces from a queue."""
        super().__init__()
        self.queue = queue

    async def output(self) -> AsyncIterator[bytes]:
        """Yield what there is."""
        while (piece := await self.queue.get()) is not None:
            yield piece


async def test_cancel_ends_it_and_tells_the_rest() -> None:
    """A command that is cancelled is ended, and what it had written last is told."""
    host = FakeHost()
    shell = FakeShell(pieces=(b"one\ntw",), finish=asyncio.Event())
    host.shells.append(shell)
    async with chat(shell_exec(OperationConfig()), host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        await ann.says(f"sh {phone.code()} make")
        await ann.says("cancel")
        await ann.should_receive("one\ntw")
        await ann.should_receive("job 1 (sh make) was cancelled")
    assert shell.is_ended


async def test_exit_code_is_on_record_and_output_is_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """The audit has what was run and how it ended; nothing keeps what it wrote."""
    caplog.set_level(logging.DEBUG)
    host = FakeHost()
    host.shells.append(FakeShell(pieces=(b"private\n",), ending=ShellEnd(exit_code=3, stopped_at=None, seconds=12.34)))
    async with chat(shell_exec(OperationConfig()), host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        await ann.says(f"sh {phone.code()} false").should_reply("private\n→ exit code 3 after 12 s")
        records = here.audit
    assert [(record["decision"], record.get("exit_code")) for record in records][-2:] == [
        ("allowed", None),
        ("done", 3),
    ]
    assert "private" not in str(records) + caplog.text


async def test_secrets_in_the_output_are_not_sent() -> None:
    """What looks like a secret is taken out on the way, in a file, too."""
    host = FakeHost()
    for size in (1, 1000):
        host.shells.append(FakeShell(pieces=(b"token=abcdefgh12345678\n" * size,)))
    async with chat(shell_exec(OperationConfig()), host=host) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        await ann.says(f"sh {phone.code()} env").should_reply("token=[redacted]\n→ exit code 0 after 0.1 s")
        await here.move_on(30)
        await ann.says(f"sh {phone.code()} env")
        heard = await ann.should_receive(lambda content: isinstance(content, Attachment))
    assert told_of(heard.content)[1] == b"token=[redacted]\n" * 1000


async def test_failure_is_told() -> None:
    """What cannot be started, or whose end is not known, is told in a sentence, and has no exit code."""
    context = RecordingContext()
    context.host.shells.append(Missing())
    assert await ran(context) == Outcome(exit_code=None)
    assert [sent.content for sent in context.sent] == [
        r"the shell command has failed: cannot work in '/srv\u202e': No such file or directory"
    ]


class Missing(FakeShell):
    """A command that could not be started."""

    async def output(self) -> AsyncIterator[bytes]:
        """Fail."""
        for _ in ():
            yield b""
        raise HostError("cannot work in '/srv\u202e': No such file or directory")


class Lost(FakeShell):
    """A command whose end nobody knows."""

    async def end(self) -> ShellEnd:
        """Fail."""
        raise HostError("the warden of '/bin/sh' is gone: killed")


async def test_end_that_is_not_known_is_told_behind_the_output() -> None:
    """What was written before is told all the same."""
    context = RecordingContext()
    context.host.shells.append(Lost(pieces=(b"last words",)))
    assert await ran(context) == Outcome(exit_code=None)
    assert [sent.content for sent in context.sent] == [
        "last words",
        "the shell command has failed: the warden of '/bin/sh' is gone: killed",
    ]


def test_whole_lines_are_told_while_it_runs() -> None:
    """A line that is not whole yet waits, so that no secret is cut in two; what was told is not told again."""
    _ = translation("en")
    told, text = progress(Told(), b"one\ntwo\nthr", translate=_)
    assert (told, text) == (Told(size_bytes=8), "one\ntwo")
    assert progress(told, b"one\ntwo\nthr", translate=_) == (told, "")
    assert progress(told, b"one\ntwo\nthree\r", translate=_) == (Told(size_bytes=14), "three")


def test_much_output_is_told_by_its_end_and_as_a_file() -> None:
    """More than a message shows goes as a file at the end, even if it was the middle that was left out."""
    _ = translation("en")
    lines = b"".join(b"%d\n" % number for number in range(1000, 3000))
    told, text = progress(Told(), lines, translate=_)
    assert told == Told(size_bytes=len(lines), is_whole=False)
    assert text.splitlines()[:2] == ["… lines before: 1960", "2960"]
    assert len(text.splitlines()) == SHOWN_LINES + 1
    content = result(told, lines + b"end\n", SUCCESS, LIMITS, translate=_)
    assert content is not None
    assert told_of(content) == ("end\n→ exit code 0 after 0.1 s", lines + b"end\n")


def test_file_holds_what_a_screen_shows() -> None:
    """Colours and overwritten lines are not in it, and what is no UTF-8 is marked."""
    output = b"\x1b[31m1 %\r2 %\x1b[0m\n\xff\n" + b"x" * 2000
    content = result(Told(), output, SUCCESS, LIMITS, translate=translation("en"))
    assert content is not None
    caption, data = told_of(content)
    assert data == "2 %\n\ufffd\n".encode() + b"x" * 2000
    assert caption.splitlines() == ["… lines before: 2", "x" * SHOWN_CHARACTERS, "→ exit code 0 after 0.1 s"]


def test_what_controls_a_screen_is_shown() -> None:
    """No output turns the direction of writing in a chat."""
    content = result(Told(), "a\u202eb\x07".encode(), SUCCESS, LIMITS, translate=translation("en"))
    assert content == "a\\u202eb␇\n→ exit code 0 after 0.1 s"


def test_nothing_is_told_of_what_was_cancelled_before_it_wrote() -> None:
    """Without an end and without output there is nothing to say."""
    assert result(Told(), b"", None, LIMITS, translate=translation("en")) is None


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (ShellEnd(exit_code=0, stopped_at=None, seconds=0.04), "→ exit code 0 after 0.0 s"),
        (ShellEnd(exit_code=127, stopped_at=None, seconds=61.5), "→ exit code 127 after 62 s"),
        (ShellEnd(exit_code=-9, stopped_at=None, seconds=1), "→ ended by signal 9 after 1.0 s"),
        (ShellEnd(exit_code=None, stopped_at=None, seconds=1), "→ ended from outside after 1.0 s"),
        (ShellEnd(exit_code=None, stopped_at=ShellStop.TIME, seconds=60), "→ ended at its limit of time, after 60 s"),
        (
            ShellEnd(exit_code=None, stopped_at=ShellStop.OUTPUT, seconds=1),
            "→ ended at its limit of output, 1.0 MB, after 1.0 s",
        ),
        (
            ShellEnd(exit_code=None, stopped_at=ShellStop.MEMORY, seconds=1),
            "→ ended at its limit of memory, 512.0 MB, after 1.0 s",
        ),
        (
            ShellEnd(exit_code=None, stopped_at=ShellStop.PROCESSES, seconds=1),
            "→ ended at its limit of 64 processes, after 1.0 s",
        ),
        (
            ShellEnd(exit_code=0, stopped_at=None, seconds=1, left=2, survivors=(5, 6)),
            (
                "→ exit code 0 after 1.0 s\n"
                "processes that it left behind, ended with it: 2\n"
                "processes that cannot be ended, as they are another user's: 5, 6"
            ),
        ),
    ],
)
def test_end_is_told(end: ShellEnd, text: str) -> None:
    """How it ended, how long it took, and what is left is one row each."""
    assert end_text(end, LIMITS, translate=translation("en")) == text


def test_end_is_told_in_chinese() -> None:
    """With `language = "zh"` the admin reads Chinese."""
    assert end_text(SUCCESS, LIMITS, translate=translation("zh")) == "→ 退出码 0，用时 0.1 秒"


def test_script_is_what_stands_behind_the_name() -> None:
    """Several lines are one script; blanks around it are not part of it."""
    assert script_of(invoked("cd /srv\nls　－l ")) == "cd /srv\nls -l"


@pytest.mark.parametrize(
    ("choices", "error", "reason"),
    [
        ({"allow": ("ls .*",)}, OperationError, "allows ';' by its '.'"),
        ({"allow": ("ls (",)}, PatternError, "is not closed"),
        ({"environ": {"A=B": "c"}}, OperationError, "bad variable 'A=B'"),
        ({"environ": {"": "c"}}, OperationError, "bad variable ''"),
        ({"environ": {"A": "b\0"}}, OperationError, "bad variable 'A'"),
        ({"timeout": 0}, OperationError, "bad timeout 0"),
        ({"processes": 0}, OperationError, "bad processes 0"),
    ],
)
def test_choices_that_cannot_work_are_refused(
    choices: Mapping[str, object], error: type[Exception], reason: str
) -> None:
    """What nothing could run with is refused when the configuration is read."""
    with pytest.raises(error, match=re.escape(reason)):
        shell_exec(OperationConfig(), **choices)  # type: ignore[arg-type]  # that is what is tested


async def test_sh_runs_on_this_machine(tmp_path: Path) -> None:
    """With the real shell: output, exit code, folder, variables, and an end to all that was started."""
    operation = shell_exec(OperationConfig(), folder=tmp_path, environ={"GREETING": "你好"})
    async with chat(operation, host=LocalHost(), deadline=DEADLINE) as here:
        ann = here.user("Ann")
        phone = here.enrol(ann)
        script = 'echo "$GREETING"; pwd; setsid sleep 1000 & exit 3'
        heard = await ann.says(f"sh {phone.code()} {script}").should_reply()
    said = str(heard.content).splitlines()
    assert said[:2] == ["你好", str(tmp_path)]
    assert re.fullmatch(r"→ exit code 3 after \d+\.\d s", said[2])
    assert said[3:] == ["processes that it left behind, ended with it: 1"]


async def test_cancel_ends_a_real_command_with_its_daemons(tmp_path: Path) -> None:
    """`cancel` ends what ignores signals, has a session of its own and has lost its parent."""
    pipe = tmp_path / "pipe"
    script = f"mkfifo {pipe}; (setsid sh -c 'trap \"\" TERM; echo $$ > {pipe}; sleep 1000; true' &); wait; sleep 1000"
    context = RecordingContext()
    context.host = LocalHost()  # type: ignore[assignment]  # the real one, for once
    running = asyncio.create_task(ran(context, script))
    pid = await asyncio.to_thread(read_pid, pipe)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_there(pid)


def is_there(pid: int) -> bool:
    """Tell whether there is a process."""
    return Path(f"/proc/{pid}").exists()


def read_pid(pipe: Path) -> int:
    """Read the id of a process from a pipe that may not be there yet."""
    while not pipe.exists():
        pass
    return int(pipe.read_text())
