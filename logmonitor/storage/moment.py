"""Times as the store keeps them: whole milliseconds since 1970, UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from logmonitor.errors import StoreError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_milliseconds(moment: datetime, /) -> int:
    """Return what is kept of a time; parts of a millisecond are dropped.

    Raises:
        StoreError: it says no zone, or is too far off to come back.
    """
    if moment.utcoffset() is None:
        raise StoreError(f"bad time {moment.isoformat()!r}; expected one with its zone")
    try:
        return (moment.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError:
        raise StoreError(f"bad time {moment.isoformat()!r}; expected one of the years 1 to 9999, UTC") from None


def to_moment(milliseconds: object, /) -> datetime:
    """Return the time that was kept, aware UTC.

    Raises:
        StoreError: it is none.
    """
    if isinstance(milliseconds, int):
        try:
            return _EPOCH + timedelta(milliseconds=milliseconds)
        except OverflowError:
            pass
    raise StoreError(f"bad time {milliseconds!r} in the store; expected milliseconds since 1970")
