"""Lengths of time as a phone types them: `30m`, `2 h`, `1h30m`, `10分钟`."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_UNITS: Final = (
    (1.0, ("s", "sec", "secs", "second", "seconds", "秒", "秒钟")),
    (60.0, ("m", "min", "mins", "minute", "minutes", "分", "分钟")),
    (3600.0, ("h", "hr", "hrs", "hour", "hours", "小时", "个小时", "钟头", "个钟头")),
    (86400.0, ("d", "day", "days", "天", "日")),
)
_UNIT_SECONDS: Final = {name: seconds for seconds, names in _UNITS for name in names}
_PIECE: Final = (
    rf"(?P<count>[0-9]{{1,5}}(?:\.[0-9]{{1,3}})?|半)(?P<unit>{'|'.join(sorted(_UNIT_SECONDS, reverse=True))})"
)
_PIECES: Final = re.compile(rf"(?:{_PIECE.replace('?P<count>', '?:').replace('?P<unit>', '?:')}){{1,4}}")
_EACH: Final = re.compile(_PIECE)


def parse_duration(text: str) -> float | None:
    """Return how many seconds `text` means, None if it is no length of time above 0.

    A number without a unit is none: it could be minutes or seconds.
    """
    typed = "".join(unicodedata.normalize("NFKC", text).casefold().split())
    if not _PIECES.fullmatch(typed):
        return None
    seconds = sum(_count(piece["count"]) * _UNIT_SECONDS[piece["unit"]] for piece in _EACH.finditer(typed))
    return seconds if seconds > 0 else None


def _count(text: str) -> float:
    return 0.5 if text == "半" else float(text)
