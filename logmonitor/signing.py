"""Signed session lines: proof that a bot wrote a line itself, and not a stranger whose words it logged.

A signed line ends with ` lm1 TIME BOOT.SEQUENCE MAC`: an ISO 8601 time in UTC, a number drawn at the writer's start and
one that counts its lines, and an HMAC-SHA256 (RFC 2104) in base64url over all that stands before it and the bot's name.
The key is one that twins share. The name is no part of the line: what one twin wrote proves nothing in the other's log.

A copy of a line proves as much as the line. What tells them apart is where the first of them stood and, where that was
never read, the order in which they were signed: within a boot by sequence, between boots by time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ConfigurationError
from logmonitor.records import Refusal, Signature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

KEY_BYTES: Final = 32
_MARK: Final = "lm1"
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{43}=?")
_PLACE: Final = re.compile(r"(?P<boot>[0-9a-f]{8,32})\.(?P<sequence>[0-9]{1,15})", re.ASCII)
_CONTEXT: Final = b"logmonitor session line 1\0"
_NOWHERE: Final = (None, -1)


def key_text(key: bytes) -> str:
    """Return a key as a configuration holds it; the inverse of `parse_key`."""
    return urlsafe_b64encode(key).decode().rstrip("=")


def parse_key(text: str) -> bytes:
    """Read a twins' key.

    Raises:
        ConfigurationError: it is none; the text does not show it.
    """
    if not _KEY.fullmatch(text):
        raise ConfigurationError("bad twin key; expected the 43 characters that `logmonitor key` prints")
    return urlsafe_b64decode(f"{text.rstrip('=')}=")


def sign(line: str, signature: Signature, *, bot: str, key: bytes) -> str:
    """Return what stands behind `line`, which the bot called `bot` writes, to make a signed line of it."""
    at = signature.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    suffix = f" {_MARK} {at} {signature.boot}.{signature.sequence}"
    return f"{suffix} {_mac((line + suffix).encode(), bot=bot, key=key)}"


def verify(raw: bytes, *, bot: str, key: bytes) -> Signature | Refusal:
    """Return what a line of the bot called `bot` was signed with, or why that proves nothing.

    `raw` is the line as it stands in its file. A signature that holds may still be a replay: see `accept`.
    """
    parts = raw.rstrip(b"\r\t ").rsplit(b" ", 4)
    if len(parts) < 5 or parts[1] != _MARK.encode():  # noqa: PLR2004  # line, mark, time, place, MAC
        return Refusal.UNSIGNED
    signed, place = raw[: len(raw.rstrip(b"\r\t ")) - len(parts[4]) - 1], _PLACE.fullmatch(parts[3].decode("latin-1"))
    if place is None or not hmac.compare_digest(_mac(signed, bot=bot, key=key).encode(), parts[4]):
        return Refusal.WRONG
    at = datetime.fromisoformat(parts[2].decode())
    return Signature(at=at, boot=place["boot"], sequence=int(place["sequence"]))


class Order(StrEnum):
    """When a line was signed, compared with what was accepted before.

    `STRAY` is older by its time, and of a boot that never led: of an old log, or of a machine whose clock is wrong.
    """

    NEWEST = "newest"
    STRAY = "stray"
    OLDER = "older"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The signatures accepted last, at most `limit`, and where their lines stand: in which file, at which byte.

    `forgotten` holds, for each boot, the last sequence that there was no room for any more. `newest` is what no
    accepted signature is newer than; `led` holds, for each boot of which that was one, the last sequence of those.
    """

    limit: int = 1000
    places: Mapping[tuple[str, int], tuple[Path | None, int]] = field(default_factory=dict)
    forgotten: Mapping[str, int] = field(default_factory=dict)
    newest: Signature | None = None
    led: Mapping[str, int] = field(default_factory=dict)


def order_of(accepted: Accepted, signature: Signature) -> Order:
    """Compare a signature that holds with those accepted before: by sequence within a boot, by time between boots."""
    boot, newest = signature.boot, accepted.newest
    if signature.sequence < accepted.led.get(boot, 0):
        return Order.OLDER
    if newest is None or boot == newest.boot or signature.at >= newest.at:
        return Order.NEWEST
    if boot in accepted.led or any(boot == other and signature.sequence < last for other, last in accepted.places):
        return Order.OLDER
    return Order.STRAY


def accept(accepted: Accepted, signature: Signature, *, path: Path | None, offset: int) -> tuple[Accepted, bool]:
    """Note a signature that holds; return False if its line stood in another place before, so that this is a replay."""
    mark, place = (signature.boot, signature.sequence), (path, offset)
    if mark in accepted.places:
        return accepted, accepted.places[mark] == place
    if signature.sequence <= accepted.forgotten.get(signature.boot, -1):
        return accepted, False
    places, forgotten = {**accepted.places, mark: place}, accepted.forgotten
    if len(places) > accepted.limit:
        (boot, sequence), _ = next(iter(places.items()))
        del places[boot, sequence]
        forgotten = {**forgotten, boot: max(sequence, forgotten.get(boot, -1))}
    accepted = replace(accepted, places=places, forgotten=forgotten)
    if order_of(accepted, signature) is not Order.NEWEST:
        return accepted, True
    return replace(accepted, newest=signature, led={**accepted.led, signature.boot: signature.sequence}), True


def begin_anew(accepted: Accepted, path: Path) -> Accepted:
    """Note that the file at `path` starts anew: no line that stood in the old one is in its own place in the new."""
    places = {mark: _NOWHERE if place[0] == path else place for mark, place in accepted.places.items()}
    return replace(accepted, places=places)


def _mac(signed: bytes, *, bot: str, key: bytes) -> str:
    name = unicodedata.normalize("NFKC", bot).casefold().encode()
    digest = hmac.digest(key, _CONTEXT + len(name).to_bytes(4, "big") + name + signed, hashlib.sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")
