"""A log is written, cut and rotated as in production."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from logmonitor.testing import LogWriter

if TYPE_CHECKING:
    from pathlib import Path


def test_writer_rotates_as_logrotate_does(tmp_path: Path) -> None:
    """Each rotation moves the older ones by a number; a compressed one is a gzip; the log begins anew."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write("a")
        assert log.rotate() == tmp_path / "bob.log.1"
        log.write("b")
        assert log.rotate(compress=True) == tmp_path / "bob.log.1.gz"
        log.write("c")
        log.rotate()
        log.write("d")
    texts = {
        path.name: gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in tmp_path.iterdir()
    }
    assert texts == {"bob.log": b"d\n", "bob.log.1": b"c\n", "bob.log.2.gz": b"b\n", "bob.log.3": b"a\n"}


def test_writer_truncates_and_regrows(tmp_path: Path) -> None:
    """An emptied log goes on at its beginning; a regrown one is longer than before, with nothing of it left."""
    path = tmp_path / "bob.log"
    with LogWriter(path) as log:
        log.write("a long line")
        log.regrow("short")
        assert path.read_bytes() == b"short\n" * 3
        log.truncate()
        log.write("b")
    assert path.read_bytes() == b"b\n"


def test_writer_counts_the_lines_that_are_finished(tmp_path: Path) -> None:
    """A line in pieces, cut within a character, counts once its end is written."""
    with LogWriter(tmp_path / "bob.log") as log:
        log.write("a", "b")
        log.write("c", end="")
        log.write_bytes("好".encode()[:2])
        assert log.lines == 2
        log.write_bytes("好".encode()[2:])
        log.write("")
        assert log.lines == 3
    assert (tmp_path / "bob.log").read_text(encoding="utf-8") == "a\nb\nc好\n"
