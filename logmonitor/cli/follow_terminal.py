"""Lines as `logmonitor follow` shows them to a person: in colour, with nothing in them obeyed by the terminal."""

from __future__ import annotations

import re
from itertools import accumulate, cycle
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.text import Text

from logmonitor.display import visible
from logmonitor.lines import split
from logmonitor.scan import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from logmonitor.records import Chunk
    from logmonitor.scan import Scanner

_HEAD_SIZE: Final = 120
_TIME: Final = re.compile(r"\[?\d[\d:.,TZ +/-]{6,30}(?<=[\dZ])\]?(?=\s)")
_LEVEL: Final = re.compile(
    r"\b(?:(?P<error>ERR(?:OR)?|FATAL|CRIT(?:ICAL)?|PANIC|EMERG|ALERT)|(?P<warning>WARN(?:ING)?)"
    r"|(?P<plain>INFO|NOTICE)|(?P<quiet>DEBUG|VERB(?:OSE)?|SILL(?:Y)?|TRACE))\b"
)
_STYLES: Final = {"error": "bold red", "warning": "yellow", "plain": "green", "quiet": "dim"}
_MATCH_STYLE: Final = "bold reverse"
_NAME_STYLES: Final = ("cyan", "magenta", "blue", "green", "yellow")


class Painted:
    """Shows lines on the terminal that is standard output; what matches stands out."""

    def __init__(self, *, patterns: Sequence[str] = (), scanner: Scanner | None = None, is_named: bool = False) -> None:
        """Show the lines that `scanner` finds for `patterns`, all lines without one."""
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._regexes = tuple(compile_pattern(pattern) for pattern in patterns)
        self._scanner = scanner
        self._is_named = is_named
        self._styles = cycle(_NAME_STYLES)
        self._names: dict[Path, Text] = {}

    def take(self, chunk: Chunk) -> None:
        """Show the lines."""
        if self._scanner is None:
            texts = [line.text for line in split(chunk)]
        else:
            texts = [hit.text for hit in self._scanner.hits(chunk)]
        if not texts:
            return
        shown = Text()
        for text in texts:
            if self._is_named:
                shown.append_text(self._name(chunk.path))
            shown.append_text(self._painted(text))
            shown.append(" … cut here\n" if chunk.truncated else "\n")
        self._console.print(shown, end="", soft_wrap=True)

    def finish(self) -> None:
        """Show no more."""

    def _name(self, path: Path) -> Text:
        """Return a file's name in a colour that stays its own."""
        if path not in self._names:
            self._names[path] = Text(f"{visible(str(path))} │ ", style=next(self._styles))
        return self._names[path]

    def _painted(self, text: str) -> Text:
        """Return a line with its time, its level and what matches in it marked."""
        spans: list[tuple[int, int, str]] = []
        head = text[:_HEAD_SIZE]
        if time := _TIME.match(head):
            spans.append((*time.span(), "dim"))
        if level := _LEVEL.search(head):
            spans.append((*level.span(), _STYLES[str(level.lastgroup)]))
        spans += [(*match.span(), _MATCH_STYLE) for regex in self._regexes for match in regex.finditer(text)]
        cells = text if text.isprintable() else [visible(character) for character in text]
        places = (0, *accumulate(map(len, cells)))
        painted = Text("".join(cells))
        for start, end, style in spans:
            painted.stylize(style, places[start], places[end])
        return painted
