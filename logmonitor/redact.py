"""Secrets out of text, in time linear in its length: login QR contents, tokens, passwords, one-time codes.

What is known by its shape goes always, what is known by its value wherever it stands. A URL's host and a key's name
stay: they tell the operator what it was. Sooner too much than too little.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import re2

if TYPE_CHECKING:
    from collections.abc import Iterable

REDACTED: Final = "[redacted]"

_SLASH = r"(?:/|%2F)"
_QR_HOST = (
    r"(?:(?:(?:login|liteapp)\.weixin|weixin|login\.wx2?|txz)\.qq\.com|wa\.me"
    rf"|wechaty\.js\.org{_SLASH}qrcode|api\.qrserver\.com{_SLASH}v1{_SLASH}create-qr-code)"
)
_KEY = r"(?:token|secret|password|passwd|api_?key|twin_?key|qrcode)"
_CODE = r"(?:\b(?:totp|otp|2fa|one-time code|verif(?:y|ication) ?code)|验证码|动态码|动态口令)"

_PATTERNS: Final = tuple(
    re2.compile(rf"(?i)(?P<before>{before}){secret}(?P<behind>{behind})")
    for before, secret, behind in (
        # The path of a login URL, whose host may stand percent-encoded within another URL.
        (rf"(?:^|[^\w.-]|%2F){_QR_HOST}(?::\d+)?(?:{_SLASH}|\?|%3F)", r"[\w.~:/?#\[\]@!$&()*+,;=%|-]+", r""),
        # WhatsApp's QR payload.
        (r"(?:^|\W)", r"2(?:@|%40)[\w+/=,%-]{20,}", r""),
        # A line of a QR drawn in block characters; the smallest QR has 21 modules.
        (r"", r"[█▀▄▌▐][█▀▄▌▐ \x{A0}\x{3000}]{19,}", r""),
        # Headers, as they are sent and as a dictionary or a pair of them is printed.
        (r"""\bauthorization["']?\s*[:=,]\s*["']?""", r"""(?:[a-z]+\s+)?[^\s"',;]+""", r""),
        (r"\bbearer\s+", r"[\w.~+/=-]{8,}", r""),
        # Keys and values: quoted, quoted within a quoted text, in angle brackets as python-wechaty does, bare.
        (rf"""{_KEY}["']?\s*[:=]\s*\"""", r"""(?:[^"\\\n]|\\.)+""", r""),
        (rf"""{_KEY}["']?\s*[:=]\s*'""", r"""(?:[^'\\\n]|\\.)+""", r""),
        (rf"""{_KEY}\\+["']\s*[:=]\s*\\+["']""", r"""[^"'\\\n]+""", r""),
        (rf"{_KEY}<", r"[^>\s]+", r""),
        # What a Wechaty gateway says of a token that it refuses.
        (r"""\bwechaty token ["']""", r"""[^\s"']+""", r""),
        (rf"{_KEY}=", r"""[^\s"'&;,<>(){}]+""", r""),
        (r"[?&]key=", r"""[^\s"'&<>]+""", r""),
        # A password in a URL, up to the `@` before its host.
        (r"://[\w.~%+-]*:", r"""[^\s/"'<>,]+""", "@"),
        # One-time codes, where a word says that they are.
        (rf"""{_CODE}["']?\s*(?:[:=：]|is|是|为)?\s*["']?""", r"\d{6}\b", r""),
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with every secret replaced by `[redacted]`.

    `secrets` are values to look for, as they are, percent-encoded and within JSON; empty ones are passed over. A lone
    surrogate comes back as its escape.
    """
    clean = _encodable(text)
    values = sorted(
        {form for secret in secrets if secret for form in _forms(_encodable(secret))}, key=len, reverse=True
    )
    if values:
        clean = re2.sub("|".join(map(re2.escape, values)), REDACTED, clean)
    for pattern in _PATTERNS:
        clean = pattern.sub(rf"\g<before>{REDACTED}\g<behind>", clean)
    return clean


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _forms(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
