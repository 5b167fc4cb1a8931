"""What real processes were started with, as it can be seen."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import HostError
from logmonitor.host import LocalHost, describe
from logmonitor.hosting.inspecting import unit_of
from logmonitor.hosting.process_table import read_table
from logmonitor.machine import ProcessSelector, Stream, StreamKind
from tests.hosting.strangers import NOBODY, as_nobody, child, interpreter, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.machine import Origin, Process
    from tests.hosting.strangers import Strangers

SLEEP = "echo ready; sleep 1000; exit"
IS_ROOT = os.getuid() == 0
TITLED = """
import ctypes, sys, time
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start, end = int(fields[45]), int(fields[46])
title = bytes.fromhex(sys.argv[1])
padding = b"\\0" if sys.argv[2] == "short" else b"x"
ctypes.memmove(start, title.ljust(end - start, padding), end - start)
print("ready", flush=True)
time.sleep(1000)
"""


async def inspect(process: Process) -> Origin:
    """Return what a process was started with."""
    return await LocalHost().inspect(process)


@contextmanager
def standing(*words: str, stdout: int, stderr: int) -> Iterator[Process]:
    """Run a child of this program with the outputs it is given, as no launch would give them."""
    with child(*words, stdout=stdout, stderr=stderr) as started:
        process = describe(read_table()[started.pid])
        assert process is not None
        yield process


async def test_origin_is_what_a_process_was_started_with(strangers: Strangers) -> None:
    """Words, environment, folder, user, mask, limits and outputs are there as they were, byte for byte."""
    odd = strangers.folder / "für \udcff"
    odd.mkdir()
    limits = ((resource.RLIMIT_NOFILE, 100, 200), (resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_CPU, -1, -1))
    rights = {"uid": NOBODY, "gid": NOBODY, "groups": (4711, NOBODY)} if IS_ROOT else {}
    launch = strangers.launch(
        "/bin/sh", "-c", SLEEP, b"\xff", b"", "鲍勃", folder=odd, umask=0o27, limits=limits, **rights
    )
    process = await strangers.host.start(launch)
    await until(lambda: "ready" in strangers.said())
    origin = await inspect(process)
    assert (origin.argv, set(origin.environ or ())) == (launch.argv, set(launch.environ))
    assert (origin.folder, origin.umask) == (odd, 0o27)
    assert (origin.uid, origin.gid, sorted(origin.groups)) == (launch.uid, launch.gid, sorted(launch.groups))
    assert set(limits) <= set(origin.limits)
    assert {kind for kind, _, _ in origin.limits} == set(range(16)) - {10}
    assert origin.stdout == Stream(kind=StreamKind.FILE, path=launch.stdout)
    assert origin.stderr == Stream(kind=StreamKind.FILE, path=launch.stderr)
    assert origin.executable is not None
    assert (origin.executable.samefile("/bin/sh"), origin.is_executable_gone) == (True, False)
    assert (origin.is_contained, origin.unit) == (False, None)
    assert origin.parent is not None
    assert (origin.process.pid, origin.parent.pid) == (process.pid, process.parent)


async def test_environment_of_any_size_is_seen_whole(strangers: Strangers) -> None:
    """A hundred kilobytes of words and variables are not cut."""
    words = tuple(b"w" * 1000 for _ in range(50))
    variables = tuple(b"V%d=" % number + b"\xfe" * 1000 for number in range(50))
    process = await strangers.shell(SLEEP, *words, environ=(*variables, strangers.mark))
    origin = await inspect(process)
    assert origin.argv[3:] == words
    assert origin.environ is not None
    assert set(variables) < set(origin.environ)


async def test_outputs_are_told_apart() -> None:
    """A pipe, a terminal, a socket and what is closed are known as what they are."""
    reading, writing = os.pipe()
    master, terminal = os.openpty()
    null = os.open("/dev/null", os.O_WRONLY)
    zero = os.open("/dev/zero", os.O_WRONLY)
    descriptors = {
        StreamKind.PIPE: writing,
        StreamKind.TERMINAL: terminal,
        StreamKind.NULL: null,
        StreamKind.OTHER: zero,
    }
    for kind, descriptor in descriptors.items():
        with standing("sleep", "1000", stdout=descriptor, stderr=null) as process:
            origin = await inspect(process)
            assert (origin.stdout, origin.stderr) == (Stream(kind=kind), Stream(kind=StreamKind.NULL))
    for descriptor in (reading, master, *descriptors.values()):
        os.close(descriptor)


async def test_socket_and_closed_output_are_told(strangers: Strangers) -> None:
    """An output that was closed, or is a connection, is no file."""
    script = """
import os, socket, sys, time
pair = socket.socketpair()
os.dup2(pair[0].fileno(), 1)
os.close(2)
open(sys.argv[1], "w").write("ready")
time.sleep(1000)
"""
    there = strangers.folder / "there"
    process = await strangers.start(interpreter() or sys.executable, "-c", script, str(there))
    await until(lambda: there.exists() and there.read_text() == "ready")
    origin = await inspect(process)
    assert (origin.stdout.kind, origin.stderr.kind) == (StreamKind.SOCKET, StreamKind.CLOSED)


@pytest.mark.parametrize(
    ("opened", "renamed"),
    [
        ("bob.log", "bob.log.1"),
        ("bob.log", "bob.log-20261121"),
        ("bob.log", "bob.log.2026-11-21_00-00-00"),
        ("nohup.out", "nohup.out.12"),
        ("bob.log", "bob.log.old"),
        ("bob.2.log", "bob.2.log.1"),
    ],
)
@pytest.mark.parametrize("then", ["left", "deleted", "created"])
async def test_rotated_output_is_known_by_its_first_name(
    strangers: Strangers, opened: str, renamed: str, then: str
) -> None:
    """A log that was renamed, and perhaps taken away, while it was written to was opened by the name it had before."""
    path = strangers.folder / opened
    process = await strangers.start("/bin/sh", "-c", SLEEP, stdout=path, stderr=None)
    await until(lambda: path.exists() and path.read_text() == "ready\n")
    path.rename(strangers.folder / renamed)
    if then == "created":
        path.touch()
    elif then == "deleted":
        (strangers.folder / renamed).unlink()
    origin = await inspect(process)
    assert origin.stdout == Stream(kind=StreamKind.FILE, path=path)
    assert origin.stderr == Stream(kind=StreamKind.NULL)


@pytest.mark.parametrize("name", ["bob-20261121.log", "bob.1", "output", "bob (deleted)", "a\udcff.log", "v2.0", ".1"])
async def test_output_is_known_by_its_name(strangers: Strangers, name: str) -> None:
    """A name that only looks as if something had been rotated is a file's own, and so it is when that was deleted."""
    path = strangers.folder / name
    process = await strangers.start("/bin/sh", "-c", SLEEP, stdout=path)
    await until(lambda: path.exists() and path.read_text() == "ready\n")
    assert (await inspect(process)).stdout.path == path
    path.unlink()
    assert (await inspect(process)).stdout.path == path


async def test_output_renamed_beside_a_new_file_is_known_by_that(strangers: Strangers) -> None:
    """A file without an ending was renamed if another stands where it was."""
    path = strangers.folder / "output"
    process = await strangers.start("/bin/sh", "-c", SLEEP, stdout=path)
    await until(lambda: path.exists() and path.read_text() == "ready\n")
    path.rename(strangers.folder / "output.1")
    path.touch()
    assert (await inspect(process)).stdout.path == path


async def test_executable_is_the_link_it_was_called_by(strangers: Strangers) -> None:
    """A virtualenv's `python` is a link; what it leads to would find none of its packages."""
    link = strangers.folder / "bin" / "bob"
    link.parent.mkdir()
    link.symlink_to("/bin/sleep")
    by_path = await strangers.start(os.fsencode(link), "1000")
    relative = await strangers.start("/bin/sleep", "1000", argv=(b"bin/bob", b"1000"))
    found = await strangers.start(
        "/bin/sleep", "1000", argv=(b"bob", b"1000"), environ=(b"PATH=/usr/bin:bin:/bin", strangers.mark)
    )
    for process in (by_path, relative, found):
        assert (await inspect(process)).executable == link
    sleep = Path("/bin/sleep").resolve()  # noqa: ASYNC240 - it takes no time
    other = await strangers.start("/bin/sleep", "1000", argv=(b"/bin/sh", b"1000"))
    origin = await inspect(other)
    assert (origin.executable, origin.is_executable_gone) == (sleep, False)
    assert origin.argv == (b"/bin/sh", b"1000")


async def test_executable_that_is_gone_is_told(strangers: Strangers) -> None:
    """A program that was deleted is gone, until an update stands where it was."""
    program = strangers.folder / "bob"
    shutil.copy("/bin/sleep", program)
    process = await strangers.start(os.fsencode(program), "1000")
    assert ((await inspect(process)).executable, (await inspect(process)).is_executable_gone) == (program, False)
    program.unlink()
    assert ((await inspect(process)).executable, (await inspect(process)).is_executable_gone) == (program, True)
    shutil.copy("/bin/sleep", program)
    assert ((await inspect(process)).executable, (await inspect(process)).is_executable_gone) == (program, False)


async def test_folder_that_is_gone_is_none(strangers: Strangers) -> None:
    """Where a process works cannot be said once that folder was deleted, whatever stands in its place then."""
    folder = strangers.folder / "work"
    folder.mkdir()
    process = await strangers.shell(SLEEP, folder=folder)
    assert (await inspect(process)).folder == folder
    folder.rmdir()
    assert (await inspect(process)).folder is None
    folder.mkdir()
    assert (await inspect(process)).folder is None
    folder.rmdir()
    folder.symlink_to("/")
    assert (await inspect(process)).folder is None


@pytest.mark.parametrize("title", [b"bob: at work", b"bob"])
@pytest.mark.parametrize("length", ["short", "long"])
async def test_title_is_not_taken_for_words(strangers: Strangers, title: bytes, length: str) -> None:
    """Who has written a title over its words shows none of them any more."""
    process = await strangers.python(TITLED, title.hex(), length)
    origin = await inspect(process)
    assert origin.argv == ()
    assert len(origin.process.argv) == 1
    assert origin.process.argv[0].startswith(title.decode())
    if length == "short":
        found = await LocalHost().find(ProcessSelector(command=f"^{title.decode()}$"))
        assert process.pid in [one.pid for one in found]


@pytest.mark.skipif(not IS_ROOT or shutil.which("unshare") is None, reason="a container takes root and unshare")
@pytest.mark.parametrize("option", ["--mount", "--pid", "--user"])
async def test_container_is_told(strangers: Strangers, option: str) -> None:
    """Who sees other files, processes or users than this program lives in a container."""
    process = await strangers.start("/usr/bin/unshare", "--fork", option, "/bin/sh", "-c", SLEEP)
    await until(lambda: "ready" in strangers.said())
    inner = next(entry for entry in read_table().values() if entry.parent == process.pid)
    described = describe(inner)
    assert described is not None
    assert (await inspect(described)).is_contained


@pytest.mark.skipif(not IS_ROOT, reason="another root takes root")
async def test_other_root_is_a_container(strangers: Strangers) -> None:
    """Who has another folder for root sees other files."""
    script = "import os, time; print('ready', flush=True); os.chroot('/tmp'); time.sleep(1000)"
    process = await strangers.python(script)
    await until(lambda: Path(f"/proc/{process.pid}/root").samefile("/tmp"))
    assert (await inspect(process)).is_contained


async def test_origin_of_what_is_gone_is_told() -> None:
    """A process that has ended was started with nothing that can be seen, a zombie too."""
    with child("sleep", "1000") as started:
        process = describe(read_table()[started.pid])
        assert process is not None
        started.kill()
        await until(lambda: (now := read_table().get(started.pid)) is None or now.is_ended)
        with pytest.raises(HostError, match=f"process {started.pid} is gone"):
            await inspect(process)
    with pytest.raises(HostError, match=f"process {started.pid} is gone"):
        await inspect(process)


@pytest.mark.skipif(not IS_ROOT, reason="only root has what others may not see")
@pytest.mark.skipif(interpreter() is None, reason="no Python that another user may run")
async def test_origin_of_another_user_is_none_where_it_cannot_be_seen(strangers: Strangers) -> None:
    """Without rights the words, user, mask and limits are seen, but no environment, folder or program."""
    process = await strangers.shell(SLEEP, "bob", umask=0o27)
    script = """
import asyncio, sys
from logmonitor.host import LocalHost, describe
from logmonitor.hosting.process_table import read_table
origin = asyncio.run(LocalHost().inspect(describe(read_table()[int(sys.argv[1])])))
print(origin.argv[-1], origin.executable, origin.is_executable_gone, origin.environ, origin.folder, origin.uid)
print(origin.umask, len(origin.limits), origin.stdout.kind, origin.is_contained, origin.parent.pid)
"""
    assert (await as_nobody(script, str(process.pid))).splitlines() == [
        "b'bob' None False None None 0",
        f"23 15 other False {process.parent}",
    ]


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        (b"0::/system.slice/bob.service\n", "bob.service"),
        (b"0::/system.slice/bob.service/workers\n", "bob.service"),
        (b"0::/system.slice/system-bot.slice/bot@bob.service\n", "bot@bob.service"),
        (b"4:memory:/x\n1:name=systemd:/system.slice/bob.service\n0::/\n", "bob.service"),
        (b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/bob.service\n", "user:bob.service"),
        (b"0::/user.slice/user-1000.slice/user@1000.service/app.slice/kitty.scope\n", None),
        (b"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", None),
        (b"0::/user.slice/user-1000.slice/session-3.scope\n", None),
        (b"0::/system.slice/docker-0123.scope\n", None),
        (b"0::/system.slice/logmonitor.service\n", None),
        (b"2:cpu:/system.slice/bob.service\n0::/\n", None),
        (b"0::/\n", None),
        (b"", None),
    ],
)
def test_unit_is_the_service_that_a_group_belongs_to(groups: bytes, unit: str | None) -> None:
    """A service is named, a session is none, and this program's own is not that of what it started."""
    assert unit_of(groups, ours=b"0::/system.slice/logmonitor.service\n") == unit
