"""The records of a configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ConfigurationError
from logmonitor.lease import LONGEST_TERM
from logmonitor.profile import AUTO

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from logmonitor.operation import OperationConfig, SecurityRule

LONGEST_MAX_AGE: Final = 3600
"""The greatest `max_age`, in seconds: what is older was meant for another moment, whatever a configuration says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """This bot: its name, its language, where it writes its own session lines, where the user's profiles are.

    `twin_key` signs these lines, and verifies those of the bots that are watched. In `timezone` a date is read and
    shown, None for the machine's. In the `store` lies what must last; without one it lasts as long as the program. In
    `pid_file` stands its process id while it runs.
    """

    name: str
    language: str = "en"
    timezone: ZoneInfo | None = None
    store: Path | None = None
    self_log: Path | None = None
    pid_file: Path | None = None
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

    `archives` are folders into which its logs are moved or copied when they are rotated, besides the one they stand in.
    With `require_signed` only lines that the bot itself signed move its session.
    """

    name: str
    logs: tuple[str, ...]
    archives: tuple[Path, ...] = ()
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
class BrokenOperation:
    """An operation that is left out because its code fails: what `use` names, under which `name`, and why."""

    use: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """What commands are secured by, and where it is put on record; no `audit` means that nothing is.

    Secrets in the store are sealed under `key`, or without it under what `key_file` holds. `rules` are pairs of a
    pattern for commands and what those have to show besides what they ask for themselves. A message of more than
    `max_age` seconds is refused.

    Raises:
        ConfigurationError: `max_age` is not above 0, or is so great that it refuses nothing.
    """

    audit: Path | None = None
    key_file: Path | None = None
    key: str | None = field(default=None, repr=False)
    rules: tuple[tuple[str, frozenset[SecurityRule]], ...] = ()
    max_age: float = 60.0

    def __post_init__(self) -> None:
        """Refuse what would let in everything, or nothing."""
        if not 0 < self.max_age <= LONGEST_MAX_AGE:
            raise ConfigurationError(
                f"bad max_age {self.max_age!r}; expected seconds above 0, at most {LONGEST_MAX_AGE}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondChannelConfig:
    """A way to `admin`, a configured name or a stable id, beside the chat: an Apprise URL, which is a secret."""

    admin: str
    url: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RescueConfig:
    """The file in which this rescuer and others on the machine keep who of them speaks for a bot.

    Who holds that lease, and cannot deliver for `term` seconds, loses it.

    Raises:
        ConfigurationError: `term` is below a second, or so great that who dies holds up the rescue.
    """

    lease: Path
    term: float = 30.0

    def __post_init__(self) -> None:
        """Refuse what would be lost between two renewals, or for ever."""
        if not 1 <= self.term <= LONGEST_TERM:
            raise ConfigurationError(f"bad term {self.term!r}; expected seconds from 1 to {LONGEST_TERM:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackConfig:
    """Another channel for what the chat has not taken within `after` seconds: an Apprise URL, or another chat.

    It takes the messages of these `admins`, None for everybody's. `url` is a secret, and says itself where it leads;
    `carries_files` tells whether its service does. A `transport` has its own parameters, and `to` are the contacts
    there, as that chat knows them.
    """

    name: str
    after: float = 60.0
    admins: tuple[str, ...] | None = None
    url: str | None = field(default=None, repr=False)
    carries_files: bool = True
    transport: str | None = None
    to: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A whole configuration; `path` is the file it was read from.

    `broken` are the operations that are left out because their code fails. Without `rescue` this bot sends whatever
    others do.
    `secrets` are the texts that no log record may show; `exposed` are the keys of those that stand in the file itself
    while others than its owner may read or change it.
    """

    path: Path
    bot: BotConfig
    chat: ChatConfig
    watches: tuple[WatchConfig, ...] = ()
    operations: tuple[OperationEntry, ...] = ()
    broken: tuple[BrokenOperation, ...] = ()
    security: SecurityConfig = SecurityConfig()
    second_channels: tuple[SecondChannelConfig, ...] = ()
    fallbacks: tuple[FallbackConfig, ...] = ()
    rescue: RescueConfig | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)
    exposed: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """The folder that what is relative is relative to."""
        return self.path.absolute().parent
