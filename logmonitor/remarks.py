"""What there is to say of a bot's log besides its session: what was lost, refused, not understood, or is not there."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from logmonitor import throttle
from logmonitor.display import visible
from logmonitor.language import translation
from logmonitor.records import NoticeKind
from logmonitor.refusal import Refusals, note, reason_text, refusal_rows, tell
from logmonitor.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logmonitor.clock import Clock
    from logmonitor.records import Event, Notice

_log = logging.getLogger(__name__)
_TROUBLES: Final = 3
_GAP_SECONDS: Final = 600.0
_LOUD: Final = frozenset(
    {NoticeKind.GAP, NoticeKind.LONG_LINE, NoticeKind.MISSING, NoticeKind.UNREADABLE, NoticeKind.POLLING}
)


class Remarks:
    """What was noticed since the start."""

    def __init__(self, watch: str, *, language: str, report: Callable[[str], None], clock: Clock) -> None:
        """Speak of the bot `watch`; `report` tells the admins, in `language`, of lines that nobody will ever read."""
        self._watch = watch
        self._translate = translation(language)
        self._report = report
        self._clock = clock
        self._lost_bytes = 0
        self._gaps = 0
        self._gap_reports = Throttle(limit=3, period=_GAP_SECONDS)
        self._passed_over = 0
        self._refusals = Refusals()

    def heed(self, notice: Notice) -> None:
        """Tell of what a follower has to say."""
        level = logging.WARNING if notice.kind in _LOUD else logging.INFO
        _log.log(level, "%s: %s: %s", self._watch, notice.path, notice.detail)
        self._lost_bytes += notice.lost_bytes or 0
        if notice.kind is not NoticeKind.GAP:
            return
        self._gaps += 1
        self._gap_reports, is_admitted = throttle.admit(self._gap_reports, self._clock.monotonic())
        if is_admitted:
            path = visible(notice.path.name, one_line=True)
            if notice.lost_bytes is None:
                text = self._translate("{bot}: part of its log {log} is lost and was never read: {reason}")
            else:
                text = self._translate(
                    "{bot}: at least {count} bytes of its log {log} are lost and were never read: {reason}"
                )
            self._report(text.format(bot=self._watch, log=path, count=notice.lost_bytes, reason=notice.detail))

    def tell_history_is_lost(self, reason: str) -> None:
        """Tell that what was kept of the bot cannot be read."""
        text = self._translate(
            "{bot}: what is kept of it cannot be used; what happened while nobody watched may not be told: {reason}"
        )
        self._report(text.format(bot=self._watch, reason=reason))

    def note_failure(self, error: Exception) -> None:
        """Tell of what could not be understood."""
        _log.error("%s: passing over what could not be understood", self._watch, exc_info=error)
        self._passed_over += 1

    def note_event(self, event: Event) -> None:
        """Count an event that is refused."""
        self._refusals = note(self._refusals, event)

    def warn(self) -> None:
        """Tell the operator why lines are refused; what they say is nobody's business here."""
        self._refusals, news = tell(self._refusals)
        for refusal in news:
            _log.warning("%s: refused a session line: %s", self._watch, reason_text(refusal, str))

    def rows(
        self, troubles: Sequence[Notice], *, why_no_profile: str, translate: Callable[[str], str]
    ) -> tuple[str, ...]:
        """Return what an admin should know; `troubles` are the logs that bring nothing now."""
        rows = _trouble_rows(troubles, translate)
        if why_no_profile:
            rows.append(translate("its log is not understood: {reason}").format(reason=why_no_profile))
        if self._lost_bytes:
            rows.append(
                translate("at least {count} bytes of its log were lost to a rotation").format(count=self._lost_bytes)
            )
        elif self._gaps:
            rows.append(translate("parts of its log were lost to a rotation: {count}").format(count=self._gaps))
        if self._passed_over:
            text = translate("{count} pieces of its log could not be understood; the log of logmonitor tells more")
            rows.append(text.format(count=self._passed_over))
        return (*rows, *refusal_rows(self._refusals, translate))


def _trouble_rows(troubles: Sequence[Notice], translate: Callable[[str], str]) -> list[str]:
    """Tell which logs bring nothing, as long as that holds."""
    rows = []
    for trouble in troubles[:_TROUBLES]:
        path = visible(str(trouble.path), one_line=True)
        if trouble.kind is NoticeKind.MISSING:
            rows.append(translate("its log is not there: {path}").format(path=path))
        else:
            row = translate("its log cannot be read: {path}: {reason}")
            rows.append(row.format(path=path, reason=trouble.detail))
    if len(troubles) > _TROUBLES:
        row = translate("{count} more of its logs are not there, or cannot be read")
        rows.append(row.format(count=len(troubles) - _TROUBLES))
    return rows
