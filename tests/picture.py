"""A conversation drawn as a phone shows it, as SVG: what docs/operations.md shows is what was really said."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from rich.cells import cell_len

from logmonitor.records import Attachment, Link
from logmonitor.testing import BOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from logmonitor.testing import Entry

_WIDTH: Final = 460
_MARGIN: Final = 14
_PAD: Final = 11
_CELL: Final = 7.6
_LINE: Final = 20
_CELLS: Final = 46
_IMAGE_WIDTH: Final = 340
_FONT: Final = "-apple-system, 'Segoe UI', Roboto, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif"
_STYLE: Final = f"""\
<style>
  text {{ font: 14px {_FONT}; fill: #191919; white-space: pre; }}
  .time, .remark {{ font-size: 12px; fill: #8a8a8a; text-anchor: middle; }}
  .title {{ font-weight: 600; font-size: 15px; text-anchor: middle; }}
  .size {{ font-size: 12px; fill: #8a8a8a; }}
</style>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A piece of a picture and how high it is, in pixels."""

    svg: str
    height: float


def draw(entries: Sequence[Entry], *, title: str) -> str:
    """Return a conversation of one person with a bot called `title` as an SVG; what never arrived is left out."""
    top = 58.0
    pieces = []
    minute = ""
    for entry in entries:
        if not entry.has_arrived:
            continue
        if f"{entry.at:%H:%M}" != minute:
            minute = f"{entry.at:%H:%M}"
            pieces.append(f'<text class="time" x="{_WIDTH / 2}" y="{top + 12}">{minute}</text>')
            top += 26
        for drawn in _entry(entry, top):
            pieces.append(drawn.svg)
            top += drawn.height + 10
    height = top + 8
    head = (
        f'<rect width="{_WIDTH}" height="44" fill="#f7f7f7"/><text class="title" x="{_WIDTH / 2}" y="28">{title}</text>'
    )
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height:g}" width="{_WIDTH}">',
            _STYLE,
            f'<rect width="{_WIDTH}" height="{height:g}" rx="12" fill="#ededed"/>',
            head,
            *pieces,
            "</svg>\n",
        )
    )


def _entry(entry: Entry, top: float) -> Iterator[Drawn]:
    if entry.is_remark:
        yield Drawn(
            svg=f'<text class="remark" x="{_WIDTH / 2}" y="{top + 12}">{escape(entry.problem)}</text>', height=18
        )
        return
    is_own = entry.speaker != BOT
    content = entry.content
    if isinstance(content, Attachment):
        if content.caption:
            yield _bubble(content.caption, top, is_own=is_own)
            top += _height(content.caption) + 10
        yield _image(content, top) if content.content_type == "image/png" else _file(content, top)
    elif isinstance(content, Link):
        yield _bubble(f"{content.title}\n{content.url}", top, is_own=is_own)
    else:
        yield _bubble(content, top, is_own=is_own)


def _bubble(text: str, top: float, *, is_own: bool) -> Drawn:
    lines = _wrapped(text)
    width = max(map(cell_len, lines)) * _CELL + 2 * _PAD
    height = _height(text)
    left = _WIDTH - _MARGIN - width if is_own else _MARGIN
    colour = "#95ec69" if is_own else "#ffffff"
    rows = "".join(
        f'<text xml:space="preserve" x="{left + _PAD:g}" y="{top + _PAD + 11 + index * _LINE:g}">{escape(line)}</text>'
        for index, line in enumerate(lines)
    )
    box = f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="8" fill="{colour}"/>'
    return Drawn(svg=box + rows, height=height)


def _image(attachment: Attachment, top: float) -> Drawn:
    width, height = struct.unpack(">II", attachment.data[16:24])
    shown = _IMAGE_WIDTH * height / width
    data = base64.b64encode(attachment.data).decode()
    size = f'width="{_IMAGE_WIDTH}" height="{shown:g}"'
    svg = f'<image x="{_MARGIN}" y="{top:g}" {size} href="data:image/png;base64,{data}"/>'
    return Drawn(svg=svg, height=shown)


def _file(attachment: Attachment, top: float) -> Drawn:
    name, size = escape(attachment.filename), f"{len(attachment.data):,} bytes"
    svg = (
        f'<rect x="{_MARGIN}" y="{top:g}" width="240" height="62" rx="8" fill="#ffffff"/>'
        f'<path d="M{_MARGIN + 16} {top + 12:g}h20l10 10v28h-30z" fill="#10aeff"/>'
        f'<text x="{_MARGIN + 60}" y="{top + 27:g}">{name}</text>'
        f'<text class="size" x="{_MARGIN + 60}" y="{top + 47:g}">{size}</text>'
    )
    return Drawn(svg=svg, height=62)


def _height(text: str) -> float:
    return len(_wrapped(text)) * _LINE + 2 * _PAD - 4


def _wrapped(text: str) -> list[str]:
    """Break a text into lines that a bubble holds, at blanks where there are any."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in _words(paragraph):
            if line and cell_len(line + word.rstrip()) > _CELLS:
                lines.append(line.rstrip())
                line = ""
            line += word
        lines.append(line.rstrip())
    return lines


def _words(paragraph: str) -> Iterator[str]:
    """Yield words with the blanks behind them; a wide character, or what is too long for a line, in pieces."""
    word = ""
    for character in paragraph:
        word += character
        if character == " " or cell_len(character) > 1 or cell_len(word) >= _CELLS:
            yield word
            word = ""
    yield word
