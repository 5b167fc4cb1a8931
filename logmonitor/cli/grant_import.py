"""`logmonitor grant import`: what an XBot permitted, shown row by row, then taken over whole or not at all."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from logmonitor.cli.grant_desk import ENGLISH
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, UsageError
from logmonitor.granting.date import until_text
from logmonitor.granting.text import check_id, covered, has_ended, is_same, parse_place, what_text
from logmonitor.granting.xbot import grant_of
from logmonitor.operation import Right
from logmonitor.storage.xbot_file import read_permissions

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from logmonitor.cli.grant_desk import Desk
    from logmonitor.grant import Grant
    from logmonitor.granting.xbot import Permission

_COLUMNS = ("row", "user", "what", "until", "")
_AT_ONCE = 50
_EXAMPLE = "--user alice=wxid_1a2b3c"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A permission, the grant that says the same, None if it cannot be read, and what becomes of it."""

    permission: Permission
    grant: Grant | None
    text: str
    is_new: bool = False


def import_permissions(desk: Desk, arguments: argparse.Namespace) -> int:
    """Show what there is, ask, and write it; return 0 if nothing is left to do, 1 otherwise."""
    users = _users(arguments.user)
    room = parse_place(arguments.room, is_denial=False, translate=ENGLISH)
    permissions = read_permissions(Path(arguments.path))
    lines = _lines(desk, permissions, users=users, room=room)
    unknown = sorted(users.keys() - {permission.user for permission in permissions})
    if unknown:
        raise UsageError(f"--user {unknown[0]!r}: nothing in {arguments.path} is permitted to that name")
    _show(desk, lines)
    bad = sum(line.grant is None for line in lines)
    new = [line.grant for line in lines if line.grant is not None and line.is_new]
    if bad and not arguments.skip_bad:
        print(
            f"logmonitor grant: {_counted(bad, 'row')} cannot be read, and nothing is imported; mend them, or say"
            " --skip-bad to leave them out",
            file=sys.stderr,
        )
        return 1
    if not new:
        print("nothing to import")
        return 0
    for grant in {grant.user: grant for grant in new}.values():
        desk.warn_of_name(grant)
    where = {"direct": "in direct messages", "*": "everywhere"}.get(room, f"in the room {room}")
    question = f"Grant {_counted(len(new), 'row')}, {visible(where, one_line=True)}, in {desk.store.path}?"
    if not arguments.yes and not _is_confirmed(question):
        print("nothing is imported")
        return 1
    for start in range(0, len(new), _AT_ONCE):  # a running bot waits for no more than some of them
        with desk.store.transaction():
            for grant in new[start : start + _AT_ONCE]:
                desk.add(grant, "granted")
    print(f"{_counted(len(new), 'grant')} imported; `logmonitor grant list` shows them")
    return 0


def _lines(desk: Desk, permissions: Sequence[Permission], *, users: Mapping[str, str], room: str) -> tuple[_Line, ...]:
    """Tell of each permission what becomes of it."""
    there = list(desk.store.grants())
    lines: list[_Line] = []
    for permission in permissions:
        try:
            grant = grant_of(permission, at=desk.now, by=desk.by, zone=desk.zone, room=room, users=users)
        except (UsageError, ConfigurationError) as error:
            lines.append(_Line(permission=permission, grant=None, text=f"cannot be read: {error}"))
            continue
        if has_ended(grant, desk.now):
            text, is_new = "has expired", False
        elif any(is_same(grant, other) and grant.until == other.until for other in there):
            text, is_new = "is there already", False
        else:
            text, is_new = _remark(desk, grant), True
            there.append(grant)
        lines.append(_Line(permission=permission, grant=grant, text=text, is_new=is_new))
    return tuple(lines)


def _remark(desk: Desk, grant: Grant) -> str:
    """Tell what is worth knowing of a grant that is new."""
    meant = covered(desk.known, operation=grant.operation, command=grant.command)
    if not any(command.right is Right.GRANT for _operation, command in meant):
        return "new, but gives nothing: no command here that can be granted has that name"
    return "new"


def _show(desk: Desk, lines: Sequence[_Line]) -> None:
    """Print the rows: as a table on a terminal, else one line each with tabs between."""
    rows = [
        (
            str(line.permission.row),
            repr(line.permission.user) if line.grant is None else line.grant.user,
            "" if line.grant is None else what_text(line.grant.operation, line.grant.command),
            ""
            if line.grant is None or line.grant.until is None
            else until_text(line.grant.until, zone=desk.zone, translate=ENGLISH),
            line.text,
        )
        for line in lines
    ]
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        for row in rows:
            print("\t".join(visible(cell, one_line=True) for cell in row))
        return
    table = Table(*_COLUMNS, box=None)
    for row in rows:
        table.add_row(*(Text(visible(cell, one_line=True)) for cell in row))
    console.print(table)


def _is_confirmed(question: str) -> bool:
    """Ask whoever sits at the terminal; nobody does where there is none."""
    if not sys.stdin.isatty():
        print("logmonitor grant: there is no terminal to confirm it on; say --yes", file=sys.stderr)
        return False
    try:
        return input(f"{question} [y/N] ").strip().casefold() in {"y", "yes"}
    except EOFError:
        print()
        return False


def _users(pairs: Sequence[str]) -> dict[str, str]:
    """Return stable ids by XBot's names."""
    users: dict[str, str] = {}
    for pair in pairs:
        name, separator, id_ = pair.partition("=")
        if not name or not separator or name in users:
            raise UsageError(f"bad --user {pair!r}; expected each name once, with its id, such as {_EXAMPLE}")
        check_id(id_, ENGLISH, may_be_all=False)
        users[name] = id_
    return users


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
