"""One TOML table against the keyword parameters of a function: every key known, every type right, nothing missing.

The types are checked by pydantic; the sentences are ours.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import methodcaller
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any, Final, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from logmonitor.configuration.document import Document, Finding, Location, alternatives, expected, suggestion
from logmonitor.errors import ConfigurationError, LogMonitorError

_EXPECTED: Final = {
    "string_type": "expected a text in quotes",
    "path_type": "expected a text in quotes",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "list_type": "expected a list",
    "tuple_type": "expected a list",
    "set_type": "expected a list",
    "frozen_set_type": "expected a list",
    "dict_type": "expected a table",
    "dataclass_type": "expected a table",
    "model_type": "expected a table",
    "missing": "expected the key {key!r} in it",
    "unexpected_keyword_argument": "unknown key",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "greater_than": "expected more than {gt}",
    "greater_than_equal": "expected at least {ge}",
    "less_than": "expected less than {lt}",
    "less_than_equal": "expected at most {le}",
    "too_short": "expected at least {min_length} in the list",
    "too_long": "expected at most {max_length} in the list",
    "string_too_short": "expected at least {min_length} characters",
    "string_too_long": "expected at most {max_length} characters",
}
_CHECK: Final = re.compile(r"(?:Value error|Assertion failed), ")
_CHOICES: Final = ("literal_error", "enum")
_WORDS: Final = re.compile(r"'([^']*)'")
_NAMES: Final = {"Path": Path, "Sequence": Sequence, "Mapping": Mapping}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A key that a table may hold, and what its value has to be."""

    name: str
    adapter: TypeAdapter[Any]
    is_required: bool


def parameters_of(function: Callable[..., object], *, positional: int = 0) -> tuple[Parameter, ...]:
    """Return the keyword parameters of `function`, which takes so many positional ones before them.

    Raises:
        ConfigurationError: it has other parameters, or one whose type a configuration cannot give.
    """
    read = _parameters_once if isinstance(function, FunctionType) else _parameters
    return read(function, positional)


def _parameters(function: Callable[..., object], positional: int) -> tuple[Parameter, ...]:
    try:
        given = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        raise ConfigurationError("has no signature that could be read; expected a function written in Python") from None
    by_position = [one for one in given if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    if len(by_position) < positional:
        raise ConfigurationError(f"takes {len(by_position)} positional parameters; expected {positional}")
    for one in given:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD) or one in by_position[positional:]:
            raise ConfigurationError(f"has the parameter {one.name!r}; expected keyword-only ones")
    namespace = _NAMES | vars(sys.modules.get(function.__module__, SimpleNamespace()))
    return tuple(_parameter(one, namespace) for one in given if one.kind is one.KEYWORD_ONLY)


_parameters_once = lru_cache(maxsize=128)(_parameters)
"""The same of a function, which can be hashed: a table that stands there for each of many bots is read by one."""


def bind(
    table: Mapping[str, object],
    parameters: Sequence[Parameter],
    *,
    location: Location,
    document: Document,
    folder: Path,
    is_open: bool = False,
) -> tuple[dict[str, Any], tuple[Finding, ...]]:
    """Check `table`, which stands at `location`; return the values that are right, and what is wrong with the others.

    Relative paths are taken from `folder`. An open table may hold keys that are not known.
    """
    findings: list[Finding] = []
    values: dict[str, Any] = {}
    known = {parameter.name: parameter for parameter in parameters}
    meant = {key: suggestion(key, known.keys() - table.keys()) for key in table.keys() - known.keys()}
    for key, value in table.items():
        place = (*location, key)
        parameter = known.get(key)
        if parameter is None:
            if not is_open:
                findings.append(Finding(location=place, text=_unknown_key(key, meant[key], known), shows_value=False))
        elif not document.is_unset(place):
            try:
                values[key] = _anchored(_validated(parameter, value), folder)
            except ValidationError as error:
                findings += _explained(error, value, place, document)
            except LogMonitorError as error:
                findings.append(Finding(location=place, text=document.scrub(str(error))))
            except ValueError:
                findings.append(Finding(location=place, text="expected a finite number"))
    for parameter in parameters:
        name = parameter.name
        if parameter.is_required and name not in table and name not in meant.values():
            findings.append(Finding(location=(*location, name), text=f"missing; {_expectation(parameter)}"))
    return values, tuple(findings)


def _parameter(one: inspect.Parameter, namespace: Mapping[str, object]) -> Parameter:
    if one.annotation is one.empty:
        raise ConfigurationError(f"has the parameter {one.name!r} without a type")
    try:
        hint = get_type_hints(
            SimpleNamespace(__annotations__={one.name: one.annotation}), dict(namespace), include_extras=True
        )[one.name]
        adapter: TypeAdapter[Any] = TypeAdapter(hint)
    except NameError as error:
        raise ConfigurationError(
            f"has the parameter {one.name!r} with a type that is not there at run time: {error}; "
            "expected its import outside of TYPE_CHECKING"
        ) from None
    except (PydanticUserError, TypeError, SyntaxError) as error:
        raise ConfigurationError(
            f"has the parameter {one.name!r} with a type that a configuration cannot give: {error}"
        ) from None
    return Parameter(name=one.name, adapter=adapter, is_required=one.default is one.empty)


def _validated(parameter: Parameter, value: object) -> object:
    """Check by the rules of JSON, which has no tuples and no paths either: a list is right where a tuple is meant."""
    text = json.dumps(value, allow_nan=False, default=methodcaller("isoformat"))
    return parameter.adapter.validate_json(text, strict=True)


def _anchored(value: object, folder: Path) -> object:
    """Make every path in a value absolute."""
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, list | tuple):
        return type(value)(_anchored(one, folder) for one in value)
    return value


def _unknown_key(key: str, meant: str | None, known: Mapping[str, object]) -> str:
    return f"unknown key; did you mean {meant!r}?" if meant else f"unknown key; {expected(key, known)}"


def _explained(error: ValidationError, value: object, place: Location, document: Document) -> list[Finding]:
    """Turn pydantic's errors about one value into findings: one for each spot, alternatives joined."""
    spots: dict[Location, list[str]] = {}
    for one in error.errors(include_url=False, include_input=False):
        context = {"key": next(reversed(one["loc"]), "")} | one.get("ctx", {})
        text = document.scrub(_expected(one["type"], one["msg"], context))
        spot, found = _walked(value, one["loc"])
        if one["type"] in _CHOICES and isinstance(found, str):
            meant = suggestion(found, _WORDS.findall(text))
            text += f"; did you mean {meant!r}?" if meant else ""
        spots.setdefault(spot, []).append(text)
    deepest = [spot for spot in spots if spot] or list(spots)
    return [Finding(location=place + spot, text=_joined(spots[spot])) for spot in deepest]


def _walked(value: object, location: Sequence[str | int]) -> tuple[Location, object]:
    """Follow a location into `value` by the steps that lead on, as others name a union's members; return the end."""
    spot: list[str | int] = []
    for step in location:
        leads_on = step in value if isinstance(value, dict) else isinstance(value, list) and step in range(len(value))
        if leads_on:
            value = value[step]  # type: ignore[index]  # what leads on can be indexed
            spot.append(step)
    return tuple(spot), value


def _expectation(parameter: Parameter) -> str:
    """Return what a value of this parameter has to be, as pydantic says it of one that is nothing at all."""
    try:
        parameter.adapter.validate_python(object())
    except ValidationError as error:
        return _joined([_expected(one["type"], one["msg"], one.get("ctx", {})) for one in error.errors()])
    return "expected a value"


def _expected(kind: str, message: str, context: Mapping[str, object]) -> str:
    if kind in _EXPECTED:
        plain = {name: f"{value:.15g}" if isinstance(value, float) else value for name, value in context.items()}
        return _EXPECTED[kind].format_map(plain)
    text = _CHECK.sub("", message).replace("Input should be", "expected", 1)
    return text[:1].lower() + text[1:]


def _joined(texts: Sequence[str]) -> str:
    """Join `expected a` and `expected b` to `expected a or b`."""
    different = list(dict.fromkeys(texts))
    return alternatives([different[0], *(text.removeprefix("expected ") for text in different[1:])])
