"""The contract between the outbox and the chat that takes what it sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from logmonitor.records import Content, Health, Receipt
    from logmonitor.transport import Limits


class Carrier(Protocol):
    """As much of a transport as the outbox needs; one that is `CanWait` is waited for while its health is not up.

    From one that is `CanRecall` what has become useless is taken back.
    """

    @property
    def limits(self) -> Limits:
        """What one message can carry, and how many it takes."""

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Send, or raise `RejectedError` or `TransportError`; any other exception is a bug and ends `Outbox.run`."""

    def health(self) -> Health:
        """Whether the chat can be reached now."""
