"""The processes that are meant, found."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logmonitor.errors import HostError
from logmonitor.hosting.process_table import (
    above,
    below,
    full_name,
    read_table,
    roots,
    shown_words,
    started_at,
    status_of,
)
from logmonitor.hosting.unit import main_processes
from logmonitor.pattern import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator
    from pathlib import Path

    from logmonitor.hosting.process_table import Entry, Table
    from logmonitor.machine import Completed, Process, ProcessSelector

    Listener = tuple[int | None, int]

_PID_FILE_BYTES: Final = 4096
_LONGEST_PID: Final = 10
_SLACK: Final = 2.0


async def find(
    selector: ProcessSelector,
    *,
    run: Callable[..., Awaitable[Completed]],
    describe: Callable[[Entry], Process | None],
    listeners: Callable[[int], Collection[Listener]],
) -> tuple[Process, ...]:
    """Return the processes that are meant.

    `run` asks managers of units, `describe` tells of a process what others are shown, and `listeners` of a port by
    which descriptor of which process each socket is held on which somebody listens, of those who share it any one.

    Raises:
        HostError: it cannot be told.
    """
    pids = None if selector.unit is None else await main_processes(*selector.unit, run=run)
    return await asyncio.to_thread(_find, selector, pids, describe, listeners)


def _find(
    selector: ProcessSelector,
    of_unit: tuple[int, ...] | None,
    describe: Callable[[Entry], Process | None],
    listeners: Callable[[int], Collection[Listener]],
) -> tuple[Process, ...]:
    table = read_table()
    ours = {os.getpid(), *above(os.getpid(), table)} | below((os.getpid(),), table)
    others = {pid: entry for pid, entry in table.items() if pid not in ours}
    if not ours.isdisjoint(of_unit or ()):
        raise HostError(f"{selector.text} is what logmonitor itself runs in; expected a bot's")
    meant = set(_meant(selector, others, listeners) if of_unit is None else of_unit)
    found = (describe(entry) for entry in roots(meant, others))
    return tuple(process for process in found if process is not None)


def _meant(selector: ProcessSelector, table: Table, listeners: Callable[[int], Collection[Listener]]) -> Iterator[int]:
    if selector.pid_file is not None:
        yield from _in_file(selector.pid_file, table)
    elif selector.port is not None:
        yield from _listening(selector.port, listeners(selector.port), table)
    elif selector.process is not None:
        yield from _called(os.fsencode(selector.process), table)
    elif selector.command is not None:
        yield from _showing(selector.command, table)


def _called(name: bytes, table: Table) -> Iterator[int]:
    for entry in table.values():
        if not entry.is_kernel_thread:
            words = shown_words(entry.pid)
            if name in (entry.name, full_name(entry.name, words), *(word.rpartition(b"/")[2] for word in words[:1])):
                yield entry.pid


def _showing(pattern: str, table: Table) -> Iterator[int]:
    compiled = compile_pattern(pattern)
    for entry in table.values():
        words = shown_words(entry.pid)
        if words and compiled.search(b" ".join(words).rstrip().decode("utf-8", "replace")):
            yield entry.pid


def _in_file(path: Path, table: Table) -> Iterator[int]:
    try:
        pid, written_at, owners = _read_pid_file(path)
    except FileNotFoundError:  # a bot that ends in order takes it away
        return
    except OSError as error:
        raise HostError(f"cannot read pid file {path}: {error.strerror}") from None
    entry = table.get(pid)
    if entry is None or started_at(entry) > written_at + _SLACK:
        return
    user = status_of(pid).get("Uid", "").split()[:1]
    if user and any(user != [str(owner)] for owner in owners):
        raise HostError(f"pid file {path} can be written by others than the user of process {pid}, which it names")
    yield pid


def _read_pid_file(path: Path) -> tuple[int, float, set[int]]:
    """Return the id in a pid file, when that was written, and the users of whom alone it may name a process.

    Who else than root and this user may write it, or lead to it by a link, could have this program end anybody's.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise HostError(f"pid file {path} is not a regular file")
        if status.st_mode & stat.S_IWOTH:
            raise HostError(f"pid file {path} can be written by others; expected its owner alone to")
        owners = {owner for owner in (status.st_uid, path.lstat().st_uid) if owner not in (0, os.geteuid())}
        if status.st_mode & stat.S_IWGRP:
            owners.add(status.st_uid)
        word = next(iter(file.read(_PID_FILE_BYTES).split()), b"")
    if not word.isdigit() or len(word) > _LONGEST_PID or int(word) == 0:
        raise HostError(f"pid file {path} begins with {word.decode('utf-8', 'replace')!r}; expected a process id")
    return int(word), status.st_mtime, owners


def _listening(port: int, listeners: Collection[Listener], table: Table) -> set[int]:
    if listeners and all(pid is None for pid, _ in listeners):
        raise HostError(f"something listens on port {port}, and this user may not see what")
    links = (_link(b"/proc/%d/fd/%d" % (pid, number)) for pid, number in listeners if pid is not None)
    sockets = {link for link in links if link is not None}
    return {entry.pid for entry in table.values() if not sockets.isdisjoint(_links(entry.pid))}


def _links(pid: int) -> Iterator[bytes | None]:
    folder = b"/proc/%d/fd" % pid
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for name in os.listdir(folder):  # noqa: PTH208 - thousands of names
            yield _link(folder + b"/" + name)


def _link(path: bytes) -> bytes | None:
    with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        return os.readlink(path)  # noqa: PTH115 - as the kernel writes it, which is no path
    return None
