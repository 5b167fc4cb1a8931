"""What is to be sent, made into what a chat carries: text in parts or as a file, and a word on what it cannot."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from logmonitor.records import Attachment
from logmonitor.split import exceeds, head_and_tail, split

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor.records import Content
    from logmonitor.transport import Limits

FILE_ABOVE_PARTS: Final = 4
"""A text of more parts than these goes as a file, if the chat carries one of its size."""

MOST_PARTS: Final = 10
"""More parts than these never go: the middle is left out, and that is said."""


def deliverable(
    content: Content, limits: Limits, /, *, translate: Callable[[str], str] = str, filename: str = "message.txt"
) -> tuple[Content, ...]:
    """Return the messages that `content` goes as in a chat of `limits`, in order; there is at least one.

    A text of more than four parts goes as one message, its first and last lines, and a file called `filename`, all of
    it in UTF-8. Where the chat does not carry the file it goes in parts, up to ten, without what is then too much in
    its middle; a chat in which that sentence alone takes more gets the sentence. A caption that the chat does not carry
    goes before its file as a text, and in place of a file that is too large goes a sentence.
    """
    if isinstance(content, str):
        return _text(content, limits, translate, filename)
    if not isinstance(content, Attachment):
        return (content,)
    size = len(content.data)
    if size > limits.attachment_bytes:
        sentence = translate(
            "the file {filename} was not sent: it has {size} bytes and the chat carries {limit}"
        ).format(filename=content.filename, size=size, limit=limits.attachment_bytes)
        return _text(f"{content.caption}\n{sentence}" if content.caption else sentence, limits, translate, filename)
    if not content.caption or (limits.captions and len(_parts(content.caption, limits, most=1)) == 1):
        return (content,)
    return (*_text(content.caption, limits, translate, filename), replace(content, caption=""))


def _text(text: str, limits: Limits, translate: Callable[[str], str], filename: str) -> tuple[Content, ...]:
    parts = _parts(text, limits, most=FILE_ABOVE_PARTS)
    if parts:
        return parts
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > limits.attachment_bytes:
        return _parts(text, limits, most=MOST_PARTS) or _excerpt(text, limits, translate, size_bytes=len(data))

    def gap(lines: int, characters: int) -> str:
        told = (
            translate("… {lines} lines ({characters} characters) are left out here; all of it is in {filename} …")
            if lines
            else translate("… {characters} characters are left out here; all of it is in {filename} …")
        )
        return told.format(lines=lines, characters=characters, filename=filename)

    overview = head_and_tail(text, limits, gap, size=limits.text_size)
    return (*split(overview, limits), Attachment(filename=filename, content_type="text/plain", data=data))


def _parts(text: str, limits: Limits, *, most: int) -> tuple[str, ...]:
    """Return the parts of a text, none if they are more than `most`."""
    parts = () if exceeds(text, limits, parts=most) else split(text, limits)
    return parts if len(parts) <= most else ()


def _excerpt(text: str, limits: Limits, translate: Callable[[str], str], *, size_bytes: int) -> tuple[str, ...]:
    """Return as many parts of a text as may go, from its beginning and its end, with what is left out said between."""

    def gap(lines: int, characters: int) -> str:
        told = (
            translate(
                "… {lines} lines ({characters} characters) are left out: the chat carries no file of {size} bytes …"
            )
            if lines
            else translate("… {characters} characters are left out: the chat carries no file of {size} bytes …")
        )
        return told.format(lines=lines, characters=characters, size=size_bytes)

    sizes = (count * limits.text_size for count in range(MOST_PARTS, 0, -1))
    excerpts = (split(head_and_tail(text, limits, gap, size=size), limits) for size in sizes)
    fitting = next((parts for parts in excerpts if len(parts) <= MOST_PARTS), None)
    return fitting or split(gap(text.count("\n"), len(text)), limits)
