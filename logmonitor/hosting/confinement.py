"""Programs and shell commands that end with all that they started.

Each has a warden: a process between it and us that watches and ends all of it, and does so, too, when we are gone. What
a program writes comes to us directly.
"""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
from collections import deque
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logmonitor.errors import HostError
from logmonitor.hosting import cgroup
from logmonitor.hosting.warden import TASKS_BESIDE
from logmonitor.machine import Completed, ShellEnd, ShellStop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from logmonitor.hosting.warden import Task
    from logmonitor.machine import Shell, ShellLimits

OUTPUT_BYTES: Final = 1 << 20
"""How much of each output of a program is kept; the rest is read and forgotten."""

START_SECONDS: Final = 30.0
"""How long a program may take to begin."""

PATIENCE_SECONDS: Final = 60.0
"""How long a warden may take to end everything, before it is ended itself."""

REPORT_BYTES: Final = 1 << 16
"""How much a warden may say that nobody understands, before everything is ended and nothing more is believed."""

_LAMENT_BYTES: Final = 2000
_MOST_ERRORS: Final = 4096  # MAX_ERRNO of linux/err.h
_MOST_PIDS: Final = 1 << 31  # as a pid_t holds
_PIECE_BYTES: Final = 1 << 16
_PIPE_BYTES: Final = 1 << 20
_SHELL: Final = "/bin/sh"
_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ATTEMPTS: Final = 100
_ATTEMPT_SECONDS: Final = 0.01
WARDEN: Final = Path(__file__).with_name("warden.py")


async def run(*argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # a deadline that ends the tree
    """Run a program to its end, with nothing to read; at the deadline end it and all that it started.

    What it leaves behind when it ends by itself stays, as a service that it was to start.

    Raises:
        HostError: it cannot be started.
        TimeoutError: it was ended at the deadline.
    """
    stdout, stderr = _Head(), _Head()
    task = _task(argv, environ=os.environ, keeps=True)
    async with _confined(task, stdout.take, stderr.take, seconds=timeout) as program:
        end = await program.end()
    if end.stopped_at is ShellStop.TIME:
        survivors = ", ".join(map(str, end.survivors))
        behind = f", but what belongs to others goes on: {survivors}" if survivors else ""
        raise TimeoutError(f"{argv[0]!r} was ended after {timeout:g} s{behind}")
    if end.exit_code is None:
        raise HostError(f"{argv[0]!r} was ended from outside")
    return Completed(argv=argv, exit_code=end.exit_code, stdout=stdout.text, stderr=stderr.text, seconds=end.seconds)


@asynccontextmanager
async def shell(script: str, *, folder: Path, environ: Mapping[str, str], limits: ShellLimits) -> AsyncIterator[Shell]:
    """Run a script by `/bin/sh` while in this context; on leaving it, everything that was started is ended.

    Its environment is what a user has anywhere, and `environ`. A `folder` may begin with `~`.

    Raises:
        HostError: it cannot be started.
    """
    output = _Output(limit_bytes=limits.output_bytes)
    variables = {**plain_environ(), **environ}
    task = _task((_SHELL, "-c", script), environ=variables, folder=_place(folder), limits=limits)
    working = _confined(task, output.take, on_over=output.close, seconds=limits.seconds)
    async with _grouped(task, limits), working as program:
        yield _ShellAtWork(program, output)


def plain_environ() -> dict[str, str]:
    """Return what a user has in the environment anywhere, and nothing of a service's own."""
    try:
        user = pwd.getpwuid(os.geteuid())
        name, home = user.pw_name, user.pw_dir
    except KeyError:  # as in a container that is given just a number
        name, home = str(os.geteuid()), "/"
    return {
        "PATH": os.environ.get("PATH", _DEFAULT_PATH),
        "HOME": home,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "USER": name,
        "LOGNAME": name,
    }


class _Head:
    """The beginning of an output."""

    def __init__(self) -> None:
        self._data = bytearray()

    def take(self, data: bytes) -> bool:
        """Keep what there is room for; more is never too much."""
        self._data += data[: OUTPUT_BYTES - len(self._data)]
        return False

    @property
    def text(self) -> str:
        """All that was kept; what is no UTF-8 in it as U+FFFD."""
        return self._data.decode("utf-8", "replace")


class _Output:
    """An output up to its limit, kept until somebody takes it."""

    def __init__(self, *, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._pieces: deque[bytes] = deque()
        self._changed = asyncio.Event()
        self._is_over = False

    def take(self, data: bytes) -> bool:
        """Keep what there is room for; tell whether it is too much."""
        if kept := data[: self._left]:
            self._pieces.append(kept)
            self._changed.set()
        self._left -= len(kept)
        return len(kept) < len(data)

    def close(self) -> None:
        """Let there be nothing more."""
        self._is_over = True
        self._changed.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield what comes until it ends."""
        while True:
            while self._pieces:
                yield self._pieces.popleft()
            if self._is_over:
                return
            self._changed.clear()
            await self._changed.wait()


class _ShellAtWork:
    """A shell command under its warden."""

    def __init__(self, program: _Program, output: _Output) -> None:
        self._program = program
        self._output = output

    def output(self) -> AsyncIterator[bytes]:
        """Yield what it writes, both outputs together, as it comes; ends when it has ended."""
        return self._output.pieces()

    async def end(self) -> ShellEnd:
        """Wait until it has ended, and everything that it started with it."""
        return await self._program.end()


def _place(folder: Path) -> Path:
    """Return where a folder really is.

    Raises:
        HostError: it is in a home that nobody knows.
    """
    try:
        return folder.expanduser().absolute()
    except RuntimeError as error:
        raise HostError(f"cannot work in {str(folder)!r}: nobody knows that home") from error


def _task(
    argv: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path | None = None,
    limits: ShellLimits | None = None,
    keeps: bool = False,
) -> Task:
    """Describe a program to its warden.

    Raises:
        HostError: no program could be given such words.
    """
    try:
        words = [os.fsencode(word) for word in argv]
        variables = [os.fsencode(f"{name}={value}") for name, value in environ.items()]
    except UnicodeEncodeError as error:
        raise HostError(f"cannot start {argv[0]!r}: half a character stands in its words or variables") from error
    if any(b"\0" in text for text in (*words, *variables)):
        raise HostError(f"cannot start {argv[0]!r}: a zero byte stands in its words or variables")
    return {
        "argv": [word.decode("latin-1") for word in words],
        "environ": [variable.decode("latin-1") for variable in variables],
        "folder": None if folder is None else os.fsencode(folder).decode("latin-1"),
        "limits": None if limits is None else (limits.memory_bytes, limits.processes),
        "group": None,
        "keeps": keeps,
    }


@asynccontextmanager
async def _grouped(task: Task, limits: ShellLimits) -> AsyncIterator[None]:
    """Have a control group for a program, where one can be made; its warden removes it, if nothing comes between."""
    home = cgroup.home()
    tasks = limits.processes + TASKS_BESIDE
    group = None if home is None else cgroup.make(home, memory_bytes=limits.memory_bytes, tasks=tasks)
    if group is None:
        yield
        return
    task["group"] = str(group)
    try:
        yield
    finally:
        for _ in range(_ATTEMPTS):
            if cgroup.remove(group):
                break
            await asyncio.sleep(_ATTEMPT_SECONDS)


@asynccontextmanager
async def _confined(
    task: Task, *takes: Callable[[bytes], bool], seconds: float, on_over: Callable[[], None] = lambda: None
) -> AsyncIterator[_Program]:
    """Run a program while in this context, for so long at most.

    What it writes goes to `takes`, which tell whether that is too much; `on_over` is called once there is no more.
    """
    program = _Program(task, takes, on_over, seconds=seconds)
    try:
        await program.begin()
        yield program
    finally:
        program.stop()
        await program.is_over.wait()


class _Program:
    """A program and its warden.

    All that happens to them is met in callbacks, so that they end whether anybody waits for it or not.
    """

    def __init__(
        self, task: Task, takes: Sequence[Callable[[bytes], bool]], on_over: Callable[[], None], *, seconds: float
    ) -> None:
        """Start the warden; its program may take so many seconds.

        They speak by sockets: other than a pipe nobody gets into one by a descriptor that is to be seen in /proc.

        Raises:
            HostError: it cannot be started.
        """
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._seconds = seconds
        self._begun = asyncio.Event()
        self.is_over = asyncio.Event()
        self._on_over = on_over
        self._said: dict[str, Any] = {}
        self._heard = self._lament = b""
        self._is_believed = True
        self._stopped_at: ShellStop | None = None
        try:
            with ExitStack() as ours, ExitStack() as theirs:
                specification = os.memfd_create("task")
                theirs.callback(os.close, specification)
                os.write(specification, json.dumps(task).encode())
                os.lseek(specification, 0, os.SEEK_SET)
                control, writing = _sockets(theirs, ours)
                self._report, report = _sockets(ours, theirs)
                pipes = [_pipe(ours, theirs) for _ in takes]
                self._process = subprocess.Popen(
                    (sys.executable, "-I", "-S", str(WARDEN), str(specification), str(report)),
                    stdin=control,
                    stdout=pipes[0][1],
                    stderr=pipes[-1][1],
                    pass_fds=(specification, report),
                    env={name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"},
                    start_new_session=True,
                )
                ours.pop_all()
        except OSError as error:
            raise HostError(f"cannot start {task['argv'][0]!r}: {error.strerror}") from error
        self._control: int | None = writing
        self._ending = _ending_of(self._process.pid)
        self._outputs = {reading: take for (reading, _), take in zip(pipes, takes, strict=True)}
        for descriptor in (self._report, *self._outputs):
            os.set_blocking(descriptor, False)
        self._timer = self._loop.call_later(START_SECONDS, self.stop)
        self._loop.add_reader(self._report, self._listen)
        if self._ending is not None:
            self._loop.add_reader(self._ending, self._finish)
        for descriptor in self._outputs:
            self._loop.add_reader(descriptor, self._read, descriptor)

    async def begin(self) -> None:
        """Wait until the program has begun.

        Raises:
            HostError: it cannot be started.
        """
        await self._begun.wait()
        if "pid" not in self._said or "failed" in self._said:
            raise HostError(self._failure())

    def stop(self, at: ShellStop | None = None) -> None:
        """Have everything ended, if it is not."""
        if self._control is None:
            return
        os.close(self._control)
        self._control = None
        self._stopped_at = at
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGCONT)  # whoever has stopped it
        self._timer.cancel()
        self._timer = self._loop.call_later(PATIENCE_SECONDS, self._process.kill)

    async def end(self) -> ShellEnd:
        """Wait until everything has ended.

        Raises:
            HostError: it cannot be told how.
        """
        await self.is_over.wait()
        if "seconds" not in self._said:
            raise HostError(self._failure())
        status, stopped_at = self._said["status"], self._said["stopped_at"]
        if self._stopped_at is ShellStop.OUTPUT or (status is None and stopped_at is None):
            stopped_at = self._stopped_at
        return ShellEnd(
            exit_code=None if status is None or stopped_at else os.waitstatus_to_exitcode(status),
            stopped_at=None if stopped_at is None else ShellStop(stopped_at),
            seconds=self._said["seconds"],
            left=self._said["left"],
            survivors=self._said["survivors"],
        )

    def _failure(self) -> str:
        """Say why it did not begin, or why its end is not known."""
        name = os.fsdecode(self._task["argv"][0].encode("latin-1"))
        if "failed" not in self._said:
            lament = self._lament[-_LAMENT_BYTES:].decode("utf-8", "replace").strip()
            return f"the warden of {name!r} is gone: {lament or 'killed'}"
        step, number = self._said["failed"]
        reason = os.strerror(number)
        match step:
            case "program":
                return f"cannot start {name!r}: {reason}"
            case "folder":
                folder = os.fsdecode((self._task["folder"] or "").encode("latin-1"))
                return f"cannot work in {folder!r}: {reason}"
            case _:
                return f"cannot start {name!r}, at its {step}: {reason}"

    def _read(self, descriptor: int) -> int:
        """Hand on what an output has now; return how much that was."""
        try:
            data = os.read(descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._close(descriptor)
        elif self._outputs[descriptor](data):
            self.stop(ShellStop.OUTPUT)
        return len(data)

    def _close(self, descriptor: int) -> None:
        self._loop.remove_reader(descriptor)
        os.close(descriptor)
        self._outputs.pop(descriptor, None)

    def _listen(self) -> int:
        """Hear what the warden says; return how much that was."""
        try:
            data = os.read(self._report, _PIECE_BYTES)
        except (BlockingIOError, ConnectionResetError):  # of the latter the end comes next
            return 0
        if not data:
            self._loop.remove_reader(self._report)
            if self._ending is None:
                self._finish()
        elif self._is_believed:
            *lines, self._heard = (self._heard + data).split(b"\n")
            for line in lines:
                self._hear(line)
            if len(self._heard) + len(self._lament) > REPORT_BYTES:
                self._is_believed = False
                self._heard = b""
                self.stop()
        return len(data)

    def _hear(self, line: bytes) -> None:
        """Take in a line that the warden has said: its first word of a beginning, its last word of an end."""
        try:
            said = spoken(line)
        except ValueError:
            said = {}
        is_late = self._begun.is_set() or said.keys() & self._said.keys()
        if not said or (is_late and "seconds" not in said):  # it laments, or somebody else speaks
            self._lament += (line + b"\n")[: REPORT_BYTES + 1 - len(self._lament)]
            return
        self._said.update(said)
        if "pid" in said and self._control is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(self._seconds, self.stop, ShellStop.TIME)
        if not said.keys().isdisjoint(("has_begun", "failed")):
            self._begun.set()

    def _finish(self) -> None:
        """Bury the warden, and take what is still in the pipes, whoever holds them open.

        What it has said of the end is true if it ended by itself, as that is the last that it says.
        """
        if self._ending is not None:
            self._close(self._ending)
            left = _PIPE_BYTES
            while left > 0 and (heard := self._listen()):
                left -= heard
        if self._process.wait() or not self._is_believed:
            self._said.pop("seconds", None)
        if "seconds" not in self._said:
            self._end_group()
        for descriptor in tuple(self._outputs):
            left = _PIPE_BYTES
            while left > 0 and (taken := self._read(descriptor)):
                left -= taken
            if descriptor in self._outputs:
                self._close(descriptor)
        self._close(self._report)
        self.stop()
        self._timer.cancel()
        self._begun.set()
        self.is_over.set()
        self._on_over()

    def _end_group(self) -> None:
        """End what has stayed together of a program whose warden was killed, as it cannot any more."""
        group = self._said.get("pid")
        if group is not None and group != os.getpgrp():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def spoken(line: bytes) -> dict[str, Any]:
    """Return what a warden says in a line.

    Raises:
        ValueError: no warden would say that.
    """
    try:
        said = json.loads(line)
    except RecursionError as error:
        raise ValueError("no word of a warden's") from error
    match said:
        case {"pid": int(pid), **rest} if not rest and 1 < pid < _MOST_PIDS:
            return {"pid": pid}
        case {"has_begun": True, **rest} if not rest:
            return {"has_begun": True}
        case {"failed": [str(step), int(number)], **rest} if not rest and 0 <= number < _MOST_ERRORS:
            return {"failed": (step, number)}
        case {
            "status": (None | int()) as status,
            "stopped_at": (None | "processes" | "memory") as stopped_at,
            "seconds": (int() | float()) as seconds,
            "left": int(left),
            "survivors": [*survivors],
            **rest,
        } if not rest and (status is None or is_end(status)) and 0 <= seconds <= sys.float_info.max:
            if all(type(number) is int and 0 <= number < _MOST_PIDS for number in (left, *survivors)):
                return {
                    "status": status,
                    "stopped_at": stopped_at,
                    "seconds": float(seconds),
                    "left": left,
                    "survivors": tuple(survivors),
                }
    raise ValueError("no word of a warden's")


def is_end(status: int) -> bool:
    """Tell whether a number is the wait status of a process that has ended."""
    return 0 <= status <= 0xFFFF and (os.WIFEXITED(status) or os.WIFSIGNALED(status))  # noqa: PLR2004  # two bytes


def _ending_of(pid: int) -> int | None:
    """Return a descriptor that can be read once a process has ended; None where there are none."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


def _sockets(first: ExitStack, second: ExitStack) -> tuple[int, int]:
    """Make two sockets that are joined, to be closed by those who have them."""
    ends = socket.socketpair()
    descriptors = ends[0].detach(), ends[1].detach()
    for stack, descriptor in zip((first, second), descriptors, strict=True):
        stack.callback(os.close, descriptor)
    return descriptors


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Make a pipe, its ends to be closed by those who read and write."""
    reading, writing = os.pipe()
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing
