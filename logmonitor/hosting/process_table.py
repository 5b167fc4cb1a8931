"""The processes of this machine as `/proc` shows them, each told from another of the same id.

A process is known by its id and by when it was started, in the kernel's own ticks since the machine came up: no step of
a clock changes that. `Process.created` is made from it with one and the same time of the machine's start for as long as
this program runs. That, sessions, bytes as they are and threads of the kernel are what a library of processes does not
tell; what it does tell is read by it, in `host`.
"""

from __future__ import annotations

import errno
import os
import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from logmonitor.machine import Process

_ENDED: Final = frozenset({"Z", "X", "x"})
_KERNEL_THREAD: Final = 0x0020_0000
_NAME_BYTES: Final = 15
_UNSEEN: Final = frozenset({errno.ENOENT, errno.ESRCH, errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What `/proc/PID/stat` says of a process; `ticks` is when it was started."""

    pid: int
    parent: int
    name: bytes
    state: str
    group: int
    session: int
    threads: int
    ticks: int
    is_kernel_thread: bool

    @property
    def is_ended(self) -> bool:
        """Whether it only waits to be noticed; a process whose first thread has left the others behind does not."""
        return self.state in _ENDED and self.threads <= 1

    @property
    def created(self) -> float:
        """When it was started, in seconds since 1970, the same for the same process every time."""
        return _machine_started() + self.ticks / _ticks_per_second()


Table = dict[int, Entry]


def parse_entry(data: bytes) -> Entry:
    """Read a line of `/proc/PID/stat`; a process's name may hold anything, brackets and blanks too."""
    before, _, after = data.rpartition(b")")
    pid, _, name = before.partition(b" (")
    fields = after.split()
    return Entry(
        pid=int(pid),
        parent=int(fields[1]),
        name=name,
        state=fields[0].decode("ascii"),
        group=int(fields[2]),
        session=int(fields[3]),
        threads=int(fields[17]),
        ticks=int(fields[19]),
        is_kernel_thread=bool(int(fields[6]) & _KERNEL_THREAD),
    )


def entry_of(pid: int) -> Entry | None:
    """Return the process that has this id now, ended or not; None if there is none."""
    data = read_of(pid, "stat")
    return parse_entry(data) if data else None


def read_table() -> Table:
    """Return every process of this moment that can be seen, by its id."""
    entries = (entry_of(int(name)) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208 - hundreds of names
    return {entry.pid: entry for entry in entries if entry is not None}


def read_of(pid: int, name: str) -> bytes | None:
    """Return a file of `/proc/PID`; None if the process is gone, or this user may not see it."""
    try:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            return file.readall()
    except OSError as error:
        if error.errno in _UNSEEN:
            return None
        raise


def is_same(process: Process, entry: Entry | None) -> bool:
    """Tell whether what has a process's id now is that very process, ended or not."""
    return entry is not None and entry.ticks == ticks_of(process)


def ticks_of(process: Process) -> int:
    """Return when a process was started in the kernel's ticks."""
    return round((process.created - _machine_started()) * _ticks_per_second())


def is_running(process: Process) -> bool:
    """Tell whether this very process still runs."""
    entry = entry_of(process.pid)
    return entry is not None and is_same(process, entry) and not entry.is_ended


def words_of(pid: int) -> tuple[bytes, ...]:
    """Return the words a process shows; none if it is gone, is a thread of the kernel's, or shows none."""
    data = read_of(pid, "cmdline") or b""
    return tuple(data.removesuffix(b"\0").split(b"\0")) if data else ()


def shown_words(pid: int) -> tuple[bytes, ...]:
    """Return the words a process shows, without the empty place that a title written over them leaves behind it."""
    words = words_of(pid)
    return words if any(words[1:]) else words[:1]


def full_name(name: bytes, words: tuple[bytes, ...]) -> bytes:
    """Return a process's name, which the kernel cuts, as its words show it whole."""
    if len(name) < _NAME_BYTES:
        return name
    candidates = (word.rpartition(b"/")[2] for word in words[:2])
    return next((candidate for candidate in candidates if candidate.startswith(name)), name)


def status_of(pid: int) -> Mapping[str, str]:
    """Return the rows of `/proc/PID/status`; none if the process is gone."""
    text = (read_of(pid, "status") or b"").decode("ascii", "replace")
    rows = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in rows}


def started_at(entry: Entry) -> float:
    """Return when a process was started as the clock of now counts, in seconds since 1970, to hundredths."""
    return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + entry.ticks / _ticks_per_second(), 2)


def below(roots: Iterable[int], table: Table) -> set[int]:
    """Return the ids of all processes below those in `roots`, and these."""
    children: dict[int, list[int]] = {}
    for entry in table.values():
        children.setdefault(entry.parent, []).append(entry.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children.get(pid, ())
    return found


def above(pid: int, table: Table) -> list[int]:
    """Return the ids of the processes above one, the nearest first."""
    found: list[int] = []
    while (entry := table.get(pid)) is not None and entry.parent not in (0, *found):
        pid = entry.parent
        found.append(pid)
    return found


def roots(pids: Collection[int], table: Table) -> list[Entry]:
    """Return of some processes those that are below none of the others and have not ended, the eldest first."""
    running = {pid for pid in pids if pid in table and not table[pid].is_ended}
    topmost = (table[pid] for pid in running if running.isdisjoint(above(pid, table)))
    return sorted(topmost, key=lambda entry: (entry.ticks, entry.pid))


@cache
def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


@cache
def _machine_started() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
