"""The commands with which admins say who else may run what, and who may not: `grant`, `deny`, `revoke`, `grants`."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import UTC
from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.errors import ContactError, RejectedError, StoreError, TransportError, UsageError
from logmonitor.grant import Grant, holds
from logmonitor.granting.text import (
    EVERYBODY,
    check_id,
    describe,
    has_ended,
    is_same,
    meaning,
    parse_grant,
    record_of,
    usage_text,
)
from logmonitor.language import translation
from logmonitor.operation import Command, SecurityRule
from logmonitor.wording import person_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from logmonitor.audit import Audit
    from logmonitor.granting.text import Asked, Known
    from logmonitor.operation import Context, Invocation
    from logmonitor.records import Sender
    from logmonitor.store import Store

OWN: Final = "logmonitor"
"""The operation that the runtime's own commands are of."""

_REVOKE: Final = "revoke"
_LOOKED_UP: Final = 20
_NUMBER: Final = re.compile(r"#?([0-9]{1,18})(?:号)?")


def grant_commands(
    store: Store,
    *,
    resolve: Callable[[str], Awaitable[Sender]],
    commands: Callable[[], tuple[Known, ...]],
    zone: ZoneInfo | None,
    language: str,
    now: Callable[[], datetime],
    audit: Audit | None = None,
) -> tuple[Command, ...]:
    """Make the commands over `store`; each change is put on `audit` before it is one.

    `resolve` finds the one contact behind what an admin typed. `commands` tells all there are, each with its operation;
    it is asked when something is granted. Dates are those of `zone`, None for the machine's.
    """
    desk = _Desk(store, resolve=resolve, commands=commands, zone=zone, language=language, now=now, audit=audit)
    _ = translation(language)
    confirmed = frozenset({SecurityRule.CONFIRM})
    return (
        Command(
            name="grant",
            handler=desk.grant,
            help=_("let somebody run a command, or all of an operation"),
            usage=usage_text(_, is_denial=False),
            security=confirmed,
            objection=lambda invocation: desk.objection(invocation, is_denial=False),
            effect=lambda invocation: desk.effect(invocation, is_denial=False),
            control=True,
        ),
        Command(
            name="deny",
            handler=desk.deny,
            help=_("keep somebody from a command, whoever has granted it"),
            usage=usage_text(_, is_denial=True),
            security=confirmed,
            objection=lambda invocation: desk.objection(invocation, is_denial=True),
            effect=lambda invocation: desk.effect(invocation, is_denial=True),
            control=True,
        ),
        Command(
            name=_REVOKE,
            handler=desk.revoke,
            help=_("take a grant or a denial back, by its number"),
            usage=_("NUMBER"),
            security=confirmed,
            objection=desk.revoke_objection,
            effect=desk.revoke_effect,
            control=True,
        ),
        Command(
            name="grants",
            handler=desk.list_grants,
            help=_("list what is granted and denied"),
            usage=_("[USER]"),
            read_only=True,
            control=True,
        ),
    )


class _Desk:
    """Where grants are asked for, given and taken back."""

    def __init__(
        self,
        store: Store,
        *,
        resolve: Callable[[str], Awaitable[Sender]],
        commands: Callable[[], tuple[Known, ...]],
        zone: ZoneInfo | None,
        language: str,
        now: Callable[[], datetime],
        audit: Audit | None,
    ) -> None:
        self._store = store
        self._resolve = resolve
        self._commands = commands
        self._zone = zone
        self._translate = translation(language)
        self._now = now
        self._audit = audit

    def objection(self, invocation: Invocation, *, is_denial: bool) -> str | None:
        """Return what is wrong with a grant as it was typed; whom it names is looked up only when it is given."""
        try:
            self._asked(invocation, is_denial=is_denial)
        except UsageError as error:
            return str(error)
        return None

    def effect(self, invocation: Invocation, *, is_denial: bool) -> str:
        """Return what will be given, with the user as typed, who has to be one contact when it is."""
        try:
            asked = self._asked(invocation, is_denial=is_denial)
        except UsageError as error:
            return str(error)
        typed = visible(asked.user, one_line=True)
        who = (
            self._everybody()
            if asked.user == EVERYBODY
            else self._translate("the one contact {user}").format(user=typed)
        )
        return self._meaning(asked, who, is_denial=is_denial)

    async def grant(self, context: Context, invocation: Invocation) -> None:
        """Give a permission, or say why not."""
        await self._answer(context, self._add(context, invocation, is_denial=False))

    async def deny(self, context: Context, invocation: Invocation) -> None:
        """Give a denial, or say why not."""
        await self._answer(context, self._add(context, invocation, is_denial=True))

    def revoke_objection(self, invocation: Invocation) -> str | None:
        """Return what is wrong with a number as it was typed; a store that cannot be read is told by the handler."""
        try:
            self._named(invocation)
        except UsageError as error:
            return str(error)
        except StoreError:
            return None
        return None

    def revoke_effect(self, invocation: Invocation) -> str:
        """Return what a grant says that will be taken back."""
        try:
            grant = self._named(invocation)
        except (UsageError, StoreError) as error:
            return str(error)
        return self._translate("this will hold no more: {row}").format(row=self._row(grant, {}))

    async def revoke(self, context: Context, invocation: Invocation) -> None:
        """Take a grant back, or say why not."""
        await self._answer(context, self._remove(invocation))

    async def list_grants(self, context: Context, invocation: Invocation) -> None:
        """Tell of all grants, or of those that speak of one user."""
        _ = self._translate
        grants = self._store.grants()
        wanted = " ".join(invocation.arguments)
        if wanted:
            with suppress(TransportError):
                wanted = (await self._resolve(wanted)).id
            grants = tuple(grant for grant in grants if grant.user in (wanted, EVERYBODY))
        names = await self._names({grant.user for grant in grants} | {grant.by for grant in grants})
        rows = [self._row(grant, names) for grant in grants]
        await context.send("\n".join(rows) or _("nothing is granted or denied"))

    async def _answer(self, context: Context, work: Awaitable[str]) -> None:
        """Tell what came of it."""
        try:
            text = await work
        except UsageError as error:
            text = str(error)
        await context.send(text)

    async def _add(self, context: Context, invocation: Invocation, *, is_denial: bool) -> str:
        """Keep what was asked for, for the one contact that is meant; return what to say."""
        _ = self._translate
        asked = self._asked(invocation, is_denial=is_denial)
        sender = invocation.message.sender
        user, who = await self._contact(asked.user)
        if not is_denial and user in {admin.id for admin in context.admins}:
            raise UsageError(_("{who} is an admin, who needs no grant").format(who=who))
        now = self._now()
        if asked.until is not None and asked.until <= now:
            raise UsageError(_("it would have ended by now; nothing was done"))
        grant = Grant(
            user=user,
            operation=asked.operation,
            command=asked.command,
            room=asked.room,
            until=asked.until,
            is_denial=is_denial,
            by=sender.id,
            at=now,
        )
        self._refuse_to_lock_out(grant, sender)
        same = tuple(other for other in self._store.grants() if is_same(grant, other) and not has_ended(other, now))
        twin = next((other for other in same if other.until == grant.until), None)
        if twin is not None:
            return _("that stands there already: {row}").format(row=self._row(twin, {user: who}))
        with self._store.transaction():
            grant = self._store.add_grant(grant)
            self._record(grant, "denied" if is_denial else "granted", invocation)
        rows = [_("done, number {id}: {text}").format(id=grant.id, text=self._meaning(asked, who, is_denial=is_denial))]
        rows.extend(_("beside it stands {row}").format(row=self._row(other, {user: who})) for other in same)
        return "\n".join(rows)

    async def _remove(self, invocation: Invocation) -> str:
        """Forget the grant that is meant; return what to say."""
        named = self._named(invocation)
        with self._store.transaction():
            grant = self._store.remove_grant(named.id)
            if grant is not None:
                self._record(grant, "revoked", invocation)
        if grant is None:
            raise UsageError(self._gone(str(named.id)))
        return self._translate("this holds no more: {row}").format(
            row=self._row(grant, await self._names({grant.user}))
        )

    def _asked(self, invocation: Invocation, *, is_denial: bool) -> Asked:
        """Read what was typed; lengths of time count from when it was written, so that they stay what was confirmed."""
        return parse_grant(
            invocation.arguments,
            known=self._commands(),
            is_denial=is_denial,
            now=invocation.message.sent_at.astimezone(UTC),
            zone=self._zone,
            here=invocation.message.room,
            translate=self._translate,
        )

    def _named(self, invocation: Invocation) -> Grant:
        """Return the grant whose number was typed."""
        typed = " ".join(invocation.arguments)
        number = _NUMBER.fullmatch(unicodedata.normalize("NFKC", typed))
        if number is None:
            raise UsageError(self._translate("which one? Say `revoke` and a number; `grants` lists them"))
        grant = next((grant for grant in self._store.grants() if grant.id == int(number[1])), None)
        if grant is None:
            raise UsageError(self._gone(number[1]))
        return grant

    async def _contact(self, typed: str) -> tuple[str, str]:
        """Return the stable id of the one contact that is meant, and what to call it."""
        _ = self._translate
        if typed == EVERYBODY:
            return EVERYBODY, self._everybody()
        try:
            sender = await self._resolve(typed)
        except RejectedError as error:
            reason = visible(error.explain(_) if isinstance(error, ContactError) else str(error), one_line=True)
            raise UsageError(_("nothing was done: {reason}").format(reason=reason)) from None
        except TransportError as error:
            reason = visible(str(error), one_line=True)
            raise UsageError(
                _("nothing was done, the chat cannot be asked now: {reason}").format(reason=reason)
            ) from None
        check_id(sender.id, _, may_be_all=False)
        return sender.id, person_text(sender)

    def _refuse_to_lock_out(self, grant: Grant, sender: Sender) -> None:
        """Refuse a denial that would keep whoever gives it from taking it back."""
        if grant.is_denial and holds(grant, user=sender.id, operation=OWN, command=_REVOKE, room=None, now=self._now()):
            raise UsageError(
                self._translate(
                    "that would keep you yourself from `revoke`; on the server `logmonitor grant deny` does it"
                )
            )

    async def _names(self, users: Iterable[str]) -> dict[str, str]:
        """Return what to call users, as far as the chat knows them now."""
        names: dict[str, str] = {}
        for user in sorted(users)[:_LOOKED_UP]:
            with suppress(TransportError):
                names[user] = person_text(await self._resolve(user))
        return names

    def _row(self, grant: Grant, names: dict[str, str]) -> str:
        who = (
            self._everybody() if grant.user == EVERYBODY else names.get(grant.user, visible(grant.user, one_line=True))
        )
        by = names.get(grant.by, visible(grant.by, one_line=True))
        return describe(grant, who=who, by=by, now=self._now(), zone=self._zone, translate=self._translate)

    def _meaning(self, asked: Asked, who: str, *, is_denial: bool) -> str:
        return meaning(
            asked, who=who, is_denial=is_denial, known=self._commands(), zone=self._zone, translate=self._translate
        )

    def _everybody(self) -> str:
        return self._translate("everybody who writes to the bot")

    def _gone(self, number: str) -> str:
        return self._translate("there is no number {number}; `grants` lists them").format(number=number)

    def _record(self, grant: Grant, decision: str, invocation: Invocation) -> None:
        if self._audit is not None:
            self._audit.write(record_of(grant, decision, at=self._now(), message=invocation.message))
