"""What an admin is told who asks how things are, and what of it is kept."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from PIL import Image, ImageColor

from logmonitor import (
    Attachment,
    Delivery,
    DiskUsage,
    EventKind,
    HostError,
    Invocation,
    Launch,
    Operation,
    OperationConfig,
    ProcessSelector,
    Qr,
    Session,
    SessionState,
    StoreError,
    Usage,
)
from logmonitor.host import LocalHost
from logmonitor.plot.chart import COLOURS
from logmonitor.plot.history import read_samples
from logmonitor.testing import BOT, FakeClock, FakeHost, MemoryKeyValue, RecordingContext, chat, event, message
from operations.qr_rescue import qr_rescue
from operations.status import MOST_CHANGES, MOST_HOURS, caption_text, status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from logmonitor import FileState, Process
    from logmonitor.testing import Chat, User

LOGIN: Final = "22:44:35 INFO StarterBot Contact<Bob> login"
LOGOUT: Final = "22:44:36 INFO StarterBot Contact<Bob> logout"
SCAN: Final = (
    "22:44:37 INFO StarterBot onScan: Waiting(2) - "
    "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D"
)
GIB: Final = 1 << 30


def owner(watch: str = "bob", selector: ProcessSelector | None = None) -> Operation:
    """Say which process is a bot's."""
    return Operation(
        name=f"owner-{watch}",
        config=OperationConfig(watch=watch),
        process=selector or ProcessSelector(process="node"),
    )


def machine() -> FakeHost:
    """Return a machine on which Bob runs."""
    host = FakeHost()
    host.add_process(7, "node", "bob.js")
    host.machine = Usage(
        load=(0.5, 0.25, 0.1),
        cores=2,
        memory_bytes=4 * GIB,
        memory_available_bytes=3 * GIB,
        disks=(DiskUsage(path=Path("/"), total_bytes=60 * GIB, free_bytes=20 * GIB),),
    )
    return host


class HangingHost(FakeHost):
    """A machine on which nothing answers, until it is told to."""

    def __init__(self) -> None:
        """Hang."""
        super().__init__()
        self.answering = asyncio.Event()
        self.asked = 0

    async def find(self, selector: ProcessSelector, /) -> tuple[Process, ...]:
        """Hang, as where a pid file lies on a network disk."""
        self.asked += 1
        await self.answering.wait()
        return await super().find(selector)

    async def file_state(self, path: Path, /) -> FileState:
        """Hang."""
        await self.answering.wait()
        return await super().file_state(path)

    async def usage(self, paths: Sequence[Path], /) -> Usage:
        """Hang."""
        await self.answering.wait()
        return await super().usage(paths)


def talk(*operations: Operation, **more: Any) -> AbstractAsyncContextManager[Chat]:  # noqa: ANN401  # handed on as they are
    """Open a chat in which Bob's log is that of a family that is known."""
    return chat(*operations, **({"watches": ("bob",), "profile": "wechaty-ts"} | more))


async def rows_of(user: User, text: str) -> list[str]:
    """Say something; return the rows of the answer."""
    heard = await user.says(text).should_reply()
    assert isinstance(heard.content, str)
    return heard.content.splitlines()


async def image_of(user: User, text: str = "status plot", *, deadline: float = 60.0) -> tuple[Image.Image, str]:
    """Ask for a plot; return the image and its caption."""
    said = user.says(text)
    heard = await said.should_reply(lambda content: isinstance(content, Attachment), deadline=deadline)
    assert isinstance(heard.content, Attachment)
    assert (heard.content.filename, heard.content.content_type) == ("status.png", "image/png")
    return Image.open(io.BytesIO(heard.content.data)).convert("RGB"), heard.content.caption


def share_of(image: Image.Image, state: SessionState) -> float:
    """Return how much of the day a band covers, from 0 to 1."""
    wanted = ImageColor.getrgb(COLOURS[state.value])
    rows = (image.crop((0, y, image.width, y + 1)).getcolors(image.width) or () for y in range(300, image.height))
    return max(sum(count for count, seen in row if seen == wanted) for row in rows) / (0.8 * image.width)


async def test_status_tells_how_everything_is() -> None:
    """Session, process, log and QR of each bot, then the chat, what was sent, load, memory and disks."""
    host = machine()
    host.matching = lambda selector, process: selector.process == process.name
    bots = (owner(), owner("carol", ProcessSelector(process="python3")))
    async with talk(status(OperationConfig()), *bots, watches=("bob", "carol"), host=host) as here:
        ann, bob = here.user("Ann"), here.log("bob")
        bob.write(LOGIN, LOGOUT, SCAN)
        host.files[bob.path] = b"x" * 1000
        await here.move_on(10)
        host.files[bob.path] = b"x" * 5096
        await here.move_on(600)
        assert await rows_of(ann, "status") == [
            "bob: waiting for a scan, for 10 min",
            "  lost once in 30 days, 10 min ago",
            "  process 7: 50.0 MB, 0 % CPU, up for 10 min",
            "  log: +4 KB in the last hour, last written 10 min ago",
            "  last QR: 10 min ago",
            "carol: not known yet",
            "  no process: nothing runs as process python3",
            "chat: up",
            "messages: 0 sent in the last hour, 0 waiting",
            "load 0.5 0.2 0.1 on 2 cores; memory: 3.0 GB of 4.0 GB free",
            "disk /: 20.0 GB of 60.0 GB free",
        ]
        assert (await rows_of(ann, "STATUS Carol")) == [
            "carol: not known yet",
            "  no process: nothing runs as process python3",
        ]


async def test_status_is_told_in_chinese() -> None:
    """Whoever reads Chinese reads all of it in Chinese."""
    config = OperationConfig(language="zh")
    async with talk(status(config), owner(), host=machine(), language="zh") as here:
        assert await rows_of(here.user("Ann"), "status") == [
            "bob: 状态未知",
            "  进程 7：内存 50.0 MB，CPU 0%，已运行 0 秒",
            "聊天通道：正常",
            "消息：最近一小时发出 0 条，待发 0 条",
            "负载 0.5 0.2 0.1（2 核）；内存剩余 3.0 GB，共 4.0 GB",
            "磁盘 /：剩余 20.0 GB，共 60.0 GB",
        ]


async def test_status_has_what_other_operations_say() -> None:
    """Rows of others stand with the bot, wherever this one stands among them."""
    config = OperationConfig()
    async with talk(status(config), qr_rescue(config), owner(), host=machine()) as here:
        rows = await rows_of(here.user("Ann"), "status bob")
        assert rows == ["bob: not known yet", "  process 7: 50.0 MB, 0 % CPU, up for 0 s", "  QR rescue is on"]


async def test_status_of_no_bot_names_those_there_are() -> None:
    """A slip of the pen is answered, for a plot too; words too many are refused before anything is looked at."""
    host = HangingHost()
    host.answering.set()
    async with talk(status(OperationConfig()), owner(), host=host) as here:
        ann = here.user("Ann")
        for text in ("status dave", "status plot dave"):
            await ann.says(text).should_reply("there is no bot called dave; expected one of: bob")
        asked = host.asked
        for text in ("status bob now", "status plot bob now"):
            await ann.says(text).should_reply("say `status`, `status BOT` or `status plot`")
        assert (asked, host.asked) == (0, 0)


async def test_status_is_for_admins_and_whom_they_grant_it() -> None:
    """A stranger learns nothing, not even that there is such a command."""
    async with talk(status(OperationConfig()), owner(), users=("Cy",), host=machine()) as here:
        cy = here.user("Cy")
        for text in ("status", "status plot"):
            await cy.should_be_denied(text)
        here.grant(cy, "status.status")
        assert (await rows_of(cy, "status bob"))[0] == "bob: not known yet"


async def test_status_does_not_wait_for_what_hangs() -> None:
    """After a second the answer comes, with what did not answer named; what answers later is told later."""
    host = HangingHost()
    host.add_process(7, "node", "bob.js")
    async with talk(status(OperationConfig()), owner(), host=host) as here:
        ann = here.user("Ann")
        said = ann.says("status")
        await said
        assert [entry for entry in here.transcript.entries if entry.speaker == BOT] == []
        await here.move_on(1)
        rows = (await said.should_reply()).text.splitlines()
        assert rows[:2] == ["bob: not known yet", "  its process cannot be looked for: no answer within 1 s"]
        assert rows[-1] == "the machine does not tell how it is"
        host.answering.set()
        assert (await rows_of(ann, "status bob"))[1] == "  process 7: 50.0 MB, 95 % CPU, up for 1 s"


async def test_status_tells_what_was_seen_last_of_what_hangs() -> None:
    """What answered before is told with its age, beside the fact that it does not answer now."""
    host = HangingHost()
    host.add_process(7, "node", "bob.js")
    host.answering.set()
    async with talk(status(OperationConfig()), owner(), host=host) as here:
        await here.move_on(10)
        host.answering.clear()
        await here.move_on(30)
        said = here.user("Ann").says("status bob")
        await said
        await here.move_on(1)
        assert (await said.should_reply()).text.splitlines() == [
            "bob: not known yet",
            "  its process cannot be looked for: no answer within 1 s",
            "  process 7: 50.0 MB, 2 % CPU, up for 41 s (seen 36 s ago)",
        ]


async def test_what_hangs_is_asked_once_a_minute_and_given_up() -> None:
    """Sampling goes on while nothing answers, one question after another, and ends with the program."""
    host = HangingHost()
    host.add_process(7, "node", "bob.js")
    async with talk(status(OperationConfig()), owner(), host=host) as here:
        await here.move_on(330)
        assert host.asked == 6
        assert [task for task in asyncio.all_tasks() if "look_for" in repr(task)] == []


async def test_status_tells_why_a_process_cannot_be_looked_for() -> None:
    """What the machine says is told as it is, on one line."""
    host = machine()

    def refuse(_selector: ProcessSelector, _process: Process) -> bool:
        raise HostError("pid file /run/bob.pid is\nempty")

    host.matching = refuse
    async with talk(status(OperationConfig()), owner(), host=host) as here:
        assert (await rows_of(here.user("Ann"), "status bob"))[1] == (
            "  its process cannot be looked for: pid file /run/bob.pid is␊empty"
        )


async def test_unit_is_looked_up_only_when_its_process_is_gone() -> None:
    """A manager takes long to answer: while the process that it named runs, that is looked at itself."""
    host = HangingHost()
    host.answering.set()
    bob = host.add_process(7, "node", "bob.js")
    async with talk(status(OperationConfig()), owner(selector=ProcessSelector(pm2="bob")), host=host) as here:
        ann = here.user("Ann")
        for _ in range(3):
            assert (await rows_of(ann, "status bob"))[1].startswith("  process 7: ")
        assert host.asked == 1
        host.processes.remove(bob)
        host.add_process(8, "node", "bob.js")
        assert (await rows_of(ann, "status bob"))[1].startswith("  process 8: ")
        assert host.asked == 2


async def test_plot_shows_what_was_sampled_also_before_a_restart(tmp_path: Path) -> None:
    """Six hours in which Bob is logged in for four are as long in the image, whoever was restarted meanwhile."""
    clock = FakeClock()
    operations = (status(OperationConfig()), owner())
    async with talk(*operations, host=machine(), folder=tmp_path, clock=clock) as here:
        here.log("bob").write(LOGIN)
        await here.move_on(4 * 3600)
        here.log("bob").write(LOGOUT)
        await here.move_on(3600)
    async with talk(status(OperationConfig()), owner(), host=machine(), folder=tmp_path, clock=clock) as here:
        await here.move_on(3600)
        image, caption = await image_of(here.user("Ann"))
        assert caption == "the last 24 hours"
        assert share_of(image, SessionState.LOGGED_IN) == pytest.approx(4 / 24, abs=0.01)
        assert share_of(image, SessionState.LOGGED_OUT) > 1 / 24 / 2


async def test_plot_right_after_the_start_is_an_image() -> None:
    """Nothing has been seen yet but how the bots are; that is shown."""
    async with talk(status(OperationConfig(language="zh")), owner(), host=machine(), language="zh") as here:
        image, caption = await image_of(here.user("Ann"), "status PLOT bob")
        assert (image.width, caption) == (1080, "最近 24 小时")


async def test_plots_asked_for_at_once_are_drawn_one_after_another() -> None:
    """Everybody gets one."""
    async with talk(status(OperationConfig()), owner(), host=machine(), admins=("Ann", "Ben")) as here:
        said = [here.user(name).says("status plot") for name in ("Ann", "Ben", "Ann")]
        for one in said:
            await one.should_reply(lambda content: isinstance(content, Attachment), deadline=60)


async def test_lack_of_matplotlib_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Instead of an image there is a sentence that tells what to install."""
    (tmp_path / "matplotlib.py").write_text("raise ModuleNotFoundError('gone')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with talk(status(OperationConfig()), owner(), host=machine()) as here:
        await (
            here.user("Ann")
            .says("status plot")
            .should_reply(
                "the plot cannot be drawn: matplotlib is not installed; `pip install 'logmonitor[plot]'` installs it",
                deadline=60,
            )
        )


def test_caption_names_bots_that_the_image_cannot() -> None:
    """Who is shown by number, and who is not shown."""
    watches = [f"bot{number}" for number in range(8)]
    names = (*watches[:5], "#6")
    assert caption_text(watches, names, translate=str) == (
        "the last 24 hours\n#6: bot5\nnot shown: bot6, bot7; `status plot BOT` shows one"
    )


class BrokenStore(MemoryKeyValue):
    """A store whose disk is full, and cannot be read either."""

    def get(self, key: str, /) -> str | None:
        """Fail."""
        raise StoreError(f"cannot read {key}")

    def put(self, key: str, _value: str, /) -> None:
        """Fail."""
        raise StoreError(f"no room for {key}")

    def keys(self) -> tuple[str, ...]:
        """Fail."""
        raise StoreError("cannot read")


def bob_is(state: SessionState, *, qr: Qr | None = None) -> Session:
    """Return Bob's session."""
    return Session(watch="bob", state=state, qr=qr)


async def ticked(operation: Operation, context: RecordingContext, *, minutes: int = 1) -> None:
    """Let the operation see how things are, a minute after another."""
    assert operation.on_tick is not None
    for _ in range(minutes):
        await operation.on_tick(context)
        context.move_on(60)


async def answer_of(operation: Operation, context: RecordingContext, *words: str) -> list[str]:
    """Ask by the command's handler; return the rows."""
    (command,) = operation.commands
    await command.handler(context, Invocation(message=message("status"), name="status", arguments=words))
    content = context.sent[-1].content
    assert isinstance(content, str)
    return content.splitlines()


async def test_status_works_without_a_store() -> None:
    """Where nothing can be kept, everything is told but that, and no handler fails."""
    context = RecordingContext(bob_is(SessionState.LOGGED_IN))
    context.overviews[None] = ("bob: logged in",)
    context.store = BrokenStore()
    operation = status(OperationConfig())
    assert operation.on_start is not None
    await operation.on_start(context)
    await ticked(operation, context)
    rows = await answer_of(operation, context)
    assert (rows[0], rows[-1]) == ("bob: logged in", "what is seen cannot be kept: cannot read samples 2026-11-20T12")
    context.store = MemoryKeyValue()
    await ticked(operation, context)
    assert "cannot be kept" not in " ".join(await answer_of(operation, context))


async def test_samples_have_memory_growth_and_alerts() -> None:
    """Of each minute is kept how much memory the process had, what was written to the log, and how many alerts came."""
    context = RecordingContext(bob_is(SessionState.LOGGED_IN))
    context.host = machine()
    context.selectors["bob"] = ProcessSelector(process="node")
    log = Path("/var/log/bob.log")
    context.log_files["bob"] = (log,)
    operation = status(OperationConfig())
    for size, alerts in ((100, 3), (150, 3), (30, 5)):
        context.host.files[log] = b"x" * size
        context.state_of_delivery = Delivery(waiting=0, failed=0, dropped=0, alerts=alerts)
        await ticked(operation, context)
    del context.host.files[log]
    context.host.processes.clear()
    await ticked(operation, context)
    kept = read_samples(context.store.get("samples 2026-11-20T12") or "")
    assert [(one.bots["bob"].memory_bytes, one.bots["bob"].grown_bytes, one.alerts) for one in kept] == [
        (50 << 20, 0, 3),
        (50 << 20, 50, 0),
        (50 << 20, 30, 2),
        (None, 0, 0),
    ]
    assert {one.memory_bytes for one in kept} == {GIB}


async def test_changes_are_kept_at_their_time_and_not_without_end() -> None:
    """A loss between two samples is kept; ten thousand within an hour are cut, and leave room for the samples."""
    context = RecordingContext(bob_is(SessionState.LOGGED_IN))
    operation = status(OperationConfig())
    assert operation.on_transition is not None
    for number in range(5000):
        for kind in (EventKind.LOGOUT, EventKind.LOGIN):
            transition = context.happen(event(kind, clock=float(number)))
            assert transition is not None
            await operation.on_transition(context, transition)
    await ticked(operation, context)
    kept = read_samples(context.store.get("samples 2026-11-20T12") or "")
    assert [one.bots["bob"].state for one in kept[:3]] == [
        SessionState.LOGGED_OUT,
        SessionState.LOGGED_IN,
        SessionState.LOGGED_OUT,
    ]
    assert len(kept) == MOST_CHANGES + 1


async def test_old_samples_are_forgotten() -> None:
    """However long the program runs, no more is kept than was said."""
    context = RecordingContext(bob_is(SessionState.LOGGED_IN))
    operation = status(OperationConfig())
    for _ in range(MOST_HOURS + 20):
        await ticked(operation, context)
        context.move_on(3540)
    hours = context.store.keys()
    assert len(hours) == MOST_HOURS
    assert hours[-1] == "samples 2026-11-23T09"


async def test_samples_are_taken_every_minute_whatever_happens() -> None:
    """The next one is asked for before anything can go wrong with this one."""
    context = RecordingContext(bob_is(SessionState.LOGGED_IN))
    operation = status(OperationConfig())
    assert operation.on_start is not None
    await operation.on_start(context)
    assert context.woken_at == 5
    context.woken_at = None
    await ticked(operation, context)
    assert context.woken_at == 60


async def test_last_qr_is_remembered_by_the_next_start() -> None:
    """How old the last QR is is told as long as it is known, by whatever knows it best."""
    context = RecordingContext(bob_is(SessionState.LOGGED_IN))
    first = status(OperationConfig())
    assert first.on_transition is not None
    transition = context.happen(event(EventKind.SCAN, qr=Qr(payload="one")))
    assert transition is not None
    await first.on_transition(context, transition)
    context.move_on(60)
    transition = context.happen(event(EventKind.SCAN, qr=Qr(payload="two")))
    assert transition is not None
    await first.on_transition(context, transition)
    context.sessions["bob"] = bob_is(SessionState.LOGGED_IN)
    context.move_on(7200)
    context.store.put("qr alice", "no time")
    second = status(OperationConfig())
    assert second.on_start is not None
    assert second.status is not None
    assert second.status(context, "bob") == ()
    await second.on_start(context)
    assert second.status(context, "bob") == ("last QR: 2 h ago",)
    newer = Qr(payload="three", first_seen=context.now() - timedelta(minutes=3))
    context.sessions["bob"] = bob_is(SessionState.AWAITING_SCAN, qr=newer)
    assert second.status(context, "bob") == ("last QR: 3 min ago",)
    context.sessions["bob"] = bob_is(SessionState.AWAITING_SCAN, qr=Qr(image_path=Path("/qr.png")))
    assert second.status(context, "bob") == ("last QR: 2 h ago",)


@pytest.fixture
async def bob(tmp_path: Path) -> AsyncIterator[Process]:
    """Return a real process that is no child of this one, and that says in a pid file which it is."""
    host = LocalHost()
    path = tmp_path / "bob.pid"
    code = f"import os, time\nopen({str(path)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)"
    process = await host.start(
        Launch(
            executable=Path(sys.executable),
            argv=(sys.executable.encode(), b"-c", code.encode()),
            environ=(b"PATH=/usr/bin:/bin",),
            folder=tmp_path,
            uid=os.getuid(),
            gid=os.getgid(),
            groups=tuple(os.getgroups()),
            umask=0o22,
        )
    )
    try:
        async with asyncio.timeout(30):
            while not path.exists() or not path.read_text():  # noqa: ASYNC110 - the file is another process's
                await asyncio.sleep(0.01)
        yield process
    finally:
        await host.terminate(process, timeout=10)


async def test_status_tells_of_a_real_machine(tmp_path: Path, bob: Process) -> None:
    """On this machine: a process by its pid file, a log that grows, load, memory and disks."""
    operations = (status(OperationConfig()), owner(selector=ProcessSelector(pid_file=tmp_path / "bob.pid")))
    async with talk(*operations, host=LocalHost(), clock=FakeClock(datetime.now(UTC))) as here:
        ann = here.user("Ann")
        await ann.says("status").should_reply(re.compile(rf"process {bob.pid}: "))
        here.log("bob").write("a line of text")
        rows = await rows_of(ann, "status")
    assert re.fullmatch(rf"  process {bob.pid}: \d+\.\d MB, \d+ % CPU, up for \d+ s", rows[1])
    assert re.fullmatch(r"  log: \+\d+ B in the last hour, last written \d+ s ago", rows[2])
    assert rows[-2].startswith("load ")
    assert rows[-1].startswith("disk /")
