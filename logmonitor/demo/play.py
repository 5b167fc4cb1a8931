"""The story of the demo: told by itself, or with you in it."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from logmonitor.demo.bots import LOGIN_TEST
from logmonitor.demo.stage import ALICE, BOB, Stage
from logmonitor.errors import LogMonitorError
from logmonitor.language import translation
from logmonitor.records import Attachment
from logmonitor.transports.prompt import Prompt
from logmonitor.transports.screen import Screen, broken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from rich.console import RenderableType

    from logmonitor.demo.stage import Seen
    from logmonitor.transports.prompt import Fragments

DEADLINE: Final = 30.0
"""Seconds within which each thing that is to happen has happened."""

_BOTS: Final = (ALICE, BOB)
_WORDS: Final = ("status", "qr", "help", "restart", "ps", "log", "tail 20", "grep", "since 10m", "sh")
_COMMAND: Final = "echo $((6 * 7)) is the answer"
_OUTPUT: Final = "42 is the answer"
_PANEL_WIDTH: Final = 88
_FRAME_WIDTH: Final = len("│  ") + len("  │")
_GAP: Final = 3


class Play:
    """One performance of the demo."""

    def __init__(
        self,
        *,
        folder: Path,
        language: str,
        is_interactive: bool,
        save_to: Path | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        """Prepare it in `folder`; nothing runs yet. A QR that is not drawn is saved to `save_to` or a new folder."""
        self._translate = translation(language)
        self._deadline = deadline
        self._talking_to = ALICE
        self._screen = Screen(sys.stdout, reader=self._translate("you"))
        self._prompt = Prompt(label=self._label, toolbar=self._toolbar, words=self._words) if is_interactive else None
        self._stage = Stage(
            screen=self._screen,
            prompt=self._prompt,
            folder=folder,
            language=language,
            translate=self._translate,
            save_to=save_to,
        )

    async def run(self) -> None:
        """Play until the story, or you, have come to the end.

        Raises:
            LogMonitorError: in a group, when a bot ends by itself or something does not happen in time.
        """
        if self._prompt is None:
            self._screen.note(self._about(), at=datetime.now(UTC))
            async with self._stage.running():
                await self._tell()
            return
        self._screen.show(self._title())
        with self._prompt:
            async with self._stage.running(), asyncio.TaskGroup() as tasks:
                guide = tasks.create_task(self._guide())
                async for line in self._prompt.lines():
                    if not self._obey(line.strip()):
                        break
                guide.cancel()
                self._stage.say(self._translate("both bots are being stopped"))
                await self._stage.drawn()

    async def _open(self, *, announcement: str = "") -> float:
        """Play the beginning, until the QR of Bob is on the screen; return in how many milliseconds it came."""
        _, stage = self._translate, self._stage
        async with self._within(_("both bots log in")):
            while not all(account.is_logged_in for account in stage.world.accounts.values()):
                await stage.changed()
            while BOB.capitalize() not in str((await stage.ask(ALICE, "status", _is_status)).content):
                pass
        pids = stage.pids()
        stage.say(
            _("Alice (process {alice}) follows bob.log, Bob (process {bob}) follows alice.log").format(
                alice=pids[ALICE], bob=pids[BOB]
            )
        )
        stage.write(ALICE, "status")
        await self._wait_for(_is_status, _("Alice answers `status`"))
        if announcement:
            stage.say(announcement)
        stage.log_out(BOB)
        seen = await self._wait_for(_is_qr, _("Alice sends the QR of Bob"))
        return seen.milliseconds or 0.0

    async def _tell(self) -> None:
        """Play the whole story without you."""
        _, stage = self._translate, self._stage
        started = time.monotonic()
        milliseconds = await self._open()
        stage.write(ALICE, "status")
        await self._wait_for(_is_status, _("Alice answers `status`"))
        stage.write(ALICE, "qr")
        await self._wait_for(_is_qr, _("Alice answers `qr`"))
        stage.scan(BOB)
        await self._wait_for(_is_login_test, _("Alice sends the login test"))
        stage.say(
            _("Bob is back. The QR reached you {count:.1f} ms after its line; all of this took {total:.1f} s.").format(
                count=milliseconds, total=time.monotonic() - started
            )
        )
        await self._tell_of_the_server()
        await stage.drawn()

    async def _tell_of_the_server(self) -> None:
        """Play what an admin does on the server: restart, look into a log, run a command by a one-time code."""
        _, stage = self._translate, self._stage
        stage.say(_("Now the server: Alice restarts the process of Bob, shows his log, and runs what you say."))
        stage.write(ALICE, "restart bob")
        await self._wait_for(partial(_has_text, str(stage.pids()[BOB])), _("Alice restarts Bob"))
        stage.write(ALICE, "tail 3 bob")
        await self._wait_for(partial(_has_text, "StarterBot"), _("Alice shows the end of bob.log"))
        stage.write(ALICE, f"sh {_COMMAND}")
        await self._wait_for(partial(_has_text, _COMMAND), _("Alice asks for a code"))
        stage.write(ALICE, stage.show_code(ALICE))
        await self._wait_for(partial(_has_text, _OUTPUT), _("Alice runs the command"))

    async def _guide(self) -> None:
        """Play the beginning, and say what you could do; before the QR, which so stays in the smallest window."""
        _, stage = self._translate, self._stage
        try:
            await self._open(
                announcement=_(
                    "Now Bob loses his session, and Alice sends you his QR. Then it is your turn:\n"
                    "ask Alice (status, qr), and scan as your phone would: /scan bob"
                )
            )
            while not _is_login_test(await stage.next_seen()):
                pass
            stage.say(
                _(
                    "Bob is back. Now the server: restart bob, tail 20 bob, log bob\n"
                    "and sh uptime, for which Alice wants a code: /code shows it\n"
                    "Or the other way round: /to bob, then /logout alice"
                )
            )
        except LogMonitorError as error:
            stage.say(str(error))
        while True:
            await stage.next_seen()

    def _obey(self, line: str) -> bool:
        """Do what was typed; return False if that was to end."""
        _, stage = self._translate, self._stage
        match line.split():
            case []:
                pass
            case ["/quit" | "/exit"]:
                return False
            case ["/help"]:
                stage.show(self._title())
            case ["/code"]:
                stage.show_code(self._talking_to)
            case ["/scan", bot] if bot.lower() in _BOTS:
                stage.scan(bot.lower())
            case ["/logout", bot] if bot.lower() in _BOTS:
                stage.log_out(bot.lower())
            case ["/log", bot] if bot.lower() in _BOTS:
                stage.show_log(bot.lower())
            case ["/to", bot] if bot.lower() in _BOTS:
                self._talking_to = bot.lower()
            case ["/scan" | "/logout" | "/log" | "/to" as command, *_rest]:
                stage.say(_("which bot? {command} alice, or {command} bob").format(command=command))
            case [command, *_rest] if command.startswith("/"):
                stage.say(_("there is no {command}; /help shows what there is").format(command=command))
            case _:
                stage.write(self._talking_to, line)
        return True

    async def _wait_for(self, wanted: Callable[[Seen], bool], what: str) -> Seen:
        """Wait until a message that is `wanted` is on the screen."""
        async with self._within(what):
            while not wanted(seen := await self._stage.next_seen()):
                pass
        return seen

    @asynccontextmanager
    async def _within(self, what: str) -> AsyncIterator[None]:
        """Fail with `what` was to happen, if it has not by the deadline."""
        try:
            async with asyncio.timeout(self._deadline):
                yield
        except TimeoutError:
            wording = self._translate("this did not happen within {count:g} s: {what}")
            raise LogMonitorError(wording.format(count=self._deadline, what=what)) from None

    def _about(self) -> str:
        return self._translate(
            "Alice and Bob are two chat bots, two processes on this machine, and each follows the other's log. "
            "You are their admin; this is your chat with them. WeChat is played, all else is real."
        )

    def _title(self) -> RenderableType:
        """Return what to know before it begins."""
        _ = self._translate
        width = min(_PANEL_WIDTH, self._screen.size[0])
        commands = (
            ("status  qr", _("ask the bot you talk to about the other one")),
            ("restart bob", _("have Alice restart Bob's process; also: ps, stop")),
            ("tail 20 bob", _("have her look into his log; also: log, grep, since")),
            ("sh uptime", _("have her run a command, for a code that /code shows")),
            ("/scan bob", _("take your phone and scan the QR of Bob")),
            ("/logout bob", _("let Bob lose his session, or Alice hers")),
            ("/to bob", _("talk to Bob from now on")),
            ("/log bob", _("see the last lines of Bob's log")),
            ("/help  /quit", _("see this again; end, as Ctrl-C and Ctrl-D do")),
        )
        room = width - _FRAME_WIDTH
        beside = max(len(command) for command, _meaning in commands) + _GAP
        table = Table.grid(padding=(0, _GAP))
        for command, meaning in commands:
            table.add_row(Text(command, style="bold"), broken(Text(meaning), room - beside))
        return Panel(
            Group(broken(Text(self._about()), room), Text(), table),
            title=Text("logmonitor demo", style="bold"),
            border_style="cyan",
            width=width,
            padding=(0, 2),
        )

    def _label(self) -> Fragments:
        return (("", f"{self._translate('you')} → "), ("bold", self._talking_to), ("", " ▸ "))

    def _toolbar(self) -> Fragments:
        _ = self._translate
        fragments: list[tuple[str, str]] = []
        for account in self._stage.world.accounts.values():
            style, mark, state = (
                ("ansigreen", "●", _("logged in")) if account.is_logged_in else ("ansired", "○", _("logged out"))
            )
            fragments += [("", f"  {account.name} "), (style, f"{mark} {state}")]
        return (*fragments, ("", "   " + _("Tab completes, /help, /quit")))

    def _words(self) -> tuple[str, ...]:
        commands = (f"{command} {bot}" for command in ("/scan", "/logout", "/to", "/log") for bot in _BOTS)
        return (*_WORDS, *commands, "/code", "/help", "/quit")


def _is_status(seen: Seen) -> bool:
    return seen.bot == ALICE and isinstance(seen.content, str) and seen.content.startswith(f"{BOB}:")


def _has_text(text: str, seen: Seen) -> bool:
    return seen.bot == ALICE and isinstance(seen.content, str) and text in seen.content


def _is_qr(seen: Seen) -> bool:
    return seen.bot == ALICE and isinstance(seen.content, Attachment) and seen.content.qr is not None


def _is_login_test(seen: Seen) -> bool:
    return seen.bot == ALICE and isinstance(seen.content, str) and LOGIN_TEST in seen.content
