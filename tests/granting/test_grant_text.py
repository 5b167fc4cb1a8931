"""Grants in words: what is typed gives what was meant or nothing, and what is given is said in full."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.auditing.record import AuditRecord
from logmonitor.errors import UsageError
from logmonitor.grant import DIRECT, EVERYWHERE, Grant
from logmonitor.granting.text import (
    Asked,
    check_id,
    covered,
    describe,
    has_ended,
    is_same,
    meaning,
    parse_grant,
    parse_what,
    record_of,
)
from logmonitor.language import translation
from logmonitor.operation import Command, Context, Invocation, Right
from logmonitor.testing import ADMIN, message

_NOW = datetime(2026, 11, 20, 12, 0, 5, tzinfo=UTC)  # 20:00:05 in Shanghai
_SHANGHAI = ZoneInfo("Asia/Shanghai")
_NEW_YEAR = datetime(2026, 12, 31, 16, tzinfo=UTC)


async def _nothing(_context: Context, _invocation: Invocation) -> None:
    """Do nothing."""


def _command(name: str, right: Right = Right.GRANT) -> Command:
    return Command(name=name, handler=_nothing, help="do it", right=right)


_KNOWN = (
    ("log_view", _command("view")),
    ("log_view", _command("tail")),
    ("Ops2", _command("tail")),
    ("shell", _command("sh", Right.ADMIN)),
    ("logmonitor", _command("revoke", Right.ADMIN)),
    ("logmonitor", _command("help", Right.ANYONE)),
)
_EXPECTED = "expected `in ROOM`, `direct`, `everywhere`, `until DATE` or `for 7d`"


def _parse(text: str, *, is_denial: bool = False, here: str | None = None) -> Asked:
    return parse_grant(
        text.split(), known=_KNOWN, is_denial=is_denial, now=_NOW, zone=_SHANGHAI, here=here, translate=str
    )


def _refusal(text: str, *, is_denial: bool = False, here: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        _parse(text, is_denial=is_denial, here=here)
    return str(caught.value)


def _grant(**fields: object) -> Grant:
    values: dict[str, object] = {"user": "wxid_bob", "at": _NOW} | fields
    return Grant(**values)  # type: ignore[arg-type]  # the names are checked by Grant itself


@pytest.mark.parametrize(
    ("what", "operation", "command"),
    [
        ("view", "log_view", "view"),
        ("/view", "log_view", "view"),
        ("View", "log_view", "view"),
        ("ｖｉｅｗ", "log_view", "view"),
        ("log_view.view", "log_view", "view"),
        ("LOG_VIEW.VIEW", "log_view", "view"),
        ("log_view.*", "log_view", "*"),
        ("log_view.＊", "log_view", "*"),
        ("log*.*", "log*", "*"),
        ("log_view.t???", "log_view", "t???"),
        ("ops2.tail", "Ops2", "tail"),
        ("tail", "*", "tail"),
        ("*.view", "log_view", "view"),
        ("*", "*", "*"),
        ("*.*", "*", "*"),
        ("v*", "*", "v*"),
    ],
)
def test_what_is_granted_names_its_operation_where_only_one_has_the_command(
    what: str, operation: str, command: str
) -> None:
    """A command that one operation has is granted of that one; later ones with the same name are not granted along."""
    assert parse_what(what, known=_KNOWN, is_denial=False, translate=str) == (operation, command)


@pytest.mark.parametrize(
    ("what", "operation", "command"),
    [("view", "*", "view"), ("sh", "*", "sh"), ("help", "*", "help"), ("shell.*", "shell", "*"), ("*", "*", "*")],
)
def test_what_is_denied_stays_as_wide_as_it_was_typed(what: str, operation: str, command: str) -> None:
    """A denial may name what no grant can give, and what it names is denied of every operation."""
    assert parse_what(what, known=_KNOWN, is_denial=True, translate=str) == (operation, command)


@pytest.mark.parametrize(
    ("what", "refusal"),
    [
        (
            "sh",
            "sh is for admins alone, whatever is granted; expected one of: view, log_view.tail, Ops2.tail",
        ),
        ("logmonitor.*", None),
        ("help", "anyone may run help as it is"),
        ("vew", "'vew' fits no command that can be meant; did you mean 'view'?"),
        ("ＶＥＷ", "'ＶＥＷ' fits no command that can be meant; did you mean 'view'?"),
        ("log_vew.view", "'log_vew.view' fits no command that can be meant; did you mean 'view'?"),
        ("tial", "'tial' fits no command that can be meant; did you mean 'log_view.tail', 'Ops2.tail'?"),
        ("Log_View.tial", "'Log_View.tial' fits no command that can be meant; did you mean 'log_view.tail'?"),
        ("shh", "'shh' fits no command that can be meant; expected one of: view, log_view.tail, Ops2.tail"),
        ("log_view", "'log_view' fits no command that can be meant; expected one of: view, log_view.tail"),
        ("xyz", "'xyz' fits no command that can be meant; expected one of: view, log_view.tail, Ops2.tail"),
        ("log_view.", None),
        (".view", None),
        ("log_view view", None),
        ("log.view.x", None),
        ("[a-z]", None),
        ("视图", None),
    ],
)
def test_what_can_give_nothing_is_refused_with_what_could_be_meant(what: str, refusal: str | None) -> None:
    """A command that there is not, or that no grant gives, is refused, and those that can be granted are named."""
    with pytest.raises(UsageError) as caught:
        parse_what(what, known=_KNOWN, is_denial=False, translate=str)
    if refusal is not None:
        assert str(caught.value) == refusal


def test_what_is_refused_where_nothing_can_be_granted() -> None:
    """Without a command that a grant could give, that is what is said."""
    known = (("shell", _command("sh", Right.ADMIN)),)
    for what, refusal in (
        ("sh", "sh is for admins alone, whatever is granted; nothing else can be granted"),
        ("view", "'view' is no command that can be granted; there is none"),
    ):
        with pytest.raises(UsageError) as caught:
            parse_what(what, known=known, is_denial=False, translate=str)
        assert str(caught.value) == refusal


@pytest.mark.parametrize(
    ("text", "place", "until"),
    [
        ("bob view", DIRECT, None),
        ("bob view in ops@chat", "ops@chat", None),
        ("bob view in OPS@chat", "OPS@chat", None),
        ("bob view In direct", DIRECT, None),
        ("bob view direct", DIRECT, None),
        ("bob view for ever 私聊", DIRECT, None),
        ("bob view 在 私聊", DIRECT, None),
        ("bob view everywhere", EVERYWHERE, None),
        ("bob view in everywhere", EVERYWHERE, None),
        ("bob view in *", EVERYWHERE, None),
        ("bob view 任何地方", EVERYWHERE, None),
        ("bob view in here", "team@chat", None),
        ("bob view 在 这里", "team@chat", None),
        ("bob view until 2026-12-31", DIRECT, _NEW_YEAR),
        ("bob view Until 2026-12-31 18:00", DIRECT, datetime(2026, 12, 31, 10, tzinfo=UTC)),
        ("bob view 到 2026年12月31日", DIRECT, _NEW_YEAR),
        ("bob view 到2026年12月31日", DIRECT, _NEW_YEAR),
        ("bob view 到 ２０２６年１２月３１日 为止", DIRECT, _NEW_YEAR),
        ("bob view 到2026年12月31日为止", DIRECT, _NEW_YEAR),
        ("bob view 截至今天", DIRECT, datetime(2026, 11, 20, 16, tzinfo=UTC)),
        ("bob view for 7d", DIRECT, _NOW + timedelta(days=7)),
        ("bob view for 7 days", DIRECT, _NOW + timedelta(days=7)),
        ("bob view until 7d", DIRECT, _NOW + timedelta(days=7)),
        ("bob view 为期7天", DIRECT, _NOW + timedelta(days=7)),
        ("bob view for ever", DIRECT, None),
        ("bob view forever", DIRECT, None),
        ("bob view 永久", DIRECT, None),
        ("bob view until 2026-12-31 18:00 in ops@chat", "ops@chat", datetime(2026, 12, 31, 10, tzinfo=UTC)),
        ("bob view everywhere for 7d", EVERYWHERE, _NOW + timedelta(days=7)),
        ("bob view for 7d everywhere", EVERYWHERE, _NOW + timedelta(days=7)),
    ],
)
def test_grant_is_read_in_any_order_and_both_languages(text: str, place: str, until: datetime | None) -> None:
    """Place and date may stand either way round, in English and in Chinese; without them it is direct and for ever."""
    assert _parse(text, here="team@chat") == Asked(
        user="bob", operation="log_view", command="view", room=place, until=until
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("bob *", EVERYWHERE),
        ("bob view for 7d", EVERYWHERE),
        ("bob view everywhere", EVERYWHERE),
        ("bob view direct", DIRECT),
        ("bob view in direct", DIRECT),
        ("bob view in ops@chat", "ops@chat"),
    ],
)
def test_denial_without_a_place_is_for_everywhere(text: str, place: str) -> None:
    """Who is denied something cannot go on in a room, unless the denial is said to be of less."""
    assert _parse(text, is_denial=True).room == place


def test_denial_that_is_not_understood_tells_how_one_is_written() -> None:
    """Where everywhere is meant without a word, the word that narrows it is told."""
    assert _refusal("bob", is_denial=True) == "expected: USER WHAT [in ROOM | direct] [until DATE | for 7d]"


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("", "expected: USER WHAT [in ROOM | everywhere] [until DATE | for 7d]"),
        ("bob", "expected: USER WHAT [in ROOM | everywhere] [until DATE | for 7d]"),
        ("bob view now", f"'now' is not understood there; {_EXPECTED}"),
        (
            "bob log_view view",
            "'log_view' fits no command that can be meant; expected one of: view, log_view.tail",
        ),
        ("bob view tail", f"'tail' is not understood there; {_EXPECTED}"),
        ("bob view in", f"'in' is not understood there; {_EXPECTED}"),
        ("bob view in a in b", f"'in' is not understood there; {_EXPECTED}"),
        ("bob view everywhere in b", f"'in' is not understood there; {_EXPECTED}"),
        ("bob view in a everywhere", f"'everywhere' is not understood there; {_EXPECTED}"),
        ("bob view for 7d until today", f"'until' is not understood there; {_EXPECTED}"),
        ("bob view forever for 7d", f"'for' is not understood there; {_EXPECTED}"),
        ("bob view in here", "this is no room; expected a room's id, or `in here` said in the room"),
        ("bob view in ops*", "'ops*' names nobody and no place; expected one id or name, or `*` for all"),
        ("bob view until 2020-01-01", "'2020-01-01' has passed; expected a time to come"),
        ("bob view until 2026-02-30", "there is no such time: '2026-02-30'"),
    ],
)
def test_grant_that_is_not_understood_whole_gives_nothing(text: str, refusal: str) -> None:
    """A word too many, a place or date said twice, or a date that is none: all of it is refused."""
    assert _refusal(text) == refusal


@pytest.mark.parametrize("text", ["bob view until", "bob view for in a", "bob view until 12-31", "bob view for soon"])
def test_grant_with_half_a_date_gives_nothing(text: str) -> None:
    """A date that is missing or lacks its year makes no grant for ever of it."""
    assert "expected 2026-12-31, 2026-12-31 18:00, today or tomorrow, or a length such as 7d or 12h" in _refusal(text)


def test_grant_to_nobody_is_refused() -> None:
    """A user that was typed as an empty text is nobody."""
    with pytest.raises(UsageError, match="'' is nobody"):
        parse_grant((" ", "view"), known=_KNOWN, is_denial=False, now=_NOW, zone=_SHANGHAI, translate=str)


def test_grant_in_a_room_whose_id_is_a_pattern_is_refused() -> None:
    """`here` in a room that has a wildcard in its id would mean other rooms too."""
    assert "names nobody and no place" in _refusal("bob view in here", here="ops?chat")


@given(
    words=st.lists(
        st.sampled_from(
            ["bob", "view", "*", "in", "everywhere", "until", "for", "7d", "today", "ops@chat", "12-31", "ever", "到"]
        )
        | st.text(max_size=4),
        max_size=7,
    )
)
def test_every_text_gives_a_grant_of_what_can_be_granted_or_nothing(words: list[str]) -> None:
    """Whatever is typed gives a grant of known commands that ends in time to come, or a refusal."""
    try:
        asked = parse_grant(words, known=_KNOWN, is_denial=False, now=_NOW, zone=_SHANGHAI, translate=str)
    except UsageError:
        return
    assert asked.user == words[0]
    assert asked.until is None or asked.until > _NOW
    assert any(
        command.right is Right.GRANT for _, command in covered(_KNOWN, operation=asked.operation, command=asked.command)
    )
    assert asked.room in (DIRECT, EVERYWHERE) or asked.room in words


@pytest.mark.parametrize("id_", ["wxid_bob", "*", "ops@chat", "中文"])
def test_id_of_one_or_of_all_is_taken(id_: str) -> None:
    """An id, or `*` alone, is meant as it stands."""
    check_id(id_, str)


@pytest.mark.parametrize("id_", ["", " ", "wxid_*", "?", "**", "a*b"])
def test_id_that_would_mean_others_too_is_refused(id_: str) -> None:
    """A contact or room whose id has a wildcard in it would grant others the same."""
    with pytest.raises(UsageError, match="names nobody and no place"):
        check_id(id_, str)


def test_id_of_a_contact_is_not_that_of_all() -> None:
    """A contact whose id is `*` is not everybody."""
    with pytest.raises(UsageError, match="names nobody and no place"):
        check_id("*", str, may_be_all=False)


@pytest.mark.parametrize(
    ("asked", "is_denial", "text"),
    [
        (
            Asked(user="b", operation="log_view", command="view"),
            False,
            "Bob may run log_view.view, in direct messages, for ever",
        ),
        (
            Asked(user="b", operation="*", command="tail", room=EVERYWHERE),
            False,
            "Bob may run tail (now: log_view.tail, Ops2.tail), everywhere, for ever",
        ),
        (
            Asked(user="b", operation="shell", command="*", room="ops@chat", until=_NEW_YEAR),
            True,
            "Bob may not run shell.* (now: sh), in the room ops@chat, until the end of 2026-12-31 (UTC+08:00)",
        ),
        (
            Asked(user="b", operation="*", command="sh", room=EVERYWHERE),
            True,
            "Bob may not run sh, everywhere, for ever",
        ),
        (
            Asked(user="b", operation="*", command="*"),
            False,
            "Bob may run * (now: view, log_view.tail, Ops2.tail), in direct messages, for ever",
        ),
    ],
)
def test_meaning_says_what_where_and_until_when(asked: Asked, text: str, *, is_denial: bool) -> None:
    """What a pattern covers now is listed, without what no grant gives, and a denial with it."""
    assert meaning(asked, who="Bob", is_denial=is_denial, known=_KNOWN, zone=_SHANGHAI, translate=str) == text


def test_meaning_lists_no_endless_row() -> None:
    """Of many commands the first eight are named and the rest counted."""
    known = tuple(("many", _command(f"c{number}")) for number in range(11))
    text = meaning(
        Asked(user="b", operation="many", command="*"),
        who="Bob",
        is_denial=False,
        known=known,
        zone=None,
        translate=str,
    )
    assert "many.* (now: c0, c1, c2, c3, c4, c5, c6, c7 and 3 more)" in text


def test_meaning_speaks_chinese() -> None:
    """Who reads Chinese reads what is given in Chinese."""
    text = meaning(
        _grant(operation="log_view", command="view", until=_NEW_YEAR),
        who="Bob",
        is_denial=False,
        known=_KNOWN,
        zone=_SHANGHAI,
        translate=translation("zh"),
    )
    assert text == "Bob 可以运行 log_view.view，仅限私聊，直到 2026-12-31 结束（UTC+08:00）"


def test_describe_tells_all_about_a_grant_and_marks_what_has_ended() -> None:
    """Number, who, what, where, until when, by whom and when; and whether it holds at all."""
    grant = _grant(id=7, operation="log_view", command="view", until=_NEW_YEAR)

    def row(now: datetime) -> str:
        return describe(grant, who="Bob", by="Ann", now=now, zone=_SHANGHAI, translate=str)

    text = (
        "7: Bob may run log_view.view, in direct messages, until the end of 2026-12-31 (UTC+08:00);"
        " by Ann, 2026-11-20 20:00"
    )
    assert row(_NEW_YEAR - timedelta(microseconds=1)) == text
    assert row(_NEW_YEAR) == f"{text} (ended)"


def test_grant_has_ended_at_its_until_and_never_without() -> None:
    """What holds for ever never ends."""
    assert [has_ended(_grant(until=until), _NOW) for until in (None, _NOW, _NOW + timedelta(seconds=1))] == [
        False,
        True,
        False,
    ]


def test_grants_are_the_same_but_for_when() -> None:
    """Two that differ in user, what, where or kind are two; number, giver and times do not count."""
    grant = _grant(id=1)
    assert is_same(grant, _grant(id=2, until=_NEW_YEAR, by="x"))
    for other in ({"user": "x"}, {"operation": "x"}, {"command": "x"}, {"room": "x"}, {"is_denial": True}):
        assert not is_same(grant, _grant(**other))


def test_record_of_a_change_names_who_what_and_where() -> None:
    """The audit gets the number and the words of the grant, and the message or the user of the machine."""
    grant = _grant(id=7, operation="log_view", command="view", until=_NEW_YEAR, is_denial=True)
    reason = "wxid_bob may not run log_view.view, in direct messages, until 2026-12-31 16:00 (UTC)"
    assert record_of(grant, "denied", at=_NOW, message=message("deny", room="ops@chat")) == AuditRecord(
        at=_NOW,
        decision="denied",
        user=ADMIN.id,
        name="admin",
        conversation="ops@chat",
        room="ops@chat",
        message="in-1",
        reason=reason,
        grant=7,
    )
    assert record_of(grant, "revoked", at=_NOW, user="root") == AuditRecord(
        at=_NOW, decision="revoked", user="root", reason=reason, grant=7
    )
