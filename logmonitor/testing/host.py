"""A machine in memory."""

from __future__ import annotations

import errno
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import re2

from logmonitor.errors import HostError
from logmonitor.log_slice import LastLines, LogSlice, MatchingLines
from logmonitor.machine import (
    Completed,
    Ending,
    FileState,
    Origin,
    Process,
    ShellEnd,
    Stream,
    StreamKind,
    Usage,
)
from logmonitor.testing.clock import START

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from logmonitor.log_slice import Selection
    from logmonitor.machine import Launch, ProcessSelector, Response, Shell, ShellLimits

_CREATED = START.timestamp()


@dataclass(slots=True, kw_only=True)
class FakeShell:
    """What a shell command does: the pieces that it writes, and its end, for which `finish` may be waited for."""

    pieces: tuple[bytes, ...] = ()
    ending: ShellEnd = field(default_factory=lambda: ShellEnd(exit_code=0, stopped_at=None, seconds=0.1))
    finish: asyncio.Event | None = None
    is_ended: bool = False

    async def output(self) -> AsyncIterator[bytes]:
        """Yield the pieces, then wait for `finish`."""
        for piece in self.pieces:
            yield piece
        if self.finish is not None:
            await self.finish.wait()

    async def end(self) -> ShellEnd:
        """Return how it ended, once `finish` is set."""
        if self.finish is not None:
            await self.finish.wait()
        return self.ending


class FakeHost:
    """A machine that consists of what a test puts into it, and that records what is done to it.

    `files` are contents by path, `owners` the users of those that not everybody may write. `processes` are those that
    run, `origins` what they were started with where that matters, `obstacles` what keeps a program from being started,
    by its path, `successors` what takes the place of one that is terminated, as a supervisor brings it back. A program
    that is run gives the first of `answers` whose words begin its own; a URL or an address gives what stands in
    `services`, an error of which is raised.
    """

    def __init__(self) -> None:
        """Start without anything."""
        self.files: dict[Path, bytes] = {}
        self.owners: dict[Path, int] = {}
        self.processes: list[Process] = []
        self.matching: Callable[[ProcessSelector, Process], bool] = lambda _selector, _process: True
        self.origins: dict[int, Origin] = {}
        self.successors: dict[int, Process] = {}
        self.endings: dict[int, Ending] = {}
        self.obstacles: dict[Path, HostError] = {}
        self.answers: dict[tuple[str, ...], Completed | Exception] = {}
        self.services: dict[str, Response | float | Exception] = {}
        self.shells: list[FakeShell] = []
        self.machine = Usage(
            load=(0.1, 0.2, 0.3), cores=2, memory_bytes=4 << 30, memory_available_bytes=3 << 30, disks=()
        )
        self.started: list[Launch] = []
        self.terminated: list[int] = []
        self.ran: list[tuple[str, ...]] = []
        self.scripts: list[tuple[str, Path, Mapping[str, str], ShellLimits]] = []

    def add_process(self, pid: int, *argv: str, parent: int = 1, created: float = _CREATED) -> Process:
        """Let a process run, with its words."""
        process = Process(
            pid=pid,
            created=created,
            name=argv[0].rpartition("/")[2] if argv else "",
            argv=argv,
            parent=parent,
            user="ann",
            started_at=START,
            memory_bytes=50 << 20,
            cpu_seconds=1.0,
        )
        self.processes.append(process)
        return process

    async def read_file(self, path: Path, /, *, limit_bytes: int) -> bytes:
        """Return what the test put at `path`."""
        data = self._content(path)
        if len(data) > limit_bytes:
            raise OSError(f"{path} is larger than {limit_bytes} bytes")
        return data

    async def file_state(self, path: Path, /) -> FileState:
        """Return the size of what the test put at `path`."""
        return FileState(size_bytes=len(self._content(path)), modified_at=START)

    async def read_log(
        self, path: Path, selection: Selection, /, *, limit_bytes: int, owner: int | None = None
    ) -> LogSlice:
        """Return the selected lines of what the test put at `path`; all of them for a selection by time."""
        if owner is not None and self.owners.get(path, owner) != owner:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        data = self._content(path)
        lines = data.splitlines(keepends=True)
        if isinstance(selection, MatchingLines):
            lines = [line for line in lines if re2.search(selection.pattern, line.decode("utf-8", "replace"))]
        count = selection.count if isinstance(selection, LastLines | MatchingLines) else None
        if isinstance(selection, LastLines) and count is not None:
            lines = lines[-count:]
        found = len(lines)
        kept: list[bytes] = []
        for line in reversed(lines if count is None else lines[-count:]):
            limit_bytes -= len(line)
            if limit_bytes < 0:
                break
            kept.insert(0, line)
        return LogSlice(data=b"".join(kept), lines=len(kept), found=found, size_bytes=len(data))

    async def find(self, selector: ProcessSelector, /) -> tuple[Process, ...]:
        """Return the processes that `matching` finds meant by the selector; all of them without one."""
        return tuple(process for process in self.processes if self.matching(selector, process))

    async def is_running(self, process: Process, /) -> bool:
        """Tell whether the process is among those that run."""
        return any((one.pid, one.created) == (process.pid, process.created) for one in self.processes)

    async def inspect(self, process: Process, /) -> Origin:
        """Return what the test says that it was started with, else something plain that can be started again."""
        if not await self.is_running(process):
            raise HostError(f"process {process.pid} is gone")
        return self.origins.get(process.pid, self.origin_of(process))

    def origin_of(self, process: Process) -> Origin:
        """Return something plain that a process may have been started with, its outputs to nowhere."""
        return Origin(
            process=process,
            argv=tuple(word.encode() for word in process.argv),
            executable=Path("/usr/bin") / process.name,
            is_executable_gone=False,
            environ=(b"HOME=/home/ann",),
            folder=Path("/home/ann"),
            uid=1000,
            gid=1000,
            groups=(1000,),
            umask=0o22,
            limits=(),
            stdout=Stream(kind=StreamKind.NULL),
            stderr=Stream(kind=StreamKind.NULL),
            is_contained=False,
            parent=None,
            unit=None,
        )

    async def terminate(self, process: Process, /, *, timeout: float) -> Ending:  # noqa: ASYNC109  # as the port has it
        """End a process; its successor begins."""
        if not await self.is_running(process):
            return Ending()
        self.terminated.append(process.pid)
        ending = self.endings.get(process.pid, Ending(seconds=min(0.1, timeout)))
        if process.pid not in ending.survivors:
            self.processes.remove(process)
        if process.pid in self.successors:
            self.processes.append(self.successors[process.pid])
        return ending

    async def rehearse(self, launch: Launch, /) -> None:
        """Raise what the test says keeps a program from being started."""
        if launch.executable in self.obstacles:
            raise self.obstacles[launch.executable]

    async def start(self, launch: Launch, /) -> Process:
        """Let a process run with the words of `launch`, unless something keeps it from that."""
        await self.rehearse(launch)
        self.started.append(launch)
        pid = max((process.pid for process in self.processes), default=1000) + 1
        process = self.add_process(pid, *(word.decode() for word in launch.argv), created=_CREATED + pid)
        return replace(process)

    async def run(self, *argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # as the port has it
        """Return what the test has for a program."""
        self.ran.append(argv)
        for words, answer in self.answers.items():
            if argv[: len(words)] == words:
                if isinstance(answer, Exception):
                    raise answer
                return replace(answer, argv=argv)
        raise HostError(f"cannot start {argv[0]!r}: no such program; {timeout:g} s were given")

    @asynccontextmanager
    async def shell(
        self, script: str, /, *, folder: Path, environ: Mapping[str, str], limits: ShellLimits
    ) -> AsyncIterator[Shell]:
        """Run the next of `shells`."""
        self.scripts.append((script, folder, environ, limits))
        shell = self.shells.pop(0) if self.shells else FakeShell()
        try:
            yield shell
        finally:
            shell.is_ended = True

    async def fetch(self, url: str, /, *, timeout: float, limit_bytes: int) -> Response:  # noqa: ASYNC109  # the same
        """Return what the test has for a URL."""
        answer = self._service(url, timeout)
        if isinstance(answer, float | int):
            raise HostError(f"{url!r} speaks no HTTP")
        return replace(answer, body=answer.body[:limit_bytes])

    async def connect(self, host: str, port: int, /, *, timeout: float) -> float:  # noqa: ASYNC109  # the same
        """Return the seconds that the test has for an address."""
        answer = self._service(f"{host}:{port}", timeout)
        return answer if isinstance(answer, float | int) else answer.seconds

    async def usage(self, paths: Sequence[Path], /) -> Usage:
        """Return what the test says of the machine; the disks of `paths` where it names such."""
        disks = tuple(disk for disk in self.machine.disks if disk.path in paths)
        return replace(self.machine, disks=disks)

    def _content(self, path: Path) -> bytes:
        try:
            return self.files[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    def _service(self, name: str, timeout: float) -> Response | float:
        answer = self.services.get(name, HostError(f"{name} does not answer within {timeout:g} s"))
        if isinstance(answer, Exception):
            raise answer
        return answer
