"""Rescuers that share leases: who sends, who waits, who takes over, and what becomes of it without the file."""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from logmonitor import rescuer
from logmonitor.config import RescueConfig
from logmonitor.errors import ConfigurationError
from logmonitor.language import translation
from logmonitor.lease import Reach
from logmonitor.records import MessageKey
from logmonitor.rescuer import LONGEST_PAUSE, RETRY_SECONDS, SLOWEST_SECONDS, Rescuer
from logmonitor.sending.gate import Verdict
from logmonitor.storage.lease_file import LeaseFile
from logmonitor.testing import FakeClock
from tests.storage.files import garbage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY: Final = MessageKey(watch="bob", loss="bob.log:7:1.5", kind="loss")
RETURN: Final = MessageKey(watch="bob", loss="bob.log:7:1.5", kind="return")
TERM: Final = 30.0
UNSHARED: Final = "the lease cannot be shared with other rescuers, so that each of them sends: "


class Bench:
    """Rescuers with one clock, one file, and what each can reach and has waiting."""

    def __init__(self, path: Path) -> None:
        """Have nobody yet."""
        self.path = path
        self.clock = FakeClock()
        self.reach: dict[str, Reach] = {}
        self.waiting: dict[str, float] = {}
        self.told: list[tuple[str, str]] = []
        self._stack = ExitStack()

    def start(
        self,
        name: str,
        *,
        watches: tuple[str, ...] = ("bob",),
        term: float = TERM,
        translate: Callable[[str], str] = str,
    ) -> Rescuer:
        """Start a rescuer, which looks once."""
        self.reach.setdefault(name, Reach.CHAT)
        one = Rescuer(
            RescueConfig(lease=self.path, term=term),
            name=name,
            watches=watches,
            reach=lambda: self.reach[name],
            waiting_for=lambda watch: self.waiting.get(f"{name} {watch}"),
            names_of=lambda to: ("Ann", to) if to.startswith("ann-of-") else (to,),
            tell=lambda text: self.told.append((name, text)),
            translate=translate,
            clock=self.clock,
        )
        self._stack.enter_context(one)
        one.look()
        return one

    def close(self) -> None:
        """End everybody."""
        self._stack.close()

    def let_pass(self, seconds: float, *rescuers: Rescuer) -> None:
        """Let time pass, in which these rescuers look as they do at work, and the others do nothing."""
        end = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end:
            self.clock.jump(min(LONGEST_PAUSE, end - self.clock.monotonic()))
            for one in rescuers:
                one.look()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Return a bench with a file that is not there yet."""
    bench = Bench(tmp_path / "lease.db")
    yield bench
    bench.close()


def verdicts(*rescuers: Rescuer, key: MessageKey = KEY, to: str = "Ann") -> list[Verdict]:
    """Return what each says of a message."""
    return [one.verdict(to, key) for one in rescuers]


SEND, WAIT, DROP = Verdict.SEND, Verdict.WAIT, Verdict.DROP


def test_one_of_three_sends_and_the_others_drop_it_then(bench: Bench) -> None:
    """The first has the lease; the others keep their copies until it has delivered, each recipient by itself."""
    three = bench.start("alice"), bench.start("carol"), bench.start("dave")
    assert verdicts(*three) == [SEND, WAIT, WAIT]
    three[0].note_delivered("Ann", KEY)
    assert verdicts(*three) == [DROP, DROP, DROP]
    assert verdicts(*three, to="Ben") == [SEND, WAIT, WAIT]


def test_recipient_is_the_same_person_under_every_id(bench: Bench) -> None:
    """What one account has sent to the id that it knows Ann by, another need not send to the one that it knows."""
    alice, carol = bench.start("alice"), bench.start("carol")
    alice.note_delivered("ann-of-alice", KEY)
    assert verdicts(alice, carol, to="Ann") == [DROP, DROP]
    assert verdicts(carol, to="ann-of-carol") == [DROP]
    assert verdicts(carol, to="Ben") == [WAIT]


def test_lease_is_each_bots_own(bench: Bench) -> None:
    """Of many bots each has its rescuer; one that nobody watches is spoken for by who speaks first."""
    alice = bench.start("alice", watches=("bob",))
    carol = bench.start("carol", watches=("bob", "eve"))
    other = MessageKey(watch="eve", loss="x", kind="loss")
    unknown = MessageKey(watch="nobody", loss="x", kind="loss")
    assert verdicts(alice, carol) == [SEND, WAIT]
    assert verdicts(alice, carol, key=other) == [WAIT, SEND]
    assert verdicts(alice, carol, key=unknown) == [SEND, WAIT]
    bench.let_pass(2 * TERM, alice, carol)
    assert verdicts(carol, alice, key=unknown) == [WAIT, SEND]


def test_holder_that_does_nothing_any_more_loses_the_lease_after_its_term(bench: Bench) -> None:
    """Killed or stopped, it is succeeded by exactly one of the others, and has to wait when it comes to life again."""
    alice, carol, dave = bench.start("alice"), bench.start("carol"), bench.start("dave")
    bench.let_pass(TERM - LONGEST_PAUSE, carol, dave)
    assert verdicts(carol, dave) == [WAIT, WAIT]
    bench.let_pass(LONGEST_PAUSE, carol, dave)
    assert verdicts(carol, dave) == [SEND, WAIT]
    assert verdicts(alice, carol, dave) == [WAIT, SEND, WAIT]


def test_holder_that_comes_to_life_before_anybody_else_took_the_lease_sends(bench: Bench) -> None:
    """A lease that ran out and that nobody wanted is its former holder's as soon as it asks."""
    alice = bench.start("alice")
    bench.clock.jump(10 * TERM)
    assert verdicts(alice) == [SEND]


def test_holder_whose_chat_is_down_for_a_term_loses_the_lease(bench: Bench) -> None:
    """It lives and looks, and does not renew; a standby whose chat is down too gains nothing."""
    alice, carol, dave = bench.start("alice"), bench.start("carol"), bench.start("dave")
    bench.reach |= {"alice": Reach.NONE, "carol": Reach.NONE}
    bench.let_pass(TERM, alice, carol, dave)
    assert verdicts(alice, carol, dave) == [WAIT, WAIT, SEND]


def test_holder_whose_chat_is_down_for_less_keeps_the_lease(bench: Bench) -> None:
    """A short outage moves nothing."""
    alice, carol = bench.start("alice"), bench.start("carol")
    bench.reach["alice"] = Reach.NONE
    bench.let_pass(TERM / 2, alice, carol)
    bench.reach["alice"] = Reach.CHAT
    bench.let_pass(TERM, alice, carol)
    assert verdicts(alice, carol) == [SEND, WAIT]


def test_first_whose_chat_comes_back_speaks(bench: Bench) -> None:
    """Where all chats were down nobody holds the lease, and the first that can send does, at once."""
    alice, carol = bench.start("alice"), bench.start("carol")
    bench.reach |= {"alice": Reach.NONE, "carol": Reach.NONE}
    bench.let_pass(2 * TERM, alice, carol)
    assert verdicts(alice, carol) == [WAIT, WAIT]
    assert alice.row("bob") == "rescued by nobody now, as this one cannot reach its admins"
    bench.reach["carol"] = Reach.CHAT
    assert verdicts(carol, alice) == [SEND, WAIT]


def test_fallbacks_speak_where_no_chat_does(bench: Bench) -> None:
    """With every chat down for two terms, one that has fallbacks holds the lease, until a chat is back."""
    alice, carol = bench.start("alice"), bench.start("carol")
    bench.reach |= {"alice": Reach.FALLBACK, "carol": Reach.FALLBACK}
    bench.let_pass(2 * TERM - 2 * LONGEST_PAUSE, alice, carol)
    assert verdicts(alice, carol) == [WAIT, WAIT]
    bench.let_pass(2 * LONGEST_PAUSE, alice, carol)
    assert verdicts(alice, carol) == [SEND, WAIT]
    bench.let_pass(3 * TERM, alice, carol)
    assert verdicts(alice, carol) == [SEND, WAIT]
    bench.reach["carol"] = Reach.CHAT
    bench.let_pass(LONGEST_PAUSE, alice, carol)
    assert verdicts(alice, carol) == [WAIT, SEND]


def test_holder_that_never_delivers_what_others_have_loses_the_lease(bench: Bench) -> None:
    """One that lives and whose chat is up may still be blind: whose copy has waited long enough sends it."""
    alice, carol, dave = bench.start("alice"), bench.start("carol"), bench.start("dave")
    bench.let_pass(100.0, alice, carol, dave)
    bench.waiting["dave bob"] = SLOWEST_SECONDS - 0.1
    bench.let_pass(LONGEST_PAUSE, alice, carol, dave)
    assert verdicts(alice, carol, dave) == [SEND, WAIT, WAIT]
    bench.waiting["dave bob"] = SLOWEST_SECONDS
    assert verdicts(dave, alice, carol) == [SEND, WAIT, WAIT]


def test_message_that_is_taken_while_another_takes_over_comes_twice(bench: Bench) -> None:
    """What is on its way then nobody can call back; both have it delivered, and nobody sends it a third time."""
    alice, carol, dave = bench.start("alice"), bench.start("carol"), bench.start("dave")
    bench.let_pass(100.0, alice, carol, dave)
    assert verdicts(alice, carol) == [SEND, WAIT]
    bench.waiting["carol bob"] = SLOWEST_SECONDS
    assert verdicts(carol) == [SEND]
    alice.note_delivered("Ann", KEY)
    carol.note_delivered("Ann", KEY)
    assert verdicts(alice, carol, dave) == [DROP, DROP, DROP]
    assert verdicts(alice, carol, key=RETURN) == [WAIT, SEND]


def test_setting_the_clock_frees_no_lease_and_keeps_none(bench: Bench) -> None:
    """A step of a year, forwards or back, changes nothing about who speaks, and a term is as long as before."""
    alice, carol = bench.start("alice"), bench.start("carol")
    for seconds in (366 * 86_400.0, -2 * 366 * 86_400.0):
        bench.clock.adjust(seconds)
        bench.let_pass(LONGEST_PAUSE, alice, carol)
        assert verdicts(alice, carol) == [SEND, WAIT]
    bench.let_pass(TERM, carol)
    assert verdicts(carol, alice) == [SEND, WAIT]


def test_rescuer_that_ends_in_order_leaves_the_lease_at_once(bench: Bench) -> None:
    """Who is stopped gives the lease up, so that another need not wait for the term."""
    alice, carol = bench.start("alice"), bench.start("carol")
    with alice:
        pass
    assert verdicts(carol) == [SEND]


def test_rescuer_that_is_started_again_goes_on(bench: Bench) -> None:
    """After a kill the next process of the same name has the lease of the one before, within its term."""
    bench.start("alice")
    carol = bench.start("carol")
    again = bench.start("alice")
    assert verdicts(again, carol) == [SEND, WAIT]


def test_lease_of_the_boot_before_holds_up_nobody(bench: Bench) -> None:
    """After a restart of the machine, whose clock begins anew, nobody waits for a holder that cannot be there."""
    bench.start("alice")
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as connection:
        connection.execute("UPDATE lease SET boot = 'another'")
    assert verdicts(bench.start("carol")) == [SEND]


async def test_who_waits_is_woken_by_every_look(bench: Bench) -> None:
    """What waits asks again when time has passed, and then learns that it may go."""
    bench.start("alice")
    carol = bench.start("carol")
    found: list[Verdict] = []

    async def wait() -> None:
        while (verdict := carol.verdict("Ann", KEY)) is WAIT:
            await carol.wait_for_change()
        found.append(verdict)

    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(carol.run())
        tasks.create_task(wait())
        await bench.clock.move_on(TERM - LONGEST_PAUSE)
        assert found == []
        await bench.clock.move_on(2 * LONGEST_PAUSE)
        assert found == [SEND]
        looking.cancel()


def test_status_names_who_rescues(bench: Bench) -> None:
    """Each says who speaks for the bot, for how long, and what it is itself; in Chinese too."""
    alice, carol = bench.start("alice"), bench.start("carol")
    bench.let_pass(120.0, alice, carol)
    assert alice.row("bob") == "rescued by this one, alice, for 2 min"
    assert carol.row("bob") == "rescued by alice, for 2 min; this one, carol, stands by"


def test_status_names_who_rescues_in_chinese(bench: Bench) -> None:
    """An admin who reads Chinese is told the same."""
    chinese = translation("zh")
    alice, carol = bench.start("alice", translate=chinese), bench.start("carol", translate=chinese)
    bench.let_pass(120.0, alice, carol)
    assert alice.row("bob") == "由本机器人（alice）负责救援，已 2 分钟"
    assert carol.row("bob") == "由 alice 负责救援，已 2 分钟；本机器人（carol）待命"


# Without the file


def test_file_that_is_removed_is_made_again(bench: Bench) -> None:
    """A file that is gone costs the order of the rescuers, and no more: one sends, and nothing is told."""
    alice, carol = bench.start("alice"), bench.start("carol")
    for path in bench.path.parent.glob("lease.db*"):
        path.unlink()
    bench.let_pass(LONGEST_PAUSE, alice, carol)
    assert set(verdicts(alice, carol)) == {SEND, WAIT}
    bench.let_pass(TERM, alice, carol)
    assert bench.told == []


def test_file_that_is_damaged_is_set_aside(bench: Bench) -> None:
    """What is no database any more is put aside, and exactly one sends by the new one."""
    garbage(bench.path)
    alice, carol = bench.start("alice"), bench.start("carol")
    assert verdicts(alice, carol) == [SEND, WAIT]
    assert [path.name.startswith("lease.db.corrupt-") for path in bench.path.parent.glob("*corrupt*")] == [True]


def test_file_that_is_damaged_under_way_is_set_aside(bench: Bench) -> None:
    """A damage that comes later has the rescuers begin anew, and one of them sends."""
    alice, carol = bench.start("alice"), bench.start("carol")
    for companion in ("", "-wal", "-shm"):
        path = bench.path.with_name(bench.path.name + companion)
        path.write_bytes(b"this is no database" * 1000)
    bench.let_pass(RETRY_SECONDS + LONGEST_PAUSE, alice, carol)
    assert set(verdicts(alice, carol)) == {SEND, WAIT}


def is_a_folder(path: Path) -> str:
    """Have a folder stand there."""
    path.mkdir()
    return f"store {path} is a directory; expected a file"


def has_no_folder(path: Path) -> str:
    """Have it stand nowhere."""
    path.parent.rmdir()
    return (
        f"store {path} cannot be opened: {os.strerror(errno.ENOENT).lower()}; expected a file in a folder that exists,"
        " both writable for the user that runs logmonitor"
    )


@pytest.mark.parametrize("spoil", [is_a_folder, has_no_folder])
def test_without_the_file_everybody_sends_and_it_is_said(
    tmp_path: Path, spoil: Callable[[Path], str], caplog: pytest.LogCaptureFixture
) -> None:
    """Told twice is better than not told: all send, the log and status say so at once, the admins after a term."""
    path = tmp_path / "leases" / "lease.db"
    path.parent.mkdir()
    bench = Bench(path)
    reason = spoil(path)
    alice, carol = bench.start("alice"), bench.start("carol")
    assert caplog.messages == [f"the leases cannot be shared, so this rescuer sends whatever others do: {reason}"] * 2
    assert verdicts(alice, carol) == [SEND, SEND]
    alice.note_delivered("Ann", KEY)
    assert verdicts(alice, carol) == [SEND, SEND]
    assert alice.row("bob") == UNSHARED + reason
    bench.let_pass(TERM - LONGEST_PAUSE, alice, carol)
    assert bench.told == []
    bench.let_pass(5 * TERM, alice, carol)
    assert bench.told == [("alice", UNSHARED + reason), ("carol", UNSHARED + reason)]
    bench.close()


def test_file_that_can_be_used_again_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Once its place is mended the rescuers agree again, without a restart, and a second failure is told again."""
    path = tmp_path / "leases" / "lease.db"
    bench = Bench(path)
    alice, carol = bench.start("alice"), bench.start("carol")
    bench.let_pass(2 * TERM, alice, carol)
    path.parent.mkdir()
    caplog.clear()
    caplog.set_level("INFO")
    bench.let_pass(RETRY_SECONDS, alice, carol)
    assert verdicts(alice, carol) == [SEND, WAIT]
    assert caplog.messages.count("the leases are shared again") == 2
    assert carol.row("bob").startswith("rescued by alice")
    for each in path.parent.glob("*"):
        each.unlink()
    path.parent.rmdir()
    bench.let_pass(2 * TERM, alice, carol)
    assert [name for name, _ in bench.told] == ["alice", "carol", "alice", "carol"]
    bench.close()


@contextmanager
def child(code: str, path: Path, *, user: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run `code` about `path` in a process of its own, which is ended if it has not."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
        user=user,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


HOLDING: Final = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
"""


def test_file_that_another_process_holds_keeps_nobody_from_sending(bench: Bench) -> None:
    """A process that was stopped in the middle of a transaction holds the file: who would take over sends all the same.

    Whose lease is good as long as it lasts is not affected: it needs to be read only.
    """
    alice, carol = bench.start("alice"), bench.start("carol")
    with child(HOLDING, bench.path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert verdicts(alice, carol) == [SEND, WAIT]
        bench.clock.jump(TERM)
        assert verdicts(carol) == [SEND]
        assert "another process holds it" in carol.row("bob")
        process.kill()
        process.wait()
    bench.let_pass(RETRY_SECONDS, carol)
    assert verdicts(carol, alice) == [SEND, WAIT]


def test_delivery_that_cannot_be_noted_now_is_noted_later(bench: Bench) -> None:
    """What was delivered while the file could not be written others learn of once it can, and send nothing."""
    alice, carol = bench.start("alice"), bench.start("carol")
    with child(HOLDING, bench.path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        alice.note_delivered("Ann", KEY)
        process.kill()
        process.wait()
    assert verdicts(carol) == [WAIT]
    bench.let_pass(RETRY_SECONDS, alice, carol)
    assert verdicts(carol, alice) == [DROP, DROP]


def test_rescuer_goes_on_where_the_system_tells_no_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name for the boot a lease is told from one of before by its time alone."""
    monkeypatch.setattr(rescuer, "_BOOT_ID", tmp_path / "none")
    bench = Bench(tmp_path / "lease.db")
    assert verdicts(bench.start("alice"), bench.start("carol")) == [SEND, WAIT]
    bench.close()


def test_one_that_cannot_write_waits_while_another_holds_the_lease(bench: Bench) -> None:
    """A full disk makes no double as long as a lease holds that can be read; once it ran out everybody sends."""
    code = """
import resource, sys, json
from pathlib import Path
from logmonitor.config import RescueConfig
from logmonitor.lease import Reach
from logmonitor.records import MessageKey
from logmonitor.rescuer import Rescuer
from logmonitor.testing import FakeClock
clock = FakeClock()
rescuer = Rescuer(RescueConfig(lease=Path(sys.argv[1])), name="carol", watches=("bob",), reach=lambda: Reach.CHAT,
                  waiting_for=lambda watch: None, names_of=lambda to: (to,), tell=print, translate=str,
                  clock=clock)
rescuer.look()
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
key = MessageKey(watch="bob", loss="x", kind="loss")
print(rescuer.verdict("Ann", key).value, flush=True)
clock.jump(30.0)
rescuer.look()
print(rescuer.verdict("Ann", key).value, flush=True)
print(rescuer.row("bob"), flush=True)
"""
    bench.start("alice")
    with child(code, bench.path) as process:
        said, _ = process.communicate()
    first, second, row = said.splitlines()
    assert (first, second) == ("wait", "send")
    assert row.startswith(UNSHARED)
    assert "disk" in row


RACING: Final = """
import os, sys, time
from pathlib import Path
from logmonitor.clock import SystemClock
from logmonitor.config import RescueConfig
from logmonitor.lease import Reach
from logmonitor.records import MessageKey
from logmonitor.rescuer import Rescuer
rescuer = Rescuer(RescueConfig(lease=Path(sys.argv[1]), term=1.0), name=str(os.getpid()), watches=("bob",),
                  reach=lambda: Reach.CHAT, waiting_for=lambda watch: None, names_of=lambda to: (to,), tell=print,
                  translate=str, clock=SystemClock())
print("ready", flush=True)
sys.stdin.readline()
for number in range(300):
    key = MessageKey(watch="bob", loss=str(number), kind="loss")
    while (verdict := rescuer.verdict("Ann", key).value) == "wait":
        time.sleep(0.01)
    if verdict == "send":
        print(number, flush=True)
        rescuer.note_delivered("Ann", key)
print("done", flush=True)
"""


def test_processes_that_race_send_each_message_once(bench: Bench) -> None:
    """Of three that begin at once on no file, one sends all, and when that is killed another goes on where it was."""
    with child(RACING, bench.path) as one, child(RACING, bench.path) as two, child(RACING, bench.path) as three:
        processes = (one, two, three)
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            for process in processes:
                assert process.stdout is not None
                selector.register(process.stdout, selectors.EVENT_READ, process)
            ((first, _),) = selector.select()
        first.data.kill()
        said = [process.communicate()[0].splitlines() for process in processes]
    sent = [int(line) for lines in said for line in lines if line != "done"]
    assert set(sent) == set(range(300))
    assert len(sent) - 300 <= 1, "more than what the killed one may have sent without noting it"
    assert sorted(lines[-1:] == ["done"] for lines in said) == [False, True, True]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
def test_file_of_another_user_cannot_be_shared(tmp_path: Path) -> None:
    """Who may not read the leases of another user's rescuers sends, and says why."""
    path = tmp_path / "lease.db"
    LeaseFile(path, patience=1.0).close()
    code = """
import os, sys
from pathlib import Path
from logmonitor.config import RescueConfig
from logmonitor.lease import Reach
from logmonitor.records import MessageKey
from logmonitor.rescuer import Rescuer
from logmonitor.testing import FakeClock
rescuer = Rescuer(RescueConfig(lease=Path(sys.argv[1])), name="carol", watches=("bob",), reach=lambda: Reach.CHAT,
                  waiting_for=lambda watch: None, names_of=lambda to: (to,), tell=print, translate=str,
                  clock=FakeClock())
print("ready", flush=True)
os.setuid(65534)
print(rescuer.verdict("Ann", MessageKey(watch="bob", loss="x", kind="loss")).value)
print(rescuer.row("bob"))
"""
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(folder.stat().st_mode | 0o011)
    with child(code, path) as process:
        said, _ = process.communicate()
    ready, verdict, row = said.splitlines()
    assert (ready, verdict) == ("ready", "send")
    assert row.startswith(UNSHARED)
    assert "permission denied" in row


@pytest.mark.parametrize("term", [0.0, 0.9, 3601.0, float("nan"), -1.0])
def test_term_that_makes_no_sense_is_refused(tmp_path: Path, term: float) -> None:
    """A term that is over between two renewals, or in effect never, is refused when the record is built."""
    with pytest.raises(ConfigurationError, match="expected seconds from 1 to 3600"):
        RescueConfig(lease=tmp_path / "lease.db", term=term)
