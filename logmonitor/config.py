"""A configuration: TOML and the environment turned into records, checked as a whole before anything starts.

Nobody else reads either. Every finding is told at once, each with file, key, value and what was expected.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from logmonitor.configuration.document import parse
from logmonitor.configuration.factory import find_operation, find_transport, make_operation, make_transport
from logmonitor.configuration.finder import FORMS, Finder, rank
from logmonitor.configuration.record import (
    BotConfig,
    BrokenOperation,
    ChatConfig,
    Config,
    FallbackConfig,
    OperationEntry,
    RescueConfig,
    SecondChannelConfig,
    SecurityConfig,
    WatchConfig,
)
from logmonitor.configuration.security import passwords_of
from logmonitor.configuration.tables import Language, Reading, is_lasting
from logmonitor.errors import ConfigurationError, RefusedPatternError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from logmonitor.operation import Operation
    from logmonitor.transport import Transport

__all__ = [
    "BotConfig",
    "BrokenOperation",
    "ChatConfig",
    "Config",
    "FallbackConfig",
    "Language",
    "OperationEntry",
    "RescueConfig",
    "SecondChannelConfig",
    "SecurityConfig",
    "WatchConfig",
    "build_fallback_transport",
    "build_operations",
    "build_transport",
    "load",
]

_LIMIT_BYTES: Final = 1 << 20


def load(path: Path, *, environ: Mapping[str, str] = os.environ, is_enrolling: bool = False) -> Config:
    """Read and check the configuration at `path`; nothing is started and no log is read.

    An operation whose code fails is left out, and named in what is returned: that is no fault of the configuration.
    A command that asks for a one-time code is refused unless one of its admins is enrolled. While somebody
    `is_enrolling`, or else works on what lasts from a shell that has nothing of the service's environment, that is no
    matter, and what only a running bot needs is not looked at: the chat's own keys, watches, second channels.

    Raises:
        RefusedPatternError: nothing is wrong but patterns or profiles.
        ConfigurationError: it cannot be read, or something in it is wrong: one finding a line.
    """
    text, is_private = _read(path)
    whole, findings = parse(text, name=str(path), environ=environ)
    if not whole.values:
        raise ConfigurationError(f"{path}: is empty; expected {', '.join(FORMS.values())}")
    document = whole.part(is_lasting) if is_enrolling else whole
    finder = Finder(document, path, [one for one in findings if not is_enrolling or is_lasting(one.location)])
    reading = Reading(finder, is_running=not is_enrolling)
    bot, chat = reading.bot(), reading.chat()
    watches, operations = reading.watches(), reading.operations()
    security, second_channels, rescue = reading.security(), reading.second_channels(), reading.rescue()
    fallbacks = reading.fallbacks()
    reading.check()
    if finder.findings or bot is None or chat is None or security is None:
        error = document.error(sorted(finder.findings, key=rank))
        is_readable = bot is not None and chat is not None and all(one in finder.refused for one in finder.findings)
        raise RefusedPatternError(*error.args) if is_readable else error
    urls = [*(one.url for one in second_channels), *(one.url for one in fallbacks if one.url is not None)]
    return Config(
        path=path,
        bot=bot,
        chat=chat,
        watches=watches,
        operations=operations,
        broken=reading.broken,
        security=security,
        second_channels=second_channels,
        rescue=rescue,
        fallbacks=fallbacks,
        secrets=(*whole.secrets(), *passwords_of(urls)),
        exposed=() if is_private else whole.plain_secrets(),
    )


def build_operations(config: Config) -> tuple[Operation, ...]:
    """Make the operations of a configuration; nothing is started.

    Raises:
        ConfigurationError: one of them cannot be made.
    """
    return tuple(
        make_operation(find_operation(entry.use, folder=config.folder), entry.config, entry.parameters)
        for entry in config.operations
    )


def build_transport(config: Config) -> Transport:
    """Make the transport of a configuration; nothing is connected.

    Raises:
        ConfigurationError: it cannot be made.
    """
    return make_transport(find_transport(config.chat.transport, folder=config.folder), config.chat.parameters)


def build_fallback_transport(config: Config, fallback: FallbackConfig) -> Transport:
    """Make the transport of a fallback, which has one; nothing is connected.

    Raises:
        ConfigurationError: it cannot be made.
    """
    return make_transport(find_transport(str(fallback.transport), folder=config.folder), fallback.parameters)


def _read(path: Path) -> tuple[str, bool]:
    """Return what stands in the file, and whether that is its owner's alone."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ConfigurationError(f"{path}: is a directory; expected a file in TOML")
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LIMIT_BYTES:
            raise ConfigurationError(f"{path}: is no ordinary file of at most 1 MiB; expected a configuration in TOML")
        return path.read_bytes().decode("utf-8-sig"), not status.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise ConfigurationError(f"{path}: is not UTF-8: byte 0x{byte:02x} at offset {error.start}") from None
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{path}: cannot be read: {reason.lower()}") from None
