"""A profile made ready to read a log: which lines matter, and what each of them says."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, cast

from logmonitor.display import whole
from logmonitor.pattern import compile_pattern
from logmonitor.reading.clock import cycle_of, parse_stamp
from logmonitor.reading.drawing import ROW_PATTERN
from logmonitor.records import EventKind
from logmonitor.scan import Scanner, clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from logmonitor.pattern import Match, Regex
    from logmonitor.profile import Framing, JsonFraming, Profile, Rule
    from logmonitor.reading.clock import Stamp

UNKNOWN_START: Final = -1
"""Where the shown text starts in a message record that does not tell."""

_PADDING: Final = r"[\x00\x{feff}]*"
"""What may stand before a file's first record: a byte order mark, or the hole behind which a truncated file goes on."""

_SIGNATURE: Final = r"(?: lm1 \S+ \S+ \S+)?[ \t\r]*$"
_LITERAL: Final = re.compile(r"(?:[^\W_]|[ _:;,=<>@!/'\"#-]|\\[^\w\s])+")
_ATOM: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]")
_GROUP: Final = re.compile(r"\([^()]*\)")
_ESCAPE: Final = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one line says by one rule: the QR's text and the user's name as they stand in it, and its stamp."""

    rule: Rule
    qr: str | None = None
    user: str | None = None
    stamp: Stamp | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recogniser:
    """A rule's patterns: for a plain line, for a JSON record's message, and for each field of one.

    `literal` is a text that every line that the rule matches has in it. `time`, `qr` and `user` are the numbers of the
    groups in the pattern for a plain line.
    """

    rule: Rule
    literal: str
    line: Regex | None
    time: int | None
    qr: int | None
    user: int | None
    message: Regex | None
    where: tuple[tuple[str, Regex], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageStart:
    """The pattern of a message record, the number of its group `text` if it has one, and a text that it begins with."""

    regex: Regex
    group: int | None
    literal: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledProfile:
    """A profile, compiled. One thread may use it at a time.

    `marks` finds the lines of events and drawings, `traffic` those of traffic, `messages` the records that show a
    stranger's text; the last two are compiled where they are first asked for. After `cycle`
    seconds a stamp comes again, None if it tells the full date.
    """

    source: Profile
    marks: Scanner
    traffic: Callable[[], Scanner]
    messages: Callable[[], Scanner]
    prefix: Regex
    time: int | None
    cycle: float | None
    genuine: Regex | None
    message_starts: tuple[MessageStart, ...]
    recognisers: tuple[Recogniser, ...]
    traffic_recognisers: tuple[Recogniser, ...]

    @property
    def is_dated(self) -> bool:
        """Whether records tell their full date."""
        framing = self.framing
        return (framing.time_format is not None and self.cycle is None) or bool(framing.json and framing.json.time)

    @property
    def framing(self) -> Framing:
        """How the family frames a record."""
        return self.source.framing


def compile_profile(profile: Profile, *, without: Iterable[EventKind] = ()) -> CompiledProfile:
    """Compile `profile`; events of the kinds `without` are not looked for."""
    left_out = {*without}
    rules = [rule for rule in profile.events if rule.kind not in left_out]
    marks = [rule for rule in rules if rule.kind is not EventKind.TRAFFIC]
    traffic = [rule for rule in rules if rule.kind is EventKind.TRAFFIC]
    framing = profile.framing
    shown = message_patterns(profile)
    prefix = compile_pattern(f"^{_PADDING}(?:{framing.prefix})")
    return CompiledProfile(
        source=profile,
        marks=_scanner([*_marks_of(marks, framing), ROW_PATTERN], framing),
        traffic=cache(partial(_scanner, _marks_of(traffic, framing), framing)),
        messages=cache(partial(_scanner, shown, framing)),
        prefix=prefix,
        time=prefix.groupindex.get("time"),
        cycle=cycle_of(framing.time_format),
        genuine=compile_pattern(profile.genuine) if profile.genuine is not None else None,
        message_starts=tuple(map(_message_start, profile.messages, shown)),
        recognisers=recognisers_of(marks, framing),
        traffic_recognisers=recognisers_of(traffic, framing),
    )


def recognisers_of(rules: Sequence[Rule], framing: Framing) -> tuple[Recogniser, ...]:
    """Compile rules for `find`."""
    return tuple(_recogniser(rule, framing) for rule in rules)


def message_patterns(profile: Profile) -> list[str]:
    """Return patterns for the records that show a stranger's text."""
    framing = f"{_PADDING}(?:{profile.framing.prefix})"
    return [f"^{'.*?' if rule.anywhere else framing}(?:{rule.pattern})" for rule in profile.messages]


def patterns_of(rules: Sequence[Rule], framing: Framing) -> list[str]:
    """Return patterns that match at least the lines that `rules` do, and few others."""
    patterns = [line for rule in rules if (line := _line_pattern(rule, framing)) is not None]
    return patterns if framing.json is None else [*patterns, *dict.fromkeys(map(_json_pattern, rules))]


def _marks_of(rules: Sequence[Rule], framing: Framing) -> list[str]:
    """Return patterns to look through chunks with.

    They leave the prefix out: a pattern that begins like every line is looked at on every line, and one that does not
    only where its text is. `find` is told of some lines in vain.
    """
    patterns = [f"(?:{rule.pattern})" for rule in rules if _line_pattern(rule, framing) is not None]
    if framing.json is not None:
        patterns += dict.fromkeys(_hint_pattern(rule) if rule.hint else _json_pattern(rule) for rule in rules)
    return patterns


def find(text: str, recognisers: Sequence[Recogniser], framing: Framing) -> Finding | None:
    """Return what a line says, by the first rule that matches; None if it says nothing."""
    if framing.json is not None and (record := _json_record(text)) is not None:
        return _find_in_json(record, recognisers, framing.json)
    data = text.encode()
    for recogniser in recognisers:
        if recogniser.line is None or recogniser.literal not in text:
            continue
        if match := recogniser.line.match(data):
            return Finding(
                rule=recogniser.rule,
                qr=_group(match, recogniser.qr),
                user=_group(match, recogniser.user),
                stamp=parse_stamp(_group(match, recogniser.time), framing.time_format),
            )
    return None


def stamp_of(text: str, profile: CompiledProfile) -> Stamp | None:
    """Return a line's stamp; None if it has none, as a line that continues a record."""
    framing = profile.framing
    if framing.json is not None and (record := _json_record(text)) is not None:
        return parse_stamp(_field(record, framing.json.time), None)
    if framing.time_format is None:
        return None
    match = profile.prefix.match(text.encode())
    return parse_stamp(_group(match, profile.time), framing.time_format) if match else None


def text_start(text: str, profile: CompiledProfile) -> int | None:
    """Return where a message record's shown text starts, `UNKNOWN_START` if it does not tell; None for others."""
    for start in profile.message_starts:
        if start.literal in text and (match := start.regex.match(text.encode())):
            position = match.start(start.group) if start.group is not None else UNKNOWN_START
            return position if position < 0 else len(text.encode()[:position].decode())
    return None


def plain(raw: bytes, framing: Framing) -> str:
    """Return a line as patterns see it."""
    return clean_text(raw.removesuffix(b"\r"), strip_ansi=framing.strip_ansi)


def _scanner(patterns: Sequence[str], framing: Framing) -> Scanner:
    return Scanner(patterns, strip_ansi=framing.strip_ansi)


def _message_start(rule: Rule, pattern: str) -> MessageStart:
    regex = compile_pattern(pattern)
    return MessageStart(regex=regex, group=regex.groupindex.get("text"), literal=leading_literal(rule.pattern or ""))


def _recogniser(rule: Rule, framing: Framing) -> Recogniser:
    pattern = _line_pattern(rule, framing)
    line = None if pattern is None else compile_pattern(pattern)
    names = {} if line is None else line.groupindex
    return Recogniser(
        rule=rule,
        literal=leading_literal(rule.pattern or ""),
        line=line,
        time=names.get("time"),
        qr=names.get("qr"),
        user=names.get("user"),
        message=None if rule.pattern is None else compile_pattern(f"(?s)^(?:{rule.pattern}){_SIGNATURE}"),
        where=tuple((path, compile_pattern(f"(?s)^(?:{pattern})$")) for path, pattern in rule.where),
    )


def _group(match: Match, number: int | None) -> str | None:
    """Return a group's text out of a match on bytes, on which RE2 is three times as fast as on text."""
    if number is None:
        return None
    data = cast("bytes | None", match.group(number))
    return None if data is None else data.decode()


def leading_literal(pattern: str) -> str:
    """Return the plain text that a pattern begins with, empty where that cannot be told at a glance."""
    beginning = _LITERAL.match(pattern)
    if beginning is None:
        return ""
    literal, rest = beginning[0], _ATOM.sub("", pattern[beginning.end() :])
    while (outer := _GROUP.sub("", rest)) != rest:
        rest = outer
    if "|" in rest:
        return ""
    if pattern[beginning.end() :][:1] in {"?", "*", "{"}:
        literal = literal[: -2 if literal[-2:-1] == "\\" else -1]
    return _ESCAPE.sub(r"\1", literal)


def _line_pattern(rule: Rule, framing: Framing) -> str | None:
    """Return the pattern for a plain line; None for a rule that is about fields."""
    if rule.pattern is None or rule.where or rule.qr_field is not None:
        return None
    return f"^{_PADDING}(?:{framing.prefix})(?:{rule.pattern}){_SIGNATURE}"


def _json_pattern(rule: Rule) -> str:
    """Return a pattern for the JSON lines that a rule may be about."""
    return rf"^{_PADDING}\s*\{{.*{_hint_pattern(rule)}"


def _hint_pattern(rule: Rule) -> str:
    r"""Return a pattern for a rule's hint, its characters as they are or as JSON's `\u...` escapes."""
    return "".join(
        re.escape(character) if character.isascii() else f"(?:{character}|{_escaped(character)})"
        for character in rule.hint or ""
    )


def _escaped(character: str) -> str:
    """Return the pattern of a character's JSON escape, its digits in either case."""
    digits = json.dumps(character)[1:-1]
    return "".join(f"[{digit}{digit.upper()}]" if digit in "abcdef" else re.escape(digit) for digit in digits)


def _json_record(text: str) -> dict[str, Any] | None:
    """Return a line that is a JSON object, else None."""
    text = text.lstrip("\0\ufeff").lstrip()
    if not text.startswith("{"):
        return None
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _find_in_json(record: dict[str, Any], recognisers: Sequence[Recogniser], framing: JsonFraming) -> Finding | None:
    """Return what a JSON record says, by the first rule that matches."""
    message = _shown(_field(record, framing.message))
    for recogniser in recognisers:
        rule = recogniser.rule
        if any(not regex.search(_shown(_field(record, path))) for path, regex in recogniser.where):
            continue
        match = recogniser.message.search(message) if recogniser.message else None
        qr = _field(record, rule.qr_field)
        if (recogniser.message and not match) or (rule.qr_field is not None and not isinstance(qr, str)):
            continue
        groups = match.groupdict() if match else {}
        return Finding(
            rule=rule,
            qr=qr if isinstance(qr, str) else groups.get("qr"),
            user=groups.get("user"),
            stamp=parse_stamp(_field(record, framing.time), None),
        )
    return None


def _field(record: object, path: str | None) -> object:
    """Return the value a path leads to, through objects by key and lists by index; None if it leads nowhere."""
    if path is None:
        return None
    value = record
    for key in path.split("."):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return whole(value) if isinstance(value, str) else value


def _shown(value: object) -> str:
    """Return a JSON value as the text that a pattern sees; nothing for none, or for one nested too deep to be shown."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return whole(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return ""
