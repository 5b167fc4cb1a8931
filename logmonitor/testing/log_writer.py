"""A bot's log, written, cut and rotated as in production."""

from __future__ import annotations

import gzip
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
    `reopen`. `lines` counts the lines that were finished so far.
    """

    path: Path
    lines: int = field(default=0, init=False)
    _descriptor: int | None = field(default=None, init=False)

    def write(self, *lines: str, end: str = "\n") -> None:
        """Append whole lines in one write; `end=""` leaves the last one unfinished."""
        self.write_bytes(("\n".join(lines) + end).encode())

    def write_bytes(self, data: bytes) -> None:
        """Append bytes in one write; they may end within a line, or within a character."""
        if self._descriptor is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(self._descriptor, data)
        self.lines += data.count(b"\n")

    def rename(self, target: Path) -> None:
        """Rotate by renaming."""
        self.path.rename(target)

    def rotate(self, *, compress: bool = False) -> Path:
        """Rotate by renaming to `.1`, as logrotate does, older ones to the next number; return where it went.

        With `compress` what went there is packed by gzip, and the bot reopens its log before, so that nothing is lost.
        """
        self._shift(1)
        target = self.path.with_name(f"{self.path.name}.1")
        self.rename(target)
        self.reopen()
        if not compress:
            return target
        packed = target.with_name(f"{target.name}.gz")
        packed.write_bytes(gzip.compress(target.read_bytes()))
        target.unlink()
        return packed

    def copy_and_truncate(self, target: Path) -> None:
        """Rotate by copying and truncating in place."""
        target.write_bytes(self.path.read_bytes())
        self.truncate()

    def truncate(self) -> None:
        """Empty the file in place; the bot goes on at its beginning."""
        os.truncate(self.path, 0)

    def regrow(self, line: str) -> None:
        """Empty the file in place, then write `line` until it is longer than before: its size does not tell of it."""
        size = self.path.stat().st_size
        self.truncate()
        while self.path.stat().st_size <= size:
            self.write(line)

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

    def _shift(self, number: int) -> None:
        """Make room for a rotated file of that number."""
        for suffix in ("", ".gz"):
            path = self.path.with_name(f"{self.path.name}.{number}{suffix}")
            if path.exists():
                self._shift(number + 1)
                path.rename(self.path.with_name(f"{self.path.name}.{number + 1}{suffix}"))
