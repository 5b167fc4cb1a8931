"""A configuration adds rules to commands, and takes none away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.operation import SecurityRule
from logmonitor.security_rules import ANSWERS, rules_of

CONFIRM, TOTP, PEER = SecurityRule.CONFIRM, SecurityRule.TOTP, SecurityRule.PEER

some_rules = st.frozensets(st.sampled_from(SecurityRule))
names = st.text(alphabet="ab_", min_size=1, max_size=3)
patterns = st.text(alphabet="ab_.*?", min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("sh", True),
        ("s*", True),
        ("*", True),
        ("?h", True),
        ("shell.sh", True),
        ("shell.*", True),
        ("*.sh", True),
        ("s", False),
        ("sh?", False),
        ("SH", False),
        ("shell", False),
        ("shell*", False),
        ("sh*l?sh", False),
        ("other.sh", False),
        ("shellxsh", False),
        ("[s]h", False),
        ("", False),
    ],
)
def test_rules_of_fit_by_name_or_by_operation_and_name(pattern: str, *, fits: bool) -> None:
    """A pattern is a command's name, with or without its operation's before it, and nothing but `*` and `?` in it."""
    added = frozenset({TOTP})
    assert rules_of("sh", "shell", frozenset(), [(pattern, added)]) == (added if fits else frozenset())


def test_rules_of_are_all_that_fit() -> None:
    """Every pattern that fits adds its rules to those of the command."""
    rules = [("sh", frozenset({TOTP})), ("*", frozenset({PEER, TOTP})), ("log", frozenset({SecurityRule.OUT_OF_BAND}))]
    assert rules_of("sh", "shell", frozenset({CONFIRM}), rules) == {CONFIRM, TOTP, PEER}


@pytest.mark.parametrize("command", ANSWERS)
def test_rules_of_what_answers_rules_stay_what_they_are(command: str) -> None:
    """A code that had to be confirmed before it counts would lock everybody out."""
    rules = [("*", frozenset(SecurityRule)), (command, frozenset(SecurityRule))]
    assert rules_of(command, "logmonitor", frozenset(), rules) == frozenset()


@given(command=names, operation=names, own=some_rules, rules=st.lists(st.tuples(patterns, some_rules), max_size=5))
def test_rules_of_are_never_fewer(
    command: str, operation: str, own: frozenset[SecurityRule], rules: list[tuple[str, frozenset[SecurityRule]]]
) -> None:
    """Whatever a configuration says, a command keeps its own rules, and more patterns never take one away."""
    assert own <= rules_of(command, operation, own, rules[1:]) <= rules_of(command, operation, own, rules)
