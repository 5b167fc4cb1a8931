"""`logmonitor follow`: the lines of logs as they come; a `tail -F` that loses none.

What only following needs (asyncio, watchdog) and what only a terminal needs (rich) is imported when it is needed:
counting a small file takes less time than importing them.
"""

from __future__ import annotations

import glob
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from logmonitor.cli.output import Plain, Tally, say
from logmonitor.errors import PatternError
from logmonitor.lines import CAP_BYTES
from logmonitor.reader import read_chunks
from logmonitor.records import Chunk
from logmonitor.scan import Scanner

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from logmonitor.cli.output import Output


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("logs", nargs="+", metavar="LOG", help="a file, which need not exist yet, or a quoted glob")
    parser.add_argument(
        "--from",
        dest="start",
        choices=("start", "end"),
        help="where to begin in what stands there already; default: end, with --once start",
    )
    parser.add_argument(
        "--match",
        action="append",
        default=[],
        metavar="PATTERN",
        dest="patterns",
        help="keep the lines in which this regular expression (RE2) matches; may be given several times",
    )
    parser.add_argument("--once", action="store_true", help="stop at the end instead of waiting for more")
    parser.add_argument("--count", action="store_true", help="print how many lines there were instead of the lines")
    parser.epilog = (
        "To a pipe go the original bytes. Exit codes: 0, 1 with --once if a log cannot be read, 2 wrong usage."
    )


def run(arguments: argparse.Namespace) -> int:
    """Follow or read the logs; return the exit code."""
    try:
        scanner = Scanner(arguments.patterns) if arguments.patterns else None
    except PatternError as error:
        print(f"logmonitor: {error}", file=sys.stderr)
        return 2
    output = _output(arguments, scanner)
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.once:
            return _read(arguments.logs, output, from_end=arguments.start == "end")
        from logmonitor.cli.follow_live import follow  # noqa: PLC0415 - asyncio and watchdog, see above

        follow(arguments.logs, output, from_start=arguments.start == "start")
        output.finish()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _output(arguments: argparse.Namespace, scanner: Scanner | None) -> Output:
    """Choose what becomes of the lines."""
    is_named = len(arguments.logs) > 1 or _is_glob(arguments.logs[0])
    if arguments.count:
        return Tally(scanner=scanner, is_named=is_named)
    if sys.stdout.isatty():
        from logmonitor.cli.follow_terminal import Painted  # noqa: PLC0415 - rich, see above

        return Painted(patterns=arguments.patterns, scanner=scanner, is_named=is_named)
    return Plain(sys.stdout.buffer, scanner=scanner, is_named=is_named)


def _is_glob(log: str) -> bool:
    """Tell whether a log is named by a pattern; a file of that very name goes first."""
    return glob.has_magic(log) and not os.path.lexists(log)


def _read(logs: Sequence[str], output: Output, *, from_end: bool) -> int:
    """Read the logs as they stand, one after the other; return 1 if one could not be read."""
    failed: list[str] = []
    seen: set[str] = set()
    for log in logs:
        paths = [Path(log)]
        if _is_glob(log) and not (paths := sorted(map(Path, glob.glob(log, recursive=True)))):  # noqa: PTH207 - a string
            say(log, "no file fits")
            failed.append(log)
        for path in paths:
            if (place := os.path.realpath(path)) in seen:
                continue
            seen.add(place)
            for chunk in _chunks(path, failed, from_end=from_end):
                output.take(chunk)
    output.finish()
    return 1 if failed else 0


def _chunks(path: Path, failed: list[str], *, from_end: bool) -> Iterator[Chunk]:
    """Yield the chunks of a file, then an empty one; say what keeps it from being read and note that it failed."""
    try:
        start_offset = path.stat().st_size if from_end else 0
        for chunk in read_chunks(path, start_offset=start_offset):
            if chunk.truncated:
                say(
                    path,
                    f"the line at offset {chunk.start_offset} is cut: only its first {CAP_BYTES} bytes are given out",
                )
            yield chunk
        yield Chunk(path=path, data=b"", start_offset=0, end_offset=0, number=1)
    except OSError as error:
        say(path, _reason(error))
        failed.append(str(path))
