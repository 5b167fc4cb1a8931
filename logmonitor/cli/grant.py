"""`logmonitor grant`: who, besides the admins, may run what, said on the machine instead of in the chat."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from logmonitor.audit import ANCHOR_OWNER, Audit
from logmonitor.cli.configured import add_config_option, config_path
from logmonitor.cli.grant_desk import ENGLISH, Desk
from logmonitor.cli.grant_import import import_permissions
from logmonitor.cli.row import user_name
from logmonitor.config import build_operations, load
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, LogMonitorError, UsageError
from logmonitor.grant import Grant, holds
from logmonitor.granting.commands import OWN
from logmonitor.granting.date import parse_until
from logmonitor.granting.text import (
    EVERYBODY,
    check_id,
    covered,
    has_ended,
    is_same,
    meaning,
    parse_place,
    parse_what,
    record_of,
)
from logmonitor.store import Store

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config_option(parser)
    parser.epilog = (
        "A bot that runs goes by every change at once. USER is the stable id of a contact, which `logmonitor check` and"
        " the bot's own log tell, or '*' for everybody; WHAT is command, operation.command, 'operation.*' or '*'."
        " Exit codes: 0 done, 1 not done, 2 wrong usage or a bad configuration."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, summary, place in (
        ("add", "let USER run WHAT", "in direct messages"),
        ("deny", "keep USER from WHAT, whatever is granted", "everywhere"),
    ):
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        action.add_argument("user", metavar="USER", help="a stable id of the chat, or '*' for everybody")
        action.add_argument("what", metavar="WHAT", help="command, operation.command, 'operation.*' or '*'")
        action.add_argument(
            "--room", metavar="ROOM", help=f"a room's id, direct, or '*' for everywhere; default: {place}"
        )
        action.add_argument(
            "--until", metavar="DATE", help="2026-12-31, '2026-12-31 18:00', today, 7d, 12h; default: for ever"
        )
        add_config_option(action)
    revoke = actions.add_parser("revoke", help="take a grant or denial back", description="Take one back, for good.")
    revoke.add_argument("id", metavar="NUMBER", type=_number, help="its number, as `list` shows it")
    add_config_option(revoke)
    listing = actions.add_parser("list", help="show what is granted and denied", description="Show all, or a user's.")
    listing.add_argument("user", metavar="USER", nargs="?", help="only what speaks of this stable id")
    add_config_option(listing)
    importing = actions.add_parser(
        "import",
        help="take over the permissions of an XBot",
        description="Show what the local.db of an XBot permits, and take it over once that is confirmed. Its users are"
        " taken for stable ids of the chat; what has expired stays behind.",
    )
    importing.add_argument("path", metavar="local.db", help="the database of the XBot; it is only read")
    importing.add_argument("--yes", action="store_true", help="write without asking")
    importing.add_argument("--skip-bad", action="store_true", help="leave out rows that cannot be read")
    importing.add_argument("--room", metavar="ROOM", help="where the grants hold, as with `add`")
    importing.add_argument(
        "--user",
        metavar="NAME=ID",
        action="append",
        default=[],
        help="the stable id of a user, by the name that XBot has for it; may be said again",
    )
    add_config_option(importing)


def _number(text: str) -> int:
    """Take an argument for the number of a grant."""
    try:
        return int(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no number; expected one that `logmonitor grant list` shows") from None


def run(arguments: argparse.Namespace) -> int:
    """Make or show grants; return 0, 1 if it was not done, 2 for wrong usage or a bad configuration."""
    try:
        with _desk(arguments) as desk:
            match arguments.action:
                case "add" | "deny":
                    return _add(desk, arguments, is_denial=arguments.action == "deny")
                case "revoke":
                    return _revoke(desk, arguments.id)
                case "list":
                    return _list(desk, arguments.user)
                case _:
                    return import_permissions(desk, arguments)
    except LogMonitorError as error:
        print(f"logmonitor grant: {visible(str(error))}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError | UsageError) else 1


@contextmanager
def _desk(arguments: argparse.Namespace) -> Iterator[Desk]:
    """Open what a configuration names; what it lacks for one-time codes is no matter here."""
    config = load(config_path(arguments), is_enrolling=True)
    if config.bot.store is None:
        raise ConfigurationError(f"{config.path}: has no store, so that nothing granted would last")
    with Store(config.bot.store) as store:
        if store.set_aside is not None:
            print(
                f"logmonitor grant: the store was damaged and is set aside as {store.set_aside}; what was in it holds"
                " no more",
                file=sys.stderr,
            )
        yield Desk(
            config=config,
            store=store,
            audit=Audit(
                config.security.audit,
                anchor=store.view(ANCHOR_OWNER),
                secrets=config.secrets,
                transaction=store.transaction,
            ),
            operations=tuple(build_operations(config)),
            by=f"{user_name()} (command line)",
            now=datetime.now(UTC),
        )


def _add(desk: Desk, arguments: argparse.Namespace, *, is_denial: bool) -> int:
    """Keep one grant or denial, unless it stands there already."""
    check_id(arguments.user, ENGLISH)
    operation, command = parse_what(arguments.what, known=desk.known, is_denial=is_denial, translate=ENGLISH)
    until = arguments.until
    grant = Grant(
        user=arguments.user,
        operation=operation,
        command=command,
        room=parse_place(arguments.room, is_denial=is_denial, translate=ENGLISH),
        until=None if until is None else parse_until(until, now=desk.now, zone=desk.zone, translate=ENGLISH),
        is_denial=is_denial,
        by=desk.by,
        at=desk.now,
    )
    if not is_denial:
        _refuse_admin(desk, grant)
    desk.warn_of_name(grant)
    same = [other for other in desk.store.grants() if is_same(grant, other) and not has_ended(other, desk.now)]
    twin = next((other for other in same if other.until == grant.until), None)
    if twin is not None:
        print(f"nothing to do, it stands there already: {desk.row(twin)}")
        return 0
    kept = desk.add(grant, "denied" if is_denial else "granted")
    who = "everybody" if kept.user == EVERYBODY else kept.user
    text = meaning(kept, who=who, is_denial=is_denial, known=desk.known, zone=desk.zone, translate=ENGLISH)
    print(visible(f"{kept.id}: {text}", one_line=True))
    for other in same:
        print(f"beside it stands {desk.row(other)}")
    if is_denial and _locks_out(kept, desk.now):
        print("no admin can take this back in the chat: `logmonitor grant revoke` does", file=sys.stderr)
    return 0


def _revoke(desk: Desk, id_: int) -> int:
    """Take one back."""
    with desk.store.transaction():
        grant = desk.store.remove_grant(id_)
        if grant is not None:
            desk.audit.write(record_of(grant, "revoked", at=desk.now, user=desk.by))
    if grant is None:
        print(
            f"logmonitor grant: there is no number {id_}; `logmonitor grant list` shows those there are",
            file=sys.stderr,
        )
        return 1
    print(f"this holds no more: {desk.row(grant)}")
    return 0


def _list(desk: Desk, user: str | None) -> int:
    """Show all grants, or those that speak of one user."""
    rows = [desk.row(grant) for grant in desk.store.grants() if user is None or grant.user in (user, EVERYBODY)]
    print("\n".join(rows) or "nothing is granted or denied")
    return 0


def _refuse_admin(desk: Desk, grant: Grant) -> None:
    """Refuse a permission for what its user may run as an admin, of the chat or of the operation that is meant."""
    if grant.user in desk.config.chat.admins:
        raise UsageError(f"{grant.user!r} is an admin, who needs no grant")
    own = {operation.config.name or operation.name: operation.config.admins or () for operation in desk.operations}
    meant = {name for name, _command in covered(desk.known, operation=grant.operation, command=grant.command)}
    if all(grant.user in own.get(name, ()) for name in meant):
        raise UsageError(f"{grant.user!r} is an admin of {', '.join(sorted(meant))}, who needs no grant")


def _locks_out(grant: Grant, now: datetime) -> bool:
    """Tell whether a denial keeps everybody from `revoke`."""
    return grant.user == EVERYBODY and holds(grant, user="anybody", operation=OWN, command="revoke", room=None, now=now)
