"""The file that tells under which process id this bot runs, so that its twin, or a supervisor, finds it."""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Self

from logmonitor.errors import HostError
from logmonitor.machine import ProcessSelector

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from logmonitor.machine import Host, Process

_log = logging.getLogger(__name__)
_MODE: Final = 0o644
"""Who may look for the process need not be who runs it."""


class PidFile:
    """The file at `path`, there while in this context; None for none.

    One that cannot be written is told, and no reason not to work. A process that runs under it already is told too: its
    pid is replaced, as it may be about to end.
    """

    def __init__(self, path: Path | None, host: Host) -> None:
        """Look on `host` for who runs under it; nothing is read or written yet."""
        self._path = path
        self._host = host
        self._other: Process | None = None
        self._failure = ""

    async def __aenter__(self) -> Self:
        """Write it."""
        if self._path is not None:
            with suppress(HostError):  # no file, or no pid in it
                self._other = next(iter(await self._host.find(ProcessSelector(pid_file=self._path))), None)
            try:
                await asyncio.to_thread(_write, self._path)
            except OSError as error:
                self._failure = (error.strerror or str(error)).lower()
            for text in self.news(str):
                _log.error("%s", text)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove it, unless another process has written its own pid meanwhile."""
        if self._path is not None:
            _remove(self._path)

    def news(self, translate: Callable[[str], str]) -> tuple[str, ...]:
        """Return what admins have to be told at the start."""
        news = []
        if self._other is not None:
            text = translate("process {pid} runs under {path} already; has this bot been started twice?")
            news.append(text.format(pid=self._other.pid, path=self._path))
        if self._failure:
            text = translate("{path} cannot be written, so nobody finds this process by it: {reason}")
            news.append(text.format(path=self._path, reason=self._failure))
        return tuple(news)


def _write(path: Path) -> None:
    """Put our pid into the file, whole at any time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pid = os.getpid()
    draft = path.with_name(f".{path.name}.{pid}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{pid}\n")
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def _remove(path: Path) -> None:
    """Remove the file if the pid in it is ours; what cannot be read or removed stays."""
    with suppress(OSError, ValueError):
        if int(path.read_text(encoding="ascii")) == os.getpid():
            path.unlink()
