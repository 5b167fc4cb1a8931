"""What happens to the account that this bot sends by: written to its log for its twin, and rescued by the fallbacks.

While the account waits for a scan nothing goes by the chat. Its twin sends the QR that the log shows; where the twin's
session is lost too, or there is none, it goes by the fallbacks of this bot. Twins that share a lease send it once: both
name the message alike, and this bot lets the twin go first.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logmonitor.errors import QrError, StoreError
from logmonitor.isolation import isolated
from logmonitor.qr import fingerprint, render_png, unwrap
from logmonitor.records import Attachment, EventKind, MessageKey, Priority
from logmonitor.self_log import SelfLog
from logmonitor.sending.gate import Verdict
from logmonitor.session import loss_id
from logmonitor.transport import CanReportOwnEvents, is_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor.config import Config
    from logmonitor.directory import Directory
    from logmonitor.operation import KeyValue
    from logmonitor.outbox import Outbox
    from logmonitor.records import Event, Qr
    from logmonitor.sending.gate import Gate
    from logmonitor.transport import Transport

_log = logging.getLogger(__name__)
OWNER: Final = "logmonitor own account"
RETRY_SECONDS: Final = 60.0
"""After how long a chat whose own code failed over its account is asked again."""

_SLOT: Final = "logmonitor own qr"
_LOSS: Final = "loss"


class OwnAccount:
    """This bot's own account; a gate of its outbox, since what rescues the account never goes by the account."""

    def __init__(
        self,
        config: Config,
        *,
        transport: Transport,
        directory: Directory,
        store: KeyValue,
        gate: Gate | None,
        translate: Callable[[str], str],
    ) -> None:
        """Have `directory` ask anew for everybody after a login, and keep in `store` which loss is not over.

        `gate` is asked about everything else that has a key. Without fallbacks the account is not rescued here, nor
        where its own log is watched under its name, since that is rescued then like any other.
        """
        bot = config.bot
        self._name = bot.name
        self._self_log = None if bot.self_log is None else SelfLog(bot.self_log, bot=bot.name, key=bot.twin_key)
        is_rescued = bool(config.fallbacks) and bot.name not in {watch.name for watch in config.watches}
        self._admins = config.chat.admins if is_rescued else ()
        self._transport = transport
        self._directory = directory
        self._store = store
        self._others = gate
        self._translate = translate
        self._loss = ""
        with suppress(StoreError):
            self._loss = store.get(_LOSS) or ""

    @property
    def gate(self) -> Gate | None:
        """Return who is to be asked about messages with a key, None if nobody needs to be."""
        return self if self._admins else self._others

    def verdict(self, to: str, key: MessageKey, /) -> Verdict:
        """Tell what becomes of a message now; one about this account waits while the chat could be given it."""
        if key.watch == self._name and is_up(self._transport):
            return Verdict.WAIT
        return Verdict.SEND if self._others is None else self._others.verdict(to, key)

    def note_delivered(self, to: str, key: MessageKey, /) -> None:
        """Take note that the recipient has it."""
        if self._others is not None:
            self._others.note_delivered(to, key)

    async def wait_for_change(self) -> None:
        """Return when a verdict may be another one than before; one about this account is asked for all the time."""
        await (asyncio.Event().wait() if self._others is None else self._others.wait_for_change())

    async def run(self, outbox: Outbox) -> None:
        """Meet what happens, until the chat ends or this is cancelled; a chat that tells nothing of itself is left."""
        if not isinstance(self._transport, CanReportOwnEvents):
            return
        while True:
            failures: list[Exception] = []
            with isolated(failures.append):
                async for event in self._transport.own_events():
                    await self._meet(event, outbox)
            if not failures:
                return
            _log.error("what happens to the account is not told by the chat; asking again", exc_info=failures[0])
            await asyncio.sleep(RETRY_SECONDS)

    async def _meet(self, event: Event, outbox: Outbox) -> None:
        with isolated(lambda error: _log.error("what happened to the account was not understood", exc_info=error)):
            if event.kind is EventKind.LOGIN:
                self._directory.renew()
            self._rescue(await self._written(event), outbox)

    async def _written(self, event: Event) -> Event:
        """Write what happened, or say why not; return it as the twin reads it."""
        if self._self_log is None:
            return event
        try:
            return await self._self_log.write(event)
        except OSError as error:
            _log.error("cannot write this bot's own log: %s; its twin does not see that it needs a scan", error)
            return event

    def _rescue(self, event: Event, outbox: Outbox) -> None:
        """Have the account's QR sent by whoever can, until it has been scanned or there is another one."""
        if not self._admins:
            return
        if event.kind is EventKind.LOGIN:
            self._keep("")
        elif not self._loss and event.kind is not EventKind.EXPIRED:
            self._keep(loss_id(event))
        if event.kind is EventKind.SCAN and event.qr is not None:
            self._show(event.qr, outbox)
        elif event.kind is not EventKind.SCANNED:  # whoever scans may not confirm
            outbox.withdraw(_SLOT)

    def _keep(self, loss: str) -> None:
        """Keep the name of a loss that began, none once the account is back."""
        if loss == self._loss:
            return
        self._loss = loss
        with suppress(StoreError):  # told by whoever needs the store
            self._store.put(_LOSS, loss)

    def _show(self, qr: Qr, outbox: Outbox) -> None:
        """Put the QR for every admin under the configured name, which a chat that nobody can ask has no id for."""
        qr = replace(qr, payload=qr.payload and unwrap(qr.payload))  # as the twin reads it out of the log
        caption = self._translate(
            "Login QR of {bot}, the account that this bot sends by: until it is scanned nothing comes by the chat"
        )
        try:
            image = Attachment(
                filename=f"{self._name}-qr.png",
                content_type="image/png",
                data=render_png(qr),
                caption=caption.format(bot=self._name),
                qr=qr,
            )
        except QrError as error:
            _log.error("the QR of this bot's own account cannot be shown: %s", error)
            return
        key = MessageKey(watch=self._name, loss=self._loss, kind=f"qr {fingerprint(qr)}")
        for admin in self._admins:
            outbox.put(admin, image, priority=Priority.QR, slot=_SLOT, key=key, expires_at=qr.expires)
