"""An outbox to work on: a clock that moves when it sleeps, a chat that does what is said, and programs that end."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from logmonitor.errors import TransportError
from logmonitor.outbox import Outbox
from logmonitor.records import Content, Health, MessageKey, Receipt
from logmonitor.transport import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DOWN = TransportError("the chat is down")
DEADLINE = 20.0


class Clock:
    """A clock that moves when the outbox sleeps on it; `stopped`, its sleeps last until it goes on."""

    def __init__(self, *, stopped: bool = False) -> None:
        """Stand at noon."""
        self.time = 0.0
        self.set_by = timedelta()
        self.pauses: list[float] = []
        self.asleep = asyncio.Event()
        self.going = asyncio.Event()
        if not stopped:
            self.going.set()

    def now(self) -> datetime:
        """Return the time of day, as it was set."""
        return NOON + timedelta(seconds=self.time) + self.set_by

    def monotonic(self) -> float:
        """Return the seconds that have passed."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        due = self.time + seconds
        self.pauses.append(seconds)
        self.asleep.set()
        await self.going.wait()
        await asyncio.sleep(0)
        self.time = max(self.time, due)


class Chat:
    """A chat that takes everything but what `failures` are for, under ids of its own, and takes back what it is told.

    With `gated` it takes a message only when told to by `take` or `fail`.
    """

    def __init__(self, *, limits: Limits | None = None, gated: bool = False) -> None:
        """Have taken nothing."""
        self.limits = limits or Limits()
        self.sent: list[tuple[str, Content]] = []
        self.recalled: list[str] = []
        self.failures: list[Exception] = []
        self.recall_failures: list[Exception] = []
        self.begun: asyncio.Queue[Content] = asyncio.Queue()
        self.was_asked_to_recall = asyncio.Event()
        self._answers: asyncio.Queue[Exception | None] | None = asyncio.Queue() if gated else None

    def take(self) -> None:
        """Take one message."""
        assert self._answers is not None
        self._answers.put_nowait(None)

    def fail(self, error: Exception = DOWN) -> None:
        """Take one message not."""
        assert self._answers is not None
        self._answers.put_nowait(error)

    @property
    def texts(self) -> list[Content]:
        """What was taken."""
        return [content for _, content in self.sent]

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Take a message, or raise what is said."""
        self.begun.put_nowait(content)
        error = await self._answers.get() if self._answers else self.failures.pop(0) if self.failures else None
        if error is not None:
            raise error
        self.sent.append((to, content))
        return Receipt(message_id=f"m{len(self.sent)}", accepted_at=NOON)

    async def recall(self, message_id: str, /) -> None:
        """Take a message back, or raise what is said."""
        self.was_asked_to_recall.set()
        if self.recall_failures:
            raise self.recall_failures.pop(0)
        self.recalled.append(message_id)

    def health(self) -> Health:
        """Be up."""
        return Health(is_up=True)


def outbox_of(chat: object, clock: Clock | None = None, **more: object) -> Outbox:
    """Make an outbox that goes by a clock of the test's."""
    clock = clock or Clock()
    values: dict[str, object] = {
        "now": clock.now,
        "monotonic": clock.monotonic,
        "sleep": clock.sleep,
        "rand": lambda: 1.0,
    } | more
    return Outbox(chat, **values)  # type: ignore[arg-type]  # the names are checked by Outbox itself


def key_of(kind: str = "loss", watch: str = "bob") -> MessageKey:
    """Return a key about one loss."""
    return MessageKey(watch=watch, loss="bob.log:7:", kind=kind)


@asynccontextmanager
async def running(outbox: Outbox) -> AsyncIterator[None]:
    """Deliver meanwhile."""
    task = asyncio.create_task(outbox.run())
    try:
        async with asyncio.timeout(DEADLINE):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def deliver(outbox: Outbox) -> bool:
    """Deliver until nothing is left that can go."""
    async with running(outbox):
        return await outbox.flush(DEADLINE)


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go on until something holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  # whatever it is, nobody tells of it
            await asyncio.sleep(0.001)


def run(story: Coroutine[object, object, None]) -> None:
    """Run a test's story, which leaves no task behind."""

    async def with_check() -> None:
        await story
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(with_check())
