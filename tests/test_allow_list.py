"""Patterns of what a shell may be given, and those that would let anything through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.allow_list import SPECIAL, allow_list
from logmonitor.errors import OperationError, PatternError


def test_everything_is_allowed_without_patterns() -> None:
    """An empty list is no list."""
    assert allow_list(())("rm -rf /; :(){ :|:& };:")


@pytest.mark.parametrize(
    ("text", "is_allowed"),
    [
        ("systemctl status nginx", True),
        ("df -h", True),
        ("journalctl -n 20 | tail -n 5", True),
        ("systemctl status nginx; reboot", False),
        ("systemctl status nginx\nreboot", False),
        ("sudo df -h", False),
        ("df -h ", False),
        ("", False),
    ],
)
def test_text_has_to_match_as_a_whole(text: str, is_allowed: bool) -> None:  # noqa: FBT001  # a parameter
    """What one of the patterns matches from end to end may be run, and nothing else."""
    allows = allow_list((r"systemctl status [\w.-]+", "df -h", r"journalctl -n \d+ \| tail -n [0-9]{1,3}"))
    assert allows(text) is is_allowed


@pytest.mark.parametrize(
    ("pattern", "piece", "character"),
    [
        ("ls .*", ".", ";"),
        (r"ls \S+", r"\S", ";"),
        (r"ls\s-l", r"\s", "\n"),
        (r"ls [^;]+", "[^;]", "&"),
        (r"ls [\w$]+", r"[\w$]", "$"),
        (r"ls [!-~]+", "[!-~]", ";"),
        (r"ls \pS", r"\pS", "|"),
        (r"ls [[:punct:]]", "[[:punct:]]", ";"),
        (r"(?s)ls (?P<what>\W)", r"\W", ";"),
    ],
)
def test_pattern_that_lets_a_second_command_in_is_refused(pattern: str, piece: str, character: str) -> None:
    """What stands for any of several characters must not stand for one that ends a command."""
    with pytest.raises(OperationError) as caught:
        allow_list(("df -h", pattern))
    assert f"pattern {pattern!r} allows {character!r} by its {piece!r} at position" in str(caught.value)


@pytest.mark.parametrize(
    "pattern", [r"a; b", r"a \| b", r"a\x3bb", r"\Qa; (b)\E", r"[\w ./:=,@%+-]+", r"\d\w", r"\pL+"]
)
def test_pattern_that_names_what_it_allows_is_taken(pattern: str) -> None:
    """A character that a shell gives a meaning may be named, and classes may hold what has none."""
    allow_list((pattern,))


def test_pattern_that_is_none_is_refused() -> None:
    """What RE2 refuses is refused with its reason."""
    with pytest.raises(PatternError, match="is refused"):
        allow_list(("ls (",))


@given(
    st.lists(st.sampled_from([r"[\w./-]", r"\d+", r"\w*", "[a-z ]{1,3}", "a", "-", " ", r"\pL"]), min_size=1),
    st.text(max_size=12),
)
def test_no_accepted_class_matches_what_a_shell_gives_a_meaning(pieces: list[str], text: str) -> None:
    """Whatever patterns are made of, a text that they match holds no special character that they do not name."""
    if allow_list(("".join(pieces),))(text):
        assert not set(text) & set(SPECIAL)
