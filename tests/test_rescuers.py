"""Several rescuers of one bot, each `logmonitor run` as a process of its own, that share a lease."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from logmonitor.testing import LogWriter
from tests.test_runtime import LOGIN, URL, scan_line

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

DEADLINE: Final = 60.0
TERM: Final = 3.0
ASKS: Final = "{} has lost its session and asks for a scan"
LOST: Final = ASKS.format("bob")
BACK: Final = "bob is logged in again"
CONFIG: Final = """
[bot]
name = "{name}"

[chat]
transport = "stdio"
admins = ["Ann"]

[[operation]]
use = "qr_rescue"

[rescue]
lease = "{lease}"
term = {term}
"""
WATCH: Final = """
[[watch]]
name = "{name}"
log = "{name}.log"
profile = "wechaty-ts"
"""


class RescueBot:
    """A bot of the admin Ann, whom it knows by an id of its own, and `logmonitor run` below it.

    `heard` is what Ann has been sent by it without having asked, `changed` is set with each. While it `is_mute` it
    takes nothing.
    """

    def __init__(self, name: str, config: Path, changed: asyncio.Event) -> None:
        """Have nothing started yet."""
        self.name = name
        self._changed = changed
        self.heard: list[str] = []
        self.unanswered = asyncio.Event()
        self.is_mute = False
        self._config = config
        self._process: Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said = 0
        self._replies: asyncio.Queue[str] = asyncio.Queue()

    @property
    def process(self) -> Process:
        """The process, which has been started."""
        assert self._process is not None
        return self._process

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "logmonitor", "run", str(self._config)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=1 << 24,
            cwd=self._config.parent,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        self.tell(type="contacts", contacts=[{"id": f"ann-of-{self.name}", "name": "Ann", "alias": "Ann"}])
        self.tell(type="up")
        await self.status()

    def tell(self, **frame: object) -> None:
        """Write a frame."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(frame).encode() + b"\n")

    async def status(self) -> str:
        """Ask for the status; return the row about who rescues."""
        self._said += 1
        contact = f"ann-of-{self.name}"
        sender = {"id": contact, "name": "Ann", "alias": "Ann"}
        id_ = f"said-{self.process.pid}-{self._said}"
        self.tell(type="message", id=id_, sender=sender, conversation=contact, text="status")
        async with asyncio.timeout(DEADLINE):
            text = await self._replies.get()
        return next((row.strip() for row in text.splitlines() if "rescue" in row), text)

    async def status_until(self, start: str) -> None:
        """Ask for the status until the row about who rescues begins so."""
        async with asyncio.timeout(DEADLINE):
            row = await self.status()
            while not row.startswith(start):
                await asyncio.sleep(0.05)
                row = await self.status()

    async def hears(self, *texts: str) -> None:
        """Wait until Ann has been sent these by it."""
        async with asyncio.timeout(DEADLINE):
            while not set(texts) <= set(self.heard):
                self._changed.clear()
                await self._changed.wait()

    async def kill(self) -> None:
        """Kill it, whatever it is doing."""
        if self._process is None or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        assert self._reading is not None
        await self._reading

    async def stop(self) -> None:
        """End it as a service is ended."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DEADLINE):
            await self.process.wait()

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            frame = json.loads(line)
            if frame["type"] != "send":
                continue
            if self.is_mute:
                self.unanswered.set()
                continue
            self._take(frame)
            self.tell(type="accepted", id=frame["id"])

    def _take(self, frame: dict[str, Any]) -> None:
        text = frame["attachment"]["qr"] if "attachment" in frame else frame["text"]
        if "chat: " in text:
            self._replies.put_nowait(text)
        else:
            self.heard.append(text)
            self._changed.set()


class Scene:
    """The logs of bots, and those who rescue them: each watches all of them but its own."""

    def __init__(self, folder: Path, logs: dict[str, LogWriter], lease: str) -> None:
        """Have nobody yet."""
        self._folder, self._logs, self._lease = folder, logs, lease
        self.bots: dict[str, RescueBot] = {}
        self._changed = asyncio.Event()

    async def start(self, *names: str) -> tuple[RescueBot, ...]:
        """Start rescuers, one after the other."""
        for name in names:
            config = self._folder / f"{name}.toml"
            watches = (WATCH.format(name=watch) for watch in self._logs if watch != name)
            config.write_text(CONFIG.format(name=name, lease=self._lease, term=TERM) + "".join(watches))
            self.bots[name] = RescueBot(name, config, self._changed)
            await self.bots[name].start()
        return tuple(self.bots[name] for name in names)

    def lose(self, name: str, *, bot: str = "bob") -> None:
        """Let a bot lose its session and show a QR."""
        self._logs[bot].write(scan_line(name))

    def log_in(self, *, bot: str = "bob") -> None:
        """Let a bot be logged in."""
        self._logs[bot].write(LOGIN)

    async def told(self, *texts: str, by: Sequence[RescueBot]) -> RescueBot:
        """Wait until one of these has sent Ann these texts since it was asked last, and nobody anything else."""
        async with asyncio.timeout(DEADLINE):
            while sum(len(bot.heard) for bot in by) < len(texts):
                self._changed.clear()
                await self._changed.wait()
        await self.settle(*by)
        (teller,) = (bot for bot in self.bots.values() if bot.heard)
        assert teller in by
        assert tuple(teller.heard) == texts
        teller.heard.clear()
        return teller

    async def settle(self, *bots: RescueBot) -> None:
        """Have these answer, without any all that there are, behind what they had to say before."""
        for bot in bots or self.bots.values():
            await bot.status()


@asynccontextmanager
async def scene(folder: Path, *bots: str, lease: str = "lease.db") -> AsyncIterator[Scene]:
    """Have bots that are logged in, Bob unless others are named; all that was started is ended at the end."""
    with ExitStack() as files:
        logs = {bot: files.enter_context(LogWriter(folder / f"{bot}.log")) for bot in bots or ("bob",)}
        here = Scene(folder, logs, lease)
        for bot in logs:
            here.log_in(bot=bot)
        async with AsyncExitStack() as stack:

            @stack.push_async_callback
            async def end() -> None:
                for bot in here.bots.values():
                    await bot.kill()

            yield here


async def test_one_of_three_tells_and_goes_on_by_another_when_it_is_killed(tmp_path: Path) -> None:
    """A loss, its QR and the return are told by one; when that is killed the next loss is told by one of the others."""
    async with scene(tmp_path) as here:
        alice, carol, dave = await here.start("alice", "carol", "dave")
        assert (await alice.status()).startswith("rescued by this one, alice, for ")
        assert "; this one, carol, stands by" in await carol.status()
        here.lose("One")
        await here.told(LOST, URL.format(name="One"), by=[alice])
        here.log_in()
        await here.told(BACK, by=[alice])
        await alice.kill()
        here.lose("Two")
        await here.told(LOST, URL.format(name="Two"), by=[carol, dave])


async def test_three_bots_that_watch_each_other_tell_each_loss_once(tmp_path: Path) -> None:
    """Whichever is lost, one of the others tells of it; the last one of both others when these are dead."""
    names = ("alice", "bob", "carol")
    async with scene(tmp_path, *names) as here:
        bots = dict(zip(names, await here.start(*names), strict=True))
        for name in names:
            here.lose(name, bot=name)
            others = [bot for other, bot in bots.items() if other != name]
            await here.told(ASKS.format(name), URL.format(name=name), by=others)
            here.log_in(bot=name)
            await here.told(f"{name} is logged in again", by=others)
        await bots["alice"].kill()
        await bots["bob"].kill()
        here.lose("One", bot="alice")
        here.lose("Two", bot="bob")
        both = (ASKS.format("alice"), URL.format(name="One"), ASKS.format("bob"), URL.format(name="Two"))
        await bots["carol"].hears(*both)
        assert sorted(bots["carol"].heard) == sorted(both)


async def test_message_of_a_holder_that_is_killed_while_it_sends_is_sent_by_another(tmp_path: Path) -> None:
    """What the chat has not accepted when the holder dies another sends, once; the holder started again does not."""
    async with scene(tmp_path) as here:
        alice, carol = await here.start("alice", "carol")
        alice.is_mute = True
        here.lose("One")
        async with asyncio.timeout(DEADLINE):
            await alice.unanswered.wait()
        await alice.kill()
        await here.told(LOST, URL.format(name="One"), by=[carol])
        alice.is_mute = False
        await alice.start()
        here.log_in()
        await here.told(BACK, by=[carol])


async def test_holder_that_hangs_is_succeeded_and_says_nothing_when_it_goes_on(tmp_path: Path) -> None:
    """Stopped in its tracks it loses the lease after a term; when it goes on it reads of the loss, which is told."""
    async with scene(tmp_path) as here:
        alice, carol, dave = await here.start("alice", "carol", "dave")
        alice.process.send_signal(signal.SIGSTOP)
        here.lose("One")
        teller = await here.told(LOST, URL.format(name="One"), by=[carol, dave])
        alice.process.send_signal(signal.SIGCONT)
        here.log_in()
        await here.told(BACK, by=[teller])
        await here.settle()
        assert alice.heard == []


async def test_holder_whose_chat_is_down_is_succeeded_before_anything_happens(tmp_path: Path) -> None:
    """A chat that is down for a term costs the lease, so that a loss that comes then is told at once."""
    async with scene(tmp_path) as here:
        alice, carol = await here.start("alice", "carol")
        alice.tell(type="down", reason="logged out")
        await carol.status_until("rescued by this one, carol")
        here.lose("One")
        await here.told(LOST, URL.format(name="One"), by=[carol])
        alice.tell(type="up")
        assert "rescued by carol" in await alice.status()


async def test_rescuer_that_is_stopped_leaves_at_once(tmp_path: Path) -> None:
    """Who ends in order is succeeded without a term, and takes nothing back when it starts again."""
    async with scene(tmp_path) as here:
        alice, carol = await here.start("alice", "carol")
        await alice.stop()
        await carol.status_until("rescued by this one, carol")
        here.lose("One")
        await here.told(LOST, URL.format(name="One"), by=[carol])
        await alice.start()
        assert "rescued by carol" in await alice.status()
        here.log_in()
        await here.told(BACK, by=[carol])


async def test_everybody_tells_where_the_lease_cannot_be_kept(tmp_path: Path) -> None:
    """A folder stands where the file should be: each tells, and each status says why."""
    (tmp_path / "lease.db").mkdir()
    async with scene(tmp_path) as here:
        bots = await here.start("alice", "carol")
        for bot in bots:
            assert (await bot.status()).startswith("the lease cannot be shared with other rescuers, so that each")
        here.lose("One")
        for bot in bots:
            await bot.hears(LOST, URL.format(name="One"))
