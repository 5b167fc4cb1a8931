"""What an operation keeps in a test behaves as what it keeps in production."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from logmonitor.store import Store
from logmonitor.testing import MemoryKeyValue

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logmonitor import KeyValue


@pytest.fixture(params=["memory", "store"])
def kept(request: pytest.FixtureRequest) -> Iterator[KeyValue]:
    """Return the double, then the real one: both have to do the same."""
    if request.param == "memory":
        yield MemoryKeyValue()
        return
    with Store() as store:
        yield store.view("operation")


def test_key_value_keeps_replaces_and_forgets(kept: KeyValue) -> None:
    """A text is kept under its key until it is replaced or forgotten; a key without one has None."""
    assert (kept.get("a"), kept.keys()) == (None, ())
    kept.put("b", "1")
    kept.put("a", "2")
    kept.put("b", "3")
    assert (kept.get("a"), kept.get("b"), kept.keys()) == ("2", "3", ("a", "b"))
    kept.delete("b")
    kept.delete("b")
    assert (kept.get("b"), kept.keys()) == (None, ("a",))


def test_key_value_begins_with_what_it_is_given() -> None:
    """A test may begin with what an earlier run has kept."""
    assert MemoryKeyValue(until="7").get("until") == "7"
