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

LONGEST_LOOK_SECONDS: Final = 0.2
BUSY_SHARE: Final = 20
"""Looking takes one part in so many of a processor's time: it looks away for longer where there is much to see."""

MEMORY_SECONDS: Final = 1.0
"""How long it is sure that nobody else has the id of somebody whom it has seen."""

LINGER_SECONDS: Final = 0.05
"""How long what ends with the program by itself may take to do so, before it counts as left behind."""

GIVE_UP_SECONDS: Final = 3.0
"""How long it waits for what goes on though it was killed, sleeping in the kernel or being another user's."""

PAUSE_SECONDS: Final = 0.001

TASKS_WATCHED: Final = 224
"""How many threads there may be beside as many processes as there may be."""

TASKS_BESIDE: Final = 256
"""The same as the kernel is told it: a little more, so that whoever is watched is ended before it is refused any."""

NICENESS: Final = 10
OPEN_FILES: Final = 1024
MOST_TASKS: Final = 1 << 22  # PID_MAX_LIMIT of linux/threads.h
MORE_THAN_USED: Final = 2
"""A program may reserve so many times what all of them may use; what they use is watched."""

_SUBREAPER: Final = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
_DEATH_SIGNAL: Final = 1  # PR_SET_PDEATHSIG
_DUMPABLE: Final = 4  # PR_SET_DUMPABLE
_ENDED: Final = frozenset("ZXx")
_TOLD: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})


class Seen(NamedTuple):
    """A process as /proc shows it; `started` is in clock ticks since the machine's start."""

    pid: int
    parent: int
    group: int
    state: str
    threads: int
    started: int

    @property
    def is_ended(self) -> bool:
        """Whether it only waits to be noticed; a process whose first thread has left the others behind does not."""
        return self.state in _ENDED and self.threads <= 1


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


def below(roots: Iterable[int], table: Iterable[Seen], *, but: int | None = None) -> tuple[Seen, ...]:
    """Return all processes below one of `roots`, parents before their children, without `but` and who is below it."""
    children: dict[int, list[Seen]] = {}
    for seen in table:
        if seen.pid != but:
            children.setdefault(seen.parent, []).append(seen)
    found: list[Seen] = []
    parents = list(roots)
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
        group=int(fields[2]),
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

    Who is below somebody else will never be below this one: who is known to be is looked at once. That has to be
    known, as a process may be seen before the parent that it has.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._pid = os.getpid()
        self._others: set[int] = set()
        self._looked_at = 0.0

    def look(self, *, anew: bool = False) -> tuple[Seen, ...]:
        """Return who is there and has not ended; with `anew` look at every process of the machine."""
        now = time.monotonic()
        pids = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208  # far from cheap as it is
        others = set() if anew or now - self._looked_at > MEMORY_SECONDS else self._others & pids
        table = [seen for pid in pids - others if (seen := stat_of(pid)) is not None]
        self._others = others.union(seen.pid for seen in below((0, *others), table, but=self._pid))
        self._looked_at = now
        return tuple(seen for seen in below((self._pid,), table) if not seen.is_ended)


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
    statms = {place: statm for seen in tree for place, statm in [statm_of(seen)] if statm}
    at_most = page * sum(map(pages_of, statms.values()))
    if at_most <= limit_bytes:
        return at_most
    total = 0
    for place in statms:
        try:
            total += proportional_bytes(content(f"{place}/smaps_rollup"))
        except ValueError:  # nor does it tell of who has ended meanwhile, and uses nothing any more
            total += page * own_pages_of(content(f"{place}/statm") or b"0 0 0")
    return total


def statm_of(seen: Seen) -> tuple[str, bytes]:
    """Return where the kernel tells of a process's memory, and what; nothing if it is gone.

    Of a process whose first thread has ended it tells by the others alone.
    """
    place = f"/proc/{seen.pid}"
    statm = content(f"{place}/statm")
    if statm and seen.threads > 1 and not pages_of(statm):
        with suppress(OSError):
            for task in os.listdir(f"{place}/task"):  # noqa: PTH208  # pathlib takes its time to load
                of_task = content(f"{place}/task/{task}/statm")
                if of_task and pages_of(of_task):
                    return f"{place}/task/{task}", of_task
    return place, statm


def has_run_out(events: bytes) -> bool:
    """Tell whether the kernel has killed in a control group for its memory, by what `memory.events` counts."""
    counts = dict(line.split() for line in events.splitlines())
    return int(counts.get(b"oom_kill", 0)) > 0


def exceeded(tree: tuple[Seen, ...], limits: Limits) -> str | None:
    """Return which limit processes exceed, by the name that `ShellStop` has for it."""
    tasks = sum(seen.threads for seen in tree)
    if len(tree) > limits.processes or tasks > limits.processes + TASKS_WATCHED:
        return "processes"
    return "memory" if memory_of(tree, limits.memory_bytes) > limits.memory_bytes else None


def signal_groups(tree: Iterable[Seen], number: int) -> None:
    """Send a signal to all process groups of `tree`.

    All at once, so that nobody who is born meanwhile is missed. A group has processes of the tree alone, as the tree
    began with a session of its own.
    """
    for seen in {seen.group: seen for seen in tree}.values():
        now = stat_of(seen.pid)
        if now is not None and (now.started, now.group) == (seen.started, seen.group):
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(seen.group, number)


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
    """End everything below this process, and in the control group; return the ids of those that cannot be.

    All are stopped before any is killed, or one would be born for each that dies.
    """
    if group is not None:
        write(f"{group}/cgroup.kill", "1")
    stopped: set[tuple[int, int]] = set()
    killed_at: dict[tuple[int, int], float] = {}
    while reap()[1]:
        found = {(seen.pid, seen.started): seen for seen in tree.look(anew=True)}
        if new := found.keys() - stopped:
            stopped |= new
            signal_groups((found[key] for key in new), signal.SIGSTOP)
            continue
        signal_groups(found.values(), signal.SIGKILL)
        now = time.monotonic()
        killed_at = {key: killed_at.get(key, now) for key in found}
        if found and all(now - at > GIVE_UP_SECONDS for at in killed_at.values()):
            return tuple(seen.pid for seen in found.values())
        time.sleep(PAUSE_SECONDS)
    return ()


def write(path: str, text: str) -> None:
    """Tell the kernel something, if it can be told."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


def become_parent_of_orphans(libc: ctypes.CDLL) -> None:
    """Become the parent of whoever loses theirs below.

    Raises:
        OSError: the kernel has no such parents.
    """
    if libc.prctl(_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "cannot be the parent of orphans")


def have_turns_first() -> None:
    """Have turns before all that is below, however many they are, where that is allowed."""
    with suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))


def shut_out_others(libc: ctypes.CDLL) -> None:
    """Let nobody of the same user, the program first of all, get at this process's memory and descriptors."""
    libc.prctl(_DUMPABLE, 0, 0, 0, 0)


def set_limits(limits: Limits) -> None:
    """Set the limits that hold for each process, and those that hold for all of the user's.

    Raises:
        OSError: one cannot be set.
    """
    lower(resource.RLIMIT_CORE, 0)
    lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    lower(resource.RLIMIT_DATA, MORE_THAN_USED * limits.memory_bytes)
    limit_tasks(limits.processes + TASKS_BESIDE)


def lower(kind: int, value: int) -> None:
    """Set a limit, unless there is a lower one."""
    _, highest = resource.getrlimit(kind)
    value = value if highest == resource.RLIM_INFINITY else min(value, highest)
    resource.setrlimit(kind, (value, value))


def limit_tasks(more: int) -> None:
    """Let the user have so many threads more than there are now, where there is such a limit at all: root has none.

    The kernel alone knows how many there are, those in other containers too; it tells by what it refuses.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    most = MOST_TASKS if hard == resource.RLIM_INFINITY else hard
    used = 1
    while used < most:
        resource.setrlimit(resource.RLIMIT_NPROC, (used, hard))
        try:
            pid = os.fork()
        except BlockingIOError:
            used *= 2
            continue
        if not pid:
            os._exit(0)
        os.waitpid(pid, 0)
        break
    if used == 1:
        resource.setrlimit(resource.RLIMIT_NPROC, (soft, hard))
    else:
        lower(resource.RLIMIT_NPROC, used + more)


def launch(task: Task, libc: ctypes.CDLL, outputs: tuple[int, int], report: int) -> tuple[int, bytes]:
    """Start the program; return its id, and which step to it failed, with the error's number: nothing if none did.

    Its id is told before it begins, as it may stop or end this process at once.
    """
    reading, writing = os.pipe()
    held, go = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(report)
        os.close(go)
        try:
            if os.read(held, 1):
                become(task, libc, outputs, failing=writing)
        finally:
            os._exit(127)
    os.close(writing)
    os.close(held)
    tell(pid=pid)
    with suppress(BrokenPipeError):  # it was ended meanwhile
        os.write(go, b".")
    os.close(go)
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
        libc.prctl(_DUMPABLE, 1, 0, 0, 0)  # or its own files in /proc are not its user's
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
    libc = ctypes.CDLL(None, use_errno=True)
    shut_out_others(libc)
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
    become_parent_of_orphans(libc)
    tree = Tree()
    limits = None
    if task["limits"] is not None:
        limits = Limits(*task["limits"])
        have_turns_first()
        tree.look()  # who is there already is looked at no more while it matters
    began = time.monotonic()
    try:
        pid, failure = launch(task, libc, outputs, report)
    except OSError as error:
        tell(failed=("process", error.errno))
        return
    for output in outputs:
        os.close(output)
    if failure:
        tell(failed=json.loads(failure))
        return
    tell(has_begun=True)
    status, stopped_at = None, None
    left: tuple[Seen, ...] = ()
    survivors: tuple[int, ...] = ()
    try:
        status, stopped_at = watch(pid, tree, limits, heard=heard)
    finally:
        seconds = time.monotonic() - began
        if status is None or not task["keeps"]:
            left = () if status is None else lingering(tree, limits)
            survivors = end_all(tree, task["group"])
    if task["group"] is not None:
        if has_run_out(content(f"{task['group']}/memory.events")):
            stopped_at = "memory"
        with suppress(OSError):
            os.rmdir(task["group"])  # noqa: PTH106  # pathlib takes its time to load
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
            began = time.process_time()
            stopped_at = exceeded(tree.look(), limits)
            if stopped_at is not None:
                return None, stopped_at
            took = time.process_time() - began
            pause = 1000 * min(max(LOOK_SECONDS, BUSY_SHARE * took), LONGEST_LOOK_SECONDS)
        for descriptor, _ in poll.poll(pause):
            is_told |= descriptor == control or not _TOLD.isdisjoint(os.read(heard, 1 << 10))


def lingering(tree: Tree, limits: Limits | None) -> tuple[Seen, ...]:
    """Return who is still there a moment after the program's end; the limit of processes holds for that moment, too."""
    most = 0 if limits is None else limits.processes
    until = time.monotonic() + LINGER_SECONDS
    while reap()[1]:
        found = tree.look(anew=True)
        if not 0 < len(found) <= most or time.monotonic() > until:
            return found
        time.sleep(0.001)
    return ()


def tell(**fields: object) -> None:
    """Say something to who wants to know, who may be gone."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{json.dumps(fields)}\n".encode())


if __name__ == "__main__":
    main()
