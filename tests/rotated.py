"""A log that is written and rotated in every way that there is, step by step, so that anything may come between."""

from __future__ import annotations

import gzip
import os
import random
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a log is rotated and written: renamed, copied and truncated, or a link that is led to another file.

    A copy or the renamed file goes into another directory if `is_elsewhere`, and is packed in the end if `is_packed`.
    """

    form: str
    is_elsewhere: bool = False
    is_packed: bool = False


class World:
    """A log, those who write and rotate it, and the lines they wrote."""

    def __init__(self, directory: Path, manner: Manner) -> None:
        """Start with a log that is a link to a file."""
        self.log = directory / "x.log"
        self.archive = directory / "archive"
        self.archive.mkdir()
        self.expected: list[bytes] = []
        self.half = b""
        self.lost_bytes = 0
        self._manner = manner
        self._targets = 0
        self._noise = random.Random(1)  # noqa: S311 - so that packed lines stay long, no secret
        self._retarget()
        self.descriptor = self._open()

    def close(self) -> None:
        """Let go of the log."""
        os.close(self.descriptor)

    def end_line(self) -> None:
        """Write the other half of a line."""
        if self.half:
            self.write(0)

    def write(self, length: int) -> None:
        """Write a line, or the second half of one."""
        line = self._line(length)
        if self.half:
            end = b" end of %06d" % len(self.expected)
            os.write(self.descriptor, end + b"\n")
            line, self.half = self.half + end, b""
        else:
            os.write(self.descriptor, line + b"\n")
        self.expected.append(line)

    def write_half(self, length: int) -> None:
        """Write the first half of a line."""
        if not self.half:
            self.half = self._line(length)
            os.write(self.descriptor, self.half)

    def rotate(self, length: int) -> Iterator[None]:
        """Rotate in the manner of this log; it may be seen at every step."""
        match self._manner.form:
            case "rename":
                yield from self._rename(length, is_late=length % 2 == 0)
            case "copy":
                yield from self._copy(length, is_regrown=length % 2 == 0)
            case _:
                yield from self._lead_on(length, is_late=length % 2 == 0)

    def truncate(self) -> None:
        """Empty the file; no copy is made."""
        os.ftruncate(self.descriptor, 0)

    def delete(self) -> None:
        """Delete the file and create it anew."""
        Path(os.path.realpath(self.log)).unlink()
        self._reopen()

    def swap(self) -> None:
        """Let the link lead to a file in another directory."""
        self._retarget()
        self._reopen()

    def _rename(self, length: int, *, is_late: bool) -> Iterator[None]:
        """Rename; the writer may end its line, and write another, in the old file."""
        yield from self._shift()
        rotated = self._rotated(1)
        Path(os.path.realpath(self.log)).rename(rotated)
        yield
        yield from self._leave(length, is_late=is_late)
        yield from self._pack(rotated)

    def _lead_on(self, length: int, *, is_late: bool) -> Iterator[None]:
        """Let the link lead to a new file beside the old one."""
        self._targets += 1
        real = Path(os.path.realpath(self.log))
        target = real.with_name(f"x-{self._targets:04}.log")
        target.touch()
        yield
        self._link(target)
        yield
        yield from self._leave(length, is_late=is_late)

    def _leave(self, length: int, *, is_late: bool) -> Iterator[None]:
        """Write on in the old file for a moment, and then in the new one."""
        if self.half:
            self.end_line()
            yield
        if is_late:
            self.write(length)
            yield
        self._reopen()
        yield

    def _copy(self, length: int, *, is_regrown: bool) -> Iterator[None]:
        """Copy and truncate; the writer goes on in the same file, perhaps with one long write."""
        yield from self._shift()
        real, rotated = Path(os.path.realpath(self.log)), self._rotated(1)
        data = real.read_bytes()
        yield from _written(rotated, data)
        os.ftruncate(self.descriptor, 0)
        if is_regrown:
            self.write(len(data) + length)
        yield
        yield from self._pack(rotated)

    def _pack(self, rotated: Path) -> Iterator[None]:
        """Do what gzip does."""
        if not self._manner.is_packed:
            return
        packed = Path(f"{rotated}.gz")
        status = rotated.stat()
        yield from _written(packed, gzip.compress(rotated.read_bytes()))
        os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
        rotated.unlink()
        yield

    def _shift(self) -> Iterator[None]:
        """Move each rotated file one number on, so that there is room for the next."""
        suffix = ".gz" if self._manner.is_packed else ""
        for index in range(60, 0, -1):
            rotated = Path(f"{self._rotated(index)}{suffix}")
            if rotated.exists():
                rotated.rename(f"{self._rotated(index + 1)}{suffix}")
                yield

    def _rotated(self, index: int) -> Path:
        """Say where the file goes that is rotated, or was so many times."""
        real = Path(os.path.realpath(self.log))
        return (self.archive if self._manner.is_elsewhere else real.parent) / f"{real.name}.{index}"

    def _retarget(self) -> None:
        self._targets += 1
        name = f"x-{self._targets:04}.log" if self._manner.form == "link" else "x.log"
        target = self.log.with_name(f"target{self._targets}") / name
        target.parent.mkdir()
        target.touch()
        self._link(target)

    def _link(self, target: Path) -> None:
        link = self.log.with_name("link")
        link.symlink_to(target)
        link.rename(self.log)

    def _open(self) -> int:
        return os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _reopen(self) -> None:
        os.close(self.descriptor)
        self.descriptor = self._open()

    def _line(self, length: int) -> bytes:
        return b"%06d " % len(self.expected) + self._noise.randbytes(length // 2).hex().encode()


def _written(path: Path, data: bytes) -> Iterator[None]:
    """Write a file in pieces."""
    size_bytes = len(data) // _PIECES + 1
    with path.open("wb", buffering=0) as file:
        for start in range(0, max(1, len(data)), size_bytes):
            file.write(data[start : start + size_bytes])
            yield
