"""A chat as it looks in a terminal, and as plain lines where there is none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zlib import crc32

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions
from rich.text import Text

from logmonitor.display import visible

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TextIO

    from rich.console import RenderableType

_NAME_WIDTH: Final = 8
_GUTTER_WIDTH: Final = len(" HH:MM:SS ") + _NAME_WIDTH + len(" │ ")
_NARROW: Final = 60
_NARROW_INDENT: Final = 2
_NO_LINE_START: Final = frozenset("，。、；：！？）》」』】”’…")
_NO_LINE_END: Final = frozenset("（《「『【“‘")
_NAME_STYLES: Final = ("bold cyan", "bold magenta", "bold green", "bold yellow", "bold blue")
_QR_STYLE: Final = "#000000 on #ffffff"
_ROWS_BELOW: Final = 2  # a line to type at, and a toolbar
_INKS: Final = "█▀▄ "


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message as it is drawn; `at` is aware, and shown in the local time zone."""

    at: datetime
    sender: str
    text: str
    receiver: str = ""
    is_own: bool = False


class Screen:
    """Draws a chat on a stream: in colour and aligned if that is a terminal, else one plain line for each message."""

    def __init__(self, stream: TextIO, *, reader: str) -> None:
        """Draw on `stream` for `reader`, whose name need not stand on what is meant for them; write nothing yet."""
        self._stream = stream
        self._reader = reader
        self._is_terminal = stream.isatty()
        self._console = Console(
            file=stream, force_terminal=self._is_terminal, highlight=False, markup=False, emoji=False
        )

    @property
    def is_terminal(self) -> bool:
        """Whether the stream is a terminal."""
        return self._is_terminal

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal, as it is now."""
        if self._is_terminal:
            columns, rows = os.get_terminal_size(self._stream.fileno())
            if columns and rows:
                self._console.size = ConsoleDimensions(columns, rows)
        return self._console.size.width, self._console.size.height

    @property
    def encoding(self) -> str:
        """What the characters are encoded in."""
        return self._console.encoding

    @property
    def has_blocks(self) -> bool:
        """Whether the encoding has the half-blocks that a QR is drawn with."""
        try:
            _INKS.encode(self.encoding)
        except UnicodeEncodeError:
            return False
        return True

    def draw(self, entry: Entry, *, rows: tuple[str, ...] = ()) -> None:
        """Draw a message and, below it, a QR: rows of half-blocks whose ink is the dark modules.

        Without colour, where nothing is known of the background but that most are dark, ink and paper change places.
        """
        if self._is_terminal:
            self._draw_aligned(entry, rows)
        else:
            self._draw_plain(entry, rows)
        self._stream.flush()

    def note(self, text: str, *, at: datetime) -> None:
        """Draw a remark that nobody in the chat wrote."""
        body = Text(visible(text), style="italic dim")
        if self._is_terminal and self.size[0] < _NARROW:
            for number, line in enumerate(_wrapped(body, self.size[0] - _NARROW_INDENT)):
                self._line(Text.assemble(" " * _NARROW_INDENT if number else "· ", line))
        elif self._is_terminal:
            self._aligned(at, Text("·", style="dim"), body, rule_style="dim")
        else:
            self._plain(f"[{_clock(at)}] · ", visible(text))
        self._stream.flush()

    def show(self, renderable: RenderableType) -> None:
        """Draw anything else that rich can draw."""
        _ = self.size
        self._console.print(renderable)
        self._stream.flush()

    def can_draw(self, rows: tuple[str, ...], *, spare_rows: int = 1) -> bool:
        """Whether a QR can be drawn whole, with `spare_rows` below it: there is room, the encoding has half-blocks."""
        width, height = self.size
        has_room = not self._is_terminal or (cell_len(rows[0]) <= width and len(rows) + spare_rows <= height)
        return has_room and self.has_blocks

    def _draw_aligned(self, entry: Entry, rows: tuple[str, ...]) -> None:
        style = "bold" if entry.is_own else _NAME_STYLES[crc32(entry.sender.encode()) % len(_NAME_STYLES)]
        name = Text(_one_line(entry.sender), style=style)
        body = Text(visible(entry.text))
        if entry.receiver not in {"", self._reader}:
            body = Text.assemble((f"→ {_one_line(entry.receiver)}: ", "dim"), body)
        indent = self._aligned(entry.at, name, body, rule_style=style.removeprefix("bold").strip() or "dim")
        if not rows:
            return
        if self._console.width - indent < cell_len(rows[0]):
            indent = 0
        no_colour = self._console.no_color or self._console.color_system is None
        self._line(Text())
        for row in rows:
            self._line(Text.assemble(" " * indent, (_inverse(row), "") if no_colour else (row, _QR_STYLE)))
        if self.can_draw(rows, spare_rows=_ROWS_BELOW + 1):
            self._line(Text())

    def _aligned(self, at: datetime, name: Text, body: Text, *, rule_style: str) -> int:
        """Print `body` behind a gutter with time and name, or below them if the window is narrow; return its indent."""
        width, _ = self.size
        if width < _NARROW:
            name.truncate(max(1, width - len("HH:MM:SS ")), overflow="ellipsis")
            self._line(Text.assemble((_clock(at), "dim"), " ", name))
            for line in _wrapped(body, width - _NARROW_INDENT):
                self._line(Text.assemble(" " * _NARROW_INDENT, line))
            return _NARROW_INDENT
        name.truncate(_NAME_WIDTH, overflow="ellipsis")
        name.pad_left(_NAME_WIDTH - name.cell_len)
        gutter = Text.assemble(" ", (_clock(at), "dim"), " ", name)
        for line in _wrapped(body, width - _GUTTER_WIDTH):
            self._line(Text.assemble(gutter, (" │ ", rule_style), line))
            gutter = Text(" " * gutter.cell_len)
        return _GUTTER_WIDTH

    def _line(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def _draw_plain(self, entry: Entry, rows: tuple[str, ...]) -> None:
        names = _one_line(entry.sender) + (f" → {_one_line(entry.receiver)}" if entry.receiver else "")
        self._plain(f"[{_clock(entry.at)}] {names}: ", visible(entry.text))
        for row in rows:
            self._stream.write(f"{_inverse(row)}\n")

    def _plain(self, head: str, text: str) -> None:
        lines = f"{head}{text}".replace("\n", "\n" + " " * len("[HH:MM:SS] ")) + "\n"
        self._stream.write(lines.encode(self.encoding, "backslashreplace").decode(self.encoding))


def broken(text: Text, width: int) -> Text:
    """Return `text` with line ends where messages have them in a window of `width` cells."""
    return Text("\n").join(_wrapped(text, width))


def _wrapped(text: Text, width: int) -> list[Text]:
    """Break `text` into lines of at most `width` cells, or of one character where that is wider."""
    lines: list[Text] = []
    for paragraph in text.split("\n", allow_blank=True):
        lines += paragraph.divide(_cuts(paragraph.plain, width))
    for line in lines:
        line.rstrip()
    return lines


def _cuts(line: str, width: int) -> list[int]:
    """Return where to break `line`: at the last place that allows it, else wherever it is full."""
    cuts: list[int] = []
    start = place = used = 0
    for position, character in enumerate(line):
        if position > start and _may_break(line[position - 1], character):
            place = position
        used += cell_len(character)
        if used > width and position > start and character != " ":
            start = place if place > start else position
            cuts.append(start)
            used = cell_len(line[start : position + 1])
    return cuts


def _may_break(before: str, after: str) -> bool:
    """Tell whether a line may be broken here: behind a blank, and beside a wide character, as Chinese is set."""
    if before == " " or after == " ":
        return before == " " != after
    return max(cell_len(before), cell_len(after)) > 1 and after not in _NO_LINE_START and before not in _NO_LINE_END


def _clock(at: datetime) -> str:
    return f"{at.astimezone():%H:%M:%S}"


def _one_line(name: str) -> str:
    return visible(name).replace("\n", "␊")


def _inverse(row: str) -> str:
    """Let ink and paper of a row of half-blocks change places."""
    return row.translate(str.maketrans("█▀▄ ", " ▄▀█"))
