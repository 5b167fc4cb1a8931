"""A TOML document whose texts take `${NAME}` from the environment, and the sentences about what is wrong in it.

What came from the environment is never shown: a sentence quotes the document as it was written, without its secrets.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Final

from rapidfuzz.distance import OSA
from rapidfuzz.process import extractOne

from logmonitor.errors import ConfigurationError
from logmonitor.redact import REDACTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Location = tuple[str | int, ...]

_VARIABLE: Final = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<broken>\$\{[^}]*\}?)")
_SYNTAX: Final = re.compile(
    r"(?P<reason>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SECRET_KEY: Final = re.compile(r"token|secret|password|(?:^|_)key$", re.IGNORECASE)
_OPEN: Final = ("security", "rules")
"""Below this place a key is a command's name, which makes no secret of what it holds."""
_SECRET_PLACES: Final = (("second_channel", "url"), ("fallback", "url"))
_HIDDEN: Final = REDACTED
_SHORTEST_SECRET: Final = 4
_SHOWN_CHARACTERS: Final = 80
_LISTED: Final = 12
_LIKENESS: Final = 0.6
_PREFIX_CHARACTERS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong at one place of a document; `location` leads there from its root, indexes 0-based.

    Its value is shown beside `text` where there is one that is no table, unless `shows_value` is False.
    """

    location: Location
    text: str
    shows_value: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A TOML document: as it was `written`, and its `values` with the environment's put in.

    `unset` are the places whose variables could not be had. `variables` are pairs of a value from the environment and
    the `${NAME}` that stands for it.
    """

    name: str
    written: Mapping[str, object]
    values: Mapping[str, object]
    unset: frozenset[Location] = frozenset()
    variables: tuple[tuple[str, str], ...] = ()

    def scrub(self, text: str) -> str:
        """Put `${NAME}` back where `text`, which others wrote, quotes what came from the environment; on one line.

        A secret that stands in the document itself becomes `[redacted]`.
        """
        forms = {form: _HIDDEN for secret in self.secrets() for form in _quoted_forms(secret)}
        forms |= {form: name for value, name in self.variables for form in _quoted_forms(value)}
        if forms:
            longest_first = sorted(forms, key=len, reverse=True)
            text = re.sub("|".join(map(re.escape, longest_first)), lambda match: forms[match[0]], text)
        return " ".join(text.split())

    def secrets(self) -> tuple[str, ...]:
        """Return the texts whose key names a secret, wherever they came from; those of a few letters are none."""
        texts = {text for location, text in _texts(self.values) if _is_secret(location) and not self.is_unset(location)}
        return tuple(sorted(text for text in texts if len(text) >= _SHORTEST_SECRET))

    def plain_secrets(self) -> tuple[str, ...]:
        """Return the keys of the secrets that stand in the document itself, as a reader of TOML says them."""
        return tuple(
            self._place(location)
            for location, text in _texts(self.written)
            if text and _is_secret(location) and not any(match["name"] for match in _VARIABLE.finditer(text))
        )

    def part(self, holds: Callable[[Location], bool], /) -> Document:
        """Return the document with those of its tables and of their keys that `holds` is true of."""

        def kept(tables: Mapping[str, object]) -> dict[str, object]:
            return {
                name: {key: value for key, value in table.items() if holds((name, key))}
                if isinstance(table, dict)
                else table
                for name, table in tables.items()
                if holds((name,))
            }

        unset = frozenset(place for place in self.unset if holds(place[:1]) and holds(place))
        return replace(self, written=kept(self.written), values=kept(self.values), unset=unset)

    def is_unset(self, location: Location) -> bool:
        """Tell whether something at or below `location` could not be had from the environment."""
        return any(place[: len(location)] == location for place in self.unset)

    def sentence(self, finding: Finding) -> str:
        """Return a finding as one line: file, key, value and what was expected."""
        place = self._place(finding.location)
        value = _found(self.written, finding.location) if finding.shows_value else None
        shown = (
            ""
            if value is None or isinstance(value, dict) or _is_tables(value)
            else f" = {_shown(value, finding.location)}"
        )
        return ": ".join(part for part in (self.name, place + shown, finding.text) if part)

    def error(self, findings: Iterable[Finding]) -> ConfigurationError:
        """Return the error that lists every finding on a line of its own."""
        return ConfigurationError("\n".join(map(self.sentence, findings)))

    def _place(self, location: Location) -> str:
        """Return a location as a reader of TOML says it: `[[watch]] #2 profile`."""
        if not location:
            return ""
        top = _found(self.written, location[:1])
        names = [_key(str(location[0]))]
        while isinstance(top, dict) and isinstance(_found(self.written, location[: len(names) + 1]), dict):
            if len(names) == len(location):
                break
            names.append(_key(str(location[len(names)])))
        name = ".".join(names)
        is_key = len(location) == 1 and not isinstance(top, dict)
        words = [f"[[{name}]]" if _is_tables(top) else name if is_key else f"[{name}]"]
        words += [f"#{step + 1}" if isinstance(step, int) else _key(step) for step in location[len(names) :]]
        return " ".join(words)


def parse(text: str, *, name: str, environ: Mapping[str, str]) -> tuple[Document, tuple[Finding, ...]]:
    """Read a TOML text and put the environment's values in; `$${` stands for a literal `${`.

    Raises:
        ConfigurationError: it is not TOML; the text names line and column.
    """
    try:
        written = tomllib.loads(text)
    except RecursionError:
        raise ConfigurationError(f"{name}: not valid TOML: nested too deeply") from None
    except ValueError as error:
        raise ConfigurationError(f"{name}: {_syntax_sentence(str(error), text)}") from None
    findings: list[Finding] = []
    variables: dict[str, str] = {}
    values = _expanded(written, (), environ, variables, findings)
    document = Document(
        name=name,
        written=written,
        values=values if isinstance(values, dict) else {},
        unset=frozenset(finding.location for finding in findings),
        variables=tuple((environ[name], reference) for name, reference in variables.items()),
    )
    return document, tuple(findings)


def variables_in(text: str) -> tuple[str, ...]:
    """Return the names of the environment variables that a TOML text takes, each once; none where it is not TOML."""
    try:
        written = tomllib.loads(text)
    except (ValueError, RecursionError):
        return ()
    names = (match["name"] for _, value in _texts(written) for match in _VARIABLE.finditer(value))
    return tuple(dict.fromkeys(name for name in names if name))


def suggestion(word: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `word` was most likely meant to be, None if none is near."""
    known = sorted(choices)
    folded = word.casefold()
    containing = [choice for choice in known if folded in choice.casefold()]
    if len(folded) >= _PREFIX_CHARACTERS and containing:
        return min(containing, key=len)
    best = extractOne(word, known, scorer=OSA.normalized_similarity, processor=str.casefold, score_cutoff=_LIKENESS)
    return None if best is None else best[0]


def expected(word: str, choices: Iterable[str], *, other: str | None = None) -> str:
    """Return what stands behind `unknown ...`: the choice that was meant, else all of them and `other`."""
    known = sorted(choices)
    meant = suggestion(word, known)
    if meant is not None:
        return f"did you mean {meant!r}?"
    listed = [*map(repr, known[:_LISTED]), *(["..."] if len(known) > _LISTED else []), *([other] if other else [])]
    return f"expected {alternatives(listed)}" if listed else "there is none"


def alternatives(words: Iterable[str]) -> str:
    """Return `a, b or c`."""
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _syntax_sentence(error: str, text: str) -> str:
    """Turn the parser's error into a sentence that leads with the position."""
    parts = _SYNTAX.fullmatch(error)
    if parts is None:
        return f"not valid TOML: {_lowered(error)}"
    line = parts["line"] or text.count("\n") + 1
    column = parts["column"] or len(text) - text.rfind("\n")
    return f"line {line}, column {column}: not valid TOML: {_lowered(parts['reason'])}"


def _quoted_forms(value: str) -> tuple[str, ...]:
    """Return `value` as it may stand in another's message: plain, or escaped by `repr` or JSON."""
    escaped = repr(f"{value}'\"")[1:-4]
    unicode = json.dumps(value, ensure_ascii=False)[1:-1]
    return value, escaped, escaped.replace("\\'", "'"), json.dumps(value)[1:-1], unicode


def _expanded(
    value: object, location: Location, environ: Mapping[str, str], variables: dict[str, str], findings: list[Finding]
) -> object:
    """Return `value` with every variable in it replaced; note what is wrong, and which variables were used."""
    if isinstance(value, dict):
        return {key: _expanded(below, (*location, key), environ, variables, findings) for key, below in value.items()}
    if isinstance(value, list):
        return [_expanded(below, (*location, index), environ, variables, findings) for index, below in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replacement(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        if match["broken"]:
            findings.append(Finding(location=location, text="expected ${NAME}, or $${ for a literal ${"))
            return match[0]
        problem = _problem(environ.get(match["name"]))
        if problem is not None:
            findings.append(Finding(location=location, text=f"environment variable {match['name']} {problem}"))
            return match[0]
        variables[match["name"]] = match[0]
        return environ[match["name"]]

    return _VARIABLE.sub(replacement, value)


def _problem(value: str | None) -> str | None:
    """Return what makes a variable of this value unusable."""
    if value is None:
        return "is not set"
    if not value:
        return "is set but empty"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None


def _found(value: object, location: Location) -> object:
    """Return what stands at `location`, None if nothing does."""
    for step in location:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def _texts(value: object, location: Location = ()) -> Iterator[tuple[Location, str]]:
    """Yield every text in `value`, with its place."""
    if isinstance(value, str):
        yield location, value
    elif isinstance(value, dict):
        for key, below in value.items():
            yield from _texts(below, (*location, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _texts(below, (*location, index))


def _is_secret(location: Location) -> bool:
    """Tell whether a key on the way to `location` names a secret."""
    if location[: len(_OPEN)] == _OPEN:
        return False
    if (location[:1] + location[2:3]) in _SECRET_PLACES:
        return True
    return any(isinstance(step, str) and _SECRET_KEY.search(step) for step in location)


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and any(isinstance(one, dict) for one in value)


def _shown(value: object, location: Location) -> str:
    """Return a value as a sentence quotes it: short, on one line, and hidden where its key names a secret."""
    if _is_secret(location):
        return repr(_HIDDEN)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | time | datetime):
        return value.isoformat()
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 4]} ...{text[-1]}"


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else repr(key)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
