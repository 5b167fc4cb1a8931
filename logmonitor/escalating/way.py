"""The ways that a message can take where the chat does not: an Apprise URL, or another chat."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from logmonitor.channel.apprise_url import SEND_SECONDS, Errand, deliver, service_of
from logmonitor.channel.verdict import Outcome
from logmonitor.errors import RejectedError, ThrottledError, TransportError
from logmonitor.escalating.wording import fitted, is_carried, plain_text, with_file_text
from logmonitor.parcel import deliverable
from logmonitor.records import Attachment, Receipt
from logmonitor.transport import CanVisit, CanWait

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from datetime import datetime

    from logmonitor.configuration.record import FallbackConfig
    from logmonitor.records import Content
    from logmonitor.transport import Transport

_log = logging.getLogger(__name__)
CONNECT_SECONDS: Final = 10.0
"""How long another chat may take until it is up: one that is down too must not keep a message from the next way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One fallback at work: when its turn is, whose messages it takes, what of them it carries, and how it sends.

    `send` raises a `TransportError` where it does not arrive, as a transport's own does; its text tells no secret.
    """

    name: str
    after: float
    admins: tuple[str, ...] | None
    carries_files: bool
    send: Callable[[Content], Awaitable[Receipt]]

    def is_for(self, names: Collection[str] | None, /) -> bool:
        """Tell whether it is to have messages to somebody of these configured names, None where nobody knows them."""
        return self.admins is None or names is None or any(name in self.admins for name in names)

    def takes(self, names: Collection[str] | None, content: Content, /) -> bool:
        """Tell whether it is to have a message to somebody of these names, and nothing of that would be missing."""
        return self.is_for(names) and is_carried(content, carries_files=self.carries_files)


def apprise_way(
    config: FallbackConfig,
    url: str,
    *,
    title: str,
    translate: Callable[[str], str],
    now: Callable[[], datetime],
    seconds: float = SEND_SECONDS,
) -> Way:
    """Return the way by an Apprise URL."""
    service = service_of(url)
    fit = partial(fitted, service=service, translate=translate)

    async def send(content: Content) -> Receipt:
        errand = Errand(
            text=fit(with_file_text(content)),
            title=title,
            file=content if isinstance(content, Attachment) else None,
            plain=fit(plain_text(content, translate)),
        )
        verdict = await deliver(url, errand, seconds=seconds)
        problem = f"{service} {verdict.problem}"
        match verdict.outcome:
            case Outcome.TAKEN:
                return Receipt(message_id=None, accepted_at=now())
            case Outcome.REFUSED:
                raise RejectedError(problem)
            case Outcome.THROTTLED:
                raise ThrottledError(problem, retry_after=verdict.retry_after)
            case _:
                raise TransportError(problem)

    return Way(
        name=config.name, after=config.after, admins=config.admins, carries_files=config.carries_files, send=send
    )


def chat_way(
    config: FallbackConfig,
    make: Callable[[], Transport],
    *,
    translate: Callable[[str], str],
    connect_seconds: float | None = None,
    seconds: float = SEND_SECONDS,
) -> Way:
    """Return the way by another chat, which is entered for each message, and beside whoever else uses it.

    It has `connect_seconds` to be up, `CONNECT_SECONDS` without.
    """

    async def send(content: Content) -> Receipt:
        transport, is_up, reason = make(), False, ""
        if isinstance(transport, CanVisit):
            transport = transport.visiting()
        try:
            async with (
                asyncio.timeout(CONNECT_SECONDS if connect_seconds is None else connect_seconds) as deadline,
                transport,
            ):
                if isinstance(transport, CanWait):
                    try:
                        await transport.wait_until_up()
                    finally:
                        reason = transport.health().reason  # while it has not been left, which is a reason too
                is_up = True
                deadline.reschedule(asyncio.get_running_loop().time() + seconds)
                return await _send_to_some(transport, config.to, content, translate)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            if is_up:
                raise TransportError(f"it has not taken it within {seconds:g} s") from error
            raise TransportError(f"it is down{': ' * bool(reason)}{reason}") from error

    return Way(name=config.name, after=config.after, admins=config.admins, carries_files=True, send=send)


async def _send_to_some(
    transport: Transport, to: tuple[str, ...], content: Content, translate: Callable[[str], str]
) -> Receipt:
    """Send to everybody; one whom it reaches is enough.

    Raises:
        RejectedError: everybody was refused.
        TransportError: it reached nobody this time.
    """
    receipt: Receipt | None = None
    failure: TransportError | None = None
    for who in to:
        try:
            contact = await transport.resolve(who)
            for part in deliverable(content, transport.limits, translate=translate):
                receipt_of_part = await transport.send(contact.id, part)
            receipt = receipt_of_part
        except TransportError as error:
            failure = error if failure is None or isinstance(failure, RejectedError) else failure
            _log.warning("a message did not reach %s over a fallback: %s", who, error)
    if receipt is not None:
        return receipt
    raise failure or RejectedError("there is nobody to send to; expected a contact in `to`")
