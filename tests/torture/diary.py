"""A chat that takes whatever it is given and puts it down in a file, for programs that are killed and started anew."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from logmonitor import Attachment, Health, Limits, Message, Receipt, Sender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType

    from logmonitor import Content

_STAMP: Final = re.compile(r"\A\[[^\]]*\] ")


class Diary:
    """A chat in which nothing is said but by the bot; `path` is where that is put down, a line each."""

    limits = Limits(captions=True)

    def __init__(self, *, path: str) -> None:
        """Write to the end of `path`."""
        self._path = Path(path)

    async def __aenter__(self) -> Self:
        """Need nothing."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing."""

    def health(self) -> Health:
        """Be up."""
        return Health(is_up=True)

    async def messages(self) -> AsyncIterator[Message]:
        """Yield nothing, for ever."""
        await asyncio.Event().wait()
        yield  # type: ignore[misc]  # it is never reached, and makes this a generator

    async def resolve(self, who: str, /) -> Sender:
        """Know everybody by the name they are called."""
        return Sender(id=who)

    async def send(self, to: str, content: Content, /) -> Receipt:
        """Put it down, so that it lasts whatever becomes of this program."""
        shown = (content.qr.payload if content.qr else None) if isinstance(content, Attachment) else content
        with self._path.open("ab", buffering=0) as file:
            file.write(json.dumps([to, shown]).encode() + b"\n")
        return Receipt(message_id=None, accepted_at=datetime.now(UTC))


def entries(path: Path) -> list[str]:
    """Return what was put down, without when it was written where that was told."""
    if not path.exists():
        return []
    return [_STAMP.sub("", str(json.loads(line)[1])) for line in path.read_text("utf-8").splitlines()]
