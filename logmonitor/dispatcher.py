"""From a chat message to the handler of a command: authorise, parse, look up, run, or answer why not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from logmonitor.access import Policy, Reason, Seen, decide, remember
from logmonitor.command import Choice, Entry, Found, Unknown, build, find, help_lines, parse, suggest
from logmonitor.language import translation
from logmonitor.operation import Command, Invocation, Operation, OperationConfig
from logmonitor.worker import Worker, job_of

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from logmonitor.operation import Context
    from logmonitor.records import Message
    from logmonitor.worker import World

_log = logging.getLogger(__name__)


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
    ) -> None:
        """Serve the commands of `workers`, and `help` and `status`.

        `start` runs a control command beside everything else; `status` tells how a bot, or everything, is.
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
        self._seen = Seen()

    async def handle(self, message: Message) -> None:
        """Let one message take effect, or none."""
        admins = [name for worker in self._workers.values() for name in worker.admins]
        decision = decide(message, Policy(admins=self._ids(admins)), now=datetime.now(UTC))
        if decision.allowed:
            self._seen, is_new = remember(self._seen, message.id)
            if is_new:
                await self._obey(message)
            else:
                _log.info("message %s from %s came twice; dropped", message.id, message.sender.id)
        elif decision.reason is Reason.STALE:
            self._answer(message, self._translate("that was written too long ago, nothing was done; send it again"))
        else:
            _log.info(
                "message from %s in %s is no command: %s", message.sender.id, message.conversation, decision.reason
            )
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        """Give a message that is no command to the operations that want to read along."""
        for worker in self._workers.values():
            on_message = worker.operation.on_message
            if on_message is not None and not message.from_self:
                await worker.submit(job_of("on_message", on_message, message))

    async def _obey(self, message: Message) -> None:
        """Run the command that an admin's message holds."""
        typed = parse(message.text)
        if typed is None:
            return
        found = find(typed, self._permitted(message), watches=tuple(self._world.sessions))
        if not isinstance(found, Found):
            self._answer(message, self._why_not(found))
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
        _log.info("command %s from %s for %s", command.name, message.sender.id, worker.name)
        if command.control:
            self._start(worker.handle(job))
        else:
            await worker.submit(job)

    def _permitted(self, message: Message) -> tuple[Entry, ...]:
        """Return what the sender may run: everything for the chat's admins, else what they are an admin of."""
        return tuple(
            entry
            for entry in self._entries
            if message.sender.id in self._ids((*self._world.admins, *self._workers[entry.operation].admins))
            or entry.operation == self._own.name
        )

    def _ids(self, names: Iterable[str]) -> frozenset[str]:
        return frozenset(sender.id for sender in self._world.directory.found(names))

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
        if found.suggestions:
            return _("{name} is no command of yours; did you mean {suggestions}?").format(
                name=found.name, suggestions=", ".join(found.suggestions)
            )
        return _("{name} is no command of yours; `help` lists them").format(name=found.name)

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
