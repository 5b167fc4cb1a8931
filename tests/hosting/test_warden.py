"""What the warden makes of what the kernel shows it; what it does is tested as confinement."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.hosting import warden
from logmonitor.hosting.warden import (
    TASKS_WATCHED,
    Limits,
    Seen,
    Tree,
    below,
    exceeded,
    has_run_out,
    memory_of,
    own_pages_of,
    pages_of,
    parsed,
    proportional_bytes,
    stat_of,
)
from logmonitor.machine import ShellStop

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = 1
DEADLINE = 30.0
HEADLESS = """
import ctypes, threading, time
def work():
    while not open("/proc/self/statm").read().startswith("0 "):
        time.sleep(0.01)
    kept = b"a" * 50_000_000
    print("ready", flush=True)
    time.sleep(1000)
threading.Thread(target=work).start()
ctypes.CDLL(None).pthread_exit(None)
"""
AMPLE = Limits(memory_bytes=1 << 40, processes=10)


def seen(pid: int, parent: int = ROOT, *, threads: int = 1) -> Seen:
    """Make a process."""
    return Seen(pid=pid, parent=parent, group=pid, state="S", threads=threads, started=1)


@pytest.fixture
def sleeper() -> Iterator[int]:
    """Have a child that sleeps."""
    with subprocess.Popen(("sleep", "1000")) as child:
        yield child.pid
        child.kill()


@pytest.fixture
def headless() -> Iterator[int]:
    """Have a child that goes on without its first thread, and uses 50 MB."""
    with subprocess.Popen((sys.executable, "-c", HEADLESS), stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            yield child.pid
        finally:
            child.kill()


def test_warden_needs_nothing_that_is_installed() -> None:
    """It starts in isolation, so that it may import the standard library alone."""
    tree = ast.parse(Path(warden.__file__).read_text(encoding="utf-8"))
    names = {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_limits_have_the_names_that_are_told() -> None:
    """What the warden says of a limit is a `ShellStop`."""
    assert ShellStop(exceeded((seen(2),), Limits(memory_bytes=1, processes=0)) or "") is ShellStop.PROCESSES
    mine = Tree().look()
    assert mine == ()
    assert ShellStop(exceeded((seen(os.getpid()),), Limits(memory_bytes=1, processes=1)) or "") is ShellStop.MEMORY


@given(st.dictionaries(st.integers(2, 40), st.integers(0, 40), max_size=30))
def test_below_finds_exactly_those_whose_way_up_leads_to_the_root(parents: dict[int, int]) -> None:
    """Whoever has the root above is below it, parents before their children, whatever the rest looks like."""

    def leads_up(pid: int) -> bool:
        passed: set[int] = set()
        while pid not in passed:
            passed.add(pid)
            pid = parents.get(pid, 0)
            if pid == ROOT:
                return True
        return False

    found = below((ROOT,), [seen(pid, parent) for pid, parent in parents.items()])
    assert sorted(one.pid for one in found) == sorted(filter(leads_up, parents))
    known = {ROOT}
    for one in found:
        assert one.parent in known
        known.add(one.pid)


def test_below_leaves_out_one_and_who_is_below_it() -> None:
    """Who is below several, but not below a certain one, is found too."""
    table = [seen(2, 0), seen(3, 2), seen(4, 3), seen(5, 2), seen(6, 9), seen(7, 8)]
    assert [one.pid for one in below((0, 9), table, but=3)] == [2, 6, 5]


@given(st.binary(max_size=15))
def test_stat_is_read_whatever_a_process_is_called(name: bytes) -> None:
    """A name may hold spaces, parentheses and ends of lines, and misleads nobody."""
    line = b"77 (%b) R 5 6 7 0 -1 4194304 1 0 0 0 3 4 0 0 20 0 9 0 123456 1000 50 18446744073709551615" % name
    assert parsed(line) == Seen(pid=77, parent=5, group=6, state="R", threads=9, started=123_456)


def test_process_that_is_gone_is_not_seen() -> None:
    """Where nothing is, nothing is made up."""
    assert stat_of(1 << 30) is None


def test_tree_shows_children_and_not_this_process(sleeper: int) -> None:
    """A tree consists of whoever is below, at once and when it is looked at again."""
    tree = Tree()
    for anew in (False, False, True):
        assert [(one.pid, one.parent) for one in tree.look(anew=anew)] == [(sleeper, os.getpid())]


def test_child_that_is_seen_before_its_parent_is_not_forgotten(sleeper: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose way up is not known is looked at again, and is no stranger for good."""
    tree, stat = Tree(), warden.stat_of
    monkeypatch.setattr(warden, "stat_of", lambda pid: seen(sleeper, 1 << 30) if pid == sleeper else stat(pid))
    assert tree.look() == ()
    monkeypatch.setattr(warden, "stat_of", stat)
    assert [one.pid for one in tree.look()] == [sleeper]


def test_tree_leaves_out_who_has_ended() -> None:
    """A child that has ended and is not waited for yet is not there any more."""
    with subprocess.Popen("true") as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert Tree().look() == ()


def test_tree_keeps_who_goes_on_without_its_first_thread(headless: int) -> None:
    """A process whose first thread has ended has not, as long as there are others."""
    (found,) = Tree().look()
    assert (found.pid, found.state, found.threads) == (headless, "Z", 2)


@pytest.mark.usefixtures("headless")
@pytest.mark.parametrize("limit_bytes", [1, 1 << 40])
def test_memory_of_who_goes_on_without_its_first_thread_counts(limit_bytes: int) -> None:
    """The kernel shows it by the other threads alone, at first sight and closely."""
    assert memory_of(Tree().look(), limit_bytes) >= 50_000_000


def test_program_is_held_until_its_id_is_told() -> None:
    """It does nothing before that, such as to stop its warden."""
    program = textwrap.dedent(
        """
        import os, signal
        from logmonitor.hosting import warden

        def tell(pid):
            os.kill(pid, signal.SIGKILL)
            print("told", os.WTERMSIG(os.waitpid(pid, 0)[1]), flush=True)

        warden.tell = tell
        warden.become = lambda *_, **__: print("begun", flush=True)
        pid, failure = warden.launch({}, None, (1, 2), os.dup(1))
        print(failure)
        """
    )
    command = (sys.executable, "-c", program)
    completed = subprocess.run(command, stdout=subprocess.PIPE, timeout=DEADLINE, check=True)
    assert completed.stdout == b"told 9\nb''\n"


def test_memory_is_read_as_the_kernel_writes_it() -> None:
    """Resident pages, those of nobody else, and the share of what is shared."""
    assert pages_of(b"1000 300 120 1 0 90 0\n") == 300
    assert own_pages_of(b"1000 300 120 1 0 90 0\n") == 180
    rollup = b"5566-7ffd ---p 00000000 00:00 0 [rollup]\nRss: 900 kB\nPss: 500 kB\nPss_Anon: 300 kB\nPss_File: 150 kB\n"
    assert proportional_bytes(rollup + b"Pss_Shmem: 50 kB\n") == 350 * 1024


def test_memory_share_that_the_kernel_does_not_tell_is_refused() -> None:
    """An older kernel, or another user's process, gives no share."""
    with pytest.raises(ValueError, match="no proportional share"):
        proportional_bytes(b"Rss: 900 kB\n")


def test_memory_is_looked_at_closely_only_where_it_seems_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shared with files counts at first sight alone."""
    files = {"/proc/5/statm": b"1000 300 120 1 0 90 0\n", "/proc/5/smaps_rollup": b"Pss_Anon: 700 kB\n"}
    monkeypatch.setattr(warden, "content", files.__getitem__)
    assert memory_of([seen(5)], 1 << 40) == 300 * os.sysconf("SC_PAGE_SIZE")
    assert memory_of([seen(5)], 1) == 700 * 1024


def test_memory_of_others_is_what_nobody_else_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the share is not told, pages that are nobody else's count."""
    files = {"/proc/5/statm": b"1000 300 120 1 0 90 0\n", "/proc/5/smaps_rollup": b""}
    monkeypatch.setattr(warden, "content", files.__getitem__)
    assert memory_of([seen(5)], 1) == 180 * os.sysconf("SC_PAGE_SIZE")


def test_memory_of_who_is_gone_is_none() -> None:
    """Who has ended while it is looked at uses nothing."""
    assert memory_of([seen(1 << 30)], 1) == 0


@pytest.mark.parametrize(
    ("tree", "stop"),
    [
        ((), None),
        (tuple(seen(1 << 30) for _ in range(10)), None),
        (tuple(seen(1 << 30) for _ in range(11)), "processes"),
        ((seen(1 << 30, threads=10 + TASKS_WATCHED),), None),
        ((seen(1 << 30, threads=11 + TASKS_WATCHED),), "processes"),
    ],
)
def test_processes_and_threads_are_counted(tree: tuple[Seen, ...], stop: str | None) -> None:
    """Exactly as many as may be are not too many; threads have a limit of their own."""
    assert exceeded(tree, AMPLE) == stop


@pytest.mark.parametrize(
    ("events", "is_out"),
    [
        (b"", False),
        (b"low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n", False),
        (b"low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n", True),
    ],
)
def test_kernel_that_has_killed_for_memory_is_told(events: bytes, is_out: bool) -> None:  # noqa: FBT001  # a parameter
    """Only a kill says that memory has run out."""
    assert has_run_out(events) is is_out
