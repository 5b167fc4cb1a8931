"""Text cut to what a chat carries, and nothing of it lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logmonitor.split import exceeds, head_and_tail, split
from logmonitor.transport import Limits, TextUnit

_BYTES = TextUnit.BYTES
_CHARACTERS = TextUnit.CHARACTERS


def _limits(size: int, unit: TextUnit = _CHARACTERS) -> Limits:
    return Limits(text_size=size, text_unit=unit)


def _size(text: str, unit: TextUnit) -> int:
    return len(text.encode("utf-8", "surrogatepass")) if unit is _BYTES else len(text)


def _bodies(parts: tuple[str, ...]) -> list[str]:
    """Take the numbers off, which must count the parts."""
    if len(parts) == 1:
        return list(parts)
    for index, part in enumerate(parts, 1):
        assert part.startswith(f"({index}/{len(parts)})\n")
    return [part.split("\n", 1)[1] for part in parts]


def _is_whole(text: str, bodies: list[str]) -> bool:
    """Tell whether the bodies together are the text, but for fences closed at an end and opened at the next start."""
    reached = {0}
    for body in bodies:
        opened = re.match(r"`{3,}[^`\n]*\n", body)
        closed = re.search(r"\n?`{3,}\Z", body)
        starts = {0} | ({opened.end()} if opened else set())
        ends = {len(body)} | ({closed.start(), closed.start() + body[closed.start() :].find("`")} if closed else set())
        pieces = {body[start:end] for start in starts for end in ends if start <= end}
        reached = {at + len(piece) for at in reached for piece in pieces if text.startswith(piece, at)}
    return len(text) in reached


_TEXT = st.text(st.sampled_from("ab 。，\n\r\t你好😀👍🏽\u200d\u0301🇨🇳é\ud800"), max_size=400)
_CODE = st.lists(
    st.sampled_from(["```\n", "```python\n", "````\n", "x = 1\n", "\n", "说明文字。", "word ", "\n```", "  ```  \n"]),
    max_size=60,
).map("".join)


@given(text=_TEXT | _CODE, size=st.integers(min_value=32, max_value=120), unit=st.sampled_from(TextUnit))
@example(text="😀" * 100, size=33, unit=_BYTES)
@example(text="```\n" * 100, size=32, unit=_CHARACTERS)
def test_split_loses_nothing_and_every_part_fits(text: str, size: int, unit: TextUnit) -> None:
    """Without numbers and added fences the parts are the text, and none is over the limit."""
    parts = split(text, _limits(size, unit))
    assert all(_size(part, unit) <= size for part in parts)
    assert _is_whole(text, _bodies(parts))


def _is_closed(text: str) -> bool:
    """Tell whether every fence that opens in a text closes in it."""
    fence = ""
    for line in text.split("\n"):
        found = re.fullmatch(r" {0,3}(`{3,})([^`]*)", line)
        if found and not fence:
            fence = found[1]
        elif found and not found[2].strip() and len(found[1]) >= len(fence):
            fence = ""
    return not fence


_CLOSED = st.lists(
    st.sampled_from(["word ", "line\n", "说明。\n", "\n```python\nx = 1\ny = 2\n```\n", "\n````\n```\n\n````\n"])
    | st.integers(1, 30).map(lambda count: "\n```\n" + "print(1)\n" * count + "```\n"),
    max_size=20,
).map("".join)


@given(text=_CLOSED, size=st.integers(min_value=64, max_value=200), unit=st.sampled_from(TextUnit))
def test_split_gives_parts_whose_code_is_whole(text: str, size: int, unit: TextUnit) -> None:
    """Every fence that opens in a part closes in it, by bytes and by characters, and the parts are numbered."""
    parts = split(text, _limits(size, unit))
    assert all(_is_closed(body) for body in _bodies(parts))
    assert all(_size(part, unit) <= size for part in parts)


def _gap(lines: int, characters: int) -> str:
    return f"<{lines} {characters}>"


@given(text=_TEXT | _CODE | _CLOSED, size=st.integers(min_value=64, max_value=300), unit=st.sampled_from(TextUnit))
def test_head_and_tail_fits_and_tells_what_is_left_out(text: str, size: int, unit: TextUnit) -> None:
    """It begins as the text and ends as the text, and the numbers say exactly how much of it is not there."""
    excerpt = head_and_tail(text, _limits(size, unit), _gap, size=size)
    assert _size(excerpt, unit) <= size
    if _size(text, unit) <= size:
        assert excerpt == text
        return
    lines, characters = map(int, re.findall(r"^<(\d+) (\d+)>$", excerpt, re.MULTILINE)[0])
    told = _gap(lines, characters)
    head, tail = excerpt.split(f"{told}\n")
    heads = {head, head.removesuffix("\n"), re.sub(r"\n?`{3,}\n\Z", "", head), re.sub(r"`{3,}\n\Z", "", head)}
    tails = {tail, re.sub(r"\A`{3,}[^`\n]*\n", "", tail)}
    assert any(
        text.startswith(first)
        and text.endswith(last)
        and len(first) + len(last) + characters == len(text)
        and text.count("\n", len(first), len(text) - len(last)) == lines
        for first in heads
        for last in tails
    )


@given(text=_CLOSED, size=st.integers(min_value=64, max_value=300), unit=st.sampled_from(TextUnit))
def test_head_and_tail_leaves_code_whole(text: str, size: int, unit: TextUnit) -> None:
    """Code that is cut is closed at the head's end, and opened again at the tail's beginning."""
    for piece in head_and_tail(text, _limits(size, unit), _gap, size=size).split(">\n"):
        assert _is_closed(piece)


def test_head_and_tail_keeps_whole_lines() -> None:
    """The first lines, what is left out, and the last lines."""
    text = "".join(f"line {number:02}\n" for number in range(100))
    assert head_and_tail(text, _limits(60), _gap, size=60) == (
        "line 00\nline 01\nline 02\n<94 752>\nline 97\nline 98\nline 99\n"
    )
    assert head_and_tail("short\n", _limits(60), _gap, size=60) == "short\n"


def test_head_and_tail_cuts_a_line_that_is_too_long() -> None:
    """One line without end is cut where there is room for no more, but never what is read as one character."""
    assert head_and_tail("a" * 20 + "b" * 20, _limits(30), _gap, size=30) == "a" * 11 + "\n<0 18>\n" + "b" * 11
    text = "👩\u200d👧" * 40
    head, tail = head_and_tail(text, _limits(40), _gap, size=40).split("\n<0 ")
    assert (head.replace("👩\u200d👧", ""), tail.split("\n")[1].replace("👩\u200d👧", "")) == ("", "")


def test_head_and_tail_leaves_nothing_where_there_is_no_room() -> None:
    """A chat too narrow for more gets what `gap` says."""
    assert head_and_tail("a" * 100, _limits(5), _gap, size=5) == "<0 100>\n"


@given(text=_TEXT, size=st.integers(min_value=1, max_value=60), parts=st.integers(1, 5), unit=st.sampled_from(TextUnit))
def test_exceeds_is_true_only_of_a_text_that_needs_more_parts(text: str, size: int, parts: int, unit: TextUnit) -> None:
    """It tells by the size, in the chat's own unit, and never of a text that would fit."""
    assert exceeds(text, _limits(size, unit), parts=parts) == (_size(text, unit) > parts * size)


@given(text=_TEXT.map(lambda text: text.replace("`", "")), size=st.integers(32, 99), unit=st.sampled_from(TextUnit))
def test_split_of_text_without_code_joins_to_the_text(text: str, size: int, unit: TextUnit) -> None:
    """Where there is no code the parts are the text and their numbers, and nothing else."""
    assert "".join(_bodies(split(text, _limits(size, unit)))) == text


@given(text=_TEXT, size=st.integers(min_value=1, max_value=31))
def test_split_for_a_narrow_chat_leaves_out_the_numbers(text: str, size: int) -> None:
    """Below 32 there is no room for numbers; the text still comes whole and in parts that fit."""
    parts = split(text, _limits(size))
    assert "".join(parts) == text
    assert all(len(part) <= size for part in parts)


def test_split_gives_a_character_that_never_fits_a_part_of_its_own() -> None:
    """A chat too narrow for one character is no reason to hang or to lose it."""
    assert split("😀a你", _limits(2, _BYTES)) == ("😀", "a", "你")


@pytest.mark.parametrize("text", ["", "short", "x" * 40])
def test_split_leaves_a_text_that_fits_alone(text: str) -> None:
    """One part has no number."""
    assert split(text, _limits(40)) == (text,)


def test_split_counts_in_the_chats_own_unit() -> None:
    """Forty Chinese characters fit forty characters and do not fit forty bytes."""
    text = "你" * 40
    assert split(text, _limits(40)) == (text,)
    assert _bodies(split(text, _limits(40, _BYTES))) == ["你" * 11, "你" * 11, "你" * 11, "你" * 7]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a" * 20 + "\n\n" + "b\n" + "c" * 40, "a" * 20 + "\n\n"),
        ("a" * 20 + "\n" + "b. " + "c" * 40, "a" * 20 + "\n"),
        ("a" * 20 + ". " + "b " + "c" * 40, "a" * 20 + ". "),
        ("你" * 20 + "。" + "好，" + "们" * 40, "你" * 20 + "。"),
        ("a" * 20 + " " + "b" * 40, "a" * 20 + " "),
        ("你" * 20 + "，" + "好" * 40, "你" * 20 + "，"),
        ("a\n\n" + "b" * 60, "a\n\n" + "b" * 31),
        ("a" * 60, "a" * 34),
    ],
)
def test_split_prefers_the_end_of_what_is_read_together(text: str, first: str) -> None:
    """A paragraph, else a line, a sentence, a word; a part is not left less than half full for it."""
    assert _bodies(split(text, _limits(40)))[0] == first


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "👍🏽", "👩\u200d👩\u200d👧", "🇨🇳", "❤\ufe0f", "\r\n", "🏴\U000e0067\U000e0062\U000e007f"],
)
@pytest.mark.parametrize("before", range(4))
def test_split_keeps_together_what_is_read_as_one_character(cluster: str, before: int) -> None:
    """Accents, skin tones, joined emoji, flags and line ends stay whole wherever the limit falls."""
    for body in _bodies(split("x" * before + cluster * 30, _limits(40))):
        assert body.replace("x", "").replace(cluster, "") == ""


def test_split_cuts_a_character_that_is_longer_than_any_reader_needs() -> None:
    """Endless accents on one letter do not hang it, and fit."""
    text = "e" + "\u0301" * 200
    assert "".join(_bodies(split(text, _limits(50)))) == text


def test_split_keeps_code_whole_where_it_fits() -> None:
    """Code that would be cut moves to the next part."""
    code = "```python\nprint(1)\nprint(2)\n```"
    assert _bodies(split("some words before it\n" + code + "\nand some after", _limits(50))) == [
        "some words before it\n",
        code + "\n",
        "and some after",
    ]


def test_split_does_not_break_at_a_blank_line_of_code() -> None:
    """A paragraph's end within code that fits is none; the code's own end is the place."""
    code = "```\n" + "a" * 20 + "\n\n" + "b" * 4 + "\n```"
    assert _bodies(split(code + "c" * 40, _limits(50)))[0] == code


def test_split_closes_and_opens_again_code_that_fits_no_part() -> None:
    """Each part of long code is code of its own, in the same language, cut at line ends."""
    code = "```python\n" + "".join(f"print({number})\n" for number in range(10, 20)) + "```\nend"
    assert _bodies(split(code, _limits(60))) == [
        "```python\n" + "".join(f"print({number})\n" for number in range(10, 14)) + "```",
        "```python\n" + "".join(f"print({number})\n" for number in range(14, 18)) + "```",
        "```python\n" + "".join(f"print({number})\n" for number in range(18, 20)) + "```\nend",
    ]


def test_split_does_not_begin_code_at_the_end_of_a_part() -> None:
    """Where only the opening fence would fit a part, even code that fits none begins in the next."""
    code = "```\n" + "x = 1\n" * 12 + "```"
    assert _bodies(split("w" * 38 + "\n" + code, _limits(50)))[:2] == ["w" * 38 + "\n", "```\n" + "x = 1\n" * 6 + "```"]


def test_split_cuts_a_line_of_code_that_fits_no_part() -> None:
    """A line longer than a part is cut where the part is full, with its fence on a line of its own."""
    assert _bodies(split("```\n" + "x" * 60, _limits(50))) == ["```\n" + "x" * 36 + "\n```", "```\n" + "x" * 24]


def test_split_takes_a_fence_as_wide_as_a_part_for_text() -> None:
    """Fences that would leave no room for code are not repeated."""
    text = "```" + "i" * 60 + "\n" + "code\n" * 10 + "```"
    assert "".join(_bodies(split(text, _limits(50)))) == text
