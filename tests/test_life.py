"""How long a QR can be used, by when its line was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from logmonitor.profile_folder import load_profile
from logmonitor.reading.recognition import compile_profile
from logmonitor.records import Chunk, Session
from logmonitor.watch import WatchState, observe

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "first_seen"),
    [
        ("2026-11-20T15:00:00.000Z", NOW),
        ("2026-11-20T14:50:00.000Z", NOW - timedelta(minutes=10)),
        ("2026-11-20T07:00:00.000Z", NOW),
        ("2026-11-20T23:00:00.000Z", NOW),
    ],
)
def test_qr_lives_from_its_stamp_unless_that_is_of_another_zone(stamp: str, first_seen: datetime) -> None:
    """A line read late keeps its age; a stamp that is hours off is a clock in another zone, and the line is new."""
    data = (
        '{"0":"gateway","1":"二维码链接: https://liteapp.weixin.qq.com/q/7GiQu1?qrcode=a1b2c3&bot_type=3",'
        f'"_meta":{{"logLevelName":"INFO"}},"time":"{stamp}"}}\n'
    ).encode()
    chunk = Chunk(path=Path("bot.jsonl"), data=data, start_offset=0, end_offset=len(data), number=1, caught_up=True)
    profile = compile_profile(load_profile("openclaw-weixin"))
    _, observed = observe(WatchState(session=Session(watch="bob")), chunk, profile=profile, now=NOW, live=True)
    qr = observed[-1].session.qr
    assert qr is not None
    assert (qr.first_seen, qr.expires) == (first_seen, first_seen + timedelta(minutes=5))
