"""A program and its warden: started together, heard, ended.

The warden's own side is `warden.py`, a script apart; how they are used is told in `confinement`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logmonitor.errors import HostError
from logmonitor.machine import ShellEnd, ShellStop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logmonitor.hosting.warden import Task

START_SECONDS: Final = 30.0
"""How long a program may take to begin."""

PATIENCE_SECONDS: Final = 60.0
"""How long a warden may take to end everything, before it is ended itself."""

REPORT_BYTES: Final = 1 << 16
"""How much a warden may say that nobody understands, before everything is ended and nothing more is believed."""

WARDEN: Final = Path(__file__).with_name("warden.py")
_LAMENT_BYTES: Final = 2000
_MOST_ERRORS: Final = 4096  # MAX_ERRNO of linux/err.h
_MOST_PIDS: Final = 1 << 31  # as a pid_t holds
_PIECE_BYTES: Final = 1 << 16
_PIPE_BYTES: Final = 1 << 20


class Program:
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
