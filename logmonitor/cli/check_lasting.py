"""What `check` tells of what lasts: the store with its grants, the audit, the key, who can give a second factor."""

from __future__ import annotations

import os
import shlex
import stat
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from logmonitor.audit import ANCHOR_KEY, ANCHOR_OWNER
from logmonitor.auditing.chain import parse_anchor
from logmonitor.auditing.reader import verify_audit
from logmonitor.channel.apprise_url import service_of
from logmonitor.cli.grant_desk import known_commands
from logmonitor.cli.row import Row, reason_of, user_name
from logmonitor.cli.store import room_row
from logmonitor.errors import (
    AuditError,
    ConfigurationError,
    ForeignStoreError,
    NewerStoreError,
    StoreError,
    StoreUnavailableError,
)
from logmonitor.grant import fits
from logmonitor.granting.text import EVERYBODY, covered, has_ended, what_text
from logmonitor.sealing import load_seal
from logmonitor.storage.lease_file import require_leases
from logmonitor.store import read_enrolled, read_grants, read_kept, set_aside_before

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from logmonitor.auditing.chain import Link
    from logmonitor.config import Config
    from logmonitor.grant import Grant
    from logmonitor.operation import Operation

_LISTED: Final = 8
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_WITHOUT_LEASE: Final = "until then every rescuer sends, so that each message comes several times"
_WITHOUT_STORE: Final = (
    "until then `logmonitor run` works without it: it rescues, and refuses whoever was granted something, what asks for"
    " a one-time code and what changes anything"
)


def lasting_rows(config: Config, operations: Sequence[Operation]) -> Iterator[Row]:
    """Look at what lasts; nothing is made, and nothing is sent."""
    enrolled: frozenset[str] | None = frozenset()
    store = config.bot.store
    if store is not None:
        yield from _set_aside_rows(store)
        try:
            enrolled, grants = read_enrolled(store), read_grants(store)
        except StoreError as error:
            enrolled = None
            yield Row(subject="store", text=str(error), remedy=_store_remedy(error, store))
        else:
            row = _place_row("store", store)
            yield row if row.remedy is None else replace(row, remedy=f"{row.remedy}; {_WITHOUT_STORE}")
            yield from _grant_rows(config, operations, grants)
        with suppress(OSError):
            room = room_row(store.parent)
            yield from () if room.remedy is None else (room,)
    yield from _audit_rows(config, is_anchored=bool(enrolled is not None and store is not None and store.exists()))
    if config.rescue is not None:
        yield _lease_row(config.rescue.lease)
    yield from _code_rows(config, enrolled)
    for channel in config.second_channels:
        text = f"leads over {service_of(channel.url)}; nothing was sent to try it"
        yield Row(subject=f"second channel of {channel.admin}", text=text)


def _lease_row(path: Path) -> Row:
    """Tell whether the file that several rescuers share can be used."""
    row = _place_row("lease", path)
    if row.remedy is None:
        try:
            require_leases(path)
        except StoreError as error:
            remedy = f"name another file as [rescue] lease, or {shlex.join(('mv', str(path), f'{path}.other'))}"
            row = Row(subject="lease", text=str(error), remedy=remedy)
    return row if row.remedy is None else replace(row, remedy=f"{row.remedy}; {_WITHOUT_LEASE}")


def _store_remedy(error: StoreError, path: Path) -> str:
    """Return what helps against a store that cannot be read, and what `run` does until then."""
    if isinstance(error, StoreUnavailableError):
        return f"let the user {user_name()} read and write it, on a disk that works; {_WITHOUT_STORE}"
    if isinstance(error, NewerStoreError):
        return "run the logmonitor that made it; until then `logmonitor run` does not start"
    if isinstance(error, ForeignStoreError):
        move = shlex.join(("mv", str(path), f"{path}.other"))
        return f"name another file as [bot] store, or {move}; until then `logmonitor run` does not start"
    return (
        "put a copy of it in its place, or else grant and enroll anew; until then `logmonitor run` refuses whoever was"
        " granted something, and what asks for a one-time code"
    )


def _set_aside_rows(path: Path) -> Iterator[Row]:
    """Tell of stores that were damaged and put aside."""
    for aside in set_aside_before(path):
        text = f"one that was damaged was set aside as {aside}, with all grants and enrolments in it"
        remedy = "grant and enroll anew, and move it elsewhere"
        yield Row(subject="store", text=text, remedy=remedy)


def _grant_rows(config: Config, operations: Sequence[Operation], grants: Sequence[Grant]) -> Iterator[Row]:
    """Tell of what names no command that there is: a denial of it keeps nobody from what it was meant for.

    What may name one of an operation that is left out is not told of.
    """
    known, now = known_commands(operations), datetime.now(UTC)
    lost = [
        grant
        for grant in grants
        if not has_ended(grant, now)
        and not covered(known, operation=grant.operation, command=grant.command)
        and not any(fits(grant.operation, broken.name) for broken in config.broken)
    ]
    for grant in lost:
        if grant.is_denial:
            who = "everybody" if grant.user == EVERYBODY else grant.user
            what = what_text(grant.operation, grant.command)
            text = f"{what}, denied to {who}, is no command here now; what has another name now is not denied"
            remedy = f"deny it by the name it has now, then: {_command(config, 'grant', 'revoke', str(grant.id))}"
            yield Row(subject=f"denial {grant.id}", text=text, remedy=remedy)
    given = [f"{what_text(grant.operation, grant.command)} ({grant.id})" for grant in lost if not grant.is_denial]
    if given:
        more = f" and {len(given) - _LISTED} more" if len(given) > _LISTED else ""
        text = f"what is no command here gives nothing: {', '.join(given[:_LISTED])}{more}"
        yield Row(subject="grants", text=text)


def _command(config: Config, *words: str) -> str:
    """Return a command of this program as it is typed."""
    return shlex.join(("logmonitor", *words, "--config", str(config.path)))


def _place_row(subject: str, path: Path) -> Row:
    """Tell whether a file can be written, or made where it is not there."""
    try:
        if path.exists():
            can_write = os.access(path, os.R_OK | os.W_OK) and os.access(path.parent, os.W_OK | os.X_OK)
            text = "can be written" if can_write else "cannot be written"
        elif not path.parent.is_dir():
            return Row(
                subject=subject,
                text=f"{path.parent}, in which {path.name} is to be, is no folder that exists",
                remedy=f"{shlex.join(('mkdir', '-p', str(path.parent)))}, or name a file elsewhere",
            )
        else:
            can_write = os.access(path.parent, os.W_OK | os.X_OK)
            text = "can be made" if can_write else "cannot be made"
    except OSError as error:
        can_write, text = False, f"cannot be looked at: {reason_of(error)}"
    remedy = f"let the user {user_name()} read and write it, and its folder, or name a file elsewhere"
    return Row(subject=subject, text=f"{path} {text}", remedy=None if can_write else remedy)


def _audit_rows(config: Config, *, is_anchored: bool) -> Iterator[Row]:
    """Tell whether the audit can be written, and whether anything was done to it."""
    path, store = config.security.audit, config.bot.store
    if path is None:
        yield Row(subject="audit", text="audit = false: nothing is put on record")
        return
    row = _audit_place_row(path)
    if row.remedy is not None:
        yield row
        return

    def anchor() -> Link | None:
        return None if store is None else parse_anchor(read_kept(store, ANCHOR_OWNER, ANCHOR_KEY))

    try:
        verdict = verify_audit(path, read_anchor=anchor if is_anchored else None)
    except (AuditError, StoreError) as error:
        yield Row(
            subject="audit", text=str(error), remedy="see that nothing else writes to it or moves it, check again"
        )
        return
    yield row
    wrong = [finding for finding in verdict.findings if not finding.is_remark]
    if wrong:
        place = wrong[0].file if wrong[0].line is None else f"{wrong[0].file}, line {wrong[0].line}"
        text = f"{place}: {wrong[0].text}" + (f", and {len(wrong) - 1} more" if len(wrong) > 1 else "")
        remedy = f"{_command(config, 'audit', '--verify')} tells all of it"
        yield Row(subject="audit", text=text, remedy=remedy)
    elif verdict.records:
        count = len(verdict.records)
        yield Row(
            subject="audit", text=f"its {count} records follow one upon the other" if count > 1 else "has 1 record"
        )


def _audit_place_row(path: Path) -> Row:
    """Tell whether the audit can be written, and by nobody else."""
    with suppress(OSError):
        status = path.lstat()
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no ordinary file"
            text = f"{path} is {kind}, so that nothing that changes anything is run"
            return Row(subject="audit", text=text, remedy="move it elsewhere, or name another file as [security] audit")
        if mode & _OTHERS:
            text = f"{path} has mode {mode:03o}, so that others than its owner can read or change what is on record"
            return Row(subject="audit", text=text, remedy=shlex.join(("chmod", "600", str(path))))
    return _place_row("audit", path)


def _code_rows(config: Config, enrolled: frozenset[str] | None) -> Iterator[Row]:
    """Tell who can give one-time codes, and whether the key to their secrets is there and nobody else's."""
    security, subject = config.security, "one-time codes"
    key_file = security.key_file
    if key_file is not None and (enrolled or security.key is not None or os.path.lexists(key_file)):
        try:
            load_seal(key=security.key, key_file=key_file)
        except ConfigurationError as error:
            yield Row(subject="key", text=str(error), remedy="until then no one-time code is accepted")
        else:
            text = f"{key_file} is there, for its owner alone" if security.key is None else "comes from [security] key"
            yield Row(subject="key", text=text)
    if enrolled is None:
        return
    if not enrolled:
        yield Row(subject=subject, text="nobody is enrolled")
        return
    names = dict.fromkeys(
        (*config.chat.admins, *(name for entry in config.operations for name in entry.config.admins or ()))
    )
    for name in (*names, *sorted(enrolled - names.keys())):
        text = "is enrolled" if name in enrolled else "is not enrolled; what asks for a one-time code is refused"
        yield Row(subject=f"{subject} of {name}", text=text)
