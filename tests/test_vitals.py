"""What is said of a bot's process and log, and of the machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import DiskUsage, FileState, Process, ProcessSelector, Usage, translation
from logmonitor.testing import START
from logmonitor.vitals import (
    Moment,
    Sight,
    Vitals,
    follow,
    log_rows,
    machine_rows,
    process_rows,
    processor_share,
)

BOB = Process(
    pid=12,
    created=5.0,
    name="node",
    argv=("node", "bob.js"),
    parent=1,
    user="ann",
    started_at=START - timedelta(hours=3),
    memory_bytes=50 << 20,
    cpu_seconds=108.0,
)
NODE = ProcessSelector(process="node")
NOW = Moment(now=START, monotonic=100.0, translate=str)


def sight(*processes: Process, at: float = 100.0, selector: ProcessSelector = NODE) -> Sight:
    """Return a look at processes."""
    return Sight(selector=selector, processes=processes, at=at)


def later(process: Process = BOB, *, cpu_seconds: float) -> Process:
    """Return the same process after it has worked."""
    return replace(process, cpu_seconds=cpu_seconds)


def test_processor_share_is_of_its_whole_life_at_first() -> None:
    """Without an earlier look, what it has used since its start counts."""
    assert processor_share(sight(BOB), now=START) == 108 / 10800


def test_processor_share_is_of_the_time_since_the_look_before() -> None:
    """With one, it is what was used since; the clock of the machine does not matter then."""
    second = follow(sight(BOB, at=40.0), sight(later(cpu_seconds=138.0)))
    assert processor_share(second, now=START - timedelta(days=9)) == 0.5


def test_processor_share_is_not_measured_within_an_instant() -> None:
    """Two looks in a row are compared with the one before both, if there is one."""
    first = sight(BOB, at=40.0)
    second = follow(first, sight(later(cpu_seconds=138.0)))
    third = follow(second, sight(later(cpu_seconds=138.0), at=100.1))
    assert third.before == (BOB, 40.0)
    assert follow(sight(BOB, at=99.0), sight(BOB)).before is None


@pytest.mark.parametrize(
    "earlier",
    [None, sight(at=40.0), sight(BOB, BOB, at=40.0), sight(replace(BOB, created=6.0), at=40.0)],
    ids=["nothing", "none", "several", "another of the same id"],
)
def test_processor_share_is_of_one_process(earlier: Sight | None) -> None:
    """What was not this very process is nothing to compare with."""
    assert follow(earlier, sight(BOB)).before is None


def test_processor_share_of_no_process_is_nothing() -> None:
    """Neither none nor several have one, nor what has just begun or begins in the future."""
    assert processor_share(sight(), now=START) == 0
    assert processor_share(sight(BOB, BOB), now=START) == 0
    assert processor_share(sight(replace(BOB, started_at=START)), now=START) == 0
    assert processor_share(sight(replace(BOB, started_at=START + timedelta(hours=1))), now=START) == 0
    assert follow(sight(BOB, at=40.0), sight()).before is None


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_processor_share_is_never_negative(before: float, after: float, seconds: float) -> None:
    """Counters that go back, as by a clock that was set, are no use of less than nothing."""
    first = sight(later(cpu_seconds=before), at=100.0 - seconds)
    assert processor_share(follow(first, sight(later(cpu_seconds=after))), now=START) >= 0


@pytest.mark.parametrize(
    ("vitals", "rows"),
    [
        (Vitals(), ()),
        (Vitals(sight=sight(BOB)), ("process 12: 50.0 MB, 1 % CPU, up for 3 h",)),
        (Vitals(sight=sight(BOB, at=95.1)), ("process 12: 50.0 MB, 1 % CPU, up for 3 h",)),
        (Vitals(sight=sight()), ("no process: nothing runs as process node",)),
        (
            Vitals(sight=sight(BOB, replace(BOB, pid=13))),
            ("2 processes are meant by process node: 12, 13",),
        ),
        (
            Vitals(sight=sight(*(replace(BOB, pid=pid) for pid in range(1, 10)))),
            ("9 processes are meant by process node: 1, 2, 3, 4 …",),
        ),
        (Vitals(obstacle="pid file is\nempty"), ("its process cannot be looked for: pid file is␊empty",)),
        (
            Vitals(sight=sight(BOB, at=40.0), obstacle="no answer"),
            (
                "its process cannot be looked for: no answer",
                "process 12: 50.0 MB, 1 % CPU, up for 3 h (seen 1 min ago)",
            ),
        ),
        (
            Vitals(sight=sight(selector=ProcessSelector(command="bob\u202e"))),
            (r"no process: nothing runs as command bob\u202e",),
        ),
    ],
)
def test_process_is_told_in_a_row(vitals: Vitals, rows: tuple[str, ...]) -> None:
    """One, none, several, or why it is not known, with what was seen last; nothing where nobody knows which it is."""
    assert process_rows(vitals, NOW) == rows


def test_log_is_told_by_its_growth_and_the_last_write() -> None:
    """Of several files the one written to last counts."""
    states = {
        Path(f"/{minutes}"): FileState(size_bytes=9, modified_at=START - timedelta(minutes=minutes))
        for minutes in (5, 3, 60)
    }
    assert log_rows(Vitals(logs=states), NOW, grown_bytes=2048) == (
        "log: +2 KB in the last hour, last written 3 min ago",
    )


def test_log_that_is_not_there_is_not_told() -> None:
    """Whoever follows it tells that."""
    assert log_rows(Vitals(), NOW, grown_bytes=7) == ()


def test_machine_is_told_by_load_memory_and_disks() -> None:
    """What is free counts, of what there is."""
    usage = Usage(
        load=(0.123, 1.0, 12.0),
        cores=2,
        memory_bytes=4 << 30,
        memory_available_bytes=512 << 20,
        disks=(
            DiskUsage(path=Path("/"), total_bytes=60 << 30, free_bytes=10 << 30),
            DiskUsage(path=Path("/a\nb"), total_bytes=2 << 40, free_bytes=0),
        ),
    )
    assert machine_rows(usage, translate=str) == (
        "load 0.1 1.0 12.0 on 2 cores; memory: 512.0 MB of 4.0 GB free",
        "disk /: 10.0 GB of 60.0 GB free",
        "disk /a␊b: 0 B of 2.0 TB free",
    )


def test_machine_that_does_not_answer_is_told() -> None:
    """Nothing is made up."""
    assert machine_rows(None, translate=str) == ("the machine does not tell how it is",)


def test_vitals_are_told_in_chinese() -> None:
    """The rows read as Chinese does, without blanks that it has not."""
    now = replace(NOW, translate=translation("zh"))
    assert process_rows(Vitals(sight=sight(BOB, at=40.0), obstacle="x"), now) == (
        "无法查看它的进程：x",
        "进程 12：内存 50.0 MB，CPU 1%，已运行 3 小时（1 分钟前看到）",
    )
