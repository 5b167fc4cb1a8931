"""What is said of alerts. Every line of a log stands behind `> `, so that none passes for a sentence of the program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.alert.alerting import Hold, shortened
from logmonitor.code_redaction import redact_codes
from logmonitor.display import visible
from logmonitor.redact import redact
from logmonitor.time_of_day import time_text
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, tzinfo

    from logmonitor.alert.alerting import Alert, Digest, Group, Now, Tally

KINDS_SHOWN: Final = 5
_FIRST_CHARACTERS: Final = 500
_LATER_CHARACTERS: Final = 200


def first_text(bot: str, alert: Alert, *, log: str | None, until: str | None, translate: Callable[[str], str]) -> str:
    """Return an alert of a bot; `log` is the name of its file where there are several.

    With `until` the alerts that follow are told together, at that time.
    """
    name = bot if log is None else f"{bot} ({visible(log, one_line=True)})"
    rows = [f"{name}:"]
    for index, line in enumerate(alert.lines):
        if index == alert.head and alert.left_out:
            rows.append(translate("… {count} more lines …").format(count=alert.left_out))
        rows.append(_quoted(line, _LATER_CHARACTERS if index else _FIRST_CHARACTERS))
    if until is not None:
        rows.append(translate("that were many; what follows is counted and told at {time}").format(time=until))
    return "\n".join(rows)


def digest_text(
    bot: str, digest: Digest, *, now: datetime, zone: tzinfo | None, translate: Callable[[str], str]
) -> str:
    """Return what was counted, the most frequent kinds with an example each."""
    forms = {
        None: translate("{bot}: ×{count} in {duration}"),
        Hold.MUTED: translate("{bot}: ×{count} in {duration}, while muted"),
        Hold.QUIET: translate("{bot}: ×{count} in {duration}, in quiet hours"),
    }
    length = duration_text((now - digest.began_at).total_seconds(), translate)
    rows = [forms[digest.hold].format(bot=bot, count=digest.count, duration=length)]
    timed = translate("{text}, {times}")
    shown, hidden = digest.groups[:KINDS_SHOWN], digest.groups[KINDS_SHOWN:]
    if len(shown) == 1 and digest.others is None:
        rows[0] = timed.format(text=rows[0], times=_span(shown[0], now=now, zone=zone))
        rows.extend(_examples(shown[0]))
        return "\n".join(rows)
    for group in shown:
        rows.append(timed.format(text=f"×{group.count}", times=_span(group, now=now, zone=zone)))
        rows.extend(_examples(group))
    count = sum(group.count for group in hidden)
    if digest.others is not None:
        rows.append(translate("×{count} of many other kinds").format(count=count + digest.others.count))
    elif hidden:
        rows.append(translate("×{count} of {kinds} other kinds").format(count=count, kinds=len(hidden)))
    return "\n".join(rows)


def status_text(
    tally: Tally, now: Now, *, hold: Hold | None, until: str | None, translate: Callable[[str], str]
) -> str:
    """Return the row that `status` shows; `until` is when what holds the alerts ends."""
    count = tally.waiting
    if hold is not None:
        forms = {
            Hold.MUTED: translate("alerts are muted until {time}; counted so far: {count}"),
            Hold.QUIET: translate("alerts wait for the end of the quiet hours at {time}; counted so far: {count}"),
        }
        return forms[hold].format(time=until, count=count)
    if not count or tally.ends_at is None:
        return translate("alerts are on")
    text = translate("alerts are on; counted, and told in {duration}: {count}")
    return text.format(duration=duration_text(tally.ends_at - now.monotonic, translate), count=count)


def _examples(group: Group) -> tuple[str, ...]:
    return tuple(_quoted(line, _FIRST_CHARACTERS) for line in group.example)


def _span(group: Group, *, now: datetime, zone: tzinfo | None) -> str:
    """Return when the first and the last of a group were seen."""
    first, last = (time_text(at, now=now, zone=zone) for at in (group.first_at, group.last_at))
    return first if first == last else f"{first} – {last}"


def _quoted(line: str, characters: int) -> str:
    """Return a line of a log, not all of a long one; a secret is taken out before it could be cut in two."""
    line = redact_codes(line)
    if len(line) > characters:
        line = shortened(redact(line), characters)
    return f"> {visible(line, one_line=True)}"
