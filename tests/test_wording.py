"""Sentences about sessions, times and people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import Sender, Session, SessionState, duration_text, session_text, size_text, translation
from logmonitor.redact import redact
from logmonitor.testing import START
from logmonitor.wording import person_text, quoted


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (2 * 86400 - 1, "47 h"),
        (2 * 86400, "2 days"),
    ],
)
def test_duration_is_said_in_its_largest_unit(seconds: float, text: str) -> None:
    """A length of time is rounded down to the unit a person would use."""
    assert duration_text(seconds, str) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (999 << 10, "999 KB"),
        (1000 << 10, "1.0 MB"),
        (51 << 20, "51.0 MB"),
        ((1 << 30) - 1, "1.0 GB"),
        (3 << 29, "1.5 GB"),
        (2 << 40, "2.0 TB"),
        (9 << 50, "9216.0 TB"),
    ],
)
def test_size_is_said_in_a_unit_with_few_digits(size_bytes: int, text: str) -> None:
    """A size has at most three digits before the point, up to the largest unit there is."""
    assert size_text(size_bytes) == text


@pytest.mark.parametrize(
    ("session", "text"),
    [
        (Session(watch="bob"), "bob: not known yet"),
        (Session(watch="bob", state=SessionState.LOGGED_IN), "bob: logged in"),
        (Session(watch="bob", state=SessionState.LOGGED_IN, user="Bob"), "bob: logged in as Bob"),
        (Session(watch="bob", state=SessionState.LOGGED_OUT, user="Bob"), "bob: logged out"),
        (
            Session(watch="bob", state=SessionState.AWAITING_SCAN, since=START - timedelta(minutes=3)),
            "bob: waiting for a scan, for 3 min",
        ),
        (Session(watch="bob", state=SessionState.SCANNED), "bob: scanned, waiting for the phone's confirmation"),
    ],
)
def test_session_is_one_line(session: Session, text: str) -> None:
    """Every state reads as a sentence, with how long it has lasted where that is known."""
    assert session_text(session, now=START, translate=str) == text


def test_session_is_told_in_chinese() -> None:
    """The line is in the admin's language."""
    session = Session(watch="bob", state=SessionState.LOGGED_IN, user="Bob", since=START - timedelta(hours=2))
    assert session_text(session, now=START, translate=translation("zh")) == "bob: 已登录（Bob），已持续 2 小时"


@pytest.mark.parametrize(
    ("sender", "text"),
    [
        (Sender(id="wxid_1"), "wxid_1"),
        (Sender(id="wxid_1", name="Ann"), "“Ann” (wxid_1)"),
        (Sender(id="wxid_1", name="Ann", alias="boss", weixin="ann"), "“boss” (wxid_1)"),
        (Sender(id="wxid_1", name="Ann", alias=" \u3000 "), "“Ann” (wxid_1)"),
        (Sender(id="wxid_1", name="  小  明 "), "“小 明” (wxid_1)"),
        (Sender(id="wxid_1", name="x" * 40), f"“{'x' * 40}” (wxid_1)"),
        (Sender(id="wxid_1", name="x" * 41), f"“{'x' * 39}…” (wxid_1)"),
        (Sender(id="wxid_1", name="Ann” (wxid_2), “Eve"), "“Ann' (wxid_2)· 'Eve” (wxid_1)"),
        (Sender(id="wxid_1", name="Ann\nconfirm 7F3K\r"), "“Ann␊confirm 7F3K␍” (wxid_1)"),
        (Sender(id="wxid_1", name="Ann\u202e\u2028\x07"), "“Ann\\u202e\\u2028␇” (wxid_1)"),
        (Sender(id="wx\nid", name="Ann"), "“Ann” (wx␊id)"),
    ],
)
def test_person_is_told_by_name_and_id(sender: Sender, text: str) -> None:
    """An alias goes before a name, blanks are no name, and nothing in either can pass for the text around it."""
    assert person_text(sender) == text


def test_name_in_quotes_cannot_close_them() -> None:
    """What somebody is called stands in one pair of quotes, whatever it is."""
    assert [quoted(name) for name in ("Ann", "a”b", "", "x" * 50)] == ["“Ann”", "“a'b”", "“”", f"“{'x' * 39}…”"]


@given(name=st.text(), alias=st.text())
def test_person_cannot_forge_a_text(name: str, alias: str) -> None:
    """Whatever somebody is called, it is one short line with one pair of quotes, and ends with the id."""
    text = person_text(Sender(id="wxid_1", name=name, alias=alias))
    assert text == "wxid_1" or (text.startswith("“") and text.endswith("” (wxid_1)"))
    assert text.count("“") == text.count("”") <= 1
    assert '"' not in text
    assert len(text.splitlines()) == 1
    assert len(text) <= len("“” (wxid_1)") + 40


@pytest.mark.parametrize(
    "name", ["cookie:", "token=", "Authorization:", "password is:", "验证码：", "secret<", "密码："]
)
def test_name_makes_nothing_of_the_sentence_a_secret(name: str) -> None:
    """What stands behind a name is never redacted because of it: the id and the rest of the sentence stay."""
    text = f"{person_text(Sender(id='wxid_1', name=name))} asks for:\nsh uptime"
    assert redact(text).endswith("(wxid_1) asks for:\nsh uptime")
