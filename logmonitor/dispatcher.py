"""From a chat message to the handler of a command: authorise, parse, look up, run, or answer why not."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar

from logmonitor.access import Policy, Reason, Seen, decide, remember, signal_of
from logmonitor.command import SIGNALS, Choice, Entry, Found, Unknown, build, find, help_lines, parse, suggest
from logmonitor.language import translation
from logmonitor.operation import Command, Invocation, Operation, OperationConfig
from logmonitor.throttle import Throttle, admit
from logmonitor.worker import Worker, job_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from logmonitor.operation import Context
    from logmonitor.records import Message
    from logmonitor.worker import World

_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")
_SHOWN_CHARACTERS: Final = 40
_CONVERSATIONS: Final = 1000
EXPLANATIONS: Final = Throttle(limit=5, period=600.0)
RECORDS: Final = Throttle(limit=1, period=600.0)


class Dispatcher:
    """The one way from a message to a command."""

    def __init__(
        self,
        workers: tuple[Worker, ...],
        world: World,
        *,
        start: Callable[[Coroutine[object, object, None]], object],
        status: Callable[[Context, str | None], tuple[str, ...]],
        language: str,
        rooms: tuple[str, ...] = (),
    ) -> None:
        """Serve the commands of `workers`, and `help` and `status`.

        `start` runs a control command beside everything else; `status` tells how a bot, or everything, is. In `rooms`,
        which are ids, an admin is heard too, but a text that is no command is left to the people there.
        """
        self._world = world
        self._start = start
        self._status = status
        self._translate = translation(language)
        _ = self._translate
        own = Operation(
            name="logmonitor",
            config=OperationConfig(language=language),
            commands=(
                Command(
                    name="status",
                    handler=self._tell_status,
                    help=_("tell how the bots, the chat and the operations are"),
                    usage=_("[BOT]"),
                    control=True,
                ),
                Command(
                    name="help",
                    handler=self._tell_help,
                    help=_("list what you may ask for, or tell all about one command"),
                    usage=_("[COMMAND]"),
                    control=True,
                ),
            ),
        )
        self._own = Worker(own, world)
        self._workers = {worker.name: worker for worker in (self._own, *workers)}
        self._entries = (
            *(Entry(operation=self._own.name, watch=None, command=command) for command in own.commands),
            *build([worker.operation for worker in workers]),
        )
        self._rooms = frozenset(rooms)
        self._signals = frozenset(
            signal_of(text) for text in (*SIGNALS, *(text for worker in workers for text in worker.operation.signals))
        )
        self._seen = Seen()
        self._explained: dict[str, Throttle] = {}
        self._recorded: dict[tuple[str, str], Throttle] = {}

    def handle(self, message: Message) -> None:
        """Let one message take effect, or none."""
        admins = [name for worker in self._workers.values() for name in worker.admins]
        policy = Policy(admins=self._ids(admins), rooms=self._rooms, signals=self._signals)
        decision = decide(message, policy, now=datetime.now(UTC))
        if decision.reason not in (Reason.ADMIN, Reason.STALE):
            self._leave(message, decision.reason)
            return
        if message.room is not None and self._is_talk(message):
            self._leave(message, "talk")
            return
        self._seen, is_new = remember(self._seen, message.id)
        if not is_new:
            _log.info("message %r from %r came twice; dropped", message.id, message.sender.id)
        elif decision.allowed:
            self._obey(message)
        else:
            self._explain(message, self._translate("that was written too long ago, nothing was done; send it again"))

    def _leave(self, message: Message, reason: str) -> None:
        """Record that a message is no command, without its text, and hand it on to who reads along."""
        level = logging.INFO if _admitted(self._recorded, (message.conversation, reason), RECORDS) else logging.DEBUG
        where = message.sender.id, message.conversation, reason
        _log.log(level, "message from %r in %r is no command: %s", *where)
        self._pass_on(message)

    def _is_talk(self, message: Message) -> bool:
        """Tell whether what an admin says in a room is meant for the people there."""
        typed = parse(message.text)
        known = self._permitted(message)
        return typed is None or isinstance(find(typed, known, watches=tuple(self._world.sessions)), Unknown)

    def _pass_on(self, message: Message) -> None:
        """Give a message that is no command to the operations that read along; one that is too far behind misses it."""
        for worker in self._workers.values():
            on_message = worker.operation.on_message
            if on_message is None or message.from_self:
                continue
            if not worker.try_submit(job_of("on_message", on_message, message)):
                _log.warning("operation %s is too far behind; it misses a message", worker.name)

    def _obey(self, message: Message) -> None:
        """Run the command that an admin's message holds."""
        typed = parse(message.text)
        if typed is None:
            return
        found = find(typed, self._permitted(message), watches=tuple(self._world.sessions))
        if not isinstance(found, Found):
            self._explain(message, self._why_not(found))
            return
        command = found.entry.command
        invocation = Invocation(
            message=message,
            name=command.name,
            arguments=found.arguments,
            text=typed.text,
            watch=found.watch,
        )
        job = job_of(command.name, command.handler, invocation, reply_to=message.conversation, seconds=command.timeout)
        worker = self._workers[found.entry.operation]
        _log.info("command %s from %r for %s", command.name, message.sender.id, worker.name)
        if command.control:
            self._start(worker.handle(job))
        elif not worker.try_submit(job):
            self._answer(
                message, self._translate("{operation} is too far behind; try again later").format(operation=worker.name)
            )

    def _permitted(self, message: Message) -> tuple[Entry, ...]:
        """Return what the sender may run: everything for the chat's admins, else what they are an admin of."""
        return tuple(
            entry
            for entry in self._entries
            if message.sender.id in self._ids((*self._world.admins, *self._workers[entry.operation].admins))
            or entry.operation == self._own.name
        )

    def _ids(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(sender.id for sender in self._world.directory.found(names) if sender.id.strip())

    def _why_not(self, found: Choice | Unknown) -> str:
        _ = self._translate
        if isinstance(found, Choice):
            if found.asked:
                return _("there is no bot called {asked}; expected one of: {watches}").format(
                    asked=found.asked, watches=", ".join(found.watches)
                )
            return _("which bot? Say {command} and one of: {watches}").format(
                command=found.name, watches=", ".join(found.watches)
            )
        name = found.name if len(found.name) <= _SHOWN_CHARACTERS else f"{found.name[:_SHOWN_CHARACTERS]}…"
        if found.suggestions:
            return _("{name} is no command of yours; did you mean {suggestions}?").format(
                name=name, suggestions=", ".join(found.suggestions)
            )
        return _("{name} is no command of yours; `help` lists them").format(name=name)

    def _explain(self, message: Message, text: str) -> None:
        """Say why nothing was done, but not for ever: who never says anything else may be a bot that does the same."""
        if _admitted(self._explained, message.conversation, EXPLANATIONS):
            self._answer(message, text)
        else:
            _log.info("message from %r in %r gets no more answers for now", message.sender.id, message.conversation)

    def _answer(self, message: Message, text: str) -> None:
        self._world.outbox.put(message.conversation, text)

    async def _tell_status(self, context: Context, invocation: Invocation) -> None:
        await context.send("\n".join(self._status(context, next(iter(invocation.arguments), None))))

    async def _tell_help(self, context: Context, invocation: Invocation) -> None:
        permitted = self._permitted(invocation.message)
        wanted = next(iter(invocation.arguments), None)
        rows = help_lines(permitted, translate=self._translate, name=wanted)
        if not rows:
            rows = (self._why_not(Unknown(name=wanted or "", suggestions=suggest(wanted or "", permitted))),)
        await context.send("\n".join(rows))


def _admitted(paces: dict[_Key, Throttle], key: _Key, pace: Throttle) -> bool:
    """Tell whether one more of `key` is let through at `pace`; the keys not asked for longest are forgotten."""
    paces[key], is_admitted = admit(paces.pop(key, pace), time.monotonic())
    if len(paces) > _CONVERSATIONS:
        del paces[next(iter(paces))]
    return is_admitted
