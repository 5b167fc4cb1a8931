"""Processes, each told from another of the same id."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pwd import getpwuid
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from logmonitor.host import LocalHost, describe
from logmonitor.hosting.process_table import (
    Entry,
    above,
    below,
    entry_of,
    full_name,
    parse_entry,
    read_table,
    roots,
)
from tests.hosting.strangers import child, until

if TYPE_CHECKING:
    from logmonitor.machine import Process
    from tests.hosting.strangers import Strangers


def entry(pid: int, parent: int = 1, *, state: str = "S", threads: int = 1, ticks: int = 0) -> Entry:
    """Return a process called `x`."""
    return Entry(
        pid=pid,
        parent=parent,
        name=b"x",
        state=state,
        group=pid,
        session=pid,
        threads=threads,
        ticks=ticks,
        is_kernel_thread=False,
    )


def table(*parents: tuple[int, int]) -> dict[int, Entry]:
    """Return processes by id, each with its parent's."""
    return {pid: entry(pid, parent, ticks=pid) for pid, parent in parents}


@given(name=st.binary(max_size=15), pid=st.integers(1, 1 << 22), numbers=st.lists(st.integers(0, 1 << 40), min_size=49))
def test_entry_is_read_whatever_the_process_is_called(name: bytes, pid: int, numbers: list[int]) -> None:
    """Brackets, blanks, digits and newlines in a name move no field."""
    fields = b" ".join(b"%d" % number for number in numbers)
    read = parse_entry(b"%d (%s) R %s\n" % (pid, name, fields))
    assert (read.pid, read.name, read.state, read.parent) == (pid, name, "R", numbers[0])
    assert (read.group, read.session, read.threads, read.ticks) == (numbers[1], numbers[2], numbers[16], numbers[18])


def test_entry_with_threads_has_not_ended_without_its_first() -> None:
    """A process whose first thread is gone runs as long as another does; a zombie does not."""
    assert [entry(7, state=state, threads=threads).is_ended for state, threads in (("Z", 1), ("Z", 2), ("S", 1))] == [
        True,
        False,
        False,
    ]


def test_full_name_is_what_the_kernel_cut() -> None:
    """A name of fifteen bytes is completed from the first words; a shorter one is not."""
    assert full_name(b"node", (b"/usr/bin/node-bot",)) == b"node"
    assert full_name(b"a-very-long-nam", (b"/opt/a-very-long-name", b"x")) == b"a-very-long-name"
    assert full_name(b"a-very-long-nam", (b"/bin/sh", b"./a-very-long-name.sh")) == b"a-very-long-name.sh"
    assert full_name(b"a-very-long-nam", (b"another",)) == b"a-very-long-nam"


def test_roots_are_those_below_no_other() -> None:
    """Of a tree the topmost alone is left, of two trees both, also where one between them is not meant."""
    family = table((10, 1), (11, 10), (12, 11), (20, 1), (21, 20))
    assert [one.pid for one in roots({12, 10, 21}, family)] == [10, 21]
    assert [one.pid for one in roots({11, 12, 99}, family)] == [11]


def test_roots_are_not_those_that_have_ended() -> None:
    """A zombie is neither found nor keeps others from being found."""
    family = {10: entry(10, state="Z"), 11: entry(11, 10), 12: entry(12, 11)}
    assert [one.pid for one in roots({10, 12}, family)] == [12]


@given(st.dictionaries(st.integers(1, 30), st.integers(0, 30)))
def test_below_and_above_agree(parents: dict[int, int]) -> None:
    """Who is below one has that one above; a table read while ids changed hands may have circles, and ends nothing."""
    family = table(*parents.items())
    for pid in family:
        assert all(pid in above(one, family) for one in below((pid,), family) - {pid})
        assert len(above(pid, family)) <= len(family)


async def test_process_is_described(strangers: Strangers) -> None:
    """A process is shown with its words, user, memory and start; what is no UTF-8 is kept in it."""
    before = time.time()
    process = await strangers.shell("echo ready; sleep 1000; exit", b"a\xffb", "鲍勃")
    now = _described(process.pid)
    assert now.argv == ("/bin/sh", "-c", "echo ready; sleep 1000; exit", "a\udcffb", "鲍勃")
    assert (now.pid, now.created, now.name) == (process.pid, process.created, "sh")
    assert (now.user, now.parent) == (getpwuid(os.getuid()).pw_name, process.parent)
    assert 0 < now.memory_bytes < 100 << 20
    assert 0 <= now.cpu_seconds < 10
    assert before - 1 <= now.started_at.timestamp() <= time.time() + 1
    assert abs(now.created - now.started_at.timestamp()) < 1


async def test_process_runs_until_it_has_ended(strangers: Strangers) -> None:
    """A process runs until it has ended; one of the same id that was started at another time never did."""
    process = await strangers.shell("echo ready; read x < /dev/null; exec sleep 1000")
    host = LocalHost()
    assert await host.is_running(process)
    assert not await host.is_running(replace(process, created=process.created - 0.01))
    assert not await host.is_running(replace(process, created=process.created + 0.01))
    os.kill(process.pid, 9)
    await until(lambda: (now := entry_of(process.pid)) is None or now.is_ended)
    assert not await host.is_running(process)


async def test_process_that_nobody_waited_for_has_ended() -> None:
    """A zombie does not run."""
    with child("sleep", "1000") as started:
        process = _described(started.pid)
        assert await LocalHost().is_running(process)
        started.kill()
        await until(lambda: (now := entry_of(started.pid)) is None or now.is_ended)
        assert entry_of(started.pid) is not None
        assert not await LocalHost().is_running(process)


def _described(pid: int) -> Process:
    process = describe(read_table()[pid])
    assert process is not None
    return process


def test_process_that_is_gone_is_not_described() -> None:
    """What has ended since it was seen is told apart from what runs."""
    with child("true") as started:
        seen = entry_of(started.pid)
        assert seen is not None
    assert describe(seen) is None
    assert entry_of(started.pid) is None


def test_another_of_the_same_id_is_not_described() -> None:
    """Who has got the id of what was seen is not shown in its stead."""
    ours = entry_of(os.getpid())
    assert ours is not None
    assert describe(ours) is not None
    assert describe(replace(ours, ticks=ours.ticks - 1)) is None
