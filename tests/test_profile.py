"""Profiles: every shipped rule matches its example, a user's file is read whole, a bad one is told what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from logmonitor.errors import ProfileError
from logmonitor.lines import Rest, cut, finish
from logmonitor.profile import Framing, JsonFraming, Profile, Rule, parse_profile
from logmonitor.profile_folder import load_profile, load_profiles
from logmonitor.reading.choice import choose_profile
from logmonitor.reading.recognition import (
    compile_profile,
    find,
    leading_literal,
    plain,
    recognisers_of,
    stamp_of,
    text_start,
)
from logmonitor.records import EventKind

if TYPE_CHECKING:
    from logmonitor.records import Chunk

DATA = Path(__file__).parent / "data"
PROFILES = load_profiles()
EVENTS = [
    pytest.param(profile, rule, line, id=f"{profile.name}-{rule.kind}-{number}")
    for profile in PROFILES.values()
    for number, rule in enumerate(profile.events)
    for line in rule.examples
]
MINIMAL = """
title = "My bot"
[[event]]
kind = "login"
pattern = "logged in"
"""


def chunks_of(data: bytes, path: Path = Path("bot.log")) -> list[Chunk]:
    """Cut a whole file into chunks."""
    rest, chunks = cut(Rest(), data, path=path)
    return [*chunks, *finish(rest, path=path)[1]]


def sample(name: str) -> list[Chunk]:
    """Return a sample as chunks."""
    return chunks_of((DATA / name).read_bytes(), DATA / name)


def test_load_profiles_has_every_family() -> None:
    """The families whose logs are known are shipped."""
    assert list(PROFILES) == [
        "astrbot",
        "baileys",
        "cow",
        "go-cqhttp",
        "hermes",
        "itchat-uos",
        "lagrange",
        "langbot",
        "napcat",
        "openclaw-weixin",
        "python-wechaty",
        "wechat4u",
        "wechaty-ts",
        "wecom-aibot-sdk",
        "whatsapp-web.js",
        "whatsmeow",
    ]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_shipped_profile_shows_a_line_for_each_rule(profile: Profile) -> None:
    """Every rule has an example, and every family tells of logins and logouts or proves the one by traffic."""
    assert all(rule.examples for rule in (*profile.events, *profile.messages, *profile.signs))
    kinds = {rule.kind for rule in profile.events}
    assert EventKind.LOGOUT in kinds
    assert EventKind.LOGIN in kinds or profile.traffic_is_login


@pytest.mark.parametrize(("profile", "rule", "line"), EVENTS)
def test_event_rule_matches_its_example(profile: Profile, rule: Rule, line: str) -> None:
    """A rule's example is found by its scanner and read as its kind, also with blanks behind it."""
    compiled = compile_profile(profile)
    is_traffic = rule.kind is EventKind.TRAFFIC
    scanner = compiled.traffic() if is_traffic else compiled.marks
    recognisers = compiled.traffic_recognisers if is_traffic else compiled.recognisers
    for shown in (line, f"{line}  "):
        (candidate,) = scanner.candidates(chunks_of(f"{shown}\n".encode())[0])
        finding = find(candidate.text, recognisers, profile.framing)
        assert finding is not None
        assert finding.rule.kind is rule.kind


@pytest.mark.parametrize(("profile", "rule", "line"), [one for one in EVENTS if str(one.values[2]).startswith("{")])
def test_event_rule_matches_json_in_escapes(profile: Profile, rule: Rule, line: str) -> None:
    r"""A JSON line that writes its Chinese as `\u...`, in either case, is found by its hint as well."""
    escaped = json.dumps(json.loads(line))
    compiled = compile_profile(profile)
    scanner = compiled.traffic() if rule.kind is EventKind.TRAFFIC else compiled.marks
    for shown in (escaped, escaped.replace("\\u4e8c\\u7ef4", "\\u4E8C\\u7EF4")):
        assert [hit.text for hit in scanner.candidates(chunks_of(shown.encode())[0])] == [shown]


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_message_and_sign_rules_match_their_examples(profile: Profile) -> None:
    """A message's example is a message record, a sign's example is known."""
    compiled = compile_profile(profile)
    assert all(text_start(line, compiled) is not None for rule in profile.messages for line in rule.examples)
    signs = recognisers_of(profile.signs, profile.framing)
    assert all(find(line, signs, profile.framing) for rule in profile.signs for line in rule.examples)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=PROFILES)
def test_examples_of_a_family_choose_it(profile: Profile) -> None:
    """A log that holds a family's own examples is of that family for `auto`."""
    lines = [line for rule in profile.events for line in rule.examples]
    choice = choose_profile(PROFILES, chunks_of("\n".join(lines).encode()))
    assert choice.profile is not None
    assert choice.profile.name == profile.name


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("wechaty-ts.real.log", "wechaty-ts"),
        ("wechaty-ts.injection.real.log", "wechaty-ts"),
        ("python-wechaty.real.log", "python-wechaty"),
        ("itchat-uos.real.log", "itchat-uos"),
        ("openclaw-weixin.real.jsonl", "openclaw-weixin"),
        ("openclaw-weixin.stdout.real.log", "openclaw-weixin"),
        ("baileys-errored.real.log", "baileys"),
    ],
)
def test_choose_profile_knows_the_samples(name: str, family: str) -> None:
    """Every log that real software wrote is recognised."""
    choice = choose_profile(PROFILES, sample(name))
    assert choice.profile is PROFILES[family]
    assert choice.scores[0][0] == family


WECHATY = "22:44:35 INFO StarterBot {}\n"
SPOKEN = WECHATY.format("Message#Text[🗣Contact<Eve>]\t\n{}")
READY = SPOKEN.format("READY\n" * 11)


@pytest.mark.parametrize(
    ("log", "family"),
    [
        (WECHATY.format("Starter Bot") * 1000 + READY * 8, "wechaty-ts"),
        (WECHATY.format("Contact<Bob> login") + READY * 300, "wechaty-ts"),
        (WECHATY.format("Starter Bot") + SPOKEN.format("09-08 16:30:00 [info] B | 接收 <- x") * 300, "wechaty-ts"),
        (WECHATY.format("Message: READY\nREADY\nREADY") + WECHATY.format("Starter Bot") * 6, "wechaty-ts"),
        (
            "09-08 16:30:00 [info] Bob | 接收 <- x\n"
            + WECHATY.format("Contact<Bob> login") * 30
            + "09-08 16:30:01 [info] Bob | 接收 <- x\n",
            "napcat",
        ),
        ("Login successfully as Bob\n收到 hi\nLOG OUT!\n", "itchat-uos"),
        (WECHATY.format("Contact<\udcff> login") + SPOKEN.format("\udcff\nREADY\n" * 7) * 9, "wechaty-ts"),
        ("Login successfully as Bob\n" + WECHATY.format("x") + "LOG OUT!\n", "itchat-uos"),
    ],
)  # fmt: skip
def test_choose_profile_is_not_talked_into_a_family(log: str, family: str) -> None:
    """What strangers write counts for no family but that whose log shows it, nor do bare lines among framed ones."""
    choice = choose_profile(PROFILES, chunks_of(log.encode("utf-8", "surrogateescape")))
    assert choice.profile is PROFILES[family]


def test_choose_profile_is_not_talked_into_a_family_from_the_middle_of_a_log() -> None:
    """Where reading began inside a message, its rest makes no family; a longer log is judged by the whole ones."""
    rest = "09-08 16:30:00 [info] B | 接收 <- x\n" + "READY\n" * 9
    data = (rest + WECHATY.format("Contact<Bob> login") * 4 + SPOKEN.format("READY\nREADY") * 3000).encode()
    (chunk,) = chunks_of(data)
    later = replace(chunk, start_offset=5000, end_offset=5000 + len(data))
    assert choose_profile(PROFILES, [later]).profile is PROFILES["wechaty-ts"]


def test_choose_profile_takes_each_file_for_itself() -> None:
    """A message at the end of one file makes no line of another suspect, in whatever pieces they come."""
    talk, login = SPOKEN.format("hi").encode(), b"Login successfully as Bob\nLOG OUT!\n" * 3
    pieces = [
        *chunks_of(talk[:90] + b"\n", Path("a.log")),
        *chunks_of(login, Path("b.log")),
        replace(chunks_of(login)[0], truncated=True),
        replace(chunks_of(login)[0], start_offset=len(login), end_offset=2 * len(login)),
    ]
    assert choose_profile(PROFILES, pieces).profile is PROFILES["itchat-uos"]


def test_choose_profile_asks_where_none_fits() -> None:
    """A log that no family writes chooses nothing, and the reason lists the families."""
    choice = choose_profile(PROFILES, chunks_of(b"hello\nworld\n"))
    assert (choice.profile, choice.scores) == (None, ())
    assert choice.reason.startswith("no profile fits this log; name one of astrbot, baileys, ")


def test_choose_profile_asks_where_two_fit() -> None:
    """Two families that know the same lines tie, and the reason names both."""
    twins = {name: parse_profile(MINIMAL, name=name, source=name) for name in ("one", "two")}
    choice = choose_profile(twins, chunks_of(b"logged in\n"))
    assert (choice.profile, choice.scores) == (None, (("one", 10), ("two", 10)))
    assert choice.reason == "the profiles one and two fit this log equally well; name one of them"


def test_load_profiles_prefers_the_users_own(tmp_path: Path) -> None:
    """A user's file of the same name wins, one of a new name is added, and a folder that is not there holds none."""
    (tmp_path / "cow.toml").write_text(MINIMAL)
    (tmp_path / "mine.toml").write_text(MINIMAL)
    (tmp_path / "notes.txt").write_text("no profile")
    found = load_profiles(tmp_path, tmp_path / "nowhere")
    assert [found["cow"].title, found["mine"].title] == ["My bot", "My bot"]
    assert load_profile("mine", tmp_path) == found["mine"]
    assert set(found) - set(PROFILES) == {"mine"}


def test_load_profile_suggests_a_name() -> None:
    """A name that is not known is answered with the one that was meant."""
    with pytest.raises(ProfileError, match=r"unknown profile 'wechatyts'; did you mean 'wechaty-ts'\?"):
        load_profile("wechatyts")


def test_load_profiles_says_what_it_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is no text, one that cannot be read, and a folder that cannot be listed are named."""
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match=r"mine\.toml: not UTF-8"):
        load_profiles(tmp_path)
    (tmp_path / "mine.toml").unlink()
    (tmp_path / "mine.toml").mkdir()
    with pytest.raises(ProfileError, match=r"cannot read the profile '.*mine\.toml': Is a directory"):
        load_profiles(tmp_path)

    def refuse(_self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(ProfileError, match=r"cannot read the folder '.*': Permission denied"):
        load_profiles(tmp_path)


def test_parse_profile_reads_every_key() -> None:
    """All that a profile can say is read."""
    text = """
        title = "My bot"
        message_cut = 70
        text_after = "]"
        genuine = "2@.*"
        qr_life = [60, 20]
        qr_file = "qr.png"
        traffic_is_login = true
        margin = 2.5
        [framing]
        prefix = '(?P<time>\\S+) (?P<level>\\S+) (?P<name>\\S+) '
        time_format = "%H:%M"
        strip_ansi = false
        json = { message = "msg", time = "a.b" }
        [[event]]
        kind = "scan"
        pattern = "scan (?P<qr>.*)"
        where = { level = "30" }
        hint = "scan"
        qr_field = "qr"
        qr_from = "file"
        example = ["one", "two"]
        [[message]]
        pattern = "said (?P<text>.*)"
        anywhere = true
        [[sign]]
        pattern = "hello"
    """
    profile = parse_profile(text, name="mine", source="mine.toml")
    assert (profile.message_cut, profile.qr_life, profile.margin) == (70, (60.0, 20.0), 2.5)
    assert (profile.text_after, profile.messages[0].anywhere) == ("]", True)
    assert profile.framing == Framing(
        prefix=r"(?P<time>\S+) (?P<level>\S+) (?P<name>\S+) ",
        time_format="%H:%M",
        strip_ansi=False,
        json=JsonFraming(message="msg", time="a.b"),
    )
    assert profile.events == (
        Rule(
            kind=EventKind.SCAN,
            pattern="scan (?P<qr>.*)",
            where=(("level", "30"),),
            hint="scan",
            qr_field="qr",
            qr_from="file",
            examples=("one", "two"),
        ),
    )


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("title", "titel", "unknown key 'titel'; did you mean 'title'?"),
        ('title = "My bot"', "", "title is missing; expected a text"),
        ('title = "My bot"', 'title = " "', "title is ' '; expected a text that is not empty"),
        (
            'title = "My bot"',
            "title = 'x'\nmessage_cut = 0",
            "message_cut is 0; expected a number of characters above 0",
        ),
        ('title = "My bot"', "title = 'x'\nmessage_cut = 70", "message_cut is 70 without any [[message]]"),
        ('title = "My bot"', "title = 'x'\ntext_after = ':'", "text_after is ':' without message_cut; expected both"),
        ('title = "My bot"', "title = 'x'\nqr_life = []", "qr_life is []; expected a list of seconds"),
        ('title = "My bot"', "title = 'x'\nqr_life = [0]", "qr_life is [0]; expected seconds above 0"),
        ('title = "My bot"', "title = 'x'\nmargin = true", "margin is True; expected seconds above 0"),
        ('title = "My bot"', "title = 'x'\ntraffic_is_login = 1", "traffic_is_login is 1; expected true or false"),
        ('title = "My bot"', "title = 'x'\nframing = 1", "framing is 1; expected a table"),
        ('title = "My bot"', "title = 'x'\nsign = [1]", "sign is [1]; expected tables, each under a heading"),
        ('title = "My bot"', "title = 'x'\ngenuine = '(?=x)'", "genuine: pattern '(?=x)' is refused: lookahead"),
        ('title = "My bot"', "title = 'x'\ngenuine = '(?P<a>x)'", "genuine is '(?P<a>x)'; expected no groups"),
        ('title = "My bot"', "title = 'x'\nframing.json = {}", "framing.json.message is missing; expected a text"),
        ('title = "My bot"', "title = 'x'\nframing.time_format = 'iso'", "framing.time_format and the group 'time'"),
        ('title = "My bot"', "title = 'x'\nframing.time_format = '%Y'", "expected 'iso' or a format such as"),
        ('title = "My bot"', "title = 'x'\nframing.time_format = '%H %Q'", "expected a format that strptime reads"),
        ('kind = "login"', 'kind = "logn"', "event[1].kind is 'logn'; expected scan, scanned, expired, login, logout"),
        ('kind = "login"', "", "event[1].kind is missing; expected scan, scanned, "),
        ('pattern = "logged in"', "", "event[1].pattern is missing; expected a pattern"),
        ('pattern = "logged in"', "pattern = 1", "event[1].pattern is 1; expected a pattern"),
        ('pattern = "logged in"', "pattern = '(?P<x>a)'", "no named group 'x': only qr and user mean something here"),
        (
            'pattern = "logged in"',
            "pattern = 'a'\nhint = 'b'",
            "event[1].hint is about JSON records; expected [framing",
        ),
        ('pattern = "logged in"', "pattern = 'a'\nqr_from = 'web'", "is 'web'; expected line, next_line or file"),
        ('pattern = "logged in"', "pattern = 'a'\nqr_from = 'file'", "qr_file is missing; expected the image's name"),
        ('pattern = "logged in"', "pattern = 'a'\nexample = []", "event[1].example is []; expected a line, or a list"),
        ('pattern = "logged in"', "pattern = ", "no valid TOML: "),
        (MINIMAL, "title = 'x'", "event is missing; expected at least one [[event]]"),
    ],
)
def test_parse_profile_says_what_is_wrong(old: str, new: str, sentence: str) -> None:
    """An error names the file, the key, the value and what was expected."""
    with pytest.raises(ProfileError) as caught:
        parse_profile(MINIMAL.replace(old, new), name="mine", source="mine.toml")
    assert str(caught.value).startswith("mine.toml: ")
    assert sentence in str(caught.value)


def test_parse_profile_refuses_the_name_auto() -> None:
    """No profile may be called as what asks for the one that fits."""
    with pytest.raises(ProfileError, match=r"auto\.toml: no profile may be called 'auto'"):
        parse_profile(MINIMAL, name="auto", source="auto.toml")


@pytest.mark.parametrize(
    ("pattern", "literal"),
    [
        (r"onScan: Waiting\(2\)(?: - (?P<qr>\S+))?", "onScan: Waiting(2)"),
        (r"onScan: (?:Scanned\(3\)|Confirmed\(4\))", "onScan: "),
        (r"二维码链接: (?P<qr>\S+)", "二维码链接: "),
        (r"abc?d", "ab"),
        (r"ab\.*", "ab"),
        (r"a{2}", ""),
        (r"ab[|]c", "ab"),
        (r"x(?:a|(?:b|c))y", "x"),
        (r"abc|def", ""),
        (r"(?i)abc", ""),
        (r".*", ""),
        ("", ""),
    ],
)
def test_leading_literal_is_in_every_line_that_matches(pattern: str, literal: str) -> None:
    """The text that a pattern begins with is found, and none where it is not certain."""
    assert leading_literal(pattern) == literal


JSON_BOT = """
title = "JSON"
[framing.json]
message = "msg"
time = "at.time"
[[event]]
kind = "scan"
qr_field = "data.1.qr"
[[event]]
kind = "logout"
where = { code = "40[13]", "node.tag" = "error" }
[[event]]
kind = "login"
pattern = "in as (?P<user>.*)"
"""


@pytest.mark.parametrize(
    ("line", "kind", "detail"),
    [
        ('{"data":[0,{"qr":"2@x"}]}', "scan", "2@x"),
        ('{"data":[0]}', None, None),
        ('{"data":[0,{"qr":5}]}', None, None),
        ('{"code":401,"node":{"tag":"error"}}', "logout", None),
        ('{"code":"403","node":{"tag":"error"}}', "logout", None),
        ('{"code":401,"node":null}', None, None),
        ('{"msg":"in as Bob\\nBobson","at":{"time":1795216485661}}', "login", "Bob\nBobson"),
        ('{"msg":"said: in as Bob"}', None, None),
        ('{"msg":"x\\nin as Bob"}', None, None),
        ("in as Bob", "login", "Bob"),
        ('{"msg":"in as Bob"', None, None),
        ("[" * 100_000, None, None),
        ("{" + '"a":{' * 100_000, None, None),
    ],
)
def test_find_reads_json_records_by_field(line: str, kind: str | None, detail: str | None) -> None:
    """A JSON record is read by its fields, one that is broken says nothing, and any other line is plain text."""
    profile = parse_profile(JSON_BOT, name="json", source="json.toml")
    compiled = compile_profile(profile)
    found = find(line, compiled.recognisers, profile.framing)
    assert (found and found.rule.kind) == kind
    assert (found and (found.qr or found.user)) == detail


def test_plain_leaves_out_what_a_scanner_does() -> None:
    """A link's and a title's escape sequences are left out like colours, unless the family keeps them."""
    raw = b"\x1b[32m\x1b]0;bot\x07INFO \x1b]8;;http://a\x1b\\login\x1b[0m\xff\r"
    assert plain(raw, Framing()) == "INFO login\ufffd"
    assert plain(raw, Framing(strip_ansi=False)) == raw[:-2].decode() + "\ufffd"


def test_stamp_of_reads_json_and_prefix() -> None:
    """A record's stamp is its field, a plain line's its prefix; a line without either has none."""
    both = JSON_BOT.replace(
        "[framing.json]", "framing.prefix = '(?P<time>\\d\\d:\\d\\d) '\nframing.time_format = '%H:%M'\n[framing.json]"
    )
    compiled = compile_profile(parse_profile(both, name="json", source="json.toml"))
    stamps = [stamp_of(line, compiled) for line in ('{"at":{"time":1795216485661}}', "10:30 hello", "hello", "{}")]
    assert [stamp and stamp.moment.minute for stamp in stamps] == [14, 30, None, None]
    stampless = compile_profile(parse_profile(MINIMAL, name="mine", source="mine.toml"))
    assert stamp_of("10:30 hello", stampless) is None
