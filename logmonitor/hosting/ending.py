"""A process and all below it, ended."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.errors import HostError
from logmonitor.hosting.process_table import above, below, entry_of, is_same, read_table
from logmonitor.machine import Ending

if TYPE_CHECKING:
    from logmonitor.hosting.process_table import Entry, Table
    from logmonitor.machine import Process

_SHORTEST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_PAUSE_PER_SCAN: Final = 5.0
_UNTIL_KILLED: Final = 5.0
_FREEZING_ROUNDS: Final = 100
_FREEZING_PAUSE: Final = 0.001
_STILL: Final = frozenset({"T", "t", "D", "Z", "X"})
_NO_PIDFD: Final = frozenset({errno.ENOSYS, errno.EPERM, errno.EINVAL})


async def terminate(process: Process, *, timeout: float) -> Ending:  # noqa: ASYNC109  # until it is killed
    """Ask a process and all below it to end, and kill after `timeout` seconds what has not.

    What joins them meanwhile is treated the same, and so is all in a session that one of them leads. What was stopped
    is woken, so that it can end.

    Raises:
        HostError: it may not be signalled, or this program is below it.
    """
    began = time.monotonic()
    tree = _Tree(process)
    await asyncio.to_thread(tree.ask)
    while tree.left and time.monotonic() < began + timeout:
        await asyncio.sleep(min(tree.pause, max(0.0, began + timeout - time.monotonic())))
        await asyncio.to_thread(tree.ask)
    given_up_at = time.monotonic() + _UNTIL_KILLED
    while tree.left - tree.forbidden and time.monotonic() < given_up_at:
        await asyncio.to_thread(tree.kill)
        await asyncio.sleep(tree.pause)
        await asyncio.to_thread(tree.look)
    return Ending(
        killed=tuple(sorted(tree.killed - tree.left)),
        survivors=tuple(sorted(tree.left)),
        seconds=time.monotonic() - began,
    )


class _Tree:
    """A process and all that belongs to it, as it changes; `left` are those that still run.

    Each is known by its id and its start, and a signal goes to that one or to none.
    """

    def __init__(self, process: Process) -> None:
        self.left: set[int] = set()
        self.killed: set[int] = set()
        self.forbidden: set[int] = set()
        self.pause = _SHORTEST_PAUSE
        self._root = process.pid
        self._ticks: dict[int, int] = {}
        self._sessions: set[int] = set()
        self._asked: set[int] = set()
        entry = entry_of(process.pid)
        if entry is not None and is_same(process, entry):
            self._ticks[process.pid] = entry.ticks

    def ask(self) -> None:
        """Ask those who have not been asked yet to end, the one above all others first."""
        for entry in self._scan():
            if entry.pid not in self._asked:
                self._asked.add(entry.pid)
                self._signal(entry.pid, signal.SIGTERM)
                self._signal(entry.pid, signal.SIGCONT)
            if entry.pid == self._root and entry.pid in self.forbidden:
                raise HostError(f"this user may not end process {entry.pid}")

    def kill(self) -> None:
        """Kill all, once all stand still: what is killed while it forks leaves a child that nobody knows."""
        stopped: set[int] = set()
        for _ in range(_FREEZING_ROUNDS):
            entries = self._scan()
            fresh = {entry.pid for entry in entries} - stopped
            for pid in fresh:
                self._signal(pid, signal.SIGSTOP)
            if not fresh and all(entry.state in _STILL or entry.pid in self.forbidden for entry in entries):
                break
            stopped |= fresh
            time.sleep(_FREEZING_PAUSE)
        for pid in self.left:
            self._signal(pid, signal.SIGKILL)
            self.killed.add(pid)

    def look(self) -> None:
        """Look who is left."""
        self._scan()

    def _scan(self) -> list[Entry]:
        began = time.monotonic()
        table = read_table()
        self._gather(table)
        self.left = {pid for pid in self._ticks if self._is_known(pid, table) and not table[pid].is_ended}
        self.pause = min(max(_SHORTEST_PAUSE, _PAUSE_PER_SCAN * (time.monotonic() - began)), _LONGEST_PAUSE)
        return sorted((table[pid] for pid in self.left), key=lambda entry: (entry.pid != self._root, entry.ticks))

    def _gather(self, table: Table) -> None:
        ourselves = {os.getpid(), *above(os.getpid(), table)}
        known: set[int] = set()
        found = {pid for pid in self._ticks if self._is_known(pid, table)}
        while found - known:
            known |= found
            self._sessions |= {pid for pid in known if table[pid].session == pid} - {os.getsid(0)}
            in_sessions = {entry.pid for entry in table.values() if entry.session in self._sessions}
            found = below(known | in_sessions, table)
        if known & ourselves:
            raise HostError(f"process {self._root} is what started this program; ending it would end this one, too")
        self._ticks |= {pid: table[pid].ticks for pid in known}
        self._sessions &= {table[pid].session for pid in known}

    def _is_known(self, pid: int, table: Table) -> bool:
        return pid in table and table[pid].ticks == self._ticks[pid]

    def _signal(self, pid: int, number: signal.Signals) -> None:
        try:
            self._send(pid, number)
        except ProcessLookupError:
            return
        except PermissionError:
            self.forbidden.add(pid)

    def _send(self, pid: int, number: signal.Signals) -> None:
        """Send a signal to a process that is known: what is opened before it is found to be that one, is that one."""
        try:
            descriptor = os.pidfd_open(pid)
        except OSError as error:
            if error.errno not in _NO_PIDFD:
                raise
            descriptor = -1
        try:
            entry = entry_of(pid)
            if entry is None or entry.ticks != self._ticks[pid]:
                raise ProcessLookupError
            if descriptor >= 0:
                signal.pidfd_send_signal(descriptor, number)
            else:
                os.kill(pid, number)
        finally:
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)
