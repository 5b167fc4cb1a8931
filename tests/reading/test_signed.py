"""Signed session lines as a log holds them: what they prove, and what a stranger cannot do to them."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.lines import Rest, cut
from logmonitor.lines import finish as finish_file
from logmonitor.profile_folder import load_profile
from logmonitor.qr import render_terminal
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Chunk, Qr, Refusal, Session, SessionState, Signature
from logmonitor.signing import KEY_BYTES, sign
from logmonitor.watch import WatchState, finish, observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from logmonitor.reading.recognition import CompiledProfile
    from logmonitor.watch import Observation

LOG: Final = Path("/var/log/bob.log")
KEY: Final = bytes(range(KEY_BYTES))
NOW: Final = datetime(2026, 11, 20, 22, 0, tzinfo=UTC)
START: Final = WatchState(session=Session(watch="bob"))
ABC: Final = "https://login.weixin.qq.com/l/Abc123=="
WRAPPED: Final = "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{}%3D%3D"
SCAN: Final = f"22:44:35 INFO StarterBot onScan: Waiting(2) - {WRAPPED.format('Abc123')}"
BARE_SCAN: Final = "22:44:35 INFO StarterBot onScan: Waiting(2)"
LOGIN: Final = "22:44:35 INFO StarterBot Contact<Bob> login"
LOGOUT: Final = "22:44:35 INFO StarterBot Contact<Bob> logout"
MESSAGE: Final = "22:44:35 INFO StarterBot Message#Text[🗣Contact<Eve>]\thi"
DRAWING: Final = "\n".join(render_terminal(Qr(payload="https://evil.example")))


@cache
def family(name: str = "wechaty-ts") -> CompiledProfile:
    """Return a shipped profile, compiled once, as a watcher does."""
    return compile_profile(load_profile(name))


def signed(
    line: str, sequence: int = 0, *, bot: str = "bob", key: bytes = KEY, boot: str = "00c0ffee", at: datetime = NOW
) -> str:
    """Return a line with its signature."""
    return line + sign(line, Signature(at=at, boot=boot, sequence=sequence), bot=bot, key=key)


def chunks_of(*lines: str, sizes: Sequence[int] = (), start_offset: int = 0, path: Path = LOG) -> list[Chunk]:
    """Cut lines into chunks, read in pieces of these sizes and then the rest."""
    data = "".join(f"{line}\n" for line in lines).encode()
    rest, chunks, position = Rest(offset=start_offset), [], 0
    for size in (*sizes, len(data)):
        rest, more = cut(rest, data[position : position + size], path=path)
        position += size
        chunks += more
    return [*chunks, *finish_file(rest, path=path)[1]]


def read(
    chunks: Iterable[Chunk],
    *,
    state: WatchState = START,
    profile: CompiledProfile | None = None,
    key: bytes | None = KEY,
    require_signed: bool = False,
    live: bool = False,
) -> tuple[WatchState, list[Observation]]:
    """Observe chunks to their end."""
    profile, found = profile or family(), []
    for chunk in chunks:
        state, observed = observe(
            state, chunk, profile=profile, now=NOW, live=live, key=key, require_signed=require_signed
        )
        found += observed
    state, observed = finish(state, profile=profile)
    return state, [*found, *observed]


def seen(observed: Iterable[Observation]) -> list[tuple[str, str, bool, bool, str | None]]:
    """Return what matters of observations: kind, state, trust, whether verified, and why refused."""
    return [
        (str(one.event.kind), str(one.session.state), one.event.trusted, one.event.verified, one.event.refused)
        for one in observed
    ]


def test_signed_line_is_verified() -> None:
    """A line of the bot itself is verified and trusted, dated by its signature, and the session and its QR say so."""
    state, (scan, login) = read(chunks_of(signed(SCAN), signed(LOGIN, 1)))
    assert (scan.event.verified, scan.event.trusted, scan.event.at) == (True, True, NOW)
    assert scan.event.signature == Signature(at=NOW, boot="00c0ffee", sequence=0)
    assert (scan.session.verified, scan.session.qr and (scan.session.qr.payload, scan.session.qr.verified)) == (
        True,
        (ABC, True),
    )
    assert (login.session.state, login.session.verified, login.session.since) == (SessionState.LOGGED_IN, True, NOW)
    assert len(state.accepted.places) == 2


def test_signed_line_is_read_as_before_without_a_key() -> None:
    """Without a key a signature is tolerated and proves nothing."""
    assert seen(read(chunks_of(signed(SCAN), signed(LOGIN)), key=None)[1]) == [
        ("scan", "awaiting_scan", True, False, None),
        ("login", "logged_in", True, False, None),
    ]


def test_signed_line_is_trusted_wherever_it_stands() -> None:
    """Neither a message before it nor where its QR leads makes a verified line suspect; what follows is as before."""
    evil = "22:44:35 INFO StarterBot onScan: Waiting(2) - https://evil.example/1"
    _, observed = read(chunks_of(MESSAGE, signed(evil), LOGIN))
    assert seen(observed) == [
        ("traffic", "logged_in", True, False, None),
        ("scan", "awaiting_scan", True, True, None),
        ("login", "logged_in", True, False, None),
    ]
    assert seen(read(chunks_of(MESSAGE, signed(BARE_SCAN, 1), LOGIN), require_signed=True)[1]) == [
        ("scan", "awaiting_scan", True, True, None),
        ("login", "awaiting_scan", False, False, Refusal.UNSIGNED),
    ]
