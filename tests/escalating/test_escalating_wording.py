"""What goes past the chat can be used where it arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.escalating.wording import fitted, is_carried, payload_of, plain_text, with_file_text
from logmonitor.qr import modules_of
from logmonitor.records import Attachment, Content, Link, Qr

PAYLOAD = "http://weixin.qq.com/x/AbCdEf"
TOLD = "no image can be shown here: turn the next line into a QR on a device of your own, and scan that"


def image(qr: Qr | None, caption: str = "Login QR of bob") -> Attachment:
    """Return a QR as it is sent."""
    return Attachment(filename="bob-qr.png", content_type="image/png", data=b"\x89PNG", caption=caption, qr=qr)


WRITTEN = image(Qr(payload=PAYLOAD))
DRAWN = image(Qr(modules=modules_of(Qr(payload=PAYLOAD))))
PICTURE = image(None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("bob is out", "bob is out"),
        (Link(title="Log", url="https://e.org/log", description=""), "Log\nhttps://e.org/log"),
        (Link(title="Log", url="https://e.org/log", description="of bob"), "Log\nof bob\nhttps://e.org/log"),
        (WRITTEN, f"Login QR of bob\n{TOLD}\n{PAYLOAD}"),
        (DRAWN, f"Login QR of bob\n{TOLD}\n{PAYLOAD}"),
        (PICTURE, "Login QR of bob\nbob-qr.png cannot be shown here, and holds nothing that could be sent as a text"),
    ],
)
def test_plain_text_has_what_a_text_can_have(content: Content, text: str) -> None:
    """A QR goes as what it says, also where it was only drawn; of a picture its caption and that it is missing."""
    assert plain_text(content, str) == text


def test_with_file_text_is_a_caption_or_a_name() -> None:
    """Beside a file stands its caption, or what it is called."""
    assert with_file_text(WRITTEN) == "Login QR of bob"
    assert with_file_text(image(None, caption="")) == "bob-qr.png"


def test_is_carried_knows_what_would_be_missing() -> None:
    """A service without images loses a picture alone."""
    contents: tuple[Content, ...] = ("text", WRITTEN, DRAWN, PICTURE)
    assert [is_carried(content, carries_files=False) for content in contents] == [True, True, True, False]
    assert all(is_carried(content, carries_files=True) for content in contents)
    assert payload_of("text") is None


@given(text=st.text(max_size=6000), service=st.sampled_from(["wecombot", "tgram"]))
def test_fitted_is_what_one_message_carries(text: str, service: str) -> None:
    """A long text is cut in its middle, by bytes where the service counts them, and a short one stays as it is."""
    size = len(text.encode("utf-8", "surrogatepass")) if service == "wecombot" else len(text)
    found = fitted(text, service, str)
    assert (len(found.encode()) if service == "wecombot" else len(found)) <= 1900
    assert found == text or size > 1900


def test_fitted_says_what_it_leaves_out() -> None:
    """Beginning and end stay: the first says what it is about, the last holds what a QR says."""
    found = fitted("bob\n" + "x" * 5000 + "\n" + PAYLOAD, "ntfy", str)
    assert found.startswith("bob\nxxx")
    assert found.endswith(f"xxx\n{PAYLOAD}")
    assert "characters are left out …\n" in found
