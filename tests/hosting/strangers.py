"""Real processes that are nobody's children here, and all ended at the end, wherever they have gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from logmonitor.host import LocalHost
from logmonitor.hosting.process_table import read_of, read_table
from logmonitor.machine import Launch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logmonitor.machine import Process

NOBODY = 65534
ROOT = Path(__file__).parent.parent.parent
DEADLINE = 30.0


async def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(DEADLINE):
        while not holds():  # noqa: ASYNC110 - what happens outside of this program sets no event
            await asyncio.sleep(0.01)


@contextmanager
def child(*words: str, stdout: int | None = None, stderr: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program as a child of this one, and end it."""
    process = subprocess.Popen(words, stdout=stdout, stderr=stderr)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


class Strangers:
    """Programs started as a system starts them; each writes to a file of its own in a folder that all users may use."""

    def __init__(self) -> None:
        """Make the folder, and the mark in their environment by which all of them are known."""
        self.host = LocalHost()
        self.mark = f"STRANGER={uuid4().hex}".encode()
        self._place = tempfile.TemporaryDirectory(prefix="strangers-")
        self.folder = Path(self._place.name).resolve()
        self.folder.chmod(0o777)
        self._count = 0

    def launch(self, *words: bytes | str, **changes: Any) -> Launch:  # noqa: ANN401  # any field of a launch
        """Return how a program is started here; the first word is its path."""
        self._count += 1
        fields: dict[str, Any] = {
            "executable": Path(os.fsdecode(words[0])),
            "argv": tuple(os.fsencode(word) for word in words),
            "environ": (b"PATH=/usr/local/bin:/usr/bin:/bin", b"LANG=C.UTF-8", self.mark),
            "folder": self.folder,
            "uid": os.getuid(),
            "gid": os.getgid(),
            "groups": tuple(os.getgroups()),
            "umask": 0o22,
            "stdout": self.folder / f"{self._count}.out",
            "stderr": self.folder / f"{self._count}.err",
        }
        return Launch(**(fields | changes))

    async def start(self, *words: bytes | str, **changes: Any) -> Process:  # noqa: ANN401  # any field of a launch
        """Start a program."""
        return await self.host.start(self.launch(*words, **changes))

    async def shell(self, script: str, *words: bytes | str, **changes: Any) -> Process:  # noqa: ANN401  # the same
        """Start a script by `/bin/sh` and wait until it has said `ready`."""
        process = await self.start("/bin/sh", "-c", script, *words, **changes)
        await until(lambda: "ready" in self.said())
        return process

    async def python(self, script: str, *words: bytes | str, **changes: Any) -> Process:  # noqa: ANN401  # the same
        """Start a script by Python and wait until it has said `ready`."""
        process = await self.start(bare_interpreter(), "-c", script, *words, **changes)
        await until(lambda: "ready" in self.said())
        return process

    def said(self, number: int | None = None) -> str:
        """Return what the program that was started last, or the one of this number, has written to its output."""
        path = self.folder / f"{self._count if number is None else number}.out"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def alive(self) -> list[int]:
        """Return the ids of all that still run."""
        return [
            entry.pid
            for entry in read_table().values()
            if not entry.is_ended and self.mark in (read_of(entry.pid, "environ") or b"")
        ]

    def end(self) -> None:
        """End all of them, and take the folder away."""
        deadline = time.monotonic() + DEADLINE
        stopped: set[int] = set()
        while (alive := set(self.alive())) and time.monotonic() < deadline:
            number = signal.SIGKILL if alive <= stopped else signal.SIGSTOP  # what forks is stopped before it is killed
            stopped = alive
            for pid in alive:
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
        self._place.cleanup()


@cache
def interpreter() -> str | None:
    """Return a Python that user `nobody` may run with what this one has installed; None if there is none."""
    return next((path for path in (sys.executable, "/usr/bin/python3") if _serves_nobody(path)), None)


@cache
def bare_interpreter() -> str:
    """Return a Python that user `nobody` may run, of whatever version and with its own library alone."""
    for path in (interpreter(), "/usr/bin/python3"):
        if path is not None:
            with suppress(OSError):
                _run(path, "")
                return path
    pytest.skip("no Python that another user may run")


def _serves_nobody(path: str) -> bool:
    with suppress(OSError, subprocess.SubprocessError):
        return _run(path, "import sys, re2; print(*sys.version_info[:2])").stdout.split() == [
            b"%d" % number for number in sys.version_info[:2]
        ]
    return False


async def as_nobody(script: str, *words: str) -> str:
    """Run a script by Python as a user without rights and return what it wrote."""
    path = interpreter()
    if path is None:
        pytest.skip("no Python of this version that another user may run, with what this one has installed")
    done = await asyncio.to_thread(_run, path, script, *words)
    assert done.stderr == b""
    return done.stdout.decode().strip()


def _run(path: str, script: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script as `nobody`, else as the one who runs the tests, who then has no rights either."""
    return subprocess.run(
        (path, "-c", script, *words),
        user=NOBODY if os.getuid() == 0 else None,
        group=NOBODY if os.getuid() == 0 else None,
        extra_groups=() if os.getuid() == 0 else None,
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join((str(ROOT), *filter(None, sys.path))), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
