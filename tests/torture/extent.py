"""How long the torture lasts: short within the test suite, in full where `TORTURE=full` is set."""

from __future__ import annotations

import os
from typing import Final

IS_FULL: Final = os.environ.get("TORTURE") == "full"
