"""Hostile lines: whatever strangers bring a bot to write, reading it raises nothing."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logmonitor.lines import Rest, cut, finish
from logmonitor.profile_folder import load_profiles
from logmonitor.qr import modules_of, render_terminal
from logmonitor.reading.choice import choose_profile
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Chunk, Qr, Session
from logmonitor.watch import Observation, WatchState, observe, tick
from logmonitor.watch import finish as finish_watch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from logmonitor.profile import Profile
    from logmonitor.reading.recognition import CompiledProfile

PROFILES: Final = load_profiles()
FRAMED: Final = {
    "astrbot": "[{}] [Core] [INFO] [a:1]: ",
    "cow": "[INFO][{}][w:1] - ",
    "go-cqhttp": "[{}] [INFO]: ",
    "hermes": "{},000 INFO gateway.platforms.weixin: ",
    "lagrange": "[{}] [L] [Information]: ",
    "langbot": "[{}.000] w.py (1) - [INFO] : ",
    "napcat": "{} [info] Bob | ",
    "python-wechaty": "{},000 - Wechaty - INFO - ",
    "wechat4u": "[{}.000] [INFO] - ",
    "wechaty-ts": "{} INFO StarterBot ",
    "wecom-aibot-sdk": "[{}.000Z] [AiBotSDK] [INFO] ",
    "whatsmeow": "{}.000 [Client INFO] ",
}
STAMPS: Final = st.sampled_from(
    [
        "0001-01-01 00:00:00",
        "0001-01-01T00:00:00",
        "9999-12-31 23:59:59",
        "9999-12-31T23:59:59",
        "0000-00-00 00:00:00",
        "2026-11-20 23:08:05",
        "2026-11-20T23:08:05",
        "2099-01-01 00:00:00",
        "2026-02-30 00:00:00",
        "02-29 00:00:00",
        "01-01 00:00:00",
        "12-31 23:59:59",
        "13-41 25:61:61",
        "00:00:00",
        "23:59:59",
        "24:00:00",
    ]
)
BITS: Final = [
    "\x1b[31m",
    f"\x1b[{'1' * 4301}m",
    "\x1b]0;title\x07",
    "\x1b[",
    "\0",
    "\r",
    "\x85",
    "\u2028",
    "\ufeff",
    "]\t",
    "█" * 9,
    "▀▄█ " * 9,
    "\x1b[47m  \x1b[40m  " * 5,
    "]" * 50,
    "[" * 50,
    "Message#Text[",
    " lm1 1 1 1",
    "https://wechaty.js.org/qrcode/%FF%00",
    "https://api.qrserver.com/v1/create-qr-code/?data=&data=%ED%A0%80",
]
SURROGATE: Final = "\\ud83d"
DRAWN: Final = "\n".join(render_terminal(Qr(payload="https://txz.qq.com/p?k=a&f=1")))
LOG: Final = Path("/var/log/bob.log")
NOW: Final = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)

odd = st.text(max_size=8) | st.sampled_from(BITS)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | odd | STAMPS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(odd, inner, max_size=3),
    max_leaves=6,
)


@cache
def family(name: str) -> CompiledProfile:
    """Return a shipped profile, compiled once."""
    return compile_profile(PROFILES[name])


def texts(profile: Profile) -> list[str]:
    """Return what a profile's examples look like."""
    return [line for rule in (*profile.events, *profile.messages, *profile.signs) for line in rule.examples]


@st.composite
def json_line(draw: st.DrawFn, profile: Profile) -> str:
    """Draw an example's JSON record with any of its fields replaced, and half a character in it perhaps."""
    found = [json.loads(line) for line in texts(profile) if line.startswith("{")] or [{}]
    record = draw(st.sampled_from(found)) | draw(
        st.dictionaries(st.sampled_from(["0", "1", "_meta", "time", "qr", "msg", "trace", "node", "class"]), values)
    )
    line = json.dumps(record, ensure_ascii=draw(st.booleans()))
    at = draw(st.integers(0, len(line)))
    return draw(
        st.sampled_from([line, line[:at] + SURROGATE + line[at:], line[:at], line.replace('"', f'"{SURROGATE}', 1)])
    )


@st.composite
def hostile_log(draw: st.DrawFn) -> tuple[str, bytes]:
    """Draw a family and a log of lines that are nearly its own."""
    name = draw(st.sampled_from([*PROFILES]))
    profile = PROFILES[name]
    framed = st.builds(
        lambda stamp, text, tail: FRAMED.get(name, "").format(stamp) + text + tail,
        STAMPS,
        st.sampled_from([part for line in texts(profile) for part in (line, line[-40:], line.rsplit("] ", 1)[-1])]),
        odd,
    )
    lines = draw(st.lists(framed | json_line(profile) | odd | st.just(DRAWN), max_size=12))
    return name, "\n".join(lines).encode("utf-8", "surrogatepass")


def read(
    name: str, data: bytes, *, live: bool = False, backlog: bool = False, size: int = 1 << 20
) -> list[Observation]:
    """Observe a log in pieces of `size` bytes, let time pass and finish."""
    profile = family(name)
    zone = ZoneInfo("America/New_York")
    state, found = WatchState(session=Session(watch="bob")), list[Observation]()
    for number, chunk in enumerate(_chunks(data, size, backlog=backlog)):
        now = NOW + timedelta(seconds=number) if live else None
        state, observed = observe(
            state, chunk, profile=profile, now=now, live=live, zone=zone, file_date=None if live else NOW.date()
        )
        found += observed
        if now is not None:
            state, observed = tick(state, now + timedelta(seconds=1), profile=profile)
            found += observed
    return [*found, *finish_watch(state, profile=profile)[1]]


def _chunks(data: bytes, size: int, *, backlog: bool) -> Iterable[Chunk]:
    rest = Rest()
    for start in range(0, len(data), size):
        rest, chunks = cut(rest, data[start : start + size], path=LOG, caught_up=True, backlog=backlog)
        yield from chunks
    yield from finish(rest, path=LOG, caught_up=True, backlog=backlog)[1]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(log=hostile_log(), live=st.booleans(), backlog=st.booleans(), size=st.sampled_from([1 << 20, 400, 90]))
def test_reading_a_hostile_log_raises_nothing(log: tuple[str, bytes], *, live: bool, backlog: bool, size: int) -> None:
    """Whatever stands in a log, in whatever pieces it is read, every QR in it can be shown and nothing is raised."""
    name, data = log
    for seen in read(name, data, live=live, backlog=backlog, size=size):
        if seen.event.qr is not None and (seen.event.qr.payload is not None or seen.event.qr.modules is not None):
            assert modules_of(seen.event.qr)
        json.dumps([seen.event.user, seen.event.qr and seen.event.qr.payload], ensure_ascii=False).encode()


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(logs=st.lists(hostile_log(), max_size=3))
@example(logs=[("baileys", b'{"qr":"\\ud83d","msg":"connection update","class":"baileys"}')])
def test_choosing_a_family_for_a_hostile_log_raises_nothing(logs: list[tuple[str, bytes]]) -> None:
    """Whatever stands in a log, a family is chosen for it or asked for."""
    choice = choose_profile(PROFILES, [*_chunks(b"\n".join(data for _, data in logs), 1 << 20, backlog=True)])
    assert (choice.profile is None) == bool(choice.reason)


@pytest.mark.parametrize("stamp", ["0001-01-01 00:00:00", "9999-12-31 23:59:59"])
@pytest.mark.parametrize("live", [True, False])
def test_reading_a_date_beyond_the_calendar_raises_nothing(stamp: str, *, live: bool) -> None:
    """A line stamped in the first or the last year of the calendar is read as one without date."""
    data = (
        f"[INFO][2026-11-20 23:11:05][w:1] - [Weixin] Received: from=o9\n[ERROR][{stamp}][w:1] - "
        "[Weixin] Session expired (errcode -14), starting re-login...\n"
    ).encode()
    seen = read("cow", data, live=live)[-1]
    assert (seen.event.kind, seen.event.at and seen.event.at.year) == ("logout", 2026)


def test_reading_half_a_character_replaces_it() -> None:
    """A JSON text that was cut in the middle of an emoji is read with a replacement in its place."""
    line = b'{"0":"x","1":"\xe2\x9c\x85 Login confirmed! ilink_bot_id=b\\ud83d"}\n'
    assert [seen.event.user for seen in read("openclaw-weixin", line)] == ["b\ufffd"]
    deep = b'{"0":"x","1":{"\\ud83d":["Monitor started: ' + b'"]},"2":"Login confirmed! ilink_bot_id="}\n'
    assert read("openclaw-weixin", deep) == []


def test_reading_a_colour_of_thousands_of_digits_raises_nothing() -> None:
    """A colour code longer than any is none."""
    escape = "\x1b[" + "1" * (sys.get_int_max_str_digits() + 1) + "m"
    drawing = DRAWN.replace("\n", f"{escape}\n")
    assert [seen.event.kind for seen in read("go-cqhttp", f"{drawing}\n".encode())] == ["scan"]


def test_reading_json_nested_deep_raises_nothing() -> None:
    """A record nested deeper than can be read, or only than can be shown, says nothing."""
    for depth in (100, *range(sys.getrecursionlimit() - 250, sys.getrecursionlimit()), 100_000):
        nested = b"[" * depth + b'"QR refs attempts ended"' + b"]" * depth
        assert len(read("baileys", b'{"trace":' + nested + b"}\n")) <= 1
        assert read("openclaw-weixin", b'{"1":' + nested.replace(b"QR refs attempts ended", b"x") + b"}\n") == []
