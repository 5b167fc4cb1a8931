"""The examples work as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from logmonitor.config import build_operations, build_transport, load

EXAMPLE = Path(__file__).parent.parent / "examples" / "alice_bob"


@pytest.mark.parametrize(("name", "twin"), [("alice", "bob"), ("bob", "alice")])
def test_example_is_a_valid_configuration(name: str, twin: str) -> None:
    """Each twin watches the log that the other writes, and can be built."""
    config, other = load(EXAMPLE / f"{name}.toml"), load(EXAMPLE / f"{twin}.toml")
    assert config.bot.name == name
    assert [watch.name for watch in config.watches] == [twin]
    assert str(other.bot.self_log) in config.watches[0].logs
    assert [operation.name for operation in build_operations(config)] == ["qr_rescue"]
    build_transport(config)
