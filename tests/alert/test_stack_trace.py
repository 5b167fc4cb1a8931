"""Stack traces in a log, as Python, Java, Node and Go write them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from logmonitor.alert.alerting import Alert, flush, gather, line_rules
from logmonitor.alert.stack_trace import TRACE_PATTERN, Role, role_of
from logmonitor.pattern import compile_pattern
from logmonitor.records import Line
from logmonitor.scan import Scanner

TRACES = Path(__file__).parent.parent / "data" / "traces"
LOG = Path("bob.log")


def seen(texts: list[str], match: str) -> list[Line]:
    """Return the lines that an operation would be given."""
    patterns = compile_pattern(match), compile_pattern(TRACE_PATTERN)
    return [
        Line(raw=text.encode(), offset=0, number=number)
        for number, text in enumerate(texts, start=1)
        if any(pattern.search(text) for pattern in patterns)
    ]


def alerts_of(texts: list[str], match: str = "ERR", ignore: str | tuple[str, ...] = ()) -> list[Alert]:
    """Return the alerts of a log that has ended."""
    block, alerts = gather(None, LOG, seen(texts, match), rules=line_rules(match, ignore), now=0.0)
    _none, late = flush({} if block is None else {LOG: block}, now=None)
    return [*alerts, *late]


def told(texts: list[str], match: str = "ERR", ignore: str | tuple[str, ...] = ()) -> list[tuple[int, str, str]]:
    """Return of each alert how many lines it has, and its first and last."""
    found = alerts_of(texts, match, ignore)
    return [(len(alert.lines) + alert.left_out, alert.lines[0], alert.lines[-1]) for alert in found]


def log(name: str) -> list[str]:
    """Return the lines of a sample."""
    return (TRACES / f"{name}.log").read_text(encoding="utf-8").splitlines()


def test_traces_of_python_are_one_alert_each() -> None:
    """Chained ones, and those of a thread, a group, a task and the compiler; a line that stands before is not."""
    assert told(log("python"), "ERROR|Error") == [
        (18, "2026-11-20 12:00:00,391 - root - ERROR - request 4711 failed", "ValueError: order 7 is bad"),
        (1, *["2026-11-20 12:00:00,394 - root - ERROR - giving up"] * 2),
        (19, "Exception in thread Thread-1 (thread):", "ZeroDivisionError: division by zero"),
        (10, "2026-11-20 12:00:00,397 - root - ERROR - a group", "    +------------------------------------"),
        (
            7,
            "2026-11-20 12:00:00,437 - asyncio - ERROR - Task exception was never retrieved",
            "RuntimeError: in task 5",
        ),
        (6, "Traceback (most recent call last):", "SyntaxError: invalid syntax"),
    ]


def test_traces_of_java_are_one_alert_each() -> None:
    """Causes and what was suppressed belong to them."""
    assert told(log("java"), "ERROR|Exception") == [
        (19, "2026-11-20 12:00:00,123 ERROR [main] o.e.Orders - request 4711 failed", "\t... 9 more"),
        (1, *["2026-11-20 12:00:00,125 ERROR [main] o.e.Orders - giving up"] * 2),
        (
            27,
            'Exception in thread "main" java.lang.RuntimeException: cannot save order 17',
            "\tat jdk.compiler/com.sun.tools.javac.launcher.Main.main(Main.java:132)",
        ),
    ]


def test_traces_of_node_are_one_alert_each() -> None:
    """Those with properties and causes, and of an error that nobody caught, with its source line."""
    assert told(log("node"), "ERR |Error|Rejection") == [
        (
            5,
            "12:00:00 ERR StarterBot onError: TypeError: cannot read 3",
            "    at async asyncRunEntryPointWithESMLoader (node:internal/modules/run_main:117:5)",
        ),
        (13, "Error: connect ECONNREFUSED 127.0.0.1:8788", "}"),
        (1, *["12:00:01 ERR StarterBot again"] * 2),
        (9, "file:///srv/bot/t.js:4", "Node.js v20.20.2"),
        (10, "node:internal/process/promises:389", "Node.js v20.20.2"),
    ]


def test_traces_of_go_are_one_alert_each() -> None:
    """All goroutines of a panic belong to it."""
    assert told(log("go"), "panic") == [
        (
            12,
            log("go")[1],
            "\t/usr/local/go/src/net/http/server.go:3086 +0x5cb",
        ),
        (15, "panic: assignment to entry in nil map [recovered]", "exit status 2"),
    ]


@pytest.mark.parametrize("name", ["python", "java", "node", "go"])
def test_trace_is_one_alert_whichever_of_its_lines_matches(name: str) -> None:
    """Of whatever line somebody wants to hear, the trace around it comes with it, from its beginning."""
    whole = {alert.lines[0]: alert for alert in alerts_of(log(name), "ERR|Error|Exception|panic|Rejection|File|at ")}
    for first, alert in whole.items():
        for line in alert.lines[1:]:
            if line.strip("^~ })"):
                match = rf"^\Q{line}\E$"
                found = [one for one in alerts_of(log(name), match) if line in one.lines]
                assert found, (first, line)
                is_plain = role_of(first) is Role.PLAIN  # then nothing tells that it belongs to what follows
                assert is_plain or first in {one.lines[0] for one in found}, (first, line)


@pytest.mark.parametrize("name", ["python", "java", "node", "go"])
def test_every_line_of_a_trace_is_looked_for(name: str) -> None:
    """What may be a part of a trace is among the lines that are asked for, also in colours and behind pm2's stamp."""
    pattern = compile_pattern(TRACE_PATTERN)
    for text in log(name):
        if role_of(text) not in {Role.PLAIN, Role.SOURCE}:
            for shown in (text, f"\x1b[90m{text}\x1b[39m", f"2026-11-20T12:00:00: {text}"):
                assert pattern.search(shown), shown


def test_trace_behind_stamps_is_one_alert() -> None:
    """pm2 puts a time before every line of a trace."""
    for stamp in ("2026-11-20T12:00:00: ", "2026-11-20 12:00:00 +08:00: ", "2026-11-20 12:00:00.123Z: "):
        texts = [stamp + text for text in log("node")]
        assert [lines for lines, _, _ in told(texts, "ERR |Error|Rejection")] == [5, 13, 1, 9, 10], stamp


def test_patterns_for_traces_keep_the_fast_engine() -> None:
    """The pattern is one that hyperscan takes, where there is one."""
    assert Scanner((TRACE_PATTERN, "ERROR")).engine == Scanner(("ERROR",)).engine


def test_lines_next_to_each_other_are_no_trace() -> None:
    """Errors in a row are an alert each, those that only say what was raised too, and those that stand indented."""
    texts = ["12:00:00 ERR a", "12:00:00 ERR b", "  12:00:00 ERR c", "ERRError: d", "ERRError: e", "x.ERRError: f"]
    assert [first for _, first, _ in told(texts)] == ["12:00:00 ERR a", "12:00:00 ERR b", *texts[2:4], *texts[4:]]


def test_traces_in_a_row_are_an_alert_each() -> None:
    """An error behind the frames of another one is a new one, unless Python has announced it."""
    texts = ["Error: a 1", "    at x (y.js:1:2)", "Error: b 2", "    at x (y.js:1:2)", "Error: b 3"]
    assert [first for _, first, _ in told(texts, "Error")] == ["Error: a 1", "Error: b 2", "Error: b 3"]


def test_trace_with_a_gap_is_not_one() -> None:
    """Where a line stands between that belongs to no trace, the trace is over."""
    texts = ["12:00 ERR a", "12:00 INFO b", "    at x (y.js:1:2)", "12:00 ERR c"]
    assert told(texts) == [(1, texts[0], texts[0]), (1, texts[3], texts[3])]


def test_object_behind_a_brace_belongs_to_the_alert() -> None:
    """What Node prints of an object over several lines stays together."""
    texts = ["connection ERRored {", "  code: 1,", "  inner: {", "    a: 2", "  }", "}", "12:00 INFO x"]
    assert told(texts) == [(6, texts[0], "}")]


def test_blank_lines_do_not_end_in_an_alert() -> None:
    """Blank lines behind a trace are none of it, and many of them end it."""
    opening, raised = "Traceback (most recent call last):", "ERRError: a"
    texts = [opening, '  File "a.py", line 1, in b', raised, "", "12:00 INFO c"]
    assert told(texts) == [(3, opening, raised)]
    texts = ["goroutine 1 [running]:", "main.ERR()", "\t/a.go:1", "", "", "", "goroutine 2 [running]:", "main.ERR()"]
    assert [first for _, first, _ in told(texts)] == ["goroutine 1 [running]:", "goroutine 2 [running]:"]


def test_trace_behind_a_prefix_begins_with_it() -> None:
    """A record that opens a trace on its own line is a new one, whatever stands before it."""
    texts = ["ERR a", "ERR root Traceback (most recent call last):", '  File "a", line 1', "ValueError: x", "ERR b"]
    assert told(texts) == [(1, "ERR a", "ERR a"), (3, texts[1], texts[3]), (1, "ERR b", "ERR b")]


def test_trace_that_is_ignored_is_no_alert() -> None:
    """A trace in which a line is to be ignored is left out as a whole, and nothing else is."""
    texts = log("python")
    assert [first for _, first, _ in told(texts, "ERROR", "^ValueError: order")] == [
        first for _, first, _ in told(texts, "ERROR")[1:]
    ]
    assert told(["ERR a", "ERR b"], "ERR", ("a$", "c$")) == [(1, "ERR b", "ERR b")]


def test_trace_that_a_stranger_began_swallows_no_alert() -> None:
    """What is wanted itself is told, although what stands before it is ignored and awaits a line like it."""
    forged = ["INFO said hi", "Traceback (most recent call last):", "  DeprecationWarning"]
    for wanted in ("ERROR:root:database lost", "DatabaseError: lost", "  ERROR indented"):
        found = told([*forged, wanted, "INFO x"], "(?i)error", "DeprecationWarning")
        assert found == [(1, wanted, wanted)]
    frames = ['  File "a.py", line 1, in b', "DeprecationWarning: Error"]
    assert told([*forged, *frames, "INFO x"], "Error", "DeprecationWarning") == []


@pytest.mark.parametrize("stamp", ["", "2026-11-20T12:00:00: "])
@pytest.mark.parametrize("before", ["Traceback (most recent call last):", "/srv/a.js:1", "ERR a {", "ERR a"])
def test_line_that_an_alert_quotes_is_no_alert(before: str, stamp: str) -> None:
    """What a twin told of, and its log shows again, is neither told nor a part of what stands before it."""
    texts = [before, *(f"{stamp}> {text}" for text in ("ERR b", "ERRError: c", "    at x (y.js:1:2)")), "ERR d"]
    own = [(1, before, before)] if "ERR" in before else []
    assert told(texts) == [*own, (1, "ERR d", "ERR d")]
    assert told(["\x1b[31m> ERR b\x1b[39m", ">ERR c"]) == [(1, ">ERR c", ">ERR c")]


def test_colours_do_not_hide_a_trace() -> None:
    """ANSI sequences are left out of what is told."""
    texts = ["\x1b[31mERR\x1b[39m a", "\x1b[90m    at x (y.js:1:2)\x1b[39m"]
    assert [alert.lines for alert in alerts_of(texts)] == [("ERR a", "    at x (y.js:1:2)")]


def test_long_trace_keeps_its_beginning_and_its_end() -> None:
    """Of a trace of any length a few lines are kept."""
    texts = ["ERR a", *(f"    at x (y.js:{number}:1)" for number in range(5000)), "12:00 INFO b"]
    (alert,) = alerts_of(texts)
    assert (len(alert.lines), alert.head, alert.left_out) == (14, 8, 4987)
    assert alert.lines[-1] == "    at x (y.js:4999:1)"


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a." * 100_000, "(" * 200_000, " " * 200_000, "A$" * 99_999, "^" * 200_000]
)
def test_role_of_a_huge_line_is_found_at_its_beginning(text: str) -> None:
    """Whatever stands in a line, only its beginning is looked at."""
    assert role_of(text) is role_of(text[:1000])


def test_role_of_an_exception_is_told_by_its_whole_name() -> None:
    """The word that says so may stand anywhere in its last part."""
    for text in ("Error: a", "a.MyErrorOfB: c", "[a.b.Failure]", "Uncaught Exception", "TypeError [CODE]: a"):
        assert role_of(text) is Role.EXCEPTION, text
    for text in ("Error a", "a.Error.b: c", "TypeError [CO DE]: a", "Error" * 190 + "!"):
        assert role_of(text) is not Role.EXCEPTION, text


def test_role_of_a_hostile_line_is_found_in_linear_time() -> None:
    """Where a word repeats what exceptions are called by, each repetition is looked at a few times only."""
    code = (
        "import resource\n"
        "from logmonitor.alert.stack_trace import role_of\n"
        "resource.setrlimit(resource.RLIMIT_CPU, (30, 30))\n"
        "for _ in range(20_000):\n"
        "    role_of('Error' * 200 + '!')\n"
        "    role_of('Error' * 199 + ' [x')\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
