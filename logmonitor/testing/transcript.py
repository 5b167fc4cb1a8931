"""Everything that passes through a chat in memory, in order: who said it, to whom, where, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.records import Attachment, Link

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from logmonitor.records import Content, Message, Sender

BOT: Final = "bot"
"""The name under which the bot itself stands in a transcript."""

_LONGEST_ROW: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that passed, or was kept from passing.

    `speaker` and `receivers` are names as the test knows them, `conversation` is the chat's id of the room or of the
    other side of a direct message; `room` is the room's name, None for a direct message. `problem` says why it did not
    pass, or what is odd about it; `has_arrived` whether its receivers can read it. `is_remark` marks what is no message
    at all but is told so that the rest can be understood.
    """

    at: datetime
    speaker: str = ""
    receivers: tuple[str, ...] = ()
    conversation: str = ""
    room: str | None = None
    content: Content = ""
    problem: str = ""
    has_arrived: bool = True
    is_remark: bool = False

    @property
    def is_from_bot(self) -> bool:
        """Whether the bot says it, and it arrived."""
        return self.speaker == BOT and self.has_arrived

    @property
    def is_to_nobody(self) -> bool:
        """Whether the bot says it to a conversation that there is not."""
        return self.speaker == BOT and not self.receivers

    def __str__(self) -> str:
        """Return it as one row, or several where the text has several lines."""
        time = f"{self.at:%H:%M:%S}"
        if self.is_remark:
            return f"{time}  -- {self.problem}"
        to = ", ".join(self.receivers) or f"nobody ({self.conversation})"
        where = to if self.room is None else f"#{self.room} ({to})"
        head = f"{time}  {self.speaker} → {where}: "
        text = shown(self.content).replace("\n", f"\n{' ' * 10}  ")
        return f"{head}{text}" + (f"  [{self.problem}]" if self.problem else "")


class Transcript:
    """The entries of one chat, oldest first."""

    def __init__(self) -> None:
        """Know nobody yet."""
        self.entries: list[Entry] = []
        self._names: dict[str, str] = {}
        self._rooms: dict[str, tuple[str, tuple[str, ...]]] = {}

    def know(self, people: Mapping[str, Sender]) -> None:
        """Know people by the names that a test has for them."""
        self._names |= {sender.id: name for name, sender in people.items()}

    def know_room(self, id_: str, *, name: str, members: Sequence[str]) -> None:
        """Know the room with this id, and the names of who reads what is said in it."""
        self._rooms[id_] = (name, tuple(members))

    def is_known(self, conversation: str) -> bool:
        """Tell whether something said there has a reader."""
        return conversation in self._rooms or conversation in self._names

    def name_of(self, id_: str) -> str:
        """Return the name of whoever or whichever room has this id, else the id itself."""
        return self._rooms[id_][0] if id_ in self._rooms else self._names.get(id_, id_)

    def take_in(self, message: Message, *, at: datetime, problem: str = "") -> None:
        """Note a message to the bot, or one that the bot's own account sent from elsewhere."""
        speaker = f"{BOT} itself" if message.from_self else self.name_of(message.sender.id)
        room = None if message.room is None else self.name_of(message.room)
        others = () if message.room is None else self._rooms.get(message.room, ("", ()))[1]
        receivers = (BOT, *(name for name in others if name != speaker))
        entry = Entry(
            at=at,
            speaker=speaker,
            receivers=receivers,
            conversation=message.conversation,
            room=room,
            content=message.text,
            problem=problem,
        )
        self.entries.append(entry)

    def give_out(self, to: str, content: Content, *, at: datetime, problem: str = "", has_arrived: bool = True) -> None:
        """Note what the bot sent to a conversation, and what became of it."""
        room = self._rooms.get(to)
        receivers = room[1] if room else (self._names[to],) if to in self._names else ()
        entry = Entry(
            at=at,
            speaker=BOT,
            receivers=receivers,
            conversation=to,
            room=room[0] if room else None,
            content=content,
            problem=problem,
            has_arrived=has_arrived,
        )
        self.entries.append(entry)

    def remark(self, text: str, *, at: datetime) -> None:
        """Note what is no message."""
        self.entries.append(Entry(at=at, problem=text, is_remark=True))

    def __str__(self) -> str:
        """Return all of it, one entry after the other."""
        return "\n".join(map(str, self.entries)) or "(nothing was said)"


def text_of(content: Content) -> str:
    """Return what a person reads of a message: its text, a file's caption, a link's title and description."""
    match content:
        case Attachment():
            return content.caption
        case Link():
            return "\n".join(filter(None, (content.title, content.description, content.url)))
        case _:
            return content


def shown(content: Content) -> str:
    """Return a message as a transcript shows it."""
    text = text_of(content)
    if isinstance(content, Attachment):
        text = f"<{content.filename}: {content.content_type}, {len(content.data)} bytes> {text}".rstrip()
    return text if len(text) <= _LONGEST_ROW else f"{text[:_LONGEST_ROW]}… ({len(text)} characters)"
