"""Secrets out of text: nothing known to be one is left, and nothing else is touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logmonitor.records import Attachment, Link, Qr
from logmonitor.redact import redact, redact_content

_BEGIN = "-----BEGIN RSA PRIVATE KEY-----"
_END = "-----END RSA PRIVATE KEY-----"
_LINE = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
_DATA = Path(__file__).parent / "data"
_WHATSAPP = "2@kXbCTXZy0aBcdEfGh+/i=,AbCdEfGhIjKlMnOp=,QrStUvWxYz012345=,6789+abc="


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("onScan: Waiting(2) - https://login.weixin.qq.com/l/Abc==", "https://login.weixin.qq.com/[redacted]"),
        ("请扫码https://login.weixin.qq.com/l/Abc==，谢谢", "请扫码https://login.weixin.qq.com/[redacted]，谢谢"),
        (
            "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc%3D%3D",
            "https://wechaty.js.org/qrcode/[redacted]",
        ),
        ("https://wechaty.js.org/qrcode/https://login.weixin.qq.com/l/Abc==", "wechaty.js.org/qrcode/[redacted]"),
        (
            "see=https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc end",
            "see=https%3A%2F%2Flogin.weixin.qq.com%2F[redacted] end",
        ),
        (
            "https://api.qrserver.com/v1/create-qr-code/?size=300x300&data=https%3A%2F%2Fx 请使用",
            "https://api.qrserver.com/v1/create-qr-code/[redacted] 请使用",
        ),
        ("https://liteapp.weixin.qq.com/q/7Gi?qrcode=a1&bot_type=3", "https://liteapp.weixin.qq.com/[redacted]"),
        ("二维码解码URL: https://txz.qq.com/p?k=abc&f=16", "二维码解码URL: https://txz.qq.com/[redacted]"),
        ("http://weixin.qq.com/x/Abc", "http://weixin.qq.com/[redacted]"),
        (f"https://wa.me/settings/linked_devices#{_WHATSAPP}", "https://wa.me/[redacted]"),
        ("LOGIN.WEIXIN.QQ.COM:443/l/Abc", "LOGIN.WEIXIN.QQ.COM:443/[redacted]"),
        (f"QR RECEIVED {_WHATSAPP}", "QR RECEIVED [redacted]"),
        (f'{{"qr":"{_WHATSAPP}","msg":"x"}}', '{"qr":"[redacted]","msg":"x"}'),
        ("▄▄▄▄▄▄▄ ▄ ▄▄▄ ▄▄▄▄▄▄▄", "[redacted]"),
        ("Authorization: Bearer abc.def\nnext", "Authorization: [redacted]\nnext"),
        ("{'authorization': 'Wechaty tok-1', 'a': 1}", "{'authorization': '[redacted]', 'a': 1}"),
        ("('authorization', 'Wechaty tok-1')", "('authorization', '[redacted]')"),
        ("curl -H bearer abcdefgh01", "bearer [redacted]"),
        ('{"bot_token":"ab\\"c","x":1}', '{"bot_token":"[redacted]","x":1}'),
        ('{"botToken": "abc"}', '{"botToken": "[redacted]"}'),
        ("{ token: 'abc', secret: 'd' }", "{ token: '[redacted]', secret: '[redacted]' }"),
        ('"{\\"context_token\\":\\"abc\\",\\"x\\":1}"', '"{\\"context_token\\":\\"[redacted]\\",\\"x\\":1}"'),
        ("GET /send?access_token=abc&to=me", "GET /send?access_token=[redacted]&to=me"),
        ("endpoint<127.0.0.1:18788> and token<abc>, used", "endpoint<127.0.0.1:18788> and token<[redacted]>, used"),
        ('Invalid Wechaty TOKEN "abc-1"', 'Invalid Wechaty TOKEN "[redacted]"'),
        ('twin_key = "AbC-_0"', 'twin_key = "[redacted]"'),
        ("export TWIN_KEY=AbC-_0 and", "export TWIN_KEY=[redacted] and"),
        ("new QR code obtained qrcode=a1b2c3(len=6)", "qrcode=[redacted](len=6)"),
        ("https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=693a-91f4", "webhook/send?key=[redacted]"),
        ("proxy http://me:p@ss@proxy.example:8080/", "proxy http://me:[redacted]@proxy.example:8080/"),
        ("totp 123456", "totp [redacted]"),
        ("验证码：123456，", "验证码：[redacted]，"),
        ("your one-time code is 123456.", "your one-time code is [redacted]."),
        ("动态码 １２３ ４５６。", "动态码 [redacted]。"),
        ("otp: 12345678", "otp: [redacted]"),
        ("use ABCD2-EFGH3, once", "use [redacted], once"),
        ("otpauth://totp/x:y?secret=ABC&issuer=x end", "otpauth://[redacted] end"),
        ("qr=otpauth%3A%2F%2Ftotp%2Fx%3Fsecret%3DABC", "qr=otpauth%3A%2F%2F[redacted]"),
        ('"otpauth:\\/\\/totp\\/x"', '"otpauth:\\/\\/[redacted]"'),
        ("Cookie: sid=abc; lang=en\r\nHost: x", "Cookie: [redacted]\r\nHost: x"),
        ("{'Set-Cookie': 'sid=abc; Path=/', 'x': 1}", "{'Set-Cookie': '[redacted]', 'x': 1}"),
        ('"{\\"cookie\\":\\"sid=1\\"}"', '"{\\"cookie\\":\\"[redacted]\\"}"'),
        ("Proxy-Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: [redacted]"),
        ("sent Basic dXNlcjpwYXNz== as header", "sent Basic [redacted] as header"),
        ("sent basic dXNlcjpwYXNz as header", "sent basic [redacted] as header"),
        ("password: xyz", "password: [redacted]"),
        ("the password is: xyz!", "the password is: [redacted]"),
        ("密码：xyz，好", "密码：[redacted]，好"),
        ("密码是 abc123", "密码是 [redacted]"),
        ("client_secret: abcdefgh1234", "client_secret: [redacted]"),
        ("secret = xyz", "secret = [redacted]"),
        ("mysql --password hunter2 -h db", "mysql --password [redacted] -h db"),
        ("curl -s -u me:hunter2 https://x", "curl -s -u me:[redacted] https://x"),
        ("id AKIAIOSFODNN7EXAMPLE end", "id [redacted] end"),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key = [redacted]"),
        ('"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG"', '"SecretAccessKey": "[redacted]"'),
        ("push with ghp_" + "a1" * 18, "push with [redacted]"),
        ("github_pat_" + "a1_" * 10 + ".", "[redacted]."),
        ("xoxb-1234567890-abcdef", "[redacted]"),
        ("key sk-proj-" + "a1" * 12, "key [redacted]"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_x b", "a [redacted] b"),
        ("bot123 1234567890:" + "aB-_1" * 7, "bot123 [redacted]"),
        ("sent by SCT123456TabcDEF123456", "sent by [redacted]"),
        ("https://sctapi.ftqq.com/SCTxxx.send?title=a", "https://sctapi.ftqq.com/[redacted]?title=a"),
        ("https://hooks.slack.com/services/T0/B0/x", "https://hooks.slack.com/services/[redacted]"),
        ("schan://SCT1", "schan://[redacted]"),
        ("tgram://123:abc/456 mailtos://me:pw@example.com", "tgram://[redacted] mailtos://me:[redacted]@example.com"),
    ],
)
def test_redact_takes_out_what_is_known_by_its_shape(text: str, redacted: str) -> None:
    """QR contents, tokens, headers, passwords and one-time codes go; what tells their kind stays."""
    assert redact(text).endswith(redacted)


@pytest.mark.parametrize(
    "text",
    [
        "22:44:35 INFO StarterBot onScan: Scanned(3)",
        "getUpdates: token for 44b9b8ec-im-bot is stale, pausing all requests for 60 min",
        "max_tokens=500, errcode=450090, code 123456",
        "https://mp.weixin.qq.com/s/article and https://example.com:8080/a@b",
        "https://weixin.qq.com/",
        '{"baseUrl":"https://ilinkai.weixin.qq.com","userId":"o9cq@im.wechat"}',
        "mail bob2@example.com, 2@home, 1234567 otp",
        "totp 1234567",
        "invalid token: unexpected; token: identifier-expected; password is wrong; 密码是什么",
        "the cookie, which has cookies: basic authentication, basic abcdefghi",
        "disk-usage-of-something-long-enough-here task-12345678901234567890",
        "secret == other, docker -u 1000:1000, hello-world ABCDE-FGHJK ABCD2-EFGH3-JKLM4",
        "newfetchQRCode: local_token_list count=0",
        "https://github.com/owner/repository/commit/0123456789abcdef0123456789abcdef01234567",
        "━━━━━━━━ ████████ 50%",
        "",
    ],
)
def test_redact_leaves_what_is_no_secret(text: str) -> None:
    """A text that holds nothing secret comes back as it is."""
    assert redact(text) == text


@pytest.mark.parametrize("path", sorted(filter(Path.is_file, _DATA.iterdir())), ids=lambda path: path.name)
def test_redact_leaves_no_qr_in_a_real_bots_log(path: Path) -> None:
    """No login URL, payload, token or drawing of the logs that real bots wrote is left."""
    redacted = redact(path.read_text("utf-8"))
    for secret in (
        "abc==",
        "def==",
        "Abc123",
        "Def456",
        "7GiQu1",
        "a1b2c3",
        "d4e5f6",
        "060000b7",
        "insecure_test",
        "▄▄▄▄▄▄▄",
    ):
        assert secret not in redacted


@pytest.mark.parametrize("secret", ["s3cr3t", "p@ss w0rd", 'a"b\\c', "密码", "a.b*c", "red"])
def test_redact_takes_out_what_is_known_by_its_value(secret: str) -> None:
    """A known secret goes as it is, percent-encoded and within JSON, and what replaces it is not searched again."""
    text = f"before {secret} between {json.dumps({'x': secret})} after"
    assert redact(text, [secret]) == 'before [redacted] between {"x": "[redacted]"} after'


def test_redact_finds_a_secret_in_a_url() -> None:
    """A known secret is found in its percent-encoded form."""
    assert redact("https://example.com/p%40ss%2Fw/x", ["p@ss/w"]) == "https://example.com/[redacted]/x"


def test_redact_prefers_the_longer_of_two_secrets() -> None:
    """Of a secret that begins with another one nothing is left."""
    assert redact("abcdef abc", ["abc", "abcdef"]) == "[redacted] [redacted]"


def test_redact_passes_over_an_empty_secret() -> None:
    """A secret that is not set does not take the text apart."""
    assert redact("text", ["", ""]) == "text"


def test_redact_bears_text_that_is_no_unicode() -> None:
    """A lone surrogate, as from a file name, is shown by its escape and stops nothing."""
    assert redact("a\udc80 token=b") == "a\\udc80 token=[redacted]"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (f"a\n{_BEGIN}\n{_LINE}\n{_LINE}\nabc=\n{_END}\nb", f"a\n{_BEGIN}[redacted]{_END}\nb"),
        (f'{{"k":"{_BEGIN}\\n{_LINE}\\n{_END}\\n"}}', f'{{"k":"{_BEGIN}[redacted]{_END}\\n"}}'),
        (f"{_BEGIN}{_LINE}{_END} {_BEGIN}{_LINE}{_END}", f"{_BEGIN}[redacted]{_END} {_BEGIN}[redacted]{_END}"),
        (f"{_BEGIN}\n{_LINE}\n22:44:35 INFO next", f"{_BEGIN}[redacted]22:44:35 INFO next"),
        (f"{_BEGIN}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,A\n\n{_LINE}\nabc", f"{_BEGIN}[redacted]"),
        (f"before it\n{_LINE}\nabc=\n{_END} b", f"before it\n[redacted]{_END} b"),
        (f"{_BEGIN}\n{_LINE}\n{_BEGIN}\n{_LINE}\n{_END}", f"{_BEGIN}[redacted]{_BEGIN}[redacted]{_END}"),
        (f"{_BEGIN}: nothing here", f"{_BEGIN}: nothing here"),
        (f"{_END} alone", f"{_END} alone"),
        (f"{_BEGIN}: one,{' and another' * 2000}\n{_END}", f"{_BEGIN}: one,{' and another' * 2000}\n{_END}"),
        ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nx\n---- END SSH2 ENCRYPTED PRIVATE KEY ----", None),
        ("-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----", ""),
    ],
)
def test_redact_takes_out_private_keys(text: str, redacted: str | None) -> None:
    """A private key goes between its marks, on lines of its own or within JSON, also where one mark is cut off."""
    if redacted is None:
        redacted = text.replace("\nx\n", "[redacted]")
    assert redact(text) == (redacted or text)


def test_redact_leaves_no_line_of_a_key_cut_anywhere() -> None:
    """Wherever a log's slice begins or ends within a key, no whole line of it is left while one mark is there."""
    key = "\n".join([_BEGIN, *[_LINE] * 5, "abcd", _END])
    for at in range(len(key)):
        for part in (key[:at], key[at:]):
            if _BEGIN in part or _END in part:
                assert _LINE not in redact(f"log\n{part}\nmore log: x")


def test_redact_takes_time_in_proportion() -> None:
    """A text made of beginnings that never end is done with, as is one made of ends."""
    for unit in (_BEGIN, _END, f"{_BEGIN}{_LINE}\n", "password: ", "curl -u a:", 'cookie="', "eyJaaaaaaaaa."):
        assert redact(unit * 5000)


def test_redact_content_leaves_no_secret_in_anything_read() -> None:
    """Text, captions, names of files, titles and descriptions lose what `redact` knows and the values given."""
    image = Attachment(filename="hush.png", content_type="image/png", data=b"hush token=x", caption="token=x hush")
    assert redact_content("token=x hush", ["hush"]) == "token=[redacted] [redacted]"
    assert redact_content(image, ["hush"]) == Attachment(
        filename="[redacted].png", content_type="image/png", data=b"hush token=x", caption="token=[redacted] [redacted]"
    )
    link = Link(title="token=x", url="https://example.com/?token=x&y=hush", description="hush")
    assert redact_content(link, ["hush"]) == Link(
        title="token=[redacted]", url="https://example.com/?token=x&y=[redacted]", description="[redacted]"
    )


@pytest.mark.parametrize(
    ("content_type", "is_text"),
    [
        ("text/plain", True),
        ("text/plain; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/x-ndjson", True),
        ("application/problem+json; charset=utf-8", True),
        ("application/octet-stream", False),
        ("application/gzip", False),
        ("image/png", False),
    ],
)
def test_redact_content_reads_files_of_text(content_type: str, *, is_text: bool) -> None:
    """A file of text loses its secrets, and of bytes that are not UTF-8 none changes; other files stay."""
    data = "密码：".encode() + b"xyz \xff\xfe token=x \x80hush"
    expected = "密码：".encode() + b"[redacted] \xff\xfe token=[redacted] \x80[redacted]" if is_text else data
    content = redact_content(Attachment(filename="f", content_type=content_type, data=data), ["hush"])
    assert content == Attachment(filename="f", content_type=content_type, data=expected)


@given(
    pieces=st.lists(
        st.sampled_from([b"\xff", b"\x80", b"\xe7\x8e", "王\U0010f0ff\ufffd".encode(), b" ", b"a", b"\0", b"\n"])
        | st.binary(max_size=4)
    )
)
def test_redact_content_changes_no_other_byte_of_a_file(pieces: list[bytes]) -> None:
    """What is no UTF-8 comes back as it was, only a character that stands for such a byte within is lost beside it."""
    data = b"".join(pieces)
    content = redact_content(Attachment(filename="f", content_type="text/plain", data=data + b" token=hush"))
    assert isinstance(content, Attachment)
    expected = data.decode("utf-8", "surrogateescape")
    if not data.isascii() and re.search("[\udc80-\udcff]", expected):
        expected = re.sub("[\U0010f080-\U0010f0ff]", "\ufffd", expected)
    assert content.data == expected.encode("utf-8", "surrogateescape") + b" token=[redacted]"


@given(
    lines=st.lists(
        st.sampled_from(
            [
                "12:00:00 INFO all is well",
                "password:",
                '"token":',
                '  "topsecret"',
                "Authorization: Bearer",
                "abcdefgh12345678",
                "\r",
                "",
                "https://login.weixin.qq.com/l/Abc123==",
                f"{_BEGIN}\n{_LINE}\n{_END}",
            ]
        ),
        max_size=20,
    ),
    size=st.integers(1, 80),
)
@example(lines=['abcdefgh" cookie:'] * 40, size=1)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_redact_divides_a_long_text_where_no_secret_is(
    lines: list[str], size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces of any size the same is taken out of a text as in one, also where a secret stands in the next line."""
    text = "\n".join(lines)
    monkeypatch.setattr("logmonitor.redact._PIECE_CHARACTERS", 1 << 20)
    whole = redact(text)
    monkeypatch.setattr("logmonitor.redact._PIECE_CHARACTERS", size)
    monkeypatch.setattr("logmonitor.redact._REACH_CHARACTERS", 300)
    assert redact(text) == whole


def test_redact_content_takes_out_a_secret_with_a_byte_that_is_no_text() -> None:
    """A secret does not end where a log was garbled."""
    content = redact_content(Attachment(filename="f", content_type="text/plain", data=b"token=ab\xffcd next"))
    assert content == Attachment(filename="f", content_type="text/plain", data=b"token=[redacted] next")


def test_redact_content_leaves_a_login_qr_to_be_scanned() -> None:
    """What an image shows is the purpose of sending it."""
    qr = Qr(payload="https://login.weixin.qq.com/l/abc==")
    image = Attachment(filename="bob-qr.png", content_type="image/png", data=b"x", caption="bob needs a scan", qr=qr)
    assert redact_content(image) == image


@given(
    before=st.text(max_size=20),
    secret=st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=12).filter(
        lambda s: s not in "[redacted]"
    ),
    behind=st.text(max_size=20),
)
def test_redact_leaves_nothing_of_a_known_secret(before: str, secret: str, behind: str) -> None:
    """Wherever a known secret stands, it is not in what comes back, but where `[redacted]` itself spells it."""
    assert secret not in redact(before + secret + behind, [secret]).replace("[redacted]", " ")
