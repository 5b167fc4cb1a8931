"""A second way to an admin, beside the chat: SMS, mail, ntfy or whatever else Apprise has a service for."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from logmonitor.channel.apprise_url import SEND_SECONDS, Errand, deliver, service_of
from logmonitor.errors import RejectedError, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)


class SecondChannel(Protocol):
    """A way to people beside the chat; they are known by configured names and stable ids."""

    def reaches(self, names: Sequence[str], /) -> bool:
        """Tell whether there is a way to whom one of these names means."""

    async def send(self, names: Sequence[str], text: str, /, *, title: str = "") -> None:
        """Send `text` to whom these names mean.

        Raises:
            TransportError: it did not arrive; the text tells no secret.
        """


class AppriseChannel:
    """Sends text past the chat, by the URLs of whom it is for."""

    def __init__(self, urls: Mapping[str, str], *, seconds: float = SEND_SECONDS) -> None:
        """Know people by names and ids; a service that has not taken a message after `seconds` is given up."""
        self._urls = dict(urls)
        self._seconds = seconds

    def reaches(self, names: Sequence[str], /) -> bool:
        """Tell whether there is a way to whom one of these names means."""
        return any(name in self._urls for name in names)

    async def send(self, names: Sequence[str], text: str, /, *, title: str = "") -> None:
        """Send `text` by every way there is to whom these names mean; one that takes it is enough.

        Raises:
            RejectedError: there is no way.
            TransportError: none took it in time; the text holds no URL.
        """
        urls = list(dict.fromkeys(self._urls[name] for name in names if name in self._urls))
        if not urls:
            raise RejectedError(f"there is no second channel to {' or '.join(map(repr, names))}")
        errand = Errand(text=text, title=title)
        verdicts = await asyncio.gather(*(deliver(url, errand, seconds=self._seconds) for url in urls))
        failed = [
            f"{service_of(url)} {verdict.problem}"
            for url, verdict in zip(urls, verdicts, strict=True)
            if verdict.problem
        ]
        if len(failed) == len(urls):
            raise TransportError(f"the second channel did not take the message: {'; '.join(failed)}")
        for sentence in failed:
            _log.warning("one of several second channels did not take a message: %s", sentence)
