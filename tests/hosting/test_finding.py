"""The processes that are meant, found among real ones."""

from __future__ import annotations

import os
import shutil
import socket
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import HostError
from logmonitor.host import LocalHost
from logmonitor.hosting.process_table import entry_of, is_running
from logmonitor.machine import ProcessSelector
from tests.hosting.strangers import NOBODY, as_nobody, child, interpreter, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.machine import Process
    from tests.hosting.strangers import Strangers

SLEEP = "echo ready; sleep 1000; exit"
LISTENING = """
import os, socket, time
server = socket.create_server(("127.0.0.1", 0))
if os.fork() == 0: os.fork()
print("ready", server.getsockname()[1], flush=True)
time.sleep(1000)
"""
ORPHANED = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
said = [server.getsockname()[1]]
for _ in range(2):
    worker = os.fork()
    if worker == 0:
        time.sleep(1000)
    said.append(worker)
if sys.argv[1] == "alive":
    server.close()
print("ready", *said, flush=True)
if sys.argv[1] == "alive":
    time.sleep(1000)
"""
APART = """
import os, socket, sys, time
server = socket.create_server(("127.0.0.1", 0))
reading, writing = os.pipe()
between = os.fork()
if between == 0:
    if os.fork():
        if sys.argv[1] == "gone":
            os._exit(0)
        server.close()
    else:
        os.setsid()
        os.write(writing, b"%d" % os.getpid())
    time.sleep(1000)
if sys.argv[1] == "gone":
    os.waitpid(between, 0)
print("ready", server.getsockname()[1], int(os.read(reading, 99)), flush=True)
time.sleep(1000)
"""
AS_SEEN = """
import asyncio, sys
from pathlib import Path
from logmonitor.errors import HostError
from logmonitor.host import LocalHost
from logmonitor.machine import ProcessSelector
name, value = sys.argv[1], sys.argv[2]
selector = ProcessSelector(**{name: {"port": int, "pid_file": Path}.get(name, str)(value)})
try:
    print(*(process.pid for process in asyncio.run(LocalHost().find(selector))))
except HostError as error:
    print(error)
"""


async def found(**fields: object) -> list[int]:
    """Return the ids of the processes that a selector means."""
    selector = ProcessSelector(**fields)  # type: ignore[arg-type]  # a test says them right
    return [process.pid for process in await LocalHost().find(selector)]


async def test_process_is_found_by_its_name(strangers: Strangers) -> None:
    """The kernel's name, the whole of one that it has cut, and that of the first word are all a process's own."""
    mark = strangers.mark[-8:].decode()
    path = strangers.folder / f"{mark}-with-a-long-name"
    path.write_text("#!/bin/sh\necho ready; sleep 1000; exit\n")
    path.chmod(0o755)
    script = await strangers.start(os.fsencode(path))
    await until(lambda: "ready" in strangers.said())
    renamed = await strangers.start("/bin/sh", "-c", SLEEP, argv=(f"/opt/bob-{mark}".encode(), b"-c", SLEEP.encode()))
    await until(lambda: "ready" in strangers.said())
    assert await found(process=path.name) == [script.pid]
    assert await found(process=path.name[:15]) == [script.pid]
    assert await found(process=f"bob-{mark}") == [renamed.pid]
    assert await found(process=mark) == []


async def test_long_name_in_chinese_is_found_whole(strangers: Strangers) -> None:
    """The kernel cuts a name at fifteen bytes, which may be in the middle of a character."""
    mark = strangers.mark[-3:].decode()
    for name in (f"鲍勃机器人助手{mark}", f"a鲍勃机器人助手{mark}"):
        program = strangers.folder / name
        shutil.copy("/bin/sleep", program)
        process = await strangers.start(os.fsencode(program), "1000")
        await until(partial(_runs, process, program))
        (same,) = await LocalHost().find(ProcessSelector(process=name))
        assert (same.pid, same.name) == (process.pid, name)


def _runs(process: Process, program: Path) -> bool:
    return Path(f"/proc/{process.pid}/exe").readlink() == program


async def test_process_is_found_by_its_command(strangers: Strangers) -> None:
    """A pattern is searched for in the words joined by blanks; each byte that is no UTF-8 is a U+FFFD."""
    mark = strangers.mark.decode()
    process = await strangers.shell(SLEEP, b"bob\xff\xfe", mark, "鲍 勃")
    assert await found(command=rf"bob\x{{FFFD}}{{2}} {mark} 鲍 勃$") == [process.pid]
    assert await found(command=f"^/bin/sh -c .* {mark}") == [process.pid]
    assert await found(command=f"{mark} bob") == []


async def test_root_of_a_tree_alone_is_found(strangers: Strangers) -> None:
    """Of processes below one another the topmost is meant; two that have nothing to do with each other are both."""
    mark = strangers.mark.decode()
    tree = await strangers.shell('echo ready; /bin/sh -c "sleep 1000; exit" "$0"; exit', mark)
    other = await strangers.shell(SLEEP, mark)
    assert await found(command=mark) == sorted((tree.pid, other.pid))


async def test_neither_this_program_nor_its_own_are_found(tmp_path: Path) -> None:
    """This program, those above it and what it started are nobody's bots."""
    path = tmp_path / "bob.pid"
    with child("tail", "-f", "/dev/null", str(tmp_path)) as started:
        assert await found(command=str(tmp_path)) == []
        for pid in (os.getpid(), os.getppid(), 1, started.pid):
            path.write_text(f"{pid}\n")
            assert await found(pid_file=path) == []
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert await found(port=server.getsockname()[1]) == []


async def test_threads_of_the_kernel_are_not_found() -> None:
    """What the kernel runs has names, and is no process that can be restarted."""
    assert await found(process="kthreadd") == []


async def test_process_is_found_by_its_pid_file(strangers: Strangers) -> None:
    """The first word of a pid file is the id."""
    process = await strangers.shell(SLEEP)
    path = strangers.folder / "bob.pid"
    for text in (f"{process.pid}", f" {process.pid}\n", f"{process.pid}\n/srv/bob\n"):
        path.write_text(text)
        assert await found(pid_file=path) == [process.pid]


async def test_pid_file_of_a_process_that_is_gone_finds_nothing(strangers: Strangers, tmp_path: Path) -> None:
    """A file that was taken away, an id that nobody has, and one that another has got meanwhile mean no process."""
    process = await strangers.shell(SLEEP)
    path = tmp_path / "bob.pid"
    assert await found(pid_file=path) == []
    path.write_text(str(process.pid))
    os.utime(path, (process.created - 10, process.created - 10))
    assert await found(pid_file=path) == []
    os.utime(path, (process.created, process.created))
    assert await found(pid_file=path) == [process.pid]
    os.kill(process.pid, 9)
    await until(lambda: not is_running(process))
    assert await found(pid_file=path) == []


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"bob\n", b"0", b"-1", b"1.5", b"\xff\xfe", b"9" * 4096, "１２".encode()]
)
async def test_pid_file_without_an_id_is_told(tmp_path: Path, content: bytes) -> None:
    """What is no process id is refused; it would else be no process, or every process."""
    path = tmp_path / "bob.pid"
    path.write_bytes(content)
    with pytest.raises(HostError, match=r"bob\.pid begins with .*; expected a process id"):
        await found(pid_file=path)


async def test_pid_file_that_anybody_may_write_is_refused(strangers: Strangers, tmp_path: Path) -> None:
    """Whoever may write it could have any process ended; a group may write what names a process of its owner."""
    process = await strangers.shell(SLEEP)
    path = tmp_path / "bob.pid"
    path.write_text(str(process.pid))
    path.chmod(0o664)
    assert await found(pid_file=path) == [process.pid]
    path.chmod(0o646)
    with pytest.raises(HostError, match=r"bob\.pid can be written by others; expected its owner alone to$"):
        await found(pid_file=path)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("way", ["owner", "group", "link"])
async def test_pid_file_of_a_user_names_that_users_processes_alone(
    way: str, strangers: Strangers, tmp_path: Path
) -> None:
    """Who owns a pid file or a link to it, or shares it with a group, leads to no process of somebody else."""
    ours, theirs = await strangers.shell(SLEEP), await strangers.shell(SLEEP, uid=NOBODY, gid=NOBODY, groups=())
    path = link = tmp_path / "bob.pid"
    path.write_text(str(ours.pid))
    if way == "link":
        link = tmp_path / "link.pid"
        link.symlink_to(path)
        assert await found(pid_file=link) == [ours.pid]
    if way == "group":
        path.chmod(0o664)
        path.write_text(str(theirs.pid))
    else:
        os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    refused = theirs if way == "group" else ours
    expected = f"can be written by others than the user of process {refused.pid}, which it names"
    with pytest.raises(HostError, match=expected):
        await found(pid_file=link)
    accepted = ours if way == "group" else theirs
    path.write_text(str(accepted.pid))
    assert await found(pid_file=link) == [accepted.pid]


async def test_pid_file_that_is_no_file_is_told(tmp_path: Path) -> None:
    """Neither a folder nor a pipe, which would be waited for for ever, is read."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HostError, match="pipe is not a regular file"):
        await found(pid_file=tmp_path / "pipe")
    with pytest.raises(HostError, match="Is a directory"):
        await found(pid_file=tmp_path)
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(HostError, match=r"cannot read pid file .*: Too many levels of symbolic links"):
        await found(pid_file=tmp_path / "circle")


async def test_process_is_found_by_its_port(strangers: Strangers) -> None:
    """Of those that share a listening socket the one that forked the others is meant."""
    process = await strangers.python(LISTENING)
    port = int(strangers.said().split()[1])
    assert await found(port=port) == [process.pid]
    with socket.create_connection(("127.0.0.1", port)) as client:
        assert await found(port=client.getsockname()[1]) == []


async def test_process_is_found_by_its_port_of_six(strangers: Strangers) -> None:
    """An address of either kind will do."""
    process = await strangers.python(LISTENING.replace('"127.0.0.1", 0)', '"::1", 0), family=socket.AF_INET6'))
    assert await found(port=int(strangers.said().split()[1])) == [process.pid]


@pytest.mark.parametrize("parent", ["alive", "gone"])
async def test_workers_that_share_a_port_are_all_found(strangers: Strangers, parent: str) -> None:
    """Those left by the one that forked them stand beside each other, as those do whose parent listens no more."""
    process = await strangers.python(ORPHANED, parent)
    port, *workers = (int(word) for word in strangers.said().split()[1:])
    await until(lambda: parent == "alive" or not is_running(process))
    assert sorted(await found(port=port)) == sorted(workers)


async def test_relative_that_went_its_own_way_is_found_above(strangers: Strangers) -> None:
    """One that listens, in a session of its own, is below the one that listens too, with another between them."""
    process = await strangers.python(APART, "alive")
    port = int(strangers.said().split()[1])
    assert await found(port=port) == [process.pid]


async def test_what_took_a_port_away_does_not_hide_whose_it_is(strangers: Strangers) -> None:
    """One that got the socket with all else and has nothing to do with the others any more is not meant alone."""
    process = await strangers.python(APART, "gone")
    port, helper = (int(word) for word in strangers.said().split()[1:])
    await until(lambda: (now := entry_of(helper)) is not None and now.parent != process.pid and now.session == helper)
    assert sorted(await found(port=port)) == sorted((process.pid, helper))


@pytest.fixture
def ours() -> Iterator[int]:
    """Return a port on which this program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.skipif(interpreter() is None, reason="no Python that another user may run")
@pytest.mark.skipif(os.getuid() != 0, reason="only root has what others may not see")
async def test_port_of_another_user_is_told(ours: int, strangers: Strangers, tmp_path: Path) -> None:
    """Who may not see the owner of a port is told so, not that nobody listens; names and words anybody may see."""
    assert await as_nobody(AS_SEEN, "port", str(ours)) == (
        f"something listens on port {ours}, and this user may not see what"
    )
    process = await strangers.shell(SLEEP, strangers.mark.decode())
    assert await as_nobody(AS_SEEN, "command", f" {strangers.mark.decode()}$") == str(process.pid)
    path = tmp_path / "bob.pid"
    path.write_text(str(process.pid))
    assert "Permission denied" in await as_nobody(AS_SEEN, "pid_file", str(path))


async def test_port_that_nobody_has_finds_nothing(ours: int) -> None:
    """A port on which nobody listens is no error."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert free.getsockname()[1] != ours
        assert await found(port=free.getsockname()[1]) == []
