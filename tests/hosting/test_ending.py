"""Real processes and all below them, ended."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import HostError
from logmonitor.host import LocalHost, describe
from logmonitor.hosting.process_table import entry_of, is_running, read_table
from tests.hosting.strangers import NOBODY, as_nobody, child, interpreter, until

if TYPE_CHECKING:
    from logmonitor.machine import Ending, Process
    from tests.hosting.strangers import Strangers

IS_ROOT = os.getuid() == 0
LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
TREE = """
/bin/sh -c 'sleep 1000 & sleep 1000; exit' &
sleep 1000 &
echo ready
wait
"""
DEAF = "trap '' TERM; echo ready; while :; do sleep 1; done"


async def terminate(process: Process, *, timeout: float = 30) -> Ending:  # noqa: ASYNC109  # as the port has it
    """End a process and all below it."""
    return await LocalHost().terminate(process, timeout=timeout)


async def test_tree_ends_when_asked(strangers: Strangers) -> None:
    """All below a process end with it, and nobody is killed who ends by himself."""
    process = await strangers.shell(TREE)
    await until(lambda: len(strangers.alive()) == 5)
    ending = await terminate(process)
    assert (ending.killed, ending.survivors, strangers.alive()) == ((), (), [])
    assert 0 < ending.seconds < 30


async def test_what_does_not_listen_is_killed(strangers: Strangers) -> None:
    """Who ignores being asked is killed after the time he was given, and named."""
    process = await strangers.shell(DEAF)
    ending = await terminate(process, timeout=0.3)
    assert process.pid in ending.killed
    assert (ending.survivors, strangers.alive()) == ((), [])
    assert ending.seconds >= 0.3


async def test_deaf_child_is_killed_though_its_parent_has_ended(strangers: Strangers) -> None:
    """A child that lost its parent while that was asked is still known."""
    process = await strangers.shell(f'setsid /bin/sh -c "{DEAF}" & wait')
    deaf = next(pid for pid in strangers.alive() if (now := entry_of(pid)) and now.session == pid != process.pid)
    ending = await terminate(process, timeout=0.3)
    assert deaf in ending.killed
    assert process.pid not in ending.killed
    assert (ending.survivors, strangers.alive()) == ((), [])


async def test_orphans_of_its_session_end_with_it(strangers: Strangers) -> None:
    """What lost its parent long ago, by a double fork, belongs to the session that it never left."""
    process = await strangers.shell("(sleep 1000 &) ; (/bin/sh -c 'sleep 1000 & wait' &) ; echo ready; sleep 1000")
    await until(lambda: len(strangers.alive()) == 5)
    ending = await terminate(process)
    assert (ending.killed, ending.survivors, strangers.alive()) == ((), (), [])


async def test_neighbours_live_on(strangers: Strangers) -> None:
    """Siblings, and the session of a process that does not lead it, are none of its own."""
    outer = await strangers.shell("sleep 1000 & /bin/sh -c 'echo ready; sleep 1000; exit' & wait; sleep 1000")
    inner = next(entry for entry in read_table().values() if entry.parent == outer.pid and entry.name == b"sh")
    await until(lambda: len(strangers.alive()) == 4)
    assert (await terminate(_described(inner.pid))).survivors == ()
    left = strangers.alive()
    assert len(left) == 2
    assert outer.pid in left


async def test_stopped_tree_is_woken_to_end(strangers: Strangers) -> None:
    """What somebody has stopped gets what it was asked, and need not be killed."""
    process = await strangers.shell(TREE)
    await until(lambda: len(strangers.alive()) == 5)
    for pid in strangers.alive():
        os.kill(pid, signal.SIGSTOP)
    ending = await terminate(process)
    assert (ending.killed, ending.survivors, strangers.alive()) == ((), (), [])


async def test_what_is_born_meanwhile_ends_too(strangers: Strangers) -> None:
    """A farewell that starts new programs, deaf ones among them, leaves none of them behind."""
    process = await strangers.shell(
        "trap 'trap \"\" TERM; sleep 1000 & sleep 1001 & exit' TERM; echo ready; while :; do sleep 0.1; done"
    )
    ending = await terminate(process, timeout=0.5)
    assert (ending.survivors, strangers.alive()) == ((), [])
    assert process.pid not in ending.killed
    assert len(ending.killed) == 2


@pytest.mark.skipif(not IS_ROOT, reason="only root gives a user of its own to what forks without end")
async def test_what_forks_without_end_is_ended(strangers: Strangers) -> None:
    """Processes that do nothing but start others are stopped before they are killed, so that none gets away."""
    uid = 60_000 + os.getpid() % 5_000
    script = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
print("ready", flush=True)
while True:
    try:
        if os.fork() and os.getpid() != os.getsid(0) and os.urandom(1) < b"@":
            os._exit(0)
    except BlockingIOError:
        time.sleep(0.01)
"""
    limits = ((resource.RLIMIT_NPROC, 40, 40),)
    process = await strangers.python(script, uid=uid, gid=uid, groups=(), limits=limits, stderr=None)
    await until(lambda: len(strangers.alive()) > 20)
    ending = await terminate(process, timeout=0.2)
    assert (ending.survivors, strangers.alive()) == ((), [])
    assert len(ending.killed) > 10


async def test_child_that_nobody_waits_for_has_ended(strangers: Strangers) -> None:
    """A zombie is no survivor, neither below a process nor as that process itself."""
    script = """
import subprocess, time
child = subprocess.Popen(["true"])
print("ready", flush=True)
time.sleep(1000)
"""
    process = await strangers.python(script)
    ending = await terminate(process)
    assert (ending.killed, ending.survivors) == ((), ())
    with child("sleep", "1000") as started:
        ours = _described(started.pid)
        ending = await terminate(ours)
        assert (ending.killed, ending.survivors) == ((), ())
        ending = await terminate(ours)
        assert (ending.killed, ending.survivors) == ((), ())


async def test_another_of_the_same_id_is_not_signalled(strangers: Strangers) -> None:
    """Who has got the id of what has ended is none of our business."""
    process = await strangers.shell("trap 'echo signalled' TERM CONT; echo ready; while :; do sleep 0.01; done")
    for seconds in (-0.01, 0.01, -3600):
        ending = await terminate(replace(process, created=process.created + seconds), timeout=1)
        assert (ending.killed, ending.survivors) == ((), ())
    assert is_running(process)
    assert strangers.said() == "ready\n"


@pytest.mark.skipif(not LAST_PID.exists() or not IS_ROOT, reason="the kernel does not let ids be chosen")
async def test_id_that_is_really_given_again_is_not_signalled() -> None:
    """A process that has ended, and another that has its id, are two."""
    with child("sleep", "1000") as started:
        process = _described(started.pid)
    for _ in range(1000):
        await asyncio.to_thread(LAST_PID.write_text, str(process.pid - 1))
        with child("sleep", "1000") as started:
            successor = _described(started.pid)
            if successor.pid == process.pid and successor.created != process.created:
                assert (await terminate(process, timeout=1)).survivors == ()
                assert not is_running(process)
                assert is_running(successor)
                assert (await terminate(successor)).survivors == ()
                assert not is_running(successor)
                return
    pytest.fail("the id was never given again")


def _described(pid: int) -> Process:
    process = describe(read_table()[pid])
    assert process is not None
    return process


async def test_tree_ends_where_no_descriptor_of_a_process_is_to_be_had(
    strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old kernel, or a sandbox that forbids it, is no obstacle; nor is a process that ends in between."""

    def refuse(pid: int, flags: int = 0) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), pid, flags)

    monkeypatch.setattr("os.pidfd_open", refuse)
    process = await strangers.shell(f'setsid /bin/sh -c "{DEAF}" & wait')
    ending = await terminate(process, timeout=0.3)
    assert process.pid not in ending.killed
    assert (len(ending.killed) > 0, ending.survivors, strangers.alive()) == (True, (), [])


async def test_this_program_is_not_ended() -> None:
    """Neither this program nor what started it can be meant."""
    for pid in (os.getpid(), os.getppid()):
        process = _described(pid)
        with pytest.raises(HostError, match=f"process {pid} is what started this program"):
            await terminate(process)


async def test_cancelled_ending_leaves_nothing_stopped(strangers: Strangers) -> None:
    """Who is cancelled while waiting for the end has asked for it, and no more."""
    process = await strangers.shell(DEAF)
    task = asyncio.create_task(terminate(process))
    await until(lambda: "T" in (Path(f"/proc/{process.pid}/status").read_text()) or not task.done())
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert is_running(process)
    await until(lambda: {now.state for pid in strangers.alive() if (now := entry_of(pid))} <= {"S", "R"})


BY_NOBODY = """
import asyncio, sys
from logmonitor.errors import HostError
from logmonitor.host import LocalHost, describe
from logmonitor.hosting.process_table import read_table
try:
    ending = asyncio.run(LocalHost().terminate(describe(read_table()[int(sys.argv[1])]), timeout=0.5))
    print(ending.killed, ending.survivors, ending.seconds < 5)
except HostError as error:
    print(error)
"""


@pytest.mark.skipif(not IS_ROOT, reason="only root has what others may not signal")
@pytest.mark.skipif(interpreter() is None, reason="no Python that another user may run")
async def test_ending_without_the_right_is_told(strangers: Strangers) -> None:
    """What may not be signalled is told; below a process that may, it is a survivor."""
    process = await strangers.shell("echo ready; sleep 1000; exit")
    assert await as_nobody(BY_NOBODY, str(process.pid)) == f"this user may not end process {process.pid}"
    assert is_running(process)
    script = """
import os, sys, time
child = os.fork()
if child:
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    print("ready", child, flush=True)
time.sleep(1000)
"""
    parent = await strangers.python(script)
    other = int(strangers.said().split()[1])
    assert await as_nobody(BY_NOBODY, str(parent.pid)) == f"() ({other},) True"
    assert not is_running(parent)


@pytest.mark.skipif(interpreter() is None, reason="no Python that another user may run")
async def test_user_ends_what_is_his(strangers: Strangers) -> None:
    """It takes no rights to end one's own processes."""
    rights = {"uid": NOBODY, "gid": NOBODY, "groups": (NOBODY,)} if IS_ROOT else {}
    process = await strangers.shell(DEAF, **rights)
    told = await as_nobody(BY_NOBODY, str(process.pid))
    assert str(process.pid) in told
    assert told.endswith(" () True")
    assert strangers.alive() == []
