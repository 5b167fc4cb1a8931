"""The records of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logmonitor.profile import AUTO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from logmonitor.operation import OperationConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """This bot: its name, its language, where it writes its own session lines, where the user's profiles are.

    `twin_key` signs these lines, and verifies those of the bots that are watched.
    """

    name: str
    language: str = "en"
    self_log: Path | None = None
    profiles: Path | None = None
    twin_key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatConfig:
    """The chat: its transport with that one's own parameters, and who may command.

    In `rooms`, which are ids, an admin is heard as in a direct message.
    """

    transport: str
    admins: tuple[str, ...]
    rooms: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """A bot to watch. `logs` are absolute paths as `glob` reads them; `profile` is a family's name or `auto`.

    With `require_signed` only lines that the bot itself signed move its session.
    """

    name: str
    logs: tuple[str, ...]
    profile: str = AUTO
    timezone: ZoneInfo | None = None
    qr_file: Path | None = None
    require_signed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEntry:
    """An operation to run: the factory that `use` names, and what it is called with."""

    use: str
    config: OperationConfig
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration; `path` is the file it was read from.

    `secrets` are the texts that no log record may show; `exposed` are the keys of those that stand in the file itself
    while others than its owner may read or change it.
    """

    path: Path
    bot: BotConfig
    chat: ChatConfig
    watches: tuple[WatchConfig, ...] = ()
    operations: tuple[OperationEntry, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)
    exposed: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that what is relative is relative to."""
        return self.path.absolute().parent
