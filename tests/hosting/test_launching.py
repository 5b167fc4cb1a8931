"""Real processes, started so that they outlive this program."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import stat
from dataclasses import replace
from functools import partial
from pathlib import Path
from pwd import getpwuid
from typing import TYPE_CHECKING, Any

import pytest

from logmonitor.errors import HostError
from logmonitor.host import LocalHost
from logmonitor.hosting.launching import start
from logmonitor.hosting.process_table import entry_of, is_running, read_of, read_table, status_of
from logmonitor.machine import Launch, StreamKind
from tests.hosting.strangers import NOBODY, as_nobody, interpreter, until

if TYPE_CHECKING:
    from logmonitor.machine import Origin, Process
    from tests.hosting.strangers import Strangers

IS_ROOT = os.getuid() == 0
MAY_RAISE = IS_ROOT and bool(int(status_of(os.getpid())["CapEff"], 16) & 1 << 24)
SLEEP = "echo ready; sleep 1000; exit"


def again(origin: Origin) -> Launch:
    """Return how to start what was started before, as it was."""
    assert origin.executable is not None
    assert origin.environ is not None
    assert origin.folder is not None
    assert origin.umask is not None
    return Launch(
        executable=origin.executable,
        argv=origin.argv,
        environ=origin.environ,
        folder=origin.folder,
        uid=origin.uid,
        gid=origin.gid,
        groups=origin.groups,
        umask=origin.umask,
        limits=origin.limits,
        stdout=origin.stdout.path,
        stderr=origin.stderr.path,
    )


async def refusal(launch: Launch) -> str:
    """Return why a process cannot be started, which is the same whether that is only tried."""
    with pytest.raises(HostError) as rehearsed:
        await LocalHost().rehearse(launch)
    with pytest.raises(HostError) as started:
        await LocalHost().start(launch)
    assert str(rehearsed.value) == str(started.value)
    return str(started.value)


async def test_process_is_started_again_as_it_was(strangers: Strangers) -> None:
    """All that can be seen of a process is the same after it was ended and started from that."""
    odd = strangers.folder / "für \udcff"
    odd.mkdir()
    odd.chmod(0o777)
    rights: dict[str, Any] = {"uid": NOBODY, "gid": 4712, "groups": (4711, NOBODY)} if IS_ROOT else {}
    limits = ((resource.RLIMIT_NOFILE, 100, 200), (resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_STACK, 1 << 22, -1))
    first = await strangers.shell(
        SLEEP, b"\xff", b"", "鲍勃", folder=odd, umask=0o27, limits=limits, stderr=None, **rights
    )
    before = await strangers.host.inspect(first)
    assert (await strangers.host.terminate(first, timeout=30)).survivors == ()
    await strangers.host.rehearse(again(before))
    assert strangers.said() == "ready\n"
    second = await strangers.host.start(again(before))
    await until(lambda: strangers.said() == "ready\nready\n")
    after = await strangers.host.inspect(second)
    assert replace(after, process=before.process, parent=before.parent) == before
    assert second.pid != first.pid
    assert (second.argv, second.user, second.name) == (first.argv, first.user, first.name)


async def test_process_is_free_of_who_started_it(strangers: Strangers) -> None:
    """It leads a session, is nobody's child here, has nothing to read, and no file of ours; signals reach it."""
    held = [socket.socket() for _ in range(3)]
    for one in held:
        os.set_inheritable(one.fileno(), True)  # noqa: FBT003 - that is how it is called
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = await strangers.start("/bin/sleep", "1000")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGHUP, ignored)
    for one in held:
        one.close()
    entry = entry_of(process.pid)
    assert entry is not None
    assert (entry.session, entry.group) == (process.pid, process.pid)
    assert entry.parent != os.getpid()
    descriptors = _descriptors(process.pid)
    assert (sorted(descriptors), descriptors["0"]) == (["0", "1", "2"], Path("/dev/null"))
    status = status_of(process.pid)
    settable = sum(1 << (number - 1) for number in signal.valid_signals())  # the C library keeps two to itself
    assert (int(status["SigBlk"], 16) & settable, int(status["SigIgn"], 16) & settable) == (0, 0)
    assert [one for one in read_table().values() if one.parent == os.getpid() and one.is_ended] == []


def _descriptors(pid: int) -> dict[str, Path]:
    return {path.name: path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()}


async def test_output_is_appended_to(strangers: Strangers) -> None:
    """What was there stays, and what two write into one file stands behind it in turn."""
    path = strangers.folder / "bob.log"
    path.write_text("before\n")
    launch = strangers.launch("/bin/sh", "-c", "echo out; echo error >&2; echo out", stdout=path, stderr=path)
    await strangers.host.start(launch)
    await until(lambda: path.read_text().count("\n") == 4)
    assert path.read_text() == "before\nout\nerror\nout\n"


async def test_output_is_made_with_the_mask(strangers: Strangers) -> None:
    """A file that is not there is made, for those whom the mask leaves."""
    process = await strangers.shell(SLEEP, umask=0o137)
    origin = await strangers.host.inspect(process)
    assert origin.stdout.path is not None
    assert stat.S_IMODE(origin.stdout.path.stat().st_mode) == 0o640
    nowhere = await strangers.start("/bin/sleep", "1000", stdout=None, stderr=None)
    origin = await strangers.host.inspect(nowhere)
    assert (origin.stdout.kind, origin.stderr.kind) == (StreamKind.NULL, StreamKind.NULL)


async def test_process_that_ends_at_once_was_started(strangers: Strangers) -> None:
    """What was over before anybody could look is told as it was, and does not run."""
    for _ in range(10):
        process = await strangers.start("/bin/sh", "-c", "exit 3", "鲍勃")
        assert process.argv == ("/bin/sh", "-c", "exit 3", "鲍勃")
        assert process.pid > 1
        await until(partial(_has_ended, process))
        assert not await strangers.host.is_running(process)


def _has_ended(process: Process) -> bool:
    return not is_running(process)


@pytest.mark.parametrize(
    ("uid", "user"), [(os.getuid(), getpwuid(os.getuid()).pw_name), *([(64_123, "64123")] if IS_ROOT else [])]
)
async def test_process_that_nobody_saw_is_known_by_its_launch(strangers: Strangers, uid: int, user: str) -> None:
    """What ended before anybody could look at it is shown as it was started; a user without a name is a number."""
    launch = strangers.launch("/bin/true", "a", uid=uid)
    process = await start(launch, describe=lambda _: None)
    assert (process.name, process.argv, process.user) == ("true", ("/bin/true", "a"), user)
    assert (process.memory_bytes, process.cpu_seconds) == (0, 0)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"executable": Path("/nowhere/bob")}, "cannot run /nowhere/bob: No such file or directory"),
        ({"executable": Path("/etc/passwd")}, "cannot run /etc/passwd: Permission denied"),
        ({"executable": Path("/etc")}, "cannot run /etc: Permission denied"),
        ({"folder": Path("/nowhere")}, "cannot enter folder /nowhere: No such file or directory"),
        ({"folder": Path("/etc/passwd")}, "cannot enter folder /etc/passwd: Not a directory"),
        ({"stdout": Path("/nowhere/o")}, "cannot open /nowhere/o to append to it: No such file or directory"),
        ({"stderr": Path("/etc")}, "cannot open /etc to append to it: Is a directory"),
        ({"argv": ()}, "cannot run /bin/sh: the first of its words is empty; expected what it is called"),
        ({"argv": (b"", b"x")}, "cannot run /bin/sh: the first of its words is empty; expected what it is called"),
        ({"argv": (b"a\0b",)}, "cannot run /bin/sh: one of its words holds a zero; expected none"),
    ],
)
async def test_start_that_fails_says_why(strangers: Strangers, fields: dict[str, Any], reason: str) -> None:
    """What could not be done is named, with the system's reason, before and when it is tried."""
    assert await refusal(strangers.launch("/bin/sh", "-c", SLEEP, **fields)) == reason
    assert strangers.alive() == []


async def test_start_with_too_many_words_says_why(strangers: Strangers) -> None:
    """What the system does not take is its refusal; that is known only when it is done."""
    launch = strangers.launch("/bin/sh", "-c", SLEEP, b"w" * 200_000)
    await strangers.host.rehearse(launch)
    with pytest.raises(HostError, match="cannot run /bin/sh: Argument list too long"):
        await strangers.host.start(launch)


async def test_rehearsal_leaves_nothing(strangers: Strangers) -> None:
    """Trying starts nothing, makes no file and writes to none."""
    launch = strangers.launch("/bin/sh", "-c", SLEEP)
    await strangers.host.rehearse(launch)
    assert list(strangers.folder.iterdir()) == []
    assert strangers.alive() == []


async def test_output_to_a_pipe_that_nobody_reads_is_told(strangers: Strangers) -> None:
    """Nobody waits for a reader."""
    path = strangers.folder / "pipe"
    os.mkfifo(path)
    assert "pipe to append to it: No such device or address" in await refusal(
        strangers.launch("/bin/sh", "-c", SLEEP, stdout=path)
    )
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    process = await strangers.start("/bin/sh", "-c", SLEEP, stdout=path)
    await until(lambda: _read(reading) == b"ready\n")
    assert is_running(process)
    os.close(reading)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 100)
    except BlockingIOError:
        return b""


async def test_first_of_two_variables_counts(strangers: Strangers) -> None:
    """Of variables with one name the first is kept, as programs read them; what is none is left out."""
    texts = (b"A=1", b"none", b"A=2", b"=x=y", b"B=", b"C=\xff=", strangers.mark)
    process = await strangers.start("/bin/sleep", "1000", environ=texts)
    await until(lambda: read_of(process.pid, "environ"))
    assert read_of(process.pid, "environ") == b"A=1\0B=\0C=\xff=\0" + strangers.mark + b"\0"


@pytest.mark.parametrize("kind", [resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_STACK])
async def test_narrow_limit_lets_the_start_through(strangers: Strangers, kind: int) -> None:
    """What would not let this program's own language run is set last, and the process has it."""
    process = await strangers.shell(SLEEP, limits=((kind, 6 << 20, 7 << 20),))
    assert (kind, 6 << 20, 7 << 20) in (await strangers.host.inspect(process)).limits


@pytest.mark.skipif(not MAY_RAISE, reason="this user may not raise a limit")
async def test_limits_are_raised_before_rights_are_given_up(strangers: Strangers) -> None:
    """A user's process gets what only root may give."""
    limits = ((resource.RLIMIT_NOFILE, 30_000, 40_000), (resource.RLIMIT_NICE, 5, 10), (resource.RLIMIT_CPU, 60, 90))
    process = await strangers.shell(SLEEP, uid=NOBODY, gid=NOBODY, groups=(), limits=limits)
    origin = await strangers.host.inspect(process)
    assert set(limits) <= set(origin.limits)
    assert (origin.uid, origin.gid, origin.groups) == (NOBODY, NOBODY, ())


@pytest.mark.skipif(not IS_ROOT, reason="only root gives rights up")
async def test_rights_are_given_up_for_good(strangers: Strangers) -> None:
    """A user's process has none of the rights of who started it, and no way back to them."""
    process = await strangers.shell(SLEEP, uid=NOBODY, gid=NOBODY, groups=())
    status = status_of(process.pid)
    assert (status["Uid"].split(), status["Gid"].split()) == ([str(NOBODY)] * 4, [str(NOBODY)] * 4)
    assert int(status["CapEff"], 16) == 0


@pytest.mark.skipif(not IS_ROOT, reason="only root has folders that others may not enter")
async def test_folder_that_its_user_may_not_enter_is_refused(strangers: Strangers) -> None:
    """A user's process is led into no folder, and writes to no file, that are closed to that user."""
    folder = strangers.folder / "closed"
    folder.mkdir(mode=0o700)
    rights: dict[str, Any] = {"uid": NOBODY, "gid": NOBODY, "groups": ()}
    refused = strangers.launch("/bin/sh", "-c", SLEEP, folder=folder, **rights)
    assert await refusal(refused) == f"cannot enter folder {folder}: Permission denied"
    refused = strangers.launch("/bin/sh", "-c", SLEEP, stdout=folder / "bob.log", **rights)
    assert await refusal(refused) == f"cannot open {folder}/bob.log to append to it: Permission denied"
    (strangers.folder / "bob.log").write_text("")
    refused = strangers.launch("/bin/sh", "-c", SLEEP, stdout=strangers.folder / "bob.log", **rights)
    assert "Permission denied" in await refusal(refused)


BY_NOBODY = """
import asyncio, sys
from pathlib import PosixPath
from logmonitor.errors import HostError
from logmonitor.host import LocalHost
from logmonitor.machine import Launch
fields = eval(sys.argv[1])
async def main():
    host = LocalHost()
    try:
        await host.rehearse(Launch(**fields))
        process = await host.start(Launch(**fields))
        print(process.pid, await host.is_running(process))
    except HostError as error:
        print(error)
asyncio.run(main())
"""


@pytest.mark.skipif(interpreter() is None, reason="no Python that another user may run")
async def test_user_starts_what_is_his(strangers: Strangers) -> None:
    """It takes no rights to start what has none, and what takes some is refused with the step that takes them."""
    fields: dict[str, Any] = {
        "executable": Path("/bin/sh"),
        "argv": (b"/bin/sh", b"-c", SLEEP.encode()),
        "environ": (b"PATH=/usr/bin:/bin", strangers.mark),
        "folder": strangers.folder,
        "uid": NOBODY if IS_ROOT else os.getuid(),
        "gid": NOBODY if IS_ROOT else os.getgid(),
        "groups": () if IS_ROOT else tuple(os.getgroups()),
        "umask": 0o22,
        "limits": ((resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_NOFILE, 64, 128)),
        "stdout": strangers.folder / "bob.log",
    }

    async def told(**changes: object) -> str:
        return await as_nobody(BY_NOBODY, repr(fields | changes))

    pid, runs = (await told()).split()
    assert (int(pid) in strangers.alive(), runs) == (True, "True")
    for changes, step in (
        ({"uid": 0}, "make it user 0's"),
        ({"gid": 0}, "give it group 0"),
        ({"groups": (0, 4711)}, "give it groups [0, 4711]"),
    ):
        assert await told(**changes) == f"cannot {step}: Operation not permitted"
    kept = resource.getrlimit(resource.RLIMIT_MSGQUEUE)
    assert await told(limits=((resource.RLIMIT_MSGQUEUE, kept[0], kept[1] + 1),)) == (
        f"cannot set RLIMIT_MSGQUEUE from {kept} to {kept[0], kept[1] + 1}: not allowed to raise maximum limit"
    )
    assert len(strangers.alive()) == 2


async def test_starts_at_once_do_not_get_in_each_others_way(strangers: Strangers) -> None:
    """Several are started together."""
    started = await asyncio.gather(*(strangers.start("/bin/sleep", "1000") for _ in range(8)))
    assert len({process.pid for process in started}) == 8
    assert sorted(strangers.alive()) == sorted(process.pid for process in started)


async def test_cancelled_start_has_started(strangers: Strangers) -> None:
    """Who is cancelled while it starts does not keep it from that."""
    launch = strangers.launch("/bin/sh", "-c", SLEEP)
    task = asyncio.create_task(strangers.host.start(launch))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    await until(lambda: strangers.said() == "ready\n")


async def test_launcher_that_cannot_be_run_is_told(strangers: Strangers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a Python nothing is started; one that breaks is no answer."""
    for path, reason in (("/nowhere/python", "No such file or directory"), ("/bin/false", "exit status 1")):
        monkeypatch.setattr("sys.executable", path)
        with pytest.raises(HostError, match=f"cannot start /bin/sleep: .*{reason}"):
            await strangers.host.start(strangers.launch("/bin/sleep", "1000"))


async def test_process_outlives_who_started_it(strangers: Strangers) -> None:
    """A program that is killed, with all of its session, takes nothing with it that it has started."""
    script = f"""
import asyncio, os, signal, sys
from pathlib import Path
from pwd import getpwuid
from logmonitor.host import LocalHost
from logmonitor.machine import Launch
launch = Launch(executable=Path("/bin/sleep"), argv=(b"sleep", b"1000"), environ=({strangers.mark!r},),
    folder=Path("/"), uid=os.getuid(), gid=os.getgid(), groups=tuple(os.getgroups()), umask=0)
os.setsid()
print(asyncio.run(LocalHost().start(launch)).pid, flush=True)
os.killpg(0, signal.SIGKILL)
"""
    pid = int(await as_nobody(script))
    assert strangers.alive() == [pid]
