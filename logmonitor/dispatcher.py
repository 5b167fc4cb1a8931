"""From a chat message to a command: heard, understood, authorised, approved, run; or an answer why not, or silence.

There is no other way to a handler. What a sender may run is asked here when the message comes in and once more when the
command is about to run.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.access import Decision, Policy, Reason, Rights, Seen, authorise, hear, remember, signal_of
from logmonitor.approval import Request
from logmonitor.approver import Approver, People
from logmonitor.command import (
    SIGNALS,
    Choice,
    Entry,
    Found,
    Unknown,
    build,
    canonical,
    find,
    help_lines,
    parse,
    suggest,
)
from logmonitor.errors import AuditError, StoreError
from logmonitor.jobs import Jobs
from logmonitor.language import translation
from logmonitor.one_time_code import CodeKind, code_of, kind_of
from logmonitor.operation import Invocation, Operation, OperationConfig, Right, SecurityRule
from logmonitor.own_commands import COMPANIONS, own_commands
from logmonitor.pacer import Pacer
from logmonitor.records import Priority
from logmonitor.security_rules import rules_of
from logmonitor.throttle import Throttle
from logmonitor.worker import Worker, call_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable

    from logmonitor.command import Typed
    from logmonitor.grant import Grant
    from logmonitor.operation import Command
    from logmonitor.recorder import Recorder
    from logmonitor.records import Message, Sender
    from logmonitor.second_channel import SecondChannel
    from logmonitor.totp import Totp
    from logmonitor.worker import World

_log = logging.getLogger(__name__)
OWN: Final = "logmonitor"
_SHOWN_CHARACTERS: Final = 40
EXPLANATIONS: Final = Throttle(limit=5, period=600.0)
RECORDS: Final = Throttle(limit=1, period=600.0)
ATTEMPTS: Final = Throttle(limit=10, period=600.0)
"""How many commands that one sender may not run are put on record, before the admins are warned instead."""

WARNINGS: Final = Throttle(limit=1, period=3600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Safeguards:
    """What stands between a message and a command, besides the right to run it."""

    totp: Totp
    channel: SecondChannel
    recorder: Recorder
    rules: tuple[tuple[str, frozenset[SecurityRule]], ...] = ()
    rooms: tuple[str, ...] = ()
    max_age: float = 60.0


class Dispatcher:
    """The one way from a message to a command."""

    def __init__(
        self,
        workers: tuple[Worker, ...],
        world: World,
        safeguards: Safeguards,
        *,
        start: Callable[[Coroutine[object, object, None]], asyncio.Task[None]],
        commands: tuple[Command, ...],
        language: str,
    ) -> None:
        """Serve the commands of `workers`, and `commands`, which are the runtime's own, beside its help and jobs.

        `start` makes a task of a coroutine. In the rooms of `safeguards`, which are ids, an admin is heard too, but a
        text that is no command is left to the people there.
        """
        self._world = world
        self._recorder = safeguards.recorder
        self._rules = safeguards.rules
        self._rooms = frozenset(safeguards.rooms)
        self._translate = translation(language)
        self._jobs = Jobs(
            start=start,
            clock=world.clock,
            authorise=self._authorise_again,
            recorder=safeguards.recorder,
            answer=lambda request, text: self._put(request.conversation, text),
            translate=self._translate,
        )
        self._approver = Approver(
            totp=safeguards.totp,
            channel=safeguards.channel,
            people=People(names_of=world.directory.names_of, admins_of=self._admins_of),
            outbox=world.outbox,
            clock=world.clock,
            recorder=safeguards.recorder,
            start=start,
            run=self._run,
            translate=self._translate,
        )
        companions = own_commands(
            approver=self._approver,
            jobs=self._jobs,
            is_admin=self._is_admin,
            help_of=self._help,
            language=language,
        )
        own = Operation(name=OWN, config=OperationConfig(language=language), commands=(*commands, *companions))
        self._workers = {worker.name: worker for worker in (Worker(own, world), *workers)}
        self._entries = (
            *(Entry(operation=OWN, watch=None, command=command) for command in own.commands),
            *build([worker.operation for worker in workers]),
        )
        signals = (*SIGNALS, *(text for worker in workers for text in worker.operation.signals))
        self._policy = Policy(signals=frozenset(map(signal_of, signals)), max_age=safeguards.max_age)
        self._seen = Seen()
        self._explanations = Pacer(EXPLANATIONS, world.clock)
        self._records = Pacer(RECORDS, world.clock)
        self._attempts = Pacer(ATTEMPTS, world.clock)
        self._warnings = Pacer(WARNINGS, world.clock)

    @property
    def commands(self) -> tuple[tuple[str, Command], ...]:
        """Every command there is, each with the name of its operation."""
        return tuple((entry.operation, entry.command) for entry in self._entries)

    def handle(self, message: Message) -> None:
        """Let one message take effect, or none."""
        heard = hear(message, self._policy, now=self._world.clock.now())
        if not heard.allowed and heard.reason is not Reason.STALE:
            self._leave(message, heard.reason)
            return
        permitted = self._permitted(message)
        if not permitted:
            self._turn_away(message)
            return
        is_guest = all(entry.command.right is Right.ANYONE for entry in permitted)
        if (is_guest or message.room is not None) and self._is_talk(message, permitted):
            self._leave(message, "talk")
            return
        self._seen, is_new = remember(self._seen, message.id)
        if not is_new:
            _log.info("message %r from %r came twice; dropped", message.id, message.sender.id)
        elif heard.allowed:
            self._obey(message, permitted)
        else:
            with suppress(AuditError):
                self._recorder.record_message(message, "refused", reason=heard.reason)
            self._explain(message, self._translate("that was written too long ago, nothing was done; send it again"))

    def _leave(self, message: Message, reason: str) -> None:
        """Record that a message is no command, without its text, and hand it on to who reads along."""
        level = logging.INFO if self._records.admits((message.conversation, reason)) else logging.DEBUG
        where = message.sender.id, message.conversation, reason
        _log.log(level, "message from %r in %r is no command: %s", *where)
        self._pass_on(message)

    def _turn_away(self, message: Message) -> None:
        """Be silent to who may run nothing here; a command of his goes on record, but not without end."""
        typed = parse(message.text)
        known = None if typed is None else self._found(typed, self._entries)
        if isinstance(known, Found):
            self._note_attempt(message, known.entry)
        is_elsewhere = message.room is not None and message.room not in self._rooms
        self._leave(message, Reason.ROOM if is_elsewhere else Reason.STRANGER)

    def _note_attempt(self, message: Message, entry: Entry) -> None:
        """Put an attempt on record; warn the admins, once a period, of who does not stop."""
        if self._attempts.admits(message.sender.id):
            decision = self._decide(entry, message, self._rights())
            with suppress(AuditError):
                self._recorder.record_message(
                    message,
                    "refused",
                    reason=decision.reason,
                    operation=entry.operation,
                    command=entry.command.name,
                )
        elif self._warnings.admits(None):
            sender = message.sender
            text = self._translate(
                "{name} ({id}) goes on trying commands without the right to; no answer is given, and more of it is not"
                " put on record"
            ).format(name=sender.alias or sender.name or "?", id=sender.id)
            for admin in self._world.directory.found(self._world.admins):
                self._world.outbox.put(admin.id, text, priority=Priority.ALERT)

    def _is_talk(self, message: Message, permitted: tuple[Entry, ...]) -> bool:
        """Tell whether a text is no command, in a room for the people there, or by whom only what is for anyone is."""
        if self._code(message) is not None:
            return not self._approver.is_waiting(message)
        typed = parse(message.text)
        return typed is None or isinstance(self._found(typed, permitted), Unknown)

    def _pass_on(self, message: Message) -> None:
        """Give a message that is no command to the operations that read along; one that is too far behind misses it."""
        for worker in self._workers.values():
            on_message = worker.operation.on_message
            if on_message is None or message.from_self:
                continue
            if not worker.try_submit(call_of("on_message", on_message, message)):
                _log.warning("operation %s is too far behind; it misses a message", worker.name)

    def _obey(self, message: Message, permitted: tuple[Entry, ...]) -> None:
        """Let a message take effect that its sender has some right to."""
        code = self._code(message)
        if code is not None:
            self._approver.give_code(message, code)
            return
        typed = parse(message.text)
        if typed is None:
            return
        found = self._found(typed, permitted)
        inline = None
        same = [entry for entry in permitted if entry.command.name == typed.name]
        if any(SecurityRule.TOTP in self._rules_of(entry) for entry in same):
            typed, inline = _without_code(typed, takes_watch=same[0].command.takes_watch)
            found = self._found(typed, permitted)
        if not isinstance(found, Found):
            known = self._found(typed, self._entries)
            if isinstance(found, Unknown) and isinstance(known, Found):
                self._note_attempt(message, known.entry)
            self._explain(message, self._why_not(found))
            return
        entry = found.entry
        invocation = Invocation(
            message=message,
            name=entry.command.name,
            arguments=found.arguments,
            text=typed.text,
            watch=found.watch,
        )
        objection = None if entry.command.objection is None else entry.command.objection(invocation)
        if objection is not None:
            self._explain(message, objection)
            return
        request = Request(
            operation=entry.operation,
            command=entry.command,
            invocation=invocation,
            text=canonical(entry, found.watch, typed.text),
        )
        self._approver.ask(request, self._rules_of(entry), code=inline)

    def _run(self, request: Request, factors: tuple[str, ...]) -> None:
        """Have an approved command run."""
        self._jobs.submit(request, self._workers[request.operation], factors=factors)

    def _code(self, message: Message) -> str | None:
        """Return the one-time code that a message is, if it is nothing else."""
        typed = parse(message.text)
        text = typed.text if typed is not None and typed.name == "code" else message.text
        return code_of(text, is_answer=self._approver.is_waiting(message))

    def _found(self, typed: Typed, entries: tuple[Entry, ...]) -> Found | Choice | Unknown:
        return find(typed, entries, watches=tuple(self._world.sessions))

    def _rules_of(self, entry: Entry) -> frozenset[SecurityRule]:
        return rules_of(entry.command.name, entry.operation, entry.command.security, self._rules)

    def _rights(self) -> Rights | None:
        """Return who may run what, None where it cannot be read."""
        try:
            grants = self._world.store.grants()
        except StoreError as error:
            _log.error("%s; only admins are obeyed, and only where nothing is changed", error)
            return None
        return self._rights_with(grants)

    def _rights_with(self, grants: tuple[Grant, ...]) -> Rights:
        return Rights(
            admins=self._ids(self._world.admins),
            operation_admins={worker.name: self._ids(worker.admins) for worker in self._workers.values()},
            grants=grants,
            rooms=self._rooms,
        )

    def _decide(self, entry: Entry, message: Message, rights: Rights | None) -> Decision:
        """Ask the one place that knows; where grants and denials cannot be read only what changes nothing may run."""
        if rights is None and not entry.command.read_only:
            return Decision(allowed=False, reason=Reason.UNREADABLE)
        rights = rights or self._rights_with(())
        if entry.operation == OWN and entry.command.right is Right.GRANT:  # how things are is for any operation's admin
            rights = replace(rights, admins=rights.admins.union(*rights.operation_admins.values()))
        return authorise(
            rights,
            user=message.sender.id,
            room=message.room,
            operation=entry.operation,
            command=entry.command,
            now=self._world.clock.now(),
        )

    def _permitted(self, message: Message) -> tuple[Entry, ...]:
        """Return what the sender may run, here and now; nothing if only the companions of other commands are left."""
        rights = self._rights()
        permitted = tuple(entry for entry in self._entries if self._decide(entry, message, rights).allowed)
        is_anything = any(entry.operation != OWN or entry.command.name not in COMPANIONS for entry in permitted)
        return permitted if is_anything else ()

    def _authorise_again(self, request: Request) -> Decision:
        """Decide about a command that is about to run."""
        message = request.invocation.message
        entry = Entry(operation=request.operation, watch=request.invocation.watch, command=request.command)
        decision = self._decide(entry, message, self._rights())
        if decision.allowed and not self._permitted(message):
            return Decision(allowed=False, reason=Reason.STRANGER)
        return decision

    def _is_admin(self, message: Message) -> bool:
        """Tell whether a message is from an admin of the whole chat."""
        return message.sender.id in self._ids(self._world.admins)

    def _admins_of(self, operation: str) -> tuple[Sender, ...]:
        """Return the admins of an operation, those of the whole chat among them."""
        names = (*self._world.admins, *self._workers[operation].admins)
        found = {sender.id: sender for sender in self._world.directory.found(names) if sender.id.strip()}
        return tuple(found.values())

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
        if self._explanations.admits(message.conversation):
            self._put(message.conversation, text)
        else:
            _log.info("message from %r in %r gets no more answers for now", message.sender.id, message.conversation)

    def _put(self, conversation: str, text: str) -> None:
        self._world.outbox.put(conversation, text)

    def _help(self, message: Message, wanted: str | None) -> tuple[str, ...]:
        """Return the help for who sent `message`."""
        permitted = self._permitted(message)
        rows = help_lines(permitted, translate=self._translate, name=wanted, rules=self._rules_of)
        return rows or (self._why_not(Unknown(name=wanted or "", suggestions=suggest(wanted or "", permitted))),)


def _without_code(typed: Typed, *, takes_watch: bool) -> tuple[Typed, str | None]:
    """Take the code out of a command that was typed with one: behind its name, or behind the bot's."""
    for index in range(2 if takes_watch else 1):
        code = code_of(typed.arguments[index]) if index < len(typed.arguments) else None
        if code is not None and kind_of(code) is not CodeKind.OUT_OF_BAND:
            words = typed.text.split(maxsplit=index + 1)
            text = " ".join((*words[:index], *words[index + 1 :]))
            arguments = (*typed.arguments[:index], *typed.arguments[index + 1 :])
            return replace(typed, arguments=arguments, text=text), code
    return typed, None
