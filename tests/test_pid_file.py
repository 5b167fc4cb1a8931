"""The pid file: there while the bot runs, its own alone, and no reason not to work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import cli
from logmonitor.config import load
from logmonitor.errors import ConfigurationError, HostError
from logmonitor.language import translation
from logmonitor.pid_file import PidFile
from logmonitor.testing import FakeHost
from tests.stdio_bot import stdio_bot

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.machine import Process, ProcessSelector

CONFIGURATION: Final = """
[bot]
name = "alice"
pid_file = "run/alice.pid"
[chat]
transport = "stdio"
admins = ["admin"]
[[watch]]
name = "bob"
log = "bob.log"
[[operation]]
use = "qr_rescue"
"""


class UnknownHost(FakeHost):
    """A machine that cannot tell whose pid file it is."""

    async def find(self, selector: ProcessSelector, /) -> tuple[Process, ...]:
        """Refuse."""
        raise HostError(f"no pid stands in {selector.pid_file}")


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


async def test_pid_file_is_there_while_in_its_context(tmp_path: Path) -> None:
    """It holds the pid of this process and a line end, readable by others, with nothing else beside it."""
    path = tmp_path / "run" / "alice.pid"
    async with PidFile(path, UnknownHost()) as pid_file:
        assert path.read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o044 == 0o044 & ~_umask()
        assert names(path.parent) == ["alice.pid"]
        assert pid_file.news(str) == ()
    assert names(path.parent) == []


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


async def test_no_pid_file_is_nothing() -> None:
    """Without a path nothing is looked for."""
    async with PidFile(None, UnknownHost()) as pid_file:
        assert pid_file.news(str) == ()


async def test_pid_file_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    """What a process left behind that was killed is no reason to say anything."""
    path = tmp_path / "alice.pid"
    path.write_text("4194303\n")
    async with PidFile(path, FakeHost()) as pid_file:
        assert path.read_text() == f"{os.getpid()}\n"
        assert pid_file.news(str) == ()


async def test_pid_file_of_a_process_that_runs_is_told(tmp_path: Path) -> None:
    """A bot that has been started twice is told of, and its file is the newer one's, which alone removes it."""
    path = tmp_path / "alice.pid"
    path.write_text("77\n")
    host = FakeHost()
    host.add_process(77, "logmonitor", "run", "alice.toml")
    async with PidFile(path, host) as pid_file:
        assert path.read_text() == f"{os.getpid()}\n"
        assert pid_file.news(str) == (f"process 77 runs under {path} already; has this bot been started twice?",)
        assert pid_file.news(translation("zh")) == (f"进程 77 已在使用 {path}；这个机器人是不是启动了两次？",)
        path.write_text("78\n")
    assert path.read_text() == "78\n"


@pytest.mark.parametrize("left", ["", "bob", "\xff"])
async def test_pid_file_of_another_writer_stays(tmp_path: Path, left: str) -> None:
    """What is no pid of ours at the end is not ours to remove."""
    path = tmp_path / "alice.pid"
    async with PidFile(path, UnknownHost()):
        path.write_text(left, encoding="latin-1")
    assert path.read_text(encoding="latin-1") == left


async def test_pid_file_that_is_gone_at_the_end_is_no_matter(tmp_path: Path) -> None:
    """Somebody else may have removed it."""
    path = tmp_path / "alice.pid"
    async with PidFile(path, UnknownHost()):
        path.unlink()
    assert names(tmp_path) == []


async def test_pid_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file where its folder should be, or a folder where it should be, is told, and leaves no draft behind."""
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "x").mkdir(parents=True)
    for name, reason in (("file/alice.pid", "file exists"), ("folder", "is a directory")):
        path = tmp_path / name
        async with PidFile(path, UnknownHost()) as pid_file:
            assert pid_file.news(str) == (f"{path} cannot be written, so nobody finds this process by it: {reason}",)
    assert names(tmp_path) == ["file", "folder"]


async def test_run_keeps_a_pid_file_until_it_is_stopped(tmp_path: Path) -> None:
    """While `logmonitor run` runs its pid stands in the file, and nothing does afterwards."""
    config, path = tmp_path / "alice.toml", tmp_path / "run" / "alice.pid"
    config.write_text(CONFIGURATION)
    (tmp_path / "bob.log").touch()
    async with stdio_bot(config) as bot:
        await bot.answer_to("qr")
        assert path.read_text() == f"{bot.pid}\n"
        code, errors = await bot.stop()
    assert (code, "Traceback" in errors, path.exists()) == (0, False, False)


async def test_run_tells_the_admin_of_a_pid_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The bot works without."""
    config = tmp_path / "alice.toml"
    config.write_text(CONFIGURATION)
    for name in ("bob.log", "run"):
        (tmp_path / name).touch()
    async with stdio_bot(config) as bot:
        told = f"{tmp_path}/run/alice.pid cannot be written, so nobody finds this process by it: file exists"
        assert await bot.next_text() == told
        assert (await bot.answer_to("status")).startswith("bob: not known yet")
        code, errors = await bot.stop()
    assert code == 0
    assert f"ERROR logmonitor.pid_file: {told}\n" in errors


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            "pid_file = 'alice.toml'",
            "[bot] pid_file = 'alice.toml': is the configuration itself; expected a file of its own",
        ),
        ("pid_file = 'alice.db'", "[bot] pid_file = 'alice.db': is the store too; expected a file of its own"),
        ("pid_file = ''", "[bot] pid_file = '': expected the path of a file"),
        (
            "pid_file = 'bob.log'",
            "[[watch]] #1 log = 'bob.log': this bot writes there itself (pid_file); expected another bot's log",
        ),
    ],
)
def test_load_refuses_a_pid_file_that_is_another_file_too(tmp_path: Path, keys: str, sentence: str) -> None:
    """A pid would be written over what else is kept there."""
    path = tmp_path / "alice.toml"
    path.write_text(CONFIGURATION.replace('pid_file = "run/alice.pid"', keys))
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ={})
    assert str(caught.value) == f"{path}: {sentence}"


def test_check_looks_whether_the_pid_file_can_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place where it can be is told, one where it cannot is a finding; nothing is made."""
    path = tmp_path / "alice.toml"
    path.write_text(CONFIGURATION)
    (tmp_path / "bob.log").touch()
    cli.main(["check", str(path)])
    assert f"ok: pid_file: {tmp_path}/run/alice.pid can be written" in capsys.readouterr().out.splitlines()
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").touch()
    assert cli.main(["check", str(path)]) == 1
    assert (
        f"finding: pid_file: {tmp_path}/run/alice.pid cannot be written: {tmp_path}/run lets nothing be made in it"
        in capsys.readouterr().out.splitlines()
    )
    (tmp_path / "run").unlink()
    (tmp_path / "run" / "alice.pid").mkdir(parents=True)
    assert cli.main(["check", str(path)]) == 1
    assert f"finding: pid_file: {tmp_path}/run/alice.pid is a folder" in capsys.readouterr().out.splitlines()
