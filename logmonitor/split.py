"""Text cut to what a chat carries: by the chat's own units, at the ends of what a reader reads, nothing lost."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.transport import TextUnit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from logmonitor.transport import Limits

_NUMBERED_FROM: Final = 32
_FENCE_SHARE: Final = 2
_LONGEST_CLUSTER: Final = 32
_FENCE_LINE: Final = re.compile(r"^ {0,3}(?P<fence>`{3,})(?P<info>[^`\n]*)$", re.MULTILINE)
_SENTENCE_ENDS: Final = ("。", "！", "？", "；", ". ", "! ", "? ")
_CLAUSE_ENDS: Final = (" ", "\t", "，", "、", "\u3000")
_ZERO_WIDTH_JOINER: Final = "\u200d"
_FLAGS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_MODIFIERS: Final = "".join(map(chr, (*range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080))))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A fenced block of code: from its opening line (`start`) to behind its closing one (`end`), code in between."""

    start: int
    code_start: int
    code_end: int
    end: int
    opening: str
    closing: str


def split(text: str, limits: Limits, /) -> tuple[str, ...]:
    """Cut `text` into parts that each fit `limits`, numbered `(1/3)` on a line of their own; one that fits stays as is.

    Parts end, as it can be had, at a paragraph, line, sentence or word, and never inside a code point or what is read
    as one character. A fenced block of code stays whole where it fits, and is closed and opened again where not.
    Without numbers and added fences the parts together are the text. A chat too narrow for numbers gets none; one too
    narrow for a single character gets that character nevertheless.
    """
    width = _width(limits)
    if _end(text, 0, limits.text_size, width) == len(text):
        return (text,)
    if limits.text_size < _NUMBERED_FROM:
        return tuple(_cut(text, limits.text_size, width))
    digits = 1
    while True:
        most = 10**digits - 1
        parts = _cut(text, limits.text_size - len(_number(most, most)), width)
        if len(parts) <= most:
            return tuple(_number(index, len(parts)) + part for index, part in enumerate(parts, 1))
        digits += 1


def exceeds(text: str, limits: Limits, /, *, parts: int) -> bool:
    """Tell whether `text` is too long for so many parts however it is cut; looks at no more of it than that."""
    return _end(text, 0, parts * limits.text_size, _width(limits)) < len(text)


def head_and_tail(text: str, limits: Limits, gap: Callable[[int, int], str], /, *, size: int) -> str:
    """Return a text that fits, else its first and last lines, and between them on a line of its own what `gap` says.

    `gap` is told how many lines and characters are left out; of one long line no line is. Together it is at most `size`
    of what the chat counts, where what `gap` says leaves room for more than itself. Fences of code that is cut are
    closed and opened again, as `split` does. Where a line is longer than half of what there is room for, it is cut.
    """
    width = _width(limits)
    if _end(text, 0, size, width) == len(text):
        return text
    half = (size - _size(f"\n{gap(text.count(chr(10)), len(text))}\n", width)) // 2
    blocks = _blocks(text, half, width)
    stop, closing = _head(text, half, width, blocks)
    start, opening = _tail(text, half, width, blocks)
    start = max(start, stop)
    head = text[:stop] + closing
    told = gap(text.count("\n", stop, start), start - stop)
    return f"{head}{'' if not head or head.endswith(chr(10)) else chr(10)}{told}\n{opening}{text[start:]}"


def _head(text: str, room: int, width: Callable[[str], int], blocks: Sequence[_Block]) -> tuple[int, str]:
    """Return where the first lines that fit `room` end, and the fence to close them with."""
    end = _end(text, 0, room, width)
    block = _around(blocks, end)
    if block is not None:
        end = min(_end(text, 0, room - _size("\n" + block.closing, width), width), block.code_end)
    newline = text.rfind("\n", end // 2, end)
    stop = newline + 1 if newline >= 0 else _between_characters(text, 0, end) if end > 0 else 0
    block = _around(blocks, stop)
    if block is None:
        return stop, ""
    if stop <= block.code_start:
        return block.start, ""
    return stop, block.closing if newline >= 0 else "\n" + block.closing


def _tail(text: str, room: int, width: Callable[[str], int], blocks: Sequence[_Block]) -> tuple[int, str]:
    """Return where the last lines that fit `room` begin, and the fence to open them with."""
    begin = _begin(text, room, width)
    block = _around(blocks, begin)
    if block is not None:
        begin = max(_begin(text, room - _size(block.opening, width), width), block.code_start)
    newline = text.find("\n", max(begin - 1, 0), (begin + len(text)) // 2)
    if newline >= 0:
        start = newline + 1
    else:
        near = range(begin, min(len(text), begin + _LONGEST_CLUSTER))
        start = next((at for at in near if at == 0 or not _is_one(text, at, 0)), begin)
    block = _around(blocks, start)
    if block is None:
        return start, ""
    return (start, block.opening) if start < block.code_end else (block.end, "")


def _begin(text: str, room: int, width: Callable[[str], int]) -> int:
    """Return from where on `text` fits `room`."""
    left, at = room, len(text)
    while at > 0 and (left := left - width(text[at - 1])) >= 0:
        at -= 1
    return at


def _width(limits: Limits) -> Callable[[str], int]:
    return _bytes if limits.text_unit is TextUnit.BYTES else _characters


def _number(index: int, count: int) -> str:
    return f"({index}/{count})\n"


def _characters(_character: str, /) -> int:
    return 1


def _bytes(character: str, /) -> int:
    """Size in UTF-8; a lone surrogate counts as the three bytes it would take."""
    return 1 + (character > "\x7f") + (character > "\u07ff") + (character > "\uffff")


def _end(text: str, start: int, room: int, width: Callable[[str], int]) -> int:
    """Return how far `text` fits `room` from `start` on."""
    left = room
    for at in range(start, min(len(text), start + room)):
        left -= width(text[at])
        if left < 0:
            return at
    return min(len(text), start + max(room, 0))


def _size(text: str, width: Callable[[str], int]) -> int:
    return sum(map(width, text))


def _cut(text: str, room: int, width: Callable[[str], int]) -> list[str]:
    """Cut `text` into parts of at most `room`, with fences where a cut falls into code."""
    blocks = _blocks(text, room // _FENCE_SHARE, width)
    parts: list[str] = []
    at = 0
    while at < len(text):
        inside = _around(blocks, at)
        opening = inside.opening if inside else ""
        stop, closing = _stop(text, at, opening=opening, room=room, width=width, blocks=blocks)
        parts.append(opening + text[at:stop] + closing)
        at = stop
    return parts


def _stop(
    text: str, at: int, *, opening: str, room: int, width: Callable[[str], int], blocks: Sequence[_Block]
) -> tuple[int, str]:
    """Return where the part that begins at `at`, behind `opening`, ends, and the fence to close it with."""
    left = room - _size(opening, width)
    end = max(_end(text, at, left, width), at + 1)
    if end >= len(text):
        return len(text), ""
    block = _around(blocks, end)
    if block is None:
        return _end_of_prose(text, at, end, blocks), ""
    if at < block.start and _end(text, block.start, room, width) >= block.end:
        return block.start, ""
    end = min(_end(text, at, left - _size("\n" + block.closing, width), width), block.code_end - 1)
    low = max(at, block.code_start)
    if end <= low:
        return block.start, ""
    newline = text.rfind("\n", low, end)
    if newline >= 0:
        return newline + 1, block.closing
    return _between_characters(text, low, end), "\n" + block.closing


def _end_of_prose(text: str, at: int, end: int, blocks: Sequence[_Block]) -> int:
    """Return the best place to cut up to `end`, outside of code: in the second half of the part, else at its end."""
    before = bisect_right(blocks, end, key=lambda block: block.end) - 1
    code_end = blocks[before].end if before >= 0 else 0
    low = max(at + (end - at) // 2, code_end)
    for marks in (("\n\n",), ("\n",), _SENTENCE_ENDS, _CLAUSE_ENDS):
        found = [start + len(mark) for mark in marks if (start := text.rfind(mark, low, end)) >= 0]
        if found:
            return max(found)
    return low if low == code_end > at else _between_characters(text, at, end)


def _between_characters(text: str, low: int, end: int) -> int:
    """Return the last place up to `end`, above `low`, that does not part what is read as one character."""
    for at in range(end, max(low, end - _LONGEST_CLUSTER), -1):
        if not _is_one(text, at, low):
            return at
    return end


def _is_one(text: str, at: int, low: int) -> bool:
    """Tell whether the characters before and behind `at` are read as one."""
    before, behind = text[at - 1], text[at]
    if _ZERO_WIDTH_JOINER in (before, behind) or before + behind == "\r\n":
        return True
    if before in _FLAGS and behind in _FLAGS:
        run = text[low:at]
        return (len(run) - len(run.rstrip(_FLAGS))) % 2 == 1
    return unicodedata.category(behind).startswith("M") or behind in _MODIFIERS


def _blocks(text: str, room: int, width: Callable[[str], int]) -> list[_Block]:
    """List the fenced blocks of code, in order, but those whose fences take more than `room`."""
    blocks: list[_Block] = []
    opened: re.Match[str] | None = None
    for line in _FENCE_LINE.finditer(text):
        if opened is None:
            opened = line
        elif not line["info"].strip() and len(line["fence"]) >= len(opened["fence"]):
            blocks.append(_block(text, opened, line))
            opened = None
    if opened is not None:
        blocks.append(_block(text, opened, None))
    return [block for block in blocks if _overhead(text, block, width) <= room]


def _overhead(text: str, block: _Block, width: Callable[[str], int]) -> int:
    """Return what the fences of a block take, in the text or added to it."""
    closing = max(_size(text[block.code_end : block.end], width), _size("\n" + block.closing, width))
    return _size(text[block.start : block.code_start], width) + closing


def _block(text: str, opened: re.Match[str], closed: re.Match[str] | None) -> _Block:
    info = opened["info"].strip()
    return _Block(
        start=opened.start(),
        code_start=min(opened.end() + 1, len(text)),
        code_end=closed.start() if closed else len(text),
        end=closed.end() if closed else len(text),
        opening=opened["fence"] + info + "\n",
        closing=opened["fence"],
    )


def _around(blocks: Sequence[_Block], at: int) -> _Block | None:
    """Return the block that a cut at `at` would part."""
    index = bisect_left(blocks, at, key=lambda block: block.start) - 1
    return blocks[index] if index >= 0 and at < blocks[index].end else None
