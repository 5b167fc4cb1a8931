"""What the audit keeps of a decision, as text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor.auditing.record import TEXT_LIMIT, AuditRecord, fields_of, json_line
from logmonitor.errors import AuditError
from tests.audit_bench import AT, RECORD

TEXTS = st.text(st.characters(exclude_categories=[]))


def test_record_is_kept_in_one_order() -> None:
    """All that a record has is kept, under its own names, in their order, with the time in UTC."""
    whole = AuditRecord(
        at=datetime(2026, 11, 20, 22, 44, 35, 123456, tzinfo=timezone(timedelta(hours=8))),
        decision="ended",
        user="wxid_1",
        name="鲍勃",
        conversation="wxid_1",
        room="1@chatroom",
        message="m1",
        operation="shell",
        command="sh uptime",
        reason="admin",
        factors=("confirm", "totp"),
        grant=3,
        job=7,
        exit_code=0,
        duration=1.23456,
    )
    assert json_line(fields_of(whole)).decode() == (
        '{"at":"2026-11-20T14:44:35.123+00:00","decision":"ended","user":"wxid_1","name":"鲍勃","conversation":"wxid_1",'
        '"room":"1@chatroom","message":"m1","operation":"shell","command":"sh uptime","reason":"admin",'
        '"factors":["confirm","totp"],"grant":3,"job":7,"exit_code":0,"duration":1.235}'
    )


def test_record_keeps_nothing_of_what_it_has_not() -> None:
    """What a record does not have is left out."""
    assert list(fields_of(RECORD)) == ["at", "decision", "user", "conversation", "message", "reason"]


def test_record_shows_no_secret() -> None:
    """A secret is redacted in every text, by its value and by its shape."""
    texts = dict.fromkeys(
        ("decision", "user", "name", "conversation", "room", "message", "operation", "command"), "k3y"
    )
    secretive = AuditRecord(at=AT, reason="password=hunter2", factors=("k3y",), **texts)  # type: ignore[arg-type]
    line = json_line(fields_of(secretive, ["k3y"])).decode()
    assert "k3y" not in line
    assert "hunter2" not in line
    assert line.count("[redacted]") == 10


def test_record_cuts_a_long_text_and_tells_its_length() -> None:
    """Of a text of a million characters the beginning is kept, and how long it was."""
    command = fields_of(replace(RECORD, command="x" * 1_000_000))["command"]
    assert command == "x" * TEXT_LIMIT + "… [cut; 1000000 characters]"
    assert fields_of(replace(RECORD, command="x" * TEXT_LIMIT))["command"] == "x" * TEXT_LIMIT


def test_record_shows_no_secret_that_the_cut_would_halve() -> None:
    """A secret across the place of the cut leaves none of its first half."""
    text = "x" * (TEXT_LIMIT - 3) + "topsecret"
    assert fields_of(replace(RECORD, command=text), ["topsecret"])["command"] == (
        "x" * (TEXT_LIMIT - 3) + "[re… [cut; 4006 characters]"
    )


@given(TEXTS)
def test_record_of_any_text_is_one_line_that_a_terminal_obeys_nothing_of(text: str) -> None:
    """Whatever a text holds, half a character too, its line is UTF-8, printable, and reads back as what was kept."""
    fields = fields_of(replace(RECORD, command=text))
    line = json_line(fields)
    assert line.decode("utf-8").isprintable()
    assert json.loads(line) == fields


def test_json_line_escapes_what_is_not_seen() -> None:
    """Control characters, line separators, turned directions and tags are escaped; Chinese and emoji are not."""
    assert json_line({"text": "鲍勃🙂\x1b\x85\u2028\u202e\U000e0041"}).decode() == (
        '{"text":"鲍勃🙂\\u001b\\u0085\\u2028\\u202e\\udb40\\udc41"}'
    )


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"at": datetime(2026, 11, 20)},  # noqa: DTZ001 - that is what is wrong
            "bad time '2026-11-20T00:00:00' of an audit record; expected one with its zone",
        ),
        ({"decision": ""}, "an audit record has no decision; expected a word such as 'allowed'"),
        ({"duration": float("nan")}, "bad duration nan of an audit record; expected seconds"),
    ],
)
def test_record_refuses_what_could_not_be_read_again(fields: dict[str, object], text: str) -> None:
    """A time without zone, no decision and a duration that is no number are refused when the record is built."""
    with pytest.raises(AuditError) as caught:
        replace(RECORD, **fields)  # type: ignore[arg-type]
    assert str(caught.value) == text
