"""A second channel in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from logmonitor.errors import RejectedError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_CODE: Final = re.compile(r"\b\d{8}\b")


class MemorySecondChannel:
    """Takes what goes past the chat: `sent` holds pairs of a name and a text, in order."""

    def __init__(self, *names: str, on_sent: Callable[[str, str], None] | None = None) -> None:
        """Reach people by these configured names or stable ids; `on_sent` is told of everything."""
        self.sent: list[tuple[str, str]] = []
        self._names = names
        self._on_sent = on_sent
        self._failures = 0

    def fail_next(self, times: int = 1) -> None:
        """Let the next texts not arrive."""
        self._failures += times

    def reaches(self, names: Sequence[str], /) -> bool:
        """Tell whether there is a way to whom one of these names means."""
        return any(name in self._names for name in names)

    async def send(self, names: Sequence[str], text: str, /, *, title: str = "") -> None:
        """Take a text, or fail as the test wished.

        Raises:
            TransportError: it did not arrive.
        """
        del title
        name = next((name for name in names if name in self._names), None)
        if name is None:
            raise RejectedError(f"there is no second channel to {' or '.join(map(repr, names))}")
        if self._failures:
            self._failures -= 1
            raise TransportError("the second channel did not take the message")
        self.sent.append((name, text))
        if self._on_sent is not None:
            self._on_sent(name, text)

    def code_for(self, name: str) -> str:
        """Return the last code that was sent to somebody.

        Raises:
            LookupError: none was.
        """
        codes = [found[0] for to, text in self.sent if to == name and (found := _CODE.search(text))]
        if not codes:
            raise LookupError(f"no code was sent to {name!r} over the second channel")
        return codes[-1]
