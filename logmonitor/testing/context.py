"""What a handler is given, as a double that records what it does with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from logmonitor.operation import Ticket
from logmonitor.records import Content, Delivery, Event, MessageKey, Priority, Sender, Session
from logmonitor.session import advance
from logmonitor.testing.clock import FakeClock
from logmonitor.testing.host import FakeHost
from logmonitor.testing.key_value import MemoryKeyValue
from logmonitor.testing.sample import ADMIN

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from logmonitor.log_slice import LogClock
    from logmonitor.machine import Completed, ProcessSelector
    from logmonitor.records import Transition


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What a handler sent; `to` is None where it left the choice to the runtime."""

    content: Content
    to: str | None = None
    priority: Priority = Priority.REPLY
    slot: str | None = None
    key: MessageKey | None = None
    expires_at: datetime | None = None


class RecordingContext:
    """A `Context` that records: `sent` holds everything a handler sent, in order.

    `sessions` holds what `session` returns, by watch; `move_on` advances both clocks. What else a handler may ask for
    is what a test puts into the other attributes.
    """

    def __init__(self, *sessions: Session, admins: tuple[Sender, ...] = (ADMIN,)) -> None:
        """Know these sessions; the first is the one meant where no watch is named."""
        self.sessions = {session.watch: session for session in sessions}
        self.admins = admins
        self.host = FakeHost()
        self.store = MemoryKeyValue()
        self.clock = FakeClock()
        self.watches = tuple(self.sessions)
        self.log_files: dict[str, tuple[Path, ...]] = {}
        self.log_clocks: dict[str, LogClock] = {}
        self.selectors: dict[str, ProcessSelector] = {}
        self.overviews: dict[str | None, tuple[str, ...]] = {}
        self.state_of_delivery = Delivery(waiting=0, failed=0, dropped=0)
        self.sent: list[Sent] = []
        self.withdrawn: list[str] = []
        self.woken_at: float | None = None

    async def send(
        self,
        content: Content,
        /,
        *,
        to: str | None = None,
        priority: Priority = Priority.REPLY,
        slot: str | None = None,
        key: MessageKey | None = None,
        expires_at: datetime | None = None,
    ) -> Ticket:
        """Record the message."""
        self.sent.append(Sent(content=content, to=to, priority=priority, slot=slot, key=key, expires_at=expires_at))
        return Ticket(ids=(len(self.sent),))

    def withdraw(self, slot: str, /) -> None:
        """Record the withdrawal."""
        self.withdrawn.append(slot)

    def session(self, watch: str | None = None, /) -> Session:
        """Return the session a test gave for `watch`, else an unknown one."""
        if watch is None:
            return next(iter(self.sessions.values()), Session(watch=""))
        return self.sessions.get(watch, Session(watch=watch))

    def logs(self, watch: str, /) -> tuple[Path, ...]:
        """Return what the test put into `log_files`."""
        return self.log_files.get(watch, ())

    def log_clock(self, watch: str, /) -> LogClock | None:
        """Return what the test put into `log_clocks`."""
        return self.log_clocks.get(watch)

    def process(self, watch: str, /) -> ProcessSelector | None:
        """Return what the test put into `selectors`."""
        return self.selectors.get(watch)

    def overview(self, watch: str | None = None, /) -> tuple[str, ...]:
        """Return what the test put into `overviews`."""
        return self.overviews.get(watch, ())

    def delivery(self) -> Delivery:
        """Return `state_of_delivery`."""
        return self.state_of_delivery

    async def run(self, *argv: str, timeout: float = 30.0) -> Completed:  # noqa: ASYNC109  # as the contract has it
        """Ask the host."""
        return await self.host.run(*argv, timeout=timeout)

    async def sleep(self, seconds: float, /) -> None:
        """Wait until the test has moved on so far."""
        await self.clock.sleep(seconds)

    def now(self) -> datetime:
        """Return noon of 20 November 2026, UTC, plus what the test moved on."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Return the seconds that the test moved on."""
        return self.clock.monotonic()

    def wake_at(self, monotonic: float, /) -> None:
        """Record when the handler wants to be woken; the earliest wins."""
        self.woken_at = monotonic if self.woken_at is None else min(self.woken_at, monotonic)

    def move_on(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.jump(seconds)

    def happen(self, event: Event, *, watch: str = "bob") -> Transition | None:
        """Let the session of `watch` meet `event`; return what a handler's `on_transition` would be given."""
        self.sessions[watch], transition = advance(self.session(watch), event)
        return transition
