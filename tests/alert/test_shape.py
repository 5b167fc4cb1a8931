"""The shape of a log line."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logmonitor.alert.shape import SHAPED_CHARACTERS, shape_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12:00:03 ERR retry 3 of 10", "23:59:59 ERR retry 10 of 10"),
        ("2026-11-20T12:00:00Z ERROR x", "2027-01-01T00:00:00.123456Z ERROR x"),
        ("2026-11-20 12:00:00,123 - a - ERROR - x", "2026-11-21 13:10:10 - a - ERROR - x"),
        ("connect ECONNREFUSED 127.0.0.1:8788", "connect ECONNREFUSED 10.0.0.255:80"),
        ("connect ::1:80", "connect fe80::dead:beef:1"),
        ("no task 550e8400-e29b-41d4-a716-446655440000", "no task aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
        ("bad commit deadbeef", "bad commit 0123456789abcdef"),
        ("object at 0x7f3a00", "object at 0xffff"),
        ("KeyError: 'name'", "KeyError: 'two words'"),
        ('no such file: "a b.txt"', 'no such file: "c.txt"'),
        ("找不到联系人“张三”", "找不到联系人“李四”"),
        ("连接3次失败", "连接１２次失败"),
        ("cannot mail to ann@example.com", "cannot mail to b.o+b@mail.example.org"),
        ("cannot say it to Contact<Ann>", "cannot say it to Contact<Bob B>"),
        ("took 3 s", "took 12.75 s"),
        ("ids [1, 2, 3]", "ids [4]"),
        ('{"level":"error","msg":"boom 1"}', '{"level":"error","msg":"boom 22"}'),
        ('level=error msg="no disk" id=1', 'level=error msg="no disk" id=2'),
    ],
)
def test_lines_that_say_the_same_have_one_shape(one: str, other: str) -> None:
    """Numbers, times, ids, addresses, names and quoted words make no difference."""
    assert shape_of(one) == shape_of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("12:00:03 ERR disk full", "12:00:03 ERR no network"),
        ("12:00:03 ERR a", "12:00:03 WARN a"),
        ("can't open bob's file", "can't close bob's file"),
        ('{"level":"error","msg":"boom"}', '{"level":"error","msg":"no disk"}'),
        ('level=error msg="boom"', 'level=error msg="no disk"'),
        ("IllegalStateException: x", "NullPointerException: x"),
        ("连接失败", "登录失败"),
    ],
)
def test_lines_that_say_something_else_have_another_shape(one: str, other: str) -> None:
    """Words that are not quoted make the difference, and those that structured logs quote."""
    assert shape_of(one) != shape_of(other)


def test_end_of_a_huge_line_makes_no_difference() -> None:
    """Only the beginning of a line is looked at."""
    assert shape_of("x " * SHAPED_CHARACTERS + "a") == shape_of("x " * SHAPED_CHARACTERS + "b")


@settings(deadline=None)
@given(st.text(alphabet="""aF0_ '"`“”‘’<>@.:-,/+#[]{}=7é\n\\""", max_size=60))
def test_shape_of_a_shape_folds_no_number_any_more(text: str) -> None:
    """Whatever a line holds, no digit is left of it."""
    assert not any(map(str.isdigit, shape_of(text)))
