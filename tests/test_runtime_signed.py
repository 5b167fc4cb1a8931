"""Signed lines at work: real logs, real followers, one bot that signs and one that verifies."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from logmonitor import Context, Event, EventKind, Operation, OperationConfig, Qr, Transition, watch, watcher
from logmonitor.self_log import SelfLog
from logmonitor.signing import KEY_BYTES
from logmonitor.testing import LogWriter
from tests.test_runtime import LOGOUT, URL, Account, configuration, ready, rescue, scan_line, serving

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from logmonitor.config import Config

KEY = bytes(range(KEY_BYTES))


def keyed(folder: Path, *, require_signed: bool = True, **of_bot: Any) -> Config:  # noqa: ANN401  # handed on
    """Make a configuration that verifies what Bob signs."""
    config = configuration(folder)
    watches = tuple(replace(watch, require_signed=require_signed) for watch in config.watches)
    return replace(config, bot=replace(config.bot, **{"twin_key": KEY, **of_bot}), watches=watches)


def recorder(*, until: int) -> tuple[Operation, list[Event], list[Transition], asyncio.Event]:
    """Make an operation that keeps what it is told of; the last of what is returned is set after `until` events."""
    events: list[Event] = []
    transitions: list[Transition] = []
    done = asyncio.Event()

    async def on_event(_context: Context, event: Event) -> None:
        events.append(event)
        if len(events) == until:
            done.set()

    async def on_transition(_context: Context, transition: Transition) -> None:
        transitions.append(transition)

    operation = Operation(name="recorder", config=OperationConfig(), on_event=on_event, on_transition=on_transition)
    return operation, events, transitions, done


async def test_what_a_bot_signs_its_twin_verifies(tmp_path: Path) -> None:
    """Bob's own events, signed into his log by one process of ours, are a verified session and QR in the other."""
    operation, events, transitions, done = recorder(until=2)
    account = Account(
        Event(kind=EventKind.SCAN, line=0, offset=0, qr=Qr(payload=URL.format(name="Own"))),
        Event(kind=EventKind.LOGIN, line=0, offset=0, user="Bob"),
    )
    bob = replace(keyed(tmp_path, name="bob", self_log=tmp_path / "bob.log"), watches=())
    async with serving(keyed(tmp_path), operation) as chat:
        await ready(chat)
        async with serving(bob, transport=account), asyncio.timeout(10):
            await done.wait()
        chat.receive("status")
        sent = await chat.wait_for(1)
    assert [(event.kind, event.verified, event.refused) for event in events] == [
        (EventKind.SCAN, True, None),
        (EventKind.LOGIN, True, None),
    ]
    assert transitions[0].after.qr is not None
    assert (transitions[0].after.verified, transitions[0].after.qr.verified) == (True, True)
    assert transitions[0].after.qr.payload == URL.format(name="Own")
    assert str(sent[0][1]).splitlines()[0].startswith("bob: logged in as Bob")
    assert "refused" not in str(sent[0][1])


async def test_verified_loss_that_stands_at_the_start_is_announced_as_such(tmp_path: Path) -> None:
    """What the log's end shows when serving begins is verified like what comes later."""
    operation, _, transitions, _ = recorder(until=1)
    log = SelfLog(tmp_path / "bob.log", bot="bob", key=KEY)
    await log.write(Event(kind=EventKind.SCAN, line=0, offset=0, qr=Qr(payload=URL.format(name="Own"))))
    async with serving(keyed(tmp_path), operation, rescue()) as chat:
        await chat.wait_for(2)
    assert [
        (one.event.verified, one.after.verified, one.after.qr and one.after.qr.verified) for one in transitions
    ] == [(True, True, True)]


async def test_refused_lines_move_nothing_and_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Refused lines reach `on_event` and nothing else; `status` counts them, the log says why once, and not what."""
    operation, events, transitions, done = recorder(until=6)
    bob, other = (SelfLog(tmp_path / "bob.log", bot=name, key=KEY) for name in ("bob", "Robert"))
    login, logout = (Event(kind=kind, line=0, offset=0, user="Bob") for kind in (EventKind.LOGIN, EventKind.LOGOUT))
    with LogWriter(tmp_path / "bob.log") as log:
        log.write("22:44:35 INFO StarterBot Contact<Past> logout")
        async with serving(keyed(tmp_path), operation, rescue()) as chat:
            await ready(chat)
            await bob.write(login)
            log.write((tmp_path / "bob.log").read_text(encoding="utf-8").splitlines()[-1], LOGOUT, scan_line("Abc123"))
            await other.write(logout)
            await other.write(logout)
            async with asyncio.timeout(10):
                await done.wait()
            chat.receive("status")
            async with asyncio.timeout(10):
                while not any(str(content).startswith("bob: ") for _, content in chat.sent):
                    await chat.wait_for(len(chat.sent) + 1)
    assert [(event.kind, event.refused) for event in events] == [
        (EventKind.LOGIN, None),
        (EventKind.LOGIN, "replayed"),
        (EventKind.LOGOUT, "unsigned"),
        (EventKind.SCAN, "unsigned"),
        (EventKind.LOGOUT, "wrong"),
        (EventKind.LOGOUT, "wrong"),
    ]
    assert [one.after.state for one in transitions] == ["logged_in"]
    status = next(str(content) for _, content in chat.sent if str(content).startswith("bob: ")).splitlines()
    assert status[0].startswith("bob: logged in as Bob")
    hint = "is `name` in the twin's [bot] the name of this [[watch]], and `twin_key` the same on both sides?"
    assert [row.strip() for row in status if "refused" in row] == [
        "3 session lines were refused: not signed",
        f"2 session lines were refused: wrong signature; {hint}",
        "1 session lines were refused: a copy of a signed line that stood elsewhere before",
    ]
    warnings = [message for message in caplog.messages if "refused a session line" in message]
    assert sorted(warnings) == [
        "bob: refused a session line: a copy of a signed line that stood elsewhere before",
        "bob: refused a session line: not signed",
        "bob: refused a session line: not signed",
        f"bob: refused a session line: wrong signature; {hint}",
    ]


async def test_replay_is_refused_after_a_failure_to_understand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is forgotten after a defect of ours is not which signed lines there were."""
    operation, events, _, done = recorder(until=3)

    def observe(*arguments: Any, **circumstances: Any) -> Any:  # noqa: ANN401  # handed on as they are
        if b"poison" in arguments[1].data:
            raise ArithmeticError("a defect of ours")
        return watch.observe(*arguments, **circumstances)

    monkeypatch.setattr(watcher, "observe", observe)
    bob = SelfLog(tmp_path / "bob.log", bot="bob", key=KEY)
    login, logout = (Event(kind=kind, line=0, offset=0, user="Bob") for kind in (EventKind.LOGIN, EventKind.LOGOUT))
    with LogWriter(tmp_path / "bob.log") as log:
        async with serving(keyed(tmp_path), operation) as chat:
            await ready(chat)
            await bob.write(login)
            await bob.write(logout)
            async with asyncio.timeout(10):
                while len(events) < 2:  # noqa: ASYNC110 - a handler of a test sets no event for each
                    await asyncio.sleep(0)
            copied = (tmp_path / "bob.log").read_text(encoding="utf-8").splitlines()[0]
            log.write("poison")
            async with asyncio.timeout(10):
                while "passing over what could not be understood" not in caplog.text:  # noqa: ASYNC110 - a log record sets no event
                    await asyncio.sleep(0)
            log.write(copied)
            async with asyncio.timeout(10):
                await done.wait()
    assert [event.refused for event in events] == [None, None, "replayed"]


async def test_signed_lines_go_on_through_a_rotation(tmp_path: Path) -> None:
    """In the new file a signed line counts, and one of the old file does not at whatever place."""
    operation, events, _, done = recorder(until=3)
    path = tmp_path / "bob.log"
    bob = SelfLog(path, bot="bob", key=KEY)
    login, logout = (Event(kind=kind, line=0, offset=0, user="Bob") for kind in (EventKind.LOGIN, EventKind.LOGOUT))
    async with serving(keyed(tmp_path), operation) as chat:
        await ready(chat)
        await bob.write(login)
        async with asyncio.timeout(10):
            while not events:  # noqa: ASYNC110 - a handler of a test sets no event for each
                await asyncio.sleep(0)
        copied = path.read_bytes()
        path.rename(tmp_path / "bob.log.1")
        path.write_bytes(copied)
        await bob.write(logout)
        async with asyncio.timeout(20):
            await done.wait()
    assert [(event.kind, event.refused) for event in events] == [
        (EventKind.LOGIN, None),
        (EventKind.LOGIN, "replayed"),
        (EventKind.LOGOUT, None),
    ]
