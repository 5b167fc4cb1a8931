"""How long the torture lasts: short within the test suite, in full where `TORTURE=full` is set."""

from __future__ import annotations

import os
from typing import Final

import pytest

IS_FULL: Final = os.environ.get("TORTURE") == "full"
FULL_ONLY: Final = pytest.mark.skipif(not IS_FULL, reason="only in the full torture; `make torture` runs it")
