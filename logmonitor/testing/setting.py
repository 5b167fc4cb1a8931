"""Who and what is in a chat, before anything is said: as one record, and as the configuration of a program."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from logmonitor.config import BotConfig, ChatConfig, Config, SecurityConfig, WatchConfig
from logmonitor.records import Sender

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from logmonitor.operation import Context, Invocation, Operation, Outcome, SecurityRule
    from logmonitor.transport import Limits

AUDIT: Final = "chat.audit.jsonl"
KEY_FILE: Final = "chat.key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What `chat` is called with.

    Raises:
        ValueError: a room has a member that is nobody, or something is named that is not there.
    """

    operations: tuple[Operation, ...]
    admins: tuple[str, ...]
    users: tuple[str, ...] = ()
    rooms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    command_rooms: tuple[str, ...] = ()
    watches: tuple[str, ...] = ()
    profile: str = "auto"
    rules: Mapping[str, frozenset[SecurityRule]] = field(default_factory=dict)
    second_channels: tuple[str, ...] = ()
    language: str = "en"
    limits: Limits | None = None
    max_age: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what could only be a slip of the pen."""
        people = (*self.admins, *self.users)
        named = [
            *((name, people, "a user") for members in self.rooms.values() for name in members),
            *((name, people, "a user") for name in self.second_channels),
            *((name, tuple(self.rooms), "a room") for name in self.command_rooms),
        ]
        for name, known, kind in named:
            if name not in known:
                raise ValueError(f"{name!r} is not {kind}; expected one of {', '.join(map(repr, known)) or 'none'}")
        twice = sorted({name for name in people if people.count(name) > 1})
        if twice:
            raise ValueError(f"{twice[0]!r} is in the chat twice; expected everybody once")

    @property
    def people(self) -> dict[str, Sender]:
        """Everybody by name, as the chat knows them."""
        return {name: sender_of(name) for name in (*self.admins, *self.users)}

    def without(self, command: str) -> Setting:
        """Return the same setting without a command, in which operations hear and do nothing."""
        return replace(self, operations=tuple(_silenced(operation, command) for operation in self.operations))

    def config(self, folder: Path, logs: Mapping[str, Path]) -> Config:
        """Return the configuration that has the program take part, with everything that lasts in `folder`."""
        return Config(
            path=folder / "chat.toml",
            bot=BotConfig(name="bot", language=self.language, store=folder / "chat.db"),
            chat=ChatConfig(
                transport="memory", admins=self.admins, rooms=tuple(room_id(name) for name in self.command_rooms)
            ),
            watches=tuple(
                WatchConfig(name=name, logs=(str(logs[name]),), profile=self.profile) for name in self.watches
            ),
            security=SecurityConfig(
                audit=folder / AUDIT,
                key_file=folder / KEY_FILE,
                rules=tuple(self.rules.items()),
                max_age=self.max_age,
            ),
        )


def sender_of(name: str) -> Sender:
    """Return what a chat knows of somebody: the alias is the bot account's own word, the name theirs."""
    return Sender(id=f"{name.casefold()}-id", alias=name, name=name)


def room_id(name: str) -> str:
    """Return the chat's id of the room of that name."""
    return f"{name.casefold()}@chatroom"


def _silenced(operation: Operation, without: str) -> Operation:
    commands = tuple(
        replace(command, handler=_do_nothing, objection=None, effect=None)
        for command in operation.commands
        if command.name != without
    )
    return replace(
        operation,
        patterns=(),
        on_start=None,
        on_stop=None,
        on_batch=None,
        on_event=None,
        on_transition=None,
        on_message=None,
        on_tick=None,
        commands=commands,
        status=None,
    )


async def _do_nothing(context: Context, invocation: Invocation) -> Outcome | None:
    """Take the place of a handler that belongs to another chat."""
