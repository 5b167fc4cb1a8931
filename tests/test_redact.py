"""Secrets out of text: nothing known to be one is left, and nothing else is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.redact import redact

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
        "━━━━━━━━ ████████ 50%",
        "",
    ],
)
def test_redact_leaves_what_is_no_secret(text: str) -> None:
    """A text that holds nothing secret comes back as it is."""
    assert redact(text) == text


@pytest.mark.parametrize("path", sorted(_DATA.iterdir()), ids=lambda path: path.name)
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
