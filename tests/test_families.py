"""What every family is known to write, read as a person would, with and without what stands before it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.lines import Rest, cut, finish
from logmonitor.profile_folder import load_profiles
from logmonitor.reading.choice import choose_profile
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Session
from logmonitor.watch import Observation, WatchState, observe
from logmonitor.watch import finish as finish_watch

if TYPE_CHECKING:
    from logmonitor.reading.recognition import CompiledProfile
    from logmonitor.records import Chunk

PROFILES: Final = load_profiles()
WRAPPED: Final = "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D"
SERVED: Final = (
    "https://api.qrserver.com/v1/create-qr-code/?size=300x300"
    "&data=https%3A%2F%2Fliteapp.weixin.qq.com%2Fq%2F7GiQu1%3Fqrcode%3Da1b2c3%26bot_type%3D3"
)
PYTHON_SCAN: Final = (
    "receive <scan> event <EventScanPayload(status=<ScanStatus.Waiting: 2>, "
    "qrcode='https://login.weixin.qq.com/l/abc==', data=None)>"
)
ILINK: Final = "https://liteapp.weixin.qq.com/q/7GiQu1?qrcode=a1b2c3&bot_type=3"
CORE: Final = "[…] [Core] [INFO] […]: "
COW: Final = "[INFO][2026-11-20 23:08:05][weixin_channel.py:226] - "
PAUSING: Final = "pausing all requests for 60 min"
OPENCLAW: Final = '{{"0":"x","1":"{}","_meta":{{"logLevelName":"INFO"}},"time":"2026-11-21T06:54:02.143+08:00"}}'

WRITTEN: Final[dict[str, list[tuple[str, str, str | None]]]] = {
    "wechaty-ts": [
        ("22:44:35 INFO StarterBot ", f"onScan: Waiting(2) - {WRAPPED}", "scan"),
        ("22:44:35 INFO StarterBot ", "onScan: Waiting(2)", "scan"),
        ("22:44:35 INFO StarterBot ", "onScan: Scanned(3)", "scanned"),
        ("22:44:35 INFO StarterBot ", "onScan: Confirmed(4)", "scanned"),
        ("22:44:35 INFO StarterBot ", "onScan: Timeout(5) - <url>", "expired"),
        ("22:44:35 INFO StarterBot ", "Contact<Bob> login", "login"),
        ("22:44:35 INFO StarterBot ", "Contact<Bob> logout", "logout"),
        ("22:44:36 ERR StarterBot ", "onError: Error: boom", "error"),
        ("21:31:28 INFO [PuppetPadlocal] ", "start login with type: QrLogin", "scan"),
    ],
    "python-wechaty": [
        (
            "2026-11-20 22:36:02,975 - Wechaty - INFO - ",
            PYTHON_SCAN,
            "scan",
        ),
        (
            "2026-11-20 22:36:02,979 - Wechaty - INFO - ",
            "or you can scan qrcode from: https://wechaty.js.org/qrcode/https://login.weixin.qq.com/l/abc==",
            "scan",
        ),
        (
            "2026-11-20 22:36:03,983 - Wechaty - INFO - ",
            "receive <login> event <EventLoginPayload(contact_id='bot')>",
            "login",
        ),
        (
            "2026-11-20 22:36:08,980 - Wechaty - INFO - ",
            "receive <logout> event <EventLogoutPayload(contact_id='bot', data='mock')>",
            "logout",
        ),
        ("2026-11-20 22:36:09,980 - Wechaty - INFO - ", "receive message <Message#message_type_text[x]>", "traffic"),
        ("2026-11-20 22:36:09,980 - Wechaty - INFO - ", "receive <heart-beat> event <x>", "traffic"),
        ("2026-11-20 22:36:09,980 - Wechaty - ERROR - ", "internal error <>", None),
        ("2026-11-20 22:36:09,980 - Wechaty - INFO - ", "receive <reset> event <%s>", None),
    ],
    "wechat4u": [
        ("", "二维码链接： https://login.weixin.qq.com/qrcode/<uuid>", "scan"),
        ("", "登录成功", "login"),
        ("", "登出成功", "logout"),
        ("[2024-01-25T08:58:46.470] [INFO] - ", "🌱 User Contact<x> logged in", "login"),
        ("[2024-01-25T08:58:46.470] [INFO] - ", "User Contact<x> logout", "logout"),
    ],
    "itchat-uos": [
        ("", "Getting uuid of QR code.", None),
        ("", "Please scan the QR code to log in.", "scan"),
        ("", "Log in time out, reloading QR code.", "expired"),
        ("", "Please press confirm on your phone.", "scanned"),
        ("", "Login successfully as Bob", "login"),
        ("", "LOG OUT!", "logout"),
    ],
    "openclaw-weixin": [
        ("", OPENCLAW.format(f"二维码链接: {ILINK}"), "scan"),
        ("", OPENCLAW.format("waitForWeixinLogin: refreshing QR code (2/3)"), "expired"),
        ("", OPENCLAW.format("✅ Login confirmed! ilink_bot_id=44b9b8ec@im.bot ilink_user_id=…"), "login"),
        (
            "",
            OPENCLAW.format(f"[44b9b8ec-im-bot] getUpdates: token for 44b9b8ec-im-bot is stale, {PAUSING}"),
            "logout",
        ),
        ("", OPENCLAW.format(f"getUpdates: session expired (errcode=-14 ret=undefined), {PAUSING}"), "logout"),
        ("", f"[44b9b8ec-im-bot] getUpdates: token for 44b9b8ec-im-bot is stale, {PAUSING}", "logout"),
        ("", f"getUpdates: session expired (errcode=-14 ret=undefined), {PAUSING}", "logout"),
        ("", "用手机微信扫描以下二维码，以继续连接：", None),
        ("", "⏳ 二维码已过期，正在刷新...", "expired"),
        ("", ILINK, "scan"),
    ],
    "astrbot": [
        (CORE, f"weixin_oc(wx1): QR session started, qr_link={SERVED} 请使用…", "scan"),
        (f"{CORE}weixin_oc(wx1): ", "qr expired, refreshing (1/3)", "expired"),
        (f"{CORE}weixin_oc(wx1): ", "login confirmed, account=…", "login"),
        (f"{CORE}weixin_oc(wx1): ", "session timed out, clearing login state and waiting for QR login.", "logout"),
    ],
    "cow": [
        (COW, f"[Weixin] 微信二维码链接: {ILINK}", "scan"),
        (COW, f"[Weixin] 微信二维码链接 (1/10): {ILINK}", "scan"),
        (COW, f"[Weixin] 微信二维码链接(1/10): {ILINK}", "scan"),
        (COW, "[Weixin] Login confirmed: bot_id=…", "login"),
        ("[ERROR][…] - ", "[Weixin] Session expired (errcode -14), starting re-login...", "logout"),
        (COW, "[Weixin] Re-login successful, resuming long-poll", "login"),
    ],
    "hermes": [
        (
            "2026-05-11 09:46:58,946 ERROR gateway.platforms.weixin: ",
            "[Weixin] Session expired; pausing for 10 minutes",
            "logout",
        ),
        ("2026-05-11 09:46:58,946 INFO gateway.platforms.weixin: ", "[Weixin] Connected account=… base=…", "login"),
        ("2026-05-11 09:46:58,946 INFO gateway.platforms.weixin: ", "[Weixin] Disconnected", "logout"),
    ],
    "langbot": [
        (
            "[11-20 23:08:05.123] openclaw_weixin.py (88) - [INFO] : ",
            f"Please scan the QR code to login WeChat: {ILINK}",
            "scan",
        ),
        ("", "WeChat login successful! account_id=…", "login"),
        ("", "OpenClaw WeChat session expired, attempting re-login...", "logout"),
    ],
    "napcat": [
        ("09-08 15:59:03 [warn] ", "请扫描下面的二维码，然后在手Q上授权登录：", None),
        ("", "二维码解码URL: https://txz.qq.com/p?k=…&f=…", "scan"),
        ("09-08 15:59:03 ", "[warn] 二维码已保存到 /app/napcat/cache/qrcode.png", "scan"),
        (
            "09-08 16:20:11 [error] nick | ",
            "[KickedOffLine] [下线通知] 你的帐号当前登录已失效，请重新登录。",
            "logout",
        ),
        ("09-08 16:20:11 ", "[error] nick | [KickedOffLine] [下线通知] 你的帐号当前登录已失效，请重新登录。", "logout"),
        ("09-08 16:20:12 ", "[info] nick | 账号状态变更为离线", "logout"),
        ("09-08 16:20:12 [info] nick | ", "账号状态变更为离线", "logout"),
        ("09-08 16:30:00 [info] nick | ", "接收 <- 私聊 (10001) hello", "traffic"),
        ("09-08 16:30:00 [info] nick | ", "发送 -> 私聊 (10001) hello", "traffic"),
        ("09-08 16:30:00 ", "[info] nick | 群成员列表已更新", "traffic"),
        ("09-08 16:30:00 ", "[info] nick | [Notice] 群名片变更", "traffic"),
        ("09-08 16:30:00 ", "[info] A|<B> - C | 群成员列表已更新", "traffic"),
        ("09-08 16:20:12 ", "[info] A|<B> - C | 账号状态变更为离线", "logout"),
        ("09-08 16:30:00 ", "[warn] nick | 登录失败", None),
    ],
    "go-cqhttp": [
        ("[2021-09-07 12:46:54] [INFO]: ", "请使用手机QQ扫描二维码 (qrcode.png) :  ", "scan"),
        ("[INFO]: ", "扫码成功, 请在手机端确认登录. ", "scanned"),
        ("[FATAL]: ", "二维码过期", "expired"),
        ("[INFO]: ", "登录成功 欢迎使用: Bob", "login"),
        ("[WARNING]: ", "Bot已离线: x", "logout"),
    ],
    "lagrange": [
        ("[2024-05-01 10:00:00] [WtExchangeLogic] [Information]: ", "QrCode Fetched, Expiration: 120 seconds", "scan"),
        ("info: Lagrange.OneBot[0] ", "QrCode Confirmed, Logging in with A1 sig...", "scanned"),
        ("      ", "Login Success", "login"),
        ("[2024-05-01 10:00:00] [PushLogic] [Fatal]: ", "KickNTEvent: <tag>: <msg>", "logout"),
    ],
    "baileys": [
        ("", '{"level":20,"time":1795216485661,"qr":"2@AbCdEf,GhIjKl=","msg":"connection update"}', "scan"),
        (
            "",
            '{"level":20,"msg":"pairing configured successfully, expect to restart the connection..."}',
            "scanned",
        ),
        ("", '{"level":20,"time":"2026-11-20T23:14:45.661Z","msg":"opened connection to WA"}', "login"),
        ("", '{"level":50,"node":{"tag":"x","attrs":{"code":"401"}},"msg":"stream errored out"}', "logout"),
        ("", '{"level":60,"msg":"Connection closed. You are logged out."}', "logout"),
        ("", '{"level":20,"trace":"Error: QR refs attempts ended\\n at x","msg":"connection errored"}', "expired"),
    ],
    "whatsapp-web.js": [
        ("", "QR RECEIVED 2@AbCdEf,GhIjKl=", "scan"),
        ("", "AUTHENTICATED", "login"),
        ("", "READY", "login"),
        ("", "AUTHENTICATION FAILURE <msg>", "logout"),
        ("", "Client was logged out <reason>", "logout"),
        ("", "Client was logged out", "logout"),
    ],
    "whatsmeow": [
        ("15:51:20.893 [Database INFO] ", "Successfully authenticated", "login"),
        (
            "11:38:58.807 [Client INFO] ",
            "Got device removed stream error, sending LoggedOut event and deleting session",
            "logout",
        ),
        ("", "State update for +x: BAD_CREDENTIALS (wa-logged-out): …", "logout"),
    ],
    "wecom-aibot-sdk": [
        ("[2026-11-20T23:08:05.123Z] [AiBotSDK] [INFO] ", "Authentication successful", "login"),
        ("[WARN] ", "WebSocket connection closed: code: 1006", "error"),
        ("[ERROR] ", "Authentication failed: errcode=40058, errmsg=invalid secret", "logout"),
        ("[ERROR] ", "Max reconnect attempts reached (10), giving up", "logout"),
    ],
}
UNFRAMED: Final = (
    "wechat4u",
    "astrbot",
    "cow",
    "hermes",
    "langbot",
    "go-cqhttp",
    "lagrange",
    "whatsapp-web.js",
    "whatsmeow",
    "wecom-aibot-sdk",
)
"""The families whose framing is not known for certain, or not all of it."""

FRAMINGS: Final = (
    "2026-11-20 23:08:05 [INFO] ",
    "2026-11-20T23:08:05Z INF ",
    "2026-11-20 23:08:05,123 - INFO - ",
    "[2026-11-20T23:08:05.123+08:00] [WARNING]: ",
    "2026-11-20 23:08:05.123 | ERROR    | ",
    "2026/11/20 23:08:05 ",
    "11-20 23:08:05 [info] ",
    "[INFO] ",
    "[23:08:05] ",
    "23:08:05 ",
    "INFO: ",
    "error ",
)
SINGLE: Final = [
    pytest.param(name, line, kind, id=f"{name}-{number}-{shape}")
    for name, lines in WRITTEN.items()
    for number, (framing, message, kind) in enumerate(lines)
    for shape, line in (("full", framing + message), ("bare", message))
    if shape == "full" or name in {*UNFRAMED, "napcat"}
]
OPEN: Final = [(name, message, kind) for name in UNFRAMED for _, message, kind in WRITTEN[name]]


@cache
def family(name: str) -> CompiledProfile:
    """Return a shipped profile, compiled once."""
    return compile_profile(PROFILES[name])


def chunks_of(data: bytes) -> list[Chunk]:
    """Cut a whole file into chunks."""
    path = Path("/var/log/bob.log")
    rest, chunks = cut(Rest(), data, path=path)
    return [*chunks, *finish(rest, path=path)[1]]


def kinds(name: str, text: str) -> list[str]:
    """Return the kinds of event that a log of the family holds, as a replay sees them."""
    state = WatchState(session=Session(watch="bob"))
    found: list[Observation] = []
    for chunk in chunks_of(text.encode()):
        state, observed = observe(state, chunk, profile=family(name))
        found += observed
    _, observed = finish_watch(state, profile=family(name))
    return [str(seen.event.kind) for seen in (*found, *observed)]


@pytest.mark.parametrize(("name", "line", "kind"), SINGLE)
def test_family_reads_each_line_as_a_person_would(name: str, line: str, kind: str | None) -> None:
    """Each line that a family is known to write is of its kind, and where its framing is not known, without it too."""
    assert kinds(name, f"{line}\n") == ([] if kind is None else [kind])


@pytest.mark.parametrize("name", WRITTEN)
def test_auto_chooses_the_family_of_the_lines_as_written(name: str) -> None:
    """A family's lines, together, are of that family and of no other as much."""
    text = "\n".join(framing + message for framing, message, _ in WRITTEN[name])
    assert choose_profile(PROFILES, chunks_of(text.encode())).profile is PROFILES[name]


@pytest.mark.parametrize("name", UNFRAMED)
@pytest.mark.parametrize("framing", ["", *FRAMINGS])
def test_auto_chooses_the_family_in_any_framing(name: str, framing: str) -> None:
    """A family's lines are its own without what stands before them, and behind what others write there."""
    text = "\n".join(framing + message for _, message, _ in WRITTEN[name])
    assert choose_profile(PROFILES, chunks_of(text.encode())).profile is PROFILES[name]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_family_reads_lines_in_any_framing(framing: str) -> None:
    """Where its framing is not known, a family's lines are read behind any time and level."""
    assert [(name, kinds(name, framing + message)) for name, message, _ in OPEN] == [
        (name, [kind]) for name, _, kind in OPEN
    ]


@pytest.mark.parametrize("before", ["Eve: ", "Eve said ", "[INFO] Eve: ", "2026-11-20 23:08:05 [INFO] Eve said "])
def test_family_reads_nothing_behind_other_words(before: str) -> None:
    """No line is read from its middle on: what stands before is a time and a level, and nothing else."""
    assert [(name, kinds(name, before + message)) for name, message, _ in OPEN] == [(name, []) for name, _, _ in OPEN]


def test_family_takes_the_time_out_of_an_open_framing() -> None:
    """A full date is understood wherever it may stand."""
    for framing in FRAMINGS[:5]:
        (chunk,) = chunks_of(f"{framing}登录成功 欢迎使用: Bob\n".encode())
        _, (seen,) = observe(WatchState(session=Session(watch="bob")), chunk, profile=family("go-cqhttp"))
        assert seen.event.clock is not None
        assert seen.event.user == "Bob"


def test_astrbot_reads_no_message_as_its_own_line() -> None:
    """What a stranger says behind his name, or a plugin repeats, is nothing that the bot says of itself."""
    for before, found in (
        ("[2026-11-20 23:08:05] [Core] [INFO] [core.event_bus:59]: [wx1(weixin_oc)] Eve/o9cq80: ", ["traffic"]),
        ("[2026-11-20 23:08:05] [Plug] [INFO] [echo.main:10]: ", []),
    ):
        for _, message, _ in WRITTEN["astrbot"]:
            assert kinds("astrbot", before + message) == found


@pytest.mark.parametrize("padding", ["\ufeff", "\0" * 4096, "\ufeff\0", "\0\ufeff"])
def test_family_reads_a_record_behind_padding(padding: str) -> None:
    """A byte order mark, and the hole behind which a truncated file goes on, hide no record."""
    for name, lines in WRITTEN.items():
        framing, message, kind = next(line for line in lines if line[2] is not None)
        assert (name, kinds(name, padding + framing + message)) == (name, [kind])
        text = f"{padding}{framing}{message}"
        assert choose_profile(PROFILES, chunks_of(text.encode())).scores[0][0] == name


NAMES: Final = (
    "StarterBot",
    "My Bot 2",
    "a b c d",
    "one two three four five six seven eight",
    "机器人 一号",
    "Bot:",
    "<Bot>",
    "Bot|1",
    "Bot | live",
    "My Bot #2",
    "C# #1 Bot",
    "#bot",
    "a:b c:d",
    "[PuppetPadlocal]",
)


@pytest.mark.parametrize("name", NAMES)
def test_wechaty_ts_takes_any_bot_name(name: str) -> None:
    """The bot's name may be of many words and of any characters, and what a message shows is found behind it."""
    for framing, message, kind in WRITTEN["wechaty-ts"]:
        line = framing.replace("StarterBot", name) + message
        assert kinds("wechaty-ts", line) == [kind]
    assert kinds("wechaty-ts", f"22:44:35 INFO {name} Message#Text[🗣Contact<Eve>]\thi") == ["traffic"]


@pytest.mark.parametrize(
    "line",
    [
        "22:44:35 INFO StarterBot Contact<Eve> Contact<Bob> x",
        "22:44:36 ERR StarterBot onError: Error: no room Contact<Bob> login",
        "22:44:36 ERR StarterBot onError: Contact<Bob> login",
        f"22:44:36 INFO StarterBot Eve: onScan: Waiting(2) - {WRAPPED}",
        f"22:44:36 INFO StarterBot Contact<Eve> onScan: Waiting(2) - {WRAPPED}",
        f"22:44:36 INFO Contact<Eve>: onScan: Waiting(2) - {WRAPPED}",
        f"22:44:36 INFO Message#Text[🗣Contact<Eve onScan: Waiting(2) - {WRAPPED}",
        "22:44:36 INFO  Message#Text[🗣Contact<Eve> Contact<Bob> login",
    ],
)
def test_wechaty_ts_reads_no_label_as_a_bot_name(line: str) -> None:
    """What a bot sets off by a label is not read as if the label were its name."""
    assert not {*kinds("wechaty-ts", line)} & {"scan", "login", "logout"}


PIECES: Final = st.lists(
    st.sampled_from(
        [
            "Eve",
            " ",
            "Contact<Bob> login",
            "Contact<Bob> logout",
            f"onScan: Waiting(2) - {WRAPPED}",
            "start login with type: QrLogin",
            "22:44:35 INFO StarterBot ",
            "INFO",
            "Message#Text[🗣",
            ">]\t",
            "> ",
            "]",
            "\t",
            "\r",
            "#",
            "<",
            ":",
            "|",
            "@👥Room<",
            "\x1b[0m",
            "\u2028",
            "\0",
            "\ufeff",
        ]
    ),
    max_size=5,
).map("".join)


@given(
    bot=st.sampled_from(NAMES),
    kind=st.sampled_from(["Text", "Image", "Unknown", "MiniProgram", ""]),
    talker=PIECES,
    topic=PIECES,
    text=PIECES,
    cut_at=st.integers(min_value=0, max_value=200),
)
def test_wechaty_ts_reads_a_message_as_nothing_else(
    *, bot: str, kind: str, talker: str, topic: str, text: str, cut_at: int
) -> None:
    """Whatever a stranger's name, room and text are, and wherever a newline in them ends the line, it is a message."""
    framing = f"22:44:35 INFO {bot} Message#{kind}["
    shown = f"🗣Contact<{talker}>@👥Room<{topic}>]\t{text}"
    assert {*kinds("wechaty-ts", framing + shown)} <= {"traffic"}
    assert {*kinds("wechaty-ts", f"{framing}{shown[:cut_at]}\n")} <= {"traffic"}
