"""Parts of real files: which lines come out, in how much memory, and what becomes of files that are no logs."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logmonitor.errors import OperationError, PatternError
from logmonitor.host import LocalHost
from logmonitor.hosting import log_reading
from logmonitor.hosting.log_reading import file_state, read_log
from logmonitor.log_slice import LastLines, LinesSince, LogClock, LogSlice, MatchingLines, Selection

MEBIBYTE = 1 << 20
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TIME_OF_DAY = LogClock(prefix=r"(?P<time>\d{2}:\d{2}:\d{2}) ", time_format="%H:%M:%S", zone=UTC)
DATED = LogClock(prefix=r"(?P<time>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}) ", time_format="iso", zone=UTC)
JSON = LogClock(json_time="time")
_CONTENT = st.lists(
    st.sampled_from([b"\n", b"a", b"ab", b"error", b"\r\n", "王".encode(), b"\xff", b"long enough to be cut "]),
    max_size=40,
).map(b"".join)


def read(path: Path, selection: Selection, *, limit_bytes: int = MEBIBYTE) -> LogSlice:
    """Read from a thread's point of view what an operation awaits."""
    return asyncio.run(read_log(path, selection, limit_bytes=limit_bytes))


def test_log_is_read_for_a_user_if_it_is_that_users(tmp_path: Path) -> None:
    """Neither a link nor a file of somebody else is read for a user, but one of root's that others may write is."""
    path, link = tmp_path / "bob.log", tmp_path / "link.log"
    path.write_text("ready\n")
    link.symlink_to(path)

    def read_for(owner: int, path: Path) -> bytes:
        return asyncio.run(read_log(path, LastLines(count=1), limit_bytes=99, owner=owner)).data

    assert read_for(os.getuid(), path) == b"ready\n"
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        read_for(os.getuid(), link)
    with pytest.raises(PermissionError, match="it is another user's"):
        read_for(os.getuid() + 1, path)
    if os.getuid() == 0:
        path.chmod(0o664)
        assert read_for(1, path) == b"ready\n"


def lines_of(data: bytes) -> list[bytes]:
    """Return lines with their ends; only a newline ends one."""
    return re.findall(rb"[^\n]*\n|[^\n]+\Z", data)


def log(tmp_path: Path, *lines: str, written_at: datetime = NOON) -> Path:
    """Write a log that was last written to at a given time."""
    path = tmp_path / "bob.log"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    os.utime(path, (written_at.timestamp(), written_at.timestamp()))
    return path


@pytest.mark.parametrize(
    ("content", "count", "found"),
    [
        (b"", 3, b""),
        (b"one\n", 3, b"one\n"),
        (b"one\ntwo\nthree\nfour\n", 3, b"two\nthree\nfour\n"),
        (b"one\ntwo\nthree\nfour", 2, b"three\nfour"),
        (b"\n\n\n\n", 2, b"\n\n"),
        (b"one\ntwo\n", None, b"one\ntwo\n"),
        (b"one\ntwo", None, b"one\ntwo"),
        (b"\0\0\0after the hole\nnext\n", None, b"after the hole\nnext\n"),
        (b"\0\0\0after the hole\nnext\n", 2, b"after the hole\nnext\n"),
        (b"\0\0", None, b""),
    ],
)
def test_read_log_returns_the_last_lines(tmp_path: Path, content: bytes, count: int | None, found: bytes) -> None:
    """As many as were asked for, or all there are, an unfinished last one too; a hole in front is left out."""
    path = tmp_path / "bob.log"
    path.write_bytes(content)
    lines = len(lines_of(found))
    expected = LogSlice(data=found, lines=lines, found=lines, size_bytes=len(content))
    assert read(path, LastLines(count=count)) == expected


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=_CONTENT, count=st.none() | st.integers(1, 12), sizes=st.tuples(st.integers(1, 60), st.integers(1, 9)))
def test_last_lines_are_those_of_the_file_whatever_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, count: int | None, sizes: tuple[int, int]
) -> None:
    """However a file is divided into blocks, its last whole lines come out, never more than the limit allows."""
    limit, block = sizes
    monkeypatch.setattr(log_reading, "BLOCK_BYTES", block)
    path = tmp_path / "bob.log"
    path.write_bytes(content)
    slice_ = read(path, LastLines(count=count), limit_bytes=limit)
    whole = lines_of(content)
    wanted = whole if count is None else whole[-count:]
    assert len(slice_.data) <= limit
    assert (slice_.lines, slice_.size_bytes) == (len(lines_of(slice_.data)), len(content))
    if sum(map(len, wanted)) <= limit:
        assert (slice_.data, slice_.found, slice_.is_cut) == (b"".join(wanted), len(wanted), False)
        return
    assert slice_.found is None
    if slice_.is_cut:
        assert len(whole[-1]) > limit
        assert whole[-1].endswith(slice_.data)
        return
    kept = lines_of(slice_.data)
    assert kept == whole[-len(kept) :]
    assert sum(map(len, whole[-len(kept) - 1 :])) > limit


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=_CONTENT, count=st.integers(1, 6), sizes=st.tuples(st.integers(1, 9), st.integers(4, 30)))
def test_matching_lines_are_those_of_the_file_whatever_the_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, count: int, sizes: tuple[int, int]
) -> None:
    """However a file is divided, the last lines that match come out and all are counted; over-long ones by the head."""
    block, cap = sizes
    monkeypatch.setattr(log_reading, "BLOCK_BYTES", block)
    monkeypatch.setattr(log_reading, "CAP_BYTES", cap)
    path = tmp_path / "bob.log"
    path.write_bytes(content)
    slice_ = read(path, MatchingLines(pattern="error", count=count))
    matching = [line for line in lines_of(content) if b"error" in line]
    short = [line for line in matching if len(line) <= cap]
    assert slice_.found is not None
    assert len(short) <= slice_.found <= len(matching)
    assert slice_.lines == min(count, slice_.found)
    if len(short) == len(matching):
        ends = [line.rstrip(b"\r\n") if line.endswith(b"\n") else line for line in matching]
        assert [line.removesuffix(b"\r") for line in slice_.data.split(b"\n")[:-1]] == [
            line.removesuffix(b"\r") for line in ends[-count:]
        ]
    for line in slice_.data.split(b"\n")[:-1]:
        assert any(whole.startswith(line) for whole in matching)


def test_matching_lines_hold_colours_that_the_pattern_does_not_see(tmp_path: Path) -> None:
    """A pattern is matched against the text without its escape sequences."""
    path = tmp_path / "bob.log"
    path.write_bytes(b"\x1b[31mERROR\x1b[0m: disk\nERR\x1b[0mOR: net\nfine\n")
    slice_ = read(path, MatchingLines(pattern="ERROR: (disk|net)", count=9))
    assert (slice_.lines, slice_.found) == (2, 2)


def test_matching_lines_beyond_the_limit_are_only_counted(tmp_path: Path) -> None:
    """The newest that the limit allows come out, and one that is longer than it by its head."""
    path = tmp_path / "bob.log"
    path.write_bytes(b"".join(b"match %03d\n" % number for number in range(100)))
    slice_ = read(path, MatchingLines(pattern="match", count=50), limit_bytes=33)
    assert slice_ == LogSlice(
        data=b"match 097\nmatch 098\nmatch 099\n", lines=3, found=100, size_bytes=path.stat().st_size
    )
    slice_ = read(path, MatchingLines(pattern="match", count=50), limit_bytes=6)
    assert (slice_.data, slice_.is_cut, slice_.found) == (b"match\n", True, 100)


def test_matching_lines_are_counted_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nearly everything matches it is not counted how much."""
    monkeypatch.setattr(log_reading, "MOST_COUNTED", 10)
    monkeypatch.setattr(log_reading, "BLOCK_BYTES", 20)
    path = tmp_path / "bob.log"
    path.write_bytes(b"x\n" * 100)
    slice_ = read(path, MatchingLines(pattern="x", count=2))
    assert (slice_.lines, slice_.found) == (2, None)


@pytest.mark.parametrize(
    ("lines", "clock", "since", "found"),
    [
        (("11:40:00 a", "11:50:00 b", "trace of b", "12:00:00 c"), TIME_OF_DAY, 10, 3),
        (("11:40:00 a", "11:50:00 b"), TIME_OF_DAY, 10, 1),
        (("23:59:00 a", "trace", "00:01:00 b"), TIME_OF_DAY, 5, 3),
        (("11:58:00 a", "12:00:00 b") * 2, TIME_OF_DAY, 5, 4),
        (("2026-11-20 11:49:59 a", "2026-11-20 11:50:00 b", "2026-11-20 12:00:00 c"), DATED, 10, 2),
        (("2026-11-19 11:55:00 a", "trace", "2026-11-20 11:55:00 b"), DATED, 10, 1),
        (("2026-11-19 11:55:00 a", "2026-11-19 11:56:00 b"), DATED, 10, 0),
        (('{"time": 1, "x": 2}', "plain", '{"time": "2026-11-20T11:55:00Z"}', "plain"), JSON, 10, 2),
    ],
)
def test_read_log_returns_the_lines_since_a_time(
    tmp_path: Path, lines: tuple[str, ...], clock: LogClock, since: int, found: int
) -> None:
    """From the first that is not older on, those without a time with the one before them; none if all are older."""
    path = log(tmp_path, *lines)
    slice_ = read(path, LinesSince(since=NOON - timedelta(minutes=since), clock=clock))
    text = "".join(f"{line}\n" for line in lines[len(lines) - found :])
    assert slice_ == LogSlice(data=text.encode(), lines=found, found=found, size_bytes=path.stat().st_size)


def test_lines_since_are_found_from_the_end(tmp_path: Path) -> None:
    """A long log is not read before where the time was, and what the limit leaves out is not counted."""
    lines = [f"{(NOON - timedelta(seconds=ago)):%Y-%m-%d %H:%M:%S} line {ago}" for ago in range(100_000, -1, -1)]
    path = log(tmp_path, *lines)
    slice_ = read(path, LinesSince(since=NOON - timedelta(minutes=10), clock=DATED))
    assert slice_.data.decode().splitlines() == lines[-601:]
    assert slice_.found == 601
    slice_ = read(path, LinesSince(since=NOON - timedelta(minutes=10), clock=DATED), limit_bytes=100)
    assert (slice_.data.decode().splitlines(), slice_.found) == (lines[-3:], None)


def test_lines_since_tell_of_a_log_without_times(tmp_path: Path) -> None:
    """A log no line of which tells its time is told from one in which nothing happened since."""
    path = log(tmp_path, "no time", "no time either")
    slice_ = read(path, LinesSince(since=NOON, clock=TIME_OF_DAY))
    assert (slice_.lines, slice_.is_timed) == (0, False)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    written=st.lists(st.tuples(st.integers(0, 4000), st.sampled_from(["x", "long " * 6, "a\nb", "\n"])), max_size=30),
    ago=st.integers(0, 20_000),
    block=st.integers(1, 50),
    is_dated=st.booleans(),
)
def test_lines_since_are_those_of_the_file_whatever_the_blocks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: list[tuple[int, str]],
    *,
    ago: int,
    block: int,
    is_dated: bool,
) -> None:
    """In a log whose times grow, with or without dates, what was written since is found, in blocks of any size."""
    monkeypatch.setattr(log_reading, "BLOCK_BYTES", block)
    at = NOON
    lines: list[tuple[datetime, str]] = []
    for gap, text in written:
        lines.insert(0, (at, f"{at:%Y-%m-%d %H:%M:%S} {text}" if is_dated else f"{at:%H:%M:%S} {text}"))
        at -= timedelta(seconds=gap)
    path = log(tmp_path, *(text for _, text in lines))
    since = NOON - timedelta(seconds=ago)
    slice_ = read(path, LinesSince(since=since, clock=DATED if is_dated else TIME_OF_DAY))
    expected = "".join(f"{text}\n" for at, text in lines if at >= since)
    assert slice_.data.decode() == expected.lstrip("\0")


def test_a_line_without_end_is_shown_by_its_end_or_its_head(tmp_path: Path) -> None:
    """Of a line longer than what is held its end is the last line, from a whole character on; its head may match."""
    path = tmp_path / "bob.log"
    path.write_bytes(b"before\nerror " + "王".encode() * 10_000_000 + b"\n")
    slice_ = read(path, LastLines(count=1), limit_bytes=300_000)
    assert (slice_.lines, slice_.found, slice_.is_cut) == (1, None, True)
    assert set(slice_.data.decode()) == {"王", "\n"}
    slice_ = read(path, MatchingLines(pattern="error", count=1), limit_bytes=300_000)
    assert (slice_.lines, slice_.found, slice_.is_cut) == (1, 1, True)
    assert slice_.data.startswith("error 王".encode())
    path.write_bytes(b"12:00:00 " + b"x" * 3_000_000 + b"\n12:00:00 last\n")
    os.utime(path, (NOON.timestamp(), NOON.timestamp()))
    slice_ = read(path, LinesSince(since=NOON - timedelta(minutes=1), clock=TIME_OF_DAY), limit_bytes=8 * MEBIBYTE)
    assert (slice_.lines, slice_.is_cut, slice_.data[-14:]) == (2, True, b"12:00:00 last\n")


def test_a_long_line_before_the_last_ones_does_not_hide_them(tmp_path: Path) -> None:
    """Lines behind one that is too long come out whole, without it."""
    path = tmp_path / "bob.log"
    path.write_bytes(b"x" * 100_000 + b"\none\ntwo\n")
    slice_ = read(path, LastLines(count=3), limit_bytes=1000)
    assert (slice_.data, slice_.lines, slice_.found) == (b"one\ntwo\n", 2, None)


@pytest.mark.parametrize("limit_bytes", [1000, 8])
def test_what_lies_behind_a_hole_is_shown(tmp_path: Path, limit_bytes: int) -> None:
    """A log that was truncated under a writer who goes on where he was begins with zeros, of which none is shown."""
    path = tmp_path / "bob.log"
    with path.open("wb") as file:
        file.truncate(10 * MEBIBYTE)
        file.seek(10 * MEBIBYTE)
        file.write(b"one\ntwo\n")
    slice_ = read(path, LastLines(), limit_bytes=limit_bytes)
    assert (slice_.data, slice_.lines, slice_.found) == (b"one\ntwo\n", 2, None)


def test_read_log_reads_what_it_opened(tmp_path: Path) -> None:
    """A log that is rotated away is read to its end; one of the same name that is not there yet is missing."""
    path = log(tmp_path, "one")
    path.rename(tmp_path / "bob.log.1")
    with pytest.raises(FileNotFoundError):
        read(path, LastLines())
    assert read(tmp_path / "bob.log.1", LastLines()).data == b"one\n"


def test_read_log_begins_anew_when_the_log_is_cut_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy-and-truncate under the reader gives the lines that are there then; one that never ends is an error."""
    path = log(tmp_path, *map(str, range(1000)))
    real = os.pread
    cuts = [b"new\n"]

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        if cuts:
            path.write_bytes(cuts.pop())
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    assert read(path, LastLines(count=5)).data == b"new\n"
    path.write_bytes(b"x" * 100)
    cuts[:] = [b"x", b"x" * 2, b"x" * 3]
    path.write_bytes(b"y" * 100)
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(OSError, match="it is cut again and again while it is read"):
        read(path, LastLines(count=5))


def test_read_log_refuses_what_is_no_file(tmp_path: Path) -> None:
    """A named pipe, a folder and a device are refused at once, and not waited for."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="it is no regular file"):
            read(path, LastLines(count=1))


def test_read_log_tells_what_may_not_be_read() -> None:
    """Who may not read a log is told so; asked as nobody, as root may read everything."""
    program = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from logmonitor.hosting.log_reading import read_log\n"
        "from logmonitor.log_slice import LastLines\n"
        "asyncio.run(read_log(Path(sys.argv[2]), LastLines(), limit_bytes=9))\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: asyncio.run(read_log(Path(sys.argv[1]), LastLines(), limit_bytes=9))\n"
        "except PermissionError as error: print(error.strerror)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = log(Path(folder), "secret")
        path.chmod(0)
        Path(folder).chmod(0o755)
        words = [sys.executable, "-c", program, str(path), __file__]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "Permission denied\n"


async def test_read_log_ends_when_nobody_waits_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled reading stops at its next block."""
    path = tmp_path / "bob.log"
    path.write_bytes(b"x\n" * 100)
    monkeypatch.setattr(log_reading, "BLOCK_BYTES", 2)
    begun, going = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    reads: list[int] = []
    real = os.pread

    def pread(descriptor: int, size: int, offset: int) -> bytes:
        reads.append(offset)
        loop.call_soon_threadsafe(begun.set)
        going.wait(10)
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", pread)
    task = asyncio.create_task(read_log(path, MatchingLines(pattern="y", count=1), limit_bytes=9))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    going.set()
    await loop.shutdown_default_executor()
    assert reads == [198]


def test_read_log_holds_little_of_a_large_log(tmp_path: Path) -> None:
    """A log of 60 MB is read in a few megabytes, whatever is looked for in it."""
    path = tmp_path / "bob.log"
    line = b"12:00:00 INFO StarterBot nothing to see here, and nothing to find either\n"
    with path.open("wb") as file:
        for _ in range(60):
            file.write(line * (1_000_000 // len(line)))
    program = (
        "import asyncio, resource, sys; from pathlib import Path; from datetime import *\n"
        "from logmonitor.hosting.log_reading import read_log\n"
        "from logmonitor.log_slice import *\n"
        "clock = LogClock(prefix=r'(?P<time>\\d\\d:\\d\\d:\\d\\d) ', time_format='%H:%M:%S')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for one in (LastLines(), LastLines(count=10**9), MatchingLines(pattern='here', count=10**9),\n"
        "            LinesSince(since=datetime(2000, 1, 1, tzinfo=UTC), clock=clock)):\n"
        "    found = asyncio.run(read_log(Path(sys.argv[1]), one, limit_bytes=1 << 20))\n"
        "    assert 1_000_000 < len(found.data) <= 1 << 20, one\n"
        "    assert found.found is None, one\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 30_000


def test_selection_refuses_what_wants_nothing() -> None:
    """A count below 1 and a pattern that cannot be looked for are refused when they are said."""
    with pytest.raises(OperationError, match=r"bad count 0 of lines; expected 1 or more"):
        LastLines(count=0)
    with pytest.raises(OperationError, match=r"bad count -1 of lines"):
        MatchingLines(pattern="x", count=-1)
    with pytest.raises(PatternError, match="is not closed"):
        MatchingLines(pattern="(x", count=1)


async def test_host_reads_logs_and_tells_how_files_stand(tmp_path: Path) -> None:
    """The machine's port gives lines, size and time of a file."""
    path = log(tmp_path, "one", "two")
    host = LocalHost()
    assert (await host.read_log(path, LastLines(count=1), limit_bytes=100)).data == b"two\n"
    state = await host.file_state(path)
    assert (state.size_bytes, state.modified_at) == (8, NOON)
    assert file_state(path) == state
    with pytest.raises(FileNotFoundError):
        await host.file_state(tmp_path / "none")
