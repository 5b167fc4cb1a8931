"""Tests of reading a file as it stands, once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.lines import split
from logmonitor.reader import read_chunks
from logmonitor.records import Line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of a log that each example writes anew."""
    return tmp_path_factory.mktemp("logs") / "bob.log"


def read_lines(path: Path, *, start_offset: int = 0, block_bytes: int = 7, cap_bytes: int = 1 << 20) -> list[Line]:
    """Read all lines."""
    chunks = read_chunks(path, start_offset=start_offset, block_bytes=block_bytes, cap_bytes=cap_bytes)
    return [line for chunk in chunks for line in split(chunk)]


@given(
    data=st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\xe4\xb8", b"\x00", b"word "])).map(b"".join),
    block=st.integers(1, 9),
)
def test_read_chunks_gives_every_byte_in_whole_lines(log: Path, data: bytes, block: int) -> None:
    """Whatever the size of a block, the chunks are the file, cut behind line ends only, and numbered."""
    log.write_bytes(data)
    chunks = list(read_chunks(log, block_bytes=block))
    assert b"".join(chunk.data for chunk in chunks) == data
    assert all(chunk.data.endswith(b"\n") for chunk in chunks[:-1])
    position, number = 0, 1
    for chunk in chunks:
        assert (chunk.start_offset, chunk.number) == (position, number)
        position, number = chunk.end_offset, number + chunk.data.count(b"\n")
    assert position == len(data)


def test_read_chunks_starts_at_an_offset(tmp_path: Path) -> None:
    """Offsets stay those of the file; numbers count from where reading began."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"one\ntwo\nthree")
    assert read_lines(log, start_offset=4) == [
        Line(raw=b"two", offset=4, number=1),
        Line(raw=b"three", offset=8, number=2),
    ]
    assert read_lines(log, start_offset=99) == []


def test_read_chunks_cuts_an_over_long_line(tmp_path: Path) -> None:
    """An over-long line is given by its head, marked, and the lines around it stay whole."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"one\n" + b"x" * 50 + b"\nthree\n")
    assert read_lines(log, cap_bytes=10) == [
        Line(raw=b"one", offset=0, number=1),
        Line(raw=b"x" * 10, offset=4, number=2, truncated=True),
        Line(raw=b"three", offset=55, number=3),
    ]


def test_read_chunks_marks_the_last_chunk_as_caught_up(tmp_path: Path) -> None:
    """Only what is given out last says that the file held no more."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"one\ntwo\n")
    assert [chunk.caught_up for chunk in read_chunks(log, block_bytes=4)] == [False, True]
    log.write_bytes(b"one\ntwo")
    assert [chunk.caught_up for chunk in read_chunks(log, block_bytes=4)] == [False, True]


def test_read_chunks_ends_where_the_file_ended_when_it_was_opened(tmp_path: Path) -> None:
    """A log that grows while it is read is read to the end it had."""
    log = tmp_path / "bob.log"
    log.write_bytes(b"one\ntwo\n")
    chunks = read_chunks(log, block_bytes=4)
    given_out = [next(chunks).data]
    with log.open("ab") as file:
        file.write(b"three\n")
    given_out += [chunk.data for chunk in chunks]
    assert given_out == [b"one\n", b"two\n"]


def test_read_chunks_takes_a_pipe(tmp_path: Path) -> None:
    """A named pipe is read until its writer closes it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"one\ntwo",))
    writer.start()
    assert [line.raw for line in read_lines(pipe)] == [b"one", b"two"]
    writer.join()


def test_read_chunks_says_what_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a directory are the operating system's errors."""
    with pytest.raises(FileNotFoundError):
        list(read_chunks(tmp_path / "none.log"))
    with pytest.raises(IsADirectoryError):
        list(read_chunks(tmp_path))
