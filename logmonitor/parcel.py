"""What is to be sent, made into what a chat carries: without secrets, text in parts or as a file, large files packed.

What a chat cannot carry nevertheless is told.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from logmonitor.records import Attachment
from logmonitor.redact import is_text, redact_content
from logmonitor.split import exceeds, head_and_tail, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from logmonitor.records import Content
    from logmonitor.transport import Limits

FILE_ABOVE_PARTS: Final = 4
"""A text of more parts than these goes as a file, if the chat carries one of its size."""

MOST_PARTS: Final = 10
"""More parts than these never go: the middle is left out, and that is said."""

PACKED_ABOVE_BYTES: Final = 1 << 20
"""A file of text that is larger goes packed by gzip; what is smaller can be read on a phone as it is."""

_SPARE: Final = 0.9
_SLOW_ABOVE: Final = 1 << 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What was made ready to be sent by `packed`."""

    content: Content


def is_slow(content: Content, /) -> bool:
    """Tell whether `packed` takes more than a few milliseconds."""
    text = content.data if isinstance(content, Attachment) else content
    return isinstance(text, str | bytes) and len(text) > _SLOW_ABOVE


def packed(
    content: Content, limits: Limits, /, *, secrets: Iterable[str] = (), translate: Callable[[str], str] = str
) -> Parcel:
    """Take the secrets out of what is to be sent, and pack a large file of text by gzip.

    Of one that is too large for the chat even so, the last lines go that are not, which its caption says. This takes
    about a second for each ten megabytes.
    """
    content = redact_content(content, secrets)
    if (
        not isinstance(content, Attachment)
        or not is_text(content.content_type)
        or len(content.data) <= min(PACKED_ABOVE_BYTES, limits.attachment_bytes)
    ):
        return Parcel(content=content)
    kept, data = _packed_end(content.data, limits.attachment_bytes)
    if not kept:
        return Parcel(content=content)
    file = replace(content, filename=f"{content.filename}.gz", content_type="application/gzip", data=data)
    if kept < len(content.data):
        told = translate("the chat carries no more: this is the end of it, {kept} of {size} bytes").format(
            kept=kept, size=len(content.data)
        )
        file = replace(file, caption=f"{content.caption}\n{told}" if content.caption else told)
    return Parcel(content=file)


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


def _packed_end(data: bytes, limit_bytes: int) -> tuple[int, bytes]:
    """Return how many bytes of the end of a file go, as far as can be whole lines, and these packed; 0 if none do."""
    kept = data
    while kept:
        compressed = gzip.compress(kept, compresslevel=6, mtime=0)
        if len(compressed) <= limit_bytes:
            return len(kept), compressed
        room = int(len(kept) * _SPARE * limit_bytes / len(compressed))
        end = kept[len(kept) - room :]
        kept = end[end.find(b"\n", 0, -1) + 1 :]
    return 0, b""


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
