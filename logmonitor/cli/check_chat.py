"""What `check` tells of a chat: whether it proves who it is, can be reached, and knows whom it is to tell."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from logmonitor.cli.row import Row
from logmonitor.configuration.factory import TRANSPORTS
from logmonitor.errors import LogMonitorError, RejectedError, TransportError
from logmonitor.transport import CanVisit, CanWait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor.config import ChatConfig
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
