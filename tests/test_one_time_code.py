"""One-time codes as people type them."""

from __future__ import annotations

import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.one_time_code import ALPHABET, CodeKind, code_of, kind_of

RECOVERY = st.text(ALPHABET, min_size=10, max_size=10).map(lambda text: f"{text[:5]}-{text[5:]}")


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("123456", "123456"),
        ("000000", "000000"),
        ("012345", "012345"),
        (" 123456\n", "123456"),
        ("123 456", "123456"),
        ("123-456", "123456"),
        ("123—456", "123456"),
        ("123\N{MINUS SIGN}456", "123456"),
        ("123\N{NO-BREAK SPACE}456", "123456"),
        ("１２３４５６", "123456"),
        ("１２３　４５６", "123456"),
        ("１２３－４５６", "123456"),
        ("1２3４5６", "123456"),
        ("01234567", "01234567"),
        ("0123 4567", "01234567"),
        ("abcd2-efgh3", "ABCD2-EFGH3"),
        ("ABCD2 EFGH3", "ABCD2-EFGH3"),
        ("ａｂｃｄ２－ＥＦＧＨ３", "ABCD2-EFGH3"),
        ("OilD2-efgh3", "011D2-EFGH3"),
    ],
)
def test_code_is_understood_as_it_is_typed(word: str, code: str) -> None:
    """Zeros in front count; full width, case, a blank or hyphen between the halves and likenesses do not."""
    assert code_of(word) == code
    assert code_of(word, is_answer=True) == code


@pytest.mark.parametrize(
    "word",
    [
        "",
        " ",
        "-",
        "12345",
        "1234567",
        "123456789",
        "1234567890",
        "12345-67890",
        "-123456",
        "-12345",
        "\N{MINUS SIGN}123456",
        "+123456",
        "123456-",
        "12345a",
        "a123456",
        "123,456",
        "123.456",
        "1e5000",
        "0x1234",
        "¹²³⁴⁵⁶",
        "12345⁶",
        "₁₂₃₄₅₆",
        "①②③④⑤⑥",
        "١٢٣٤٥٦",
        "१२३४५६",
        "𝟏𝟐𝟑𝟒𝟓𝟔",
        "一二三四五六",
        "½3456",
        "12\n3456",
        "12345\x00",
        "1234\N{ZERO WIDTH SPACE}56",
        "\ud83d12345",
        "first-class",
        "FIRST-CLASS",
        "abcde-fghjk",
        "abcd2-efgh",
        "abcd2-efghu3",
        "abcdß2-efgh",
        "123" + " " * 60 + "456",
        "1" * 1_000_000,
    ],
)
def test_code_is_nothing_else(word: str) -> None:
    """Other lengths, signs, letters, other scripts' digits, superscripts and plain words are no code."""
    assert code_of(word) is None
    assert code_of(word, is_answer=True) is None


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("12 34 56", "123456"),
        ("1 2 3 4 5 6", "123456"),
        ("2024-12", "202412"),
        ("2024-12-31", "20241231"),
        ("1a2b3c4d5e", "1A2B3-C4D5E"),
        ("abcd2efgh3", "ABCD2-EFGH3"),
        ("abcd2  -  efgh3", "ABCD2-EFGH3"),
    ],
)
def test_code_among_arguments_has_its_own_form(word: str, code: str) -> None:
    """A date or a short hash is an argument among others, and a code only where nothing else is expected."""
    assert code_of(word) is None
    assert code_of(word, is_answer=True) == code


@pytest.mark.parametrize("word", ["status bot2", "cancel 1234", "abcd 2efgh3", "uptime 2 ab c"])
def test_words_of_ten_letters_are_no_recovery_code(word: str) -> None:
    """What is not parted in the middle is no recovery code, though it has ten letters and digits."""
    assert code_of(word, is_answer=True) is None


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("012345", CodeKind.TOTP),
        ("01234567", CodeKind.OUT_OF_BAND),
        ("ABCD2-EFGH3", CodeKind.RECOVERY),
        ("ABCDE-FGHJK", None),
        ("01234-56789", None),
        ("ABCD2EFGH3", None),
        ("abcd2-efgh3", None),
        ("1234567", None),
        ("１２３４５６", None),
        ("", None),
    ],
)
def test_kind_follows_from_the_form(code: str, kind: CodeKind | None) -> None:
    """Six digits are of an authenticator, eight of a second channel, two groups with letters and digits recover."""
    assert kind_of(code) is kind


def test_recovery_codes_carry_fifty_bits() -> None:
    """Of all that the alphabet can form, what has a letter and a digit from 2 on is still more than 2 to the 50th."""
    without_digit, without_letter = 25**10, 10**10
    assert math.log2(33**10 - without_digit - without_letter) > 50
    assert len(set(ALPHABET)) == len(ALPHABET) == 33
    assert not set("ILO") & set(ALPHABET)


@given(st.text(max_size=30), st.booleans())
def test_code_law_what_was_understood_stays_itself(word: str, is_answer: bool) -> None:  # noqa: FBT001  # drawn
    """Whatever was typed, a code is of a known kind, and read once more it is the same code."""
    code = code_of(word, is_answer=is_answer)
    if code is not None:
        assert kind_of(code) is not None
        assert code_of(code) == code_of(code, is_answer=True) == code


@given(st.integers(0, 999_999).map("{:06}".format), st.sampled_from(["", " ", "-", "–", "　"]), st.booleans())
def test_code_law_every_way_of_typing_means_the_same(code: str, between: str, is_wide: bool) -> None:  # noqa: FBT001
    """A code of six digits is read in full width and in halves as in plain digits."""
    typed = code[:3] + between + code[3:]
    if is_wide:
        typed = "".join(chr(ord(sign) + 0xFEE0) if sign in "0123456789" else sign for sign in typed)
    assert code_of(typed) == code


@given(RECOVERY)
def test_code_law_recovery_codes_survive_typing(code: str) -> None:
    """What is printed as a recovery code is read back, in small letters, in one piece, and with 1 and 0 misread."""
    if kind_of(code) is not CodeKind.RECOVERY:
        return
    assert code_of(code) == code
    assert code_of(code.lower()) == code
    assert code_of(code.replace("-", ""), is_answer=True) == code
    assert code_of(code.replace("1", "l").replace("0", "o")) == code


@given(st.text(st.characters(categories=["Nd", "No", "Nl"]), min_size=6, max_size=6))
def test_code_law_no_other_digits_count(word: str) -> None:
    """Of all that Unicode calls a digit or a number, ASCII's and their full-width forms alone make a code."""
    plain = unicodedata.normalize("NFKC", word)
    counts = all("0" <= sign <= "9" or "０" <= sign <= "９" for sign in word)
    assert code_of(word) == (plain if counts else None)
