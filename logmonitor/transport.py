"""The contract of a chat: what every transport does, and what only some can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from logmonitor.isolation import isolated

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from logmonitor.records import Content, Event, Health, Message, Receipt, Sender


class TextUnit(StrEnum):
    """What a chat counts when it limits the length of a text."""

    CHARACTERS = "characters"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one message of a chat can carry.

    A text is at most `text_size` of `text_unit`, an attachment at most `attachment_bytes`. Without `captions` an
    attachment carries no text, so that its caption has to go before it as a message of its own. `per_period` is how
    many messages it takes in any `period` seconds, `per_inbound` how many a conversation gets after each message that
    comes from there; None where no number is known.
    """

    text_size: int = 2000
    text_unit: TextUnit = TextUnit.CHARACTERS
    attachment_bytes: int = 2_000_000
    captions: bool = True
    per_period: int | None = None
    period: float = 3600.0
    per_inbound: int | None = None


class Transport(Protocol):
    """A chat: messages in, content out.

    It is an async context manager: connect on entering, close on leaving. `messages` ends when the chat is closed for
    good.
    """

    @property
    def limits(self) -> Limits:
        """What one message can carry."""

    async def __aenter__(self) -> Self:
        """Connect; return itself."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close; nothing of it is left running."""

    def messages(self) -> AsyncIterator[Message]:
        """Yield messages as they come in, oldest first.

        Raises:
            TransportError: the chat is lost for good, without having been closed.
        """

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send `content` to the conversation `to`.

        Raises:
            RejectedError: the chat refuses this content or this conversation for good.
            TransportError: it did not work this time.
        """

    async def resolve(self, who: str, /) -> Sender:
        """Find the one contact that `who` names by id, weixin number or alias.

        Raises:
            RejectedError: none or several fit; the text lists what was found.
            TransportError: the chat cannot be asked now.
        """

    def health(self) -> Health:
        """Whether the chat can be reached now."""


def is_up(transport: Transport, /) -> bool:
    """Tell whether a chat can be reached now; one whose own code fails over the question cannot."""
    answers: list[bool] = []
    failures: list[Exception] = []  # told by whoever sends by it
    with isolated(failures.append):
        answers.append(transport.health().is_up)
    return any(answers)


@runtime_checkable
class CanReportOwnEvents(Protocol):
    """A chat that tells of its own account's scans, logins and logouts."""

    def own_events(self) -> AsyncIterator[Event]:
        """Yield the account's own session events as they happen."""


@runtime_checkable
class CanWait(Protocol):
    """A chat that goes down and comes back while it is open."""

    async def wait_until_up(self) -> None:
        """Return once the chat can be reached, as `health` has it; at once if it can be now."""


@runtime_checkable
class CanRecall(Protocol):
    """A chat that takes back what it has sent."""

    async def recall(self, message_id: str, /) -> None:
        """Take back the message of that id, as a `Receipt` tells it.

        Raises:
            RejectedError: it cannot be taken back, now or later.
            TransportError: it did not work this time.
        """


@runtime_checkable
class CanVisit(Protocol):
    """A chat that serves one client, and can be looked at while another one uses it."""

    def visiting(self) -> Transport:
        """Return the same chat, entered without pushing out another client that uses it.

        Where one does, what comes in is left to it, and the `reason` of `health` says so while the chat is up.
        """
