"""The follower on real files: one suite over events, polling and ticks alone."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
from watchdog.observers.inotify import InotifyEmitter

from benchmarks.rotation import SCENARIOS, Score, follow
from logmonitor.errors import ConfigurationError
from logmonitor.follower import Backend, Follower, Position, Start
from logmonitor.following import observing
from logmonitor.records import Chunk, Notice, NoticeKind
from tests.readers import Reader, StepWaker, append, count_open, shift

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from pathlib import Path

TICK = 0.1
GRACE = 0.4
EVERY_BACKEND = pytest.mark.parametrize("backend", [Backend.EVENTS, Backend.POLLING, Backend.TICK])
WATCHING = pytest.mark.parametrize("backend", [Backend.EVENTS, Backend.POLLING])


def run(test: Coroutine[None, None, None]) -> None:
    """Run a test's coroutine."""
    asyncio.run(test)


def troubles(follower: Follower) -> list[tuple[NoticeKind, Path]]:
    """Return what is wrong with which logs now."""
    return [(trouble.kind, trouble.path) for trouble in follower.troubles()]


def reader_of(
    *paths: Path | str, backend: Backend = Backend.TICK, start: Start | Mapping[Path, Position] = Start.END
) -> Reader:
    """Follow with short ticks."""
    return Reader(Follower(*paths, start=start, backend=backend, tick=TICK, grace=GRACE))


@EVERY_BACKEND
def test_follower_gives_out_what_is_appended(tmp_path: Path, backend: Backend) -> None:
    """Lines come as they are written, from the end on, with their offsets."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"before\n")

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            await reader.until_begun()
            append(log, b"one\n")
            await reader.until_lines(b"one")
            append(log, b"two\nthree\n")
            await reader.until_lines(b"one", b"two", b"three")
            assert [chunk.start_offset for chunk in reader.chunks] == [7, 7, 11]

    run(body())


@EVERY_BACKEND
def test_follower_waits_for_the_other_half_of_a_line(tmp_path: Path, backend: Backend) -> None:
    """A line cut anywhere, inside a character too, comes whole; other bytes come as they are."""
    log = tmp_path / "bot.log"
    log.touch()

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            await reader.until_begun()
            append(log, "登".encode()[:2])
            append(log, "登".encode()[2:] + b" in\r\nnext")
            append(log, b" \0\xff\rline\n")
            await reader.until_lines("登 in".encode(), b"next \0\xff\rline")

    run(body())


@EVERY_BACKEND
def test_follower_waits_for_file_and_directory(tmp_path: Path, backend: Backend) -> None:
    """What is missing at the start is said once, and read from its beginning once it is there."""
    log = tmp_path / "later" / "bot.log"

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            assert (await reader.until_notice(NoticeKind.MISSING)).path == log
            log.parent.mkdir()
            log.write_bytes(b"one\ntwo\n")
            await reader.until_lines(b"one", b"two")
            append(log, b"three\n")
            await reader.until_lines(b"one", b"two", b"three")
            assert reader.kinds == [NoticeKind.MISSING, NoticeKind.APPEARED]

    run(body())


@EVERY_BACKEND
def test_follower_reads_on_in_a_renamed_file(tmp_path: Path, backend: Backend) -> None:
    """While the writer still has the old file, its lines come, before and after the new file is there."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"")

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            await reader.until_begun()
            append(log, b"one\n")
            log.rename(tmp_path / "bot.log.1")
            append(tmp_path / "bot.log.1", b"two\n")
            log.write_bytes(b"three\n")
            await reader.until_lines(b"one", b"two", b"three")
            append(tmp_path / "bot.log.1", b"four")
            await reader.until_lines(b"one", b"two", b"three", b"four")
            assert reader.kinds == [NoticeKind.ROTATED]

    run(body())


@EVERY_BACKEND
def test_follower_fetches_the_rest_from_the_copy(tmp_path: Path, backend: Backend) -> None:
    """What was written between the last look and a copytruncate comes from the copy, whatever it is called."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"one\n")

    async def body() -> None:
        async with reader_of(log, backend=backend, start=Start.BEGINNING) as reader:
            await reader.until_lines(b"one")
            append(log, b"two\nthr")
            shutil.copyfile(log, tmp_path / "kept elsewhere")
            os.truncate(log, 0)
            append(log, b"ee\nfour is longer than all before\n")
            await reader.until_lines(b"one", b"two", b"three", b"four is longer than all before")
            assert reader.kinds == [NoticeKind.TRUNCATED]

    run(body())


@EVERY_BACKEND
def test_follower_begins_again_after_a_deletion(tmp_path: Path, backend: Backend) -> None:
    """A file created anew is read from its beginning; the old one's unterminated rest is given out."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"one\n")

    async def body() -> None:
        async with reader_of(log, backend=backend, start=Start.BEGINNING) as reader:
            await reader.until_lines(b"one")
            append(log, b"half")
            log.unlink()
            log.write_bytes(b"two\n")
            await reader.until_lines(b"one", b"two", b"half")

    run(body())


@EVERY_BACKEND
def test_follower_follows_a_link_to_another_file(tmp_path: Path, backend: Backend) -> None:
    """Writes to a link's target are seen, and so is that the link leads elsewhere."""
    log = tmp_path / "links" / "bot.log"
    log.parent.mkdir()
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "real.log").touch()
    log.symlink_to(tmp_path / "first" / "real.log")

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            await reader.until_begun()
            append(tmp_path / "first" / "real.log", b"one\n")
            await reader.until_lines(b"one")
            (log.parent / "link").symlink_to(tmp_path / "second" / "real.log")
            (log.parent / "link").rename(log)
            append(log, b"two\n")
            await reader.until_lines(b"one", b"two")
            append(log, b"three\n")
            await reader.until_lines(b"one", b"two", b"three")

    run(body())


@EVERY_BACKEND
def test_follower_takes_in_what_a_glob_names_later(tmp_path: Path, backend: Backend) -> None:
    """A new dated file is read from its beginning; those that were there, from their end."""
    (tmp_path / "bot-2026-11-19.log").write_bytes(b"old\n")

    async def body() -> None:
        async with reader_of(str(tmp_path / "bot-*.log"), backend=backend) as reader:
            await reader.until_begun()
            (tmp_path / "bot-2026-11-20.log").write_bytes(b"one\n")
            (tmp_path / "other.log").write_bytes(b"not ours\n")
            await reader.until_lines(b"one")
            append(tmp_path / "bot-2026-11-19.log", b"two\n")
            await reader.until_lines(b"one", b"two")
            assert [chunk.path.name[4:14] for chunk in reader.chunks if chunk.data] == ["2026-11-20", "2026-11-19"]

    run(body())


@EVERY_BACKEND
@pytest.mark.parametrize("copied", [False, True])
def test_follower_reads_once_what_a_glob_names_twice(tmp_path: Path, backend: Backend, *, copied: bool) -> None:
    """Rotated files that the glob takes in too are known by what was read of them under their other name."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"")
    expected = [b"line %03d " % number + b"x" * 300 for number in range(8)]

    async def body() -> None:
        async with reader_of(f"{log}*", backend=backend) as reader:
            await reader.until_begun()
            for number in range(0, 8, 2):
                append(log, expected[number] + b"\n")
                await reader.until_lines(*expected[: number + 1])
                shift(log)
                if copied:
                    shutil.copyfile(log, f"{log}.1")
                    os.truncate(log, 0)
                else:
                    log.rename(f"{log}.1")
                append(log, expected[number + 1] + b"\n")
                await reader.until_lines(*expected[: number + 2])
            append(log, b"the last\n")
            await reader.until(lambda: b"the last" in reader.lines)
            assert reader.lines == [*expected, b"the last"]

    run(body())


@EVERY_BACKEND
def test_follower_goes_on_in_a_file_that_took_the_place_of_its_older_self(tmp_path: Path, backend: Backend) -> None:
    """What was read is not read again from a new inode that holds it, as rsync and editors leave it."""
    log = tmp_path / "bot.log"
    before = b"".join(b"line %d of the first version\n" % number for number in range(40))
    log.write_bytes(before)

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            await reader.until_begun()
            new = tmp_path / "bot.log.new"
            new.write_bytes(before + b"one\n")
            new.replace(log)
            await reader.until_lines(b"one")
            append(log, b"two\n")
            await reader.until_lines(b"one", b"two")

    run(body())


@EVERY_BACKEND
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_follower_loses_nothing_at_20000_lines_a_second(tmp_path: Path, backend: Backend, scenario: str) -> None:
    """Under the three ways to rotate, twice a second, no line is lost, doubled, garbled or out of order."""
    result = asyncio.run(
        follow(tmp_path / "x.log", scenario, backend=backend, seconds=1.5, rate=20_000, every=0.5),
    )
    assert result == Score(written=result.written, lost=0, doubled=0, garbled=0, misplaced=0)
    assert result.written


@EVERY_BACKEND
def test_follower_holds_as_much_after_100_rotations_as_before(tmp_path: Path, backend: Backend) -> None:
    """Watches, threads and descriptors are the same before and after 100 rotations, and all given back at the end."""
    log = tmp_path / "bot.log"
    log.touch()

    async def body() -> None:
        outside = count_open()
        waker = StepWaker()
        async with Reader(Follower(log, backend=backend, waker=waker)) as reader:
            await waker.step()
            inside = count_open()
            for number in range(100):
                append(log, b"%d\n" % number)
                if number % 2:
                    log.rename(tmp_path / "bot.log.1")
                    log.touch()
                else:
                    shutil.copyfile(log, tmp_path / "bot.log.1")
                    os.truncate(log, 0)
                await waker.step()
            for _ in range(8):
                await waker.step()
            assert reader.lines == [b"%d" % number for number in range(100)]
            assert count_open() == inside
        assert count_open() == outside

    gc.collect()
    run(body())


@WATCHING
def test_follower_notices_that_a_directory_was_replaced(tmp_path: Path, backend: Backend) -> None:
    """A watch whose directory is another by now is said to be lost, and set up again."""
    log = tmp_path / "logs" / "bot.log"
    log.parent.mkdir()
    log.write_bytes(b"")

    async def body() -> None:
        async with reader_of(log, backend=backend) as reader:
            await reader.until_begun()
            log.parent.rename(tmp_path / "away")
            log.parent.mkdir()
            log.write_bytes(b"one\n")
            await reader.until_lines(b"one")
            assert (await reader.until_notice(NoticeKind.WATCH_LOST)).path == log.parent
            append(log, b"two\n")
            await reader.until_lines(b"one", b"two")

    run(body())


def test_follower_polls_where_events_do_not_come(tmp_path: Path) -> None:
    """Writes that raise no event, here by another hard link, are found; the directory is polled, and that is said."""
    log = tmp_path / "logs" / "bot.log"
    other = tmp_path / "elsewhere" / "bot.log"
    for path in (log, other):
        path.parent.mkdir()
    log.touch()
    other.hardlink_to(log)

    async def body() -> None:
        async with reader_of(log, backend=Backend.EVENTS) as reader:
            await reader.until_begun()
            number = 0
            while NoticeKind.POLLING not in reader.kinds:
                append(other, b"%d\n" % number)
                number += 1
                await reader.until_lines(*(b"%d" % index for index in range(number)))
            assert reader.kinds == [NoticeKind.WATCH_LOST, NoticeKind.POLLING]

    run(body())


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EMFILE])
def test_follower_polls_where_watches_are_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """Where the system has no watch left the directory is polled instead, and that is said once."""
    log = tmp_path / "bot.log"
    log.touch()

    def refuse() -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(observing, "Observer", refuse)

    async def body() -> None:
        async with reader_of(log, backend=Backend.AUTO) as reader:
            notice = await reader.until_notice(NoticeKind.POLLING)
            assert notice.path == tmp_path
            assert os.strerror(code) in notice.detail
            append(log, b"one\n")
            await reader.until_lines(b"one")
            assert reader.kinds == [NoticeKind.POLLING]

    run(body())


def test_follower_polls_a_network_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory on a network file system is polled from the start, by the table of mounts, and that is said."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 254:0 / / rw - ext4 /dev/root rw\n"
        f"30 22 0:40 / {tmp_path} rw,relatime shared:1 - nfs4 server:/logs rw\n"
        "31 22 0:41 / /elsewhere rw - tmpfs tmpfs rw\n"
    )
    monkeypatch.setattr(observing, "_MOUNTS", mounts)
    log = tmp_path / "bot.log"
    log.touch()

    async def body() -> None:
        async with reader_of(log, backend=Backend.AUTO) as reader:
            assert "nfs4" in (await reader.until_notice(NoticeKind.POLLING)).detail
            append(log, b"one\n")
            await reader.until_lines(b"one")

    run(body())


def test_follower_outlives_watchdog_threads(tmp_path: Path) -> None:
    """Where a watchdog thread has died the watch is set up again."""
    log = tmp_path / "bot.log"
    log.touch()

    async def body() -> None:
        async with reader_of(log, backend=Backend.EVENTS) as reader:
            await reader.until_begun()
            for thread in threading.enumerate():
                if isinstance(thread, InotifyEmitter):
                    thread.stop()
            await reader.until_notice(NoticeKind.WATCH_LOST)
            append(log, b"one\n")
            await reader.until_lines(b"one")

    run(body())


@pytest.mark.parametrize("tail_bytes", [0, 5, 8, 9, 1000])
def test_follower_reads_a_backlog_of_whole_lines(tmp_path: Path, tail_bytes: int) -> None:
    """The backlog begins with a whole line, is marked, ends caught up, and leaves an unfinished line to come whole."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"one\ntwo\nthr")
    expected = {0: [], 5: [], 8: [b"two"], 9: [b"two"], 1000: [b"one", b"two"]}[tail_bytes]

    async def body() -> None:
        follower = Follower(log, tail_bytes=tail_bytes, backend=Backend.TICK, tick=TICK)
        async with Reader(follower) as reader:
            await reader.until_begun()
            assert reader.lines == expected
            assert [(chunk.backlog, chunk.caught_up) for chunk in reader.chunks] == [(True, True)]
            append(log, b"ee\n")
            await reader.until_lines(*expected, b"three")
            assert not reader.chunks[-1].backlog

    run(body())


def test_follower_says_a_long_line_once_and_gives_its_head(tmp_path: Path) -> None:
    """A line over the cap is cut, marked, said once, and passed over to its end."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"one\n" + b"x" * 50_000)

    async def body() -> None:
        follower = Follower(
            log, start=Start.BEGINNING, backend=Backend.TICK, tick=TICK, cap_bytes=1000, turn_bytes=4096
        )
        async with Reader(follower) as reader:
            notice = await reader.until_notice(NoticeKind.LONG_LINE)
            assert "offset 4" in notice.detail
            append(log, b"x" * 50_000 + b"\ntwo\n")
            await reader.until_lines(b"one", b"x" * 1000, b"two")
            assert [chunk.end_offset for chunk in reader.chunks if chunk.truncated] == [100_005]
            assert reader.kinds == [NoticeKind.LONG_LINE]

    run(body())


def test_follower_lets_no_busy_log_starve_another(tmp_path: Path) -> None:
    """Each log has its turn: a line of a quiet one does not wait for a large one to be read."""
    busy, quiet = tmp_path / "busy.log", tmp_path / "quiet.log"
    busy.write_bytes(b"busy\n" * 2000)
    quiet.write_bytes(b"quiet\n")

    async def body() -> None:
        follower = Follower(busy, quiet, start=Start.BEGINNING, backend=Backend.TICK, turn_bytes=500)
        async with Reader(follower) as reader:
            await reader.until(lambda: len(reader.lines) == 2001)
            assert reader.lines.index(b"quiet") < 300

    run(body())


def test_follower_reads_nothing_that_is_not_asked_for(tmp_path: Path) -> None:
    """One turn is read at a time; what is not taken stays in the file."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"line\n" * 1000)

    async def body() -> None:
        async with Follower(log, start=Start.BEGINNING, backend=Backend.TICK, turn_bytes=50) as follower:
            for number in range(1, 4):
                chunk = await anext(follower)
                assert isinstance(chunk, Chunk)
                assert chunk.data == b"line\n" * 10
                position = follower.position(log)
                assert position is not None
                assert (position.offset, position.number) == (number * 50, number * 10 + 1)
            os.truncate(log, 0)
            log.write_bytes(b"anew\n")
            items = [await anext(follower) for _ in range(3)]
            lost = [item for item in items if isinstance(item, Notice) and item.kind is NoticeKind.GAP]
            assert [notice.lost_bytes for notice in lost] == [5000 - 150]

    run(body())


@pytest.mark.parametrize("rotation", ["none", "rename", "copy", "lost"])
def test_follower_goes_on_from_a_saved_position(tmp_path: Path, rotation: str) -> None:
    """A position is found again in the file, in the one it was renamed or copied to, or its loss is said."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"one\ntwo\n")

    async def first() -> Position:
        async with Follower(log, start=Start.BEGINNING, backend=Backend.TICK) as follower:
            await anext(follower)
            position = follower.position(log)
        assert position is not None
        return position

    saved = asyncio.run(first())
    assert (saved.offset, saved.number, saved.marker) == (8, 3, b"one\ntwo\n")
    append(log, b"three\n")
    if rotation == "rename":
        log.rename(tmp_path / "bot.log.1")
    elif rotation == "copy":
        shutil.copyfile(log, tmp_path / "bot.log.1")
    if rotation != "none":
        log.write_bytes(b"four\n")

    async def second() -> None:
        async with reader_of(log, start={log: saved}) as reader:
            expected = {"none": [b"three"], "lost": [b"four"]}.get(rotation, [b"three", b"four"])
            await reader.until_lines(*expected)
            assert reader.kinds == ([NoticeKind.GAP] if rotation == "lost" else [])

    run(second())


def test_follower_reads_a_new_file_of_a_resumed_glob_from_its_beginning(tmp_path: Path) -> None:
    """Where one file of a glob has a saved position, those without were not there yet."""
    old, new = tmp_path / "bot-1.log", tmp_path / "bot-2.log"
    old.write_bytes(b"one\n")
    new.write_bytes(b"two\n")

    async def body() -> None:
        start = {old: Position(offset=4, marker=b"one\n", number=2)}
        async with reader_of(str(tmp_path / "bot-*.log"), start=start) as reader:
            await reader.until_lines(b"two")

    run(body())


def test_follower_with_few_descriptors_still_follows_many_logs(tmp_path: Path) -> None:
    """Files put aside are opened again when they have grown, and found again where they were renamed."""
    logs = [tmp_path / f"bot{number}.log" for number in range(20)]
    for log in logs:
        log.write_bytes(b"")

    async def body() -> None:
        waker = StepWaker()
        follower = Follower(*logs, backend=Backend.TICK, max_open=4, waker=waker)
        before = count_open()["descriptors"]
        async with Reader(follower) as reader:
            await waker.step()
            assert count_open()["descriptors"] <= before + 4
            for log in logs:
                append(log, log.name.encode() + b"\n")
            await waker.step()
            assert reader.lines == [log.name.encode() for log in logs]
            append(logs[0], b"before\n")
            logs[0].rename(tmp_path / "bot0.log.1")
            logs[0].write_bytes(b"after\n")
            await waker.step()
            assert reader.lines[20:] == [b"before", b"after"]

    run(body())


def test_follower_says_each_thing_once(tmp_path: Path) -> None:
    """However many ticks go by, a missing, an unreadable and a rotated file are each said once."""
    missing, unreadable, rotated = (tmp_path / name for name in ("missing.log", "unreadable.log", "rotated.log"))
    unreadable.mkdir()
    rotated.write_bytes(b"")

    async def body() -> None:
        waker = StepWaker()
        follower = Follower(missing, unreadable, rotated, backend=Backend.TICK, waker=waker)
        async with Reader(follower) as reader:
            await waker.step()
            rotated.rename(tmp_path / "rotated.log.1")
            rotated.write_bytes(b"")
            for _ in range(20):
                await waker.step()
            assert sorted(reader.kinds) == [NoticeKind.MISSING, NoticeKind.ROTATED, NoticeKind.UNREADABLE]
            assert troubles(follower) == [(NoticeKind.MISSING, missing), (NoticeKind.UNREADABLE, unreadable)]
            unreadable.rmdir()
            unreadable.write_bytes(b"one\n")
            await waker.step()
            assert reader.lines == [b"one"]
            rotated.unlink()
            for _ in range(3):
                await waker.step()
            assert reader.kinds[3:] == [NoticeKind.APPEARED, NoticeKind.MISSING]
            assert troubles(follower) == [(NoticeKind.MISSING, missing), (NoticeKind.MISSING, rotated)]
            missing.touch()
            rotated.touch()
            await waker.step()
            assert follower.troubles() == ()

    run(body())


def test_follower_says_once_that_a_path_became_unreadable(tmp_path: Path) -> None:
    """Where something unreadable takes a log's place that is said once, while the old file is read on."""
    log, old = tmp_path / "bot.log", tmp_path / "bot.log.1"
    log.write_bytes(b"")

    async def body() -> None:
        waker = StepWaker()
        async with Reader(Follower(log, backend=Backend.TICK, waker=waker)) as reader:
            await waker.step()
            log.rename(old)
            log.mkdir()
            for number in range(4):
                append(old, b"%d\n" % number)
                await waker.step()
            assert reader.lines == [b"%d" % number for number in range(4)]
            assert reader.kinds == [NoticeKind.UNREADABLE, NoticeKind.ROTATED]

    run(body())


def test_follower_keeps_an_old_file_for_its_grace_only(tmp_path: Path) -> None:
    """A renamed file is read while it is written to, and let go when it has been quiet long enough."""
    log, old = tmp_path / "bot.log", tmp_path / "bot.log.1"
    log.write_bytes(b"")

    async def body() -> None:
        waker = StepWaker()
        async with Reader(Follower(log, backend=Backend.TICK, waker=waker)) as reader:
            await waker.step()
            held = count_open()["descriptors"]
            log.rename(old)
            log.write_bytes(b"")
            for number in range(10):
                append(old, b"%d\n" % number)
                await waker.step()
            assert reader.lines == [b"%d" % number for number in range(10)]
            assert count_open()["descriptors"] == held + 1
            for _ in range(6):
                await waker.step()
            assert count_open()["descriptors"] == held
            append(old, b"too late\n")
            await waker.step()
            assert len(reader.lines) == 10

    run(body())


def test_follower_finds_generations_that_it_never_saw(tmp_path: Path) -> None:
    """Files that were rotated in and out between two looks are read, in order, and no stranger with them."""
    log = tmp_path / "bot.log"
    log.write_bytes(b"0\n")
    (tmp_path / "bot.log.7").write_bytes(b"older than all\n")

    async def body() -> None:
        waker = StepWaker()
        async with Reader(Follower(log, start=Start.BEGINNING, backend=Backend.TICK, waker=waker)) as reader:
            await waker.step()
            for number in range(1, 6):
                shift(log)
                log.rename(f"{log}.1")
                log.write_bytes(b"%d\n" % number)
            (tmp_path / "bot.log.bak").write_bytes(b"a stranger\n")
            (tmp_path / "bot.log.9.gz").write_bytes(b"packed\n")
            for _ in range(3):
                await waker.step()
            assert reader.lines == [b"%d" % number for number in range(6)]

    run(body())


def test_follower_follows_a_file_that_is_renamed_back(tmp_path: Path) -> None:
    """A file that stood elsewhere for a while is read on, not read again."""
    log, away = tmp_path / "bot.log", tmp_path / "away"
    log.write_bytes(b"one\n")

    async def body() -> None:
        waker = StepWaker()
        async with Reader(Follower(log, start=Start.BEGINNING, backend=Backend.TICK, waker=waker)) as reader:
            await waker.step()
            log.rename(away)
            log.write_bytes(b"two\n")
            await waker.step()
            away.replace(log)
            append(log, b"three\n")
            await waker.step()
            assert reader.lines == [b"one", b"two", b"three"]

    run(body())


def test_follower_never_follows_what_is_excluded(tmp_path: Path) -> None:
    """A glob passes over the log one writes oneself; naming it outright is refused."""
    own, other = tmp_path / "own.log", tmp_path / "other.log"
    own.write_bytes(b"own\n")
    other.write_bytes(b"other\n")

    async def body() -> None:
        followed = Follower(f"{tmp_path}/*.log", start=Start.BEGINNING, exclude=[own])
        async with Reader(followed) as reader:
            await reader.until_lines(b"other")
        follower = Follower(own, exclude=[own])
        with pytest.raises(ConfigurationError, match=r"own\.log' is excluded; expected a log that somebody else"):
            await follower.__aenter__()

    run(body())


def test_follower_forgets_files_of_a_glob_that_are_gone(tmp_path: Path) -> None:
    """A file that a glob took in and that was deleted is followed no more; one of that name is new."""
    log = tmp_path / "bot-1.log"
    log.write_bytes(b"one\n")

    async def body() -> None:
        waker = StepWaker()
        follower = Follower(str(tmp_path / "bot-*.log"), start=Start.BEGINNING, backend=Backend.TICK, waker=waker)
        async with Reader(follower) as reader:
            await waker.step()
            log.unlink()
            for _ in range(8):
                await waker.step()
                assert troubles(follower) == [(NoticeKind.MISSING, tmp_path / "bot-*.log")]
            assert follower.position(log) is None
            log.write_bytes(b"two\n")
            assert follower.troubles() == ()
            await waker.step()
            await waker.step()
            assert reader.lines == [b"one", b"two"]

    run(body())


def test_follower_takes_a_path_for_no_glob(tmp_path: Path) -> None:
    """A `Path` is one file, whatever its name looks like; it is said to be missing, and followed once it is there."""
    log = tmp_path / "bots[1]" / "bob.log"

    async def body() -> None:
        async with Reader(Follower(log)) as reader:
            notice = await reader.until_notice(NoticeKind.MISSING)
            assert notice.path == log
            log.parent.mkdir()
            append(log, b"one\n")
            await reader.until_lines(b"one")

    run(body())
