"""What the keys of a configuration may hold, as types that pydantic checks; what they refuse is said in our words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from logmonitor.configuration.document import suggestion
from logmonitor.configuration.record import LONGEST_MAX_AGE
from logmonitor.errors import ConfigurationError
from logmonitor.lease import LONGEST_TERM
from logmonitor.operation import SecurityRule
from logmonitor.signing import parse_key


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("expected a text that is not empty, on one line")
    return text


def is_word(text: str) -> bool:
    """Tell whether a bot that is watched may have this name."""
    return bool(text) and all(character.isalnum() or character in "-_" for character in text)


def _word(text: str) -> str:
    if not is_word(text):
        raise ValueError("expected one word of letters, digits, '-' and '_'")
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        meant = suggestion(text, available_timezones())
        hint = f"did you mean {meant!r}?" if meant else "expected a name such as 'Asia/Shanghai'"
        raise ValueError(f"unknown time zone; {hint}") from None
    return text


def _admins(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("expected at least one, to be told of a loss")
    return _different(names)


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice[0]!r} stands there twice; expected each once")
    return names


def _twin_key(text: str) -> str:
    try:
        parse_key(text)
    except ConfigurationError as error:
        raise ValueError(str(error)) from None
    return text


def _log(text: str) -> str:
    if not text.strip() or "\0" in text:
        raise ValueError("expected the path of a log")
    return text


def _some(logs: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if not logs:
        raise ValueError("expected at least one log")
    return logs


def _folders(paths: Path | tuple[Path, ...]) -> Path | tuple[Path, ...]:
    given = (paths,) if isinstance(paths, Path) else paths
    if not given or any(not path.name or "\0" in str(path) for path in given):
        raise ValueError("expected the path of a folder, or several")
    return paths


def _file(path: Path | Literal[False]) -> Path | Literal[False]:
    if path is not False and (not path.name or "\0" in str(path)):
        raise ValueError("expected the path of a file")
    return path


def _path_or_false(value: object) -> object:
    if value is not False and not isinstance(value, str):
        raise ValueError("expected the path of a file in quotes, or false to keep no record")
    return value


def _some_rules(rules: tuple[SecurityRule, ...]) -> tuple[SecurityRule, ...]:
    if not rules:
        raise ValueError("expected at least one rule; rules are only ever added to those a command has, never taken")
    return rules


Text = Annotated[str, AfterValidator(_printable)]
Word = Annotated[str, AfterValidator(_word)]
Zone = Annotated[str, AfterValidator(_zone)]
Admins = Annotated[tuple[Text, ...], AfterValidator(_admins)]
Rooms = Annotated[tuple[Text, ...], AfterValidator(_different)]
TwinKey = Annotated[str, AfterValidator(_twin_key)]
Archives = Annotated[Path | tuple[Path, ...], AfterValidator(_folders)]
Log = Annotated[str, AfterValidator(_log)]
Logs = Annotated[Log | tuple[Log, ...], AfterValidator(_some)]
File = Annotated[Path, AfterValidator(_file)]
FileOrFalse = Annotated[Path | Literal[False], AfterValidator(_file), BeforeValidator(_path_or_false)]
Term = Annotated[float, Field(ge=1, le=LONGEST_TERM)]
After = Annotated[float, Field(ge=1, le=86400)]
MaxAge = Annotated[float, Field(ge=1, le=LONGEST_MAX_AGE)]
Rules = dict[str, Annotated[tuple[SecurityRule, ...], AfterValidator(_some_rules)]]
