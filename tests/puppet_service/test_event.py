"""What a puppet service tells of its own accord, and what of it is new."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from logmonitor.records import Event, EventKind, Qr
from logmonitor.transports.puppet_service.event import (
    Account,
    EventType,
    connect,
    dirty_contact,
    meet,
    read_payload,
    renew,
    settle,
    text_of,
    write_to,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LOGIN: tuple[int, dict[str, object]] = (EventType.LOGIN, {"contactId": "bob"})
LOGOUT: tuple[int, dict[str, object]] = (EventType.LOGOUT, {"contactId": "bob", "data": "by the phone"})


def scan(status: int, qr: str | None = "qr") -> tuple[int, dict[str, object]]:
    """Return a scan event."""
    return EventType.SCAN, {"qrcode": qr, "status": status}


def told(account: Account, *happened: tuple[int, dict[str, object]]) -> tuple[Account, list[Event]]:
    """Let all of it happen; return what was told."""
    events: list[Event] = []
    for kind, payload in happened:
        account, event = meet(account, kind, payload, now=NOW)
        if event is not None:
            events.append(event)
    return account, events


def kinds(*happened: tuple[int, dict[str, object]]) -> list[EventKind]:
    """Return the kinds of what is told of it."""
    return [event.kind for event in told(Account(), *happened)[1]]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (0, []),
        (1, [EventKind.EXPIRED]),
        (2, [EventKind.SCAN]),
        (3, [EventKind.SCANNED]),
        (4, [EventKind.SCANNED]),
        (5, [EventKind.EXPIRED]),
        (99, []),
    ],
)
def test_event_scan_means_what_its_status_says(status: int, expected: list[EventKind]) -> None:
    """Waiting is a scan, scanned and confirmed are scanned, timed out and cancelled are expired, others nothing."""
    assert kinds(scan(status)) == expected


def test_event_scan_carries_its_qr() -> None:
    """A waiting scan shows its payload and when it was first seen; the account is logged out."""
    account, events = told(Account(), scan(2, "payload"))
    assert events == [
        Event(kind=EventKind.SCAN, line=0, offset=0, at=NOW, seen_at=NOW, qr=Qr(payload="payload", first_seen=NOW))
    ]
    assert account.is_in is False


def test_event_every_cycle_is_told() -> None:
    """A login after a logout is told however often; what is the same as before is not."""
    cycle = (LOGOUT, scan(2), scan(2), scan(2, "newer"), LOGIN, LOGIN)
    once = [EventKind.LOGOUT, EventKind.SCAN, EventKind.SCAN, EventKind.LOGIN]
    assert kinds(LOGIN, *cycle, *cycle) == [EventKind.LOGIN, *once, *once]


def test_event_another_account_is_a_login() -> None:
    """A login of another contact is told without a logout between."""
    account, events = told(Account(), LOGIN, (EventType.LOGIN, {"contactId": "carol"}))
    assert [event.user for event in events] == ["bob", "carol"]
    assert account.id == "carol"


def test_event_logout_without_a_contact_is_the_known_ones() -> None:
    """A logout that does not say whose it is, is that of who was logged in."""
    account, events = told(Account(), LOGIN, (EventType.LOGOUT, {"data": "?"}))
    assert [event.user for event in events] == ["bob", "bob"]
    assert (account.id, account.is_in) == ("bob", False)


def test_event_repeated_on_a_new_connection_is_not_told() -> None:
    """What a gateway repeats was told; what it does not repeat is known no more, so that the next login is new."""
    account, _ = told(connect(Account()), LOGIN)
    account, events = told(connect(account), LOGIN)
    assert events == []
    assert settle(account, has_answered=True).is_in is True
    account = settle(connect(account), has_answered=True)
    assert account.is_in is False
    assert [event.kind for event in told(account, LOGIN)[1]] == [EventKind.LOGIN]


def test_event_missing_on_a_new_connection_tells_nothing_of_an_old_gateway() -> None:
    """A gateway that was never seen to repeat a login, or does not answer, leaves open whether one is logged in."""
    late, _ = told(settle(connect(Account()), has_answered=True), LOGIN)
    assert settle(connect(late), has_answered=True).is_in is None
    repeating, _ = told(connect(Account()), LOGIN)
    assert settle(connect(repeating), has_answered=False).is_in is None


def test_event_message_disproves_only_a_guess() -> None:
    """Whoever is written to is not logged out, unless the gateway has said so; who is in stays in."""
    guessed = renew(Account(id="bob"), is_in=False)
    assert (write_to(guessed).is_in, write_to(guessed).id) == (None, "bob")
    for happened, is_in in ((LOGIN, True), (LOGOUT, False), (scan(2), False)):
        account, _ = told(guessed, happened)
        assert write_to(account) is account
        assert account.is_in is is_in


def test_event_session_that_begins_anew_tells_its_login() -> None:
    """A login is news after a session began anew, though it is the login of before."""
    account, _ = told(Account(), LOGIN)
    assert [event.user for event in told(renew(account, is_in=False), LOGIN)[1]] == ["bob"]


def test_event_others_mean_nothing() -> None:
    """A type that is not about the session changes nothing."""
    assert meet(Account(), 18, {}, now=NOW) == (Account(), None)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (EventType.LOGIN, {}),
        (EventType.LOGIN, {"contactId": 7}),
        (EventType.LOGIN, {"contactId": ""}),
        (EventType.SCAN, {"qrcode": "secret"}),
        (EventType.SCAN, {"status": "2", "qrcode": "secret"}),
        (EventType.SCAN, {"status": 2, "qrcode": ["secret"]}),
    ],
)
def test_event_broken_is_refused_without_its_content(kind: int, payload: dict[str, object]) -> None:
    """What is missing or of a wrong type is refused, and the text does not show what it was."""
    with pytest.raises(ValueError, match="it has no") as caught:
        meet(Account(), kind, payload, now=NOW)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"secret"', "[" * 100_000, '{"a":"' + "x" * 1_000_000 + '"}'])
def test_event_payload_that_is_none_is_refused(text: str) -> None:
    """What is no JSON object, nested too deep or too long is refused, and the text does not show it."""
    with pytest.raises(ValueError, match=r"^it is ") as caught:
        read_payload(text)
    assert "secret" not in str(caught.value)


def test_event_payload_is_read() -> None:
    """A payload's texts are found by their keys."""
    assert text_of(read_payload('{"messageId": "m"}'), "messageId") == "m"


@pytest.mark.parametrize(("kind", "expected"), [(2, "wxid"), (3, None), (None, None)])
def test_event_dirty_names_a_contact(kind: int | None, expected: str | None) -> None:
    """Of what has changed only contacts are of interest."""
    assert dirty_contact({"payloadType": kind, "payloadId": "wxid"}) == expected


def test_half_a_character_is_replaced() -> None:
    """What a gateway cuts in UTF-16 can be written and sent like any other text."""
    scanned = read_payload(r'{"status": 2, "qrcode": "\ud800abc"}')
    _, event = meet(Account(), EventType.SCAN, scanned, now=NOW)
    assert event is not None
    assert event.qr == Qr(payload="\ufffdabc", first_seen=NOW)
    _, login = meet(Account(), EventType.LOGIN, read_payload(r'{"contactId": "\udfffbob"}'), now=NOW)
    assert login is not None
    assert login.user == "\ufffdbob"


@settings(suppress_health_check=[HealthCheck.too_slow])  # the first text of a process takes a table to be made
@given(
    kind=st.sampled_from(EventType),
    payload=st.dictionaries(
        st.sampled_from(["contactId", "qrcode", "status", "data"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    ),
)
def test_event_of_any_shape_is_understood_or_refused(kind: EventType, payload: dict[str, object]) -> None:
    """Whatever a payload holds, it is an event, nothing, or refused as a value."""
    try:
        account, event = meet(Account(), kind, read_payload(json.dumps(payload)), now=NOW)
    except ValueError:
        return
    assert event is None or event.at == NOW
    assert account.is_in in (True, False, None)
