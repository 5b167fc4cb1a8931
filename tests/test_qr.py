"""What a QR holds, what is read out of drawings, and that every picture made here scans."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from logmonitor.errors import QrError
from logmonitor.qr import PAYLOAD_BYTES, decode, modules_of, render_png, render_terminal, unwrap
from logmonitor.reading.drawing import is_row, read_drawing
from logmonitor.records import Qr

if TYPE_CHECKING:
    from collections.abc import Sequence

DATA = Path(__file__).parent / "data"
URL = "https://login.weixin.qq.com/l/Abc123=="
PAYLOADS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=300)


def read_png(png: bytes) -> str:
    """Scan a PNG as a phone would."""
    (barcode,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(png)))
    return str(barcode.text)


def drawings(name: str) -> list[str | None]:
    """Decode every run of drawing rows in a sample."""
    runs: list[list[str]] = [[]]
    for line in (DATA / name).read_text().split("\n"):
        if is_row(line):
            runs[-1].append(line)
        elif runs[-1]:
            runs.append([])
    return [decode(Qr(modules=read_drawing(run))) for run in runs if run]


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        (URL, URL),
        (f" {URL}\r", URL),
        ("2@AbC/dEf==,gHi,jKl=", "2@AbC/dEf==,gHi,jKl="),
        ("https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D", URL),
        ("https://wechaty.js.org/qrcode/https://login.weixin.qq.com/l/abc==", "https://login.weixin.qq.com/l/abc=="),
        ("https://wechaty.js.org/qrcode/https://liteapp.weixin.qq.com/q/7?a=%3D", "https://liteapp.weixin.qq.com/q/7?a=%3D"),
        ("https://wechaty.js.org/qrcode/2%40a%2Cb", "2@a,b"),
        ("https://wechaty.js.org/qrcode/", "https://wechaty.js.org/qrcode/"),
        (f"https://api.qrserver.com/v1/create-qr-code/?size=300x300&data={quote(URL, safe='')}", URL),
        ("https://api.qrserver.com/v1/create-qr-code/?size=300x300", "https://api.qrserver.com/v1/create-qr-code/?size=300x300"),
        ("https://login.weixin.qq.com/qrcode/gZx-Y_1==", "https://login.weixin.qq.com/l/gZx-Y_1=="),
        ("https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fqrcode%2Fab%3D", "https://login.weixin.qq.com/l/ab="),
        ("https://wechaty.js.or", "https://wechaty.js.or"),
        ("https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D", URL),
        ("HTTPS%3a%2f%2flogin.weixin.qq.com%2Fl%2FA", "HTTPS://login.weixin.qq.com/l/A"),
        (quote(quote(URL, safe=""), safe=""), URL),
        ("https://wechaty.js.org/qrcode/https%253A%252F%252Flogin.weixin.qq.com%252Fl%252FAbc123%253D%253D", URL),
        (quote("https://wechaty.js.org/qrcode/" + quote(URL, safe=""), safe=""), URL),
        ("https://login.weixin.qq.com/l/A%3D%3D", "https://login.weixin.qq.com/l/A%3D%3D"),
    ],
)  # fmt: skip
def test_unwrap_takes_the_payload_out_of_every_wrapping(text: str, payload: str) -> None:
    """A payload comes out of the links that show its picture, and is itself otherwise."""
    assert unwrap(text) == payload


@given(st.text(max_size=200))
def test_unwrap_undoes_wrapping(text: str) -> None:
    """What is wrapped by percent-encoding comes out as it was, but for blanks around it."""
    expected = unwrap(text)
    if "://" not in text and text.strip():
        assert unwrap("https://wechaty.js.org/qrcode/" + quote(text.strip(), safe="")) == expected


def test_unwrap_stops_at_encoding_without_end() -> None:
    """A hostile text that is encoded over and over is taken apart a few times only."""
    assert unwrap("https%" + "25" * 1000 + "3A") == "https%" + "25" * 994 + "3A"


@settings(max_examples=20, deadline=None)
@given(PAYLOADS)
def test_render_png_scans_as_its_payload(payload: str) -> None:
    """A rendered payload scans as itself."""
    assert read_png(render_png(Qr(payload=payload), scale=3)) == payload


def test_render_png_of_modules_is_the_picture_of_their_payload() -> None:
    """A drawn QR becomes the same PNG as the payload it was drawn from."""
    modules = modules_of(Qr(payload=URL))
    assert render_png(Qr(modules=modules)) == render_png(Qr(payload=URL))


def test_render_png_has_scale_and_border() -> None:
    """The image is as many pixels wide as its modules, its quiet zone and the scale make it."""
    image = Image.open(io.BytesIO(render_png(Qr(payload=URL), scale=5, border=2)))
    assert image.size == ((29 + 4) * 5, (29 + 4) * 5)


def test_modules_of_a_long_payload_lower_the_error_correction() -> None:
    """The longest payload a QR code can carry is drawn."""
    modules = modules_of(Qr(payload="x" * PAYLOAD_BYTES))
    assert len(modules) == 177


def test_modules_of_a_too_long_payload_are_refused_without_its_content() -> None:
    """A payload no QR code can carry is refused by its size, and its content stays out of the message."""
    with pytest.raises(QrError, match="has 2954 bytes; expected at most 2953") as caught:
        render_png(Qr(payload="x" * (PAYLOAD_BYTES + 1)))
    assert "xx" not in str(caught.value)


def test_modules_of_an_image_file_are_refused() -> None:
    """A QR known by its file alone has no modules."""
    with pytest.raises(QrError, match="neither payload nor modules"):
        modules_of(Qr(image_path=Path("QR.png")))


@settings(max_examples=30)
@given(PAYLOADS, st.integers(0, 5), st.booleans(), st.integers(0, 9))
def test_read_drawing_undoes_render_terminal(payload: str, border: int, dark_blocks: bool, indent: int) -> None:  # noqa: FBT001  # drawn by hypothesis
    """A half-block drawing of either polarity, with any quiet zone and indent, reads back as its modules."""
    qr = Qr(payload=payload)
    rows = [" " * indent + row for row in render_terminal(qr, border=border, dark_blocks=dark_blocks)]
    assert read_drawing(rows) == modules_of(qr)


def full_block(modules: Sequence[bytes], *, dark: str, light: str, border: int) -> list[str]:
    """Draw modules two characters wide."""
    quiet = [bytes(len(modules) + 2 * border)] * border
    grid = [*quiet, *(bytes(border) + row + bytes(border) for row in modules), *quiet]
    return ["".join(dark if module else light for module in row) for row in grid]


@pytest.mark.parametrize(
    ("dark", "light"),
    [
        ("██", "  "),
        ("  ", "██"),
        ("\x1b[40m  \x1b[0m", "\x1b[47m  \x1b[0m"),
        ("\x1b[7m  \x1b[0m", "\x1b[0m  "),
        ("\x1b[48;5;0m  \x1b[0m", "\x1b[48;5;7m  \x1b[0m"),
        ("\x1b[48;5;16m  \x1b[m", "\x1b[48;5;231m  \x1b[m"),
        ("\x1b[48;5;232m  \x1b[m", "\x1b[48;5;255m  \x1b[m"),
        ("\x1b[48;2;0;0;0m  \x1b[49m", "\x1b[48;2;255;255;255m  \x1b[49m"),
        ("\x1b[30m██\x1b[39m", "\x1b[38;5;15m██\x1b[39m"),
        ("\x1b[38m██\x1b[0m", "\x1b[1;40m  \x1b[0m"),
    ],
)
@pytest.mark.parametrize("border", [0, 1, 4])
def test_read_drawing_reads_full_blocks_and_colours(dark: str, light: str, border: int) -> None:
    """A drawing two characters wide reads back, in blocks or in the colours of its blanks."""
    modules = modules_of(Qr(payload=URL))
    rows = full_block(modules, dark=dark, light=light, border=border)
    assert all(is_row(row) for row in rows if row.strip())
    assert read_drawing(rows) == modules
    assert read_drawing([" " + row for row in rows]) == modules


@pytest.mark.parametrize(
    ("name", "payloads"),
    [
        ("wechaty-ts.real.log", [URL, URL, "https://login.weixin.qq.com/l/Def456=="]),
        ("python-wechaty.real.log", ["https://login.weixin.qq.com/l/abc==", "https://login.weixin.qq.com/l/def=="]),
        (
            "openclaw-weixin.stdout.real.log",
            [
                "https://liteapp.weixin.qq.com/q/7GiQu1?qrcode=a1b2c3&bot_type=3",
                "https://liteapp.weixin.qq.com/q/7GiQu1?qrcode=d4e5f6&bot_type=3",
            ],
        ),
    ],
)
def test_sample_drawings_decode_to_the_url_beside_them(name: str, payloads: list[str]) -> None:
    """What real software drew reads as exactly the link it wrote next to it."""
    wrapped = [f"https://wechaty.js.org/qrcode/{quote(payload, safe='')}" for payload in payloads]
    assert drawings(name) in (payloads, wrapped)


@pytest.mark.parametrize("damage", ["row", "column", "finder", "separator", "timing", "short", "long"])
def test_read_drawing_refuses_what_is_no_symbol(damage: str) -> None:
    """A drawing that is cut, too small, or lacks finder, separator or timing is nothing."""
    grid = [bytearray(row) for row in modules_of(Qr(payload=URL))]
    match damage:
        case "row":
            del grid[20]
        case "column":
            for row in grid:
                del row[20]
        case "finder":
            grid[3][3] = 0
        case "separator":
            grid[7][0] = 1
        case "timing":
            grid[6][9] = 1
        case "short":
            grid = [row[:17] for row in grid[:17]]
        case "long":
            grid = grid * 10
    rows = full_block([bytes(row) for row in grid], dark="██", light="  ", border=0) if damage != "column" else [
        "".join("██" if module else "  " for module in row) for row in grid
    ]  # fmt: skip
    assert read_drawing(rows) is None


def test_read_drawing_of_nothing_is_nothing() -> None:
    """Neither no rows nor blank ones are a symbol."""
    assert read_drawing([]) is None
    assert read_drawing(["  ", "██"]) is None


@pytest.mark.parametrize("text", ["", "   ", "█ progress █", "█" * 20_000, "22:44:35 INFO ███"])
def test_is_row_refuses_other_lines(text: str) -> None:
    """A blank line, a line with text, and one longer than any drawing are no rows."""
    assert not is_row(text)


def test_decode_returns_a_payload_as_it_is() -> None:
    """A QR with a payload needs no decoder, one with an image file alone has nothing to decode."""
    assert decode(Qr(payload="x")) == "x"
    assert decode(Qr(image_path=Path("QR.png"))) is None


def test_decode_reads_modules() -> None:
    """Modules decode to the payload they were drawn from."""
    assert decode(Qr(modules=modules_of(Qr(payload=URL)))) == URL


def test_decode_of_damaged_modules_is_none() -> None:
    """Modules that hold no readable code give nothing."""
    assert decode(Qr(modules=(bytes(21),) * 21)) is None


def test_decode_without_a_decoder_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no decoder is installed, a drawn QR has no payload."""
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    assert decode(Qr(modules=modules_of(Qr(payload=URL)))) is None
