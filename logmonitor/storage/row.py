"""Rows of the store's tables, and the records that they are; a row that is none is damage, and permits nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.enrolment import Enrolment
from logmonitor.errors import ConfigurationError, StoreError
from logmonitor.grant import Grant
from logmonitor.lockout import Lockout
from logmonitor.storage.moment import to_milliseconds, to_moment

if TYPE_CHECKING:
    from datetime import datetime

GRANTS: Final = "SELECT id, user, operation, command, room, until, is_denial, given_by, given_at FROM access_grant"
"""What asks for the rows of which `grant_of` makes grants."""

Value = int | str | bytes | None
Row = tuple[object, ...]


def grant_values(grant: Grant, /) -> tuple[Value, ...]:
    """Return what is kept of a grant besides its id."""
    return (
        grant.user,
        grant.operation,
        grant.command,
        grant.room,
        _milliseconds_or_none(grant.until),
        int(grant.is_denial),
        grant.by,
        to_milliseconds(grant.at),
    )


def grant_of(row: Row, /) -> Grant:
    """Return the grant whose id and values these are."""
    id_, user, operation, command, room, until, is_denial, by, at = row
    try:
        return Grant(
            id=number_of(id_),
            user=text_of(user),
            operation=text_of(operation),
            command=text_of(command),
            room=text_of(room),
            until=_moment_or_none(until),
            is_denial=bool(number_of(is_denial)),
            by=text_of(by),
            at=to_moment(at),
        )
    except ConfigurationError as error:
        raise StoreError(f"the store holds a grant that is none: {error}; remove grant {id_!r}") from error


def enrolment_of(row: Row, /) -> Enrolment:
    """Return the enrolment whose user, secret, time and number of recovery codes these are."""
    user, sealed, enrolled_at, left = row
    if not isinstance(sealed, bytes):
        raise StoreError(f"the store holds no sealed secret for {user!r}; expected bytes: enrol them again")
    return Enrolment(
        user=text_of(user), sealed=sealed, enrolled_at=to_moment(enrolled_at), recovery_codes_left=number_of(left)
    )


def lockout_values(lockout: Lockout, /) -> tuple[Value, ...]:
    """Return what is kept of it."""
    return lockout.failures, lockout.times, _milliseconds_or_none(lockout.until)


def lockout_of(row: Row, /) -> Lockout:
    """Return the lockout whose failures, times and end these are."""
    failures, times, until = row
    return Lockout(failures=number_of(failures), times=number_of(times), until=_moment_or_none(until))


def number_of(value: object, /) -> int:
    """Return the number that was kept.

    Raises:
        StoreError: it is none.
    """
    if not isinstance(value, int):
        raise StoreError(f"the store holds {value!r}; expected a number")
    return value


def text_of(value: object, /) -> str:
    """Return the text that was kept.

    Raises:
        StoreError: it is none.
    """
    if not isinstance(value, str):
        raise StoreError(f"the store holds {type(value).__name__}; expected a text")
    return value


def _milliseconds_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else to_milliseconds(moment)


def _moment_or_none(value: object) -> datetime | None:
    return None if value is None else to_moment(value)
