"""From a chat message to a command: heard, understood, authorised, approved, run; or an answer why not, or silence.

There is no other way to a handler. What a sender may run is asked here when the message comes in and once more when the
command is about to run.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.access import Policy, Reason, Seen, hear, remember, signal_of
from logmonitor.approval import Request
from logmonitor.approver import Approver, People
from logmonitor.authority import OWN, Authority
from logmonitor.code_redaction import redact_codes
from logmonitor.command import SIGNALS, Choice, Entry, Found, Unknown, build, canonical, find, suggest
from logmonitor.errors import AuditError, OperationError, StoreError
from logmonitor.help_text import help_lines
from logmonitor.isolation import isolated
from logmonitor.jobs import Jobs
from logmonitor.language import translation
from logmonitor.one_time_code import code_of
from logmonitor.operation import Invocation, Operation, OperationConfig, Right, SecurityRule
from logmonitor.own_commands import own_commands
from logmonitor.pacer import Pacer
from logmonitor.records import Priority
from logmonitor.security_rules import rules_of
from logmonitor.throttle import Throttle
from logmonitor.typed import parse, without_code
from logmonitor.wording import duration_text, person_text
from logmonitor.worker import Worker, ask_of, call_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from logmonitor.operation import Command
    from logmonitor.recorder import Recorder
    from logmonitor.records import Message
    from logmonitor.second_channel import SecondChannel
    from logmonitor.totp import Totp
    from logmonitor.typed import Typed
    from logmonitor.worker import World

_log = logging.getLogger(__name__)
_SHOWN_CHARACTERS: Final = 40
EXPLANATIONS: Final = Throttle(limit=5, period=600.0)
RECORDS: Final = Throttle(limit=1, period=600.0)
ATTEMPTS: Final = Throttle(limit=10, period=600.0)
"""How many commands that one sender may not run are put on record, before the admins are warned instead."""

REQUESTS: Final = Throttle(limit=60, period=600.0)
"""How much who is no admin of the chat may ask for; each request costs the audit two lines on disk."""

OF_RIGHTS: Final = frozenset({"grant", "deny", "revoke"})
"""What whoever has an authenticator needs it for, so that a phone in other hands changes nobody's rights."""

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
        self._authority = Authority(world, rooms=self._rooms)
        self._jobs = Jobs(
            start=start,
            clock=world.clock,
            authorise=self._authority.decide_again,
            recorder=safeguards.recorder,
            answer=lambda request, text: self._put(request.conversation, text),
            translate=self._translate,
        )
        self._approver = Approver(
            totp=safeguards.totp,
            channel=safeguards.channel,
            people=People(
                names_of=world.directory.names_of,
                admins_of=self._authority.admins_of,
                peers_of=self._authority.peers_of,
            ),
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
            is_admin=self._authority.is_admin,
            help_of=self._help,
            language=language,
        )
        if any(worker.name == OWN for worker in workers):
            raise OperationError(f"an operation has the name {OWN!r}, which is the program's own; expected another")
        claimed = {command.name for worker in workers for command in worker.operation.commands}
        kept = tuple(command for command in (*commands, *companions) if command.name not in claimed)
        own = Operation(name=OWN, config=OperationConfig(language=language), commands=kept)
        self._workers = {worker.name: worker for worker in (Worker(own, world), *workers)}
        self._entries = (
            *(Entry(operation=OWN, watch=None, command=command) for command in own.commands),
            *build([worker.operation for worker in workers]),
        )
        self._authority.know(self._workers, self._entries)
        signals = (*SIGNALS, *(text for worker in workers for text in worker.operation.signals))
        self._policy = Policy(signals=frozenset(map(signal_of, signals)), max_age=safeguards.max_age)
        self._seen = Seen()
        self._explanations = Pacer(EXPLANATIONS, world.clock)
        self._records = Pacer(RECORDS, world.clock)
        self._attempts = Pacer(ATTEMPTS, world.clock)
        self._requests = Pacer(REQUESTS, world.clock)
        self._warnings = Pacer(WARNINGS, world.clock)

    @property
    def commands(self) -> tuple[tuple[str, Command], ...]:
        """Every command there is, each with the name of its operation."""
        return tuple((entry.operation, entry.command) for entry in self._entries)

    def handle(self, message: Message) -> None:
        """Let one message take effect, or none."""
        if not message.from_self:
            self._world.outbox.note_inbound(message.conversation)
        heard = hear(message, self._policy, now=self._world.clock.now())
        if not heard.allowed and heard.reason is not Reason.STALE:
            self._leave(message, heard.reason)
            return
        permitted = self._authority.permitted(message)
        if not permitted:
            self._turn_away(message)
            return
        is_guest = all(entry.command.right is Right.ANYONE for entry in permitted)
        if (is_guest or message.room is not None) and self._is_talk(message, permitted):
            self._note_unpermitted(message, permitted)
            self._leave(message, "talk")
            return
        if not self._is_new(message):
            _log.info("message %r from %r came twice; dropped", message.id, message.sender.id)
        elif not self._authority.is_any_admin(message) and not self._requests.admits(message.sender.id):
            self._warn(message)
        elif heard.allowed:
            with isolated(lambda error: self._apologise(message, error)):
                self._obey(message, permitted)
        else:
            with suppress(AuditError):
                self._recorder.record_message(message, "refused", reason=heard.reason)
            self._explain(message, self._translate("that was written too long ago, nothing was done; send it again"))

    async def stop(self) -> None:
        """End what is at work, and tell whom it is for."""
        await self._jobs.stop()

    def _is_new(self, message: Message) -> bool:
        """Note a message; tell whether it came for the first time, before a restart too where the store can tell."""
        key = f"{message.conversation}\0{message.id}"
        self._seen, is_new = remember(self._seen, key)
        try:
            return (
                self._world.store.note_message(key, at=self._world.clock.now(), keep_seconds=2 * self._policy.max_age)
                and is_new
            )
        except StoreError as error:
            _log.warning("%s; a message that came before a restart is not known again", error)
            return is_new

    def _apologise(self, message: Message, error: Exception) -> None:
        """Tell who asked that nothing came of it, by a mistake that the log shows."""
        _log.error("a command was not understood", exc_info=error)
        self._explain(message, self._translate("nothing was done, by a mistake in the program; its log tells more"))

    def _leave(self, message: Message, reason: str) -> None:
        """Record that a message is no command, without its text, and hand it on to who reads along."""
        level = logging.INFO if self._records.admits((message.conversation, reason)) else logging.DEBUG
        where = message.sender.id, message.conversation, reason
        _log.log(level, "message from %r in %r is no command: %s", *where)
        self._pass_on(message)

    def _turn_away(self, message: Message) -> None:
        """Be silent to who may run nothing here; a command of his goes on record, but not without end."""
        self._note_unpermitted(message, ())
        is_elsewhere = message.room is not None and message.room not in self._rooms
        self._leave(message, Reason.ROOM if is_elsewhere else Reason.STRANGER)

    def _note_unpermitted(self, message: Message, permitted: tuple[Entry, ...]) -> None:
        """Put on record what is a command, but none that its sender may run."""
        typed = parse(message.text)
        known = None if typed is None else self._found(typed, self._entries)
        if isinstance(known, Found) and known.entry not in permitted:
            self._note_attempt(message, known.entry)

    def _note_attempt(self, message: Message, entry: Entry) -> None:
        """Put an attempt on record; warn the admins, once a period, of who does not stop."""
        if not self._authority.is_readable():
            return  # nobody is accused of what he may have been granted
        if self._attempts.admits(message.sender.id):
            decision = self._authority.decide(entry, message)
            with suppress(AuditError):
                self._recorder.record_message(
                    message,
                    "refused",
                    reason=Reason.STRANGER if decision.allowed else decision.reason,
                    operation=entry.operation,
                    command=entry.command.name,
                )
        else:
            self._warn(message)

    def _warn(self, message: Message) -> None:
        """Tell the admins, once a period, of somebody who does not stop."""
        if not self._warnings.admits(None):
            return
        text = self._translate(
            "{person} goes on asking for what is not allowed, or too often; no answer is given, and more of it is not"
            " put on record"
        ).format(person=person_text(message.sender))
        for admin in self._world.directory.found(self._world.admins):
            self._world.outbox.put(admin.id, text, priority=Priority.ALERT)

    def _is_talk(self, message: Message, permitted: tuple[Entry, ...]) -> bool:
        """Tell whether a text is no command, in a room for the people there, or by whom only what is for anyone is."""
        if self._code(message, permitted) is not None:
            return not self._approver.is_waiting(message)
        typed = parse(message.text)
        return typed is None or isinstance(self._found(typed, permitted), Unknown)

    def _pass_on(self, message: Message) -> None:
        """Give a message that is no command to the operations that read along; one that is too far behind misses it."""
        for worker in self._workers.values():
            on_message = worker.operation.on_message
            if on_message is None or message.from_self or code_of(message.text) is not None:
                continue
            if not worker.try_submit(call_of("on_message", on_message, message)):
                _log.warning("operation %s is too far behind; it misses a message", worker.name)

    def _obey(self, message: Message, permitted: tuple[Entry, ...]) -> None:
        """Let a message take effect that its sender has some right to."""
        code = self._code(message, permitted)
        if code is not None:
            self._approver.give_code(message, code)
            return
        typed = parse(message.text)
        if typed is None:
            return
        typed, found, inline = self._understood(message, typed, permitted)
        if isinstance(found, Found):
            self._ask(message, typed, found, inline)
            return
        known = self._found(typed, self._entries)
        if isinstance(found, Unknown) and isinstance(known, Found):
            if self._authority.decide(known.entry, message).reason is Reason.UNREADABLE:
                text = self._translate(
                    "what changes anything is not run: the store cannot be read, where denials would stand"
                )
                self._explain(message, text)
                return
            self._note_attempt(message, known.entry)
        self._explain(message, self._why_not(found))

    def _understood(
        self, message: Message, typed: Typed, permitted: tuple[Entry, ...]
    ) -> tuple[Typed, Found | Choice | Unknown, str | None]:
        """Look a command up; take the code out of it where it is one that asks for such."""
        same = [entry for entry in permitted if entry.command.name == typed.name]
        if any(SecurityRule.TOTP in self._rules_of(entry, message) for entry in same):
            bare, inline = without_code(typed, takes_watch=same[0].command.takes_watch)
            found = self._found(bare, permitted)
            if not isinstance(found, Found) or SecurityRule.TOTP in self._rules_of(found.entry, message):
                return bare, found, inline
        return typed, self._found(typed, permitted), None

    def _ask(self, message: Message, typed: Typed, found: Found, code: str | None) -> None:
        """Have a command approved that its sender may run, unless it objects to how it was asked for."""
        entry = found.entry
        invocation = Invocation(
            message=message,
            name=entry.command.name,
            arguments=found.arguments,
            text=typed.text,
            watch=found.watch,
        )
        objection = None if entry.command.objection is None else ask_of(entry.command.objection, invocation)
        self._explanations.forget(message.conversation)
        if objection is not None:
            self._put(message.conversation, objection)
            return
        rules = self._rules_of(entry, message)
        text = canonical(entry, found.watch, found.text)
        is_code_missing = SecurityRule.TOTP in rules and code is None
        request = Request(
            operation=entry.operation,
            command=entry.command,
            invocation=invocation,
            text=text,
            shown=redact_codes(text) if is_code_missing else text,
        )
        self._approver.ask(request, rules, code=code)

    def _run(self, request: Request, factors: tuple[str, ...]) -> None:
        """Have an approved command run."""
        self._jobs.submit(request, self._workers[request.operation], factors=factors)

    def _code(self, message: Message, permitted: tuple[Entry, ...]) -> str | None:
        """Return the one-time code that a message is, if it is nothing else, no command above all."""
        typed = parse(message.text)
        if typed is not None and typed.name == "code":
            return code_of(typed.text, is_answer=True)
        if typed is not None and any(entry.command.name == typed.name for entry in permitted):
            return None
        return code_of(message.text, is_answer=self._approver.is_waiting(message))

    def _found(self, typed: Typed, entries: tuple[Entry, ...]) -> Found | Choice | Unknown:
        return find(typed, entries, watches=tuple(self._world.sessions))

    def _rules_of(self, entry: Entry, message: Message) -> frozenset[SecurityRule]:
        """Return what a command asks the sender of a message for."""
        rules = rules_of(entry.command.name, entry.operation, entry.command.security, self._rules)
        if entry.operation == OWN and entry.command.name in OF_RIGHTS and self._approver.has_authenticator(message):
            return rules | {SecurityRule.TOTP}
        return rules

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
        name = redact_codes(found.name)
        name = name if len(name) <= _SHOWN_CHARACTERS else f"{name[:_SHOWN_CHARACTERS]}…"
        if found.suggestions:
            return _("{name} is no command of yours; did you mean {suggestions}?").format(
                name=name, suggestions=", ".join(found.suggestions)
            )
        return _("{name} is no command of yours; `help` lists them").format(name=name)

    def _explain(self, message: Message, text: str) -> None:
        """Say why nothing was done, but not for ever: who never says anything else may be a bot that does the same."""
        if self._explanations.admits(message.conversation):
            if self._explanations.is_spent(message.conversation):
                text = f"{text}\n{last_words(self._translate)}"
            self._put(message.conversation, text)
        else:
            _log.info("message from %r in %r gets no more answers for now", message.sender.id, message.conversation)

    def _put(self, conversation: str, text: str) -> None:
        self._world.outbox.put(conversation, text)

    def _help(self, message: Message, wanted: str | None) -> tuple[str, ...]:
        """Return the help for who sent `message`."""
        permitted = self._authority.permitted(message)
        rows = help_lines(
            permitted, translate=self._translate, name=wanted, rules=lambda entry: self._rules_of(entry, message)
        )
        return rows or (self._why_not(Unknown(name=wanted or "", suggestions=suggest(wanted or "", permitted))),)


def last_words(translate: Callable[[str], str]) -> str:
    """Return what stands below the last answer to a mistake."""
    return translate("Mistakes get no more answers for {duration}; commands do.").format(
        duration=duration_text(EXPLANATIONS.period, translate)
    )
