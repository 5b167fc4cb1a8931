"""Whether a command is denied as if it did not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logmonitor.dispatcher import last_words
from logmonitor.language import translation
from logmonitor.typed import parse

if TYPE_CHECKING:
    from logmonitor.testing.chat import Chat
    from logmonitor.testing.participant import User

UNKNOWN: Final = "zzqxwv"
"""A word that is no command and like none."""


async def check_denied(here: Chat, user: User, text: str, *, room: str | None) -> None:
    """Say a command, and see that nothing runs and that the answer tells nothing of it.

    A command of an operation is compared with itself in a chat that lacks it, one of the runtime's own with a word that
    is none.

    Raises:
        AssertionError: it ran, or its answer tells that there is such a command.
        ValueError: there is no such command, so that its denial would mean nothing.
    """
    __tracebackhide__ = True
    typed = parse(text)
    name = "" if typed is None else typed.name
    if name not in here.commands and name not in here.own_commands:
        expected = ", ".join(map(repr, here.commands)) or "one of the runtime's own"
        raise ValueError(f"{text!r} is no command of this chat; expected {expected}")
    said = user.says(text, room=room)
    last = f"\n{last_words(translation(here.language))}"  # below the last mistake that is answered, whatever it is
    told = tuple(row.removesuffix(last) for row in await here.judge.take(user.name, since=said.index))
    if said.message.id in here.ran:
        raise here.judge.failure(f"{user.name} should have been denied {text!r}, and it ran")
    asked = text if name in here.commands else f"{UNKNOWN} {text.partition(' ')[2]}".rstrip()
    async with here.without(name) as other:
        expected_answer = await _answer(other, user.name, asked, room)
    same = tuple(row.replace(UNKNOWN, name) for row in expected_answer)
    if told == same:
        return
    if not told and not await _answer(here, user.name, UNKNOWN, room):
        return  # whoever has asked for too much that there is not gets no answer any more, whatever it is
    raise here.judge.failure(
        f"{user.name} should have been denied {text!r} as if there were no such command, which is answered by"
        f" {' and '.join(map(repr, same)) or 'silence'}"
    )


async def _answer(here: Chat, name: str, text: str, room: str | None) -> tuple[str, ...]:
    said = here.user(name).says(text, room=room)
    return await here.judge.take(name, since=said.index)
