"""What tests of the machine can ask for by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hosting.strangers import Strangers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def strangers() -> Iterator[Strangers]:
    """Give real processes that are nobody's children here, and end them all."""
    strangers = Strangers()
    yield strangers
    strangers.end()
