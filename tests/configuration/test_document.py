"""TOML with `${NAME}` from the environment, and the sentences about what is wrong in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.configuration.document import Document, Finding, alternatives, expected, parse, suggestion
from logmonitor.errors import ConfigurationError

words = st.text(alphabet="abc$ {}\"'\\é好", max_size=12)


def read(text: str, **environ: str) -> Document:
    """Parse what is expected to be right."""
    document, findings = parse(text, name="bots.toml", environ=environ)
    assert findings == ()
    return document


def complaints(text: str, **environ: str) -> list[str]:
    """Parse what is expected to be wrong; return the sentences."""
    document, findings = parse(text, name="bots.toml", environ=environ)
    return [document.sentence(finding) for finding in findings]


def test_parse_puts_variables_into_texts_at_any_depth() -> None:
    """Every text, also in lists and tables, takes what the environment has; other values stay."""
    document = read('a = "x${ONE}y${TWO}"\nb = [1, "${ONE}", {c = "${TWO}"}]\nd = 1.5', ONE="1", TWO="zwei")
    assert document.values == {"a": "x1yzwei", "b": [1, "1", {"c": "zwei"}], "d": 1.5}
    assert document.written["a"] == "x${ONE}y${TWO}"


def test_parse_takes_an_escaped_variable_literally() -> None:
    """`$${` is a literal `${`; a dollar before anything else is a dollar."""
    assert read("a = 'cost: $5 $${ONE} $$ $${'", ONE="1").values == {"a": "cost: $5 ${ONE} $$ ${"}


@given(text=words)
def test_escape_round_trips(text: str) -> None:
    """Any text comes through unchanged once `${` in it is written `$${`."""
    assert read(f"a = {json.dumps(text.replace('${', '$${'), ensure_ascii=False)}").values == {"a": text}


def test_parse_names_key_and_variable_that_is_not_set() -> None:
    """A variable that is missing, empty or no text is found with its key; the value is shown as written."""
    text = '[chat]\ntoken = "${TOKEN}"\nhost = "${HOST}:1"\n[[watch]]\nlog = ["a", "${LOG}"]'
    assert complaints(text, HOST="", LOG="\udcff") == [
        "bots.toml: [chat] token = '[redacted]': environment variable TOKEN is not set",
        "bots.toml: [chat] host = '${HOST}:1': environment variable HOST is set but empty",
        "bots.toml: [[watch]] #1 log #2 = '${LOG}': environment variable LOG is not UTF-8",
    ]


@pytest.mark.parametrize("broken", ["${}", "${1}", "${a-b}", "${a"])
def test_parse_refuses_a_broken_variable(broken: str) -> None:
    """What begins like a variable but is none is found, not passed on."""
    assert complaints(f'a = "{broken}"') == [
        f"bots.toml: a = '{broken}': expected ${{NAME}}, or $${{ for a literal ${{"
    ]


def test_is_unset_holds_for_the_place_and_what_contains_it() -> None:
    """A list with an unset text is unset, its sisters are not."""
    document, _ = parse('a = ["x", "${NO}"]\nb = "x"', name="bots.toml", environ={})
    assert [document.is_unset(place) for place in ((), ("a",), ("a", 1), ("a", 0), ("b",))] == [
        True,
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[bot]\nname = "a\nb', "bots.toml: line 2, column 10: not valid TOML: illegal character '\\n'"),
        ("[bot]\nname", "bots.toml: line 2, column 5: not valid TOML: expected '=' after a key in a key/value pair"),
        ("a = 1\na = 2\n", "bots.toml: line 2, column 6: not valid TOML: cannot overwrite a value"),
        ("a = " + "[" * 5000, "bots.toml: not valid TOML: nested too deeply"),
    ],
)
def test_parse_tells_where_the_syntax_is_wrong(text: str, sentence: str) -> None:
    """A syntax error names line and column, the end of the text included."""
    with pytest.raises(ConfigurationError) as caught:
        parse(text, name="bots.toml", environ={})
    assert str(caught.value) == sentence


def test_parse_tells_of_a_number_too_large() -> None:
    """What the parser refuses without a position is told without one."""
    with pytest.raises(ConfigurationError, match=r"^bots.toml: not valid TOML: exceeds the limit"):
        parse("a = " + "9" * 5000, name="bots.toml", environ={})


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), "bots.toml: wrong"),
        (("bot",), "bots.toml: [bot]: wrong"),
        (("bot", "on"), "bots.toml: [bot] on = true: wrong"),
        (("bot", "off"), "bots.toml: [bot] off = false: wrong"),
        (("bot", "born"), "bots.toml: [bot] born = 2026-11-20: wrong"),
        (("bot", "none"), "bots.toml: [bot] none: wrong"),
        (("watch",), "bots.toml: [[watch]]: wrong"),
        (("watch", 1), "bots.toml: [[watch]] #2: wrong"),
        (("watch", 1, "log", 0), "bots.toml: [[watch]] #2 log #1 = 'x': wrong"),
        (("watch", 9, "log"), "bots.toml: [[watch]] #10 log: wrong"),
        (("bot", "below", "deep"), "bots.toml: [bot.below] deep = 2: wrong"),
        (("bot", "below", "odd key", 0), "bots.toml: [bot.below] 'odd key' #1 = 3: wrong"),
        (("bot", "below"), "bots.toml: [bot.below]: wrong"),
        (("absent", "key"), "bots.toml: [absent] key: wrong"),
        (("top",), "bots.toml: top = 1: wrong"),
        (("odd key\n",), "bots.toml: 'odd key\\n' = 'x': wrong"),
        (("long",), f"bots.toml: long = '{'l' * 75} ...': wrong"),
        (("api_key",), "bots.toml: api_key = '[redacted]': wrong"),
    ],
)
def test_sentence_names_file_key_and_value(location: tuple[str | int, ...], text: str) -> None:
    """A finding is told on one line, as a reader of TOML would say the place; secrets are not shown."""
    document = read(
        f'top = 1\n"odd key\\n" = "x"\nlong = "{"l" * 100}"\napi_key = "k"\n'
        "[bot]\non = true\noff = false\nborn = 2026-11-20\n"
        "[bot.below]\ndeep = 2\n'odd key' = [3]\n[[watch]]\n[[watch]]\nlog = ['x']\n"
    )
    assert document.sentence(Finding(location=location, text="wrong")) == text


def test_sentence_hides_a_value_on_request() -> None:
    """A finding about the key itself shows no value."""
    document = read("a = 1")
    assert document.sentence(Finding(location=("a",), text="wrong", shows_value=False)) == "bots.toml: a: wrong"


def test_error_lists_each_finding_on_its_line() -> None:
    """One error tells everything."""
    findings = [Finding(location=("a",), text="wrong"), Finding(location=("b",), text="missing")]
    assert str(read("a = 1").error(findings)) == "bots.toml: a = 1: wrong\nbots.toml: b: missing"


@given(
    secret=st.text(alphabet="abcX$ \"'\\\n\té好", min_size=3),
    wrap=st.sampled_from(["{}", "it's {}", 'a "{}"', "'{}' and \"{}\""]),
    quote=st.sampled_from([str, repr, json.dumps]),
)
def test_scrub_leaves_no_secret(secret: str, wrap: str, quote: type[str]) -> None:
    """Whichever way another's message quotes a value from the environment, its name stands there instead."""
    document = read('a = "${SECRET}"', SECRET=secret)
    scrubbed = document.scrub(quote(wrap.format(secret, secret)))
    assert "${SECRET}" in scrubbed
    assert secret not in scrubbed.replace("${SECRET}", "\0")
    assert "\n" not in scrubbed


def test_scrub_replaces_the_longer_secret_first() -> None:
    """A secret that contains another is replaced whole, and no name put in is replaced again."""
    document = read('a = "${LONG}${SHORT}"', LONG="abcdef", SHORT="LONG")
    assert document.scrub("abcdef LONG\nxyz") == "${LONG} ${SHORT} xyz"


def test_scrub_hides_what_a_key_calls_a_secret() -> None:
    """A secret that the document itself holds is hidden too; a value of a few letters is taken for none."""
    document = read('[chat]\ntoken = "hunter22"\npin_key = "abc"\n[[x]]\npassword = ["one-${PIN}"]', PIN="1234")
    assert document.scrub("'hunter22' abc one-1234 1234") == "'[redacted]' abc [redacted] ${PIN}"
    assert document.secrets() == ("hunter22", "one-1234")


def test_plain_secrets_are_those_without_a_variable() -> None:
    """What stands in the document is told by its key; what comes from the environment, is empty or no secret is not."""
    document, _ = parse(
        '[chat]\ntoken = "$${hunter}"\nother_token = "${T}"\nsecret = ""\nkey = 1\nname = "x"\n'
        '[[operation]]\n[[operation]]\npasswords = ["a", "x-${T}"]\n',
        name="bots.toml",
        environ={},
    )
    assert document.plain_secrets() == ("[chat] token", "[[operation]] #2 passwords #1")
    assert document.secrets() == ("${hunter}",)


def test_secrets_are_urls_of_second_channels_and_no_rules() -> None:
    """Where a second channel leads is a secret; a rule on a command that sounds like one is none."""
    document = read(
        'url = "http://example.org"\n[security.rules]\nnew_password = ["totp"]\n'
        '[[second_channel]]\nadmin = "me"\nurl = "ntfys://one"\n[[second_channel]]\nurl = "ntfys://${TOPIC}"\n',
        TOPIC="two",
    )
    place = ("second_channel", 0, "url")
    assert document.secrets() == ("ntfys://one", "ntfys://two")
    assert document.plain_secrets() == ("[[second_channel]] #1 url",)
    assert document.sentence(Finding(location=place, text="wrong")) == (
        "bots.toml: [[second_channel]] #1 url = '[redacted]': wrong"
    )


def test_scrub_without_secrets_only_joins_lines() -> None:
    """A message of several lines becomes one."""
    assert read("a = 1").scrub("one\n  two") == "one two"


def test_suggestion_finds_what_was_meant() -> None:
    """One slip of the fingers, another case or the beginning of a word is understood; anything else is not."""
    known = ["name", "log", "language", "self_log"]
    meant = {word: suggestion(word, known) for word in ("lgo", "lo", "Nmae", "LANG", "la", "selflog", "zzz", "")}
    assert meant == {
        "lgo": "log",
        "lo": "log",
        "Nmae": "name",
        "LANG": "language",
        "la": None,
        "selflog": "self_log",
        "zzz": None,
        "": None,
    }


def test_expected_lists_what_there_is() -> None:
    """Without a likely choice all are named, up to a dozen."""
    assert expected("x", ["name", "log"]) == "expected 'log' or 'name'"
    assert expected("x", ["name", "log"], other="none") == "expected 'log', 'name' or none"
    assert expected("nam", ["name", "log"], other="none") == "did you mean 'name'?"
    assert expected("x", []) == "there is none"
    assert expected("x", [f"n{index:02}" for index in range(20)]).endswith("'n11' or ...")


def test_alternatives_join_with_or() -> None:
    """One stands alone, the last of several behind `or`."""
    assert [alternatives(["a"]), alternatives("ab"), alternatives("abc")] == ["a", "a or b", "a, b or c"]
