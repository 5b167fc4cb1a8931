"""Who may run what at this moment: what `access` decides over the chat's admins and the grants in the store."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logmonitor.access import Decision, Reason, Rights, authorise
from logmonitor.command import Entry
from logmonitor.errors import StoreError
from logmonitor.operation import Right
from logmonitor.own_commands import COMPANIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from logmonitor.approval import Request
    from logmonitor.grant import Grant
    from logmonitor.records import Message, Sender
    from logmonitor.worker import Worker, World

_log = logging.getLogger(__name__)
OWN: Final = "logmonitor"
"""The name under which the runtime's own commands run."""


class Authority:
    """Decides about commands; asks the chat's directory and the store anew each time.

    Where the store cannot be read, and with it the denials, only what changes nothing may run.
    """

    def __init__(self, world: World, *, rooms: frozenset[str]) -> None:
        """Permit nothing, until `know` tells what there is; in `rooms`, which are ids, an admin is heard."""
        self._world = world
        self._rooms = rooms
        self._workers: Mapping[str, Worker] = {}
        self._entries: tuple[Entry, ...] = ()

    def know(self, workers: Mapping[str, Worker], entries: tuple[Entry, ...]) -> None:
        """Learn which commands there are, and of whose operations."""
        self._workers = workers
        self._entries = entries

    def decide(self, entry: Entry, message: Message) -> Decision:
        """Decide whether the sender of a message may run a command."""
        return self._decide(entry, message, self._rights())

    def permitted(self, message: Message) -> tuple[Entry, ...]:
        """Return what the sender may run, here and now; nothing if only the companions of other commands are left."""
        rights = self._rights()
        permitted = tuple(entry for entry in self._entries if self._decide(entry, message, rights).allowed)
        is_anything = any(entry.operation != OWN or entry.command.name not in COMPANIONS for entry in permitted)
        return permitted if is_anything else ()

    def decide_again(self, request: Request) -> Decision:
        """Decide about a command that is about to run."""
        message = request.invocation.message
        decision = self.decide(_entry_of(request), message)
        if decision.allowed and not self.permitted(message):
            return Decision(allowed=False, reason=Reason.STRANGER)
        return decision

    def is_admin(self, message: Message) -> bool:
        """Tell whether a message is from an admin of the whole chat."""
        return message.sender.id in self._ids(self._world.admins)

    def is_any_admin(self, message: Message) -> bool:
        """Tell whether a message is from an admin of the whole chat or of an operation."""
        names = (*self._world.admins, *(name for worker in self._workers.values() for name in worker.admins))
        return message.sender.id in self._ids(names)

    def is_readable(self) -> bool:
        """Tell whether grants and denials can be read."""
        return self._rights() is not None

    def admins_of(self, operation: str) -> tuple[Sender, ...]:
        """Return the admins of an operation, those of the whole chat among them."""
        names = (*self._world.admins, *self._workers[operation].admins)
        found = {sender.id: sender for sender in self._world.directory.found(names) if sender.id.strip()}
        return tuple(found.values())

    def peers_of(self, request: Request) -> tuple[Sender, ...]:
        """Return who may confirm another's command: the other admins who may run it themselves."""
        entry, rights = _entry_of(request), self._rights()

        def is_peer(admin: Sender) -> bool:
            asking = replace(request.invocation.message, sender=admin, room=None, conversation=admin.id)
            return admin.id != request.user and self._decide(entry, asking, rights).allowed

        return tuple(filter(is_peer, self.admins_of(request.operation)))

    def _decide(self, entry: Entry, message: Message, rights: Rights | None) -> Decision:
        is_unreadable = rights is None
        rights = rights or self._rights_with(())
        if entry.operation == OWN and entry.command.right is Right.GRANT:  # how things are is for any operation's admin
            rights = replace(rights, admins=rights.admins.union(*rights.operation_admins.values()))
        decision = authorise(
            rights,
            user=message.sender.id,
            room=message.room,
            operation=entry.operation,
            command=entry.command,
            now=self._world.clock.now(),
        )
        if is_unreadable and decision.allowed and not entry.command.read_only:
            return Decision(allowed=False, reason=Reason.UNREADABLE)
        return decision

    def _rights(self) -> Rights | None:
        """Return who may run what, None where it cannot be read."""
        try:
            return self._rights_with(self._world.store.grants())
        except StoreError as error:
            _log.error("%s; only admins are obeyed, and only where nothing is changed", error)
            return None

    def _rights_with(self, grants: tuple[Grant, ...]) -> Rights:
        return Rights(
            admins=self._ids(self._world.admins),
            operation_admins={worker.name: self._ids(worker.admins) for worker in self._workers.values()},
            grants=grants,
            rooms=self._rooms,
        )

    def _ids(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(sender.id for sender in self._world.directory.found(names) if sender.id.strip())


def _entry_of(request: Request) -> Entry:
    return Entry(operation=request.operation, watch=request.invocation.watch, command=request.command)
