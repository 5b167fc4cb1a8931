"""Liveness, as the admins of a bot see it, and its twin."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from logmonitor import HostError, OperationConfig, OperationError, Session, TransportError
from logmonitor.host import LocalHost
from logmonitor.testing import BOT, START, Chat, FakeClock, FakeHost, RecordingContext, chat
from operations.liveness import liveness

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from logmonitor import Operation, Process, ProcessSelector

QUIET = 15 * 60
SCAN = "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D"
BOB = OperationConfig(watch="bob")
UNKNOWN = "bob: unknown. Its log tells of no logout, but it shows no life:"
SILENT_AND_GONE = f"{UNKNOWN}\n- its log has not grown for 15 min\n- its process is gone"


def machine() -> FakeHost:
    """Return a machine on which Bob runs."""
    host = FakeHost()
    host.add_process(7, "node", "bob.js")
    return host


def write(here: Chat, host: FakeHost, data: bytes = b"a line\n", *, bot: str = "bob") -> None:
    """Let a bot's log grow, as the machine sees it."""
    path = here.log(bot).path
    host.files[path] = host.files.get(path, b"") + data


async def test_silent_bot_without_a_process_is_told_once() -> None:
    """When its log has not grown and its process is gone the admins hear it once, and once that it is back."""
    host = machine()
    async with chat(liveness(BOB, process="node"), watches=("bob",), host=host) as here:
        ann = here.user("Ann")
        write(here, host)
        await here.move_on(QUIET - 300)
        (process,) = host.processes
        host.processes.clear()
        await here.move_on(270)
        await ann.should_receive_nothing()
        await here.move_on(30)
        await ann.should_receive(SILENT_AND_GONE)
        await here.move_on(7200)
        await ann.should_receive_nothing()
        host.processes.append(process)
        await here.move_on(30)
        await ann.should_receive("bob shows life again, after 2 h")
        await here.move_on(3600)
        await ann.should_receive_nothing()


async def test_neither_silence_nor_a_missing_process_alone_wakes_anyone() -> None:
    """A quiet night is no alarm, nor is a bot that lives under another name than was thought."""
    host = machine()
    async with chat(liveness(BOB, process="node"), watches=("bob",), host=host) as here:
        write(here, host)
        await here.move_on(7200)
        await here.user("Ann").should_receive_nothing()
        host.processes.clear()
        for _ in range(4):
            write(here, host)
            await here.move_on(QUIET - 30)
        await here.user("Ann").should_receive_nothing()


async def test_bot_that_does_not_answer_is_told() -> None:
    """A silent log and a ping over the chat that nobody answers are two signs, of a bot on another machine too."""
    host = FakeHost()
    async with chat(liveness(BOB, ping="Bob"), watches=("bob",), users=("Bob",), host=host) as here:
        ann, bob = here.user("Ann"), here.user("Bob")
        write(here, host)
        await bob.should_receive("ding")
        await bob.says("dong").should_not_reply()
        await here.move_on(QUIET)
        await bob.should_receive("ding")
        await here.move_on(90)
        await ann.should_receive_nothing()
        await here.move_on(30)
        await ann.should_receive(f"{UNKNOWN}\n- its log has not grown for 17 min\n- it does not answer in the chat")
        await here.move_on(1800)
        await bob.should_receive("ding")
        await bob.says(" Dong\n").should_not_reply()
        await ann.should_receive("bob shows life again, after 30 min")


async def test_answer_in_time_keeps_everybody_asleep() -> None:
    """A bot that answers each ping may be silent for days."""
    host = FakeHost()
    async with chat(liveness(BOB, ping="Bob"), watches=("bob",), users=("Bob",), host=host) as here:
        bob = here.user("Bob")
        write(here, host)
        for seconds in (QUIET, 1800, 1800, 1800):
            await bob.should_receive("ding")
            await here.move_on(100)
            await bob.says("dong").should_not_reply()
            await here.move_on(seconds - 100)
        await bob.should_receive("ding")
        await here.user("Ann").should_receive_nothing()


@pytest.mark.parametrize("text", ["ding", "DING", " ding "])
async def test_ding_of_the_twin_is_answered(text: str) -> None:
    """The twin hears `dong`, a few times a minute at most; nobody else does, nor does anybody in a room."""
    operation = liveness(BOB, ping="Bob")
    rooms = {"all": ("Ann", "Bob", "Eve")}
    async with chat(operation, watches=("bob",), users=("Bob", "Eve"), rooms=rooms, host=FakeHost()) as here:
        bob, eve = here.user("Bob"), here.user("Eve")
        await bob.should_receive("ding")
        await bob.says(text).should_reply("dong")
        eve.takes_name("Bob")
        await eve.says("ding").should_not_reply()
        await here.user("Ann").says("ding").should_not_reply()
        await bob.says("ding", room="all").should_not_reply()
        for other in ("dong", "hello", "pong", "ding dong", "ding!"):
            await bob.says(other).should_not_reply()
        await bob.says("ding").should_reply("dong")
        await bob.says("ding").should_not_reply()
        await here.move_on(60)
        await bob.says("ding").should_reply("dong")


async def test_word_of_another_is_no_life() -> None:
    """A `dong` of somebody who only calls himself so, of a room, or of an hour ago refutes nothing."""
    rooms = {"all": ("Bob",)}
    operation, host = liveness(BOB, ping="Bob"), FakeHost()
    async with chat(operation, watches=("bob",), users=("Bob", "Eve"), rooms=rooms, host=host) as here:
        bob, eve = here.user("Bob"), here.user("Eve")
        write(here, host)
        await bob.should_receive("ding")
        await here.move_on(QUIET)
        await here.user("Ann").should_receive(re.compile("unknown.*\n.*\n.*does not answer"))
        await bob.should_receive("ding")
        eve.takes_name("Bob")
        await eve.says("dong")
        await bob.says("dong", room="all")
        await bob.says("yes?")
        here.transport.delay_next(3600)
        await bob.says("dong")
        await here.user("Ann").should_receive_nothing()
        await bob.says("dong")
        await here.user("Ann").should_receive(re.compile("shows life again"))


async def test_two_twins_do_not_answer_each_other_for_ever() -> None:
    """Alice pings Bob and Bob pings Alice: each ping brings one answer, and no answer brings anything."""
    clock = FakeClock()
    alices = liveness(BOB, ping="Bob", ping_every=60, ping_timeout=20)
    bobs = liveness(OperationConfig(watch="alice"), ping="Alice", ping_every=60, ping_timeout=20)
    async with (
        chat(alices, watches=("bob",), users=("Bob",), host=FakeHost(), clock=clock, strict=False) as alice,
        chat(bobs, watches=("alice",), users=("Alice",), host=FakeHost(), clock=clock, strict=False) as bob,
    ):
        said = {"Alice": 0, "Bob": 0}

        async def exchange() -> list[str]:
            """Hand over what each has told the other, until neither says any more; return it all."""
            words: list[str] = []
            is_going_on = True
            while is_going_on and len(words) < 100:
                await alice.settle()
                await bob.settle()
                is_going_on = False
                for me, program, other in (("Alice", alice, bob), ("Bob", bob, alice)):
                    told = [entry for entry in program.transcript.entries if entry.speaker == BOT]
                    for entry in told[said[me] :]:
                        assert entry.receivers != ("Ann",), str(program.transcript)
                        words.append(f"{me}: {entry.content}")
                        other.user(me).says(str(entry.content))
                        is_going_on = True
                    said[me] = len(told)
            return words

        assert sorted(await exchange()) == ["Alice: ding", "Alice: dong", "Bob: ding", "Bob: dong"]
        said_in_all: list[str] = []
        for _ in range(60):
            await clock.move_on(30, settle=alice.settle)
            said_in_all += await exchange()
        count = Counter(said_in_all)
        assert 20 <= count["Alice: ding"] == count["Bob: dong"] <= 30
        assert 20 <= count["Bob: ding"] == count["Alice: dong"] <= 30
        assert len(count) == 4


async def test_ping_waits_for_a_chat_that_takes_nothing() -> None:
    """While the chat is down nobody can answer, and nobody is suspected."""
    host = FakeHost()
    async with chat(liveness(BOB, ping="Bob"), watches=("bob",), users=("Bob",), host=host) as here:
        ann, bob = here.user("Ann"), here.user("Bob")
        write(here, host)
        await bob.should_receive("ding")
        await bob.says("dong")
        here.transport.fail_next(TransportError("no network"), times=60)
        while len(here.transport.sent) < 2:
            await here.move_on(30)
            await ann.should_receive_nothing()
        await bob.should_receive("ding")
        await bob.says("dong")
        await here.move_on(600)
        await ann.should_receive_nothing()


async def test_bot_that_is_logged_out_is_not_told_of() -> None:
    """While a bot is known to be logged out its admins hear of that from others, and it is not pinged."""
    operation = liveness(BOB, process="node", ping="Bob")
    host = machine()
    async with chat(operation, watches=("bob",), users=("Bob",), host=host, profile="wechaty-ts") as here:
        ann, bob = here.user("Ann"), here.user("Bob")
        write(here, host)
        await bob.should_receive("ding")
        here.log("bob").write(f"12:00:00 INFO StarterBot onScan: Waiting(2) - {SCAN}")
        await here.settle()
        host.processes.clear()
        await here.move_on(7200)
        await ann.should_receive_nothing()
        await bob.should_receive_nothing()
        host.add_process(8, "node", "bob.js")
        here.log("bob").write("14:00:00 INFO StarterBot Contact<Bob> login")
        write(here, host)
        await here.settle()
        await here.move_on(30)
        await bob.should_receive("ding")


async def test_restart_of_logmonitor_tells_nothing_twice(tmp_path: Path) -> None:
    """What was told before a restart is not told again, and the return is told behind it."""
    host, clock = machine(), FakeClock()
    path = tmp_path / "bob.log"
    host.files[path] = b"a line\n"
    async with chat(liveness(BOB, process="node"), watches=("bob",), host=host, clock=clock, folder=tmp_path) as here:
        host.processes.clear()
        await here.move_on(QUIET)
        await here.user("Ann").should_receive(re.compile("unknown"))
    clock.jump(7200)
    async with chat(liveness(BOB, process="node"), watches=("bob",), host=host, clock=clock, folder=tmp_path) as here:
        ann = here.user("Ann")
        await here.move_on(QUIET)
        await ann.should_receive_nothing()
        await ann.says("status bob").should_reply(re.compile("liveness unknown for 2 h: its log has not grown for 2 h"))
        host.files[path] += b"another\n"
        await here.move_on(30)
        await ann.should_receive("bob shows life again, after 2 h")
    host.add_process(8, "node", "bob.js")
    async with chat(liveness(BOB, process="node"), watches=("bob",), host=host, clock=clock, folder=tmp_path) as here:
        await here.move_on(60)
        await here.user("Ann").should_receive_nothing()


@pytest.mark.parametrize("kept", ["", "null", "{", "[]", '{"told_at": 1, "signs": []}', '{"told_at": "x"}'])
@pytest.mark.parametrize("signs", ['["what"]', "7"])
async def test_what_a_store_holds_of_another_version_is_passed_over(kept: str, signs: str) -> None:
    """What cannot be read in the store is as if nothing had been told."""
    context = RecordingContext(Session(watch="bob"))
    context.store.put("bob", kept or f'{{"told_at": "2026-11-20T12:00:00+00:00", "signs": {signs}}}')
    operation = liveness(BOB, process="node")
    assert operation.on_start is not None
    assert operation.status is not None
    await operation.on_start(context)
    assert operation.status(context, "bob") == ("liveness: one sign alone alarms nobody",)


async def test_bot_of_which_only_the_log_is_known_is_told_at_once() -> None:
    """With one sign nobody would ever be told; that is said at the start."""
    blind = "bob, carol: only the log is watched, and it takes two signs; name the process, or a contact to ping"
    async with chat(liveness(OperationConfig()), watches=("bob", "carol"), host=FakeHost()) as here:
        ann = here.user("Ann")
        await ann.should_receive(blind)
        await here.move_on(1800)
        await ann.says("status carol").should_reply(re.compile(r"liveness: .*one sign alone alarms nobody"))


async def test_process_that_another_operation_names_is_looked_for() -> None:
    """Every bot's process may be known from another operation; each bot is told of by itself."""
    host = machine()
    sought: list[str] = []

    def is_meant(selector: ProcessSelector, process: Process) -> bool:
        sought.append(selector.text)
        return selector.text == "port 8080" and process.pid == 7

    host.matching = is_meant
    bobs = liveness(OperationConfig(watch="bob", name="bobs"), port=8080)
    carols = liveness(OperationConfig(watch="carol", name="carols"), command="carol[.]js")
    everybodys = liveness(OperationConfig(name="everybodys"), silence=60)
    async with chat(bobs, carols, everybodys, watches=("bob", "carol"), host=host) as here:
        ann = here.user("Ann")
        write(here, host)
        write(here, host, bot="carol")
        await here.move_on(120)
        await ann.should_receive(re.compile("^carol: unknown.*\n.*for 1 min\n.*gone$"))
        await ann.should_receive_nothing()
    assert set(sought) == {"port 8080", "command carol[.]js"}


async def test_machine_that_does_not_answer_is_no_sign() -> None:
    """A process that cannot be looked for, and logs that cannot be looked at, alarm nobody."""

    class Deaf(FakeHost):
        async def find(self, selector: ProcessSelector, /) -> tuple[Process, ...]:
            raise HostError(f"cannot look for {selector.text}")

    async with chat(liveness(BOB, process="node"), watches=("bob",), host=Deaf()) as here:
        await here.move_on(1800)
        ann = here.user("Ann")
        await ann.says("status bob").should_reply(re.compile("its process cannot be looked for"))
        here.log("bob").path.unlink()
        await here.move_on(1800)
        await ann.should_receive_nothing()


async def test_texts_are_chinese_where_that_is_the_language() -> None:
    """An admin who reads Chinese is told in Chinese."""
    host = machine()
    config = OperationConfig(watch="bob", language="zh")
    async with chat(liveness(config, process="node"), watches=("bob",), host=host, language="zh") as here:
        write(here, host)
        host.processes.clear()
        await here.move_on(QUIET + 30)
        heard = await here.user("Ann").should_receive(re.compile("bob"))
        assert not re.search("unknown|log|process", heard.text)


async def stay_quiet(here: Chat, seconds: int) -> None:
    """Let time pass, each look come to its end in real time, and nobody be told anything."""
    for _ in range(0, seconds, 30):
        await here.move_on(30)
        await here.user("Ann").should_receive_nothing()


async def test_real_log_and_real_process_are_watched(tmp_path: Path) -> None:
    """A process that is killed and the log that it wrote to are two signs; both come back."""
    host = LocalHost()
    pid_file = tmp_path / "bob.pid"
    operation = liveness(BOB, pid_file=pid_file, silence=300)

    def start() -> int:
        """Start a process that is nobody's child here, as a bot is."""
        subprocess.run(["sh", "-c", 'sleep 1000 & echo $! >"$0"', pid_file], check=True)
        return int(pid_file.read_text())

    def end(pid: int) -> None:
        """Kill a process, and return when it has ended."""
        descriptor = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            ended, _, _ = select.select([descriptor], [], [], 10)
            assert ended
        finally:
            os.close(descriptor)

    pid = start()
    try:
        async with chat(operation, watches=("bob",), host=host) as here:
            ann, log = here.user("Ann"), here.log("bob")
            log.write("a line")
            await here.settle()
            os.utime(log.path, (START.timestamp(), START.timestamp()))
            await stay_quiet(here, 600)
            end(pid)
            await stay_quiet(here, 60)
            await here.move_on(30)
            await ann.should_receive(re.compile("^bob: unknown.*\n.*11 min\n.*gone$"))
            log.rotate()
            await stay_quiet(here, 60)
            log.write("another line")
            await here.move_on(30)
            await ann.should_receive(re.compile("^bob shows life again"))
            await stay_quiet(here, 270)
            await here.move_on(30)
            await ann.should_receive(re.compile("^bob: unknown"))
            pid = start()
            await here.move_on(30)
            await ann.should_receive(re.compile("^bob shows life again"))
    finally:
        with suppress(ProcessLookupError):
            end(pid)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: liveness(OperationConfig(), ping="Bob"), "liveness pings the account of one bot"),
        (lambda: liveness(OperationConfig(), process="node"), "says which process is its bot's, but not which bot"),
        (lambda: liveness(BOB, process="node", port=8080), "found process and port"),
        (lambda: liveness(BOB, silence=0), "bad silence 0"),
        (lambda: liveness(BOB, ping=""), "bad ping ''"),
    ],
)
def test_what_cannot_be_is_refused_at_once(make: Callable[[], Operation], problem: str) -> None:
    """An operation that could not work is not made."""
    with pytest.raises(OperationError, match=re.escape(problem)):
        make()
