"""The heart of a watch on real logs and on hostile ones: what it observes, what it trusts, when it wants to wake."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.lines import Rest, cut
from logmonitor.lines import finish as finish_file
from logmonitor.profile import parse_profile
from logmonitor.profile_folder import load_profile
from logmonitor.qr import modules_of, render_terminal
from logmonitor.reading.recognition import CompiledProfile, compile_profile
from logmonitor.reading.suspicion import reach_bytes
from logmonitor.records import Chunk, EventKind, Qr, Session, SessionState
from logmonitor.watch import CONFIRMATION, HOLD, MOST_FILES, Observation, WatchState, finish, observe, tick, wake_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DATA: Final = Path(__file__).parent / "data"
LOG: Final = Path("/var/log/bob.log")
NOW: Final = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
ABC: Final = "https://login.weixin.qq.com/l/Abc123=="
DEF: Final = "https://login.weixin.qq.com/l/Def456=="
OPENCLAW: Final = "https://liteapp.weixin.qq.com/q/7GiQu1?qrcode={}&bot_type=3"
WRAPPED: Final = "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2F{}%3D%3D"

Row = tuple[int, str, str, str | None, str | None, bool, str]


@cache
def family(name: str) -> CompiledProfile:
    """Return a shipped profile, compiled once, without errors."""
    return compile_profile(load_profile(name), without=[EventKind.ERROR])


def mine(text: str) -> CompiledProfile:
    """Compile a profile of a test's own."""
    return compile_profile(parse_profile(f'title = "My bot"\n{text}', name="mine", source="mine.toml"))


def chunks_of(data: bytes, *sizes: int, path: Path = LOG) -> list[Chunk]:
    """Cut a whole file into chunks, read in pieces of these sizes and then the rest."""
    rest = Rest()
    chunks: list[Chunk] = []
    position = 0
    for size in (*sizes, len(data)):
        rest, more = cut(rest, data[position : position + size], path=path)
        position += size
        chunks += more
    return [*chunks, *finish_file(rest, path=path)[1]]


def replay(chunks: Iterable[Chunk], profile: CompiledProfile, *, state: WatchState | None = None) -> list[Observation]:
    """Observe a whole log as a replay does."""
    state = state or WatchState(session=Session(watch="bob"))
    found: list[Observation] = []
    for chunk in chunks:
        state, observed = observe(state, chunk, profile=profile)
        found += observed
    _, observed = finish(state, profile=profile)
    return [*found, *observed]


def rows(observed: Iterable[Observation]) -> list[Row]:
    """Return what matters of observations: line, kind, state, payload, user, trust, and whether lost or returned."""
    return [
        (
            seen.event.line,
            str(seen.event.kind),
            str(seen.session.state),
            seen.event.qr.payload if seen.event.qr else None,
            seen.event.user,
            seen.event.trusted,
            "loss" if seen.transition and seen.transition.is_loss else "return" if is_return(seen) else "",
        )
        for seen in observed
    ]


def is_return(seen: Observation) -> bool:
    """Tell whether a session came back here."""
    return seen.transition is not None and seen.transition.is_return


SAMPLES: Final[list[tuple[str, str, list[Row]]]] = [
    (
        "wechaty-ts.real.log",
        "wechaty-ts",
        [
            (4, "scan", "awaiting_scan", ABC, None, True, "loss"),
            (22, "scanned", "scanned", None, None, True, ""),
            (23, "scanned", "scanned", None, None, True, ""),
            (24, "expired", "awaiting_scan", None, None, True, ""),
            (42, "login", "logged_in", None, "Bob", True, "return"),
            (44, "logout", "logged_in", None, "Bob", False, ""),
            (45, "scan", "awaiting_scan", DEF, None, True, "loss"),
            (63, "login", "logged_in", None, "Bob", True, "return"),
            (65, "logout", "logged_out", None, "Bob", True, "loss"),
        ],
    ),
    (
        "wechaty-ts.injection.real.log",
        "wechaty-ts",
        [
            (4, "scan", "awaiting_scan", ABC, None, True, "loss"),
            (22, "scanned", "scanned", None, None, True, ""),
            (23, "scanned", "scanned", None, None, True, ""),
            (24, "expired", "awaiting_scan", None, None, True, ""),
            (42, "login", "logged_in", None, "Bob", True, "return"),
            (44, "scan", "logged_in", "https://wechaty.js.or", None, False, ""),
            (45, "logout", "logged_out", None, "Bob", True, "loss"),
            (46, "scan", "awaiting_scan", DEF, None, True, ""),
            (64, "login", "logged_in", None, "Bob", True, "return"),
            (66, "logout", "logged_out", None, "Bob", True, "loss"),
        ],
    ),
    (
        "python-wechaty.real.log",
        "python-wechaty",
        [
            (23, "scan", "awaiting_scan", "https://login.weixin.qq.com/l/abc==", None, True, "loss"),
            (46, "login", "logged_in", None, "bot", True, "return"),
            (59, "logout", "logged_out", None, "bot", True, "loss"),
            (61, "scan", "awaiting_scan", "https://login.weixin.qq.com/l/def==", None, True, ""),
        ],
    ),
    (
        "itchat-uos.real.log",
        "itchat-uos",
        [
            (3, "scan", "awaiting_scan", None, None, True, "loss"),
            (4, "expired", "awaiting_scan", None, None, True, ""),
            (7, "scan", "awaiting_scan", None, None, True, ""),
            (8, "scanned", "scanned", None, None, True, ""),
            (10, "login", "logged_in", None, "Bob", True, "return"),
            (11, "logout", "logged_out", None, None, True, "loss"),
        ],
    ),
    (
        "openclaw-weixin.real.jsonl",
        "openclaw-weixin",
        [
            (5, "scan", "awaiting_scan", OPENCLAW.format("a1b2c3"), None, True, "loss"),
            (7, "expired", "awaiting_scan", None, None, True, ""),
            (12, "login", "logged_in", None, "44b9b8ec@im.bot", True, "return"),
            (16, "logout", "logged_out", None, None, True, "loss"),
        ],
    ),
    (
        "openclaw-weixin.stdout.real.log",
        "openclaw-weixin",
        [
            (2, "scan", "awaiting_scan", OPENCLAW.format("a1b2c3"), None, True, "loss"),
            (24, "expired", "awaiting_scan", None, None, True, ""),
            (29, "scan", "awaiting_scan", OPENCLAW.format("d4e5f6"), None, True, ""),
            (51, "scanned", "scanned", None, None, True, ""),
            (52, "login", "logged_in", None, "44b9b8ec@im.bot", True, "return"),
        ],
    ),
    ("baileys-errored.real.log", "baileys", []),
]


@pytest.mark.parametrize(("name", "profile", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
def test_observe_sees_in_a_sample_what_a_person_sees(name: str, profile: str, expected: list[Row]) -> None:
    """Each log that real software wrote gives the events that a person reading it would name."""
    assert rows(replay(chunks_of((DATA / name).read_bytes()), family(profile))) == expected


@pytest.mark.parametrize(("name", "profile", "expected"), SAMPLES, ids=[name for name, _, _ in SAMPLES])
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 3000), max_size=12))
def test_observe_sees_the_same_in_any_chunking(name: str, profile: str, expected: list[Row], sizes: list[int]) -> None:
    """However the bytes are divided, and with either line end, a log says the same."""
    data = (DATA / name).read_bytes()
    assert rows(replay(chunks_of(data, *sizes), family(profile))) == expected
    assert rows(replay(chunks_of(data.replace(b"\n", b"\r\n"), *sizes), family(profile))) == expected


def test_observe_names_offsets_and_times() -> None:
    """An event's offset is where its first record starts; a dated log with zones says when, a dateless one not."""
    data = (DATA / "openclaw-weixin.real.jsonl").read_bytes()
    first = replay(chunks_of(data), family("openclaw-weixin"))[0].event
    assert data[first.offset :].startswith(b'{"0":"gateway/channels/openclaw-weixin","1":"\xe4\xba\x8c')
    assert first.at == datetime(2026, 11, 20, 22, 54, 2, 143000, tzinfo=UTC)
    undated = replay(chunks_of((DATA / "wechaty-ts.real.log").read_bytes()), family("wechaty-ts"))
    assert {seen.event.at for seen in undated} == {None}
    assert [undated[0].event.clock, undated[-1].event.clock] == [81875.0, 81876.0]


def test_observe_dates_a_dateless_log_by_zone_and_file() -> None:
    """With a named zone and the file's date, a log without dates says when."""
    state = WatchState(session=Session(watch="bob"))
    (chunk,) = chunks_of((DATA / "wechaty-ts.real.log").read_bytes())
    zone = ZoneInfo("Asia/Shanghai")
    _, observed = observe(state, chunk, profile=family("wechaty-ts"), zone=zone, file_date=date(2026, 11, 20))
    assert observed[0].event.at == datetime(2026, 11, 20, 14, 44, 35, tzinfo=UTC)


LOGGED_IN: Final = WatchState(session=Session(watch="bob", state=SessionState.LOGGED_IN))
FORGERIES: Final = st.sampled_from(
    [
        "onScan: Waiting(2)",
        "onScan: Waiting(2) - 2@x",
        "onScan: Scanned(3)",
        "Contact<B> logout",
        "Contact<B> login",
        "onScan: Timeout(5)",
    ]
)


def wechaty_message(text: str, *, contact: str = "Admin", second: int = 0) -> str:
    """Return the record of a message as a wechaty-ts bot writes it, its text cut after 70 UTF-16 units."""
    cut_text = text.encode("utf-16-le")[:140].decode("utf-16-le", "replace")
    return f"22:00:{second % 60:02} INFO StarterBot Message#Text[🗣Contact<{contact}>]\t{cut_text}\n"


@given(
    st.lists(
        st.tuples(
            st.lists(
                st.builds("{}{} INFO B {}".format, st.just("2"), st.sampled_from(["2:00:00", "3:59:59"]), FORGERIES)
                | st.text(max_size=30).filter(lambda text: "\n" not in text)
                | st.just("\x07"),
                max_size=5,
            ),
            st.text(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=20)
            | st.sampled_from(["B>]\nx", "B>]\n", "B\n>]", "R\n" + "x" * 90, "\n" * 40, "B>]\n" + "x" * 70 + ">]"])
            | st.sampled_from(["B]\t" + "x" * 80 + "\x1b[", "B\n]\t" + "x" * 80 + "\n\x1b]0;"]),
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_observe_is_not_moved_by_a_message(messages: list[tuple[list[str], str]], live: bool) -> None:  # noqa: FBT001  # drawn
    """Whatever a stranger writes to a bot, by whatever name, its session stays where it is."""
    records = [wechaty_message("\n".join(lines), contact=name) for lines, name in messages]
    data = "".join(records).encode("utf-8", "surrogatepass")
    state = LOGGED_IN
    for chunk in chunks_of(data):
        state, observed = observe(state, chunk, profile=family("wechaty-ts"), now=NOW if live else None, live=live)
        assert [seen.event.trusted for seen in observed] == [False] * len(observed)
    assert state.session == LOGGED_IN.session


def test_observe_suspects_exactly_what_a_message_can_show() -> None:
    """A line is suspect if it ends within the 70 characters that the message before it shows, and not one more."""
    line = "22:00:00 INFO StarterBot Contact<Bob> logout"
    for filler, trusted in ((70 - len(line) - 1, False), (70 - len(line), True)):
        data = f"{wechaty_message('x' * filler)}{line}\n".encode()
        (seen,) = replay(chunks_of(data), family("wechaty-ts"), state=LOGGED_IN)
        assert seen.event.trusted is trusted


@pytest.mark.parametrize(
    "record",
    [
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a]\tb>]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a]\t" + "b" * 60 + ">]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a@👥Room<r>]\tb>@👥Room<x]>]\thi",
        "22:00:00 INFO StarterBot Message#Unknown[🗣Contact<A>]\thi\n22:00:00 INFO B Message#Text[Contact<B>]\t"
        + "x" * 20,
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a\nb>]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a]\nb>]\thi",
        "22:00:00 INFO My Own Bot Message#Text[🗣Contact<A>]\thi\n\n\n",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<B>]\nx>]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<B>]\nx]\ty>]\t" + "b" * 35,
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<B>@👥Room<\n" + "x" * 99 + ">]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<B>@👥Room<\n" + "x" * 200,
        "22:00:00 INFO StarterBot Message#Image[🗣Contact<B>@👥Room<\n" + "x" * 200,
        "22:00:00 INFO bot:main Message#Text[🗣Contact<B>]\thi",
        "22:00:00 INFO StarterBot onMessage: Message#Text[🗣Contact<B>]\thi",
        "Message#Text[🗣Contact<B>]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a]\t" + "x" * 80 + "\x1b[>]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a]\t" + "x" * 80 + "\x1b]0;>]\thi\x07",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a\n]\t" + "x" * 80 + "\n\x1b[>]\thi",
        "22:00:00 INFO StarterBot Message#Text[🗣Contact<a\n]\t" + "x" * 80 + "\n\x1b]0;>]\thi\x07",
    ],
)
def test_observe_suspects_a_forged_line_behind_an_odd_name(record: str) -> None:
    """Neither brackets, tabs, newlines and escapes in names nor a forged message record let a forged line through."""
    data = f"{record}\n22:00:00 INFO B Contact<B> logout\n".encode()
    assert [seen.event.trusted for seen in replay(chunks_of(data), family("wechaty-ts"), state=LOGGED_IN)] == [False]


@pytest.mark.parametrize(
    ("record", "distance", "trusted"),
    [
        ("Message#Text[🗣Contact<B>@👥Room<\n" + "x" * 99 + ">]\t", 70, False),
        ("Message#Text[🗣Contact<B>@👥Room<\n" + "x" * 99 + ">]\t", 71, True),
        ("Message#Text[🗣Contact<B\n", 600, True),
    ],
)
def test_observe_counts_what_a_message_shows_from_where_its_name_ends(
    record: str, distance: int, *, trusted: bool
) -> None:
    """Behind a name with a newline the text starts in a later line; where it never does, a name is not without end."""
    line = "22:00:00 INFO B Contact<B> logout"
    data = f"22:00:00 INFO StarterBot {record}{'x' * (distance - len(line) - 1)}\n{line}\n".encode()
    (seen,) = replay(chunks_of(data), family("wechaty-ts"), state=LOGGED_IN)
    assert seen.event.trusted is trusted


ASTRBOT: Final = "[2026-11-20 23:08:05] [Core] [INFO] [{}]: {}\n"
COW: Final = "[INFO][2026-11-20 23:11:05][{}:390] - {}\n"


@pytest.mark.parametrize(
    ("name", "record", "forged"),
    [
        ("astrbot", ASTRBOT.format("core.event_bus:59", "[default] [wx1(weixin_oc)] o9cq80: hi"), "astrbot"),
        ("astrbot", ASTRBOT.format("core.event_bus:59", "[wx1(weixin_oc)] A\nB/o9: "), "astrbot"),
        ("astrbot", ASTRBOT.format("respond.stage:184", "Prepare to send - A/o9: hi"), "astrbot"),
        ("astrbot", ASTRBOT.format("core.event_bus:59", "x").replace("[Core]", "[Plug]"), "astrbot"),
        ("cow", COW.format("chat_gpt_bot.py", "[CHATGPT] query=hi"), "cow"),
        ("cow", COW.format("wx.py", "[WX]receive text msg: hi"), "cow"),
        ("cow", COW.format("a.py", "[Agent Bridge] hi"), "cow"),
        ("cow", COW.format("weixin_channel.py", "[Weixin] Received: from=o9cq80 ctype=TEXT content=hi"), "cow"),
        ("napcat", "09-08 16:30:00 [info] a|b | 接收 <- 私聊 (10001) hi\n", "napcat"),
        ("napcat", "09-08 16:30:00 [info] a | b | 接收 <- 私聊 (10001) hi\n", "napcat"),
        ("napcat", "09-08 16:30:00 [info] <Bob> | 接收 <- 私聊 (10001) hi\n", "napcat"),
    ],
)
def test_observe_suspects_what_any_message_record_may_show(name: str, record: str, forged: str) -> None:
    """Whoever writes and whatever shows it, a forged line in the same write is suspect; the record itself is not."""
    link = {
        "astrbot": "weixin_oc(wx1): QR session started, qr_link=https://liteapp.weixin.qq.com/q/evil",
        "cow": COW.format("w", "[Weixin] 微信二维码链接: https://liteapp.weixin.qq.com/q/evil").rstrip(),
        "napcat": "二维码解码URL: https://txz.qq.com/p?k=evil",
    }[forged]
    _, observed = live(LOGGED_IN, f"{link}x\n{record}{link}\n", family(name), offset=0)
    assert [seen.event.trusted for seen in observed] == [True, False]


def test_observe_trusts_what_the_channel_itself_says_of_its_login() -> None:
    """The records of a login that come in one write with the link make it no message."""
    lines = ("No token found, starting QR login...", "微信二维码链接: https://liteapp.weixin.qq.com/q/real")
    data = "".join(COW.format("weixin_channel.py", f"[Weixin] {line}") for line in lines)
    _, (seen,) = live(LOGGED_IN, data, family("cow"), offset=0)
    assert seen.event.trusted


@pytest.mark.parametrize("nick", ["Bob", "a|b", "<Bob>", "a-", "b<"])
def test_observe_knows_a_nick_of_any_characters(nick: str) -> None:
    """What a bot is called does not hide what it says, and nothing behind a message's arrow is taken for a name."""
    data = f"09-08 16:20:12 [info] {nick} | 账号状态变更为离线\n"
    assert [row[1] for row in rows(replay(chunks_of(data.encode()), family("napcat")))] == ["logout"]
    data = f"09-08 16:20:12 [info] {nick} | 接收 <- 私聊 (1) a | 账号状态变更为离线\n"
    assert [row[1] for row in rows(replay(chunks_of(data.encode()), family("napcat")))] == ["traffic"]


def test_observe_trusts_what_follows_a_message_without_text() -> None:
    """A picture shows no text, so that what follows its record is the bot's."""
    data = b"22:00:00 INFO StarterBot Message#Image[\xf0\x9f\x97\xa3Contact<A>]\n22:00:00 INFO B Contact<B> logout\n"
    assert [seen.event.trusted for seen in replay(chunks_of(data), family("wechaty-ts"), state=LOGGED_IN)] == [True]


@pytest.mark.parametrize(
    "host", ["evil.example/l/x", "login.weixin.qq.com.evil.example/l/x", "login.weixin.qq.com@e.example/"]
)
def test_observe_distrusts_a_qr_that_leads_elsewhere(host: str) -> None:
    """A scan whose QR leads to no host of the family is untrusted, wherever it stands."""
    data = f"22:00:00 INFO StarterBot onScan: Waiting(2) - https://{host}\n".encode()
    (seen,) = replay(chunks_of(data), family("wechaty-ts"), state=LOGGED_IN)
    assert (seen.event.trusted, seen.transition) == (False, None)


NAPCAT: Final = "09-08 16:{} [info] Bob | {}"
KICKED: Final = "[KickedOffLine] [下线通知] 请重新登录。"


@pytest.mark.parametrize(
    ("lines", "trusted"),
    [
        ([("30:00", "接收 <- hi"), ("30:00", KICKED)], [False]),
        ([("30:00", "接收 <- hi"), ("30:01", KICKED)], [True]),
        ([("30:00", "接收 <- hi"), ("29:59", KICKED)], [False]),
        ([("30:00", "接收 <- hi"), ("29:00", "接收 <- forged"), ("29:01", KICKED)], [False]),
        ([("30:00", "接收 <- hi"), ("30:01", "x"), ("30:00", KICKED)], [True]),
        ([("30:00", "接收 <- hi"), ("29:59", "x"), ("30:00", KICKED)], [False]),
        ([("30:00", "接收 <- hi"), ("30:00", KICKED), ("30:05", KICKED)], [False, True]),
        ([("30:00", KICKED)], [True]),
    ],
)
def test_observe_suspects_until_a_later_stamp_where_no_cut_is_known(
    lines: list[tuple[str, str]], trusted: list[bool]
) -> None:
    """In a replay of a family without a known cut, a message is over only at a line with a later stamp."""
    data = "".join(f"{NAPCAT.format(*line)}\n" for line in lines).encode()
    assert [seen.event.trusted for seen in replay(chunks_of(data), family("napcat"), state=LOGGED_IN)] == trusted


def test_observe_suspects_an_unstamped_link_behind_a_message() -> None:
    """A link on a line of its own is suspect behind a message, and trusted behind a record that is later."""
    link = "二维码解码URL: https://txz.qq.com/p?k=a&f=1"
    forged = f"{NAPCAT.format('30:00', '接收 <- hi')}\n{link}\n"
    real = f"{NAPCAT.format('30:09', '请扫描下面的二维码')}\n{link}2\n"
    found = replay(chunks_of((forged + real).encode()), family("napcat"), state=LOGGED_IN)
    assert [seen.event.trusted for seen in found] == [False, True]


def test_observe_suspects_all_behind_a_message_without_stamp() -> None:
    """No line is later than a message record that says not when it was."""
    data = f"接收 <- hi\n{NAPCAT.format('30:00', KICKED)}\n".encode()
    assert [seen.event.trusted for seen in replay(chunks_of(data), family("napcat"), state=LOGGED_IN)] == [False]


def test_observe_takes_no_stamp_from_the_future_for_a_later_one() -> None:
    """In the past of a live log, a forged line stamped later than now ends no message."""
    record = "2026-11-20 {} - Wechaty - INFO - receive {}\n"
    data = record.format("22:00:00,000", "message <Message#text[hi") + record.format(
        "23:30:00,000", "<logout> event <EventLogoutPayload(contact_id='bot', data='x')>"
    )
    for now, trusted in ((NOW, False), (NOW + timedelta(hours=1), True)):
        (chunk,) = chunks_of(data.encode())
        chunk = replace(chunk, backlog=True)
        _, (seen,) = observe(
            LOGGED_IN, chunk, profile=family("python-wechaty"), now=now, live=True, zone=ZoneInfo("UTC")
        )
        assert seen.event.trusted is trusted


def live(
    state: WatchState,
    text: str,
    profile: CompiledProfile,
    *,
    offset: int,
    caught_up: bool = True,
    now: datetime = NOW,
) -> tuple[WatchState, tuple[Observation, ...]]:
    """Observe text that was just written."""
    data = text.encode()
    chunk = Chunk(
        path=LOG, data=data, start_offset=offset, end_offset=offset + len(data), number=1, caught_up=caught_up
    )
    return observe(state, chunk, profile=profile, now=now, live=True)


@pytest.mark.parametrize(
    ("caught_up", "seconds", "trusted"),
    [(True, 0.2, True), (True, 0.0, False), (True, 0.09, False), (False, 0.2, False), (True, -3600, True)],
)
def test_observe_suspects_until_a_later_write_where_no_cut_is_known(
    *, caught_up: bool, seconds: float, trusted: bool
) -> None:
    """Live, in a family without a known cut, all is suspect that comes in the same write as a message, or may."""
    message, kicked = (f"{NAPCAT.format('30:00', text)}\n" for text in ("接收 <- hi", KICKED))
    later = NOW + timedelta(seconds=seconds)
    state, _ = live(LOGGED_IN, message, family("napcat"), offset=0, caught_up=caught_up)
    _, (seen,) = live(state, kicked, family("napcat"), offset=len(message.encode()), now=later)
    assert seen.event.trusted is trusted
    _, (seen,) = live(LOGGED_IN, message + kicked, family("napcat"), offset=0)
    assert not seen.event.trusted
    _, (seen,) = live(LOGGED_IN, kicked + message, family("napcat"), offset=0)
    assert seen.event.trusted


@pytest.mark.parametrize(
    ("pieces", "trusted"),
    [
        ([(0.0, True), (0.06, True), (0.05, True)], True),
        ([(0.0, True), (0.06, True), (0.03, True)], False),
        ([(0.0, False), (0.2, True), (0.05, True)], False),
        ([(0.0, False), (0.2, True), (0.2, True)], True),
        ([(0.0, False), (0.2, False), (0.2, False), (0.2, True)], False),
        ([(0.0, True), *[(0.02, True)] * 6], True),
        ([(0.0, True), *[(0.001, True)] * 50], False),
        ([(0.0, True), *[(0.001, True)] * 150], True),
    ],
)
def test_observe_suspects_what_may_be_another_part_of_a_message(
    pieces: list[tuple[float, bool]], *, trusted: bool
) -> None:
    """A part of a write is what follows at once or before the reader had caught up; others' lines do not prolong it."""
    state, at, offset = LOGGED_IN, NOW, 0
    observed: tuple[Observation, ...] = ()
    for number, (seconds, caught_up) in enumerate(pieces):
        at += timedelta(seconds=seconds)
        text = KICKED if number == len(pieces) - 1 else "x" if number else "接收 <- hi"
        line = f"{NAPCAT.format('30:00', text)}\n"
        state, observed = live(state, line, family("napcat"), offset=offset, caught_up=caught_up, now=at)
        offset += len(line.encode())
    assert [seen.event.trusted for seen in observed] == [trusted]


def test_observe_suspects_all_of_a_long_message() -> None:
    """However long a message is, and in however many parts it is read, all that comes with it is suspect."""
    state, offset = LOGGED_IN, 0
    record, kicked = (f"{NAPCAT.format('30:00', text)}\n" for text in ("接收 <- hi", KICKED))
    for number, text in enumerate((record, *["x" * 8000 + "\n"] * 20, kicked)):
        now = NOW + timedelta(seconds=number)
        state, observed = live(state, text, family("napcat"), offset=offset, caught_up=False, now=now)
        offset += len(text.encode())
    assert [seen.event.trusted for seen in observed] == [False]


@pytest.mark.parametrize(("stamp", "trusted"), [("30:00", False), ("30:01", True)])
def test_observe_takes_the_first_write_after_the_past_for_a_part_of_it(stamp: str, *, trusted: bool) -> None:
    """What was half written when the past was read is suspect behind a message, unless it bears a later time."""
    message, kicked = (f"{NAPCAT.format(at, text)}\n" for at, text in (("30:00", "接收 <- hi"), (stamp, KICKED)))
    (past,) = chunks_of(message.encode())
    for seconds, is_later in ((1, trusted), (0, False)):
        state, _ = observe(
            LOGGED_IN, replace(past, backlog=True, caught_up=True), profile=family("napcat"), now=NOW, live=True
        )
        now = NOW + timedelta(seconds=seconds)
        state, (seen,) = live(state, kicked, family("napcat"), offset=past.end_offset, now=now)
        assert seen.event.trusted is is_later
        offset = past.end_offset + len(kicked.encode())
        _, (seen,) = live(state, kicked, family("napcat"), offset=offset, now=now + timedelta(seconds=1))
        assert seen.event.trusted


@pytest.mark.parametrize(
    ("name", "forged", "genuine"),
    [
        ("wechaty-ts", "22:00:00 INFO B Contact<B> logout", "22:00:00 INFO B Contact<B> logout"),
        ("napcat", NAPCAT.format("30:01", KICKED), NAPCAT.format("30:02", KICKED)),
    ],
)
def test_observe_suspects_the_first_lines_of_a_log_read_from_its_middle(name: str, forged: str, genuine: str) -> None:
    """Nobody knows whose message the first lines are; at a file's beginning and farther on there is no doubt."""
    profile = family(name)
    reach = reach_bytes(profile)
    for start, far, trusted in ((0, 0, True), (5000, 0, False), (5000, reach - 500, False), (5000, reach, True)):
        data = f"{'x' * far}\n{forged}\n{genuine}\n".encode()
        for is_live in (True, False):
            chunk = Chunk(
                path=LOG, data=data, start_offset=start, end_offset=start + len(data), number=1, backlog=not is_live
            )
            _, observed = observe(LOGGED_IN, chunk, profile=profile, now=NOW, live=True)
            assert [seen.event.trusted for seen in observed] == [trusted] * 2
    chunk = Chunk(path=LOG, data=b"LOG OUT!\n", start_offset=5000, end_offset=5009, number=1, backlog=True)
    assert [seen.event.trusted for seen in replay([chunk], mine(BARE))] == [False]


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("offset", [0, -20])
def test_observe_carries_a_message_over_to_the_file_that_goes_on(offset: int, *, is_live: bool) -> None:
    """What follows a message is suspect in the file that a log is rotated to as well, and in a gap of unread lines."""
    for name, record, forged in (
        ("wechaty-ts", wechaty_message("hi"), "22:00:00 INFO B Contact<B> logout\n"),
        ("napcat", f"{NAPCAT.format('30:00', '接收 <- hi')}\n", f"{NAPCAT.format('30:00', KICKED)}\n"),
    ):
        for start, trusted in ((offset, False), (9000, False)):
            old = Chunk(path=LOG, data=record.encode(), start_offset=0, end_offset=len(record.encode()), number=1)
            new = Chunk(
                path=LOG, data=forged.encode(), start_offset=start, end_offset=start + len(forged.encode()), number=1
            )
            now = NOW if is_live else None
            state, _ = observe(LOGGED_IN, old, profile=family(name), now=now, live=is_live)
            _, (seen,) = observe(state, new, profile=family(name), now=now, live=is_live)
            assert seen.event.trusted is trusted


def test_observe_knows_nothing_more_of_a_log_that_goes_on_elsewhere_at_once() -> None:
    """A log read from its middle and rotated at once leaves the first lines of the new file in doubt as well."""
    profile = family("wechaty-ts")
    state, _ = live(LOGGED_IN, "x\n", profile, offset=5000)
    state, (seen,) = live(state, "22:00:00 INFO B Contact<B> logout\n", profile, offset=0)
    assert not seen.event.trusted
    filler = "x" * reach_bytes(profile) + "\n"
    _, (seen,) = live(state, f"{filler}22:00:00 INFO B Contact<B> logout\n", profile, offset=34)
    assert seen.event.trusted


@given(
    st.lists(
        st.tuples(st.sampled_from(["said: a", "said: b", "LOG OUT!", "x"]), st.none() | st.integers(0, 5)), max_size=14
    )
)
def test_observe_suspects_by_stamp_exactly_what_no_later_stamp_parts(lines: list[tuple[str, int | None]]) -> None:
    """A line is suspect if a message stands before it than which no line from there to it has a later stamp."""
    profile = mine(f"[framing]\nprefix = '(?:(?P<time>[0-9:]+) )?'\ntime_format = '%H:%M:%S'\n{BARE}")
    data = "".join(f"{'' if at is None else f'10:00:0{at} '}{text}\n" for text, at in lines).encode()
    expected = [
        not any(
            said.startswith("said")
            and not (at is not None and any(s is not None and s > at for _, s in lines[m + 1 : n + 1]))
            for m, (said, at) in enumerate(lines[:n])
        )
        for n, (text, _) in enumerate(lines)
        if text == "LOG OUT!"
    ]
    assert [seen.event.trusted for seen in replay(chunks_of(data), profile, state=LOGGED_IN)] == expected


def test_observe_forgets_a_message_out_of_reach() -> None:
    """A message that no later stamp has ended reaches as far as messages do, and no farther."""
    far = f"{NAPCAT.format('30:00', 'x')}\n" * 1200
    data = f"{NAPCAT.format('30:00', '接收 <- hi')}\n{far}{NAPCAT.format('30:00', KICKED)}\n{far[:600]}"
    assert [seen.event.trusted for seen in replay(chunks_of(data.encode()), family("napcat"), state=LOGGED_IN)] == [
        True
    ]


def test_observe_takes_no_time_from_a_line_in_doubt() -> None:
    """A stamp that a stranger may have written does not move a clock without date."""
    first, later = (f"{NAPCAT.format(at, KICKED)}\n" for at in ("30:00", "30:01"))
    forged = f"02-01 10:00:00 [info] Bob | {KICKED}\n"
    text = f"{first}{NAPCAT.format('30:00', '接收 <- hi')}\n{forged}"
    state, (genuine, doubted) = live(LOGGED_IN, text, family("napcat"), offset=0)
    now = NOW + timedelta(seconds=1)
    _, (seen,) = live(state, later, family("napcat"), offset=len(text.encode()), now=now)
    assert [each.event.trusted for each in (genuine, doubted, seen)] == [True, False, True]
    assert (seen.event.clock or 0) - (genuine.event.clock or 0) == 1


BARE: Final = """
[[event]]
kind = "logout"
pattern = "LOG OUT!"
[[message]]
pattern = "said: "
"""


def test_observe_never_trusts_again_in_a_replay_without_stamps() -> None:
    """Where no line has a stamp none is ever later than a message, however far it is."""
    profile = mine(BARE)
    far = b"noise\n" * 20_000
    found = replay(chunks_of(b"LOG OUT!\nsaid: hi\n" + far + b"LOG OUT!\n", 5000, 50_000), profile, state=LOGGED_IN)
    assert [seen.event.trusted for seen in found] == [True, False]


def test_observe_trusts_a_family_that_shows_no_messages() -> None:
    """Where a profile names no message records, nothing is suspect."""
    found = replay(chunks_of(b"LOG OUT!\n"), family("itchat-uos"), state=LOGGED_IN)
    assert [seen.event.trusted for seen in found] == [True]


def test_observe_suspects_a_drawing_behind_a_message() -> None:
    """A drawn QR is suspect where its first row is."""
    drawing = "\n".join(render_terminal(Qr(payload="https://txz.qq.com/p?k=a&f=1")))
    data = f"{NAPCAT.format('30:00', '接收 <- hi')}\n{drawing}\n".encode()
    (seen,) = replay(chunks_of(data), family("napcat"), state=LOGGED_IN)
    assert (seen.event.line, seen.event.trusted, seen.session) == (2, False, LOGGED_IN.session)


SCAN_BOT: Final = """
genuine = "https://real[.]example/.*"
qr_file = "qr.png"
qr_life = [60, 20]
[[event]]
kind = "scan"
pattern = "scan: (?P<qr>.+)"
[[event]]
kind = "scan"
pattern = "scan!"
[[event]]
kind = "scan"
pattern = "scan the image"
qr_from = "file"
[[event]]
kind = "scan"
pattern = "scan this:"
qr_from = "next_line"
[[event]]
kind = "expired"
pattern = "expired(?: (?P<qr>.+))?"
[[event]]
kind = "login"
pattern = "in"
[[event]]
kind = "error"
pattern = "oops"
"""
ONE: Final = "https://real.example/1"
TWO: Final = "https://real.example/2"
DRAWN: Final = "\n".join(render_terminal(Qr(payload=ONE)))
DRAWN_TWO: Final = "\n".join(render_terminal(Qr(payload=TWO)))
HIGH: Final = len(DRAWN.splitlines())


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([f"scan: {ONE}", DRAWN], [(1, "scan", ONE)]),
        ([DRAWN, "", "text", f"scan: {ONE}"], [(1, "scan", ONE)]),
        ([f"scan: {ONE}", f"scan: {ONE}"], [(1, "scan", ONE)]),
        ([f"scan: {ONE}", DRAWN, "text", f"scan: {ONE}"], [(1, "scan", ONE)]),
        ([f"scan: {ONE}", f"scan: {TWO}"], [(1, "scan", ONE), (2, "scan", TWO)]),
        ([f"scan: {ONE}", *"abcde", f"scan: {ONE}"], [(1, "scan", ONE), (7, "scan", ONE)]),
        ([DRAWN, *"abcde", f"scan: {ONE}"], [(1, "scan", ONE), (HIGH + 6, "scan", ONE)]),
        ([DRAWN, "in", f"scan: {ONE}"], [(1, "scan", ONE), (HIGH + 1, "login", None), (HIGH + 2, "scan", ONE)]),
        (["scan!", DRAWN], [(1, "scan", ONE)]),
        (["scan!", "scan the image", DRAWN, f"scan: {ONE}"], [(1, "scan", ONE)]),
        (["scan!", "in"], [(1, "scan", None), (2, "login", None)]),
        (["scan the image"], [(1, "scan", None)]),
        ([f"scan: {ONE}", "scan!"], [(1, "scan", ONE)]),
        ([DRAWN, "text", DRAWN_TWO], [(1, "scan", ONE), (HIGH + 2, "scan", TWO)]),
        ([f"expired {ONE}", DRAWN], [(1, "expired", None)]),
        ([f"expired {ONE}", DRAWN, "scan!"], [(1, "expired", None), (HIGH + 2, "scan", None)]),
        (["expired", DRAWN], [(1, "expired", None), (2, "scan", ONE)]),
        ([DRAWN, "scan: https://evil.example/"], [(1, "scan", ONE), (HIGH + 1, "scan", "https://evil.example/")]),
        (["scan: https://evil.example/", DRAWN], [(1, "scan", "https://evil.example/"), (2, "scan", ONE)]),
        (["scan this:", ONE], [(1, "scan", ONE)]),
        (["scan this:", "", f"  {ONE}", "in"], [(1, "scan", ONE), (4, "login", None)]),
        (["scan this:", "some words"], [(1, "scan", None)]),
        (["scan this:", DRAWN], [(1, "scan", ONE)]),
        (["scan this:"], [(1, "scan", None)]),
        (["█" * 40, "█" * 40], []),
        (["█" * 40] * 500, []),
        ([*DRAWN.splitlines()[:9]], []),
        (["oops", DRAWN], [(1, "error", None), (2, "scan", ONE)]),
    ],
)  # fmt: skip
def test_observe_makes_one_event_of_several_records(
    lines: list[str], expected: list[tuple[int, str, str | None]]
) -> None:
    """Links and drawings of one QR that stand together are one scan, at its first line; others are not joined."""
    data = "\n".join(lines).encode()
    for sizes in ((), (1,), (10, 10), (700,), (900, 900), (1, 2000)):
        found = replay(chunks_of(data, *sizes), mine(SCAN_BOT))
        assert [
            (seen.event.line, seen.event.kind, seen.event.qr and seen.event.qr.payload) for seen in found
        ] == expected


def test_observe_keeps_the_modules_where_no_decoder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a decoder a drawn QR is its modules."""
    monkeypatch.setitem(__import__("sys").modules, "zxingcpp", None)
    (seen,) = replay(chunks_of(DRAWN.encode()), mine(SCAN_BOT))
    assert seen.event.qr == Qr(modules=modules_of(Qr(payload=ONE)))


def test_observe_distrusts_a_drawing_that_leads_elsewhere() -> None:
    """A drawing whose content can be read and is not genuine is untrusted."""
    data = "\n".join(render_terminal(Qr(payload="https://evil.example/"))).encode()
    assert [seen.event.trusted for seen in replay(chunks_of(data), mine(SCAN_BOT))] == [False]


def test_observe_names_the_image_beside_the_log() -> None:
    """A scan whose QR is an image names it beside the log, or where the user says."""
    (chunk,) = chunks_of(b"scan the image\n")
    profile = mine(SCAN_BOT)
    state = WatchState(session=Session(watch="bob"))
    for qr_path, expected in ((None, LOG.parent / "qr.png"), (Path("/tmp/x.png"), Path("/tmp/x.png"))):
        after, _ = observe(state, chunk, profile=profile, qr_path=qr_path)
        _, (seen,) = finish(after, profile=profile)
        assert seen.event.qr is not None
        assert seen.event.qr.image_path == expected


def test_tick_gives_out_a_drawing_that_no_link_follows() -> None:
    """Live, a drawing waits 0.3 s for its link and is then a scan of its own; the link then shows nothing new."""
    profile = mine(SCAN_BOT)
    state, observed = live(LOGGED_IN, f"{DRAWN}\n", profile, offset=0)
    assert (observed, wake_at(state)) == ((), NOW + HOLD)
    assert tick(state, NOW + HOLD / 2, profile=profile) == (state, ())
    state, (seen,) = tick(state, NOW + HOLD, profile=profile)
    assert (seen.event.line, seen.session.state, seen.event.seen_at) == (1, SessionState.AWAITING_SCAN, NOW)
    assert wake_at(state) is None
    _, (link,) = live(state, f"scan: {ONE}\n", profile, offset=len(f"{DRAWN}\n".encode()))
    assert link.transition is None


def test_tick_leaves_a_drawing_alone_that_its_link_has_explained() -> None:
    """Live, a drawing right behind its link makes no second event."""
    profile = mine(SCAN_BOT)
    state, (seen,) = live(LOGGED_IN, f"scan: {ONE}\n{DRAWN}\n", profile, offset=0)
    assert (seen.event.kind, wake_at(state)) == (EventKind.SCAN, NOW + HOLD)
    assert tick(state, NOW + HOLD, profile=profile)[1] == ()


def test_observe_joins_a_drawing_and_its_link_across_writes() -> None:
    """Live, a link that comes in time completes what was drawn before it, at the drawing's line."""
    profile = mine(SCAN_BOT)
    half = len(DRAWN) // 2
    state, _ = live(LOGGED_IN, DRAWN[: DRAWN.index("\n", half) + 1], profile, offset=0)
    first = len(DRAWN[: DRAWN.index("\n", half) + 1].encode())
    state, observed = live(
        state, f"{DRAWN[DRAWN.index(chr(10), half) + 1 :]}\n", profile, offset=first, now=NOW + HOLD / 3
    )
    assert (observed, wake_at(state)) == ((), NOW + HOLD / 3 + HOLD)
    state, (seen,) = live(state, f"scan: {ONE}\n", profile, offset=len(f"{DRAWN}\n".encode()))
    assert (seen.event.offset, seen.event.qr and seen.event.qr.payload) == (0, ONE)
    assert wake_at(state) is None


def test_observe_does_not_put_off_what_is_held() -> None:
    """Live, lines that have nothing to do with a held scan do not make it wait longer."""
    profile = mine(SCAN_BOT)
    state, _ = live(LOGGED_IN, "scan!\n", profile, offset=0)
    state, _ = live(state, "noise\n", profile, offset=6, now=NOW + HOLD / 2)
    assert wake_at(state) == NOW + HOLD


def test_observe_gives_out_what_was_held_when_a_file_starts_anew() -> None:
    """A file that goes on elsewhere is a new one: what was held of the old one comes out, and nothing is joined."""
    profile = mine(SCAN_BOT)
    state, _ = live(LOGGED_IN, f"in\n{DRAWN}\n", profile, offset=0)
    state, observed = live(state, f"scan: {TWO}\n", profile, offset=0)
    assert [seen.event.qr and seen.event.qr.payload for seen in observed] == [ONE, TWO]


def test_observe_says_how_long_a_qr_lives() -> None:
    """The first QR of a round lives as long as the profile says, a further one as long as it says of those."""
    profile = mine(SCAN_BOT)
    state, (first,) = live(LOGGED_IN, f"scan: {ONE}\n", profile, offset=0)
    state, (second,) = live(state, f"scan: {TWO}\n", profile, offset=100)
    state, (_, third) = live(state, f"in\nscan: {ONE}\n", profile, offset=200)
    lives = [
        (seen.event.qr.expires - seen.event.qr.first_seen).total_seconds()
        for seen in (first, second, third)
        if seen.event.qr and seen.event.qr.expires and seen.event.qr.first_seen
    ]
    assert lives == [60, 20, 60]


def test_tick_leaves_a_suspect_scan_unconfirmed() -> None:
    """A suspect scan that nothing confirms in ten seconds is remembered in the session, whose state stays."""
    profile = mine(SCAN_BOT)
    state, (suspect,) = live(LOGGED_IN, "scan: https://evil.example/1\n", profile, offset=0)
    state, _ = live(state, "scan: https://evil.example/2\n", profile, offset=29, now=NOW + CONFIRMATION / 2)
    assert (suspect.transition, wake_at(state)) == (None, NOW + CONFIRMATION)
    state, (seen,) = tick(state, NOW + CONFIRMATION, profile=profile)
    assert seen.transition is not None
    assert (seen.session.state, wake_at(state)) == (SessionState.LOGGED_IN, None)
    assert seen.session.unconfirmed == seen.event
    assert seen.event.qr is not None
    assert seen.event.qr.payload == "https://evil.example/2"


@pytest.mark.parametrize(
    ("second", "is_settled"),
    [
        ("22:00:09 INFO StarterBot onScan: Waiting(2)", True),
        (f"22:00:09 INFO StarterBot onScan: Waiting(2) - {WRAPPED.format('New')}", False),
        ("22:00:09 INFO StarterBot onScan: Waiting(2) - 2@x", True),
        ("22:00:09 INFO StarterBot Contact<Bob> login", True),
        ("22:00:09 INFO StarterBot Contact<Bob> logout", False),
    ],
)
def test_observe_settles_a_suspect_scan_by_a_trusted_event(second: str, *, is_settled: bool) -> None:
    """The same QR again outside a message, a scan that shows none, or a login answers a suspect scan."""
    profile = family("wechaty-ts")
    first = f"{wechaty_message('hi')}22:00:01 INFO StarterBot onScan: Waiting(2) - 2@x\n"
    state, (seen,) = live(LOGGED_IN, first, profile, offset=0)
    assert not seen.event.trusted
    filler = "22:00:08 INFO StarterBot " + "x" * 80
    state, _ = live(state, f"{filler}\n{second}\n", profile, offset=len(first.encode()), now=NOW + HOLD)
    state, _ = tick(state, NOW + 2 * HOLD, profile=profile)
    assert (state.doubt is None) is is_settled


def test_observe_does_not_doubt_what_is_past() -> None:
    """A suspect scan of a replay or of a live log's past waits for nothing."""
    (chunk,) = chunks_of(b"scan: https://evil.example/1\n")
    chunk = replace(chunk, backlog=True)
    state, (seen,) = observe(LOGGED_IN, chunk, profile=mine(SCAN_BOT), now=NOW, live=True)
    assert (seen.event.trusted, seen.event.seen_at, wake_at(state)) == (False, None, None)


TRAFFIC: Final = "2026-11-20 22:{}:00,000 - Wechaty - INFO - receive {}\n"
LOGOUT: Final = "<logout> event <EventLogoutPayload(contact_id='bot', data='x')>"


def traffic_rows(lines: Sequence[tuple[str, str]], profile: str = "python-wechaty") -> list[tuple[int, str, str]]:
    """Replay lines of a python-wechaty log; return line, kind and state."""
    data = "".join(TRAFFIC.format(*line) for line in lines).encode()
    return [row[:3] for row in rows(replay(chunks_of(data), family(profile)))]


def test_observe_shows_traffic_only_where_it_moves_the_session() -> None:
    """Traffic establishes a login, brings a lost session back, and is not mentioned else."""
    heartbeat = "<heart-beat> event <x>"
    assert traffic_rows(
        [("00", heartbeat), ("01", heartbeat), ("02", LOGOUT), ("02", heartbeat), ("03", heartbeat), ("04", heartbeat)]
    ) == [(1, "traffic", "logged_in"), (3, "logout", "logged_out"), (5, "traffic", "logged_in")]


def test_observe_does_not_take_a_mention_for_traffic() -> None:
    """A line that only contains what traffic looks like is none."""
    assert replay(chunks_of(b"my bot says: receive message <x>\n"), family("python-wechaty")) == []


def test_observe_gives_out_a_held_scan_before_traffic() -> None:
    """Traffic behind a scan without payload comes after it, in file order."""
    scan = "<scan> event <EventScanPayload(status=<ScanStatus.Waiting: 2>, qrcode=None, data=None)>"
    assert traffic_rows([("00", scan), ("01", "<heart-beat> event <x>")]) == [
        (1, "scan", "awaiting_scan"),
        (2, "traffic", "logged_in"),
    ]


def test_observe_does_not_take_traffic_for_a_login_where_logins_are_logged() -> None:
    """In a family that logs each login, a message after a loss proves nothing."""
    data = f"22:00:00 INFO B Contact<B> logout\n{wechaty_message('x' * 70, second=50)}".encode()
    assert [row[1] for row in rows(replay(chunks_of(data), family("wechaty-ts")))] == ["logout"]


def test_observe_goes_over_midnight() -> None:
    """The clock of a log without dates goes on from day to day, also where nothing happens at midnight."""
    quiet = "".join(f"{hour % 24:02}:00:00 INFO B {'x' * 90}\n" for hour in range(22, 72))
    data = f"21:00:00 INFO B Contact<B> login\n{quiet}00:30:00 INFO B Contact<B> logout\n".encode()
    found = replay(chunks_of(data, *[500] * 12), family("wechaty-ts"))
    assert [seen.event.clock for seen in found] == [21 * 3600, 72.5 * 3600]


def test_observe_keeps_files_apart() -> None:
    """Two files of one bot feed one session, and neither's lines are taken for the other's."""
    profile = mine(SCAN_BOT)
    state = WatchState(session=Session(watch="bob"))
    for path, text in ((LOG, "scan!\n"), (Path("/var/log/err.log"), f"scan: {ONE}\n")):
        (chunk,) = chunks_of(text.encode(), path=path)
        state, _ = observe(state, chunk, profile=profile)
    state, (seen,) = finish(state, profile=profile)
    assert (seen.event.path, seen.event.qr) == (LOG, None)
    assert set(state.files) == {LOG, Path("/var/log/err.log")}


def test_observe_orders_the_past_of_several_files_by_their_clocks() -> None:
    """Of the past of two logs only what is younger moves the session; live, all does."""
    profile = family("python-wechaty")
    old, new = (TRAFFIC.format(minute, LOGOUT) for minute in ("05", "10"))
    login = TRAFFIC.format("07", "<login> event <EventLoginPayload(contact_id='bot')>")
    state = WatchState(session=Session(watch="bob"))
    (first,) = chunks_of(f"{old}{new}".encode())
    (second,) = chunks_of(login.encode(), path=Path("/var/log/older.log"))
    (third,) = chunks_of(login.replace("22:07", "22:12").encode(), path=Path("/var/log/newer.log"))
    states = []
    for chunk in (first, second, third):
        state, observed = observe(state, chunk, profile=profile)
        states.append((observed[-1].session.state, observed[-1].transition is not None))
    assert states == [
        (SessionState.LOGGED_OUT, False),
        (SessionState.LOGGED_OUT, False),
        (SessionState.LOGGED_IN, True),
    ]
    (traffic,) = chunks_of(TRAFFIC.format("08", "<heart-beat> event <x>").encode(), path=Path("/var/log/traffic.log"))
    state, _ = observe(WatchState(session=Session(watch="bob")), first, profile=profile)
    assert observe(state, traffic, profile=profile)[1] == ()
    _, (seen,) = observe(state, replace(second, caught_up=True), profile=profile, now=NOW, live=True)
    assert seen.session.state is SessionState.LOGGED_IN


@pytest.mark.parametrize(
    "lines",
    [
        [("2026-11-20 22:30:00,000", "message <x"), ("2026-11-20 22:20:00,000", LOGOUT)],
        [("2026-11-20 22:00:00,000", "message <x"), ("2099-01-01 00:00:00,000", LOGOUT)],
        [("2099-01-01 00:00:00,000", LOGOUT)],
    ],
)
def test_observe_lets_no_line_in_doubt_hide_a_genuine_one(lines: list[tuple[str, str]]) -> None:
    """Neither what a stranger may have written nor what is from the future makes an event of another log outdated."""
    profile = family("python-wechaty")
    state = LOGGED_IN
    for name, records in (("1.log", lines), ("2.log", [("2026-11-20 22:10:00,000", LOGOUT)])):
        data = "".join(f"{at} - Wechaty - INFO - receive {text}\n" for at, text in records).encode()
        (chunk,) = chunks_of(data, path=Path("/var/log") / name)
        state, observed = observe(
            state, replace(chunk, backlog=True), profile=profile, now=NOW, live=True, zone=ZoneInfo("UTC")
        )
    assert state.latest == (Path("/var/log/2.log"), observed[-1].event.clock)


def test_observe_remembers_the_files_read_last() -> None:
    """Of a bot that writes a file a day only some are remembered; what the oldest held is given out first."""
    profile = mine(SCAN_BOT)
    state = WatchState(session=Session(watch="bob"))
    (held,) = chunks_of(b"scan!\n", path=Path("/var/log/0.log"))
    state, _ = observe(state, held, profile=profile)
    for number in range(1, MOST_FILES):
        state, observed = observe(
            state, replace(held, data=b"text.\n", path=Path(f"/var/log/{number}.log")), profile=profile
        )
        assert observed == ()
    state, _ = observe(
        state, replace(held, data=b"text.\n", start_offset=6, path=Path("/var/log/1.log")), profile=profile
    )
    state, (seen,) = observe(state, replace(held, data=b"text.\n", path=LOG), profile=profile)
    assert (seen.event.kind, seen.event.path) == (EventKind.SCAN, Path("/var/log/0.log"))
    assert len(state.files) == MOST_FILES
    assert [path.name for path in state.files][:1] + [path.name for path in state.files][-2:] == [
        "2.log",
        "1.log",
        "bob.log",
    ]


def test_observe_reads_the_head_of_an_over_long_line() -> None:
    """A line over the cap is read by its head, and the next one starts anew."""
    long = Chunk(path=LOG, data=b"in" + b" " * 100, start_offset=0, end_offset=5000, number=1, truncated=True)
    state, (first,) = observe(LOGGED_IN, long, profile=mine(SCAN_BOT))
    after = Chunk(path=LOG, data=f"scan: {ONE}".encode(), start_offset=5000, end_offset=5028, number=2)
    _, (second,) = observe(state, after, profile=mine(SCAN_BOT))
    assert [(seen.event.line, seen.event.kind) for seen in (first, second)] == [(1, "login"), (2, "scan")]


def test_observe_takes_a_signature_for_no_part_of_the_line() -> None:
    """A signed line of a twin is read like any other; its signature is not verified here."""
    data = (
        f"22:00:00 INFO B onScan: Waiting(2) - {WRAPPED.format('Abc123')} lm1 2026-11-20T22:00:00Z 1.7 a1b2\n".encode()
    )
    (seen,) = replay(chunks_of(data), family("wechaty-ts"))
    assert (seen.event.qr and seen.event.qr.payload, seen.event.verified) == (ABC, False)
