"""Shell commands that try to get away: by numbers, by memory, by hiding, by turning against their warden or us."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.errors import HostError
from logmonitor.hosting import cgroup, confinement, program
from logmonitor.machine import ShellEnd, ShellLimits, ShellStop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from logmonitor.machine import Shell

DEADLINE: Final = 60.0
NOBODY: Final = 65534
PYTHON: Final = "python3" if shutil.which("python3") else sys.executable
MEMORY_BYTES: Final = 200_000_000

BOMBS: Final = {
    "one group": "f() { f | f & sleep 1000; }; f",
    "one that goes on without its shell": "f() { sleep 1000 & f & sleep 1000; }; f & sleep 1000",
    "a session each": (
        f"exec {PYTHON} -c 'import os, time\n"
        "try:\n"
        "  while True: os.fork() or os.setsid()\n"
        "except OSError: time.sleep(1000)'"
    ),
    "threads": (
        f"exec {PYTHON} -c 'import threading\n"
        "threading.stack_size(1 << 16)\n"
        "wait = threading.Event().wait\n"
        "try:\n"
        "  while True: threading.Thread(target=wait, daemon=True).start()\n"
        "except RuntimeError: wait()'"
    ),
}
HOGS: Final = {
    "one": f"exec {PYTHON} -c 'a = []\nwhile True: a.append(b\"a\" * 1000000)'",
    "several": f"for i in 1 2 3 4 5; do {PYTHON} -c 'import time; a = b\"a\" * 70000000; time.sleep(99)' & done; wait",
    "shared": (
        f"exec {PYTHON} -c 'import mmap\na = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): a[i] = 1'"
    ),
}
HEADLESS: Final = (
    f"exec {PYTHON} -c 'import ctypes, threading, time\n"
    "def work():\n"
    '  while not open("/proc/self/statm").read().startswith("0 "): time.sleep(0.01)\n'
    "  kept = bytes(range(1, 251)) * (USED // 250)\n"
    '  print("ready", flush=True)\n'
    "  time.sleep(1000)\n"
    "threading.Thread(target=work).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)'"
)
"""A process that lives on in another thread than its first, whose state is that of one that has ended."""

AS_NOBODY: Final = textwrap.dedent(
    """
    import asyncio, json, os, sys
    from pathlib import Path
    from logmonitor.hosting import confinement
    from logmonitor.machine import ShellLimits

    async def main(script, limits):
        limits = ShellLimits(**limits)
        async with confinement.shell(script, folder=Path("/"), environ={}, limits=limits) as at_work:
            written = b"".join([piece async for piece in at_work.output()])
            end = await at_work.end()
        fields = end.exit_code, end.stopped_at, end.seconds, end.left, end.survivors
        print(json.dumps([written.decode(), fields]))

    script, limits, sys.executable = json.loads(sys.argv[1])
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    asyncio.run(main(script, limits))
    """
)


@asynccontextmanager
async def shell(script: str, **limits: float) -> AsyncIterator[Shell]:
    """Run a script that a test means to end long before its time is up."""
    within = ShellLimits(**{"timeout": DEADLINE, **limits})  # type: ignore[arg-type]  # whole where they have to be
    async with confinement.shell(script, folder=Path("/"), environ={}, limits=within) as at_work:
        yield at_work


async def ran(script: str, **limits: float) -> tuple[bytes, ShellEnd]:
    """Run a script to its end; return what it wrote, and how it ended."""
    async with asyncio.timeout(DEADLINE), shell(script, **limits) as at_work:
        written = b"".join([piece async for piece in at_work.output()])
        return written, await at_work.end()


def ran_by_nobody(script: str, **limits: float) -> tuple[bytes, ShellEnd]:
    """Run a script in a program that is nobody's, or ours if we are nobody of importance ourselves."""
    if os.getuid():
        return asyncio.run(ran(script, **limits))
    python = python_of_nobody()
    task = json.dumps([script, {"timeout": DEADLINE, **limits}, python])
    completed = subprocess.run(
        (sys.executable, "-c", AS_NOBODY, task), stdout=subprocess.PIPE, timeout=2 * DEADLINE, check=True
    )
    written, (exit_code, stopped_at, seconds, left, survivors) = json.loads(completed.stdout)
    end = ShellEnd(
        exit_code=exit_code,
        stopped_at=stopped_at and ShellStop(stopped_at),
        seconds=seconds,
        left=left,
        survivors=tuple(survivors),
    )
    return written.encode(), end


def python_of_nobody() -> str:
    """Return an interpreter that everybody may run, as a root's own may not be."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            subprocess.run((python, "-I", "-S", "-c", ""), user=NOBODY, group=NOBODY, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("there is no interpreter that everybody may run")


@pytest.fixture
def no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no control groups."""
    monkeypatch.setattr(cgroup, "home", lambda: None)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and is not waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def has(word: str) -> bool:
    """Tell whether any process has a word among its own."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else ()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if word.encode() in words and is_alive(int(entry.name)):
            return True
    return False


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    give_up_at = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.mark.parametrize("name", BOMBS)
async def test_bomb_is_ended(name: str) -> None:
    """However a command multiplies, it is ended soon, and nothing is left."""
    written, end = await ran(f"exec 2>/dev/null; : bomb-{name}; {BOMBS[name]}", processes=24)
    assert (written, end.exit_code, end.stopped_at) == (b"", None, ShellStop.PROCESSES)
    assert end.survivors == ()


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.usefixtures("no_group")
async def test_bomb_is_ended_without_a_control_group(name: str) -> None:
    """It needs no control group for that."""
    _, end = await ran(f"exec 2>/dev/null; {BOMBS[name]}", processes=24)
    assert (end.exit_code, end.stopped_at, end.survivors) == (None, ShellStop.PROCESSES, ())


@pytest.mark.parametrize("name", BOMBS)
def test_bomb_of_nobody_is_ended(name: str) -> None:
    """It needs no rights for that either; one that the kernel refuses more processes may be over before it is told."""
    _, end = ran_by_nobody(f"exec 2>/dev/null; {BOMBS[name]}", processes=24)
    is_refused = end.stopped_at is None and end.exit_code not in (None, 0)
    assert is_refused or (end.exit_code, end.stopped_at) == (None, ShellStop.PROCESSES)
    assert end.survivors == ()


@pytest.mark.parametrize("name", HOGS)
async def test_hog_is_ended(name: str) -> None:
    """Memory is counted together, however it is used."""
    _, end = await ran(HOGS[name], memory_bytes=MEMORY_BYTES)
    assert (end.exit_code, end.stopped_at) == (None, ShellStop.MEMORY)


def test_hog_of_nobody_is_ended() -> None:
    """It needs no rights for that."""
    _, end = ran_by_nobody(HOGS["several"], memory_bytes=MEMORY_BYTES)
    assert (end.exit_code, end.stopped_at) == (None, ShellStop.MEMORY)


async def test_memory_in_common_counts_once() -> None:
    """A program's children that have changed nothing of its memory do not use it a second time."""
    script = (
        f"exec {PYTHON} -c 'import os, time\n"
        'a = b"a" * (MEMORY // 2)\n'
        "children = [pid for _ in range(8) if (pid := os.fork()) or time.sleep(0.3) or os._exit(0)]\n"
        "for pid in children: os.waitpid(pid, 0)'"
    ).replace("MEMORY", str(MEMORY_BYTES))
    _, end = await ran(script, memory_bytes=MEMORY_BYTES)
    assert (end.exit_code, end.stopped_at) == (0, None)


async def test_program_may_not_reserve_far_more_than_it_may_use() -> None:
    """Memory that is asked for in one piece is refused before it can be used."""
    written, end = await ran(f"exec {PYTHON} -c 'bytearray(1 << 40)' 2>&1", memory_bytes=MEMORY_BYTES)
    assert b"MemoryError" in written
    assert (end.exit_code, end.stopped_at) == (1, None)


async def test_gigabyte_of_output_stays_within_its_limit() -> None:
    """A gigabyte of output is cut at its limit, and takes no more memory than that."""
    before = memory_in_use()
    written, end = await ran("head -c 1000000000 /dev/zero", output_bytes=1 << 20)
    assert (len(written), end.stopped_at) == (1 << 20, ShellStop.OUTPUT)
    assert memory_in_use() - before < 50_000_000


async def test_gigabyte_of_a_program_is_read_and_forgotten() -> None:
    """A program that writes a gigabyte goes on to its end, and takes no memory but for the megabyte that is kept."""
    before = memory_in_use()
    completed = await confinement.run("head", "-c", "1000000000", "/dev/zero", timeout=DEADLINE)
    assert (len(completed.stdout), completed.exit_code) == (1 << 20, 0)
    assert memory_in_use() - before < 50_000_000


def memory_in_use() -> int:
    """Return how much memory this process uses."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def test_comet_is_caught() -> None:
    """A process that is never there for long, as each forks the next in a session of its own, is ended."""
    script = f"{PYTHON} -c 'import os\nwhile True:\n  if os.fork(): os._exit(0)\n  os.setsid()' & sleep 0.2"
    _, end = await ran(script)
    assert (end.exit_code, end.survivors) == (0, ())


async def test_output_held_open_from_outside_ends_nevertheless() -> None:
    """Who else has got hold of an output keeps nobody waiting."""
    async with asyncio.timeout(DEADLINE), shell("echo $$; sleep 1000") as at_work:
        pieces = at_work.output()
        pid = int(await anext(pieces))
        descriptor = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)
        try:
            os.kill(pid, signal.SIGKILL)
            assert [piece async for piece in pieces] == []
            assert (await at_work.end()).exit_code == -signal.SIGKILL
        finally:
            os.close(descriptor)


@pytest.mark.usefixtures("no_group")
async def test_command_without_its_first_thread_is_ended() -> None:
    """A process that goes on in other threads ends at the limit of time, and on leaving."""
    async with asyncio.timeout(DEADLINE), shell(f"echo $$; {HEADLESS.replace('USED', '0')}") as at_work:
        written = b""
        async for piece in at_work.output():
            written += piece
            if written.endswith(b"ready\n"):
                break
    assert not os.access(f"/proc/{int(written.split()[0])}", os.F_OK)
    _, end = await ran(HEADLESS.replace("USED", "0"), timeout=1)
    assert (end.exit_code, end.stopped_at, end.survivors) == (None, ShellStop.TIME, ())


@pytest.mark.usefixtures("no_group")
async def test_hog_without_its_first_thread_is_ended() -> None:
    """Its memory counts."""
    _, end = await ran(HEADLESS.replace("USED", "250_000_000"), memory_bytes=MEMORY_BYTES)
    assert (end.exit_code, end.stopped_at) == (None, ShellStop.MEMORY)


async def test_command_cannot_speak_for_its_warden() -> None:
    """Nobody, root neither, gets into what a warden hears and speaks on by its descriptors."""
    script = "for i in 0 1 2; do { echo '{}' >/proc/$PPID/fd/$i; } 2>/dev/null || echo no; done"
    written, end = await ran(script)
    assert (written, end.exit_code) == (b"no\nno\nno\n", 0)


def test_command_of_nobody_cannot_see_its_wardens_descriptors() -> None:
    """A warden is shut to others of its user, while what it runs is not, and is the first to go without memory."""
    script = "ls /proc/$PPID/fd >/dev/null 2>&1 || echo shut; ls /proc/$$/fd >/dev/null && cat /proc/$$/oom_score_adj"
    written, end = ran_by_nobody(script)
    assert (written, end.exit_code) == (b"shut\n1000\n", 0)


def test_command_of_nobody_that_stops_its_warden_is_ended() -> None:
    """However early it does so."""
    for _ in range(3):
        _, end = ran_by_nobody("kill -STOP $PPID; sleep 1000", timeout=0.3)
        assert end.stopped_at is ShellStop.TIME
        assert end.seconds < program.START_SECONDS


async def test_stopped_command_is_ended() -> None:
    """A command that has stopped itself ends like any other."""
    _, end = await ran("kill -STOP $$", timeout=0.3)
    assert end.stopped_at is ShellStop.TIME


async def test_command_that_stops_its_warden_is_ended() -> None:
    """A warden that was stopped goes on once everything is to end."""
    _, end = await ran("kill -STOP $PPID; sleep 1000", timeout=0.3)
    assert end.stopped_at is ShellStop.TIME


async def test_command_that_ends_its_warden_ends_with_it() -> None:
    """A warden that is asked to end does so after everything else, and says that nobody of us has asked."""
    written, end = await ran("setsid sleep 1000 & echo $!; kill $PPID; sleep 1000")
    assert (end.exit_code, end.stopped_at) == (None, None)
    assert not is_alive(int(written))


@pytest.mark.usefixtures("no_group")
async def test_command_that_kills_its_warden_is_told() -> None:
    """Without its warden a command ends, with all that has no session of its own, and that is told."""
    async with asyncio.timeout(DEADLINE), shell("sleep 1000 & echo $! $$; kill -9 $PPID; sleep 1000") as at_work:
        written = b"".join([piece async for piece in at_work.output()])
        with pytest.raises(HostError, match=r"the warden of '/bin/sh' is gone: killed"):
            await at_work.end()
    wait_until(lambda: not any(is_alive(int(pid)) for pid in written.split()))


async def test_command_that_kills_its_warden_ends_with_its_group() -> None:
    """With a control group nothing is left even then, and the group is removed."""
    home = cgroup.home()
    if home is None:
        pytest.skip("this program may make no control groups here")
    async with asyncio.timeout(DEADLINE):
        async with shell("setsid sleep 1000 & echo $!; kill -9 $PPID; sleep 1000") as at_work:
            pid = int(await anext(at_work.output()))
            with pytest.raises(HostError, match=r"the warden of '/bin/sh' is gone: killed"):
                await at_work.end()
    assert not is_alive(pid)
    assert list(home.glob(f"{cgroup.PREFIX}*-{os.getpid()}-*")) == []


@pytest.mark.parametrize("group", ["with", "without"])
def test_nothing_is_left_when_we_are_killed(tmp_path: Path, group: str) -> None:
    """When this program is killed all that it has run is ended, daemons among it."""
    mark = f"mark-{os.getpid()}-{time.monotonic_ns()}"
    script = (
        f"(setsid {PYTHON} -c 'import time; time.sleep(1000)' {mark} &); echo ready; trap '' TERM; sleep 1000; true"
    )
    program = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from logmonitor.hosting import cgroup, confinement
        from logmonitor.machine import ShellLimits
        if {group == "without"}:
            cgroup.home = lambda: None

        async def main():
            limits = ShellLimits(timeout=1000)
            async with confinement.shell({script!r}, folder=Path("/"), environ={{}}, limits=limits) as at_work:
                async for piece in at_work.output():
                    print(piece.decode(), flush=True)

        asyncio.run(main())
        """
    )
    with subprocess.Popen((sys.executable, "-c", program), stdout=subprocess.PIPE, cwd=tmp_path) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            wait_until(lambda: has(mark))
        finally:
            running.kill()
    wait_until(lambda: not has(mark))
    home = cgroup.home()
    if home is not None:
        wait_until(lambda: not list(home.glob(f"{cgroup.PREFIX}*-{running.pid}-*")))


def test_what_belongs_to_others_is_told(tmp_path: Path) -> None:
    """A process that has become another user's cannot be ended, and is named."""
    if os.getuid():
        pytest.skip("only root can let a program become another user's")
    python = tmp_path / "python"
    shutil.copy(Path(python_of_nobody()).resolve(), python)
    python.chmod(0o4755)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    become_root = "import os, time; os.setuid(0); print(os.getpid(), 1000 * '.', flush=True); time.sleep(1000)"
    written, end = ran_by_nobody(f'exec {python} -I -S -c "{become_root}"', output_bytes=100)
    survivor = int(written.split()[0])
    try:
        assert end.stopped_at is ShellStop.OUTPUT
        assert end.survivors == (survivor,)
    finally:
        os.kill(survivor, signal.SIGKILL)
