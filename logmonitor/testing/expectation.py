"""What a test expects to be said."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.records import Attachment, Content, Link
from logmonitor.testing.transcript import shown, text_of

if TYPE_CHECKING:
    from typing import TypeAlias

Expected: TypeAlias = Content | re.Pattern[str] | Callable[[Content], bool] | None
"""A whole text, a file or link, a pattern that is found in the text, a function that accepts it; None for anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What was said, as it was expected; `heard["name"]` is a group of the pattern that found it."""

    content: Content
    match: re.Match[str] | None = field(default=None, repr=False)

    @property
    def text(self) -> str:
        """What a person reads of it."""
        return text_of(self.content)

    def __getitem__(self, group: str | int) -> str:
        """Return a group of the pattern that was expected.

        Raises:
            LookupError: it was not expected by a pattern that has such a group.
        """
        if self.match is None:
            raise LookupError(f"no group {group!r}; expected a pattern to be what was expected")
        return str(self.match[group])


def hear(expected: Expected, content: Content) -> Heard | None:
    """Return `content` as heard if it is what was expected, else None."""
    match expected:
        case None:
            is_it = True
        case str():
            is_it = text_of(content) == expected
        case Attachment() | Link():
            is_it = content == expected
        case re.Pattern():
            found = expected.search(text_of(content))
            return None if found is None else Heard(content=content, match=found)
        case _:
            is_it = expected(content)
    return Heard(content=content) if is_it else None


def describe(expected: Expected) -> str:
    """Say what was expected."""
    match expected:
        case None:
            return "anything"
        case str():
            return repr(expected)
        case Attachment() | Link():
            return shown(expected)
        case re.Pattern():
            return f"what the pattern {expected.pattern!r} finds"
        case _:
            return f"what {getattr(expected, '__name__', repr(expected))} accepts"
