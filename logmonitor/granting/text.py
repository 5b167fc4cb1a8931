"""Grants in words: what an admin types to make one, and what one says."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Final

from logmonitor.auditing.record import AuditRecord
from logmonitor.command import Entry, suggest
from logmonitor.errors import UsageError
from logmonitor.grant import DIRECT, EVERYWHERE, Grant, fits
from logmonitor.granting.date import excerpt, parse_until, until_text
from logmonitor.operation import Right

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, tzinfo

    from logmonitor.operation import Command
    from logmonitor.records import Message

Known = tuple[str, "Command"]
"""A command and the name of the operation that offers it."""

EVERYBODY: Final = "*"
_WILDCARDS: Final = frozenset("*?")
_WHERE: Final = frozenset({"in", "在"})
_UNTIL: Final = frozenset({"until", "till", "for", "直到", "截至", "截止", "到", "至", "为期", "持续"})
_EVERYWHERE: Final = frozenset({"everywhere", "*", "任何地方", "所有地方", "到处"})
_DIRECT: Final = frozenset({"direct", "private", "私聊"})
_FOR_EVER: Final = frozenset({"forever", "ever", "永久", "永远"})
_HERE: Final = frozenset({"here", "这里", "本群"})
_ATTACHED: Final = re.compile(r"(?P<word>直到|截至|截止|到|至|为期|持续)(?P<date>[0-9今明后].*)")
_ENDING: Final = re.compile(r" ?(?:为止|止)\Z")
_WHAT: Final = re.compile(r"(?:(?P<operation>[\w*?-]+)\.)?(?P<command>[a-z0-9_*?-]+)")
_DASHES: Final = dict.fromkeys(map(ord, "‐‑‒–—―−"), "-")
_LISTED: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A grant as it was asked for: `user` as it was typed, so that it is not known yet who that is."""

    user: str
    operation: str
    command: str
    room: str = DIRECT
    until: datetime | None = None


def parse_grant(
    words: Sequence[str],
    *,
    known: Sequence[Known],
    is_denial: bool,
    now: datetime,
    zone: tzinfo | None,
    here: str | None = None,
    translate: Callable[[str], str],
) -> Asked:
    """Read `USER WHAT [in ROOM | direct | everywhere] [until DATE | for 7d]`, in any order behind WHAT.

    WHAT is `command`, `operation.command`, `operation.*` or `*`, of the `known` ones. ROOM is an id, or `here`, which
    is the room `here`. Where no place is said a permission is for direct messages, a denial for everywhere. Without a
    date it is for ever.

    Raises:
        UsageError: it is not written like this, names nothing that there is, or nothing that can be granted.
    """
    if len(words) < 2:  # noqa: PLR2004 - USER and WHAT
        raise UsageError(translate("expected: {usage}").format(usage=usage_text(translate, is_denial=is_denial)))
    user, what, *rest = words
    if not user.strip():
        raise UsageError(translate("{user} is nobody; expected one contact, or `*` for all").format(user=excerpt(user)))
    operation, command = parse_what(what, known=known, is_denial=is_denial, translate=translate)
    place, date = _clauses(rest, translate)
    return Asked(
        user=user,
        operation=operation,
        command=command,
        room=parse_place(place, is_denial=is_denial, here=here, translate=translate),
        until=None if date is None else parse_until(date, now=now, zone=zone, translate=translate),
    )


def usage_text(translate: Callable[[str], str], *, is_denial: bool) -> str:
    """Return what stands behind `grant` or `deny`; the place that need not be said is left out."""
    if is_denial:
        return translate("USER WHAT [in ROOM | direct] [until DATE | for 7d]")
    return translate("USER WHAT [in ROOM | everywhere] [until DATE | for 7d]")


def parse_what(
    what: str, *, known: Sequence[Known], is_denial: bool, translate: Callable[[str], str]
) -> tuple[str, str]:
    """Return operation and command, `*` for any: a permission names the operation where only one has the command.

    Raises:
        UsageError: it fits none of the `known` commands, or none that can be granted and it is no denial.
    """
    text = unicodedata.normalize("NFKC", what).translate(_DASHES).strip().removeprefix("/")
    match = _WHAT.fullmatch(text) or _WHAT.fullmatch(text.casefold())
    if match is None:
        raise UsageError(
            translate("{what} is no command; expected `command`, `operation.command`, `operation.*` or `*`").format(
                what=excerpt(what)
            )
        )
    operation = match["operation"] or "*"
    operation = next((name for name, _command in known if name.casefold() == operation.casefold()), operation)
    command = match["command"]
    meant = covered(known, operation=operation, command=command)
    if not meant:
        raise UsageError(_unknown(what, text, known if is_denial else _grantable(known), known, translate))
    if is_denial:
        return operation, command
    given = _grantable(meant)
    if not given:
        raise UsageError(_ungrantable(meant, known, translate))
    operations = {name for name, _command in given}
    if operation == "*" and not _WILDCARDS.intersection(command) and len(operations) == 1:
        operation = operations.pop()
    return operation, command


def parse_place(word: str | None, *, is_denial: bool, here: str | None = None, translate: Callable[[str], str]) -> str:
    """Return where a grant holds; `here` is the room it is said in.

    Without a word it is where less can be run: a permission holds in direct messages, a denial everywhere.

    Raises:
        UsageError: it is no room, or would be several.
    """
    if word is None:
        return EVERYWHERE if is_denial else DIRECT
    folded = unicodedata.normalize("NFKC", word).casefold()
    if folded in _EVERYWHERE:
        return EVERYWHERE
    if folded in _DIRECT:
        return DIRECT
    if folded in _HERE:
        if here is None:
            raise UsageError(translate("this is no room; expected a room's id, or `in here` said in the room"))
        word = here
    check_id(word, translate)
    return word


def covered(known: Sequence[Known], *, operation: str, command: str) -> tuple[Known, ...]:
    """Return those of the `known` commands of which a grant with these patterns speaks."""
    return tuple(one for one in known if fits(operation, one[0]) and fits(command, one[1].name))


def check_id(text: str, translate: Callable[[str], str], *, may_be_all: bool = True) -> None:
    """Refuse the id of a user or room that would mean others too: a grant is for one, or where it may be for all.

    Raises:
        UsageError: it is empty, or has a wildcard in it and is not just `*`, or may not be.
    """
    is_all = text == EVERYBODY and may_be_all
    if not text.strip() or (_WILDCARDS.intersection(text) and not is_all):
        raise UsageError(
            translate("{text} names nobody and no place; expected one id or name, or `*` for all").format(
                text=excerpt(text)
            )
        )


def what_text(operation: str, command: str) -> str:
    """Return what a grant is about as it would be typed."""
    if operation == "*":
        return command
    return f"{operation}.{command}"


def meaning(
    asked: Asked | Grant,
    *,
    who: str,
    is_denial: bool,
    known: Sequence[Known],
    zone: tzinfo | None,
    translate: Callable[[str], str],
) -> str:
    """Return in one sentence what a grant lets `who` do, or keeps them from, where and until when.

    Where it names no single command, those that it speaks of now are listed.
    """
    what = what_text(asked.operation, asked.command)
    meant = covered(known, operation=asked.operation, command=asked.command)
    meant = meant if is_denial else _grantable(meant)
    listed = _listing(meant, known, translate)
    if meant and what not in (listed, *(what_text(name, command.name) for name, command in meant)):
        what = translate("{what} (now: {listed})").format(what=what, listed=listed)
    text = (
        translate("{who} may not run {what}, {place}, {until}")
        if is_denial
        else translate("{who} may run {what}, {place}, {until}")
    )
    return text.format(
        who=who,
        what=what,
        place=_place_text(asked.room, translate),
        until=translate("for ever")
        if asked.until is None
        else translate("until {until}").format(until=until_text(asked.until, zone=zone, translate=translate)),
    )


def describe(
    grant: Grant, *, who: str, by: str, now: datetime, zone: tzinfo | None, translate: Callable[[str], str]
) -> str:
    """Return one line about a grant: its number, what it says, who gave it when, and whether it has ended."""
    text = meaning(grant, who=who, is_denial=grant.is_denial, known=(), zone=zone, translate=translate)
    given_at = grant.at.astimezone(zone).strftime("%Y-%m-%d %H:%M")
    row = translate("{id}: {text}; by {by}, {at}").format(id=grant.id, text=text, by=by, at=given_at)
    if has_ended(grant, now):
        return translate("{row} (ended)").format(row=row)
    return row


def record_of(
    grant: Grant, decision: str, *, at: datetime, message: Message | None = None, user: str = ""
) -> AuditRecord:
    """Return what the audit keeps of a change of `grant`: asked for in a `message`, or by a `user` of the machine."""
    reason = meaning(grant, who=grant.user, is_denial=grant.is_denial, known=(), zone=UTC, translate=str)
    if message is None:
        return AuditRecord(at=at, decision=decision, user=user, reason=reason, grant=grant.id)
    return AuditRecord(
        at=at,
        decision=decision,
        user=message.sender.id,
        name=message.sender.alias or message.sender.name,
        conversation=message.conversation,
        room=message.room,
        message=message.id,
        reason=reason,
        grant=grant.id,
    )


def has_ended(grant: Grant, now: datetime) -> bool:
    """Tell whether a grant holds no more, whatever it says."""
    return grant.until is not None and grant.until <= now


def is_same(one: Grant, other: Grant) -> bool:
    """Tell whether two grants say the same, but for until when."""
    return (one.user, one.operation, one.command, one.room, one.is_denial) == (
        other.user,
        other.operation,
        other.command,
        other.room,
        other.is_denial,
    )


def _clauses(words: Sequence[str], translate: Callable[[str], str]) -> tuple[str | None, str | None]:
    """Return the place and the date among the words behind WHAT, each None where it is not said."""
    place: str | None = None
    date: list[str] | None = None
    rest = list(words)
    while rest:
        word = unicodedata.normalize("NFKC", rest.pop(0))
        attached = _ATTACHED.fullmatch(word)
        if attached:
            word, rest = attached["word"], [attached["date"], *rest]
        word = word.casefold()
        if word in _WHERE and rest and place is None:
            place = rest.pop(0)
        elif word in _EVERYWHERE | _DIRECT and place is None:
            place = word
        elif (word in _FOR_EVER or word in _UNTIL) and date is None:
            date = [word] if word in _FOR_EVER else []
            while rest and not _begins_clause(rest[0]):
                date.append(rest.pop(0))
        else:
            raise UsageError(
                translate(
                    "{word} is not understood there;"
                    " expected `in ROOM`, `direct`, `everywhere`, `until DATE` or `for 7d`"
                ).format(word=excerpt(word))
            )
    if date is None or (len(date) == 1 and date[0].casefold() in _FOR_EVER):
        return place, None
    return place, _ENDING.sub("", " ".join(date))


def _begins_clause(word: str) -> bool:
    return word.casefold() in _WHERE | _EVERYWHERE | _DIRECT | _UNTIL


def _place_text(room: str, translate: Callable[[str], str]) -> str:
    if room == DIRECT:
        return translate("in direct messages")
    return translate("everywhere") if room == EVERYWHERE else translate("in the room {room}").format(room=room)


def _grantable(known: Sequence[Known]) -> tuple[Known, ...]:
    """Return those that a grant gives: neither what is for admins whatever is granted, nor what is for anyone."""
    return tuple(one for one in known if one[1].right is Right.GRANT)


def _unknown(
    what: str, text: str, known: Sequence[Known], every: Sequence[Known], translate: Callable[[str], str]
) -> str:
    """Tell that there is no such command, and which of the `known` ones `text` may have meant."""
    if not known:
        return translate("{what} is no command that can be granted; there is none").format(what=excerpt(what))
    folded = text.casefold()
    operation, _dot, command = folded.rpartition(".")
    among = [one for one in known if one[0].casefold() in (operation, folded)] or known
    is_operation = any(name.casefold() == folded for name, _command in among)
    alike = () if is_operation else suggest(command, [_entry(one) for one in among])
    if alike:
        suggested = [name for meant in alike for name in _names([one for one in among if one[1].name == meant], every)]
        return translate("{what} fits no command that can be meant; did you mean {suggestions}?").format(
            what=excerpt(what), suggestions=", ".join(map(repr, dict.fromkeys(suggested)))
        )
    return translate("{what} fits no command that can be meant; expected one of: {listed}").format(
        what=excerpt(what), listed=_listing(among, every, translate)
    )


def _ungrantable(meant: Sequence[Known], known: Sequence[Known], translate: Callable[[str], str]) -> str:
    """Tell why nothing of what is meant can be granted, and what can be instead."""
    names = _listing(meant, known, translate)
    if all(command.right is Right.ANYONE for _name, command in meant):
        return translate("anyone may run {what} as it is").format(what=names)
    grantable = _grantable(known)
    if not grantable:
        return translate("{what} is for admins alone, whatever is granted; nothing else can be granted").format(
            what=names
        )
    return translate("{what} is for admins alone, whatever is granted; expected one of: {listed}").format(
        what=names, listed=_listing(grantable, known, translate)
    )


def _entry(known: Known) -> Entry:
    operation, command = known
    return Entry(operation=operation, watch=None, command=command)


def _names(commands: Sequence[Known], every: Sequence[Known]) -> list[str]:
    """Return what to type for `commands`: the name, and its operation where several have a command so named."""
    owners: dict[str, set[str]] = {}
    for operation, command in every:
        owners.setdefault(command.name, set()).add(operation)
    return [
        command.name if len(owners[command.name]) == 1 else what_text(operation, command.name)
        for operation, command in commands
    ]


def _listing(commands: Sequence[Known], every: Sequence[Known], translate: Callable[[str], str]) -> str:
    """List the names of `commands`, and how many more there are than fit a line."""
    names = list(dict.fromkeys(_names(commands, every)))
    listed = ", ".join(names[:_LISTED])
    if len(names) <= _LISTED:
        return listed
    return translate("{listed} and {count} more").format(listed=listed, count=len(names) - _LISTED)
