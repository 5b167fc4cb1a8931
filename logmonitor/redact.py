"""Secrets out of text, in time linear in its length: login QR contents, tokens, keys, passwords, cookies, codes.

What is known by its shape goes always, what is known by its value wherever it stands. A URL's host and a key's name
stay: they tell the operator what it was. Sooner too much than too little.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import re2

from logmonitor.one_time_code import ALPHABET, CodeKind, kind_of
from logmonitor.records import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from logmonitor.records import Content

REDACTED: Final = "[redacted]"

_SLASH = r"(?:/|%2F)"
_QR_HOST = (
    r"(?:(?:(?:login|liteapp)\.weixin|weixin|login\.wx2?|txz)\.qq\.com|wa\.me"
    rf"|wechaty\.js\.org{_SLASH}qrcode|api\.qrserver\.com{_SLASH}v1{_SLASH}create-qr-code)"
)
_LOGIN_KEY = r"(?:password|passwd|passphrase|passcode|pwd)"
_NAMED_KEY = (
    r"(?:token|secret(?:[_-]?access)?(?:[_-]?key)?"
    r"|(?:api|access|private|signing|encryption|twin|auth|send|master|account)[_-]?key|qrcode)"
)
_KEY = rf"(?:{_LOGIN_KEY}|{_NAMED_KEY})"
_CODE = r"(?:\b(?:totp|otp|2fa|one-time code|verif(?:y|ication) ?code)|验证码|动态码|动态口令)"
_DIGIT = r"[0-9\x{FF10}-\x{FF19}]"
_ESCAPED_SCHEME_END = r"(?:://|%3A%2F%2F|:\\/\\/)"
_NOTIFIER = (
    r"(?:barks?|bulksms|clicksend|d7sms|dingtalk|discord|feishu|gotifys?|ifttt|join|kavenegar|lark|line|mailgun|msg91"
    r"|msteams|nexmo|ntfys?|parsep|pbul|pover|prowl|pushbullet|pushdeer|pushed|pushme|pushover|pushplus|pushy|rockets?"
    r"|schan|sendgrid|serverchan|ses|signals?|simplepush|sinch|slack|smtp2go|sns|sparkpost|spontit|tgram|twilio|vonage"
    r"|webex|wecombot|workflows?|wxpusher|wxteams|zulip)"
)

_PATTERNS: Final = tuple(
    re2.compile(rf"(?i)(?P<before>{before}){secret}(?P<behind>{behind})")
    for before, secret, behind in (
        # The path of a login URL, whose host may stand percent-encoded within another URL.
        (rf"(?:^|[^\w.-]|%2F){_QR_HOST}(?::\d+)?(?:{_SLASH}|\?|%3F)", r"[\w.~:/?#\[\]@!$&()*+,;=%|-]+", r""),
        # WhatsApp's QR payload.
        (r"(?:^|\W)", r"2(?:@|%40)[\w+/=,%-]{20,}", r""),
        # A line of a QR drawn in block characters; the smallest QR has 21 modules.
        (r"", r"[█▀▄▌▐][█▀▄▌▐ \x{A0}\x{3000}]{19,}", r""),
        # An authenticator's secret, as its QR holds it.
        (rf"\botpauth(?:-migration)?{_ESCAPED_SCHEME_END}", r"""[^\s"'<>]+""", r""),
        # URLs of notification services, whose keys stand anywhere behind the scheme.
        (rf"\b{_NOTIFIER}://", r"""[^\s"'<>]+""", r""),
        (r"\bhooks\.slack\.com/(?:services|workflows)/", r"""[^\s"'<>]+""", r""),
        (r"\bdiscord(?:app)?\.com/api/webhooks/\d+/", r"[\w-]+", r""),
        (r"\b(?:sctapi|sc)\.ftqq\.com/", r"""[^\s"'<>?]+""", r""),
        # Headers, as they are sent and as a dictionary or a pair of them is printed.
        (
            r"""\b(?:proxy-)?authorization\\*["']?\s*[:=,]\s*\\*["']?""",
            r"""(?:[a-z]+\s+)?[^\s"',;\\]+""",
            r"",
        ),
        (r"\bbearer\s+", r"[\w.~+/=-]{8,}", r""),
        (r"""\b(?:set-)?cookie\\*(?:["']\s*[:=,]|\s*[:=])\s*\\*["']?""", r"""[^\s"'\\][^\r\n"'\\]*""", r""),
        # Keys and values: quoted, quoted within a quoted text, in angle brackets as python-wechaty does, bare.
        (rf"""{_KEY}["']?\s*[:=]\s*\"""", r"""(?:[^"\\\n]|\\.)+""", r""),
        (rf"""{_KEY}["']?\s*[:=]\s*'""", r"""(?:[^'\\\n]|\\.)+""", r""),
        (rf"""{_KEY}\\+["']\s*[:=]\s*\\+["']""", r"""[^"'\\\n]+""", r""),
        (rf"{_KEY}<", r"[^>\s]+", r""),
        # What a Wechaty gateway says of a token that it refuses.
        (r"""\bwechaty token ["']""", r"""[^\s"']+""", r""),
        (rf"{_KEY}[ \t]*=[ \t]*", r"""[^\s"'&;,<>(){}=][^\s"'&;,<>(){}]*""", r""),
        (r"[?&](?:key|sig|signature)=", r"""[^\s"'&<>]+""", r""),
        # As people write it: `password: xyz`, `密码：xyz`.
        (rf"{_LOGIN_KEY}(?:\s+is)?[ \t]*[:：][ \t]*", r"""[^\s"'<>，。；、]+""", r""),
        (r"(?:密码|口令|密钥|令牌)(?:是|为)?[ \t]*[:：=]?[ \t]*", r"""[!#-&(-;=?-~]{3,}""", r""),
        # Options of a command line.
        (rf"--[\w-]*{_KEY}[ \t]+", r"""[^\s"'-][^\s"']*""", r""),
        (r"\bcurl\b[^\n|;&]*[ \t](?:-u|--user)[ \t]+[^\s:]+:", r"""[^\s"']+""", r""),
        # A password in a URL, up to the `@` before its host.
        (r"://[\w.~%+-]*:", r"""[^\s/"'<>,]+""", "@"),
        # Keys and tokens that tell by their form who issued them.
        (
            r"(?:^|[^\w-])",
            (
                r"(?-i:"
                r"(?:AKIA|ASIA)[A-Z0-9]{16}|LTAI[A-Za-z0-9]{12,}|AKID[A-Za-z0-9]{24,}|AIza[\w-]{35}"
                r"|gh[opsur]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|gl(?:pat|dt|rt)-[\w-]{16,}"
                r"|xox[a-z]-[\w-]{10,}|xapp-\d-[\w-]{10,}"
                r"|sk-(?:[a-z0-9]+-){0,3}\w{20,}[\w-]*|[rs]k_(?:live|test)_\w{16,}|hf_\w{30,}"
                r"|SG\.[\w-]{16,}\.[\w-]{16,}|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)*"
                r"|\d{8,10}:[A-Za-z0-9_-]{35}|AGE-SECRET-KEY-1[0-9A-Z]{20,}|SEC[0-9a-f]{64}"
                r"|SC[TU]\d+T[A-Za-z0-9]{8,}|sctp\d+t[a-z0-9]{8,}"
                r")"
            ),
            r"",
        ),
        # One-time codes, where a word says that they are.
        (
            rf"""{_CODE}["']?\s*(?:[:=：]|is|是|为)?\s*["']?""",
            rf"(?:{_DIGIT}{{3}}[ -]?{_DIGIT}{{3}}|{_DIGIT}{{4}}[ -]?{_DIGIT}{{4}})",
            r"(?:$|[^0-9A-Za-z_\x{FF10}-\x{FF19}])",
        ),
    )
)
_LONG_VALUE: Final = re2.compile(rf"(?i)(?P<before>{_NAMED_KEY}[ \t]*[:：][ \t]*)(?P<secret>[\w.~+/=-]{{12,}})")
_BASIC: Final = re2.compile(r"(?i)(?P<before>\bbasic\s+)(?P<secret>[A-Za-z0-9+/]{6,}={0,2})")
_RECOVERY: Final = re2.compile(
    rf"(?P<before>^|[^\w-])(?P<secret>[{ALPHABET}]{{5}}-[{ALPHABET}]{{5}})(?P<behind>$|[^\w-])"
)
_PEM_MARK: Final = re2.compile(r"-{4,5} ?(?P<mark>BEGIN|END) [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)? ?-{4,5}")
_PEM_LINE: Final = r"""(?:[A-Za-z0-9+/=]{16,}|[\s"'+,]|\\+[nrt]|\\+["'])"""
_PEM_HEAD: Final = re2.compile(
    rf"""(?:\s*(?:Proc-Type|DEK-Info|Comment|Version):[^\n]*\n)*{_PEM_LINE}*(?:[A-Za-z0-9+/=]{{1,15}}(?:$|[\r\n"']))?"""
)
_PEM_TAIL: Final = re2.compile(rf"[A-Za-z0-9+/=]{{16,}}{_PEM_LINE}*[A-Za-z0-9+/=]*(?:[\s\"'+,]|\\+[nrt])*$")
_LONGEST_KEY: Final = 20_000
_PIECE_CHARACTERS: Final = 1 << 17
_REACH_CHARACTERS: Final = 1 << 11
_ATTEMPTS: Final = 8
_TEXT_TYPES: Final = re2.compile(
    r"(?i)text/.*|application/(?:.*\+)?(?:json|xml|yaml|x-yaml|toml|x-ndjson|jsonl)(?:;.*)?"
)
_NOT_UTF_8: Final = re.compile("[\udc80-\udcff]+")
_PRIVATE: Final = re.compile("[\U0010f080-\U0010f0ff]+")
_TO_PRIVATE: Final = dict(zip(range(0xDC80, 0xDD00), range(0x10F080, 0x10F100), strict=True))
_FROM_PRIVATE: Final = {private: byte for byte, private in _TO_PRIVATE.items()}


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` with every secret replaced by `[redacted]`.

    `secrets` are values to look for, as they are, percent-encoded and within JSON; empty ones are passed over. A lone
    surrogate comes back as its escape.
    """
    clean = _without_private_keys(_without_values(_encodable(text), secrets))
    return "".join(map(_without_shapes, _pieces(clean)))


def redact_content(content: Content, secrets: Iterable[str] = ()) -> Content:
    """Return what is to be sent without its secrets: text, captions, titles, the names of files, files of text.

    An image and what a login QR shows stay: a QR is sent so that it is scanned. A link's address loses known values
    only, as any other change would break it.
    """
    secrets = tuple(secrets)
    if isinstance(content, str):
        return redact(content, secrets)
    if isinstance(content, Link):
        return Link(
            title=redact(content.title, secrets),
            url=_without_values(_encodable(content.url), secrets),
            description=redact(content.description, secrets),
        )
    return replace(
        content,
        filename=redact(content.filename, secrets),
        caption=redact(content.caption, secrets),
        data=_redact_bytes(content.data, secrets) if is_text(content.content_type) else content.data,
    )


def is_text(content_type: str) -> bool:
    """Tell whether files of a type are text, which is redacted."""
    return _TEXT_TYPES.fullmatch(content_type) is not None


def _redact_bytes(data: bytes, secrets: tuple[str, ...]) -> bytes:
    """Redact a file of text; bytes that are not UTF-8 stay as they are, but in a secret.

    They are characters for private use while it is looked at, in whose place there is U+FFFD if the file had any.
    """
    text = data.decode("utf-8", "surrogateescape")
    if not _NOT_UTF_8.search(text):
        return redact(text, secrets).encode()
    text = _PRIVATE.sub(lambda match: "\ufffd" * len(match[0]), text)
    clean = redact(_NOT_UTF_8.sub(lambda match: match[0].translate(_TO_PRIVATE), text), secrets)
    return _PRIVATE.sub(lambda match: match[0].translate(_FROM_PRIVATE), clean).encode("utf-8", "surrogateescape")


def _without_values(text: str, secrets: Iterable[str]) -> str:
    values = sorted(
        {form for secret in secrets if secret for form in _forms(_encodable(secret))}, key=len, reverse=True
    )
    return str(re2.sub("|".join(map(re2.escape, values)), REDACTED, text)) if values else text


def _without_private_keys(text: str) -> str:
    """Take out what stands between the marks of private keys; of one that is cut off, what looks like its lines."""
    marks = [(mark["mark"] == "BEGIN", mark.start(), mark.end()) for mark in _PEM_MARK.finditer(text)]
    kept: list[str] = []
    at = 0
    for (is_begin, start, end), (is_next_begin, next_start, _) in pairwise((*marks, (True, len(text), len(text)))):
        if not is_begin:
            tail = _PEM_TAIL.search(text[at:start][-_LONGEST_KEY:])
            kept += (text[at : start - len(tail[0])], REDACTED) if tail else (text[at:start],)
            kept.append(text[start:end])
            at = end
            continue
        kept.append(text[at:end])
        if is_next_begin or next_start - end > _LONGEST_KEY:
            head = _PEM_HEAD.match(text[end:next_start][:_LONGEST_KEY])
            at = end + len(head[0])
        else:
            at = next_start
        kept.append(REDACTED if at > end else "")
    return "".join((*kept, text[at:]))


def _without_shapes(text: str) -> str:
    """Take out what is known by its shape."""
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<before>{REDACTED}\g<behind>", text)
    text = _replace(_LONG_VALUE, text, _has_digit)
    text = _replace(_BASIC, text, _is_basic)
    return _replace(_RECOVERY, text, lambda code: kind_of(code) is CodeKind.RECOVERY)


def _pieces(text: str) -> Iterator[str]:
    """Divide a long text between lines that no secret joins: while a pattern is looked for, other threads wait."""
    start = end = 0
    while len(text) - end > _PIECE_CHARACTERS:
        end += _PIECE_CHARACTERS
        for _attempt in range(_ATTEMPTS):
            end = text.find("\n", end) + 1 or len(text)
            before, behind = text[max(start, end - _REACH_CHARACTERS) : end], text[end : end + _REACH_CHARACTERS]
            if _without_shapes(before + behind) == _without_shapes(before) + _without_shapes(behind):
                yield text[start:end]
                start = end
                break
    yield text[start:]


def _replace(pattern: re2._Regexp[str], text: str, is_secret: Callable[[str], bool]) -> str:
    """Replace what a pattern's `secret` finds where it is one."""
    return str(
        pattern.sub(
            lambda match: match[0].replace(match["secret"], REDACTED, 1) if is_secret(match["secret"]) else match[0],
            text,
        )
    )


def _has_digit(word: str) -> bool:
    """Tell a value from a word of prose."""
    return any(map(str.isdigit, word))


def _is_basic(word: str) -> bool:
    """Tell whether a word is a user's name and password as a header carries them, and not just a word."""
    bare = word.rstrip("=")
    try:
        return b":" in base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return False


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _forms(secret: str) -> tuple[str, ...]:
    return secret, quote(secret, safe=""), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
