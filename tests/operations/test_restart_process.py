"""Restarting a bot's process, as its admin sees it, on a machine in memory."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logmonitor import (
    Completed,
    Ending,
    HostError,
    Launch,
    Operation,
    OperationConfig,
    OperationError,
    Process,
    ProcessSelector,
    Stream,
    StreamKind,
)
from logmonitor.testing import FakeHost, chat
from operations.restart_process import LOOK_SECONDS, restart_process

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from logmonitor.testing import Chat

LOG = Path("/home/ann/bob.log")
LOGIN = "22:44:35 INFO StarterBot Contact<Bob> login"
SCAN = "22:44:35 INFO StarterBot onScan: Waiting(2)"
RESTARTED = "bob was restarted in 1.0 s: pid 5 → 1001, 50.0 MB"


class Machine(FakeHost):
    """A machine on which Bob runs as pid 5, and on which more can happen: `on_start` when a process is started there.

    While `is_ended` is not set, whoever is terminated takes its time.
    """

    def __init__(self) -> None:
        """Let Bob run."""
        super().__init__()
        self.bob = self.add_process(5, "node", "bob.js")
        self.matching = lambda _selector, process: "bob.js" in process.argv
        self.on_start: Callable[[Process], None] = lambda _process: None
        self.on_run: Callable[[tuple[str, ...]], None] = lambda _argv: None
        self.is_ended: asyncio.Event | None = None

    async def terminate(self, process: Process, /, *, timeout: float) -> Ending:  # noqa: ASYNC109  # as the port has it
        """End a process once it may."""
        if self.is_ended is not None:
            is_ended, self.is_ended = self.is_ended, None
            await is_ended.wait()
        return await super().terminate(process, timeout=timeout)

    async def start(self, launch: Launch, /) -> Process:
        """Start a process, and let happen what then happens."""
        process = await super().start(launch)
        self.on_start(process)
        return process

    async def run(self, *argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # as the port has it
        """Run a program, and let happen what it does."""
        completed = await super().run(*argv, timeout=timeout)
        self.on_run(argv)
        return completed

    def keep_bob(self, name: str = "pm2") -> Process:
        """Let Bob be the child of something that may bring him back."""
        keeper = self.add_process(1000, name)
        self.processes.remove(self.bob)
        self.bob = self.add_process(5, "node", "bob.js", parent=1000)
        self.origins[5] = replace(self.origin_of(self.bob), parent=keeper)
        return keeper

    def succeed(self, pid: int = 6, *argv: str) -> Process:
        """Make what takes Bob's place."""
        process = self.add_process(pid, *(argv or ("node", "bob.js")), parent=1000, created=self.bob.created + pid)
        self.processes.remove(process)
        return process


@asynccontextmanager
async def at_bobs(host: Machine, *others: Operation, **parameters: Any) -> AsyncIterator[Chat]:  # noqa: ANN401  # its own
    """Be in a chat with the operation."""
    given: dict[str, Any] = {"command": "bob.js", "stay_up": 1.0} | parameters
    operation = restart_process(OperationConfig(watch="bob"), **given)
    async with chat(operation, *others, watches=("bob",), host=host, profile="wechaty-ts") as here:
        yield here


async def ask(here: Chat, text: str, *, seconds: float = 1) -> str:
    """Let Ann say a command, and time pass; return the last that she is told."""
    said = here.user("Ann").says(text)
    await here.move_on(seconds)
    heard = await said.should_reply()
    return str(heard.content)


async def test_restart_starts_it_as_it_was() -> None:
    """The old process ends, a new one starts with all that the old one was started with, and both pids are told."""
    host = Machine()
    to_log = Stream(kind=StreamKind.FILE, path=LOG)
    host.origins[5] = replace(host.origin_of(host.bob), argv=(b"node", b"bob.js"), stdout=to_log, umask=0o77)
    async with at_bobs(host) as here:
        assert await ask(here, "restart bob") == RESTARTED
    assert host.terminated == [5]
    assert [(launch.argv, launch.stdout, launch.stderr, launch.umask) for launch in host.started] == [
        ((b"node", b"bob.js"), LOG, None, 0o77)
    ]


async def test_restart_tells_no_success_before_it_stayed_up() -> None:
    """Nothing is told of a process until it has lived for `stay_up` seconds."""
    async with at_bobs(Machine()) as here:
        said = here.user("Ann").says("restart")
        await here.move_on(0.9)
        await said.should_not_reply()
        await here.move_on(0.1)
        await said.should_reply(RESTARTED)


@pytest.mark.parametrize("command", ["restart", "stop"])
async def test_several_processes_are_listed_and_left_alone(command: str) -> None:
    """Where several are meant, each is told, and nothing is done."""
    host = Machine()
    for pid in range(6, 18):
        host.add_process(pid, "node", "bob.js", str(pid))
    async with at_bobs(host) as here:
        told = (await ask(here, command)).splitlines()
    assert told[:3] == [
        "command bob.js means 13 processes; nothing was done:",
        "pid 5, ann, up 0 s, 50.0 MB: node bob.js",
        "pid 6, ann, up 0 s, 50.0 MB: node bob.js 6",
    ]
    assert told[-1] == "… and 3 more"
    assert host.terminated == []


async def test_pipe_is_refused_before_anything_is_ended() -> None:
    """An output that cannot be kept leaves the process as it is, and says what to configure."""
    host = Machine()
    host.origins[5] = replace(host.origin_of(host.bob), stdout=Stream(kind=StreamKind.PIPE))
    async with at_bobs(host) as here:
        assert await ask(here, "restart") == (
            "bob was not restarted, and runs on as pid 5: its output goes to a pipe, which cannot be kept:"
            ' configure a file for it, as stdout = "bot.log"'
        )
        assert "cannot be started from here: its output goes to a pipe" in await ask(here, "ps")
    assert host.terminated == []
    async with at_bobs(host, stdout=LOG) as here:
        assert await ask(here, "restart") == RESTARTED
    assert [launch.stdout for launch in host.started] == [LOG]


async def test_start_that_would_fail_is_found_before_anything_is_ended() -> None:
    """What the machine would refuse at the start is told, and the process runs on."""
    host = Machine()
    host.obstacles[Path("/usr/bin/node")] = HostError("cannot become user 1000: operation not permitted")
    async with at_bobs(host) as here:
        assert await ask(here, "restart") == (
            "bob was not restarted, and runs on as pid 5: cannot become user 1000: operation not permitted"
        )
    assert host.terminated == []


async def test_what_had_to_be_killed_is_told() -> None:
    """A process that ignores being asked is named."""
    host = Machine()
    host.endings[5] = Ending(killed=(5, 7), seconds=10)
    async with at_bobs(host) as here:
        assert await ask(here, "restart") == f"{RESTARTED}\nhad to be killed: pid 5, 7"


@pytest.mark.parametrize("command", ["restart", "stop"])
async def test_what_cannot_be_killed_is_told_and_not_doubled(command: str) -> None:
    """A process that even a kill does not end is told, and none is started beside it."""
    host = Machine()
    host.endings[5] = Ending(survivors=(5,), seconds=15)
    async with at_bobs(host) as here:
        assert await ask(here, command) == "bob does not end, not even when killed: pid 5; nothing was started"
    assert host.started == []


async def test_process_that_may_not_be_signalled_is_told() -> None:
    """What may not be ended is told with the reason."""
    host = Machine()

    async def refuse(_process: Process, /, *, timeout: float) -> Ending:  # noqa: ASYNC109  # as the port has it
        raise HostError(f"this user may not end process 5 within {timeout:g} s")

    host.terminate = refuse  # type: ignore[method-assign]  # one machine that refuses
    async with at_bobs(host) as here:
        assert await ask(here, "restart") == "restart of bob failed: this user may not end process 5 within 10 s"
    assert host.started == []


async def test_what_a_supervisor_brings_back_is_not_started_twice() -> None:
    """A new child of its parent is taken for the restarted process."""
    host = Machine()
    host.keep_bob()
    host.successors[5] = host.succeed()
    async with at_bobs(host) as here:
        assert await ask(here, "restart") == (
            "bob was restarted in 1.0 s: pid 5 → 6, 50.0 MB\npm2 (1000) brought it back; nothing was started besides"
        )
    assert host.started == []


async def test_what_nobody_brings_back_is_started_after_the_time_for_it() -> None:
    """A parent that lives on and does nothing is given its time, one that went as well is given none."""
    host = Machine()
    host.keep_bob("bash")
    async with at_bobs(host, respawn=2.0) as here:
        said = here.user("Ann").says("restart")
        await here.move_on(1.9)
        assert host.started == []
        await here.move_on(2)
        await said.should_reply("bob was restarted in 3.0 s: pid 5 → 1001, 50.0 MB")
        here.ignore_so_far()
    host = Machine()
    keeper = host.keep_bob("bash")
    host.processes.remove(keeper)
    async with at_bobs(host, respawn=2.0) as here:
        assert "in 1.0 s" in await ask(here, "restart")


async def test_when_a_supervisor_comes_late_ours_is_ended() -> None:
    """Of two that run in the end, the supervisor's stays."""
    host = Machine()
    host.keep_bob()
    theirs = host.succeed(60)
    host.on_start = lambda _process: host.processes.append(theirs)
    async with at_bobs(host, respawn=0) as here:
        told = await ask(here, "restart")
    assert told.splitlines() == [
        "bob was restarted in 1.0 s: pid 5 → 60, 50.0 MB",
        "pm2 (1000) brought it back; nothing was started besides",
    ]
    assert [process.pid for process in host.processes] == [1000, 60]


@pytest.mark.parametrize("changes", [{"user": "eve"}, {}], ids=["another user", "a user of the same name"])
async def test_look_alike_of_another_user_is_never_taken_for_the_bot(changes: dict[str, Any]) -> None:
    """A stranger who shows the bot's words neither keeps it from being started nor has ours ended."""
    host = Machine()
    host.keep_bob()
    early, late = (replace(host.succeed(pid), **changes) for pid in (6, 60))
    for one in (early, late):
        host.origins[one.pid] = replace(host.origin_of(one), uid=4321)
    host.successors[5] = early
    host.on_start = lambda _process: host.processes.append(late)
    async with at_bobs(host, respawn=2.0) as here:
        said = here.user("Ann").says("restart")
        await here.move_on(2)
        await here.move_on(2)
        await said.should_reply("bob was restarted in 3.0 s: pid 5 → 1001, 50.0 MB")
        here.ignore_so_far()
    assert [process.pid for process in host.processes] == [1000, 6, 1001, 60]


async def test_cancelled_restart_takes_no_look_alike_for_the_bot() -> None:
    """What a stranger has put in the place of what was ended does not keep it from being started."""
    host = Machine()
    host.keep_bob()
    host.is_ended = is_ended = asyncio.Event()
    host.successors[5] = replace(host.succeed(), user="eve")
    async with at_bobs(host) as here:
        ann = here.user("Ann")
        said = ann.says("restart")
        await here.settle()
        ann.says("cancel")
        await here.settle()
        is_ended.set()
        await said.should_reply("cancelled too late to leave bob without a process: it runs as pid 1001")
        here.ignore_so_far()


async def test_program_that_goes_to_the_background_is_followed() -> None:
    """A process that ends at once because it leaves the work to another of the same words has not failed."""
    host = Machine()

    def fork(process: Process) -> None:
        host.processes[host.processes.index(process)] = replace(process, pid=77)

    host.on_start = fork
    async with at_bobs(host) as here:
        assert (await ask(here, "restart")).startswith("bob was restarted in 1.0 s: pid 5 → 77, 50.0 MB")


async def test_process_that_dies_at_once_is_told_with_its_last_words() -> None:
    """The last lines that the new process has written are shown; those of the old one are not."""
    host = Machine()
    to_log = Stream(kind=StreamKind.FILE, path=LOG)
    host.origins[5] = replace(host.origin_of(host.bob), stdout=to_log, stderr=to_log)
    host.files[LOG] = b"all was well\n"

    def die(process: Process) -> None:
        host.processes.remove(process)
        host.files[LOG] += b"Error: no config \xe2\x80\xae\n    at bob.js:1\n"

    host.on_start = die
    async with at_bobs(host) as here:
        assert (await ask(here, "restart")).splitlines() == [
            "bob does not run: it was started as pid 1001 and ended within 0.0 s",
            "the last it has written:",
            r"Error: no config \u202e",
            "    at bob.js:1",
        ]


async def test_words_in_a_file_that_is_not_the_bots_are_left_out() -> None:
    """What this program may read and the bot's user may not is neither shown nor said to be empty."""
    host = Machine()
    host.origins[5] = replace(host.origin_of(host.bob), stdout=Stream(kind=StreamKind.FILE, path=LOG))
    host.files[LOG], host.owners[LOG] = b"", 4321

    def die(process: Process) -> None:
        host.processes.remove(process)
        host.files[LOG] = b"somebody's secret\n"

    host.on_start = die
    async with at_bobs(host) as here:
        told = await ask(here, "restart")
    assert told == "bob does not run: it was started as pid 1001 and ended within 0.0 s"


async def test_process_that_dies_without_a_word_is_told() -> None:
    """Where nothing was written, that is told; a file that has become shorter is another one."""
    host = Machine()
    to_log = Stream(kind=StreamKind.FILE, path=LOG)
    host.origins[5] = replace(host.origin_of(host.bob), stdout=to_log, stderr=Stream(kind=StreamKind.NULL))
    host.files[LOG] = b"all was well\n"
    host.on_start = host.processes.remove

    def die(process: Process) -> None:
        host.processes.remove(process)
        host.files[LOG] = b"new\n"

    async with at_bobs(host) as here:
        assert (await ask(here, "restart")).endswith("\nit has written nothing")
        host.add_process(5, "node", "bob.js")
        host.on_start = die
        assert (await ask(here, "restart")).endswith("\nthe last it has written:\nnew")


async def test_failed_start_is_told_and_can_be_tried_again() -> None:
    """What fails at the start although nothing foretold it is told, and `start` starts it later."""
    host = Machine()
    host.is_ended = is_ended = asyncio.Event()
    async with at_bobs(host) as here:
        said = here.user("Ann").says("restart")
        await here.settle()
        host.obstacles[Path("/usr/bin/node")] = HostError("no space left on device")
        is_ended.set()
        await said.should_reply(
            "bob was ended (pid 5) and cannot be started again: no space left on device; `start` tries once more"
        )
        assert await ask(here, "start") == "start of bob failed: no space left on device"
        host.obstacles.clear()
        assert await ask(here, "start") == "bob was started in 1.0 s: pid 1001, 50.0 MB"


async def test_cancelled_between_stop_and_start_it_is_started_all_the_same() -> None:
    """Who cancels while nothing runs learns that it runs again."""
    host = Machine()
    host.keep_bob("bash")
    async with at_bobs(host, respawn=5.0) as here:
        ann = here.user("Ann")
        said = ann.says("restart")
        await here.move_on(2)
        assert [process.pid for process in host.processes] == [1000]
        await ann.says("cancel")
        await said.should_reply("cancelled too late to leave bob without a process: it runs as pid 1001")
        assert [process.argv for process in host.processes] == [("bash",), ("node", "bob.js")]
        here.ignore_so_far()
        assert await ask(here, "ps") != "bob does not run"
        here.ignore_so_far()


async def test_cancelled_while_it_ends_it_is_started_all_the_same() -> None:
    """Who cancels while the old process takes its time has it ended faster, and a new one started."""
    host = Machine()
    host.is_ended = is_ended = asyncio.Event()
    async with at_bobs(host) as here:
        ann = here.user("Ann")
        said = ann.says("restart")
        await here.settle()
        ann.says("cancel")
        await here.settle()
        assert [process.pid for process in host.processes] == [1001]
        is_ended.set()
        await said.should_reply("cancelled too late to leave bob without a process: it runs as pid 1001")
        here.ignore_so_far()
    assert (host.terminated, len(host.started)) == ([5], 1)


@pytest.mark.parametrize("is_survivor", [True, False])
async def test_cancelled_and_not_started_is_told(is_survivor: bool) -> None:  # noqa: FBT001  # pytest's to give
    """Where it does not end, or cannot be started, who cancelled learns that it may not run."""
    host = Machine()
    host.is_ended = is_ended = asyncio.Event()
    async with at_bobs(host) as here:
        ann = here.user("Ann")
        said = ann.says("restart")
        await here.settle()
        if is_survivor:
            host.endings[5] = Ending(survivors=(5,))
        else:
            host.obstacles[Path("/usr/bin/node")] = HostError("no space left on device")
        ann.says("cancel")
        await here.settle()
        is_ended.set()
        reason = "process 5 does not end" if is_survivor else "no space left on device"
        await said.should_reply(f"bob was being started when that was cancelled, and may not run: {reason}")
        here.ignore_so_far()
    assert host.started == []


async def test_program_that_stops_half_way_leaves_the_bot_running() -> None:
    """A restart is finished even when this program is told to stop in the middle of it."""
    host = Machine()
    host.keep_bob("bash")
    async with at_bobs(host, respawn=5.0) as here:
        here.user("Ann").says("restart")
        await here.move_on(2)
        assert [process.pid for process in host.processes] == [1000]
        here.ignore_so_far()
    assert [process.pid for process in host.processes] == [1000, 1001]


async def test_restart_that_is_cancelled_brings_back_nothing_twice() -> None:
    """What a supervisor has brought back when a restart is cancelled is left to it."""
    host = Machine()
    host.keep_bob()
    host.is_ended = is_ended = asyncio.Event()
    host.successors[5] = host.succeed()
    async with at_bobs(host) as here:
        ann = here.user("Ann")
        said = ann.says("restart")
        await here.settle()
        ann.says("cancel")
        await here.settle()
        is_ended.set()
        await said.should_reply("cancelled too late to leave bob without a process: it runs as pid 6")
        here.ignore_so_far()
    assert host.started == []


@pytest.mark.parametrize("command", ["restart", "start"])
async def test_cancelled_while_it_starts_it_is_told_what_runs(command: str) -> None:
    """A start that has begun is not cut off, and its pid is told."""
    host = Machine()
    is_started = asyncio.Event()
    start = host.start

    async def slowly(launch: Launch, /) -> Process:
        await is_started.wait()
        return await start(launch)

    host.start = slowly  # type: ignore[method-assign]  # a slow one
    async with at_bobs(host) as here:
        ann = here.user("Ann")
        if command == "start":
            host.processes.remove(host.bob)
        said = ann.says(command)
        await here.settle()
        ann.says("cancel")
        await here.settle()
        assert host.started == []
        is_started.set()
        await said.should_reply("cancelled too late to leave bob without a process: it runs as pid 1001")
        here.ignore_so_far()
    assert len(host.started) == 1


async def test_login_is_awaited() -> None:
    """With `wait_for_login` a restart has worked once the log shows a login that came after it."""
    host = Machine()
    async with at_bobs(host, wait_for_login=True) as here:
        here.log("bob").write(LOGIN)
        await here.settle()
        said = here.user("Ann").says("restart")
        await here.move_on(10)
        here.ignore_so_far()
        here.log("bob").write(LOGIN)
        await here.settle()
        await here.move_on(1)
        await said.should_reply(re.compile(r"^bob was restarted in 10\.\d s: pid 5 → 1001.*\nits log shows a login$"))
        here.ignore_so_far()


async def test_login_that_does_not_come_is_told() -> None:
    """Without a login in time, what the session is instead is told."""
    async with at_bobs(Machine(), wait_for_login=True, ready_timeout=30) as here:
        said = here.user("Ann").says("restart")
        await here.move_on(2)
        here.ignore_so_far()
        here.log("bob").write(SCAN)
        await here.settle()
        await here.move_on(29)
        await said.should_reply(
            "bob runs as pid 1001, but its log shows no login after 31.0 s\nbob: waiting for a scan, for 29 s"
        )
        here.ignore_so_far()


async def test_port_is_awaited() -> None:
    """With `answers_on` a restart has worked once the port answers."""
    host = Machine()
    async with at_bobs(host, answers_on=8080) as here:
        said = here.user("Ann").says("restart")
        await here.move_on(5)
        here.ignore_so_far()
        host.services["localhost:8080"] = 0.01
        await here.move_on(1)
        await said.should_reply("bob was restarted in 5.2 s: pid 5 → 1001, 50.0 MB\nport 8080 answers")
        here.ignore_so_far()


async def test_port_that_does_not_answer_is_told() -> None:
    """A port that stays silent is named; a process that ends meanwhile is told as that."""
    host = Machine()
    async with at_bobs(host, answers_on=8080, ready_timeout=0) as here:
        assert await ask(here, "restart") == "bob runs as pid 1001, but port 8080 does not answer after 1.0 s"
    host = Machine()
    async with at_bobs(host, answers_on=8080) as here:
        said = here.user("Ann").says("restart")
        await here.move_on(2)
        here.ignore_so_far()
        host.processes.clear()
        await here.move_on(1)
        await said.should_reply("bob does not run: it was started as pid 1001 and ended within 2.2 s")
        here.ignore_so_far()


async def test_stop_and_start() -> None:
    """What was stopped starts as it was; what runs is not started twice, what does not is not stopped."""
    host = Machine()
    async with at_bobs(host) as here:
        assert await ask(here, "stop") == "bob was stopped: pid 5"
        assert await ask(here, "stop") == "bob does not run (command bob.js)"
        assert await ask(here, "start") == "bob was started in 1.0 s: pid 1001, 50.0 MB"
        assert await ask(here, "start") == "bob runs already:\npid 1001, ann, up 3 s, 50.0 MB: node bob.js"
    assert len(host.started) == 1


async def test_stop_says_when_start_will_not_work() -> None:
    """A process may be stopped that could not be started again, and that is told."""
    host = Machine()
    host.origins[5] = replace(host.origin_of(host.bob), stdout=Stream(kind=StreamKind.TERMINAL))
    async with at_bobs(host) as here:
        told = (await ask(here, "stop")).splitlines()
        assert told[0] == "bob was stopped: pid 5"
        assert told[1].startswith("`start` cannot start it again: its output goes to a terminal")
        assert (await ask(here, "start")).startswith(
            "bob does not run, and cannot be started from here: its output goes to a terminal"
        )


async def test_stop_tells_of_who_brings_it_back() -> None:
    """A stop that does not last is no success."""
    host = Machine()
    host.keep_bob()
    host.successors[5] = host.succeed()
    async with at_bobs(host) as here:
        assert await ask(here, "stop") == (
            "bob was ended, and brought back as pid 6; stop it where it is kept: pm2 (1000)"
        )


@pytest.mark.parametrize("command", ["restart", "start"])
async def test_bot_that_ended_by_itself_is_started_as_it_was_last_seen(command: str) -> None:
    """How a bot was started is remembered while it runs, so that it can be started once it does not."""
    host = Machine()
    async with at_bobs(host) as here:
        await here.move_on(LOOK_SECONDS)
        host.processes.clear()
        assert await ask(here, command) == "bob was started in 1.0 s: pid 1001, 50.0 MB"
    assert [launch.argv for launch in host.started] == [(b"node", b"bob.js")]


@pytest.mark.parametrize("command", ["restart", "start"])
async def test_bot_that_was_never_seen_is_not_started(command: str) -> None:
    """How a bot that never ran here is started is nobody's guess."""
    host = Machine()
    host.processes.clear()
    async with at_bobs(host) as here:
        assert await ask(here, command) == (
            "bob does not run, and cannot be started from here: it has not been seen running since logmonitor began"
        )
        assert await ask(here, "ps") == (
            "bob does not run (command bob.js)\n"
            "it cannot be started from here: it has not been seen running since logmonitor began"
        )


async def test_what_was_started_here_is_known_where_nothing_leads_to_it() -> None:
    """A pid file that the bot does not write itself names the old process; the new one is not doubled."""
    host = Machine()
    host.matching = lambda _selector, process: process.pid == 5
    async with at_bobs(host, command=None, pid_file=Path("/run/bob.pid")) as here:
        assert await ask(here, "restart") == RESTARTED
        assert await ask(here, "start") == "bob runs already:\npid 1001, ann, up 1 s, 50.0 MB: node bob.js"
        assert await ask(here, "restart") == "bob was restarted in 1.0 s: pid 1001 → 1001, 50.0 MB"
    assert host.terminated == [5, 1001]


async def test_two_admins_do_not_restart_at_once() -> None:
    """While a process is being changed, another change is refused, and looking is not."""
    host = Machine()
    host.is_ended = is_ended = asyncio.Event()
    operation = restart_process(OperationConfig(watch="bob"), command="bob.js", stay_up=1.0)
    async with chat(operation, admins=("Ann", "Ben"), watches=("bob",), host=host, profile="wechaty-ts") as here:
        ann, ben = here.user("Ann"), here.user("Ben")
        said = ann.says("restart")
        await here.settle()
        for command in ("restart", "stop", "start"):
            ben.says(command)
            await here.settle()
        ben.says("ps")
        await here.settle()
        is_ended.set()
        await here.move_on(1)
        await said.should_reply(RESTARTED)
        for _ in range(3):
            await ben.should_receive("bob is being restarted, stopped or started")
        await ben.should_receive(re.compile("^bob: pid 5"))
    assert len(host.started) == 1


async def test_process_that_another_operation_names_is_meant() -> None:
    """Without a selector of its own it takes the process of whichever operation names one."""
    other = Operation(name="other", config=OperationConfig(watch="bob"), process=ProcessSelector(command="bob.js"))
    host = Machine()
    async with chat(
        restart_process(OperationConfig(), stay_up=1.0),
        other,
        watches=("bob", "carol"),
        host=host,
        profile="wechaty-ts",
    ) as here:
        unnamed = "restart_process can do nothing: no operation says which process is that of carol"
        await here.user("Ann").should_receive(unnamed)
        assert await ask(here, "restart bob") == RESTARTED
        assert await ask(here, "restart carol") == "no operation says which process is that of carol"


async def test_ps_tells_how_it_was_started() -> None:
    """Beside the process itself, `ps` tells its program, folder, outputs and parent."""
    host = Machine()
    host.keep_bob()
    async with at_bobs(host) as here:
        assert (await ask(here, "ps")).splitlines() == [
            "bob: pid 5, ann, up 0 s, 50.0 MB: node bob.js",
            "program: /usr/bin/node",
            "folder: /home/ann",
            "output: nowhere; errors: nowhere",
            "started by: pm2 (1000)",
        ]
        host.add_process(6, "node", "bob.js", "again")
        assert (await ask(here, "ps")).splitlines() == [
            "bob: pid 5, ann, up 1 s, 50.0 MB: node bob.js",
            "bob: pid 6, ann, up 1 s, 50.0 MB: node bob.js again",
        ]


async def test_machine_that_cannot_tell_is_told() -> None:
    """What cannot be found out is told with its reason, and nothing is done."""
    host = Machine()

    async def refuse(selector: ProcessSelector, /) -> tuple[Process, ...]:
        raise HostError(f"cannot tell {selector.text}")

    host.find = refuse  # type: ignore[method-assign]  # one machine that refuses
    async with at_bobs(host) as here:
        for command in ("restart", "stop", "start", "ps"):
            assert await ask(here, command) == f"{command} of bob failed: cannot tell command bob.js"


async def test_pid_file_that_is_being_written_is_no_failure() -> None:
    """While a process comes up, what cannot be told of it yet is waited for."""
    host = Machine()
    host.keep_bob()
    find = host.find

    async def unless_it_comes_up(selector: ProcessSelector, /) -> tuple[Process, ...]:
        if host.terminated:
            raise HostError("pid file /run/bob.pid begins with ''; expected a process id")
        return await find(selector)

    host.find = unless_it_comes_up  # type: ignore[method-assign]  # one machine that refuses
    async with at_bobs(host, respawn=0.25) as here:
        assert await ask(here, "restart", seconds=1.25) == "bob was restarted in 1.2 s: pid 5 → 1001, 50.0 MB"


async def test_restart_is_for_admins_and_whom_they_grant_it() -> None:
    """Nobody else learns even that there is such a command."""
    host = Machine()
    operation = restart_process(OperationConfig(watch="bob"), command="bob.js", stay_up=1.0)
    async with chat(operation, users=("Cy",), watches=("bob",), host=host, profile="wechaty-ts") as here:
        cy = here.user("Cy")
        for command in ("restart", "stop", "start", "ps"):
            await cy.should_be_denied(command)
        here.grant(cy, "restart_process.restart")
        said = cy.says("restart")
        await here.move_on(1)
        await said.should_reply(RESTARTED)
        await cy.should_be_denied("stop")


async def test_more_than_a_bot_is_refused() -> None:
    """A word too many may mean that something else was meant."""
    host = Machine()
    async with at_bobs(host) as here:
        assert "restart takes the name of a bot and nothing else" in await ask(here, "restart bob now")
    assert host.terminated == []


async def test_restart_is_told_in_chinese() -> None:
    """Who reads Chinese reads it here."""
    operation = restart_process(OperationConfig(watch="bob", language="zh"), command="bob.js", stay_up=1.0)
    host = Machine()
    async with chat(operation, watches=("bob",), host=host, profile="wechaty-ts", language="zh") as here:
        assert await ask(here, "restart") == "bob 已重启，用时 1.0 秒：pid 5 → 1001，50.0 MB"
        host.add_process(6, "node", "bob.js", "2")
        assert (await ask(here, "restart")).splitlines()[0] == "command bob.js 对应 2 个进程；没有执行任何操作："


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"timeout": -1.0}, "bad timeout -1.0; expected 0 seconds or more"),
        ({"stay_up": float("nan")}, "bad stay_up nan; expected 0 seconds or more"),
        ({"answers_on": 0}, "bad answers_on 0; expected a port, 1 to 65535"),
        ({"process": "bob", "port": 80}, "expected one of .*; found process and port"),
        ({"pm2": "all"}, "bad pm2 'all'; expected the name of one unit"),
        ({"supervisor": "--shutdown"}, "bad supervisor '--shutdown'; expected the name of one unit"),
        ({"process": "bob"}, "says which process is its bot's, but not which bot"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(parameters: dict[str, Any], reason: str) -> None:
    """What could not work is refused when the operation is made."""
    with pytest.raises(OperationError, match=reason):
        restart_process(OperationConfig(), **parameters)


def test_systemd_may_call_a_unit_all() -> None:
    """Only where `all` means all is it refused."""
    assert restart_process(OperationConfig(watch="bob"), systemd="all").process == ProcessSelector(systemd="all")


# Units


def unit_machine(*, after: tuple[Process, ...] | None = None, exit_code: int = 0, said: str = "") -> Machine:
    """Make a machine on which systemd keeps Bob; once it is asked anything, `after` run in his place."""
    host = Machine()
    host.answers[("systemctl",)] = Completed(argv=(), exit_code=exit_code, stdout="", stderr=said, seconds=0.1)

    def obey(_argv: tuple[str, ...]) -> None:
        if after is not None:
            host.processes[:] = after

    host.on_run = obey
    return host


UNIT: dict[str, Any] = {"command": None, "systemd": "bob.service"}


async def test_unit_is_restarted_by_what_keeps_it() -> None:
    """A unit's manager is asked, and old and new pids are told, of as many processes as it has."""
    new = (Machine().succeed(6), Machine().succeed(7))
    host = unit_machine(after=new)
    async with at_bobs(host, **UNIT) as here:
        assert await ask(here, "restart") == "bob was restarted in 1.0 s: pid 5 → 6, 7, 100.0 MB"
    assert host.ran == [("systemctl", "restart", "--", "bob.service")]
    assert (host.terminated, host.started) == ([], [])


async def test_unit_is_stopped_and_started_by_what_keeps_it() -> None:
    """Stop and start are asked for likewise; what was stopped is started by `restart`, too."""
    host = unit_machine(after=())
    async with at_bobs(host, **UNIT) as here:
        assert await ask(here, "stop") == "bob was stopped: pid 5"
        assert await ask(here, "stop") == "bob was stopped: pid –"
        host.on_run = lambda _argv: host.processes.append(host.succeed())
        assert await ask(here, "restart") == "bob was started in 1.0 s: pid 6, 50.0 MB"
        assert (await ask(here, "start")).startswith("bob runs already:\npid 6")
        assert "cannot be started" not in await ask(here, "ps")
        host.processes.clear()
        assert await ask(here, "start") == "bob was started in 1.0 s: pid 6, 50.0 MB"
    assert [words[1] for words in host.ran] == ["stop", "stop", "start", "start"]


async def test_unit_whose_manager_refuses_is_told() -> None:
    """The last that a manager says is the reason."""
    host = unit_machine(exit_code=5, said="Warning: ...\nAccess denied\n")
    async with at_bobs(host, **UNIT) as here:
        assert await ask(here, "restart") == "what keeps bob refused: systemctl: Access denied"
    host = unit_machine(exit_code=5)
    async with at_bobs(host, **UNIT) as here:
        assert await ask(here, "stop") == "what keeps bob refused: systemctl: exit code 5"


async def test_unit_that_stays_as_it_is_is_told() -> None:
    """A manager that claims success while nothing changes is not believed."""
    async with at_bobs(unit_machine(), **UNIT, timeout=1) as here:
        assert await ask(here, "restart") == "bob was started, but no new process of it has appeared"
        assert await ask(here, "stop") == "bob goes on running: pid 5"


async def test_unit_that_dies_at_once_is_told() -> None:
    """A unit's process that does not stay up has not been restarted."""
    host = unit_machine(after=(Machine().succeed(6),))
    async with at_bobs(host, **UNIT) as here:
        said = here.user("Ann").says("restart")
        await here.settle()
        host.processes.clear()
        await here.move_on(1)
        await said.should_reply("bob does not run: it was started as pid 6 and ended within 0.2 s")


async def test_unit_whose_manager_does_not_answer_is_told() -> None:
    """A manager that is not there, or does not come to an end, is named."""
    host = unit_machine()
    async with at_bobs(host, **UNIT) as here:
        host.answers[("systemctl",)] = TimeoutError()
        assert await ask(here, "restart") == ("restart of bob failed: systemctl did not come to an end within 120 s")
        host.answers[("systemctl",)] = HostError("cannot start 'systemctl': no such file")
        assert await ask(here, "restart") == "restart of bob failed: cannot start 'systemctl': no such file"


async def test_unit_whose_restart_is_cancelled_is_not_left_half_way() -> None:
    """What keeps it is not interrupted in the middle of a restart."""
    host = unit_machine(after=(Machine().succeed(6),))
    is_done = asyncio.Event()
    run = host.run

    async def slowly(*argv: str, timeout: float) -> Completed:  # noqa: ASYNC109  # as the port has it
        await is_done.wait()
        return await run(*argv, timeout=timeout)

    host.run = slowly  # type: ignore[method-assign]  # a slow one
    async with at_bobs(host, **UNIT) as here:
        here.user("Ann").says("restart")
        await here.settle()
        here.user("Ann").says("cancel")
        await here.settle()
        is_done.set()
        await here.settle()
        here.ignore_so_far()
    assert [process.pid for process in host.processes] == [6]
