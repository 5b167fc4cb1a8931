"""`logmonitor check`: what would stop a configuration from working, each with its remedy."""

from __future__ import annotations

import asyncio
import logging
import os
import shlex
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.cli.check_lasting import lasting_rows
from logmonitor.cli.check_logs import log_rows
from logmonitor.cli.row import Row, counted, printer, reason_of, user_name
from logmonitor.config import build_operations, build_transport, load
from logmonitor.configuration.factory import TRANSPORTS
from logmonitor.errors import ConfigurationError, LogMonitorError, RefusedPatternError, RejectedError, TransportError
from logmonitor.transport import CanVisit, CanWait

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from logmonitor.config import ChatConfig, Config
    from logmonitor.records import Health
    from logmonitor.transport import Transport

CONNECT_SECONDS: Final = 10.0
LOOK_UP_SECONDS: Final = 60.0
SETTLE_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.05
_CONNECT_REMEDY: Final = "check the keys of [chat], and whether the service it names is up from this machine"
_REMEDIES: Final = (
    ("logged out", "scan the login QR that it asks for, or let its twin rescue it"),
    ("token", "give [chat] the token with which its service was started"),
    ("certificate", "name in ca_file who vouches for the certificate, and in server_name whom it is for"),
    ("TLS", "say with tls whether the service speaks TLS"),
)
"""What helps, by a word of the reason why a chat is down."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="the configuration that `run` is to be given")
    parser.epilog = (
        "Exit codes: 0 nothing found, 1 something found, 2 the configuration cannot be read or is not valid. "
        "A bot that runs is not disturbed: it keeps its place in a chat that serves one client, as Wechaty gateways do."
    )


def run(arguments: argparse.Namespace) -> int:
    """Look at everything a configuration needs; return 0 if it is there, 1 if not, 2 for a bad configuration."""
    logging.getLogger("logmonitor").addHandler(logging.NullHandler())  # what a chat logs stands in its row
    show = printer()
    try:
        config = load(arguments.config)
        transport, operations = build_transport(config), build_operations(config)
    except ConfigurationError as error:
        findings = str(error).splitlines()
        for finding in findings:
            show(Row(subject="configuration", text=finding, remedy=""))
        print(f"{counted(len(findings))} in the configuration; nothing else was looked at.")
        return 1 if isinstance(error, RefusedPatternError) else 2
    contacts = {name for operation in operations for name in (*(operation.config.admins or ()), *operation.contacts)}
    contacts.update(channel.admin for channel in config.second_channels)
    names = dict.fromkeys((*config.chat.admins, *sorted(contacts)))
    show = printer(config.secrets)
    found = 0
    for row in (
        Row(subject="configuration", text=f"{config.path} is valid"),
        *_secret_rows(config),
        *log_rows(config),
        *_operation_rows(config),
        *_broken_rows(config),
        *_self_log_rows(config),
        *_pid_file_rows(config),
        *lasting_rows(config, operations),
        *tls_rows(config.chat),
        *asyncio.run(chat_rows(config.chat.transport, transport, tuple(names))),
    ):
        show(row)
        found += row.remedy is not None
    if found:
        print(f"{counted(found)}; once mended, check again.")
        return 1
    print(f"Nothing stands in the way of: {shlex.join(('logmonitor', 'run', str(config.path)))}")
    return 0


def _secret_rows(config: Config) -> Iterator[Row]:
    """Look whether others can read the secrets that stand in the configuration."""
    if config.exposed:
        text = f"others than its owner can reach what stands in it: {', '.join(config.exposed)}"
        close = shlex.join(("chmod", "600", str(config.path)))
        remedy = f"{close}, or write ${{NAME}} there and set NAME in the environment"
        yield Row(subject="configuration", text=text, remedy=remedy)


def tls_rows(chat: ChatConfig) -> Iterator[Row]:
    """Look whether the chat's service proves who it is."""
    if chat.parameters.get("insecure") is True:
        text = (
            "insecure = true: no certificate is checked, so whoever stands in between can read the token and all else"
        )
        remedy = "name in ca_file who vouches for a certificate of its own, and take insecure out"
        yield Row(subject=f"chat {chat.transport}", text=text, remedy=remedy)
    elif chat.parameters.get("tls") is False and not _is_loopback(str(chat.parameters.get("endpoint"))):
        text = "tls = false: whoever stands between here and the gateway can read the token and all else"
        yield Row(subject=f"chat {chat.transport}", text=text)


def _is_loopback(endpoint: str) -> bool:
    """Tell whether nothing leaves this machine on the way to `host:port`."""
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _operation_rows(config: Config) -> Iterator[Row]:
    """Look for bots that nothing is done about."""
    for watch in config.watches:
        if not any(entry.config.watch in (None, watch.name) for entry in config.operations):
            remedy = 'add an [[operation]], such as use = "qr_rescue"'
            yield Row(subject=f"watch {watch.name}", text="nothing is done when it is lost", remedy=remedy)


def _broken_rows(config: Config) -> Iterator[Row]:
    """Tell of operations whose code fails."""
    for broken in config.broken:
        remedy = f"mend what {broken.use} names, or take its [[operation]] out; until then all others go on without it"
        yield Row(subject=f"operation {broken.name}", text=f"fails and is left out: {broken.reason}", remedy=remedy)


def _self_log_rows(config: Config) -> Iterator[Row]:
    """Look whether this bot can write its own log; nothing is made or written."""
    path = config.bot.self_log
    if path is None:
        return
    subject = "self_log"
    try:
        place = next(one for one in (path, *path.parents) if one.exists())
    except OSError as error:
        yield Row(subject=subject, text=f"{path}: {reason_of(error)}", remedy="name a file that this bot may write to")
        return
    if path.exists() and not path.is_file():
        yield Row(subject=subject, text=f"{path} is no file", remedy="name a file that this bot may write to")
    elif not path.exists() and not place.is_dir():
        yield Row(subject=subject, text=f"{place} is no folder", remedy="name a file in a folder")
    elif not os.access(place, os.W_OK):
        remedy = f"let the user {user_name()} write to it, or name another file"
        yield Row(subject=subject, text=f"{place} cannot be written to", remedy=remedy)
    else:
        yield Row(subject=subject, text=f"{path} can be written")


def _pid_file_rows(config: Config) -> Iterator[Row]:
    """Look whether this bot can say under which process id it runs; nothing is made or written."""
    path = config.bot.pid_file
    if path is None:
        return
    subject, remedy = "pid_file", f"let the user {user_name()} write to that folder, or name a file in another"
    try:
        folder = next(one for one in path.parents if one.exists())
        is_folder = path.is_dir()
    except OSError as error:
        yield Row(subject=subject, text=f"{path}: {reason_of(error)}", remedy=remedy)
        return
    if is_folder:
        yield Row(subject=subject, text=f"{path} is a folder", remedy="name a file in it")
    elif not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield Row(subject=subject, text=f"{path} cannot be written: {folder} lets nothing be made in it", remedy=remedy)
    else:
        yield Row(subject=subject, text=f"{path} can be written")


async def chat_rows(name: str, transport: Transport, contacts: tuple[str, ...]) -> list[Row]:
    """Enter the chat, beside a bot that uses it, and look everyone up; a chat that is this terminal is left alone."""
    subject = f"chat {name}"
    known = TRANSPORTS.get(name)
    if known is not None and not known.connects:
        return [Row(subject=subject, text="needs no connection")]
    rows: list[Row] = []
    if isinstance(transport, CanVisit):
        transport = transport.visiting()
    health = transport.health()
    try:
        async with asyncio.timeout(CONNECT_SECONDS) as deadline, transport:
            health = await _connected(transport)
            if health.is_up:
                rows.append(Row(subject=subject, text="; ".join(filter(None, ("can be reached", health.reason)))))
                deadline.reschedule(asyncio.get_running_loop().time() + LOOK_UP_SECONDS)
                rows += await _contact_rows(transport, contacts)
                health = await _settled(transport)
            if not health.is_up:
                return [_down_row(subject, health)]
    except TimeoutError:
        text = f"no answer within {LOOK_UP_SECONDS if rows else CONNECT_SECONDS:g} s"
        text += f": {health.reason}" if health.reason and not health.is_up else ""
        rows.append(Row(subject=subject, text=text, remedy=_CONNECT_REMEDY))
    except (LogMonitorError, OSError) as error:
        rows.append(Row(subject=subject, text=f"cannot be reached: {error}", remedy=_remedy(str(error))))
    return rows


async def _connected(transport: Transport) -> Health:
    """Wait while a chat is still connecting for the first time; return how it is then."""
    while True:
        health = transport.health()
        if health.is_up or health.since is not None:
            return health
        await asyncio.sleep(_POLL_SECONDS)  # a chat tells its health only when asked


async def _settled(transport: Transport) -> Health:
    """Give a chat that can go down a moment to learn that its account is logged out; return how it is then."""
    loop = asyncio.get_running_loop()
    settled_at = loop.time() + (SETTLE_SECONDS if isinstance(transport, CanWait) else 0)
    while (health := transport.health()).is_up and loop.time() < settled_at:  # noqa: ASYNC110  # told only when asked
        await asyncio.sleep(_POLL_SECONDS)
    return health


def _down_row(subject: str, health: Health) -> Row:
    """Tell why a chat is down; what else depends on it is not told again."""
    how = "can be reached, but" if "logged out" in health.reason else "is down:"
    return Row(subject=subject, text=f"{how} {health.reason}", remedy=_remedy(health.reason))


def _remedy(reason: str) -> str:
    """Return what helps against a chat's being down."""
    fitting = (remedy for word, remedy in _REMEDIES if word in reason)
    return f"{next(fitting, _CONNECT_REMEDY)}; then check again, since no admin could be looked up"


async def _contact_rows(transport: Transport, contacts: tuple[str, ...]) -> list[Row]:
    """Look everyone up; those that cannot be for one reason are told in one row."""
    rows: list[Row] = []
    failed: dict[str, list[str]] = {}
    found: dict[str, str] = {}
    for contact in contacts:
        subject = f"admin {contact}"
        try:
            sender = await transport.resolve(contact)
        except RejectedError as error:
            remedy = "name one contact by id, number or alias; a display name is none of these"
            rows.append(Row(subject=subject, text=f"unknown to the chat: {error}", remedy=remedy))
        except TransportError as error:
            failed.setdefault(str(error), []).append(contact)
        else:
            rows.append(Row(subject=subject, text=f"is the contact {sender.id}"))
            found[contact] = sender.id
    named = [f"{id_!r} for {name!r}" for name, id_ in found.items() if id_ != name]
    if named:
        text = f"best named by id, which nobody else can come to have: {', '.join(named)}"
        rows.append(Row(subject="admins", text=text))
    for reason, names in failed.items():
        subject = f"admin{'s' * (len(names) > 1)} {', '.join(names)}"
        remedy = "check again once the chat can be reached"
        rows.append(Row(subject=subject, text=f"cannot be looked up: {reason}", remedy=remedy))
    return rows
