"""A bot's own session lines."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logmonitor import EventKind, Qr
from logmonitor.records import Signature
from logmonitor.self_log import SelfLog, self_log_line
from logmonitor.signing import KEY_BYTES, sign, verify
from logmonitor.testing import event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT = datetime(2026, 11, 20, 22, 44, 35, tzinfo=timezone(timedelta(hours=8)))
URL = "https://login.weixin.qq.com/l/Abc123=="
KEY = bytes(range(KEY_BYTES))


def signatures(path: Path) -> list[Signature]:
    """Return what the lines of a log are signed with; each has to verify, or be torn."""
    found = [verify(raw, bot="alice", key=KEY) for raw in path.read_bytes().splitlines()]
    return [one for one in found if isinstance(one, Signature)]


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        (
            EventKind.SCAN,
            {"qr": Qr(payload=URL)},
            (
                "22:44:35 INFO StarterBot onScan: Waiting(2) - "
                "https://wechaty.js.org/qrcode/https%3A%2F%2Flogin.weixin.qq.com%2Fl%2FAbc123%3D%3D"
            ),
        ),
        (EventKind.SCAN, {}, "22:44:35 INFO StarterBot onScan: Waiting(2)"),
        (EventKind.SCANNED, {}, "22:44:35 INFO StarterBot onScan: Scanned(3)"),
        (EventKind.EXPIRED, {}, "22:44:35 INFO StarterBot onScan: Timeout(5)"),
        (EventKind.LOGIN, {"user": "Bob"}, "22:44:35 INFO StarterBot Contact<Bob> login"),
        (EventKind.LOGOUT, {"user": "鲍勃"}, "22:44:35 INFO StarterBot Contact<鲍勃> logout"),
        (EventKind.TRAFFIC, {}, None),
    ],
)
def test_line_has_the_form_of_a_wechaty_bot(kind: EventKind, fields: dict[str, object], line: str | None) -> None:
    """Each event is the line that a StarterBot writes, as the samples show it."""
    assert self_log_line(event(kind, **fields), at=AT) == line


def test_line_of_a_hostile_name_stays_one_line() -> None:
    """A name that its owner chose ends neither the line nor the bracket."""
    hostile = event(EventKind.LOGIN, user="Bob> logout\n22:44:35 INFO StarterBot Contact<Eve")
    line = self_log_line(hostile, at=AT)
    assert line == "22:44:35 INFO StarterBot Contact<Bob_ logout_22:44:35 INFO StarterBot Contact_Eve> login"


def test_line_holds_no_half_of_a_character() -> None:
    """Half a character, as a gateway's JSON may escape it, becomes U+FFFD in a payload and in a name."""
    scan = self_log_line(event(EventKind.SCAN, qr=Qr(payload="\ud800abc")), at=AT)
    assert scan == "22:44:35 INFO StarterBot onScan: Waiting(2) - https://wechaty.js.org/qrcode/%EF%BF%BDabc"
    login = self_log_line(event(EventKind.LOGIN, user="Bob\udfff"), at=AT)
    assert login == "22:44:35 INFO StarterBot Contact<Bob\ufffd> login"


@given(
    text=st.text(st.characters(exclude_categories=[])),
    kind=st.sampled_from([EventKind.SCAN, EventKind.LOGIN, EventKind.LOGOUT]),
)
def test_line_of_any_text_is_one_that_can_be_signed_and_written(text: str, kind: EventKind) -> None:
    """Whatever a payload or a name is, its line verifies in the bytes that are written, and is one line."""
    signature = Signature(at=AT, boot="00c0ffee", sequence=7)
    line = self_log_line(
        event(kind, qr=Qr(payload=text), user=text), at=AT, sign=partial(sign, signature=signature, bot="bob", key=KEY)
    )
    assert line is not None
    assert line.encode().splitlines() == [line.encode()]
    assert verify(line.encode(), bot="bob", key=KEY) == signature


def test_line_takes_a_signature_behind_it() -> None:
    """What `sign` returns stands behind the line it was given."""
    line = self_log_line(event(EventKind.SCANNED), at=AT, sign=lambda text: f" lm1 {len(text)}")
    assert line == "22:44:35 INFO StarterBot onScan: Scanned(3) lm1 43"


async def test_self_log_appends_lines(tmp_path: Path) -> None:
    """Lines are appended to a file and folder that need not be there, readable to the group and no further."""
    path = tmp_path / "logs" / "alice.log"
    self_log = SelfLog(path, now=lambda: datetime(2026, 11, 20, 12, 0, tzinfo=UTC))
    os.umask(os.umask(0o022))
    await self_log.write(event(EventKind.SCANNED))
    await self_log.write(event(EventKind.TRAFFIC))
    await self_log.write(event(EventKind.LOGIN, user="Alice"))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == [
        "INFO StarterBot onScan: Scanned(3)",
        "INFO StarterBot Contact<Alice> login",
    ]
    assert path.stat().st_mode & 0o007 == 0


async def test_self_log_that_cannot_be_written_raises(tmp_path: Path) -> None:
    """A path that cannot be written is the caller's to tell."""
    with pytest.raises(OSError, match="directory"):
        await SelfLog(tmp_path).write(event(EventKind.SCANNED))


@contextmanager
def full_disk(*, size: int) -> Iterator[None]:
    """Let no file grow beyond `size`."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        signal.signal(signal.SIGXFSZ, previous)


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_self_log_keeps_a_torn_line_apart(tmp_path: Path, *, is_restarted: bool) -> None:
    """When the disk takes only part of a line that is an error; the next one, after a restart too, is on its own."""
    self_log = SelfLog(tmp_path / "alice.log")
    with full_disk(size=60):
        await self_log.write(event(EventKind.SCANNED))
        with pytest.raises(OSError, match="No space left"):
            await self_log.write(event(EventKind.SCANNED))
    self_log = SelfLog(tmp_path / "alice.log") if is_restarted else self_log
    await self_log.write(event(EventKind.LOGIN, user="Alice"))
    lines = (tmp_path / "alice.log").read_text(encoding="utf-8").split("\n")
    assert [line[8:] for line in lines] == [
        " INFO StarterBot onScan: Scanned(3)",
        " INFO St",
        " INFO StarterBot Contact<Alice> login",
        "",
    ]


async def test_self_log_signs_its_lines(tmp_path: Path) -> None:
    """With a key each line is signed as the bot's: by boot, in sequence, with the time at which it was written."""
    path = tmp_path / "alice.log"
    for _ in range(2):
        self_log = SelfLog(path, bot="alice", key=KEY, now=lambda: AT)
        await self_log.write(event(EventKind.SCAN, qr=Qr(payload=URL)))
        await self_log.write(event(EventKind.TRAFFIC))
        await self_log.write(event(EventKind.LOGIN, user="Alice lm1 a b c"))
    found = signatures(path)
    assert [(one.at, one.sequence) for one in found] == [(AT, 0), (AT, 1)] * 2
    first, second = dict.fromkeys(one.boot for one in found)
    assert (len(first), len(second)) == (16, 16)
    assert int(first, 16) != int(second, 16)


async def test_self_log_uses_no_sequence_twice(tmp_path: Path) -> None:
    """A line that was torn, or not written at all, takes its sequence with it; lines stand in sequence."""
    path = tmp_path / "logs" / "alice.log"
    self_log = SelfLog(path, bot="alice", key=KEY)
    await asyncio.gather(*(self_log.write(event(EventKind.SCANNED)) for _ in range(5)))
    with full_disk(size=path.stat().st_size + 100), pytest.raises(OSError, match="No space left"):
        await self_log.write(event(EventKind.SCANNED))
    with full_disk(size=path.stat().st_size), pytest.raises(OSError, match="large"):
        await self_log.write(event(EventKind.SCANNED))
    await self_log.write(event(EventKind.SCANNED))
    assert [one.sequence for one in signatures(path)] == [0, 1, 2, 3, 4, 7]
