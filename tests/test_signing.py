"""Signed session lines."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import ConfigurationError
from logmonitor.records import Refusal, Signature
from logmonitor.signing import KEY_BYTES, Accepted, accept, begin_anew, key_text, parse_key, sign, verify

KEY = bytes(range(KEY_BYTES))
LINE = "22:44:35 INFO StarterBot Contact<鲍勃> login"
SIGNATURE = Signature(at=datetime(2026, 11, 20, 14, 44, 35, 120_000, tzinfo=UTC), boot="00c0ffee", sequence=7)
LOG = Path("bob.log")


def signed(line: str = LINE, *, bot: str = "bob", key: bytes = KEY) -> bytes:
    """Return a whole signed line, as it stands in a log."""
    return (line + sign(line, SIGNATURE, bot=bot, key=key)).encode()


def test_signature_has_a_readable_form() -> None:
    """Behind the line stand a mark, the time in UTC, boot and sequence, and the MAC."""
    elsewhere = replace(SIGNATURE, at=SIGNATURE.at.astimezone(timezone(timedelta(hours=8))))
    suffix = sign("22:44:35 INFO StarterBot onScan: Scanned(3)", elsewhere, bot="bob", key=KEY)
    assert suffix.split(" ")[:4] == ["", "lm1", "2026-11-20T14:44:35.120Z", "00c0ffee.7"]
    assert len(suffix.split(" ")[4]) == 43


@given(line=st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), bot=st.text(min_size=1))
def test_verify_returns_what_was_signed(line: str, bot: str) -> None:
    """Whatever the line and the name, verifying a signed line gives its signature back."""
    suffix = sign(line, SIGNATURE, bot=bot, key=KEY)
    assert verify((line + suffix).encode(), bot=bot, key=KEY) == SIGNATURE


@pytest.mark.parametrize("behind", [b"\r", b"  ", b"\t\r"])
def test_verify_passes_over_what_stands_behind_the_line(behind: bytes) -> None:
    """A carriage return and blanks behind a signed line take nothing from it."""
    assert verify(signed() + behind, bot="bob", key=KEY) == SIGNATURE


@given(position=st.integers(0, len(signed()) - 1), bit=st.integers(0, 7))
def test_verify_refuses_a_line_of_which_a_bit_was_changed(position: int, bit: int) -> None:
    """No byte of a signed line can be changed without the signature failing."""
    line = bytearray(signed())
    line[position] ^= 1 << bit
    assert verify(bytes(line), bot="bob", key=KEY) in (Refusal.WRONG, Refusal.UNSIGNED)


@pytest.mark.parametrize("line", [b"", LINE.encode(), b"lm1 a b c", b" lm1  ", signed()[: signed().rindex(b" ")]])
def test_verify_tells_a_line_without_signature(line: bytes) -> None:
    """A line without the four words of a signature is unsigned."""
    assert verify(line, bot="bob", key=KEY) is Refusal.UNSIGNED


def test_verify_refuses_another_bots_line_and_another_key() -> None:
    """What one twin signed proves nothing in the other's log, and nothing under another key."""
    assert verify(signed(bot="alice"), bot="bob", key=KEY) is Refusal.WRONG
    assert verify(signed(key=bytes(KEY_BYTES)), bot="bob", key=KEY) is Refusal.WRONG
    assert verify(signed(bot="Bob"), bot="bob", key=KEY) == SIGNATURE


def test_verify_refuses_a_place_of_another_form() -> None:
    """A suffix whose boot and sequence are of another form is wrong, whatever its MAC."""
    assert verify(b"line lm1 2026-11-20T14:44:35.120Z \xff.7 mac", bot="bob", key=KEY) is Refusal.WRONG


def test_key_survives_being_written_down() -> None:
    """A key is read back as it was printed, with or without padding."""
    assert parse_key(key_text(KEY)) == parse_key(key_text(KEY) + "=") == KEY


@pytest.mark.parametrize("text", ["", "secret", key_text(KEY)[1:], key_text(KEY) + "==", "é" * 43])
def test_key_of_another_form_is_refused_without_being_shown(text: str) -> None:
    """What is no key is refused; the error does not show it."""
    with pytest.raises(ConfigurationError, match="expected the 43 characters") as caught:
        parse_key(text)
    assert not text or text not in str(caught.value)


def test_accept_refuses_a_replay() -> None:
    """A signature is accepted in its own place as often as it is read, and in no other."""
    accepted, is_new = accept(Accepted(), SIGNATURE, path=LOG, offset=10)
    assert is_new
    assert accept(accepted, SIGNATURE, path=LOG, offset=10) == (accepted, True)
    assert accept(accepted, SIGNATURE, path=LOG, offset=11) == (accepted, False)
    assert accept(accepted, SIGNATURE, path=Path("other.log"), offset=10) == (accepted, False)


def test_accept_refuses_what_it_had_to_forget() -> None:
    """Beyond the limit the oldest is forgotten, and what was forgotten is a replay for good; another boot is not."""
    accepted = Accepted(limit=2)
    for sequence in range(4):
        accepted, is_new = accept(accepted, replace(SIGNATURE, sequence=sequence), path=LOG, offset=sequence)
        assert is_new
    assert len(accepted.places) == 2
    assert not accept(accepted, replace(SIGNATURE, sequence=1), path=LOG, offset=1)[1]
    assert accept(accepted, replace(SIGNATURE, sequence=3), path=LOG, offset=3)[1]
    assert accept(accepted, replace(SIGNATURE, boot="1ee7c0de", sequence=0), path=LOG, offset=9)[1]


def test_begin_anew_leaves_no_place_in_a_file() -> None:
    """In a file that starts anew every signature of the old one is a replay, wherever it stands; other files stay."""
    other = replace(SIGNATURE, sequence=8)
    accepted, _ = accept(Accepted(), SIGNATURE, path=LOG, offset=10)
    accepted, _ = accept(accepted, other, path=Path("other.log"), offset=10)
    accepted = begin_anew(accepted, LOG)
    assert accept(accepted, SIGNATURE, path=LOG, offset=10) == (accepted, False)
    assert accept(accepted, other, path=Path("other.log"), offset=10) == (accepted, True)
