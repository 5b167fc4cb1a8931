"""Services: what can be expected of one, and when it counts as failing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import Completed, OperationError, PatternError, Response
from logmonitor.service import (
    LONGEST_TIMEOUT,
    Check,
    Pace,
    Service,
    Standing,
    check_text,
    find_service,
    name_key,
    news_text,
    problem_of_program,
    problem_of_response,
    standing_text,
    weigh,
)
from logmonitor.testing import START

if TYPE_CHECKING:
    from datetime import datetime

SHOP = Service(name="shop", url="https://shop.example.org/health")
DISK = Service(name="disk", command=("check_disk", "-w", "10%"))


def after(minutes: float) -> datetime:
    """Return the time so many minutes after the start."""
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "service 'x': expected one of url, port and command; found none"),
        ({"url": "http://x", "port": 1}, "service 'x': expected one of url, port and command; found url and port"),
        ({"url": "http://x", "host": "y"}, "service 'x': host is only for a service with a port"),
        ({"port": 1, "status": 200}, "service 'x': status is only for a service with a url"),
        ({"command": ("a",), "status": 0}, "service 'x': status is only for a service with a url"),
        ({"port": 1, "contains": "y"}, "service 'x': contains is for a service that says something"),
        ({"url": "x"}, "service 'x': bad url; expected http"),
        ({"url": "ftp://x"}, "service 'x': bad url; expected http"),
        ({"url": "http://"}, "service 'x': bad url; expected http"),
        ({"url": "http://x:y/"}, "service 'x': bad url; expected http"),
        ({"url": "http://x:0/"}, "service 'x': bad url; expected http"),
        ({"url": "http://[::/"}, "service 'x': bad url; expected http"),
        ({"port": 0}, "service 'x': bad port 0; expected 1 to 65535"),
        ({"port": 65536}, "service 'x': bad port 65536; expected 1 to 65535"),
        ({"command": ()}, "service 'x': bad command; expected the words of a program"),
        ({"command": ("",)}, "service 'x': bad command; expected the words of a program"),
        ({"port": 1, "interval": 0.5}, "service 'x': bad interval 0.5; expected at least 1 second"),
        ({"port": 1, "interval": float("nan")}, "service 'x': bad interval nan"),
        ({"port": 1, "timeout": 0.0}, "service 'x': bad timeout 0.0; expected up to 45 seconds"),
        ({"port": 1, "timeout": LONGEST_TIMEOUT + 1}, "service 'x': bad timeout 46.0; expected up to 45 seconds"),
        ({"port": 1, "failures": 0}, "service 'x': bad failures 0; expected at least 1"),
        ({"port": 1, "successes": 0}, "service 'x': bad successes 0; expected at least 1"),
        ({"name": ""}, "bad name '' of a service"),
        ({"name": " "}, "bad name ' ' of a service"),
        ({"name": "a\nb"}, "bad name 'a␊b' of a service"),
        ({"name": "a" * 61}, "bad name"),
    ],
)
def test_service_that_cannot_be_is_refused(fields: dict[str, Any], problem: str) -> None:
    """A service that could not be asked, or never answer as expected, is not made."""
    with pytest.raises(OperationError) as caught:
        Service(**{"name": "x"} | fields)
    assert str(caught.value).startswith(problem)


def test_service_names_the_pattern_that_is_refused() -> None:
    """What no engine takes is told with the service's name, and nothing secret of a URL."""
    with pytest.raises(PatternError, match=r"^service 'x': pattern '\(' is refused"):
        Service(name="x", url="http://x", contains="(")
    with pytest.raises(OperationError) as caught:
        Service(name="x", url="htp://ann:secret@x/")
    assert "secret" not in str(caught.value)


def test_own_pace_stands_before_the_general() -> None:
    """What a service says of its own checks holds for it, all else is as for the others."""
    general = Pace(interval=30, timeout=5, failures=2, successes=4)
    assert SHOP.pace(general) == general
    own = Service(name="x", port=1, interval=10, timeout=1, failures=1, successes=2)
    assert own.pace(general) == Pace(interval=10, timeout=1, failures=1, successes=2)
    assert Service(name="x", port=1, failures=7).pace(general) == Pace(interval=30, timeout=5, failures=7, successes=4)


@pytest.mark.parametrize(
    ("service", "status", "body", "problem"),
    [
        (SHOP, 200, b"", ""),
        (SHOP, 302, b"", ""),
        (SHOP, 400, b"", "it answers with status 400"),
        (SHOP, 503, b"", "it answers with status 503"),
        (Service(name="x", url="http://x", status=401), 401, b"", ""),
        (Service(name="x", url="http://x", status=401), 200, b"", "it answers with status 200"),
        (Service(name="x", url="http://x", status=(200, 204)), 204, b"", ""),
        (Service(name="x", url="http://x", status=(200, 204)), 302, b"", "it answers with status 302"),
        (Service(name="x", url="http://x", contains='"ok": ?true'), 200, b'{"ok": true}', ""),
        (Service(name="x", url="http://x", contains="ok"), 200, b"\xff\x00ok", ""),
        (Service(name="x", url="http://x", contains="状态正常"), 200, "状态正常".encode(), ""),
        (Service(name="x", url="http://x", contains="ok"), 200, b"", "ok is not in what it says"),
        (Service(name="x", url="http://x", contains="ok"), 500, b"ok", "it answers with status 500"),
        (
            Service(name="x", url="http://x", contains="o" * 500),
            200,
            b"",
            f"{'o' * 200}… is not in what it says",
        ),
    ],
)
def test_answer_of_a_url_is_judged(service: Service, status: int, body: bytes, problem: str) -> None:
    """The status has to be an expected one, and the pattern in the body."""
    response = Response(status=status, body=body, seconds=0.1)
    assert problem_of_response(service, response, translate=str) == problem


@pytest.mark.parametrize(
    ("exit_code", "stdout", "stderr", "problem"),
    [
        (0, "", "", ""),
        (0, "anything", "a warning", ""),
        (2, "", "", "exit code 2"),
        (2, "\nDISK CRITICAL - 3% free\nmore\n", "odd", "exit code 2: DISK CRITICAL - 3% free"),
        (1, "", "Traceback:\n  x\nValueError: y\n\n", "exit code 1: ValueError: y"),
        (-9, "", "", "exit code -9"),
        (1, "a\u202eb\x1b[2J", "", "exit code 1: a\\u202eb␛[2J"),
        (1, "x" * 1000, "", f"exit code 1: {'x' * 200}…"),
    ],
)
def test_end_of_a_program_is_judged(exit_code: int, stdout: str, stderr: str, problem: str) -> None:
    """An exit code other than 0 is told with what the program says of it."""
    completed = Completed(argv=("x",), exit_code=exit_code, stdout=stdout, stderr=stderr, seconds=0.1)
    assert problem_of_program(DISK, completed, translate=str) == problem


def test_output_of_a_program_has_to_contain_the_pattern() -> None:
    """Exit code 0 is not enough where something is to be said."""
    service = Service(name="x", command=("a",), contains="^ok$")
    for stdout in ("ok", "ok\n", "almost\r\nok\r\nwell\n"):
        said = Completed(argv=("x",), exit_code=0, stdout=stdout, stderr="", seconds=0.1)
        assert problem_of_program(service, said, translate=str) == ""
    nothing = Service(name="x", command=("a",), contains="^$")
    silent = Completed(argv=("x",), exit_code=0, stdout="", stderr="ok", seconds=0.1)
    assert problem_of_program(service, silent, translate=str) == "^ok$ is not in what it says"
    assert problem_of_program(nothing, silent, translate=str) == ""


BAD = Check(problem="it hangs", seconds=10.0)
GOOD = Check(seconds=0.25)


def test_service_fails_after_so_many_in_a_row_and_recovers_after_so_many() -> None:
    """A check between that says otherwise begins the count anew; each change is news once."""
    pace = Pace(failures=3, successes=2)
    standing, news = Standing(), []
    for minute, is_good in enumerate("1011000001010110111"):
        standing, is_news = weigh(standing, GOOD if is_good == "1" else BAD, now=after(minute), pace=pace)
        news.append("!" if is_news else ".")
        if is_news and standing.since is not None:
            assert standing.since == after(4)
    assert "".join(news) == "......!.......!...."


@given(
    checks=st.lists(st.booleans()),
    failures=st.integers(1, 4),
    successes=st.integers(1, 4),
)
def test_news_alternates_and_needs_as_many_as_asked_for(checks: list[bool], failures: int, successes: int) -> None:
    """Whatever the checks say, a change is told exactly when the last so many in a row say so."""
    pace = Pace(failures=failures, successes=successes)
    standing, is_failing = Standing(), False
    since_change = 0
    for index, is_good in enumerate(checks):
        since_change += 1
        needed = successes if is_failing else failures
        last = checks[: index + 1][-min(needed, since_change) :]
        is_due = len(last) == needed and all(one == is_failing for one in last)
        standing, is_news = weigh(standing, GOOD if is_good else BAD, now=after(index), pace=pace)
        assert is_news == is_due
        if is_news:
            is_failing, since_change = not is_failing, 0
        assert (standing.since is not None) == is_failing


def test_texts_tell_of_failing_and_working_again() -> None:
    """A failure is told with what is wrong, a return with how long it lasted."""
    failing, _ = weigh(Standing(), BAD, now=after(0), pace=Pace(failures=1))
    assert news_text(SHOP, Standing(), failing, after(0), str) == "shop is failing: it hangs"
    works, _ = weigh(failing, GOOD, now=after(5), pace=Pace())
    assert news_text(SHOP, failing, works, after(5), str) == "shop works again, after 5 min"


@pytest.mark.parametrize(
    ("standing", "text"),
    [
        (Standing(), "shop: not checked yet"),
        (Standing(since=START), "shop: failing, not checked yet"),
        (Standing(last=GOOD, checked_at=after(9)), "shop: works (0.25 s), checked 1 min ago"),
        (
            Standing(last=BAD, checked_at=after(9.9), against=2),
            "shop: not working, checked 6 s ago, 2 times so far: it hangs",
        ),
        (
            Standing(last=BAD, checked_at=after(9.9), since=START),
            "shop: failing for 10 min, checked 6 s ago: it hangs",
        ),
        (
            Standing(last=GOOD, checked_at=after(9.9), since=START),
            "shop: failing for 10 min, checked 6 s ago: it works, but not for long enough",
        ),
    ],
)
def test_standing_is_told_in_a_row(standing: Standing, text: str) -> None:
    """The row says how the service stands, since when, and how fresh that is."""
    assert standing_text(SHOP, standing, after(10), str) == text


def test_check_is_told() -> None:
    """One check tells that the service works and how fast, or what is wrong."""
    assert check_text(SHOP, GOOD, str) == "shop works (0.25 s)"
    assert check_text(SHOP, BAD, str) == "shop does not work: it hangs"


def test_service_is_found_as_phones_type_it() -> None:
    """Case, width and blanks make no difference; without a name the only one is meant."""
    order_db = Service(name="Order DB", port=27017)
    for asked in ("Order DB", "order  db", "ＯＲＤＥＲ DB"):
        assert find_service((SHOP, order_db), asked) == order_db
    assert find_service((SHOP, order_db), "") is None
    assert find_service((SHOP, order_db), "orders") is None
    assert find_service((SHOP,), "") == SHOP
    assert find_service((SHOP,), "x") is None
    assert name_key(" A  b") == name_key("ａ B")
