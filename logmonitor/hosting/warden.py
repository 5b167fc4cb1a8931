"""The warden: a small program that runs another one, watches all that it starts, and ends all of it.

It is started as a script, apart from the package and in isolation, so that it is there in a moment and goes on whatever
becomes of us: the end of its standard input tells it that it has to end everything, be it on purpose or because we are
gone. Whoever loses its parent below it becomes its child, so that no double fork and no `setsid` leads out of its
sight. It tells on one descriptor, in lines of JSON, what it has started and how it ended.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

LOOK_SECONDS: Final = 0.02
"""How long it looks away while there are limits to be held."""

BUSY_SHARE: Final = 20
"""Looking takes at most one part in so many of its time."""

LINGER_SECONDS: Final = 0.05
"""How long what ends with the program by itself may take to do so, before it counts as left behind."""

GIVE_UP_SECONDS: Final = 3.0
"""How long it tries to end what cannot be ended: what sleeps in the kernel, or belongs to somebody else."""

TASKS_BESIDE: Final = 512
"""How many threads there may be, where the processes' own count is watched more closely."""

NICENESS: Final = 5
OPEN_FILES: Final = 1024
MORE_THAN_USED: Final = 2
"""A program may reserve so many times what all of them may use; what they use is watched."""

_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG
_FIRST_PID_NAMESPACE: Final = 0xEFFFFFFC  # PROC_PID_INIT_INO of linux/proc_ns.h
_TOLD: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


class Seen(NamedTuple):
    """A process as /proc shows it; `started` is in clock ticks since the machine's start."""

    pid: int
    parent: int
    state: str
    threads: int
    started: int


class Task(TypedDict):
    """What it is told to run; texts stand for bytes of the same numbers.

    `group` is the folder of a control group made for it. What is still there when the program has ended stays if it
    `keeps`, or else is ended with it.
    """

    argv: list[str]
    environ: list[str]
    folder: str | None
    limits: tuple[int, int] | None
    group: str | None
    keeps: bool


class Limits(NamedTuple):
    """What all of it may use together."""

    memory_bytes: int
    processes: int


def below(root: int, table: Iterable[Seen]) -> tuple[Seen, ...]:
    """Return all processes below `root`, parents before their children."""
    children: dict[int, list[Seen]] = {}
    for seen in table:
        children.setdefault(seen.parent, []).append(seen)
    found: list[Seen] = []
    parents = [root]
    for parent in parents:
        born = children.pop(parent, [])
        found += born
        parents += [seen.pid for seen in born]
    return tuple(found)


def parsed(stat: bytes) -> Seen:
    """Read the line of /proc/PID/stat; a process's name in it may hold anything."""
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Seen(
        pid=int(stat[: stat.index(b" ")]),
        parent=int(fields[1]),
        state=fields[0].decode(),
        threads=int(fields[17]),
        started=int(fields[19]),
    )


def pages_of(statm: bytes) -> int:
    """Return how many pages of memory a process uses, by the line of /proc/PID/statm."""
    return int(statm.split()[1])


def own_pages_of(statm: bytes) -> int:
    """Return how many of them no file and nobody else is behind."""
    _, resident, shared = map(int, statm.split()[:3])
    return resident - shared


def proportional_bytes(rollup: bytes) -> int:
    """Return what a process uses, its share of what it shares with others, by /proc/PID/smaps_rollup; no file's pages.

    Raises:
        ValueError: the kernel does not tell.
    """
    amounts = {}
    for line in rollup.splitlines():
        name, _, amount = line.partition(b":")
        if name in (b"Pss_Anon", b"Pss_Shmem"):
            amounts[name] = int(amount.split()[0]) * 1024
    if not amounts:
        raise ValueError("no proportional share")
    return sum(amounts.values())


class Tree:
    """All processes below this one, as /proc shows them.

    Who is not below it never will be: what is known not to be is looked at once.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._pid = os.getpid()
        self._others: set[int] = set()

    def look(self, *, anew: bool = False) -> tuple[Seen, ...]:
        """Return who is there, zombies left out; with `anew` look at every process of the machine."""
        pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208  # far from cheap as it is
        others = set() if anew else self._others & pids
        table = [seen for pid in pids - others if (seen := stat_of(pid)) is not None]
        found = below(self._pid, table)
        self._others = pids.difference((seen.pid for seen in found), (self._pid,))
        return tuple(seen for seen in found if seen.state not in "ZX")


def stat_of(pid: int) -> Seen | None:
    """Look at a process; None if it is gone."""
    stat = content(f"/proc/{pid}/stat")
    return parsed(stat) if stat else None


def content(path: str) -> bytes:
    """Read a file of the kernel's; nothing if it cannot be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 1 << 14)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def memory_of(tree: Iterable[Seen], limit_bytes: int) -> int:
    """Return how many bytes processes use together: too much at first sight, unless that is over `limit_bytes`."""
    page = resource.getpagesize()
    statms = {seen.pid: statm for seen in tree if (statm := content(f"/proc/{seen.pid}/statm"))}
    at_most = page * sum(map(pages_of, statms.values()))
    if at_most <= limit_bytes:
        return at_most
    total = 0
    for pid, statm in statms.items():
        try:
            total += proportional_bytes(content(f"/proc/{pid}/smaps_rollup"))
        except ValueError:
            total += page * own_pages_of(statm)
    return total


def exceeded(tree: tuple[Seen, ...], limits: Limits) -> str | None:
    """Return which limit processes exceed, by the name that `ShellStop` has for it."""
    tasks = sum(seen.threads for seen in tree)
    if len(tree) > limits.processes or tasks > limits.processes + TASKS_BESIDE:
        return "processes"
    return "memory" if memory_of(tree, limits.memory_bytes) > limits.memory_bytes else None


def send_signal(seen: Seen, number: int) -> None:
    """Send a signal to this very process, and to no other that has its id by now.

    Raises:
        PermissionError: it belongs to somebody else.
    """
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(seen.pid)
        try:
            now = stat_of(seen.pid)
            if now is not None and now.started == seen.started:
                signal.pidfd_send_signal(descriptor, number)
        finally:
            os.close(descriptor)


def reap() -> tuple[dict[int, int], bool]:
    """Bury who has ended; return their wait statuses, and whether anybody is left."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended, False
        if not pid:
            return ended, True
        ended[pid] = status


def end_all(tree: Tree, group: str | None) -> tuple[int, ...]:
    """End everything below this process; return the ids of those that cannot be.

    All are stopped before any is killed, or one would be born for each that dies.
    """
    give_up_at = time.monotonic() + GIVE_UP_SECONDS
    if group is not None:
        write(f"{group}/cgroup.kill", "1")
    stopped: set[tuple[int, int]] = set()
    while reap()[1]:
        found = tree.look(anew=True)
        new = [seen for seen in found if (seen.pid, seen.started) not in stopped]
        for seen in new:
            stopped.add((seen.pid, seen.started))
            with suppress(PermissionError):
                send_signal(seen, signal.SIGSTOP)
        if new:
            continue
        for seen in found:
            with suppress(PermissionError):
                send_signal(seen, signal.SIGKILL)
        if time.monotonic() > give_up_at:
            return tuple(seen.pid for seen in found)
        time.sleep(0.001)
    return ()


def write(path: str, text: str) -> None:
    """Tell the kernel something, if it can be told."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def become_subreaper(libc: ctypes.CDLL) -> None:
    """Become the parent of whoever loses theirs below."""
    if libc.prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot be the parent of orphans")


def set_limits(limits: Limits) -> None:
    """Set the limits that hold for each process, and those that hold for all of the user's.

    Raises:
        OSError: one cannot be set.
    """
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    lower(resource.RLIMIT_DATA, MORE_THAN_USED * limits.memory_bytes)
    if sees_all_processes():
        lower(resource.RLIMIT_NPROC, tasks_of(os.getuid()) + limits.processes + TASKS_BESIDE)


def lower(kind: int, value: int) -> None:
    """Set a limit, unless there is a lower one."""
    _, highest = resource.getrlimit(kind)
    value = value if highest == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(kind, (value, value))


def sees_all_processes() -> bool:
    """Tell whether no process of the machine is hidden from this one, as they are within a container."""
    return os.stat("/proc/self/ns/pid").st_ino == _FIRST_PID_NAMESPACE  # noqa: PTH116  # pathlib takes its time


def tasks_of(user: int) -> int:
    """Return how many threads a user has."""
    total = 0
    for name in os.listdir("/proc"):  # noqa: PTH208
        with suppress(OSError):
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == user:  # noqa: PTH116
                seen = stat_of(int(name))
                total += seen.threads if seen else 0
    return total


def launch(task: Task, libc: ctypes.CDLL, outputs: tuple[int, int], report: int) -> tuple[int, bytes]:
    """Start the program; return its id, and which step to it failed, with the error's number: nothing if none did."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(report)
        try:
            become(task, libc, outputs, failing=writing)
        finally:
            os._exit(127)
    os.close(writing)
    with os.fdopen(reading, "rb") as failing:
        return pid, failing.read()


def become(task: Task, libc: ctypes.CDLL, outputs: tuple[int, int], *, failing: int) -> None:
    """Become the program, with nothing to read, in a session of its own, and as a signal's default has it."""
    step = "session"
    try:
        if task["group"] is not None:
            write(f"{task['group']}/cgroup.procs", "0")
        os.setsid()
        libc.prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        for number in signal.valid_signals():
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_DFL)
        for target, source in enumerate((os.open(os.devnull, os.O_RDONLY), *outputs)):
            os.dup2(source, target)
        if task["limits"] is not None:
            step = "limits"
            set_limits(Limits(*task["limits"]))
            write("/proc/self/oom_score_adj", "1000")
            os.nice(NICENESS)
        if task["folder"] is not None:
            step = "folder"
            os.chdir(task["folder"].encode("latin-1"))
        step = "program"
        words = [word.encode("latin-1") for word in task["argv"]]
        environ = dict(pair.encode("latin-1").split(b"=", 1) for pair in task["environ"])
        os.execvpe(words[0], words, environ)  # noqa: S606  # the shell, if one is wanted, is the program
    except OSError as error:
        os.write(failing, json.dumps([step, error.errno]).encode())


def main() -> None:
    """Do as the file on one descriptor says, and tell on the other."""
    specification, report = map(int, sys.argv[1:])
    outputs = os.dup(1), os.dup(2)
    for stream in (1, 2):
        os.dup2(report, stream)
    os.set_inheritable(report, False)  # noqa: FBT003  # it takes no keywords
    with os.fdopen(specification, "rb") as file:
        task: Task = json.load(file)
    heard, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    for number in (*_TOLD, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    libc = ctypes.CDLL(None, use_errno=True)
    become_subreaper(libc)
    began = time.monotonic()
    pid, failure = launch(task, libc, outputs, report)
    for output in outputs:
        os.close(output)
    if failure:
        tell(failed=json.loads(failure))
        return
    tell(pid=pid)
    tree = Tree()
    limits = None if task["limits"] is None else Limits(*task["limits"])
    status, stopped_at = watch(pid, tree, limits, heard=heard)
    seconds = time.monotonic() - began
    left: tuple[Seen, ...] = ()
    survivors: tuple[int, ...] = ()
    if status is None or not task["keeps"]:
        left = () if status is None else lingering(tree)
        survivors = end_all(tree, task["group"])
    tell(status=status, stopped_at=stopped_at, seconds=seconds, left=len(left), survivors=survivors)


def watch(pid: int, tree: Tree, limits: Limits | None, *, heard: int) -> tuple[int | None, str | None]:
    """Wait until the program ends, a limit is exceeded, or everything is to end; return its status and the limit."""
    control = sys.stdin.fileno()
    poll = select.poll()
    for descriptor in (control, heard):
        poll.register(descriptor, select.POLLIN)
    is_told = False
    while True:
        status = reap()[0].get(pid)
        if status is not None or is_told:
            return status, None
        pause = None
        if limits is not None:
            began = time.monotonic()
            stopped_at = exceeded(tree.look(), limits)
            if stopped_at is not None:
                return None, stopped_at
            pause = 1000 * max(LOOK_SECONDS, BUSY_SHARE * (time.monotonic() - began))
        for descriptor, _ in poll.poll(pause):
            is_told |= descriptor == control or not _TOLD.isdisjoint(os.read(heard, 1 << 10))


def lingering(tree: Tree) -> tuple[Seen, ...]:
    """Return who is still there a moment after the program's end."""
    until = time.monotonic() + LINGER_SECONDS
    while reap()[1]:
        found = tree.look(anew=True)
        if not found or time.monotonic() > until:
            return found
        time.sleep(0.001)
    return ()


def tell(**fields: object) -> None:
    """Say something to who wants to know, who may be gone."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{json.dumps(fields)}\n".encode())


if __name__ == "__main__":
    main()
