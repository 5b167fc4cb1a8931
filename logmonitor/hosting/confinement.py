"""Programs and shell commands that end with all that they started.

Each has a warden: a process between it and us that watches and ends all of it, and does so, too, when we are gone. What
a program writes comes to us directly.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from logmonitor.errors import HostError
from logmonitor.hosting import cgroup
from logmonitor.hosting.program import Program
from logmonitor.hosting.warden import TASKS_BESIDE
from logmonitor.machine import Completed, ShellEnd, ShellStop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from logmonitor.hosting.warden import Task
    from logmonitor.machine import Shell, ShellLimits

OUTPUT_BYTES: Final = 1 << 20
"""How much of each output of a program is kept; the rest is read and forgotten."""

_SHELL: Final = "/bin/sh"
_DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ATTEMPTS: Final = 100
_ATTEMPT_SECONDS: Final = 0.01


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
    working = _confined(task, output.take, on_over=output.close, seconds=limits.timeout)
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

    def __init__(self, program: Program, output: _Output) -> None:
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
) -> AsyncIterator[Program]:
    """Run a program while in this context, for so long at most.

    What it writes goes to `takes`, which tell whether that is too much; `on_over` is called once there is no more.
    """
    program = Program(task, takes, on_over, seconds=seconds)
    try:
        await program.begin()
        yield program
    finally:
        program.stop()
        await program.is_over.wait()
