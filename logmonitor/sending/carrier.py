"""The contract between the outbox and the chat that takes what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from logmonitor.records import Content, Health, Receipt
    from logmonitor.transport import Limits


class Carrier(Protocol):
    """As much of a transport as the outbox needs; one that is `CanWait` is waited for while its health is not up.

    From one that is `CanRecall` what has become useless is taken back. One that is `KnowsRecipients` is asked who is
    who.
    """

    @property
    def limits(self) -> Limits:
        """What one message can carry, and how many it takes."""

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send, or raise `RejectedError` or `TransportError`; any other exception is a bug and ends `Outbox.run`."""

    def health(self) -> Health:
        """Whether the chat can be reached now."""


@runtime_checkable
class KnowsRecipients(Protocol):
    """Knows one recipient by several names."""

    def known_as(self, to: str, /) -> tuple[str, ...]:
        """Return every name of a recipient that is known now, the first the one that messages are kept for."""


def names_in(chat: Carrier, to: str, /) -> tuple[str, ...]:
    """Return every name of a recipient of a chat, the first the one that messages are kept for."""
    return chat.known_as(to) if isinstance(chat, KnowsRecipients) else (to,)
