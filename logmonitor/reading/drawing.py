"""QR codes drawn in a terminal: rows of block characters or coloured blanks, read back into modules.

A drawing is half-block (`▀▄█` and blanks, two rows of modules in a line) or full-block (two characters wide, one row in
a line), light on dark or dark on light, with or without quiet zone, in characters or in ANSI colours. All of them are
first brought to one grid of ink; a grid that is no QR symbol, by its size, finders and timing, is nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

ROWS: Final = 200
"""More rows than any drawing has: 177 modules and a quiet zone of a full-block one."""

ROW_CHARACTERS: Final = 500
"""More characters than any row has: 177 modules of two characters, a quiet zone and an indent."""

ROW_PATTERN: Final = r"(?:▀|▄|█){7}|(?:(?:\x1b\[[0-9;]*m)+ {2,40}){3}"
"""What the first row of a drawing has in it: the width of a finder in blocks, or blanks of changing colours."""

_COLOURED_CHARACTERS: Final = 12_000
_TRIMMINGS: Final = 4
_SGR = re.compile(r"\x1b\[([0-9;]*)m")
_INK: Final = {" ": (False, False), "\xa0": (False, False), "▀": (True, False), "▄": (False, True), "█": (True, True)}
_BLOCKS: Final = frozenset("▀▄█")
_SIZES: Final = range(21, 178, 4)
_FINDER: Final = tuple(
    bytes(map(int, row)) for row in ("1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111")
)
_CODE_DIGITS: Final = 3
_NO_CODE: Final = -1
_DARK_BRIGHTNESS: Final = 128
_GREY_FROM: Final = 232
_CUBE_FROM: Final = 16
_GREY_MIDDLE: Final = 244


def is_row(text: str) -> bool:
    """Tell whether a line can be a row of a drawing: blocks and blanks only, or blanks in colours."""
    if len(text) > _COLOURED_CHARACTERS:
        return False
    plain = _SGR.sub("", text).rstrip("\r")
    if not 0 < len(plain) <= ROW_CHARACTERS or not _INK.keys() >= set(plain):
        return False
    return not _BLOCKS.isdisjoint(plain) or len(plain) != len(text.rstrip("\r"))


def read_drawing(rows: Sequence[str]) -> tuple[bytes, ...] | None:
    """Read the lines of a drawing into modules, rows of 0 (light) and 1 (dark) without quiet zone.

    Return None if they do not show a whole QR symbol. The finders, the separators and the timing are checked, the
    content is not: that takes a decoder.
    """
    if not rows or len(rows) > ROWS:
        return None
    cells = [_cells(row) for row in rows]
    width = max(map(len, cells))
    is_half = any(upper != lower for row in cells for upper, lower in row)
    for row in cells:
        row.extend([(False, False)] * (width - len(row)))
    if is_half:
        grid = [bytes(pair[half] for pair in row) for row in cells for half in (0, 1)]
        return _symbol(grid)
    grid = [bytes(upper for upper, _ in row) for row in cells]
    return _symbol(_halved(grid))


def _cells(row: str) -> list[tuple[bool, bool]]:
    """Turn a line into the ink of the upper and lower half of each character."""
    cells: list[tuple[bool, bool]] = []
    front, back = True, False
    position = 0
    for escape in _SGR.finditer(row):
        cells.extend(_inked(row[position : escape.start()], front=front, back=back))
        front, back = _coloured(escape.group(1), front=front, back=back)
        position = escape.end()
    cells.extend(_inked(row[position:], front=front, back=back))
    return cells


def _inked(text: str, *, front: bool, back: bool) -> list[tuple[bool, bool]]:
    """Colour the characters of `text`."""
    return [
        (front if upper else back, front if lower else back)
        for upper, lower in (_INK[character] for character in text if character in _INK)
    ]


def _coloured(codes: str, *, front: bool, back: bool) -> tuple[bool, bool]:
    """Apply one colour escape; True is bright, which is also a terminal's default front."""
    numbers = [int(code or 0) if len(code) <= _CODE_DIGITS else _NO_CODE for code in codes.split(";")]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            front, back = True, False
        elif code == 7:  # noqa: PLR2004  # the code's number in ECMA-48: swap front and back
            front, back = back, front
        elif code in {38, 48}:
            bright, numbers = _extended(numbers)
            front, back = (bright, back) if code == 38 else (front, bright)  # noqa: PLR2004  # ECMA-48: set the front
        elif 30 <= code <= 39 or 90 <= code <= 97:  # noqa: PLR2004  # ECMA-48: fronts
            front = code not in {30, 90}
        elif 40 <= code <= 49 or 100 <= code <= 107:  # noqa: PLR2004  # ECMA-48: backs
            back = code not in {40, 49, 100}
    return front, back


def _extended(numbers: list[int]) -> tuple[bool, list[int]]:
    """Read a colour of 256 (`5;n`) or of RGB (`2;r;g;b`); return its brightness and the codes behind it."""
    match numbers:
        case [5, colour, *rest]:
            if colour >= _GREY_FROM:
                return colour >= _GREY_MIDDLE, rest
            return colour not in {0, 8, _CUBE_FROM}, rest
        case [2, red, green, blue, *rest]:
            return (red * 2 + green * 5 + blue) // 8 >= _DARK_BRIGHTNESS, rest
        case _:
            return True, []


def _halved(grid: list[bytes]) -> list[bytes]:
    """Bring two characters to one module, wherever the drawing starts in its line; an odd one is quiet zone."""
    edges = {column for row in grid for column in range(1, len(row)) if row[column] != row[column - 1]}
    start = min(edges, default=0) % 2
    return [row[start::2] for row in grid]


def _symbol(grid: list[bytes]) -> tuple[bytes, ...] | None:
    """Cut the symbol out of a grid of ink and check it; its upper left module is dark, so that colour is dark."""
    rows = grid
    for _ in range(_TRIMMINGS):
        columns = _trimmed([bytes(column) for column in zip(*_trimmed(rows), strict=True)])
        rows = [bytes(row) for row in zip(*columns, strict=True)]
    size = len(rows)
    if size not in _SIZES or any(len(row) != size for row in rows):
        return None
    dark = rows[0][0]
    modules = tuple(bytes(int(ink == dark) for ink in row) for row in rows)
    return modules if _is_qr(modules) else None


def _trimmed(grid: list[bytes]) -> list[bytes]:
    """Drop the rows of one colour at both ends: a symbol's own outer rows hold both, those of a quiet zone one."""
    mixed = [index for index, row in enumerate(grid) if len(set(row)) > 1]
    return grid[mixed[0] : mixed[-1] + 1] if mixed else []


def _is_qr(modules: tuple[bytes, ...]) -> bool:
    """Check the three finders with their separators, and the timing between them."""
    size = len(modules)
    last = size - 7
    corners = ((0, 0), (0, last), (last, 0))
    finders = all(modules[top + row][left : left + 7] == _FINDER[row] for top, left in corners for row in range(7))
    separators = not any(
        modules[row][column]
        for row, column in (
            *((7, index) for index in range(8)),
            *((index, 7) for index in range(8)),
            *((7, size - 1 - index) for index in range(8)),
            *((index, size - 8) for index in range(8)),
            *((size - 8, index) for index in range(8)),
            *((size - 1 - index, 7) for index in range(8)),
        )
    )
    timing = all(modules[6][index] == modules[index][6] == (index + 1) % 2 for index in range(8, size - 8))
    return finders and separators and timing
