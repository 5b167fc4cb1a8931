"""What is said of a bot that lost its session, and below its login QR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.records import SessionState
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from logmonitor.records import Qr, Session


def qr_caption(bot: str, qr: Qr, *, is_unconfirmed: bool, now: datetime, translate: Callable[[str], str]) -> str:
    """Return which bot a QR is of, which file it is from, whether that is proved, how old it is, how long it lives.

    A signature covers a line, and so a payload that stands in it, but no image file.
    """
    _ = translate
    rows = [_("Login QR of {bot}").format(bot=bot)]
    if qr.log_path is not None:
        rows = [_("Login QR of {bot}, from {log}").format(bot=bot, log=qr.log_path.name)]
    if qr.verified and qr.image_path is None:
        rows.append(_("VERIFIED: signed by {bot}").format(bot=bot))
    if is_unconfirmed:
        rows.append(_("UNCONFIRMED: a stranger may have written that line; scan it only if you expect it"))
    if qr.expires is None:
        life = _("valid until the next one")
    else:
        life = _("valid for another {duration}").format(duration=_length(qr.expires, now, _))
    if qr.first_seen is not None:
        life = _("seen {duration} ago, {life}").format(duration=_length(now, qr.first_seen, _), life=life)
    else:
        life = _("of unknown age, {life}").format(life=life)
    return "\n".join((*rows, life, _("scan it from this screen with the camera of the bot's phone")))


def loss_text(session: Session, translate: Callable[[str], str]) -> str:
    """Return that a bot has lost its session, and what comes next."""
    if session.state is SessionState.LOGGED_OUT:
        text = translate("{bot} has been logged out; its login QR follows as soon as its log shows one")
    else:
        text = translate("{bot} has lost its session and asks for a scan")
    return text.format(bot=session.watch)


def unconfirmed_text(session: Session, translate: Callable[[str], str]) -> str:
    """Return that a stranger may have written a scan line."""
    path = session.unconfirmed.path if session.unconfirmed else None
    text = translate("unconfirmed scan line in {log}; send `qr {bot}` to see it")
    return text.format(log=path.name if path else "?", bot=session.watch)


def _length(end: datetime, start: datetime, translate: Callable[[str], str]) -> str:
    return duration_text((end - start).total_seconds(), translate)
