"""Signed session lines as a log holds them: what they prove, and what a stranger cannot do to them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from logmonitor.lines import Rest, cut
from logmonitor.lines import finish as finish_file
from logmonitor.profile import parse_profile
from logmonitor.profile_folder import load_profile
from logmonitor.qr import render_terminal
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Chunk, Event, EventKind, Qr, Refusal, Session, SessionState, Signature
from logmonitor.self_log import self_log_line
from logmonitor.signed_lines import SignedLines, count_signed
from logmonitor.signing import KEY_BYTES, Accepted, sign
from logmonitor.testing import event
from logmonitor.watch import HOLD, WatchState, finish, observe, tick, wake_at

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
DRAWING: Final = "\n".join(render_terminal(Qr(payload="https://login.weixin.qq.com/l/Eve==")))


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
    chunks: list[Chunk] = []
    rest, position = Rest(offset=start_offset), 0
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
    profile = profile or family()
    found: list[Observation] = []
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


@pytest.mark.parametrize("require_signed", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        signed(LOGOUT, key=bytes(KEY_BYTES)),
        signed(LOGOUT, bot="alice"),
        signed(LOGOUT)[:-1],
        f"{LOGOUT} lm1 a b c",
        signed(LOGOUT).replace("Bob", "Eve"),
        f"x{signed(LOGOUT)}"[1:].replace("22:44:35", "22:44:36"),
        f"\0{signed(LOGOUT)}",
    ],
)
def test_wrong_signature_is_refused(line: str, *, require_signed: bool) -> None:
    """A line under another key or name, changed or cut, moves nothing, whether signatures are required or not."""
    state, observed = read(chunks_of(signed(LOGIN), line), require_signed=require_signed)
    assert seen(observed)[1:] == [("logout", "logged_in", False, False, Refusal.WRONG)]
    assert (len(state.accepted.places), observed[0].session) == (1, observed[1].session)


APART: Final = (MESSAGE, "x" * 70)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("line", [LOGOUT, BARE_SCAN])
def test_wrong_signature_in_a_message_is_a_suspect_line_like_any_other(line: str, *, live: bool) -> None:
    """A stranger whose message ends like a signed line moves nothing, and is no refusal; out of its reach it is one."""
    own, forged = signed(LOGIN), f"{line} lm1 a b c"
    plain, _ = read(chunks_of(own, MESSAGE, line), live=live)
    state, (_, suspect) = read(chunks_of(own, MESSAGE, forged), live=live)
    assert seen([suspect]) == [(suspect.event.kind, "logged_in", False, False, None)]
    assert (state.doubt, state.session) == (plain.doubt, plain.session)
    for before in ((), APART):
        _, (*_, refused) = read(chunks_of(own, *before, forged), live=live)
        assert (refused.event.refused, refused.event.in_message) == (Refusal.WRONG, False)


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (LOGOUT, Refusal.UNSIGNED),
        (f"{LOGOUT} lm1 a b c", Refusal.WRONG),
        (DRAWING, Refusal.UNSIGNED),
    ],
)
def test_refused_line_tells_whether_a_message_may_show_it(line: str, refusal: Refusal, *, live: bool) -> None:
    """Where signatures are required a line in a message's reach is refused, and marked as one to alert nobody of."""
    for before, in_message in (((MESSAGE,), True), (APART, False), ((), False)):
        _, (*_, refused) = read(chunks_of(signed(LOGIN), *before, line), live=live, require_signed=True)
        assert (refused.event.refused, refused.event.in_message) == (refusal, in_message)
        assert refused.session.state is SessionState.LOGGED_IN


@pytest.mark.parametrize("require_signed", [False, True])
def test_copy_in_a_message_is_refused_and_alerts_nobody(*, require_signed: bool) -> None:
    """In a family whose messages show all of their text a stranger may repeat a signed line."""
    message = "2026-11-20 22:36:05,984 - Wechaty - INFO - receive message <Message#message_type_text[Contact <Eve>"
    login = signed(
        "2026-01-01 00:00:00,000 - Wechaty - INFO - receive <login> event <EventLoginPayload(contact_id='b')>"
    )
    for before, in_message in (((message,), True), ((), False)):
        lines = chunks_of(login, *before, login)
        _, (*_, copy) = read(lines, profile=family("python-wechaty"), require_signed=require_signed)
        assert (copy.event.refused, copy.event.in_message) == (Refusal.REPLAYED, in_message)
    assert not read(chunks_of(signed(LOGIN), MESSAGE, signed(LOGIN)))[1][-1].event.in_message


def test_torn_line_is_refused_and_the_next_one_verified() -> None:
    """What a full disk left of a line does not count where signatures are required; the line behind it does."""
    torn = signed(LOGIN)[:-7]
    assert seen(read(chunks_of(torn, signed(LOGOUT, 1)), require_signed=True)[1]) == [
        ("login", "unknown", False, False, Refusal.WRONG),
        ("logout", "logged_out", True, True, None),
    ]
    assert seen(read(chunks_of(LOGIN, signed(LOGOUT, 1)), require_signed=True)[1])[0][4] is Refusal.UNSIGNED


def test_head_of_an_over_long_line_is_not_verified() -> None:
    """A signed line that goes on beyond the cap is none that the bot wrote."""
    data = signed(LOGOUT).encode()
    chunk = Chunk(path=LOG, data=data, start_offset=0, end_offset=1 << 20, number=1, truncated=True)
    assert seen(read([chunk])[1]) == [("logout", "unknown", False, False, Refusal.WRONG)]


def test_replayed_line_is_refused() -> None:
    """A signed line counts in its own place alone: not again further on, nor in another file, nor after a rotation."""
    first = signed(LOGOUT)
    state, observed = read(chunks_of(first, signed(LOGIN, 1), first))
    assert seen(observed)[2] == ("logout", "logged_in", False, False, Refusal.REPLAYED)
    for chunks in (chunks_of(first, path=Path("/var/log/other.log")), chunks_of(first)):
        state, (again,) = read(chunks, state=state)
        assert (again.event.refused, again.session.state) == (Refusal.REPLAYED, SessionState.LOGGED_IN)


def test_file_that_starts_anew_has_no_place_of_the_old_one() -> None:
    """After a rotation a copy is refused at the very offset of the original; another boot of the twin counts."""
    state, _ = read(chunks_of(signed(LOGOUT), signed(LOGIN, 1)))
    state, observed = read(chunks_of(signed(LOGOUT), signed(LOGIN, boot="1ee7c0de")), state=state)
    assert seen(observed) == [
        ("logout", "logged_in", False, False, Refusal.REPLAYED),
        ("login", "logged_in", True, True, None),
    ]


def test_same_place_is_accepted_again() -> None:
    """What is read once more where it stood is no replay, also by a state that took over what was accepted."""
    chunks = chunks_of(signed(LOGOUT), start_offset=100)
    state, _ = read(chunks)
    state, (again,) = read(chunks, state=state)
    assert again.event.verified
    _, (anew,) = read(chunks_of(signed(LOGIN, 1)), state=WatchState(session=START.session, accepted=state.accepted))
    assert anew.event.verified
    for part in (chunks, chunks_of(signed(LOGIN, 1))):
        state, _ = read(part)
        _, (anew,) = read(part, state=WatchState(session=START.session, accepted=state.accepted))
        assert anew.event.verified


def test_nothing_is_verified_without_a_key() -> None:
    """Where signatures are required and there is no key, no line counts."""
    assert seen(read(chunks_of(signed(LOGIN), LOGOUT), key=None, require_signed=True)[1]) == [
        ("login", "unknown", False, False, Refusal.UNSIGNED),
        ("logout", "unknown", False, False, Refusal.UNSIGNED),
    ]


def test_traffic_and_errors_need_no_signature_and_move_nothing() -> None:
    """Where signatures are required traffic is not looked at, and an error is told of without being refused."""
    error = "22:44:36 ERR StarterBot onError: Error: boom"
    state, observed = read(chunks_of(error, MESSAGE), require_signed=True)
    assert seen(observed) == [("error", "unknown", False, False, None)]
    assert state.files[LOG].clock is None


@pytest.mark.parametrize("payload", [None, "https://login.weixin.qq.com/l/Eve=="])
def test_unsigned_record_does_not_complete_a_verified_one(payload: str | None) -> None:
    """A stranger's link or drawing beside a verified scan without payload is an event of its own, and unverified."""
    theirs = DRAWING if payload is None else f"{BARE_SCAN} - {WRAPPED.format('Eve')}"
    state, (own, other) = read(chunks_of(signed(BARE_SCAN), theirs))
    assert (own.event.verified, own.event.qr, own.session.verified) == (True, None, True)
    assert (other.event.verified, other.session.verified) == (False, False)
    assert state.session.qr is not None
    assert not state.session.qr.verified
    state, (own, other) = read(chunks_of(signed(BARE_SCAN), theirs), require_signed=True)
    assert (other.event.refused, other.session, state.session.qr) == (Refusal.UNSIGNED, own.session, None)


def test_verified_scan_completes_no_unsigned_one() -> None:
    """What a stranger left open before a verified scan neither holds it back nor becomes part of it."""
    _, observed = read(chunks_of(BARE_SCAN, signed(SCAN)))
    assert seen(observed) == [
        ("scan", "awaiting_scan", True, False, None),
        ("scan", "awaiting_scan", True, True, None),
    ]
    state, (only,) = (
        observe(START, chunks_of(f"{DRAWING}\n{signed(SCAN)}")[0], profile=family(), now=NOW, live=True, key=KEY)[0],
        observed[1:],
    )
    assert (only.event.verified, wake_at(state)) == (True, None)


def test_refused_record_neither_completes_nor_ends_what_is_held() -> None:
    """Between a scan without payload and its link a refused line changes nothing, and neither does a refused link."""
    forged = f"{SCAN} lm1 a b c"
    _, observed = read(chunks_of(BARE_SCAN, forged, f"{LOGIN} lm1 a b c", f"{BARE_SCAN} - {WRAPPED.format('Def456')}"))
    assert [(one.event.line, one.event.refused) for one in observed] == [
        (2, Refusal.WRONG),
        (3, Refusal.WRONG),
        (1, None),
    ]
    qr = observed[-1].event.qr
    assert qr is not None
    assert qr.payload == "https://login.weixin.qq.com/l/Def456=="


def test_drawing_beside_a_verified_link_is_only_the_same_again() -> None:
    """A bot that signs a link and draws it, too, shows one QR, and it stays verified."""
    state, observed = read(chunks_of(signed(SCAN), DRAWING))
    assert seen(observed) == [("scan", "awaiting_scan", True, True, None)]
    assert state.session.qr is not None
    assert state.session.qr.verified


def test_drawing_is_refused_where_signatures_are_required() -> None:
    """A drawing proves nothing; one that goes on is refused when its time is over, and holds nothing back."""
    chunk = replace(chunks_of(DRAWING)[0], caught_up=True)
    state, observed = observe(START, chunk, profile=family(), now=NOW, live=True, key=KEY, require_signed=True)
    assert (observed, wake_at(state)) == ((), NOW + HOLD)
    state, (drawn,) = tick(state, NOW + HOLD, profile=family())
    assert (drawn.event.refused, drawn.session, wake_at(state)) == (Refusal.UNSIGNED, START.session, None)


NEXT_LINE: Final = """
title = "My bot"
[[event]]
kind = "scan"
pattern = "scan:"
qr_from = "next_line"
[[event]]
kind = "login"
pattern = "in"
"""


def test_payload_in_the_next_line_is_not_verified_with_its_scan() -> None:
    """The line behind a verified scan carries no signature; behind a refused scan it is no payload at all."""
    profile = compile_profile(parse_profile(NEXT_LINE, name="mine", source="mine.toml"))
    _, observed = read(chunks_of(signed("scan:"), "2@abc", "scan: lm1 a b c", "2@def"), profile=profile)
    assert [(one.event.verified, one.event.qr and one.event.qr.payload) for one in observed] == [
        (True, None),
        (False, "2@abc"),
        (False, None),
    ]
    assert seen(read(chunks_of(signed("scan:"), "2@abc"), profile=profile, require_signed=True)[1])[1][2:] == (
        False,
        False,
        Refusal.UNSIGNED,
    )


def test_image_file_is_not_verified_with_its_scan() -> None:
    """A verified line may say that an image shows the QR; who wrote the image it does not say."""
    profile = compile_profile(
        parse_profile(
            NEXT_LINE.replace("next_line", "file").replace('"My bot"', '"My bot"\nqr_file = "qr.png"'),
            name="mine",
            source="mine.toml",
        )
    )
    _, (only,) = read(chunks_of(signed("scan:")), profile=profile)
    assert only.event.verified
    assert only.event.qr == Qr(image_path=Path("/var/log/qr.png"), first_seen=NOW)


def test_verified_line_is_dated_by_its_signature() -> None:
    """Neither stamps nor their zone matter to it; in a family with dates its clock is that of the signature."""
    login = "2026-01-01 00:00:00,000 - Wechaty - INFO - receive <login> event <EventLoginPayload(contact_id='bot')>"
    _, (only,) = read(chunks_of(signed(login)), profile=family("python-wechaty"))
    assert (only.event.at, only.event.clock) == (NOW, NOW.timestamp())


def test_clock_is_set_by_signed_lines_alone() -> None:
    """Where signatures are required no stranger's stamps move the log's clock over a midnight."""
    noise = [f"{hour % 24:02}:00:00 INFO StarterBot onScan: Scanned(3)" for hour in range(0, 96, 6)]
    state, observed = read(chunks_of(signed(SCAN), *noise, signed(LOGIN, 1), sizes=[200] * 20), require_signed=True)
    assert observed[-1].event.clock == observed[0].event.clock == state.files[LOG].clock == 81875


@pytest.mark.parametrize("suspect", [BARE_SCAN, SCAN])
def test_refused_scan_is_not_doubted(suspect: str) -> None:
    """Nothing waits for a refused scan to be confirmed, and `qr` does not show it."""
    state, _ = read(chunks_of(f"{suspect} lm1 a b c", suspect), live=True, require_signed=True)
    assert (state.doubt, state.scans, state.latest, state.session) == (None, 0, None, START.session)


def test_count_signed_counts_line_by_line() -> None:
    """Of a log it is told how many session lines verify, and how many do not for which reason."""
    error = "22:44:36 ERR StarterBot onError: Error: boom"
    lines = (
        signed(SCAN),
        error,
        SCAN,
        MESSAGE,
        signed(LOGIN, bot="alice"),
        signed(LOGIN, 1),
        signed(LOGIN, 1),
        DRAWING,
    )
    assert count_signed(chunks_of(*lines), profile=family(), bot="bob", key=KEY) == SignedLines(
        verified=2, refused={Refusal.UNSIGNED: 2, Refusal.WRONG: 1, Refusal.REPLAYED: 1}
    )


@settings(deadline=None)
@given(position=st.integers(0, len(signed(SCAN).encode()) - 1), bit=st.integers(0, 7), require_signed=st.booleans())
def test_line_with_a_changed_byte_is_not_verified(position: int, bit: int, *, require_signed: bool) -> None:
    """Whatever byte of a signed line is changed, nothing of it is verified; where it has to be, nothing moves."""
    data = bytearray(signed(SCAN).encode())
    data[position] ^= 1 << bit
    chunk = Chunk(path=LOG, data=bytes(data) + b"\n", start_offset=0, end_offset=len(data) + 1, number=1)
    state, observed = read([chunk], require_signed=require_signed)
    assert not any(one.event.verified for one in observed)
    if require_signed:
        assert all(one.event.refused in {Refusal.WRONG, Refusal.UNSIGNED} for one in observed)
        assert state.session == START.session


OWN: Final = st.sampled_from(
    [
        event(EventKind.SCAN, qr=Qr(payload=ABC)),
        event(EventKind.SCAN, qr=Qr(payload=f"{ABC}2")),
        event(EventKind.SCAN),
        event(EventKind.SCANNED),
        event(EventKind.EXPIRED),
        event(EventKind.LOGIN, user="Bob"),
        event(EventKind.LOGOUT, user="Bob"),
    ]
)
STRANGE: Final = st.sampled_from(
    [
        MESSAGE,
        LOGIN,
        LOGOUT,
        SCAN,
        BARE_SCAN,
        f"{BARE_SCAN} - https://evil.example/1",
        "03:00:00 INFO StarterBot onScan: Scanned(3)",
        "22:44:36 ERR StarterBot onError: Error: boom",
        f"{LOGIN} lm1 a b c",
        signed(LOGIN, key=bytes(KEY_BYTES)),
        signed(SCAN, bot="alice"),
        DRAWING,
        DRAWING.split("\n")[0],
        "",
        "\x1b[31m",
        "Message#Text[",
        "x" * 300,
    ]
)
REPLAY: Final = "replay"
WRITTEN: Final = st.lists(OWN | STRANGE | st.just(REPLAY), max_size=30)


@settings(deadline=None, max_examples=200)
@given(written=WRITTEN, sizes=st.lists(st.integers(1, 700), max_size=8), live=st.booleans())
@example(
    written=[event(EventKind.SCAN), MESSAGE, event(EventKind.SCAN, qr=Qr(payload=ABC)), DRAWING], sizes=[], live=True
)
def test_no_strangers_line_changes_what_signed_lines_say(
    written: list[Event | str], sizes: list[int], *, live: bool
) -> None:
    """Whatever stands between a bot's signed lines, in whatever pieces it is read: the session is theirs alone."""
    own: list[str] = []
    everything: list[str] = []
    for index, one in enumerate(written):
        if one == REPLAY:
            everything += own[index % len(own) : index % len(own) + 1] if own else []
        elif isinstance(one, str):
            everything.append(one)
        else:
            at = NOW + timedelta(minutes=index)
            line = self_log_line(one, at=at)
            assert line is not None
            own.append(signed(line, len(own), at=at))
            everything.append(own[-1])
    alone, _ = read(chunks_of(*own), require_signed=True, live=live)
    among, observed = read(chunks_of(*everything, sizes=sizes), require_signed=True, live=live)
    assert among.session == alone.session
    assert (among.doubt, among.scans, among.latest) == (None, alone.scans, alone.latest)
    assert [one.event.signature for one in observed if one.event.verified] == [
        Signature(at=NOW + timedelta(minutes=index), boot="00c0ffee", sequence=sequence)
        for sequence, index in enumerate(index for index, one in enumerate(written) if not isinstance(one, str))
    ]


@settings(deadline=None, max_examples=50)
@given(written=WRITTEN)
def test_signatures_are_of_no_matter_without_a_key(written: list[Event | str]) -> None:
    """Without a key and without requiring anything, a log is read as if nobody had ever signed a line."""
    plain = [one if isinstance(one, str) else str(self_log_line(one, at=NOW)) for one in written if one != REPLAY]
    _, observed = read(chunks_of(*plain), key=None)
    assert not any(one.event.verified or one.event.refused for one in observed)
    _, keyed = read(chunks_of(*(line for line in plain if " lm1 " not in line)))
    _, unkeyed = read(chunks_of(*(line for line in plain if " lm1 " not in line)), key=None)
    assert keyed == unkeyed


def test_forged_suffixes_are_read_in_linear_time() -> None:
    """Thirty thousand forged signatures are refused one by one, and nothing of them is kept."""
    line = f"{LOGIN} lm1 2026-11-20T22:00:00.000Z 00c0ffee.1 {'A' * 43}"
    state, observed = read(chunks_of(*[line] * 30_000, sizes=[1 << 18] * 64))
    assert len(observed) == 30_000
    assert {one.event.refused for one in observed} == {Refusal.WRONG}
    assert state.accepted == Accepted()


def signed_at(line: str, boot: str, sequence: int, minutes: int) -> str:
    """Return a line with its signature, made so many minutes after the first."""
    return signed(line, sequence, boot=boot, at=NOW + timedelta(minutes=minutes))


RECENT: Final = (signed_at(LOGOUT, "bbbbbbbb", 8, 0), signed_at(SCAN, "bbbbbbbb", 9, 1))


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("require_signed", [False, True])
@pytest.mark.parametrize(
    "copied",
    [
        signed_at(LOGIN, "bbbbbbbb", 7, -1),
        signed_at(LOGIN, "bbbbbbbb", 7, 5),
        signed_at(SCAN, "bbbbbbbb", 7, -1),
        signed_at(LOGOUT, "bbbbbbbb", 7, -1),
        signed_at(LOGIN, "aaaaaaaa", 99, -60),
        signed_at("22:44:35 INFO StarterBot onScan: Scanned(3)", "aaaaaaaa", 99, -60),
        signed_at("22:44:35 INFO StarterBot onScan: Timeout(5)", "aaaaaaaa", 99, -60),
        signed_at(LOGOUT, "aaaaaaaa", 99, -60),
    ],
)
def test_line_that_is_older_than_another_moves_nothing(copied: str, *, live: bool, require_signed: bool) -> None:
    """A signed line of what was rotated away unread is only seen: not refused, not verified, not remembered."""
    known, _ = read(chunks_of(*RECENT), live=live, require_signed=require_signed)
    (chunk,) = chunks_of(copied, path=Path("/var/log/other.log"))
    state, (seen_now,) = read([chunk], state=known, live=live, require_signed=require_signed)
    assert (seen_now.event.verified, seen_now.event.refused, seen_now.transition) == (False, None, None)
    assert (state.session, state.doubt, state.scans, state.latest) == (known.session, None, known.scans, None)
    assert state.accepted.newest == known.accepted.newest
    is_stray = live and "logout" in copied and "aaaaaaaa" in copied
    assert (state.accepted == known.accepted, seen_now.event.trusted) == (not is_stray, is_stray)


def test_line_of_a_machine_with_a_wrong_clock_still_counts() -> None:
    """A scan that a new boot writes now moves the session although its time is older; a copy of the past does not."""
    known, _ = read(chunks_of(signed_at(LOGIN, "aaaaaaaa", 0, 0)), require_signed=True)
    scan, again = (signed_at(SCAN.replace("Abc123", name), "bbbbbbbb", i, -9999) for i, name in enumerate(["A", "B"]))
    (past,) = chunks_of(scan, start_offset=1000)
    state, (one,) = read([replace(past, backlog=True)], state=known, live=True, require_signed=True)
    assert (one.event.trusted, one.transition, state.accepted) == (False, None, known.accepted)
    state, (one, two) = read(chunks_of(scan, again, start_offset=1000), state=known, live=True, require_signed=True)
    assert (one.event.trusted, one.event.verified, one.event.at, one.event.seen_at) == (True, False, None, NOW)
    assert one.transition is not None
    assert (one.transition.is_loss, one.session.verified, one.session.since) == (True, False, NOW)
    assert two.session.qr is not None
    assert (two.session.qr.payload, two.session.qr.verified) == ("https://login.weixin.qq.com/l/B==", False)
    assert state.accepted.newest == known.accepted.newest
    assert read(chunks_of(scan, start_offset=9000), state=state, live=True)[1][0].event.refused is Refusal.REPLAYED
    login = signed_at(LOGIN, "bbbbbbbb", 2, -9999)
    state, (one,) = read(chunks_of(login, start_offset=2000), state=state, live=True, require_signed=True)
    assert (one.transition, one.session.is_lost) == (None, True)
    login = signed_at(LOGIN, "bbbbbbbb", 3, 1)
    state, (one,) = read(chunks_of(login, start_offset=3000), state=state, live=True, require_signed=True)
    assert (one.event.verified, one.session.is_lost) == (True, False)


def test_logout_of_a_machine_with_a_wrong_clock_is_a_loss_once() -> None:
    """A new boot's logout counts whatever its time, unless the session is lost: then it would only take the QR away."""
    known, _ = read(chunks_of(signed_at(LOGIN, "aaaaaaaa", 0, 0)))
    logout = signed_at(LOGOUT, "bbbbbbbb", 0, -9999)
    state, (one,) = read(chunks_of(logout, start_offset=1000), state=known, live=True)
    assert (one.session.state, one.session.is_lost) == (SessionState.LOGGED_OUT, True)
    scan = signed_at(SCAN, "bbbbbbbb", 1, -9999)
    state, _ = read(chunks_of(scan, start_offset=2000), state=state, live=True)
    logout = signed_at(LOGOUT, "bbbbbbbb", 2, -9999)
    state, (one,) = read(chunks_of(logout, start_offset=3000), state=state, live=True)
    assert one.transition is None
    assert state.session.qr is not None


def test_stray_scan_without_payload_is_joined_by_nothing() -> None:
    """A drawing beside a signed scan of a wrong clock is an event of its own, as beside a verified one."""
    known, _ = read(chunks_of(signed_at(LOGIN, "aaaaaaaa", 0, 0)))
    scan = signed_at(BARE_SCAN, "bbbbbbbb", 0, -9999)
    _, (own, other) = read(chunks_of(scan, DRAWING, path=Path("/var/log/other.log")), state=known, live=True)
    assert (own.event.trusted, own.event.qr, other.event.trusted, other.event.signature) == (True, None, True, None)


def test_payload_in_the_line_behind_an_older_scan_is_none() -> None:
    """Nothing belongs to a scan that is no news."""
    profile = compile_profile(parse_profile(NEXT_LINE, name="mine", source="mine.toml"))
    lines = (signed("in", 5), signed("scan:", 4), "2@abc")
    assert [str(one.event.kind) for one in read(chunks_of(*lines), profile=profile)[1]] == ["login", "scan"]


def test_count_signed_counts_no_older_line() -> None:
    """A copy of what was rotated away is neither verified nor refused."""
    lines = (signed(SCAN, 5), signed(LOGIN, 4))
    counted = count_signed(chunks_of(*lines), profile=family(), bot="bob", key=KEY)
    assert counted == SignedLines(verified=1, refused={})


TOLD: Final = st.tuples(OWN, st.booleans())


def genuine(told: Sequence[tuple[Event, bool]]) -> list[str]:
    """Return the lines that a bot signed, a minute apart; each flag begins another boot. The last one is a scan."""
    boot = sequence = 0
    lines: list[str] = []
    for minutes, (one, is_restarted) in enumerate((*told, (event(EventKind.SCAN, qr=Qr(payload="2@last")), False))):
        boot, sequence = (boot + 1, 0) if is_restarted else (boot, sequence + 1)
        line = self_log_line(one, at=NOW)
        assert line is not None
        lines.append(signed_at(line, f"{boot:08x}", sequence, minutes))
    return lines


@settings(deadline=None, max_examples=200)
@given(
    told=st.lists(TOLD, max_size=12),
    copied=st.lists(st.integers(0, 12), max_size=20),
    read_from=st.integers(0, 12),
    live=st.booleans(),
)
def test_no_copy_of_signed_lines_brings_a_lost_session_back(
    told: list[tuple[Event, bool]], copied: list[int], read_from: int, *, live: bool
) -> None:
    """Whatever of a bot's signed lines is copied behind them, of its unread past too: it is lost, and has its QR."""
    lines = genuine(told)
    own = chunks_of(*lines[min(read_from, len(told)) :], start_offset=100_000)
    known, _ = read([replace(chunk, backlog=True) for chunk in own], live=True, require_signed=True)
    copies = chunks_of(*(lines[index % len(lines)] for index in copied), start_offset=own[-1].end_offset)
    state, observed = read(copies, state=known, live=live, require_signed=True)
    assert (state.session.is_lost, state.session.loss) == (True, known.session.loss)
    assert state.session.qr is not None
    assert not any(one.event.verified for one in observed)
    assert state.accepted.newest == known.accepted.newest
    if not live:
        assert state == replace(known, files=state.files)


@settings(deadline=None, max_examples=200)
@given(told=st.lists(TOLD, max_size=12), copied=st.lists(st.integers(0, 12), max_size=20))
def test_no_copy_that_is_read_before_a_bots_log_hides_its_loss(
    told: list[tuple[Event, bool]], copied: list[int]
) -> None:
    """Whatever a file holds that is read first, when the log is read the QR that was signed last is the one shown."""
    lines = genuine(told)
    copies = chunks_of(*(lines[index % len(lines)] for index in copied), path=Path("/var/log/bob-0.log"))
    state, _ = read([*copies, *chunks_of(*lines)], require_signed=True)
    assert (state.session.is_lost, state.session.state) == (True, SessionState.AWAITING_SCAN)
    assert state.session.qr is not None
    assert (state.session.qr.payload, state.session.qr.verified) == ("2@last", True)
