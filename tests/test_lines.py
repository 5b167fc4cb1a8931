"""Bytes to lines: the same lines in any chunking, long ones by their head, all in linear time."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from logmonitor.lines import CAP_BYTES, Rest, cut, finish, split
from logmonitor.records import Chunk, Line

PATH = Path("bob.log")
CAP = 8

log_bytes = st.lists(
    st.sampled_from([b"\n", b"\r\n", b"\r", b"\0", b"\xff", "好".encode(), b"a", b"1234567", b"12345678", b"123456789"])
).map(b"".join)


def read(pieces: list[bytes], *, cap_bytes: int = CAP_BYTES) -> tuple[Rest, list[Chunk]]:
    """Cut `pieces` one after the other and finish; return every chunk."""
    rest = Rest()
    chunks: list[Chunk] = []
    for piece in pieces:
        rest, given_out = cut(rest, piece, path=PATH, cap_bytes=cap_bytes)
        chunks += given_out
    rest, given_out = finish(rest, path=PATH)
    return rest, chunks + list(given_out)


def lines_of(chunks: list[Chunk]) -> list[Line]:
    """Split every chunk."""
    return [line for chunk in chunks for line in split(chunk)]


def expected(data: bytes, *, cap_bytes: int) -> list[Line]:
    """Say the same in the plainest way."""
    lines: list[Line] = []
    offset = 0
    for number, piece in enumerate(data.split(b"\n"), 1):
        terminated = offset + len(piece) < len(data)
        if piece or terminated:
            truncated = len(piece) > cap_bytes
            raw = piece[:cap_bytes] if truncated else piece.removesuffix(b"\r") if terminated else piece
            lines.append(Line(raw=raw, offset=offset, number=number, truncated=truncated))
        offset += len(piece) + 1
    return lines


@given(data=log_bytes, cuts=st.lists(st.integers(0, 60)))
def test_cut_gives_the_same_lines_in_any_chunking(data: bytes, cuts: list[int]) -> None:
    """However the bytes are divided, offset, number, bytes and mark of each line are the same."""
    edges = [0, *sorted(min(edge, len(data)) for edge in cuts), len(data)]
    pieces = [data[start:end] for start, end in pairwise(edges)]
    rest, chunks = read(pieces, cap_bytes=CAP)
    assert lines_of(chunks) == expected(data, cap_bytes=CAP)
    assert rest.offset == rest.read_offset == len(data)


@given(data=log_bytes, cuts=st.lists(st.integers(0, 60)))
def test_chunks_join_without_gap(data: bytes, cuts: list[int]) -> None:
    """Each chunk starts where the one before ended, and those not truncated hold the file's own bytes."""
    edges = [0, *sorted(min(edge, len(data)) for edge in cuts), len(data)]
    _, chunks = read([data[start:end] for start, end in pairwise(edges)], cap_bytes=CAP)
    assert [chunk.start_offset for chunk in chunks] == [0, *(chunk.end_offset for chunk in chunks)][: len(chunks)]
    for chunk in chunks:
        assert chunk.data == data[chunk.start_offset : chunk.end_offset][: CAP if chunk.truncated else None]


@given(data=log_bytes, cuts=st.lists(st.integers(0, 60)))
def test_rest_never_holds_more_than_the_cap(data: bytes, cuts: list[int]) -> None:
    """What waits for its terminator stays within the cap, and knows where to read on."""
    edges = [0, *sorted(min(edge, len(data)) for edge in cuts), len(data)]
    rest = Rest()
    for start, end in pairwise(edges):
        rest, _ = cut(rest, data[start:end], path=PATH, cap_bytes=CAP)
        assert rest.held_bytes <= CAP
        assert rest.read_offset == end


def test_cut_gives_out_whole_lines_only() -> None:
    """Half a line waits for its other half."""
    rest, chunks = cut(Rest(), b"one\ntwo\nthr", path=PATH)
    assert chunks == (Chunk(path=PATH, data=b"one\ntwo\n", start_offset=0, end_offset=8, number=1),)
    assert rest == Rest(offset=8, number=3, held=(b"thr",))
    rest, chunks = cut(rest, b"ee\n", path=PATH)
    assert chunks == (Chunk(path=PATH, data=b"three\n", start_offset=8, end_offset=14, number=3),)
    assert rest == Rest(offset=14, number=4)


def test_cut_marks_the_last_chunk_as_caught_up() -> None:
    """Where the file held no more, the last chunk says so, and only the last."""
    _, chunks = cut(Rest(), b"one\n123456789\n", path=PATH, cap_bytes=CAP, caught_up=True, backlog=True)
    assert [(chunk.caught_up, chunk.backlog) for chunk in chunks] == [(False, True), (True, True)]


def test_cut_marks_no_chunk_as_caught_up_before_the_rest_of_a_line() -> None:
    """While a line is being written, what comes next is of the same write; a backlog ends there nevertheless."""
    _, (chunk,) = cut(Rest(), b"one\ntw", path=PATH, caught_up=True)
    assert not chunk.caught_up
    _, (chunk,) = cut(Rest(), b"one\ntw", path=PATH, caught_up=True, backlog=True)
    assert chunk.caught_up


def test_cut_gives_out_a_long_line_alone_by_its_head() -> None:
    """A line over the cap stands alone, marked, its end behind its real end; its neighbours are whole."""
    _, chunks = cut(Rest(), b"one\n123456789abc\ntwo\n", path=PATH, cap_bytes=CAP)
    assert chunks == (
        Chunk(path=PATH, data=b"one\n", start_offset=0, end_offset=4, number=1),
        Chunk(path=PATH, data=b"12345678", start_offset=4, end_offset=17, number=2, truncated=True),
        Chunk(path=PATH, data=b"two\n", start_offset=17, end_offset=21, number=3),
    )


def test_cut_passes_over_a_long_line_in_bounded_memory() -> None:
    """Of a line many times the cap only the head is ever held, and it is given out once."""
    rest = Rest()
    chunks: list[Chunk] = []
    block = b"x" * 65536
    for _ in range(160):
        rest, given_out = cut(rest, block, path=PATH)
        chunks += given_out
        assert rest.held_bytes <= CAP_BYTES
    assert chunks == []
    rest, given_out = cut(rest, b"\nnext\n", path=PATH)
    assert [(chunk.truncated, len(chunk.data), chunk.end_offset) for chunk in given_out] == [
        (True, CAP_BYTES, 160 * 65536 + 1),
        (False, 5, 160 * 65536 + 6),
    ]


def test_held_pieces_stay_few() -> None:
    """A line that comes byte by byte is held in a logarithmic number of pieces, so that nothing is quadratic."""
    rest = Rest()
    for _ in range(5000):
        rest, _ = cut(rest, b"x", path=PATH)
    assert len(rest.held) <= 14
    _, chunks = cut(rest, b"\n", path=PATH)
    assert chunks[0].data == b"x" * 5000 + b"\n"


def test_finish_gives_out_an_unterminated_rest() -> None:
    """The last line of a finished file needs no terminator; after a whole line there is nothing to give."""
    rest, _ = cut(Rest(), b"one\ntw", path=PATH)
    rest, chunks = finish(rest, path=PATH)
    assert chunks == (Chunk(path=PATH, data=b"tw", start_offset=4, end_offset=6, number=2),)
    assert finish(rest, path=PATH) == (Rest(offset=6, number=3), ())


def test_split_takes_both_terminators_and_keeps_all_other_bytes() -> None:
    """LF and CRLF end a line; NUL, lone CR and invalid UTF-8 are the line's own."""
    chunk = Chunk(path=PATH, data=b"a\0b\r\nc\rd\n\xff\n\n", start_offset=100, end_offset=113, number=7)
    assert list(split(chunk)) == [
        Line(raw=b"a\0b", offset=100, number=7),
        Line(raw=b"c\rd", offset=105, number=8),
        Line(raw=b"\xff", offset=109, number=9),
        Line(raw=b"", offset=111, number=10),
    ]


def test_split_of_an_empty_chunk_gives_no_line() -> None:
    """A chunk that only says "caught up" holds no line."""
    assert list(split(Chunk(path=PATH, data=b"", start_offset=9, end_offset=9, number=2, caught_up=True))) == []
