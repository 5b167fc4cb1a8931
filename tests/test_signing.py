"""Signed session lines."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import logmonitor
from logmonitor import ConfigurationError
from logmonitor.profile_folder import load_profile
from logmonitor.reading.file_state import Circumstances
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Refusal, Signature
from logmonitor.signing import (
    KEY_BYTES,
    Accepted,
    Order,
    accept,
    begin_anew,
    key_text,
    order_of,
    parse_key,
    sign,
    verify,
)

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


def made(boot: str, sequence: int, minutes: int) -> Signature:
    """Return a signature of some boot, so many minutes after the first."""
    return Signature(at=SIGNATURE.at + timedelta(minutes=minutes), boot=boot, sequence=sequence)


def after(*signatures: Signature) -> Accepted:
    """Return what is known when these were accepted, each in a place of its own."""
    accepted = Accepted()
    for offset, signature in enumerate(signatures):
        accepted, is_first = accept(accepted, signature, path=LOG, offset=offset)
        assert is_first
    return accepted


@pytest.mark.parametrize(
    ("signature", "order"),
    [
        (made("aaaaaaaa", 6, -60), Order.NEWEST),
        (made("aaaaaaaa", 5, 0), Order.NEWEST),
        (made("aaaaaaaa", 4, 60), Order.OLDER),
        (made("bbbbbbbb", 0, 0), Order.NEWEST),
        (made("bbbbbbbb", 0, 1), Order.NEWEST),
        (made("bbbbbbbb", 9, -1), Order.STRAY),
    ],
)
def test_order_goes_by_sequence_within_a_boot_and_by_time_between_boots(signature: Signature, order: Order) -> None:
    """A clock that was set does not matter within a boot; of another boot nothing but the time is comparable."""
    assert order_of(after(made("aaaaaaaa", 5, 0)), signature) is order
    assert order_of(Accepted(), signature) is Order.NEWEST


def test_order_remembers_the_boots_that_led() -> None:
    """A boot that another one followed is older for good, and never a stray; unless its time is later again."""
    accepted = after(made("aaaaaaaa", 5, 0), made("bbbbbbbb", 0, 10))
    assert order_of(accepted, made("aaaaaaaa", 6, 5)) is Order.OLDER
    assert order_of(accepted, made("aaaaaaaa", 4, 20)) is Order.OLDER
    assert order_of(accepted, made("aaaaaaaa", 6, 20)) is Order.NEWEST
    assert order_of(begin_anew(accepted, LOG), made("aaaaaaaa", 6, 5)) is Order.OLDER


def test_stray_leads_nothing_and_goes_forwards_only() -> None:
    """An accepted stray makes only what its own boot signed before it older; with the right time it leads."""
    accepted = after(made("aaaaaaaa", 5, 0), made("bbbbbbbb", 3, -10))
    assert accepted.newest == made("aaaaaaaa", 5, 0)
    assert order_of(accepted, made("bbbbbbbb", 2, -10)) is Order.OLDER
    assert order_of(accepted, made("bbbbbbbb", 4, -10)) is Order.STRAY
    assert order_of(accepted, made("cccccccc", 0, -20)) is Order.STRAY
    assert after(*(made("aaaaaaaa", 5, 0), made("bbbbbbbb", 3, -10), made("bbbbbbbb", 4, 1))).newest == made(
        "bbbbbbbb", 4, 1
    )


@given(
    order=st.permutations(
        [made(boot * 8, sequence, 10 * at + sequence) for at, boot in enumerate("bca") for sequence in range(3)]
    )
)
def test_newest_does_not_depend_on_the_order_of_reading(order: list[Signature]) -> None:
    """Whichever lines are read first, the newest is the one that was signed last, and no older one takes its place."""
    accepted = Accepted()
    for offset, signature in enumerate(order):
        before, kind = accepted.newest, order_of(accepted, signature)
        accepted, _ = accept(accepted, signature, path=LOG, offset=offset)
        assert accepted.newest == (signature if kind is Order.NEWEST else before)
    assert accepted.newest == max(order, key=lambda signature: signature.at)


def test_no_record_shows_a_key() -> None:
    """A record that holds a key leaves it out of its text, in which a log or a traceback may show it."""
    folder = Path(logmonitor.__file__).parent
    holders = {
        f"{path.stem}.{record.name}": "repr=False" in ast.unparse(entry)
        for path in folder.rglob("*.py")
        for record in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(record, ast.ClassDef)
        for entry in record.body
        if isinstance(entry, ast.AnnAssign)
        and ast.unparse(entry.target).endswith("key")
        and "bytes" in ast.unparse(entry.annotation)
    }
    assert holders == {"file_state.Circumstances": True, "record.BotConfig": True, "replay._Twin": True}
    circumstances = Circumstances(profile=compile_profile(load_profile("wechaty-ts")), watch="bob", key=KEY)
    assert repr(KEY) not in repr(circumstances)
