"""The unit by which systemd runs a bot, as text: what is in it, and how paths and words are written there.

What the settings do is said in systemd.service(5) and systemd.exec(5).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHDOG_SECONDS: Final = 60
STOP_SECONDS: Final = 30
"""How long the program may take to end: longer than it gives itself."""

RESTART_SECONDS: Final = 5
BAD_CONFIGURATION: Final = 2
"""The exit code for which starting again helps nothing."""

SUBGROUP_VERSION: Final = 254
"""The systemd from which on what is delegated can have a group of its own for the service itself."""

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_OWN: Final = "[X-Logmonitor]"
_MARK: Final = "Configuration="
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "%": "%%"}
_ODD: Final = frozenset("\"'\\$")
"""What systemd takes in no program's path, but in the words behind it."""


class Scope(StrEnum):
    """Whose systemd runs the unit: the machine's, or that of one user."""

    SYSTEM = "system"
    USER = "user"


class Hardening(StrEnum):
    """How much of the machine is closed to the program, and to all that it starts.

    `files` closes the file system to writing, and nothing that would keep a program from becoming another user.
    """

    FULL = "full"
    FILES = "files"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A unit. Paths are absolute.

    `words` start the program, the first is its path; they are run in `folder` by `user`, None for whoever's systemd it
    is. `written` are the folders that it writes in, `made` those of them that are made below /run at each start.
    `hides_homes` and `has_own_temporary` say what it needs nothing of, `outlived` that what it starts must not end with
    it, `delegated` that it makes control groups. `path` is where programs are looked for, if not where all are.
    """

    scope: Scope
    description: str
    configuration: Path
    words: tuple[str, ...]
    folder: Path
    user: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    hardening: Hardening = Hardening.FULL
    written: tuple[Path, ...] = ()
    made: tuple[str, ...] = ()
    hides_homes: bool = False
    has_own_temporary: bool = True
    outlived: bool = False
    delegated: bool = False
    systemd_version: int = 0

    def __post_init__(self) -> None:
        """Refuse what a unit cannot say."""
        plain = [self.configuration, self.folder, *self.written]
        texts = (*map(str, plain), self.description, *self.words)
        for text in (*texts, *(value for _, value in self.environment)):
            if not _is_sayable(text):
                raise ConfigurationError(f"{text!r} cannot stand in a unit of systemd; expected no control characters")
        for text in (str(self.folder), self.description):
            if text != text.strip() or text.endswith("\\"):
                raise ConfigurationError(
                    f"{text!r} cannot stand in a unit of systemd; expected no blank or backslash at its end"
                )


def unit_text(unit: Unit) -> str:
    """Return the text of a unit."""
    sections = {
        "[Unit]": _of_unit(unit),
        "[Service]": _of_service(unit),
        "[Install]": iter(("WantedBy=" + ("multi-user.target" if unit.scope is Scope.SYSTEM else "default.target"),)),
        _OWN: iter((f"{_MARK}{json.dumps(str(unit.configuration))}",)),
    }
    blocks = ["\n".join((title, *lines)) for title, lines in sections.items()]
    return "# Written by `logmonitor service install`, which writes it anew; `systemctl edit` keeps what you add.\n" + (
        "\n\n".join(blocks) + "\n"
    )


def configuration_of(text: str) -> str | None:
    """Return the path of the configuration that a unit was written for; None for a unit of somebody else's."""
    lines = [line.strip() for line in text.splitlines()]
    if _OWN not in lines:
        return None
    for line in lines[lines.index(_OWN) + 1 :]:
        if line.startswith(_MARK):
            try:
                path = json.loads(line.removeprefix(_MARK))
            except ValueError:
                return None
            return path if isinstance(path, str) else None
    return None


def unit_name(bot: str, *, otherwise: str) -> str:
    """Return the name of a bot's unit: of what a shell takes as it is in the bot's name, else in `otherwise`."""
    for text in (bot, otherwise):
        word = "".join(one if one.isascii() and (one.isalnum() or one in "-_.") else "-" for one in text)
        while "--" in word:
            word = word.replace("--", "-")
        if any(one.isalnum() for one in word):
            return f"logmonitor-{word.strip('-.')[:100]}.service"
    return "logmonitor-bot.service"


def _of_unit(unit: Unit) -> Iterator[str]:
    yield f"Description={_plain(unit.description)}"
    if unit.scope is Scope.SYSTEM:
        yield "Wants=network-online.target"
        yield "After=network-online.target"
    yield f"RequiresMountsFor={_quoted(str(unit.folder))}"
    yield "StartLimitIntervalSec=0"  # a rescuer that is down is started again however often that fails


def _of_service(unit: Unit) -> Iterator[str]:
    yield "Type=notify"
    yield "NotifyAccess=main"
    program, *rest = unit.words
    words = (program, *rest) if not _ODD & {*program} else ("/bin/sh", "-c", 'exec "$0" "$@"', program, *rest)
    yield "ExecStart=" + " ".join(_quoted(word.replace("$", "$$")) for word in words)
    yield f"WorkingDirectory={_plain(str(unit.folder))}"
    if unit.user is not None:
        yield f"User={_plain(unit.user)}"
    for name, value in unit.environment:
        yield f"Environment={_quoted(f'{name}={value}')}"
    yield "Restart=always"
    yield f"RestartSec={RESTART_SECONDS}"
    yield f"RestartPreventExitStatus={BAD_CONFIGURATION}"
    yield f"WatchdogSec={WATCHDOG_SECONDS}"
    yield f"TimeoutStopSec={STOP_SECONDS}"
    yield f"KillMode={'process' if unit.outlived else 'mixed'}"
    yield "OOMPolicy=continue"  # else systemd stops all of it when the kernel ends one process that it has started
    if unit.delegated:
        yield "Delegate=yes"
        if unit.systemd_version >= SUBGROUP_VERSION:
            yield "DelegateSubgroup=main"
    if unit.made:
        yield "RuntimeDirectory=" + " ".join(map(_quoted, unit.made))
        yield "RuntimeDirectoryPreserve=yes"
    yield from _hardening(unit)


def _hardening(unit: Unit) -> Iterator[str]:
    """Yield what closes the machine to the program, as far as it may be; a user's systemd has fewer such means."""
    if unit.hardening is Hardening.NONE:
        return
    if unit.scope is Scope.SYSTEM:
        yield "ProtectSystem=strict"
        places = [*unit.written]
        yield from (f"ReadWritePaths={_quoted(f'-{path}')}" for path in places)
        if unit.has_own_temporary:
            yield "PrivateTmp=yes"
        else:
            yield "ReadWritePaths=-/tmp -/var/tmp"
        yield f"ProtectHome={'yes' if unit.hides_homes else 'read-only'}"
        yield "ProtectControlGroups=yes"
    if unit.hardening is Hardening.FILES:
        return
    yield "NoNewPrivileges=yes"
    if unit.scope is Scope.SYSTEM:
        if unit.user not in {None, "root", "0"}:
            yield "CapabilityBoundingSet="
        yield from (
            f"{name}=yes"
            for name in (
                "PrivateDevices",
                "ProtectClock",
                "ProtectHostname",
                "ProtectKernelLogs",
                "ProtectKernelModules",
                "ProtectKernelTunables",
            )
        )
    yield "LockPersonality=yes"
    yield "RestrictNamespaces=yes"
    yield "RestrictRealtime=yes"
    yield "RestrictSUIDSGID=yes"
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=@system-service"
    yield "SystemCallErrorNumber=EPERM"
    yield "LimitCORE=0"  # what is in memory opens chats


def _is_sayable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return text.isprintable()


def _plain(text: str) -> str:
    """Write a value that reaches to the end of its line."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    """Write one word among others."""
    return '"' + "".join(_ESCAPES.get(one, one) for one in text) + '"'
