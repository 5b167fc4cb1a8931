"""Restarting real processes of this machine."""

from __future__ import annotations

import asyncio
import json
import re
import resource
import shutil
import sys
from contextlib import suppress
from subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from logmonitor import OperationConfig, Process, ProcessSelector
from logmonitor.host import LocalHost
from logmonitor.testing import chat
from operations.restart_process import restart_process
from tests.gateway.driver import free_port
from tests.hosting.strangers import DEADLINE, NOBODY, Strangers, as_nobody, bare_interpreter, until
from tests.operations.real_context import RealContext

if TYPE_CHECKING:
    from collections.abc import Iterator

BOB = """
import json, os, resource, signal, sys
log, token, *behind = sys.argv[1:]

def note(word):
    with open(log, "a") as file:
        file.write(word + "\\n")

umask = os.umask(0)
os.umask(umask)
if "--deaf" in behind:
    signal.signal(signal.SIGTERM, lambda *_: note("asked"))
print(json.dumps({
    "argv": [os.fsencode(word).hex() for word in sys.orig_argv[2:]],
    "folder": os.getcwd(),
    "umask": umask,
    "user": [os.getuid(), os.getgid(), os.getgroups()],
    "limit": resource.getrlimit(resource.RLIMIT_NOFILE),
    "environ": {os.fsencode(k).hex(): os.fsencode(v).hex() for k, v in os.environ.items()},
    "session": os.getsid(0) == os.getpid(),
}), flush=True)
note("ready")
if "--fails" in behind and os.path.exists(log + ".failing"):
    sys.exit("Error: no config")
while True:
    signal.pause()
"""


class Bobs:
    """Bots called Bob, each known by a token among its words, and what restarts them.

    `log` is where a bot writes that it is ready; `parameters` those of the operation.
    """

    def __init__(self, strangers: Strangers) -> None:
        """Start nothing yet."""
        self.strangers = strangers
        self.token = f"token-{uuid4().hex}"
        self.log = strangers.folder / "bob.log"
        self.script = strangers.folder / "bob.py"
        self.script.write_text(BOB, "utf-8")
        self.context = RealContext()
        self.parameters: dict[str, Any] = {"command": f"{self.token}", "timeout": 5.0, "stay_up": 0.3, "respawn": 0.0}

    @property
    def words(self) -> tuple[str, ...]:
        """What starts a Bob."""
        return bare_interpreter(), str(self.script), str(self.log), self.token

    async def start(self, *words: bytes | str, **changes: Any) -> Process:  # noqa: ANN401  # any field of a launch
        """Start a Bob, and wait until he is ready."""
        before = self.count("ready")
        process = await self.strangers.start(*self.words, *words, **changes)
        await until(lambda: self.count("ready") > before)
        return process

    def count(self, word: str) -> int:
        """Return how often a Bob has said something."""
        return self.log.read_text("utf-8").split().count(word) if self.log.exists() else 0

    async def running(self) -> tuple[int, ...]:
        """Return the ids of those that run."""
        found = await self.context.host.find(ProcessSelector(command=self.token))
        return tuple(process.pid for process in found)

    async def does(self, command: str) -> str:
        """Run a command; return what was said in the end."""
        operation = restart_process(OperationConfig(watch="bob"), **self.parameters)
        return await self.context.do(operation, command, watch="bob")


@pytest.fixture
def bobs() -> Iterator[Bobs]:
    """Give bots, and end them all."""
    strangers = Strangers()
    yield Bobs(strangers)
    strangers.end()


def pids_of(told: str) -> tuple[int, int]:
    """Return the old and the new pid that were told."""
    found = re.match(r"bob was restarted in [\d.]+ s: pid (\d+) → (\d+), [\d.]+ [KM]B", told)
    assert found, told
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("user", [None, pytest.param(NOBODY, id="nobody")])
async def test_restart_keeps_all_that_it_was_started_with(bobs: Bobs, user: int | None) -> None:
    """Words that are no UTF-8, environment, folder, umask, user, groups, limits and outputs are the same afterwards."""
    changes: dict[str, Any] = {} if user is None else {"uid": user, "gid": user, "groups": (user, 27)}
    folder = bobs.strangers.folder / "its folder"
    folder.mkdir()
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    bobs.log.touch()
    bobs.log.chmod(0o666)
    process = await bobs.start(
        b"\xff\xfe not utf-8",
        "with 'blanks' and $SIGNS",
        "",
        "机器人",
        environ=(b"LANG=C.UTF-8", b"KEY=\xff\x80", b"EMPTY=", bobs.strangers.mark),
        folder=folder,
        umask=0o137,
        limits=((resource.RLIMIT_NOFILE, 100, min(hard, 200)),),
        **changes,
    )
    told = await bobs.does("restart")
    old, new = pids_of(told)
    assert old == process.pid
    assert await bobs.running() == (new,)
    first, second = (json.loads(line) for line in bobs.strangers.said().splitlines())
    assert first == second
    assert first["argv"][-4:] == [
        word.hex() for word in (b"\xff\xfe not utf-8", b"with 'blanks' and $SIGNS", b"", "机器人".encode())
    ]
    assert (first["umask"], first["limit"], first["session"]) == (0o137, [100, min(hard, 200)], True)
    assert first["user"][2] == ([27, NOBODY] if user else sorted(first["user"][2]))


async def test_several_are_listed_and_left_alone(bobs: Bobs) -> None:
    """Of two that are meant alike, both are told and both go on."""
    processes = [await bobs.start(), await bobs.start("two")]
    told = await bobs.does("restart")
    assert told.splitlines()[0] == f"command {bobs.token} means 2 processes; nothing was done:"
    assert [re.match(r"pid (\d+), ", row)[1] for row in told.splitlines()[1:]] == [str(one.pid) for one in processes]  # type: ignore[index]
    assert sorted(await bobs.running()) == sorted(process.pid for process in processes)


ELSEWHERE = """
import asyncio, sys
from logmonitor import OperationConfig
from operations.restart_process import restart_process
from tests.operations.real_context import RealContext
token, *commands = sys.argv[1:]
operation = restart_process(OperationConfig(watch="bob"), command=token, stay_up=0.0, respawn=0.0)
for command in commands:
    print(asyncio.run(RealContext().do(operation, command, watch="bob")).splitlines()[0])
"""


async def test_restart_never_means_itself(bobs: Bobs) -> None:
    """A pattern that the program itself fits, and what started it, means neither."""
    told = await as_nobody(ELSEWHERE, bobs.token, "restart", "stop", "ps")
    rows = told.splitlines()
    assert rows[0].startswith("bob does not run, and cannot be started from here")
    assert rows[1:] == [f"bob does not run (command {bobs.token})"] * 2


async def test_pipe_is_refused_unless_there_is_a_file_for_it(bobs: Bobs) -> None:
    """A process that writes into a pipe is left alone; with `stdout` it is restarted and writes there."""
    starter = bobs.strangers.folder / "start.sh"
    starter.write_text(" ".join(f"'{word}'" for word in bobs.words) + " | cat > /dev/null\n", "utf-8")
    await bobs.strangers.start("/bin/sh", str(starter))
    await until(lambda: bobs.count("ready"))
    (pid,) = await bobs.running()
    told = await bobs.does("restart")
    assert told.startswith(f"bob was not restarted, and runs on as pid {pid}: its output goes to a pipe, which cannot")
    assert await bobs.running() == (pid,)
    output = bobs.strangers.folder / "from now on.out"
    bobs.parameters["stdout"] = output
    told = await bobs.does("restart")
    assert await bobs.running() == (pids_of(told)[1],)
    assert json.loads(output.read_text("utf-8"))["session"] is True


async def test_process_that_dies_at_once_is_told_with_its_last_words(bobs: Bobs) -> None:
    """What the new process complains of is shown, and nothing that the old one said."""
    process = await bobs.start("--fails")
    bobs.log.with_name("bob.log.failing").touch()
    bobs.parameters["stay_up"] = 30.0
    told = (await bobs.does("restart")).splitlines()
    ended = re.fullmatch(r"bob does not run: it was started as pid (\d+) and ended within [\d.]+ s", told[0])
    assert ended, told
    assert told[1:] == ["the last it has written:", "Error: no config"]
    assert ended[1] != str(process.pid)
    assert await bobs.running() == ()


async def test_process_that_ignores_being_asked_is_killed(bobs: Bobs) -> None:
    """Who does not end within `timeout` is killed, told, and started anew."""
    process = await bobs.start("--deaf")
    bobs.parameters["timeout"] = 0.3
    told = await bobs.does("restart")
    old, new = pids_of(told)
    assert old == process.pid
    assert told.splitlines()[1] == f"had to be killed: pid {old}"
    assert await bobs.running() == (new,)


async def test_what_a_supervisor_restarts_is_adopted_and_not_doubled(bobs: Bobs) -> None:
    """Bob whose parent starts him again runs once, as its child; stopping him tells who brings him back."""
    keeper = bobs.strangers.folder / "keeper.sh"
    keeper.write_text("while :; do " + " ".join(f"'{word}'" for word in bobs.words) + "; done\n", "utf-8")
    loop = await bobs.strangers.start("/bin/sh", str(keeper))
    await until(lambda: bobs.count("ready"))
    bobs.parameters["respawn"] = 10.0
    told = await bobs.does("restart")
    _old, new = pids_of(told)
    assert told.splitlines()[1] == f"sh ({loop.pid}) brought it back; nothing was started besides"
    assert await bobs.running() == (new,)
    stopped = re.fullmatch(
        rf"bob was ended, and brought back as pid (\d+); stop it where it is kept: sh \({loop.pid}\)",
        await bobs.does("stop"),
    )
    assert stopped
    assert await bobs.running() == (int(stopped[1]),)


async def test_of_two_that_run_in_the_end_the_supervisors_stays(bobs: Bobs) -> None:
    """A supervisor that waits longer than it is given time has its process all the same, and ours is ended."""
    sleep = f"sleep {100_000_000 + int(bobs.token[-6:], 16)}"
    keeper = bobs.strangers.folder / "keeper.sh"
    keeper.write_text(f"{sleep}\nsleep 0.3\n{sleep}\n", "utf-8")
    loop = await bobs.strangers.start("/bin/sh", str(keeper))
    bobs.parameters |= {"command": f"^{sleep}$", "stay_up": 4.0}
    selector = ProcessSelector(command=f"^{sleep}$")
    async with asyncio.timeout(DEADLINE):
        while not await bobs.context.host.find(selector):  # noqa: ASYNC110  # what is outside sets no event
            await asyncio.sleep(0.01)
    told = await bobs.does("restart")
    assert told.splitlines()[1] == f"sh ({loop.pid}) brought it back; nothing was started besides"
    assert [process.pid for process in await bobs.context.host.find(selector)] == [pids_of(told)[1]]


async def test_program_that_was_deleted_is_refused_and_one_that_was_replaced_is_run(bobs: Bobs) -> None:
    """Without a program to start nothing is ended; a new version in its place is what a restart starts."""
    program = bobs.strangers.folder / "bob"
    shutil.copy("/bin/sleep", program)
    process = await bobs.strangers.start(str(program), "1000")
    bobs.parameters |= {"command": f"^{re.escape(str(program))} 1000$"}
    program.unlink()
    assert await bobs.does("restart") == (
        f"bob was not restarted, and runs on as pid {process.pid}: its program is not there any more: {program}"
    )
    assert await bobs.context.host.is_running(process)
    shutil.copy("/bin/sleep", program)
    assert pids_of(await bobs.does("restart"))[0] == process.pid


async def test_port_is_found_and_awaited(bobs: Bobs) -> None:
    """A process that is known by its port is restarted, and the port answers before success is told."""
    port = free_port()
    server = (
        "import socket, sys, time\n"
        "time.sleep(0.2)\n"
        f"listening = socket.create_server(('127.0.0.1', {port}), reuse_port=False)\n"
        "print('ready', flush=True)\n"
        "while True: listening.accept()[0].close()\n"
    )
    process = await bobs.strangers.python(server)
    bobs.parameters |= {"command": None, "port": port, "answers_on": port, "stay_up": 0.0}
    told = await bobs.does("restart")
    assert pids_of(told)[0] == process.pid
    assert told.splitlines()[1] == f"port {port} answers"


async def test_restart_that_is_cancelled_leaves_it_running(bobs: Bobs) -> None:
    """Cancelled while the old process does not end, a restart ends it the faster and starts it, once."""
    process = await bobs.start("--deaf")
    bobs.parameters["timeout"] = 30.0
    restarting = asyncio.ensure_future(bobs.does("restart"))
    await until(lambda: bobs.count("asked"))
    restarting.cancel()
    await until(lambda: bobs.context.sent)
    (pid,) = await bobs.running()
    assert bobs.context.sent[-1].content == f"cancelled too late to leave bob without a process: it runs as pid {pid}"
    assert pid != process.pid
    with suppress(asyncio.CancelledError):
        await restarting
    assert restarting.cancelled()


async def test_pid_file_of_a_bot_that_writes_it_leads_to_the_new_process(bobs: Bobs) -> None:
    """A pid file is read before and after."""
    pid_file = bobs.strangers.folder / "bob.pid"
    script = 'echo $$ > "$1"; echo ready; while :; do sleep 1; done'
    process = await bobs.strangers.shell(script, bobs.token, str(pid_file))
    bobs.parameters |= {"command": None, "pid_file": pid_file}
    old, new = pids_of(await bobs.does("restart"))
    assert old == process.pid
    await until(lambda: pid_file.read_text("utf-8") == f"{new}\n")


async def test_whole_program_restarts_a_process(bobs: Bobs) -> None:
    """In a chat, an admin who asks for it has a bot restarted, and sees the same afterwards."""
    process = await bobs.start()
    operation = restart_process(OperationConfig(watch="bob"), **(bobs.parameters | {"stay_up": 0.0}))
    async with chat(operation, watches=("bob",), profile="wechaty-ts", host=LocalHost(), deadline=60) as here:
        ann = here.user("Ann")
        await ann.says("ps").should_reply(re.compile(f"^bob: pid {process.pid}, "))
        heard = await ann.says("restart bob").should_reply()
        old, new = pids_of(str(heard.content))
        assert old == process.pid
        await ann.says("ps").should_reply(re.compile(f"^bob: pid {new}, "))
        await ann.says("stop").should_reply(f"bob was stopped: pid {new}")
        await ann.says("start").should_reply(re.compile(r"^bob was started in [\d.]+ s: pid \d+"))


@pytest.mark.parametrize("user", [0, NOBODY])
async def test_user_without_rights_restarts_what_is_theirs(bobs: Bobs, user: int) -> None:
    """Without root's rights an own process is restarted, and somebody else's is left alone with a reason."""
    bobs.log.touch()
    bobs.log.chmod(0o666)
    process = await bobs.start(uid=user, gid=user, groups=())
    told = await as_nobody(ELSEWHERE, bobs.token, "restart")
    if user == NOBODY:
        assert await bobs.running() == (pids_of(told)[1],)
    else:
        assert told.startswith(f"bob was not restarted, and runs on as pid {process.pid}: ")
        assert await bobs.running() == (process.pid,)


async def test_program_that_is_ended_in_the_middle_of_a_restart_leaves_the_bot_running(bobs: Bobs) -> None:
    """Told to stop while a process takes its time to end, the program starts it all the same, and says so."""
    process = await bobs.start("--deaf")
    configuration = bobs.strangers.folder / "alice.toml"
    configuration.write_text(
        '[bot]\nname = "alice"\n[chat]\ntransport = "stdio"\nadmins = ["ann"]\n'
        '[[watch]]\nname = "bob"\nlog = "bob.log"\nprofile = "wechaty-ts"\n'
        '[[operation]]\nuse = "operations.restart_process:restart_process"\nwatch = "bob"\n'
        f'command = "{bobs.token}$|{bobs.token} --deaf$"\ntimeout = 60\n',
        "utf-8",
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "logmonitor", "run", configuration, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )
    assert program.stdin is not None
    assert program.stdout is not None
    try:
        ann = {"id": "wxid_1", "alias": "ann"}
        said = {"type": "message", "id": "1", "sender": ann, "conversation": "wxid_1", "text": "restart bob"}
        for frame in ({"type": "contacts", "contacts": [ann]}, said):
            program.stdin.write(json.dumps(frame).encode() + b"\n")
        await until(lambda: bobs.count("asked"))
        program.terminate()
        told = []
        async with asyncio.timeout(DEADLINE):
            async for line in program.stdout:
                frame = json.loads(line)
                if frame["type"] == "send":
                    told.append(frame["text"])
                    program.stdin.write(json.dumps({"type": "accepted", "id": frame["id"]}).encode() + b"\n")
            await program.wait()
    finally:
        with suppress(ProcessLookupError):
            program.kill()
        await program.wait()
    (pid,) = await bobs.running()
    assert pid != process.pid
    assert f"cancelled too late to leave bob without a process: it runs as pid {pid}" in told
