"""A bot's log, written and rotated as in production."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


@dataclass(slots=True)
class LogWriter:
    """A bot's log as bots and log rotation treat it.

    It is opened at the first write and kept open, as a bot does: after `rename` it goes on in the old file until
    `reopen`.
    """

    path: Path
    _descriptor: int | None = field(default=None, init=False)

    def write(self, *lines: str, end: str = "\n") -> None:
        """Append whole lines in one write; `end=""` leaves the last one unfinished."""
        self.write_bytes(("\n".join(lines) + end).encode())

    def write_bytes(self, data: bytes) -> None:
        """Append bytes in one write."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._descriptor, data)

    def rename(self, target: Path) -> None:
        """Rotate by renaming."""
        self.path.rename(target)

    def copy_and_truncate(self, target: Path) -> None:
        """Rotate by copying and truncating in place."""
        target.write_bytes(self.path.read_bytes())
        os.truncate(self.path, 0)

    def reopen(self) -> None:
        """Close the file, so that the next write opens it anew."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close the file."""
        self.reopen()
