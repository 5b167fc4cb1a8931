"""From what a phone types to words, and to what a shell understands."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from logmonitor.typed import Typed, parse, straightened, without_argument

_TYPED = st.text(st.sampled_from("ab —–“”‘’\"'＂＇\\\\＼ａ＝　\u200b\n"), max_size=14)


def _typed(text: str) -> Typed:
    typed = parse(text)
    assert typed is not None
    return typed


@pytest.mark.parametrize(
    "text",
    [
        "qr",
        "  qr\n",
        "QR",
        "Qr",
        "/qr",
        "/ qr",
        "／ｑｒ",
        "、qr",
        "。qr",
        "、　qr",
        "\u2068qr\u2069",
        "\xa0\u200b qr",
        "ｑｒ",
        "ＱＲ",
        "qr.",
        "qr。",
        "qr！",
        "\u200bqr\u200b",
        "q\u200br",
    ],
)
def test_parse_reads_a_name_as_phones_type_it(text: str) -> None:
    """Capitals, full-width letters, a slash, space around, a full stop and invisible characters change no name."""
    assert parse(text) == Typed(name="qr")


@pytest.mark.parametrize("dash", "-‐‑–—−－")
def test_parse_reads_any_dash_in_a_name(dash: str) -> None:
    """A name's hyphen is one whatever the keyboard made of it."""
    assert _typed(f"Disable{dash}QR{dash}rescue").name == "disable-qr-rescue"


@pytest.mark.parametrize(
    "text", ["", "  ", "\u3000\n", "/", "／ ", "\u200b", "/\u200b", "。", "\u200b \ufeff", "\u2068"]
)
def test_parse_finds_no_command_in_nothing(text: str) -> None:
    """White space, invisible characters and a lone slash are no command."""
    assert parse(text) is None


def test_parse_keeps_a_name_of_punctuation() -> None:
    """Punctuation alone is a name, which no command has."""
    assert parse("???") == Typed(name="???")


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("log Bob 50", ("Bob", "50")),
        ("log\u3000ｂｏｂ　５０", ("bob", "50")),
        ("log —last 5 –all", ("--last", "5", "--all")),
        ("log --last=5", ("--last=5",)),
        ('say "hello  World" now', ("hello  World", "now")),
        ("say “hello  World” ‘—now！’", ("hello  World", "—now！")),
        ("say “mixed\" 'up’", ("mixed", "up")),
        ('log --match="a b" ―x', ("--match=a b", "―x")),
        ("log —match=“a b”", ("--match=a b",)),
        ("say it's Bob's", ("it's", "Bob's")),
        ('say "never closed', ('"never', "closed")),
        ('say "a"b c"', ('"a"b', 'c"')),
        ('say "" end', ("", "end")),
        ("say a\\b", ("a\\b",)),
        ("log\nbob\n50", ("bob", "50")),
        ("log ——last", ("--last",)),
        ("log\xa0bob\u3000—last\u202f5", ("bob", "--last", "5")),
        ("log \u200b b\u200eob\u2060 alice‑2", ("bob", "alice-2")),
        ("log 👩\u200d👧", ("👩\u200d👧",)),
        ("@Alice\u2005restart bob", ("restart", "bob")),
    ],
)
def test_parse_reads_arguments_as_phones_type_them(text: str, arguments: tuple[str, ...]) -> None:
    """Arguments keep their case; dashes, widths and quotes are mended, but not within quotes."""
    assert _typed(text).arguments == arguments


def test_parse_keeps_the_text_behind_the_name_verbatim() -> None:
    """`text` is what was typed, quotes, dashes, widths and lines included."""
    assert _typed('  Sh  echo “ａ”  —x\n  "b" ').text == 'echo “ａ”  —x\n  "b"'


@given(text=st.text(max_size=200))
def test_parse_accepts_any_text(text: str) -> None:
    """No text is an error; a command has a name, and its text is a piece of what was typed."""
    typed = parse(text)
    if typed is not None:
        assert typed.name
        assert typed.text in text


@given(words=st.lists(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8), max_size=5))
def test_parse_gives_back_quoted_words(words: list[str]) -> None:
    """Words in quotes come back exactly, as many as there were."""
    assert _typed("say " + " ".join(f'"{word} {word}"' for word in words)).arguments == tuple(
        f"{word} {word}" for word in words
    )


def test_parse_takes_what_is_said_to_another_for_no_command() -> None:
    """A mention that the chat left in is somebody else's, and no command has such a name."""
    assert _typed("@Alice\u2005 restart bob").name == "@alice"


@pytest.mark.parametrize(
    ("text", "index", "left"),
    [
        ("sh 123456 uptime  —p", 0, Typed(name="sh", arguments=("uptime", "--p"), text="uptime  —p")),
        ("sh 123456", 0, Typed(name="sh")),
        ("sh uptime  １２３４５６", 1, Typed(name="sh", arguments=("uptime",), text="uptime")),
        ("sh “123 456” uptime", 0, Typed(name="sh", arguments=("uptime",), text="uptime")),
        ("restart Bob 123456 now", 1, Typed(name="restart", arguments=("Bob", "now"), text="Bob now")),
        ("restart \u200b 123456", 0, Typed(name="restart", text="\u200b")),
    ],
)
def test_without_argument_takes_out_one_word(text: str, index: int, left: Typed) -> None:
    """The word goes, as an argument and in the text; what is around it stays as it was typed."""
    assert without_argument(_typed(text), index) == left


def test_without_argument_refuses_a_word_that_is_not_there() -> None:
    """An index behind the last argument is an error."""
    with pytest.raises(IndexError):
        without_argument(_typed("sh 123456"), 1)


@given(
    pieces=st.lists(
        st.sampled_from(["a", "—b", "１２", "“c  d”", "‘—e’", '""', "x=“y z”", "\u200b", "f\\"]), min_size=1
    ),
    between=st.sampled_from([" ", "  ", "\n", "　", "\xa0"]),
    index=st.integers(min_value=0, max_value=5),
)
def test_without_argument_leaves_the_others(pieces: list[str], between: str, index: int) -> None:
    """What is left is read as the same words without that one."""
    typed = _typed("sh " + between.join(pieces))
    if index < len(typed.arguments):
        left = without_argument(typed, index)
        assert left.arguments == typed.arguments[:index] + typed.arguments[index + 1 :]
        assert (parse(f"sh {left.text}") or typed).arguments == left.arguments


@pytest.mark.parametrize(
    ("text", "straight"),
    [
        ("ls —l –a ——all", "ls --l --a --all"),
        ("echo “a  —b” ‘ｃ’", "echo \"a  —b\" 'ｃ'"),
        ("ｌｓ　／ｔｍｐ ｜ ｗｃ －ｌ", "ls /tmp | wc -l"),
        ("echo ＂ａ＂ ＇ｂ＇", "echo \"ａ\" 'ｂ'"),
        ('echo "—ａ \\"ｂ” " ｃ', 'echo "—ａ \\"ｂ” " c'),
        ("echo '—ａ”' ｂ", "echo '—ａ”' b"),
        ("echo “mixed\" ’up'", "echo \"mixed\" 'up'"),
        ('echo "begun straight”', 'echo "begun straight"'),
        ("echo it’s —x", "echo it's --x"),
        ("echo \\— \\“ ＼ａ", "echo \\— \\“ \\ａ"),
        ("echo end\\", "echo end\\"),
        ("ls\xa0-l\u200b /a\u202eb", "ls -l /ab"),
        ("awk '{print $1}' 你好，。", "awk '{print $1}' 你好,。"),
        ("", ""),
    ],
)
def test_straightened_mends_what_a_phone_typed(text: str, straight: str) -> None:
    """Dashes, curly quotes, widths and spaces are mended; not in quotes, and not behind a backslash."""
    assert straightened(text) == straight


@given(text=_TYPED)
@example(text='“a"b”')
def test_straightened_changes_nothing_more_the_second_time(text: str) -> None:
    """What is straight stays as it is."""
    assert straightened(straightened(text)) == straightened(text)


@given(text=st.text(st.characters(codec="ascii"), max_size=60))
def test_straightened_leaves_ascii_alone(text: str) -> None:
    """What a keyboard of a computer types is returned as it is."""
    assert straightened(text) == text
