"""The machine, as far as operations may touch it: the one implementation of the port that they are given."""

from __future__ import annotations

import asyncio
import os
import stat
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import psutil

from logmonitor.hosting import (
    confinement,
    ending,
    finding,
    inspecting,
    launching,
    log_reading,
    network,
    process_table,
    usage,
)
from logmonitor.hosting.look_up import look_up
from logmonitor.machine import Process

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from logmonitor.hosting.process_table import Entry
    from logmonitor.log_slice import LogSlice, Selection
    from logmonitor.machine import (
        Completed,
        Ending,
        FileState,
        Launch,
        Origin,
        ProcessSelector,
        Response,
        Shell,
        ShellLimits,
        Usage,
    )

_UNSEEN: Final = (psutil.Error, FileNotFoundError)  # the latter where a process ends while it is looked at


class LocalHost:
    """The machine this process runs on."""

    async def read_file(self, path: Path, /, *, limit_bytes: int) -> bytes:
        """Read a regular file of at most `limit_bytes`.

        Raises:
            OSError: it cannot be read, is no regular file, or is larger.
        """
        return await asyncio.to_thread(_read_regular, path, limit_bytes)

    async def file_state(self, path: Path, /) -> FileState:
        """Return how a file stands.

        Raises:
            OSError: it is not there, or cannot be looked at.
        """
        return await look_up(("file", path), partial(log_reading.file_state, path))

    async def read_log(
        self, path: Path, selection: Selection, /, *, limit_bytes: int, owner: int | None = None
    ) -> LogSlice:
        """Return the selected lines of a log, at most the last `limit_bytes` of them.

        Where `owner` is given, the log has to be one that this user could have written, and no link in its place.

        Raises:
            OSError: it cannot be read, or is not that user's.
        """
        return await log_reading.read_log(path, selection, limit_bytes=limit_bytes, owner=owner)

    async def find(self, selector: ProcessSelector, /) -> tuple[Process, ...]:
        """Return the processes that are meant, of those in one tree the root alone; for a unit, its main process.

        Raises:
            HostError: it cannot be told.
        """
        return await finding.find(selector, run=self.run, describe=describe, listeners=listeners)

    async def is_running(self, process: Process, /) -> bool:
        """Tell whether this very process still runs; one that has ended and is not waited for does not."""
        return await asyncio.to_thread(process_table.is_running, process)

    async def inspect(self, process: Process, /) -> Origin:
        """Return what a process was started with.

        Raises:
            HostError: it is gone.
        """
        return await asyncio.to_thread(partial(inspecting.inspect, process, describe=describe))

    async def terminate(self, process: Process, /, *, timeout: float) -> Ending:  # noqa: ASYNC109  # until it is killed
        """Ask a process and all below it to end, and kill after `timeout` seconds what has not.

        Raises:
            HostError: it may not be signalled.
        """
        return await ending.terminate(process, timeout=timeout)

    async def rehearse(self, launch: Launch, /) -> None:
        """Take every step of starting a process but the last, so that what would fail does so before another is ended.

        Raises:
            HostError: it could not be started.
        """
        await launching.rehearse(launch)

    async def start(self, launch: Launch, /) -> Process:
        """Start a process that outlives this program.

        Raises:
            HostError: it cannot be started.
        """
        return await launching.start(launch, describe=describe)

    async def run(self, *argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # a deadline that ends the tree
        """Run a program to its end, with nothing to read; at the deadline end it and all that it started.

        Raises:
            HostError: it cannot be started.
            TimeoutError: it was ended at the deadline.
        """
        return await confinement.run(*argv, timeout=timeout)

    def shell(
        self, script: str, /, *, folder: Path, environ: Mapping[str, str], limits: ShellLimits
    ) -> AbstractAsyncContextManager[Shell]:
        """Run a script by `/bin/sh` while in this context; on leaving it, everything that was started is ended.

        Raises:
            HostError: it cannot be started.
        """
        return confinement.shell(script, folder=folder, environ=environ, limits=limits)

    async def fetch(self, url: str, /, *, timeout: float, limit_bytes: int) -> Response:  # noqa: ASYNC109  # of all of it
        """Ask for a URL by HTTP's GET; a redirection is not followed.

        Raises:
            HostError: there is no answer.
        """
        return await network.fetch(url, timeout=timeout, limit_bytes=limit_bytes)

    async def connect(self, host: str, port: int, /, *, timeout: float) -> float:  # noqa: ASYNC109  # of all of it
        """Connect to a TCP port and leave; return the seconds it took.

        Raises:
            HostError: nobody answers.
        """
        return await network.connect(host, port, timeout=timeout)

    async def usage(self, paths: Sequence[Path], /) -> Usage:
        """Return how busy the machine is, and how full the disks are on which `paths` lie."""
        memory = psutil.virtual_memory()
        return await usage.usage(
            paths,
            load=psutil.getloadavg(),
            cores=psutil.cpu_count() or 1,
            memory=(memory.total, memory.available),
            room=_room,
        )


def _read_regular(path: Path, limit_bytes: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(f"{path} is larger than {limit_bytes} bytes")
    return data


def describe(entry: Entry) -> Process | None:
    """Return a process as others are shown it; None if it is gone, or another has its id."""
    words = process_table.shown_words(entry.pid)
    with suppress(*_UNSEEN):
        seen = psutil.Process(entry.pid)
        with seen.oneshot():
            times = seen.cpu_times()
            process = Process(
                pid=entry.pid,
                created=entry.created,
                name=os.fsdecode(process_table.full_name(entry.name, words)),
                argv=tuple(os.fsdecode(word) for word in words),
                parent=seen.ppid(),
                user=seen.username(),
                started_at=datetime.fromtimestamp(process_table.started_at(entry), UTC),
                memory_bytes=seen.memory_info().rss,
                cpu_seconds=times.user + times.system,
            )
        return process if process_table.is_same(process, process_table.entry_of(entry.pid)) else None
    return None


def listeners(port: int) -> set[tuple[int | None, int]]:
    """Return by which descriptor of which process each TCP socket is held that listens on a port.

    Of those who share it that is any one; its id is None where this user may see none of them.
    """
    return {
        (connection.pid, connection.fd)
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,)
    }


def _room(path: Path) -> tuple[int, int]:
    disk = psutil.disk_usage(os.fspath(path))
    return disk.used, disk.free
