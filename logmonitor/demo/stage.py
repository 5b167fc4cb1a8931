"""What you see of the demo: the bots' messages, what becomes of their accounts, and how long it took."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from logmonitor.demo import world as worlds
from logmonitor.demo.bots import Bot
from logmonitor.demo.world import YOU, Arrival, Remark, Said, ToBot
from logmonitor.records import Attachment, Link, Qr
from logmonitor.transports.content import Composer
from logmonitor.transports.screen import Entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from rich.console import RenderableType

    from logmonitor.demo.world import Frame, Step, World
    from logmonitor.records import Content
    from logmonitor.transports.prompt import Prompt
    from logmonitor.transports.screen import Screen

ALICE: Final = "alice"
BOB: Final = "bob"
_LOG_LINES: Final = 8
_SPARE_ROWS: Final = 6
"""What a QR needs below it for a remark of up to two lines: they, a blank line above, the prompt and the toolbar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A bot's message that is on your screen now; `milliseconds` is how old the log line of its QR was then."""

    bot: str
    content: Content
    milliseconds: float | None = None


class Stage:
    """Alice and Bob as processes, WeChat between them and you, and the screen it is shown on."""

    def __init__(
        self,
        *,
        screen: Screen,
        prompt: Prompt | None,
        folder: Path,
        language: str,
        translate: Callable[[str], str],
        save_to: Path | None = None,
    ) -> None:
        """Set it up in `folder`; nothing runs yet. What cannot be drawn is saved where it outlives the demo."""
        self._screen = screen
        self._prompt = prompt
        self._translate = translate
        self._composer = Composer(screen, folder=save_to, translate=translate)
        self._world: World = worlds.begin(ALICE, BOB)
        self._bots = {
            name: Bot(name, twin=twin, folder=folder, language=language) for name, twin in ((ALICE, BOB), (BOB, ALICE))
        }
        self._to_draw: asyncio.Queue[Arrival | Callable[[], None]] = asyncio.Queue()
        self._seen: asyncio.Queue[Seen] = asyncio.Queue()
        self._change = asyncio.Event()
        self._unseen: tuple[Callable[[Seen], bool], asyncio.Future[Seen]] | None = None
        self._told_ns: dict[str, int] = {}
        self._measured: set[str] = set()
        self._remark: Callable[[], None] | None = None

    @property
    def world(self) -> World:
        """How the accounts are."""
        return self._world

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run both bots, bring them back when they end, and draw, while in this context.

        Raises:
            LogMonitorError: in a group, when a bot ends by itself with an error.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                drawing = tasks.create_task(self._draw_all())
                for bot in self._bots.values():
                    await bot.start()
                keeping = [tasks.create_task(bot.keep(self._receive, self._miss)) for bot in self._bots.values()]
                try:
                    yield
                finally:
                    await self._stop()
                await asyncio.wait(keeping)
                drawing.cancel()
        finally:
            await self._stop()

    async def changed(self) -> None:
        """Wait until something happens to an account."""
        await self._change.wait()

    async def next_seen(self) -> Seen:
        """Return the next message of a bot once it is on the screen."""
        return await self._seen.get()

    def say(self, text: str) -> None:
        """Draw a remark."""
        self._to_draw.put_nowait(partial(self._screen.note, text, at=datetime.now(UTC)))

    def show(self, renderable: RenderableType) -> None:
        """Draw anything that rich can draw."""
        self._to_draw.put_nowait(partial(self._screen.show, renderable))

    def write(self, bot: str, text: str) -> None:
        """Write to a bot."""
        you = self._translate("you")
        entry = Entry(at=datetime.now(UTC), sender=you, receiver=bot, text=text, is_own=True)
        self._to_draw.put_nowait(partial(self._screen.draw, entry))
        self._follow(worlds.write(self._world, bot, text))

    async def ask(self, bot: str, text: str, is_answer: Callable[[Seen], bool]) -> Seen:
        """Write to a bot behind the scenes and return its answer, which is not shown; all else it writes is."""
        answer: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._unseen = is_answer, answer
        self._follow(worlds.write(self._world, bot, text))
        try:
            return await answer
        finally:
            self._unseen = None

    def log_out(self, bot: str) -> None:
        """Let a bot lose its session."""
        self._follow(worlds.log_out(self._world, bot, qr=f"https://login.weixin.qq.com/l/{secrets.token_hex(5)}=="))

    def scan(self, bot: str) -> None:
        """Scan a bot's QR with the phone."""
        self._follow(worlds.scan(self._world, bot))

    def show_log(self, bot: str) -> None:
        """Draw the last lines of a bot's log."""
        lines = self._bots[bot].last_lines(_LOG_LINES)
        self.say("\n".join((f"{bot}.log", *lines)) if lines else self._translate("{bot}.log is empty").format(bot=bot))

    def show_code(self, bot: str) -> str:
        """Draw what your authenticator shows for a bot; return the code."""
        code, seconds = self._bots[bot].code()
        text = self._translate("your authenticator shows for {name}: {code}, for another {count:.0f} s; it works once")
        self.say(text.format(name=bot.capitalize(), code=code, count=seconds))
        return code

    def pids(self) -> dict[str, int]:
        """Return the process id of each bot."""
        return {name: bot.pid for name, bot in self._bots.items()}

    async def drawn(self) -> None:
        """Wait until everything said so far is on the screen."""
        await self._to_draw.join()

    async def _stop(self) -> None:
        await asyncio.gather(*(bot.stop() for bot in self._bots.values()))

    def _receive(self, bot: Bot, frame: Frame) -> None:
        self._follow(worlds.receive(self._world, bot.name, frame))

    def _miss(self, bot: Bot) -> None:
        """Note that a bot's process has ended, which is brought back."""
        self._follow(worlds.leave(self._world, bot.name))

    def _follow(self, step: Step) -> None:
        """Let happen what follows from a step."""
        self._world, effects = step
        for effect in effects:
            match effect:
                case ToBot(bot=bot, frame={"type": "scan", "qr": str(qr)} as frame):
                    self._told_ns[qr] = time.time_ns()
                    self._bots[bot].tell(frame)
                case ToBot(bot=bot, frame=frame):
                    self._bots[bot].tell(frame)
                case Said(bot=bot, remark=remark):
                    self.say(self._wording(remark).format(name=bot.capitalize(), bot=bot))
                case Arrival() if not self._is_unseen(effect):
                    self._to_draw.put_nowait(effect)
        self._change.set()
        self._change = asyncio.Event()
        if self._prompt is not None:
            self._prompt.refresh()

    def _is_unseen(self, arrival: Arrival) -> bool:
        """Take a message if it is the answer that is waited for behind the scenes."""
        if self._unseen is None:
            return False
        is_answer, answer = self._unseen
        seen = Seen(bot=arrival.bot, content=content_of(arrival.frame))
        if answer.done() or not is_answer(seen):
            return False
        answer.set_result(seen)
        return True

    async def _draw_all(self) -> None:
        """Draw what there is to draw, in order."""
        while True:
            item = await self._to_draw.get()
            await self._draw_remark()
            if isinstance(item, Arrival):
                await self._show(item)
            else:
                await self._draw(item)
            self._to_draw.task_done()

    async def _show(self, arrival: Arrival) -> None:
        """Draw a bot's message, and below a new QR how long it took, but not before it may move out of the window."""
        content = content_of(arrival.frame)
        text, rows = await self._composer.compose(content)
        entry = Entry(at=datetime.now(UTC), sender=arrival.bot, receiver=self._translate("you"), text=text)
        await self._draw(partial(self._screen.draw, entry, rows=rows))
        milliseconds = self._measure(content)
        if milliseconds is not None:
            wording = self._translate("{count:.1f} ms from the line in the log to this screen")
            self._remark = partial(self._screen.note, wording.format(count=milliseconds), at=datetime.now(UTC))
            if not rows or self._screen.can_draw(rows, spare_rows=_SPARE_ROWS):
                await self._draw_remark()
        self._seen.put_nowait(Seen(bot=arrival.bot, content=content, milliseconds=milliseconds))

    def _measure(self, content: Content) -> float | None:
        """Return the milliseconds since the QR in `content` was written to its bot's log, the first time it is shown.

        A file's time of change may lag by some milliseconds behind the clock; so the time at which the bot was told of
        the QR, which it cannot have written earlier, bounds it too, and what is returned is never too small.
        """
        now = time.time_ns()
        if not isinstance(content, Attachment) or content.qr is None or content.qr.payload is None:
            return None
        payload = content.qr.payload
        if payload in self._measured:
            return None
        for bot in self._bots.values():
            if quote(payload, safe="") in "".join(bot.last_lines(1)):
                self._measured.add(payload)
                written = max(bot.log_path.stat().st_mtime_ns, self._told_ns.get(payload, 0))
                return (now - written) / 1e6
        return None

    async def _draw_remark(self) -> None:
        """Draw the remark that was held back, if there is one."""
        if self._remark is not None:
            await self._draw(self._remark)
            self._remark = None

    async def _draw(self, action: Callable[[], None]) -> None:
        if self._prompt is None:
            action()
        else:
            await self._prompt.draw(action)

    def _wording(self, remark: Remark) -> str:
        _ = self._translate
        return {
            Remark.LOGGED_IN: _("{name} is logged in"),
            Remark.LOGGED_OUT: _("{name} has lost the session: logged out, and a login QR waits in {bot}.log"),
            Remark.ALREADY_OUT: _("{name} is logged out already; /scan {bot} brings {name} back"),
            Remark.SCANNED: _("your phone scans the QR of {name}, and you confirm"),
            Remark.NOTHING_TO_SCAN: _("{name} is logged in; there is nothing to scan"),
            Remark.MESSAGE_WAITS: _("{name} is logged out and receives this when back"),
            Remark.LEFT: _("the process of {name} has ended; the demo starts it again, as a supervisor does"),
        }[remark]


def content_of(frame: Frame) -> Content:
    """Return what a bot's `send` frame carries."""
    match frame:
        case {"attachment": {"filename": str(name), "content_type": str(kind), "data": str(data), **more}}:
            payload, caption = more.get("qr"), more.get("caption")
            return Attachment(
                filename=name,
                content_type=kind,
                data=base64.b64decode(data),
                caption=str(caption),
                qr=None if payload is None else Qr(payload=str(payload)),
            )
        case {"link": {"title": str(title), "url": str(url), "description": str(description)}}:
            return Link(title=title, url=url, description=description)
        case _:
            return str(frame.get("text", ""))


__all__ = ["ALICE", "BOB", "YOU", "Seen", "Stage", "content_of"]
