"""Who is in a chat besides the bot: users who say things, and rooms in which they are said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from logmonitor.testing.transcript import BOT, text_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from logmonitor.records import Attachment, Message, Sender
    from logmonitor.testing.chat import Chat
    from logmonitor.testing.expectation import Expected, Heard

_CONFIRMATION: Final = re.compile(r"\bconfirm (?P<id>[2-9A-Z]{4})\b")


@dataclass(frozen=True, slots=True)
class Said:
    """What a user has said; it is on its way to the bot already.

    `await said` lets everything happen that can happen now. `index` is its place in the transcript.
    """

    chat: Chat
    user: User
    message: Message
    index: int

    def __await__(self) -> Generator[object, None, Self]:
        """Let everything happen that can happen now; return itself."""
        return self._settle().__await__()

    async def should_reply(self, expected: Expected = None, /, *, deadline: float | None = None) -> Heard:
        """Expect an answer where it was said, after it was; return it.

        Raises:
            AssertionError: there is none such, or none within `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        return await self.chat.judge.expect(
            self.user.name,
            expected,
            since=self.index,
            conversation=self.message.conversation,
            behind=f" in answer to {self.message.text!r}",
            deadline=deadline,
        )

    async def should_not_reply(self, *, deadline: float | None = None) -> None:
        """Expect that its user has received nothing more since, here or anywhere else.

        Raises:
            AssertionError: there is something, or it cannot be told within `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        behind = f" in answer to {self.message.text!r}"
        await self.chat.judge.expect_nothing(self.user.name, since=self.index, behind=behind, deadline=deadline)

    async def _settle(self) -> Self:
        await self.chat.settle()
        return self


@dataclass(frozen=True, slots=True)
class User:
    """Somebody in the chat; `name` is what the test calls them, whatever they call themselves."""

    chat: Chat
    name: str
    id: str

    @property
    def sender(self) -> Sender:
        """What the chat says of them with each message."""
        return next(contact for contact in self.chat.transport.contacts if contact.id == self.id)

    def says(
        self,
        text: str,
        *,
        room: str | None = None,
        attachments: tuple[Attachment, ...] = (),
        mentions: tuple[str, ...] = (),
        quoted: str | None = None,
    ) -> Said:
        """Say something to the bot directly, or in the room of that name; await it, or what it should lead to."""
        index = len(self.chat.transcript.entries)
        message = self.chat.transport.receive(
            text,
            sender=self.sender,
            room=None if room is None else self.chat.room(room).id,
            attachments=attachments,
            mentions=mentions,
            quoted=quoted,
        )
        return Said(chat=self.chat, user=self, message=message, index=index)

    def confirms(self, *, room: str | None = None) -> Said:
        """Say `confirm` and the id that the bot has told them last.

        Raises:
            AssertionError: it has told them none.
        """
        for entry in reversed(self.chat.transcript.entries):
            if entry.speaker == BOT and self.name in entry.receivers:
                found = _CONFIRMATION.search(text_of(entry.content))
                if found:
                    return self.says(found[0], room=room)
        raise self.chat.judge.failure(f"{self.name} was asked for no confirmation")

    def takes_name(self, name: str) -> None:
        """Take another display name, as everybody may, that of an admin for example."""
        self.chat.transport.rename(self.id, name)
        self.chat.remark(f"{self.name} takes the name {name!r}")

    async def should_receive(self, expected: Expected = None, /, *, deadline: float | None = None) -> Heard:
        """Expect to have been told something, directly or in a room, that no assertion has expected of them yet.

        Raises:
            AssertionError: there is no such message, or none within `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        return await self.chat.judge.expect(self.name, expected, deadline=deadline)

    async def should_receive_nothing(self, *, deadline: float | None = None) -> None:
        """Expect to have been told nothing that no assertion has expected of them.

        Raises:
            AssertionError: there is something, or it cannot be told within `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        await self.chat.judge.expect_nothing(self.name, deadline=deadline)

    async def should_be_denied(self, text: str, *, room: str | None = None) -> None:
        """Say a command, and expect that nothing runs and that it is answered as if there were no such command.

        What that answer is, mostly silence, is found out in a second chat that lacks the command and is otherwise the
        same, in which operations hear and do nothing.

        Raises:
            AssertionError: it ran, or it was told that there is such a command.
        """
        __tracebackhide__ = True
        await self.chat.check_denied(self, text, room=room)


@dataclass(frozen=True, slots=True)
class Room:
    """A room that the bot and some users are in."""

    chat: Chat
    name: str
    id: str
    members: tuple[str, ...]

    async def should_receive(self, expected: Expected = None, /, *, deadline: float | None = None) -> Heard:
        """Expect that something was said in the room that no assertion has expected of the room yet.

        Raises:
            AssertionError: there is no such message, or none within `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        return await self.chat.judge.expect(f"#{self.name}", expected, deadline=deadline)

    async def should_receive_nothing(self, *, deadline: float | None = None) -> None:
        """Expect that nothing was said in the room that no assertion has expected of the room.

        Raises:
            AssertionError: there is something, or it cannot be told within `deadline` seconds of real time.
        """
        __tracebackhide__ = True
        await self.chat.judge.expect_nothing(f"#{self.name}", deadline=deadline)
