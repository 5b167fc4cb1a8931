"""What the SDK's puppet tells, heard below the SDK, which passes on no more than the first login."""

from __future__ import annotations

import logging
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

from logmonitor.isolation import isolated
from logmonitor.transports.puppet_service.event import EventType
from logmonitor.transports.puppet_service.puppet import Puppet

if TYPE_CHECKING:
    from wechaty_puppet_service import PuppetService

    from logmonitor.transports.puppet_service.account import AccountChat

_log = logging.getLogger(__name__)
_EVENTS: Final = {
    "heartbeat": EventType.HEARTBEAT,
    "message": EventType.MESSAGE,
    "scan": EventType.SCAN,
    "ready": EventType.READY,
    "login": EventType.LOGIN,
    "logout": EventType.LOGOUT,
}
"""What the SDK's puppet calls the events that matter here; it tells of no `EventType.DIRTY`."""

_FIELDS: Final = {"message_id": "messageId", "contact_id": "contactId", "qrcode": "qrcode", "status": "status"}


class Ear:
    """What is heard of one start of the SDK's puppet, until it is closed.

    The SDK stops the gateway before it starts it, so that the account has to log in again: a login is told, unless the
    start has not been heard.
    """

    def __init__(self, puppet: PuppetService, chat: AccountChat, *, is_from_start: bool) -> None:
        """Tell `chat` what `puppet` tells; `is_from_start` says that this one is about to be started."""
        self.is_closed = False
        self._is_from_start = is_from_start
        self._puppet = puppet
        self._chat = chat
        self._has_heard = False
        for name, kind in _EVENTS.items():
            puppet.on(name, partial(self._hear, kind))

    def close(self, reason: str) -> None:
        """Hear no more, since the connection is gone, for that reason."""
        if not self.is_closed:
            self.is_closed = True
            self._chat.stop_at(reason)

    def _hear(self, kind: EventType, payload: object) -> None:
        """Pass an event on; nothing that goes wrong here reaches the SDK."""
        if self.is_closed:
            return
        with isolated(lambda error: _log.error("an event of the gateway was not understood", exc_info=error)):
            if not self._has_heard:
                secrets = filter(None, (self._puppet.options.token,))
                puppet = Puppet(self._puppet.puppet_stub, secrets=tuple(secrets))
                self._chat.begin(puppet, is_in=False if self._is_from_start else None)
                self._has_heard = True
            self._chat.take(kind, _fields(payload))


def _fields(payload: object) -> dict[str, object]:
    """Return what an event carries by the names that the gateway gave it, which the SDK has changed."""
    given = {field: getattr(payload, name, None) for name, field in _FIELDS.items()}
    return {field: value.value if isinstance(value, Enum) else value for field, value in given.items()}
