"""What a chat carries of what is to be sent: in parts, as a file, and with what is left out said."""

from __future__ import annotations

import gzip
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.parcel import MOST_PARTS, PACKED_ABOVE_BYTES, Parcel, deliverable, is_slow, packed
from logmonitor.records import Attachment, Content, Link
from logmonitor.transport import Limits, TextUnit

_LINES = "".join(f"line {number:03}\n" for number in range(500))
_TEXT = st.builds(
    lambda pieces, count: "".join(pieces) * count,
    st.lists(st.sampled_from(["word ", "说明。", "😀", "line\n", "\n```\ncode\n```\n", "`", "\ud800"]), max_size=30),
    st.integers(min_value=1, max_value=40),
)


def _size(content: Content, unit: TextUnit) -> int:
    assert isinstance(content, str)
    return len(content.encode("utf-8", "surrogatepass")) if unit is TextUnit.BYTES else len(content)


def _file(data: bytes = b"x" * 100, caption: str = "") -> Attachment:
    return Attachment(filename="qr.png", content_type="image/png", data=data, caption=caption)


def test_deliverable_sends_four_parts_as_texts() -> None:
    """As many parts as a reader bears stay text, numbered."""
    contents = deliverable("line of text\n" * 20, Limits(text_size=80))
    assert [str(content)[:6] for content in contents] == ["(1/4)\n", "(2/4)\n", "(3/4)\n", "(4/4)\n"]


def test_deliverable_sends_a_longer_text_as_a_file() -> None:
    """Head and tail go as one message that says what is not in it, and all of the text as a file."""
    overview, file = deliverable(_LINES, Limits(text_size=200), filename="message-7.txt")
    assert overview == (
        "".join(f"line {number:03}\n" for number in range(6))
        + "… 488 lines (4392 characters) are left out here; all of it is in message-7.txt …\n"
        + "".join(f"line {number:03}\n" for number in range(494, 500))
    )
    assert file == Attachment(filename="message-7.txt", content_type="text/plain", data=_LINES.encode())


def test_deliverable_counts_characters_of_a_line_without_end() -> None:
    """Where no whole line is left out none is counted, and what is told is told in the reader's language."""

    def chinese(text: str) -> str:
        return text.replace("characters are left out here; all of it is in", "个字符在此省略，全文见")

    overview, _ = deliverable("x" * 2000, Limits(text_size=200), translate=chinese)
    assert re.fullmatch(r"x{83}\n… 1834 个字符在此省略，全文见 message.txt …\nx{83}", str(overview))


@pytest.mark.parametrize("attachment_bytes", [0, 4499])
def test_deliverable_cuts_a_text_where_the_chat_carries_no_file(attachment_bytes: int) -> None:
    """Where the file is too large the text goes in up to ten parts, its middle left out and that said."""
    contents = deliverable(_LINES, Limits(text_size=200, attachment_bytes=attachment_bytes))
    bodies = [str(content).partition("\n")[2] for content in contents]
    assert [str(content).partition("\n")[0] for content in contents] == [
        f"({number}/{len(contents)})" for number in range(1, len(contents) + 1)
    ]
    assert len(contents) == MOST_PARTS
    text = "".join(bodies)
    found = re.search(
        r"… (\d+) lines \((\d+) characters\) are left out: the chat carries no file of 4500 bytes …\n", text
    )
    assert found is not None
    head, tail = text[: found.start()], text[found.end() :]
    assert (_LINES.startswith(head), _LINES.endswith(tail)) == (True, True)
    assert len(head) + len(tail) + int(found[2]) == len(_LINES)


def test_deliverable_sends_up_to_ten_parts_where_the_chat_carries_no_file() -> None:
    """Nothing is left out of a text that ten parts hold."""
    contents = deliverable("line of text\n" * 40, Limits(text_size=80, attachment_bytes=0))
    assert 4 < len(contents) <= MOST_PARTS
    assert "".join(str(content).partition("\n")[2] for content in contents) == "line of text\n" * 40


def test_deliverable_tells_a_narrow_chat_what_it_does_not_get() -> None:
    """Where the sentence alone takes more than ten parts it goes, and nothing else."""
    contents = deliverable("x" * 500, Limits(text_size=4, attachment_bytes=0))
    assert "".join(map(str, contents)) == ("… 500 characters are left out: the chat carries no file of 500 bytes …")


@given(
    text=_TEXT,
    size=st.integers(min_value=200, max_value=400),
    unit=st.sampled_from(TextUnit),
    attachment_bytes=st.sampled_from([0, 1000, 1_000_000]),
)
def test_deliverable_fits_and_is_never_endless(text: str, size: int, unit: TextUnit, attachment_bytes: int) -> None:
    """Each text fits, a file holds the whole text, and there are four parts, or one and a file, or ten."""
    limits = Limits(text_size=size, text_unit=unit, attachment_bytes=attachment_bytes)
    contents = deliverable(text, limits)
    texts = [content for content in contents if not isinstance(content, Attachment)]
    files = [content for content in contents if isinstance(content, Attachment)]
    assert all(_size(content, unit) <= size for content in texts)
    assert (len(texts), len(files)) == (1, 1) if files else len(texts) <= MOST_PARTS
    assert all(file.data == text.encode("utf-8", "backslashreplace") for file in files)
    assert all(len(file.data) <= attachment_bytes for file in files)


def test_deliverable_leaves_files_and_links_as_they_are() -> None:
    """What the chat can carry is not touched."""
    link = Link(title="x" * 5000, url="https://example.com/")
    assert deliverable(link, Limits()) == (link,)
    assert deliverable(_file(), Limits(text_size=40)) == (_file(),)
    assert deliverable(_file(caption="short"), Limits(text_size=40)) == (_file(caption="short"),)


def test_deliverable_sends_a_caption_before_a_file_that_does_not_carry_it() -> None:
    """In a chat without captions, and where it is too long, a caption goes as a text of its own."""
    assert deliverable(_file(caption="short"), Limits(captions=False)) == ("short", _file())
    first, second, image = deliverable(_file(caption="bob needs a scan " * 3), Limits(text_size=40))
    assert (str(first)[:6], str(second)[:6], image) == ("(1/2)\n", "(2/2)\n", _file())


def test_deliverable_sends_a_sentence_in_place_of_a_file_too_large() -> None:
    """The caption and a sentence tell of a file over the chat's limit."""
    told = "the file qr.png was not sent: it has 100 bytes and the chat carries 99"
    assert deliverable(_file(), Limits(attachment_bytes=99)) == (told,)
    assert deliverable(_file(caption="scan"), Limits(attachment_bytes=99)) == (f"scan\n{told}",)


def _log(data: bytes, caption: str = "") -> Attachment:
    return Attachment(filename="bob.log.txt", content_type="text/plain", data=data, caption=caption)


def _noise(count: int) -> bytes:
    """Return lines that gzip makes little smaller, the same each time."""
    chance = random.Random(5)  # noqa: S311  # the same lines each time, no secret
    return b"".join(chance.randbytes(40).hex().encode() + b"\n" for _ in range(count))


def test_packed_leaves_what_is_small_readable() -> None:
    """A file of text as large as can be read on a phone goes as it is, and so does everything that is no text."""
    text = _log(b"x" * PACKED_ABOVE_BYTES)
    image = _file(b"x" * (PACKED_ABOVE_BYTES + 1))
    link = Link(title="x", url="https://example.com/")
    for content in (text, image, link, "text"):
        assert packed(content, Limits()) == Parcel(content=content)


def test_packed_compresses_a_large_file_of_text_without_its_secrets() -> None:
    """What a phone would not show is packed once nothing is in it that may not be sent."""
    line = b"12:00:00 INFO token=abc hush\n"
    content = packed(_log(line * 50_000, "bob.log"), Limits(), secrets=["hush"]).content
    assert isinstance(content, Attachment)
    assert (content.filename, content.content_type, content.caption) == (
        "bob.log.txt.gz",
        "application/gzip",
        "bob.log",
    )
    assert gzip.decompress(content.data) == b"12:00:00 INFO token=[redacted] [redacted]\n" * 50_000


def test_packed_compresses_what_the_chat_would_not_carry() -> None:
    """A chat that carries little gets a small file packed."""
    content = packed(_log(b"x" * 1000), Limits(attachment_bytes=999)).content
    assert isinstance(content, Attachment)
    assert gzip.decompress(content.data) == b"x" * 1000


@pytest.mark.parametrize("caption", ["bob.log", ""])
def test_packed_keeps_the_last_lines_that_the_chat_carries(caption: str) -> None:
    """Of a file too large even so its end goes, in whole lines, and the caption says how much that is."""
    data = _noise(20_000)
    content = packed(_log(data, caption), Limits(attachment_bytes=300_000)).content
    assert isinstance(content, Attachment)
    kept = gzip.decompress(content.data)
    assert data.endswith(b"\n" + kept)
    assert 200_000 < len(content.data) <= 300_000
    told = f"the chat carries no more: this is the end of it, {len(kept)} of {len(data)} bytes"
    assert content.caption == (f"{caption}\n{told}" if caption else told)


def test_packed_keeps_the_end_of_a_line_without_end() -> None:
    """Where no whole line can be kept, the end of one is."""
    data = _noise(1000).replace(b"\n", b"")
    content = packed(_log(data), Limits(attachment_bytes=5000)).content
    assert isinstance(content, Attachment)
    assert data.endswith(gzip.decompress(content.data))


def test_packed_leaves_it_to_delivery_to_say_that_nothing_can_be_carried() -> None:
    """In a chat without files the file stays what it was, for a sentence to go in its place."""
    assert packed(_log(b"x" * 100), Limits(attachment_bytes=0)) == Parcel(content=_log(b"x" * 100))


@pytest.mark.parametrize(
    ("content", "slow"),
    [
        ("x" * 40_000, True),
        ("x" * 30_000, False),
        (_file(b"x" * 40_000), True),
        (_file(), False),
        (Link(title="x" * 40_000, url=""), False),
    ],
)
def test_is_slow_tells_of_what_is_large(content: Content, *, slow: bool) -> None:
    """Only what is large takes long to be made ready."""
    assert is_slow(content) == slow
