"""What `follow` does with the lines it reads: write them as they are, or count them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from logmonitor.display import visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.records import Chunk
    from logmonitor.scan import Scanner


class Output(Protocol):
    """Takes the chunks of all logs as they are read."""

    def take(self, chunk: Chunk) -> None:
        """Take the next lines of one log; nothing of them is held back."""

    def finish(self) -> None:
        """Write what is due once there are no more."""


class Plain:
    """Writes the original bytes of lines, of those that match if there is a scanner, behind their file if asked."""

    def __init__(self, stream: BinaryIO, *, scanner: Scanner | None = None, is_named: bool = False) -> None:
        """Write to `stream`."""
        self._stream = stream
        self._scanner = scanner
        self._is_named = is_named
        self._is_amid_line = False

    def take(self, chunk: Chunk) -> None:
        """Write and flush; a line that the file left without terminator gets one if another line follows it."""
        if self._scanner is None and not self._is_named:
            data = chunk.data
        else:
            name = os.fsencode(chunk.path) + b": " if self._is_named else b""
            data = b"".join(name + line for line in _lines(chunk, self._scanner))
        if not data:
            return
        ending = b"\n" if chunk.truncated else b""
        self._stream.write((b"\n" if self._is_amid_line else b"") + data + ending)
        self._stream.flush()
        self._is_amid_line = not (ending or data.endswith(b"\n"))

    def finish(self) -> None:
        """Write no more."""


class Tally:
    """Counts the lines of each file, or those that match, and prints the counts at the end."""

    def __init__(self, *, scanner: Scanner | None = None, is_named: bool = False) -> None:
        """Count from 0."""
        self._scanner = scanner
        self._is_named = is_named
        self._counts: dict[Path, int] = {}

    def take(self, chunk: Chunk) -> None:
        """Count the lines; a chunk without any makes its file known."""
        if self._scanner is None:
            count = chunk.data.count(b"\n") + (chunk.data[-1:] not in {b"", b"\n"})
        else:
            count = self._scanner.count(chunk)
        self._counts[chunk.path] = self._counts.get(chunk.path, 0) + count

    def finish(self) -> None:
        """Print the counts, each behind its file if there may be several."""
        for path, count in self._counts.items():
            print(f"{path}: {count}" if self._is_named else count)
        sys.stdout.flush()


def say(path: Path | str, sentence: str) -> None:
    """Tell the operator something about a log, on standard error."""
    print(visible(f"logmonitor: {path}: {sentence}", one_line=True), file=sys.stderr, flush=True)


def _lines(chunk: Chunk, scanner: Scanner | None) -> Iterator[bytes]:
    """Yield the lines of `chunk` that match, with their terminators; all of them if there is no scanner."""
    data = chunk.data
    if scanner is None:
        yield from (line + b"\n" for line in data.split(b"\n")[:-1])
        if not data.endswith(b"\n") and data:
            yield data[data.rfind(b"\n") + 1 :]
        return
    for hit in scanner.hits(chunk):
        start = hit.line.offset - chunk.start_offset
        end = data.find(b"\n", start) + 1
        yield data[start : end or len(data)]


def folder(text: str) -> Path:
    """Take an argument for a folder that exists."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"no folder {text!r}; expected one with profiles in it")
    return path
