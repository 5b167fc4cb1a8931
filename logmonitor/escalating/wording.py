"""What goes past the chat, as texts that a service without images carries too, and no longer than any carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor import qr
from logmonitor.records import Attachment, Link
from logmonitor.split import head_and_tail
from logmonitor.transport import Limits, TextUnit

if TYPE_CHECKING:
    from collections.abc import Callable

    from logmonitor.records import Content

_TEXT_SIZE: Final = 1900
"""The most characters that go: fewer than any chat service takes, with room for a title."""

_BYTES: Final = {"wecombot": 1900}
"""Of services that count bytes, the most that go."""


def payload_of(content: Content, /) -> str | None:
    """Return what a login QR says, None where that cannot be read or there is no QR."""
    return qr.decode(content.qr) if isinstance(content, Attachment) and content.qr is not None else None


def is_carried(content: Content, /, *, carries_files: bool) -> bool:
    """Tell whether nothing of a message is missing where it arrives."""
    return carries_files or not isinstance(content, Attachment) or payload_of(content) is not None


def with_file_text(content: Content, /) -> str:
    """Return what stands beside a message's file, or all of it where it has none."""
    match content:
        case Attachment():
            return content.caption or content.filename
        case Link():
            return "\n".join(filter(None, (content.title, content.description, content.url)))
        case _:
            return content


def plain_text(content: Content, translate: Callable[[str], str], /) -> str:
    """Return a message without its file, of a login QR what it says."""
    if not isinstance(content, Attachment):
        return with_file_text(content)
    payload = payload_of(content)
    if payload is not None:
        told = translate(
            "no image can be shown here: turn the next line into a QR on a device of your own, and scan that"
        )
        return "\n".join(filter(None, (content.caption, told, payload)))
    told = translate("{filename} cannot be shown here, and holds nothing that could be sent as a text")
    return "\n".join(filter(None, (content.caption, told.format(filename=content.filename))))


def fitted(text: str, service: str, translate: Callable[[str], str]) -> str:
    """Return a text that one message of a service carries: of a longer one its beginning and end."""

    def gap(_lines: int, characters: int) -> str:
        return translate("… {characters} characters are left out …").format(characters=characters)

    size = _BYTES.get(service)
    limits = Limits(text_size=_TEXT_SIZE) if size is None else Limits(text_size=size, text_unit=TextUnit.BYTES)
    return head_and_tail(text, limits, gap, size=limits.text_size)
