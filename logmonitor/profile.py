"""Profiles: what the log lines of a bot family say, each family in one small TOML file that a user can copy and change.

Patterns are RE2 syntax. An event's or a sign's pattern has to match all of what stands behind the framing's prefix, or
all of a JSON record's message; trailing blanks are left out before. A message's pattern may end anywhere.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from logmonitor.errors import PatternError, ProfileError
from logmonitor.pattern import compile_pattern
from logmonitor.records import EventKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

AUTO: Final = "auto"
"""The name that no profile may have: it asks for the one that fits the log."""

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonFraming:
    """Where a JSON record holds its message and time: keys, joined by dots where they lead deeper."""

    message: str
    time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How a family frames a record.

    `prefix` is a pattern for what stands at a line's start, with the groups `time`, `level` and `name` as far as there
    are such; a line without it continues the record before. `time_format` is `iso` or as `strptime` takes it. With
    `json`, a line that is a JSON object is a record of its own, and any other line is plain text.
    """

    prefix: str = ""
    time_format: str | None = None
    strip_ansi: bool = True
    json: JsonFraming | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One pattern and what a line that matches it is.

    `kind` is None for a message or a sign. `where` are pairs of a JSON field and a pattern for all of it; `hint` is a
    text that every JSON line meant has in it, so that the others need not be parsed. `qr_from` tells where the content
    of a scan's QR stands: in the `line`, in the `next_line`, or as an image in the profile's `qr_file`. A message may
    stand `anywhere` in a line, whatever its framing.
    """

    kind: EventKind | None = None
    pattern: str | None = None
    where: tuple[tuple[str, str], ...] = ()
    hint: str | None = None
    qr_field: str | None = None
    qr_from: str = "line"
    anywhere: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A bot family.

    `messages` are the records that show a stranger's text, the group `text` where the text starts; `message_cut` is how
    many characters of it they show, None if that is not known. `text_after` is what stands right before the text, in
    the record or, where a name holds a newline, in a line that continues it. `signs` are typical lines that say
    nothing about a session. `genuine` is what all of a QR's payload has to match, else it is a stranger's. `qr_life`
    are seconds: of the first QR of a round, and of each that follows. `qr_file` is relative to the log's folder.
    Where `traffic_is_login`, traffic later than a loss by `margin` seconds proves a login.
    """

    name: str
    title: str
    framing: Framing = Framing()
    events: tuple[Rule, ...]
    messages: tuple[Rule, ...] = ()
    signs: tuple[Rule, ...] = ()
    message_cut: int | None = None
    text_after: str | None = None
    genuine: str | None = None
    qr_life: tuple[float, ...] = ()
    qr_file: str | None = None
    traffic_is_login: bool = False
    margin: float = 5.0


@lru_cache(maxsize=128)
def parse_profile(text: str, *, name: str, source: str) -> Profile:
    """Read a profile from TOML; `source` names its file in errors.

    Raises:
        ProfileError: the text is no TOML or no valid profile; it names file, key, value and what was expected.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{source}: no valid TOML: {error}") from None
    if name == AUTO:
        raise ProfileError(f"{source}: no profile may be called {AUTO!r}; expected another file name")
    try:
        return _profile(table, name)
    except _InvalidError as error:
        raise ProfileError(f"{source}: {error}") from None


class _InvalidError(Exception):
    """What is wrong with a value; the file is named by who reads it."""


def _profile(table: dict[str, Any], name: str) -> Profile:
    """Build a profile out of its TOML table."""
    _know(table, "", ("title", "framing", "event", "message", "sign", *_SCALARS))
    scalars = {key: _take(table, "", key, check) for key, check in _SCALARS.items() if key in table}
    framing = _framing(_maybe(table, "", "framing", _table) or {})
    has_json = framing.json is not None
    events = _rules(table, "event", has_json=has_json)
    if not events:
        raise _InvalidError("event is missing; expected at least one [[event]]")
    profile = Profile(
        name=name,
        title=_take(table, "", "title", _text),
        framing=framing,
        events=events,
        messages=_rules(table, "message", has_json=has_json),
        signs=_rules(table, "sign", has_json=has_json),
        **scalars,
    )
    if profile.qr_file is None and any(rule.qr_from == "file" for rule in events):
        raise _InvalidError("qr_file is missing; expected the image's name, since an [[event]] has qr_from = 'file'")
    if profile.message_cut is not None and not profile.messages:
        raise _InvalidError(f"message_cut is {profile.message_cut!r} without any [[message]]; expected at least one")
    if profile.text_after is not None and profile.message_cut is None:
        raise _InvalidError(f"text_after is {profile.text_after!r} without message_cut; expected both")
    return profile


def _framing(table: dict[str, Any]) -> Framing:
    """Build a framing out of `[framing]`."""
    _know(table, "framing.", [field.name for field in fields(Framing)])
    prefix = _maybe(table, "framing.", "prefix", _pattern("time", "level", "name")) or ""
    has_time = "time" in compile_pattern(prefix).groupindex
    time_format = _maybe(table, "framing.", "time_format", _time_format)
    if has_time != (time_format is not None):
        raise _InvalidError(
            "framing.time_format and the group 'time' of framing.prefix need each other; one is missing"
        )
    json: JsonFraming | None = None
    if "json" in table:
        paths = _take(table, "framing.", "json", _table)
        _know(paths, "framing.json.", [field.name for field in fields(JsonFraming)])
        _take(paths, "framing.json.", "message", _text)
        json = JsonFraming(**{key: _take(paths, "framing.json.", key, _text) for key in paths})
    strip_ansi = _maybe(table, "framing.", "strip_ansi", _flag) is not False
    return Framing(prefix=prefix, time_format=time_format, strip_ansi=strip_ansi, json=json)


def _rules(table: dict[str, Any], section: str, *, has_json: bool) -> tuple[Rule, ...]:
    """Build the rules of `[[event]]`, `[[message]]` or `[[sign]]`."""
    entries = _maybe(table, "", section, _tables) or ()
    return tuple(
        _rule(entry, f"{section}[{number}].", section, has_json=has_json) for number, entry in enumerate(entries, 1)
    )


def _rule(table: dict[str, Any], at: str, section: str, *, has_json: bool) -> Rule:
    """Build one rule; `at` is where it stands, for errors."""
    _know(table, at, _RULE_KEYS[section])
    pattern = _maybe(table, at, "pattern", _pattern(*_GROUPS[section]))
    where = _maybe(table, at, "where", _where) or ()
    qr_field = _maybe(table, at, "qr_field", _text)
    if pattern is None and not where and qr_field is None:
        raise _InvalidError(f"{at}pattern is missing; expected a pattern" + (" or where" if has_json else ""))
    for key in ("where", "qr_field", "hint"):
        if key in table and not has_json:
            raise _InvalidError(f"{at}{key} is about JSON records; expected [framing.json] to say how to read them")
    return Rule(
        kind=_take(table, at, "kind", _kind) if section == "event" else None,
        pattern=pattern,
        where=where,
        hint=_maybe(table, at, "hint", _text),
        qr_field=qr_field,
        qr_from=_maybe(table, at, "qr_from", _one_of("line", "next_line", "file")) or "line",
        anywhere=_maybe(table, at, "anywhere", _flag) or False,
        examples=_maybe(table, at, "example", _texts) or (),
    )


def _take(table: dict[str, Any], at: str, key: str, check: Callable[[Any], _Value]) -> _Value:
    """Take a checked value out of `table`."""
    if key not in table:
        raise _InvalidError(f"{at}{key} is missing; expected {_EXPECTED[check]}")
    try:
        return check(table[key])
    except PatternError as error:
        raise _InvalidError(f"{at}{key}: {error}") from None
    except ValueError as error:
        raise _InvalidError(f"{at}{key} is {table[key]!r}; expected {error}") from None


def _maybe(table: dict[str, Any], at: str, key: str, check: Callable[[Any], _Value]) -> _Value | None:
    """Take a checked value out of `table`, None if it is not there."""
    return _take(table, at, key, check) if key in table else None


def _know(table: Mapping[str, object], at: str, known: Iterable[str]) -> None:
    """Refuse a key that nothing reads."""
    known = tuple(known)
    for key in table:
        if key not in known:
            from logmonitor.configuration.document import expected  # noqa: PLC0415  # its look-alikes take 25 ms to import

            raise _InvalidError(f"unknown key {at + key!r}; {expected(key, known)}")


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a text that is not empty")
    return value


def _texts(value: object) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and text for text in texts):
        raise ValueError("a line, or a list of lines")
    return tuple(texts)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")  # noqa: TRY004  # one kind of error for all checks
    return value


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError("seconds above 0")
    return float(value)


def _lives(value: object) -> tuple[float, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= len(("first", "further")):
        raise ValueError("a list of seconds: the first QR's life, and that of each further one if it differs")
    return tuple(map(_seconds, value))


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a number of characters above 0")
    return value


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a table")  # noqa: TRY004  # one kind of error for all checks
    return value


def _tables(value: Any) -> tuple[dict[str, Any], ...]:  # noqa: ANN401  # it comes out of TOML
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise ValueError("tables, each under a heading in double brackets")
    return tuple(value)


def _kind(value: object) -> EventKind:
    return EventKind(_one_of(*EventKind)(value))


def _one_of(*choices: str) -> Callable[[object], str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"{', '.join(choices[:-1])} or {choices[-1]}")
        return str(value)

    return check


def _pattern(*groups: str) -> Callable[[object], str]:
    """Return a check for a pattern that has no named groups but `groups`."""

    def check(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError("a pattern")  # noqa: TRY004  # one kind of error for all checks
        for name in compile_pattern(value).groupindex:
            if name not in groups:
                names = " and ".join(groups)
                raise ValueError(f"no named group {name!r}: only {names} mean something here" if names else "no groups")
        return value

    return check


def _where(value: object) -> tuple[tuple[str, str], ...]:
    check = _pattern()
    return tuple((path, check(pattern)) for path, pattern in _table(value).items())


def _time_format(value: object) -> str:
    text = _text(value)
    if text != "iso" and "%H" not in text:
        raise ValueError("'iso' or a format such as '%Y-%m-%d %H:%M:%S'")
    try:
        datetime.strptime(  # noqa: DTZ007  # only tried, not kept
            datetime(2000, 2, 29, 12).strftime(f"%Y {text}" if "%Y" not in text else text),  # noqa: DTZ001
            f"%Y {text}" if "%Y" not in text else text,
        )
    except ValueError as error:
        raise ValueError(f"a format that strptime reads: {error}") from None
    return text


_SCALARS: Final[dict[str, Callable[[Any], Any]]] = {
    "message_cut": _count,
    "text_after": _text,
    "genuine": _pattern(),
    "qr_life": _lives,
    "qr_file": _text,
    "traffic_is_login": _flag,
    "margin": _seconds,
}
_EXPECTED: Final[dict[Any, str]] = {
    _text: "a text",
    _kind: f"{', '.join(EventKind)}",
}
_RULE_KEYS: Final = {
    "event": ("kind", "pattern", "where", "hint", "qr_field", "qr_from", "example"),
    "message": ("pattern", "anywhere", "example"),
    "sign": ("pattern", "where", "hint", "example"),
}
_GROUPS: Final = {"event": ("qr", "user"), "message": ("text",), "sign": ()}
