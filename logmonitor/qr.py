"""What a login QR holds, out of what a log shows of it, and pictures of it made here.

A login QR is a credential: its content goes to no image service, whatever service the log's own link names.
"""

from __future__ import annotations

import hashlib
import io
import re
from itertools import zip_longest
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

from logmonitor.errors import QrError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor.records import Qr

PAYLOAD_BYTES: Final = 2953
"""The longest payload a QR code can carry, at the lowest error correction."""

_WRAPPED = re.compile(r"https?://wechaty\.(?:js\.org|github\.io)/qrcode/(.+)", re.DOTALL)
_SERVED = re.compile(r"https?://api\.qrserver\.com/v1/create-qr-code/?\?", re.DOTALL)
_PICTURED = re.compile(r"https?://login\.(?:weixin|wx\d?|wechat)\.qq\.com/qrcode/([^/?#\s]+)")
_ENCODED = re.compile(r"https?%(?:25)*3A", re.IGNORECASE)
_LAYERS: Final = 6
_PIXELS: Final = 4


def unwrap(text: str) -> str:
    """Take the payload out of links to a picture of a QR and percent-encoding; any other text is the payload itself."""
    payload = text.strip()
    for _ in range(_LAYERS):
        if (inner := _inner(payload)) is None:
            break
        payload = inner
    if pictured := _PICTURED.fullmatch(payload):
        return f"https://login.weixin.qq.com/l/{pictured.group(1)}"
    return payload


def modules_of(qr: Qr) -> tuple[bytes, ...]:
    """Return the modules of `qr`, encoding its payload if it was not drawn.

    Raises:
        QrError: the payload is longer than a QR code can carry, or there is no content but an image file.
    """
    if qr.payload is not None:
        return _encoded(qr.payload)
    if qr.modules is not None:
        return qr.modules
    raise QrError("this QR has neither payload nor modules; expected one of them")


def fingerprint(qr: Qr, image: bytes = b"") -> str:
    """Tell what a QR shows from what others show; of one that stands in a file, by the content of that, `image`."""
    content = qr.payload.encode() if qr.payload is not None else b"".join(qr.modules or (image,))
    return hashlib.sha256(content).hexdigest()[:16]


def render_png(qr: Qr, *, scale: int = 8, border: int = 4) -> bytes:
    """Draw `qr` as a PNG, `scale` pixels a module and `border` modules of quiet zone.

    Raises:
        QrError: there is nothing to draw, or it is longer than a QR code can carry.
    """
    import segno.encoder  # noqa: PLC0415  # 30 ms that who draws nothing need not pay

    modules = modules_of(qr)
    symbol = segno.encoder.Code(matrix=modules, version=None, error=None, mask=None, segments=())
    out = io.BytesIO()
    code = segno.QRCode(symbol)  # type: ignore[call-arg]  # segno's stub leaves the constructor out
    code.save(out, kind="png", scale=scale, border=border)
    return out.getvalue()


def render_terminal(qr: Qr, *, border: int = 2, dark_blocks: bool = False) -> tuple[str, ...]:
    """Draw `qr` in half-block characters, one string a row, quiet zone included.

    On a dark terminal the light modules are drawn; `dark_blocks` draws the dark ones, for black on white.

    Raises:
        QrError: there is nothing to draw, or it is longer than a QR code can carry.
    """
    modules = modules_of(qr)
    width = len(modules) + 2 * border
    quiet = [bytes(width)] * border
    grid = [*quiet, *(bytes(border) + row + bytes(border) for row in modules), *quiet]
    blank = bytes(width) if dark_blocks else bytes([1]) * width
    glyphs = " ▄▀█" if dark_blocks else "█▀▄ "
    return tuple(
        "".join(glyphs[2 * upper + lower] for upper, lower in zip(top, bottom, strict=True))
        for top, bottom in zip_longest(grid[::2], grid[1::2], fillvalue=blank)
    )


def decode(qr: Qr) -> str | None:
    """Return the payload of `qr`, read out of its modules if need be; None where that takes a decoder not installed."""
    if qr.payload is not None or qr.modules is None:
        return qr.payload
    try:
        import zxingcpp  # noqa: PLC0415  # the extra `decode`
    except ImportError:
        return None
    image = _pixels(qr.modules)
    side = (len(qr.modules) + 8) * _PIXELS
    view = memoryview(image).cast("B", (side, side))
    found = zxingcpp.read_barcodes(view, text_mode=zxingcpp.TextMode.Plain)
    return str(found[0].text) if found else None


def _inner(payload: str) -> str | None:
    """Take off one layer of wrapping; None if there is none."""
    if wrapped := _WRAPPED.fullmatch(payload):
        rest = wrapped.group(1)
        return rest if "://" in rest else unquote(rest)
    if _SERVED.match(payload):
        return next(iter(parse_qs(urlsplit(payload).query).get("data", ())), None)
    return unquote(payload) if _ENCODED.match(payload) else None


def _encoded(payload: str) -> tuple[bytes, ...]:
    """Encode `payload` as a QR symbol."""
    import segno  # noqa: PLC0415  # 30 ms that who draws nothing need not pay

    for level in ("m", "l"):
        try:
            code = segno.make(payload, error=level, micro=False)
        except segno.DataOverflowError:
            continue
        return tuple(bytes(row) for row in code.matrix)
    size = len(payload.encode())
    raise QrError(f"the content has {size} bytes; expected at most {PAYLOAD_BYTES}, the most a QR code can carry")


def _pixels(modules: Sequence[bytes]) -> bytes:
    """Paint modules as a grey image with a quiet zone of four."""
    quiet = [bytes(len(modules) + 8)] * 4
    rows = [*quiet, *(bytes(4) + row + bytes(4) for row in modules), *quiet]
    return b"".join(b"".join((b"\x00" if dark else b"\xff") * _PIXELS for dark in row) * _PIXELS for row in rows)
