"""The part of WeChat that the demo plays: accounts that lose and regain their session, and messages between people.

Every function takes a `World` and something that happens, and returns the world after it and what follows from it. A
frame is one of those in docs/stdio.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

YOU: Final = "you"
"""The id of the admin's account."""

_WAITING: Final = 20

Frame = dict[str, object]
_DOWN: Final[Frame] = {"type": "down", "reason": "logged out"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A bot's account: `qr` is what its login QR holds while it is logged out, `waiting` what it has to receive yet.

    It stays logged in while the bot is not there, as between the end of its process and the start of the next.
    """

    name: str
    is_there: bool = False
    is_logged_in: bool = False
    qr: str | None = None
    waiting: tuple[Frame, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All accounts; `count` numbers the messages."""

    accounts: Mapping[str, Account]
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ToBot:
    """A frame for a bot."""

    bot: str
    frame: Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A bot's message on your screen: what stands in its `send` frame."""

    bot: str
    frame: Frame


class Remark(StrEnum):
    """What there is to say about an account."""

    LOGGED_IN = "logged_in"
    LOGGED_OUT = "logged_out"
    ALREADY_OUT = "already_out"
    SCANNED = "scanned"
    NOTHING_TO_SCAN = "nothing_to_scan"
    MESSAGE_WAITS = "message_waits"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A remark about the account of `bot`."""

    bot: str
    remark: Remark


Effect = ToBot | Arrival | Said
Step = tuple[World, tuple[Effect, ...]]


def begin(*bots: str) -> World:
    """Return a world in which these bots have accounts, none of them logged in."""
    return World(accounts={bot: Account(name=bot) for bot in bots})


def log_in(world: World, bot: str) -> Step:
    """Log a bot in: once it is there, it learns whom it can write to, and gets what has waited for it."""
    account = replace(world.accounts[bot], is_logged_in=True, qr=None)
    said = Said(bot=bot, remark=Remark.LOGGED_IN)
    if not account.is_there:
        return _with(world, account), (said,)
    contacts = [_contact(name) for name in (YOU, *world.accounts) if name != bot]
    frames: tuple[Frame, ...] = (
        {"type": "contacts", "contacts": contacts},
        {"type": "up"},
        {"type": "login", "user": bot.capitalize()},
        *account.waiting,
    )
    return _with(world, replace(account, waiting=())), (said, *_to(bot, *frames))


def log_out(world: World, bot: str, *, qr: str) -> Step:
    """Throw a bot out: from now on it can neither send nor receive, until someone scans `qr`."""
    account = world.accounts[bot]
    if not account.is_logged_in:
        return world, (Said(bot=bot, remark=Remark.ALREADY_OUT),)
    frames: tuple[Frame, ...] = (_DOWN, {"type": "logout", "user": bot.capitalize()}, {"type": "scan", "qr": qr})
    world = _with(world, replace(account, is_logged_in=False, qr=qr))
    return world, (Said(bot=bot, remark=Remark.LOGGED_OUT), *(_to(bot, *frames) if account.is_there else ()))


def scan(world: World, bot: str) -> Step:
    """Scan a bot's login QR with the phone, and confirm it there."""
    if world.accounts[bot].qr is None:
        return world, (Said(bot=bot, remark=Remark.NOTHING_TO_SCAN),)
    world, effects = log_in(world, bot)
    told = _to(bot, {"type": "scanned"}) if world.accounts[bot].is_there else ()
    return world, (Said(bot=bot, remark=Remark.SCANNED), *told, *effects)


def write(world: World, bot: str, text: str) -> Step:
    """Write to a bot; what is written to one that is logged out waits for it."""
    world, effects = _deliver(world, YOU, bot, text)
    if not world.accounts[bot].is_logged_in:
        effects = (*effects, Said(bot=bot, remark=Remark.MESSAGE_WAITS))
    return world, effects


def receive(world: World, bot: str, frame: Frame) -> Step:
    """Take a frame from a bot: one that says it is there logs it in or asks for a scan, one it sends is passed on."""
    match frame:
        case {"type": "hello"}:
            return _arrive(world, bot)
        case {"type": "send", "id": int(number), "to": str(to)}:
            return _pass_on(world, bot, to, frame, number)
        case _:
            return world, ()


def leave(world: World, bot: str) -> Step:
    """Note that a bot's process has ended."""
    world = _with(world, replace(world.accounts[bot], is_there=False))
    return world, (Said(bot=bot, remark=Remark.LEFT),)


def _arrive(world: World, bot: str) -> Step:
    """Let a bot in that has just begun, or ask for the scan that was asked for before."""
    account = replace(world.accounts[bot], is_there=True)
    world = _with(world, account)
    if account.qr is None:
        return log_in(world, bot)
    return world, _to(bot, _DOWN, {"type": "scan", "qr": account.qr})


def _pass_on(world: World, bot: str, to: str, frame: Frame, number: int) -> Step:
    def refused(reason: str, *, permanent: bool) -> Step:
        answer = {"type": "refused", "id": number, "reason": reason, "permanent": permanent}
        return world, (ToBot(bot=bot, frame=answer),)

    if not world.accounts[bot].is_logged_in:
        return refused("not logged in", permanent=False)
    if to != YOU and (to not in world.accounts or to == bot):
        return refused(f"no contact {to!r}", permanent=True)
    accepted = ToBot(bot=bot, frame={"type": "accepted", "id": number, "message_id": f"{bot}-{number}"})
    if to == YOU:
        return world, (Arrival(bot=bot, frame=frame), accepted)
    world, effects = _deliver(world, bot, to, str(frame.get("text", "")))
    return world, (*effects, accepted)


def _deliver(world: World, sender: str, bot: str, text: str) -> Step:
    """Bring a message to a bot, or let it wait; of those that wait, the newest are kept."""
    world = replace(world, count=world.count + 1)
    frame: Frame = {
        "type": "message",
        "id": f"message-{world.count}",
        "sender": _contact(sender),
        "conversation": sender,
        "text": text,
    }
    account = world.accounts[bot]
    if account.is_logged_in and account.is_there:
        return world, _to(bot, frame)
    return _with(world, replace(account, waiting=(*account.waiting, frame)[-_WAITING:])), ()


def _to(bot: str, *frames: Frame) -> tuple[ToBot, ...]:
    return tuple(ToBot(bot=bot, frame=frame) for frame in frames)


def _with(world: World, account: Account) -> World:
    return replace(world, accounts={**world.accounts, account.name: account})


def _contact(name: str) -> Frame:
    return {"id": name, "name": name.capitalize(), "weixin": name}
