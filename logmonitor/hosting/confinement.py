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
        "HOME": os.environ.get("HOME", home),
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
    program = _Program(task, takes, on_over)
    try:
        await program.begin(seconds)
        yield program
    finally:
        program.stop()
        await program.is_over.wait()


class _Program:
    """A program and its warden.

    All that happens to them is met in callbacks, so that they end whether anybody waits for it or not.
    """

    def __init__(self, task: Task, takes: Sequence[Callable[[bytes], bool]], on_over: Callable[[], None]) -> None:
        """Start the warden.

        Raises:
            HostError: it cannot be started.
        """
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._begun = asyncio.Event()
        self.is_over = asyncio.Event()
        self._on_over = on_over
        self._said: dict[str, Any] = {}
        self._heard = self._lament = b""
        self._stopped_at: ShellStop | None = None
        try:
            with ExitStack() as ours, ExitStack() as theirs:
                specification = os.memfd_create("task")
                theirs.callback(os.close, specification)
                os.write(specification, json.dumps(task).encode())
                os.lseek(specification, 0, os.SEEK_SET)
                control, writing = _pipe(theirs, ours)
                self._report, report = _pipe(ours, theirs)
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
        self._outputs = {reading: take for (reading, _), take in zip(pipes, takes, strict=True)}
        for descriptor in (self._report, *self._outputs):
            os.set_blocking(descriptor, False)
        self._timer = self._loop.call_later(START_SECONDS, self.stop)
        self._loop.add_reader(self._report, self._listen)
        for descriptor in self._outputs:
            self._loop.add_reader(descriptor, self._read, descriptor)

    async def begin(self, seconds: float) -> None:
        """Wait until the program has begun; from then on it has so many seconds.

        Raises:
            HostError: it cannot be started.
        """
        await self._begun.wait()
        if "pid" not in self._said:
            raise HostError(self._failure())
        if self._control is not None:
            self._timer.cancel()
            self._timer = self._loop.call_later(seconds, self.stop, ShellStop.TIME)

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
            survivors=tuple(self._said["survivors"]),
        )

    def _failure(self) -> str:
        """Say why it did not begin, or why its end is not known."""
        name = os.fsdecode(self._task["argv"][0].encode("latin-1"))
        if "failed" not in self._said:
            return f"the warden of {name!r} is gone: {self._lament.decode('utf-8', 'replace').strip() or 'killed'}"
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

    def _listen(self) -> None:
        """Hear what the warden says; its silence is its end."""
        data = os.read(self._report, _PIECE_BYTES)
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            try:
                self._said.update(json.loads(line))
            except (TypeError, ValueError):  # it laments, or somebody else speaks
                self._lament += line + b"\n"
        if self._said:
            self._begun.set()
        if not data:
            self._finish()

    def _finish(self) -> None:
        """Bury the warden, and take what is still in the pipes, whoever holds them open."""
        self._process.wait()
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
        if isinstance(group, int) and group > 1 and group != os.getpgrp():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(group, signal.SIGKILL)


def _pipe(reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    """Make a pipe, its ends to be closed by those who read and write."""
    reading, writing = os.pipe()
    reader.callback(os.close, reading)
    writer.callback(os.close, writing)
    return reading, writing
