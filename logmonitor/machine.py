"""The contract of the machine: processes, logs, shells and services, as far as an operation may touch them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from logmonitor.errors import OperationError
from logmonitor.pattern import compile_pattern

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from logmonitor.log_slice import LogSlice, Selection

_LAST_PORT = 65535


class Manager(StrEnum):
    """What keeps processes as units with names, and is asked to restart them."""

    SYSTEMD = "systemd"
    PM2 = "pm2"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessSelector:
    """Which process is meant, by exactly one of these.

    `process` is its name, `command` a pattern (RE2 syntax) for its words joined by spaces, `pid_file` a file that holds
    its id, `port` a TCP port on which it listens; the others are names of units, for systemd `user:NAME` for one of
    this user's own.

    Raises:
        OperationError: none or several are given, or one cannot be.
        PatternError: `command` is refused.
    """

    process: str | None = None
    command: str | None = None
    pid_file: Path | None = None
    port: int | None = None
    systemd: str | None = None
    pm2: str | None = None
    supervisor: str | None = None

    def __post_init__(self) -> None:
        """Refuse what names nothing, or could name two."""
        given = [name for name in self.__slots__ if getattr(self, name) is not None]
        if len(given) != 1:
            found = "none" if not given else " and ".join(given)
            raise OperationError(f"expected one of {', '.join(self.__slots__)} to say which process; found {found}")
        if getattr(self, given[0]) == "":
            raise OperationError(f"bad {given[0]} ''; expected a text that is not empty")
        if self.port is not None and not 0 < self.port <= _LAST_PORT:
            raise OperationError(f"bad port {self.port!r}; expected 1 to {_LAST_PORT}")
        if self.command is not None:
            compile_pattern(self.command)

    @property
    def unit(self) -> tuple[Manager, str] | None:
        """The unit that is meant and what keeps it; None where a process is meant."""
        for manager in Manager:
            name = getattr(self, manager)
            if name is not None:
                return manager, name
        return None

    @property
    def text(self) -> str:
        """What was given, as `port 8080`."""
        return next(f"{name} {value}" for name in self.__slots__ if (value := getattr(self, name)) is not None)


def selector_of(
    *,
    process: str | None = None,
    command: str | None = None,
    pid_file: str | Path | None = None,
    port: int | None = None,
    systemd: str | None = None,
    pm2: str | None = None,
    supervisor: str | None = None,
) -> ProcessSelector | None:
    """Return which process is meant by what an operation was given; None where that is nothing.

    Raises:
        OperationError: several are given, or one cannot be.
        PatternError: `command` is refused.
    """
    path = None if pid_file is None else Path(pid_file)
    if all(given is None for given in (process, command, path, port, systemd, pm2, supervisor)):
        return None
    return ProcessSelector(
        process=process, command=command, pid_file=path, port=port, systemd=systemd, pm2=pm2, supervisor=supervisor
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process. Its id may be given to another one after it; with `created` (seconds since 1970) it is never another.

    `argv` are its words, what is no UTF-8 in them as lone surrogates. `parent` is the id of its parent. `cpu_seconds`
    is the time it has used since its start.
    """

    pid: int
    created: float
    name: str
    argv: tuple[str, ...]
    parent: int
    user: str
    started_at: datetime
    memory_bytes: int
    cpu_seconds: float


class StreamKind(StrEnum):
    """Where an output of a process goes."""

    FILE = "file"
    NULL = "null"
    PIPE = "pipe"
    SOCKET = "socket"
    TERMINAL = "terminal"
    CLOSED = "closed"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An output of a process; `path` is that of a file, the one it was opened by if it has been rotated away since."""

    kind: StreamKind
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a process was started with, as far as it can be seen; what cannot is None.

    `argv` is empty where it shows none, or has written a title over them. `executable` is the file it runs,
    `is_executable_gone` says that nothing is there any more. `environ` are texts `NAME=value`. `limits` are triples of
    a resource's number (`resource.RLIMIT_*`) and its soft and hard limit, -1 for none. `is_contained` says that it
    lives in a container, or sees other files, users or processes than this program. `unit` is the systemd service that
    it belongs to, as a `ProcessSelector` has it; what this program started lives in its own service, and has none.
    """

    process: Process
    argv: tuple[bytes, ...]
    executable: Path | None
    is_executable_gone: bool
    environ: tuple[bytes, ...] | None
    folder: Path | None
    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int | None
    limits: tuple[tuple[int, int, int], ...]
    stdout: Stream
    stderr: Stream
    is_contained: bool
    parent: Process | None
    unit: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How to start a process, in a session of its own and with nothing to read.

    `stdout` and `stderr` are files that are appended to, None for nowhere. The fields are those of `Origin`.
    """

    executable: Path
    argv: tuple[bytes, ...]
    environ: tuple[bytes, ...]
    folder: Path
    uid: int
    gid: int
    groups: tuple[int, ...]
    umask: int
    limits: tuple[tuple[int, int, int], ...] = ()
    stdout: Path | None = None
    stderr: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a process and all below it ended: the ids of those that had to be killed, and of those that are still there.

    `seconds` is how long it took.
    """

    killed: tuple[int, ...] = ()
    survivors: tuple[int, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A program that has ended: what it wrote, each output cut at a megabyte, and its exit code (-9: by signal 9)."""

    argv: tuple[str, ...]
    exit_code: int
    stdout: str
    stderr: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellLimits:
    """What a shell command may use, with all that it starts: memory as a whole, what it writes, time, processes."""

    timeout: float = 60.0
    output_bytes: int = 1 << 20
    memory_bytes: int = 1 << 29
    processes: int = 64

    def __post_init__(self) -> None:
        """Refuse what nothing could run in."""
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise OperationError(f"bad {name} {getattr(self, name)!r}; expected more than 0")


class ShellStop(StrEnum):
    """Which limit a shell command was ended at."""

    TIME = "time"
    OUTPUT = "output"
    MEMORY = "memory"
    PROCESSES = "processes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellEnd:
    """How a shell command ended: by itself with `exit_code` (-9: by signal 9), or at a limit.

    Neither says that it was ended from outside. `left` counts processes that it had left behind, and that were ended
    with it; `survivors` are the ids of those that could not be, as they are another user's.
    """

    exit_code: int | None
    stopped_at: ShellStop | None
    seconds: float
    left: int = 0
    survivors: tuple[int, ...] = ()


class Shell(Protocol):
    """A shell command at work."""

    def output(self) -> AsyncIterator[bytes]:
        """Yield what it writes, both outputs together, as it comes; ends when it has ended."""

    async def end(self) -> ShellEnd:
        """Wait until it has ended, and everything that it started with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer over HTTP; `body` is its beginning."""

    status: int
    body: bytes
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """How a file stands; `modified_at` is aware UTC."""

    size_bytes: int
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """How full the disk is that `path` lies on."""

    path: Path
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How busy the machine is; `load` is the mean number of running processes in the last 1, 5 and 15 minutes."""

    load: tuple[float, float, float]
    cores: int
    memory_bytes: int
    memory_available_bytes: int
    disks: tuple[DiskUsage, ...]


class Host(Protocol):
    """The machine, as far as an operation may touch it. What it refuses or cannot do is a `HostError`."""

    async def read_file(self, path: Path, /, *, limit_bytes: int) -> bytes:
        """Read a regular file of at most `limit_bytes`.

        Raises:
            OSError: it cannot be read, is no regular file, or is larger.
        """

    async def file_state(self, path: Path, /) -> FileState:
        """Return how a file stands.

        Raises:
            OSError: it is not there, or cannot be looked at.
        """

    async def read_log(
        self, path: Path, selection: Selection, /, *, limit_bytes: int, owner: int | None = None
    ) -> LogSlice:
        """Return the selected lines of a log, at most the last `limit_bytes` of them.

        Where `owner` is given, the log has to be one that this user could have written, and no link in its place.

        Raises:
            OSError: it cannot be read, or is not that user's.
        """

    async def find(self, selector: ProcessSelector, /) -> tuple[Process, ...]:
        """Return the processes that are meant, of those in one tree the root alone; for a unit, its main process.

        Never among them: this program, what started it, and what it started. A process that is gone by now is not
        found by its pid file, nor one that came to be after the file was written.

        Raises:
            HostError: it cannot be told, as where no pid stands in a pid file or a unit's manager does not answer.
        """

    async def is_running(self, process: Process, /) -> bool:
        """Tell whether this very process still runs; one that has ended and is not waited for does not."""

    async def inspect(self, process: Process, /) -> Origin:
        """Return what a process was started with.

        Raises:
            HostError: it is gone.
        """

    async def terminate(self, process: Process, /, *, timeout: float) -> Ending:  # noqa: ASYNC109  # until it is killed
        """Ask a process and all below it to end, and kill after `timeout` seconds what has not.

        Raises:
            HostError: it may not be signalled.
        """

    async def rehearse(self, launch: Launch, /) -> None:
        """Take every step of starting a process but the last, so that what would fail does so before another is ended.

        Raises:
            HostError: it could not be started.
        """

    async def start(self, launch: Launch, /) -> Process:
        """Start a process that outlives this program.

        Raises:
            HostError: it cannot be started.
        """

    async def run(self, *argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # a deadline that ends the tree
        """Run a program to its end, with nothing to read; at the deadline end it and all that it started.

        Raises:
            HostError: it cannot be started.
            TimeoutError: it was ended at the deadline.
        """

    def shell(
        self, script: str, /, *, folder: Path, environ: Mapping[str, str], limits: ShellLimits
    ) -> AbstractAsyncContextManager[Shell]:
        """Run a script by `/bin/sh` while in this context; on leaving it, everything that was started is ended.

        That holds for what has put itself into a session of its own or lost its parent, too.

        Raises:
            HostError: it cannot be started.
        """

    async def fetch(self, url: str, /, *, timeout: float, limit_bytes: int) -> Response:  # noqa: ASYNC109  # of all of it
        """Ask for a URL by HTTP's GET; a redirection is not followed.

        Raises:
            HostError: there is no answer.
        """

    async def connect(self, host: str, port: int, /, *, timeout: float) -> float:  # noqa: ASYNC109  # of all of it
        """Connect to a TCP port and leave; return the seconds it took.

        Raises:
            HostError: nobody answers.
        """

    async def usage(self, paths: Sequence[Path], /) -> Usage:
        """Return how busy the machine is, and how full the disks are on which `paths` lie."""
