"""A program that writes a log fast and has it rotated in every way that there is.

    python -m tests.torture.writer KIND LOG [--seconds 10] [--rate 20000] [--every 1] [--keep 40]

It says `rotated N` after each rotation, and at last `written N`. All lines but those between a truncation without a
copy are on disk somewhere when it ends, as long as `--keep` copies are enough.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import threading
import time
from enum import StrEnum
from pathlib import Path
from typing import Final

from tests.torture.numbered import line

_AFTER_RENAME: Final = 50
_BETWEEN: Final = 30
_BURST: Final = 20
_MAX_SHIFT: Final = 200


class Kind(StrEnum):
    """How the log is rotated; for 50 lines a renamed file is written to before the new one is opened."""

    RENAME = "rename"
    RENAME_TWICE = "rename_twice"
    RENAME_GZIP = "rename_gzip"
    ELSEWHERE = "elsewhere"
    SYMLINK = "symlink"
    COPY = "copytruncate"
    COPY_TWICE = "copytruncate_twice"
    COPY_GZIP = "copytruncate_gzip"
    COPY_ELSEWHERE = "copytruncate_elsewhere"
    NO_APPEND = "no_append"
    REGROW = "regrow"
    TRUNCATE = "truncate"


PACKED: Final = frozenset({Kind.RENAME_GZIP, Kind.COPY_GZIP})
_ELSEWHERE: Final = frozenset({Kind.ELSEWHERE, Kind.COPY_ELSEWHERE})
_COPIED: Final = frozenset(
    {Kind.COPY, Kind.COPY_TWICE, Kind.COPY_GZIP, Kind.COPY_ELSEWHERE, Kind.NO_APPEND, Kind.REGROW}
)
_TWICE: Final = frozenset({Kind.RENAME_TWICE, Kind.COPY_TWICE})


def archive_of(path: Path) -> Path:
    """Return the folder into which the log at `path` is rotated where that is not its own."""
    return path.parent / "archive"


class Writer:
    """A program that writes a log and rotates it."""

    def __init__(self, path: Path, kind: Kind, *, rate: int = 20_000, keep: int = 40) -> None:
        """Create the log, empty; at most `keep` rotated files stay."""
        self.number = 0
        self._path = path
        self._kind = kind
        self._rate = rate
        self._keep = keep
        self._rotated = archive_of(path) / path.name if kind in _ELSEWHERE else path
        self._rotated.parent.mkdir(exist_ok=True)
        self._targets = 0
        self._lines_in_file = 0
        self._packing: threading.Thread | None = None
        if kind is Kind.SYMLINK:
            self._swap()
        self._descriptor = self._open()
        self._started_at = time.monotonic()

    def _open(self) -> int:
        append = 0 if self._kind is Kind.NO_APPEND else os.O_APPEND
        return os.open(self._path, os.O_WRONLY | append | os.O_CREAT, 0o644)

    def _reopen(self) -> None:
        os.close(self._descriptor)
        self._descriptor = self._open()
        self._lines_in_file = 0

    def write(self, count: int, *, at_once: bool = False) -> None:
        """Write lines: one system call each, or one for all."""
        lines = [line(number) for number in range(self.number, self.number + count)]
        for data in [b"".join(lines)] if at_once else lines:
            os.write(self._descriptor, data)
        self.number += count
        self._lines_in_file += count

    def write_until(self, moment: float) -> None:
        """Write at the given rate until `moment`, in seconds since the start."""
        began_at, before = time.monotonic(), self.number
        while (now := time.monotonic()) - self._started_at < moment:
            if (behind := int((now - began_at) * self._rate) - (self.number - before)) > 0:
                self.write(min(behind, _BURST))
            else:
                time.sleep(0.0005)

    def rotate(self) -> None:
        """Rotate, as often as the kind says."""
        self._rotate()
        if self._kind in _TWICE:
            self.write(_BETWEEN)
            self._rotate()

    def close(self) -> None:
        """Wait until all is on disk."""
        if self._packing is not None:
            self._packing.join()
            self._packing = None
        os.close(self._descriptor)

    def _rotate(self) -> None:
        if self._kind is Kind.TRUNCATE:
            os.ftruncate(self._descriptor, 0)
            return
        if self._kind is Kind.SYMLINK:
            self._swap()
            self.write(_AFTER_RENAME)
            self._reopen()
            return
        copy = self._shift()
        if self._kind in _COPIED:
            before, self._lines_in_file = self._lines_in_file, 0
            shutil.copyfile(self._path, copy)
            os.ftruncate(self._descriptor, 0)
            if self._kind is Kind.REGROW:
                self.write(before + 100, at_once=True)
        else:
            self._path.rename(copy)
            self.write(_AFTER_RENAME)
            self._reopen()
        if self._kind in PACKED:
            self._packing = threading.Thread(target=_pack, args=(copy,))
            self._packing.start()

    def _shift(self) -> Path:
        """Move each rotated file one number on; return where the next one goes."""
        if self._packing is not None:
            self._packing.join()
        suffix = ".gz" if self._kind in PACKED else ""
        for index in range(_MAX_SHIFT, 0, -1):
            source = Path(f"{self._rotated}.{index}{suffix}")
            if source.exists():
                if index < self._keep:
                    source.rename(f"{self._rotated}.{index + 1}{suffix}")
                else:
                    source.unlink()
        return Path(f"{self._rotated}.1")

    def _swap(self) -> None:
        """Let the log, which is a link, lead to a new file; delete the oldest ones."""
        self._targets += 1
        target = self._path.with_name(f"{self._path.stem}-{self._targets:06}.log")
        target.touch()
        link = self._path.with_name("link")
        link.symlink_to(target.name)
        link.rename(self._path)
        self._path.with_name(f"{self._path.stem}-{self._targets - self._keep - 1:06}.log").unlink(missing_ok=True)


def _pack(copy: Path) -> None:
    """Do what gzip does: a packed file beside it grows, gets its times, takes its place."""
    packed = Path(f"{copy}.gz")
    with copy.open("rb") as source, gzip.open(packed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target)
    status = copy.stat()
    os.utime(packed, ns=(status.st_atime_ns, status.st_mtime_ns))
    copy.unlink()


def main() -> None:
    """Write and rotate a log for a while."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", type=Kind)
    parser.add_argument("log", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=int, default=20_000)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--keep", type=int, default=40)
    arguments = parser.parse_args()
    writer = Writer(arguments.log, arguments.kind, rate=arguments.rate, keep=arguments.keep)
    rotations = round(arguments.seconds / arguments.every)
    for index in range(1, rotations + 1):
        writer.write_until(index * arguments.every)
        if index < rotations:
            writer.rotate()
            print(f"rotated {index}", flush=True)  # noqa: T201 - a program
    writer.close()
    print(f"written {writer.number}", flush=True)  # noqa: T201 - a program


if __name__ == "__main__":
    main()
