"""The chat that is built in: this terminal, with the person in front of it as the admin."""

from __future__ import annotations

import itertools
import secrets
import signal
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path  # noqa: TC003  # a configuration reads this signature's types at run time
from typing import TYPE_CHECKING, Final, Self

from logmonitor.display import visible
from logmonitor.errors import TransportError
from logmonitor.language import translation
from logmonitor.records import Health, Message, Receipt, Sender
from logmonitor.transport import Limits
from logmonitor.transports.content import Composer
from logmonitor.transports.descriptor import read_lines
from logmonitor.transports.prompt import Prompt
from logmonitor.transports.screen import Entry, Screen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType

    from logmonitor.records import Content

_ID: Final = "console"
_LINE_CAP_BYTES: Final = 1 << 16
_LIMITS: Final = Limits(text_size=100_000, attachment_bytes=100_000_000)


class Console:
    """A chat in the terminal: messages with sender and time, the QR drawn to be scanned, and a line to type at.

    Whoever is asked for, the person at the terminal is meant. Where standard input or output is no terminal, commands
    are read from standard input, one a line, and `messages` ends with it; sending goes on, so that a service, or a run
    with `< /dev/null`, is a chat that only reports. Ctrl-C and, on an empty line, Ctrl-D are the signal SIGINT.
    """

    def __init__(self, *, bot: str = "bot", language: str = "en", save_to: Path | None = None) -> None:
        """Speak as `bot`; save attachments to the folder `save_to`, by default a fresh one that only you can read."""
        self._bot = bot
        self._translate = translation(language)
        self._save_to = save_to
        self._you = self._translate("you")
        self._stack = ExitStack()
        self._screen: Screen | None = None
        self._composer: Composer | None = None
        self._prompt: Prompt | None = None
        self._boot = secrets.token_hex(4)
        self._count = itertools.count(1)
        self._health = Health(is_up=False, reason="not connected")

    @property
    def limits(self) -> Limits:
        """As good as none."""
        return _LIMITS

    async def __aenter__(self) -> Self:
        """Take the terminal."""
        self._screen = Screen(sys.stdout, reader=self._you)
        self._composer = Composer(self._screen, folder=self._save_to, translate=self._translate)
        if self._screen.is_terminal and sys.stdin.isatty():
            label = (("", f"{self._you} → "), ("bold", visible(self._bot)), ("", " ▸ "))
            self._prompt = self._stack.enter_context(Prompt(label=lambda: label))
        self._health = Health(is_up=True, since=datetime.now(UTC))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Give the terminal back."""
        self._stack.close()
        self._prompt = self._composer = self._screen = None
        self._health = Health(is_up=False, since=datetime.now(UTC), reason="closed")

    async def messages(self) -> AsyncIterator[Message]:
        """Yield what is typed, line by line, until the end of standard input."""
        async for text in self._lines():
            if not text.strip():
                continue
            at = datetime.now(UTC)
            await self._draw(Entry(at=at, sender=self._you, receiver=self._bot, text=text, is_own=True))
            yield Message(
                id=self._next_id(),
                sender=Sender(id=_ID, name="you"),
                conversation=_ID,
                text=text,
                sent_at=at,
            )

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Draw `content`, or save it and say where.

        Raises:
            TransportError: the terminal has gone, or the file cannot be saved.
        """
        if self._composer is None:
            raise TransportError("the console is not connected")
        at = datetime.now(UTC)
        text, rows = await self._composer.compose(content)
        receiver = self._you if to == _ID else to
        await self._draw(Entry(at=at, sender=self._bot, receiver=receiver, text=text), rows)
        return Receipt(message_id=self._next_id(), accepted_at=datetime.now(UTC))

    async def resolve(self, who: str, /) -> Sender:
        """Find the person at the terminal, by whatever name."""
        return Sender(id=_ID, alias=who, weixin=who)

    def health(self) -> Health:
        """Up while the terminal is there."""
        return self._health

    def _next_id(self) -> str:
        return f"{self._boot}-{next(self._count)}"

    async def _lines(self) -> AsyncIterator[str]:
        if self._prompt is not None and self._screen is not None:
            hint = self._translate("{bot}: `help` lists the commands; Ctrl-D ends").format(bot=self._bot)
            await self._put(partial(self._screen.note, hint, at=datetime.now(UTC)))
            async for text in self._prompt.lines():
                yield text
            signal.raise_signal(signal.SIGINT)
        elif sys.stdin is not None:
            async for line in read_lines(sys.stdin.fileno(), cap_bytes=_LINE_CAP_BYTES):
                yield line.text

    async def _draw(self, entry: Entry, rows: tuple[str, ...] = ()) -> None:
        if self._screen is None:
            raise TransportError("the console is not connected")
        await self._put(partial(self._screen.draw, entry, rows=rows))

    async def _put(self, action: Callable[[], None]) -> None:
        """Write to the terminal by `action`."""
        try:
            if self._prompt is None:
                action()
            else:
                await self._prompt.draw(action)
        except OSError as error:
            self._health = Health(is_up=False, since=datetime.now(UTC), reason=f"cannot write to it: {error.strerror}")
            raise TransportError(f"cannot write to the terminal: {error.strerror}") from error
