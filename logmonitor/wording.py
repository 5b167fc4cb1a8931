"""Sentences about sessions, times and people, in the admin's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.display import visible
from logmonitor.records import SessionState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from logmonitor.config import BrokenOperation
    from logmonitor.records import Health, Sender, Session

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86400
_LARGER_UNITS: Final = ("KB", "MB", "GB", "TB")
_UNIT_STEP: Final = 1000  # not 1024, so that no number has four digits
_LONGEST_NAME: Final = 40
_MARKS: Final = dict.fromkeys(map(ord, ":：=＝,，<"), "·")
_QUOTES: Final = dict.fromkeys(map(ord, '“”„‟"＂〝〞〟❝❞″‶ʺ˝'), "'")


def duration_text(seconds: float, translate: Callable[[str], str]) -> str:
    """Return a length of time as a person says it, in its largest unit: `3 min`, `2 h`."""
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return translate("{count} s").format(count=whole)
    if whole < _HOUR:
        return translate("{count} min").format(count=whole // _MINUTE)
    if whole < 2 * _DAY:
        return translate("{count} h").format(count=whole // _HOUR)
    return translate("{count} days").format(count=whole // _DAY)


def size_text(size_bytes: int) -> str:
    """Return a size as a person says it: `512 B`, `12 KB`, `51.2 MB`, `1.5 GB`."""
    size, unit = float(size_bytes), "B"
    for larger in _LARGER_UNITS:
        if size < _UNIT_STEP:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit in {"B", "KB"} else f"{size:.1f} {unit}"


def session_text(session: Session, *, now: datetime, translate: Callable[[str], str]) -> str:
    """Return one line on where a bot's session stands and since when."""
    text = {
        SessionState.UNKNOWN: translate("not known yet"),
        SessionState.LOGGED_IN: translate("logged in"),
        SessionState.LOGGED_OUT: translate("logged out"),
        SessionState.AWAITING_SCAN: translate("waiting for a scan"),
        SessionState.SCANNED: translate("scanned, waiting for the phone's confirmation"),
    }[session.state]
    if session.state is SessionState.LOGGED_IN and session.user:
        text = translate("logged in as {user}").format(user=session.user)
    if session.since is not None:
        since = duration_text((now - session.since).total_seconds(), translate)
        text = translate("{state}, for {duration}").format(state=text, duration=since)
    return f"{session.watch}: {text}"


def standing_text(health: Health, sessions: Iterable[Session], *, waiting: int) -> str:
    """Return one line on how the chat and the bots are, for who runs the program."""
    chat = "chat up" if health.is_up else f"chat down{': ' * bool(health.reason)}{health.reason}"
    bots = (f"{session.watch}: {session.state.value.replace('_', ' ')}" for session in sessions)
    return "; ".join((chat, *bots, *([f"{waiting} messages waiting"] if waiting else [])))


def broken_text(broken: BrokenOperation, translate: Callable[[str], str]) -> str:
    """Return what to say of an operation that is left out."""
    text = translate("operation {name} fails and is left out: {reason}")
    return text.format(name=broken.name, reason=broken.reason)


def person_text(sender: Sender) -> str:
    """Return who somebody is, as `“Name” (id)`, or the id alone where there is no name.

    The name is the alias that the bot's account gave, else what its owner chose; `quoted` keeps it from passing for
    somebody else or for more of the sentence, and it is never without the stable id.
    """
    id_ = visible(sender.id, one_line=True)
    name = next(filter(None, map(_one_line, (sender.alias or "", sender.name or ""))), None)
    return id_ if name is None else f"{quoted(name)} ({id_})"


def quoted(name: str) -> str:
    """Return what somebody is called on one line, in quotes that it cannot close, at most 40 characters of it.

    Nothing in it marks what follows as a secret, which would be redacted with the rest of the sentence.
    """
    shown = _one_line(name).translate(_MARKS)
    if len(shown) > _LONGEST_NAME:
        shown = f"{shown[: _LONGEST_NAME - 1]}…"
    return f"“{shown}”"


def _one_line(name: str) -> str:
    return " ".join(visible(name, one_line=True).translate(_QUOTES).split())
