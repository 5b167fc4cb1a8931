"""The tables of a document as they are asked for, and what comes up about them, each finding at its place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from logmonitor.configuration.binding import Parameter, bind
from logmonitor.configuration.document import Document, Finding, Location, alternatives, suggestion
from logmonitor.errors import BrokenCodeError, ConfigurationError, LogMonitorError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_MANY: Final = ("watch", "operation", "second_channel", "fallback")
_WORK: Final = ("watch", "operation")
_TABLES: Final = ("bot", "chat", "watch", "operation", "security", "second_channel", "fallback", "rescue")
FORMS: Final = {name: f"[[{name}]]" if name in _MANY else f"[{name}]" for name in _TABLES}
_ALL_FORMS: Final = alternatives(FORMS.values())

_Result = TypeVar("_Result")


class Finder:
    """One document and what is found wrong with it; `refused` are the findings about patterns and profiles."""

    def __init__(self, document: Document, path: Path, findings: Sequence[Finding]) -> None:
        """Begin with what came up before; what is relative is relative to the folder of `path`, the document's file."""
        self.document = document
        self.path = path.absolute()
        self.folder = self.path.parent
        self.findings = list(findings)
        self.refused: list[Finding] = []
        missing = [name for name in _TABLES if name in _MANY or name not in document.values]
        self._meant = {key: suggestion(key, missing) for key in document.values if key not in _TABLES}

    def single(self, name: str, *, is_required: bool = True) -> Mapping[str, object] | None:
        """Return the table of which there is one; None, and a finding if it is required, where there is none."""
        table = self.document.values.get(name)
        if table is None and is_required and name not in self._meant.values():
            self.find((), f"no {FORMS[name]}; expected one")
        elif table is not None and not isinstance(table, dict):
            self.find((name,), f"expected {FORMS[name]}, once, in single brackets", shows_value=False)
        return table if isinstance(table, dict) else None

    def many(self, name: str, *, again: bool = False) -> list[tuple[Location, Mapping[str, object]]]:
        """Return the tables of which there may be many, each with its place; asked `again` nothing is found twice."""
        tables = self.document.values.get(name, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            if not again:
                text = f"expected {FORMS[name]}, in double brackets, one for each"
                self.find((name,), text, shows_value=False)
            return []
        return [((name, index), table) for index, table in enumerate(tables)]

    def bound(
        self, table: Mapping[str, object], location: Location, parameters: Sequence[Parameter], *, is_open: bool = False
    ) -> dict[str, Any] | None:
        """Return a table's values, None where something about them is wrong."""
        values, findings = bind(
            table, parameters, location=location, document=self.document, folder=self.folder, is_open=is_open
        )
        self.findings += findings
        return None if findings or self.document.is_unset(location) else values

    def attempt(
        self,
        action: Callable[[], _Result],
        location: Location,
        *,
        on_broken: Callable[[BrokenCodeError], None] | None = None,
    ) -> _Result | None:
        """Return what `action` gives; None, and a finding, where it cannot.

        Where there is somebody to be told of code that fails, that is no finding.
        """
        try:
            return action()
        except ConfigurationError as error:
            if on_broken is not None and isinstance(error, BrokenCodeError):
                on_broken(error)
            else:
                self.find(location, self.document.scrub(str(error)))
            return None

    def refuse(self, location: Location, error: LogMonitorError) -> None:
        """Note what is wrong with a pattern or profile."""
        self.find(location, self.document.scrub(str(error)))
        self.refused.append(self.findings[-1])

    def find(self, location: Location, text: str, *, shows_value: bool = True) -> None:
        """Note what is wrong."""
        self.findings.append(Finding(location=location, text=text, shows_value=shows_value))

    def find_unknown(self) -> None:
        """Find tables that are not known."""
        for key, meant in self._meant.items():
            kind = "table" if isinstance(self.document.values[key], dict | list) else "key outside of every table"
            hint = f"did you mean {FORMS[meant]}?" if meant else f"expected {_ALL_FORMS}"
            self.find((key,), f"unknown {kind}; {hint}", shows_value=False)

    def find_idleness(self) -> None:
        """Find that nothing is to be done."""
        if not any(name in self.document.values or name in self._meant.values() for name in _WORK):
            self.find((), "nothing to do; expected at least one [[watch]]")


def rank(finding: Finding) -> tuple[int, int]:
    """Order findings as the tables of the documentation stand, and as they stand in the file."""
    match finding.location:
        case (str(table), int(index), *_):
            return _TABLES.index(table), index
        case (str(table), *_) if table in _TABLES:
            return _TABLES.index(table), 0
        case _:
            return -1, 0
