"""Several processes with one file, and what is left of one that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor.errors import StoreUnavailableError
from logmonitor.grant import Grant
from logmonitor.storage.schema import MIGRATIONS
from logmonitor.store import Store, read_enrolled

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
PURPOSE = "ab" * 32
DEADLINE_SECONDS: Final = 60
START: Final = """
import fcntl, os, resource, sqlite3, sys
from datetime import UTC, datetime
from pathlib import Path
from logmonitor.errors import StoreError, StoreUnavailableError
from logmonitor.grant import Grant
from logmonitor.store import Store
NOW = datetime(2026, 11, 20, 22, 44, 35, tzinfo=UTC)
path = Path(sys.argv[1])
def say(text):
    print(text, flush=True)
def wait():
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a store may be."""
    return tmp_path / "bot.db"


@contextmanager
def child(code: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `code` about `path` in a process of its own, which is ended if it has not."""
    process = subprocess.Popen(
        [sys.executable, "-c", START + code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent.parent,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def hear(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


OPENED_WITHOUT_ROOM: Final = """
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    Store(path)
except StoreUnavailableError as error:
    say(error)
"""


def tell(process: subprocess.Popen[str]) -> None:
    """Let a process that waits go on."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_processes_that_open_first_at_once_share_one_store(path: Path) -> None:
    """Of several that all find no file, one makes it, and nothing that any of them wrote is lost."""
    code = """
say("ready")
wait()
with Store(path) as store:
    store.add_grant(Grant(user=str(os.getpid()), at=NOW))
    say(store.set_aside)
"""
    with child(code, path) as one, child(code, path) as two, child(code, path) as three:
        processes = (one, two, three)
        assert [hear(process) for process in processes] == ["ready"] * 3
        for process in processes:
            tell(process)
        assert [hear(process) for process in processes] == ["None"] * 3
    with Store(path) as store:
        assert {grant.user for grant in store.grants()} == {str(process.pid) for process in processes}


def test_processes_that_find_a_damaged_file_at_once_set_it_aside_once(path: Path) -> None:
    """Of several that find the file damaged, one sets it aside, and none the new one."""
    path.write_bytes(b"damaged" * 1000)
    code = """
say("ready")
wait()
with Store(path) as store:
    store.add_grant(Grant(user=str(os.getpid()), at=NOW))
    say(store.set_aside is None)
"""
    with child(code, path) as one, child(code, path) as two:
        processes = (one, two)
        assert [hear(process) for process in processes] == ["ready"] * 2
        for process in processes:
            tell(process)
        assert sorted(hear(process) for process in processes) == ["False", "True"]
    with Store(path) as store:
        assert {grant.user for grant in store.grants()} == {str(process.pid) for process in processes}


def test_step_that_processes_race_for_is_one_processes(path: Path) -> None:
    """Of two that use the same steps at once, exactly one gets each."""
    Store(path).close()
    code = """
with Store(path) as store:
    say("ready")
    wait()
    say(" ".join(str(step) for step in range(200) if store.use_step("bob", step, purpose="", at=NOW)))
"""
    with child(code, path) as one, child(code, path) as two:
        assert (hear(one), hear(two)) == ("ready", "ready")
        tell(one)
        tell(two)
        won = [int(step) for step in (hear(one) + " " + hear(two)).split()]
    assert sorted(won) == list(range(200))


def test_step_stays_used_when_its_process_is_killed(path: Path) -> None:
    """A step is on disk once it counts as used: kill -9 right after makes it usable by nobody."""
    code = """
store = Store(path)
say(store.use_step("bob", 7, purpose="", at=NOW))
wait()
"""
    with child(code, path) as process:
        assert hear(process) == "True"
        process.send_signal(signal.SIGKILL)
        assert process.wait(DEADLINE_SECONDS) == -signal.SIGKILL
    with Store(path) as store:
        assert not store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
        assert store.set_aside is None


def test_transaction_of_a_killed_process_is_undone(path: Path) -> None:
    """What a killed process had not finished is as if it had not begun, and holds up nobody."""
    code = """
store = Store(path)
store.enrol("bob", b"sealed", recovery=[], at=NOW)
with store.transaction():
    store.remove_enrolment("bob")
    say("removed")
    wait()
"""
    with child(code, path) as process:
        assert hear(process) == "removed"
        process.kill()
        process.wait(DEADLINE_SECONDS)
    assert read_enrolled(path) == {"bob"}
    with Store(path) as store:
        assert [enrolment.user for enrolment in store.enrolments()] == ["bob"]


def test_process_sees_what_another_granted_and_revoked(path: Path) -> None:
    """What the command line grants or revokes holds for the running bot at once."""
    code = """
with Store(path) as store:
    grant = store.add_grant(Grant(user="bob", at=NOW))
    say("granted")
    wait()
    store.remove_grant(grant.id)
    say("revoked")
"""
    with Store(path) as store, child(code, path) as process:
        assert hear(process) == "granted"
        assert [grant.user for grant in store.grants()] == ["bob"]
        tell(process)
        assert hear(process) == "revoked"
        assert store.grants() == ()


def test_store_that_another_process_writes_is_waited_for_and_then_refused(path: Path) -> None:
    """A transaction elsewhere that does not end is a store error; what was written before can be read meanwhile."""
    code = """
store = Store(path)
with store.transaction():
    store.use_step("bob", 7, purpose="", at=NOW)
    say("begun")
    wait()
say("done")
wait()
"""
    with Store(path, patience=0.05) as store, child(code, path) as process:
        store.add_grant(Grant(user="bob", at=NOW))
        assert hear(process) == "begun"
        with pytest.raises(StoreUnavailableError, match=f"store {path} cannot be used: database is locked; another"):
            store.use_step("bob", 7, purpose=PURPOSE, at=NOW)
        with pytest.raises(StoreUnavailableError, match="locked"):
            Store(path, patience=0.05)
        assert [grant.user for grant in store.grants()] == ["bob"]
        tell(process)
        assert hear(process) == "done"
        assert not store.use_step("bob", 7, purpose=PURPOSE, at=NOW)


def test_store_that_another_process_is_opening_is_waited_for(path: Path) -> None:
    """Who finds another one opening a store waits for it, and says so when it takes too long."""
    code = """
folder = os.open(path.parent, os.O_RDONLY)
fcntl.flock(folder, fcntl.LOCK_EX)
say("locked")
wait()
"""
    with child(code, path) as process:
        assert hear(process) == "locked"
        with pytest.raises(StoreUnavailableError, match=r"another process has been opening one .* more than 0\.05 s"):
            Store(path, patience=0.05)
        process.kill()
        with Store(path, patience=DEADLINE_SECONDS) as store:
            assert store.grants() == ()


def test_full_disk_permits_nothing_and_breaks_nothing(path: Path) -> None:
    """What finds no room is a store error and undone, also in a transaction that goes on; with room all goes on."""
    code = """
store = Store(path)
view = store.view("one")
view.put("a", "1")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
def outer():
    with store.transaction():
        view.put("b", "1")
        try:
            view.put("c", "x" * 10_000_000)
        except StoreError as error:
            say(error)
        view.put("d", "1")
def fill():
    for step in range(10_000):
        assert store.use_step("bob", step, purpose="x" * 1000, at=NOW)
for do in (outer, fill):
    try:
        do()
    except StoreError as error:
        say(error)
say(view.keys())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
view.put("e", "1")
say(view.keys())
say(store.use_step("bob", 0, purpose="", at=NOW))
"""
    said = f"store {path} cannot be used: disk I/O error; see that its disk has room and works, then try again"
    with child(code, path) as process:
        assert hear(process) == said
        assert hear(process) == f"store {path} has undone what was begun; begin again"
        assert hear(process) == said
        assert hear(process) == "('a',)"
        assert hear(process) == "('a', 'e')"
        assert hear(process) == "False"
    with Store(path) as store:
        assert (store.view("one").keys(), store.set_aside) == (("a", "e"), None)


def test_new_store_on_a_full_disk_is_refused(path: Path) -> None:
    """A store that finds no room to be made is its place's fault, and the next start makes it."""
    with child(OPENED_WITHOUT_ROOM, path) as process:
        assert "see that its disk has room and works" in hear(process)
    with Store(path) as store:
        assert (store.grants(), store.set_aside) == ((), None)


@pytest.mark.parametrize("versions", [1, len(MIGRATIONS)])
def test_store_on_a_full_disk_is_opened_when_there_is_room(path: Path, versions: int) -> None:
    """A store that finds no room beside itself is its place's fault, and left as it was."""
    with Store(path, migrations=MIGRATIONS[:versions]) as store:
        store.add_grant(Grant(user="bob", at=NOW))
    with child(OPENED_WITHOUT_ROOM, path) as process:
        assert "see that its disk has room and works" in hear(process)
    with Store(path) as store:
        assert [grant.user for grant in store.grants()] == ["bob"]
        assert store.set_aside is None


def test_migration_that_finds_no_room_is_begun_again_when_there_is(path: Path) -> None:
    """A disk that fills in the middle of a migration is the place's fault, and the file keeps its version."""
    with Store(path, migrations=MIGRATIONS[:1]) as store:
        store.add_grant(Grant(user="bob", at=NOW))
    code = """
from logmonitor.storage.schema import MIGRATIONS
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
large = ("CREATE TABLE large (text)", *["INSERT INTO large VALUES (zeroblob(1000000))"] * 10)
try:
    Store(path, migrations=(MIGRATIONS[0], large))
except StoreUnavailableError as error:
    say(error)
"""
    with child(code, path) as process:
        assert f"store {path} cannot be brought to version 2 and was left as it was: disk I/O error" in hear(process)
    with Store(path, migrations=MIGRATIONS[:1]) as store:
        assert [grant.user for grant in store.grants()] == ["bob"]
        assert store.set_aside is None


def test_enrolled_are_read_while_another_process_comes_and_goes(path: Path) -> None:
    """Who is enrolled is told right at any moment of another one's opening, writing and closing."""
    code = """
say("ready")
for number in range(300):
    with Store(path) as store:
        store.use_step("bob", number, purpose="x" * 5000, at=NOW)
say("done")
wait()
"""
    with Store(path) as store:
        store.enrol("bob", b"sealed", recovery=[], at=NOW)
    with child(code, path) as process:
        assert hear(process) == "ready"
        found = {read_enrolled(path) for _ in range(1000)}
        assert hear(process) == "done"
    assert found == {frozenset({"bob"})}
