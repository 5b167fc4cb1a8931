"""A process started so that it outlives this program."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from logmonitor.errors import HostError
from logmonitor.hosting import launcher
from logmonitor.hosting.process_table import entry_of, parse_entry, started_at
from logmonitor.machine import Process

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logmonitor.hosting.process_table import Entry
    from logmonitor.machine import Launch

_TIMEOUT: Final = 30.0


async def rehearse(launch: Launch) -> None:
    """Take every step of starting a process but the last.

    Raises:
        HostError: it could not be started.
    """
    await asyncio.to_thread(_ask, launch, is_rehearsal=True)


async def start(launch: Launch, *, describe: Callable[[Entry], Process | None]) -> Process:
    """Start a process that outlives this program; who is cancelled meanwhile has started it all the same.

    `describe` tells of a process what others are shown.

    Raises:
        HostError: it cannot be started.
    """
    return await asyncio.to_thread(_start, launch, describe)


def _start(launch: Launch, describe: Callable[[Entry], Process | None]) -> Process:
    started = parse_entry(_ask(launch, is_rehearsal=False).encode("latin-1"))
    now = entry_of(started.pid)
    if now is None or now.ticks != started.ticks or now.is_ended:
        return _describe_ended(started, launch)
    return describe(now) or _describe_ended(started, launch)


def _ask(launch: Launch, *, is_rehearsal: bool) -> str:
    """Have the launcher do it, and return what it says of the process that it started."""
    request = _request(launch) | {"is_rehearsal": is_rehearsal}
    try:
        done = subprocess.run(
            (sys.executable, "-I", "-S", launcher.__file__),
            input=json.dumps(request).encode("ascii"),
            capture_output=True,
            cwd="/",
            timeout=_TIMEOUT,
            check=True,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise HostError(f"cannot start {launch.executable}: {error}") from None
    if "stat" not in answer:
        number = answer["number"]
        raise HostError(f"cannot {answer['step']}: {os.strerror(number) if number else answer['text']}")
    return str(answer["stat"])


def _request(launch: Launch) -> dict[str, Any]:
    """Return what the launcher is asked; bytes travel as characters of the same numbers."""
    return {
        "executable": _carried(launch.executable),
        "argv": [word.decode("latin-1") for word in launch.argv],
        "environ": [text.decode("latin-1") for text in launch.environ],
        "folder": _carried(launch.folder),
        "uid": launch.uid,
        "gid": launch.gid,
        "groups": launch.groups,
        "umask": launch.umask,
        "limits": launch.limits,
        "stdout": launch.stdout and _carried(launch.stdout),
        "stderr": launch.stderr and _carried(launch.stderr),
    }


def _carried(path: Path) -> str:
    return os.fsencode(path).decode("latin-1")


def _describe_ended(entry: Entry, launch: Launch) -> Process:
    """Return a process that had ended before anybody could look at it."""
    return Process(
        pid=entry.pid,
        created=entry.created,
        name=launch.executable.name,
        argv=tuple(os.fsdecode(word) for word in launch.argv),
        parent=1,
        user=_user_name(launch.uid),
        started_at=datetime.fromtimestamp(started_at(entry), UTC),
        memory_bytes=0,
        cpu_seconds=0.0,
    )


def _user_name(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)
