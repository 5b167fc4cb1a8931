"""`python -m logmonitor`."""

from __future__ import annotations

import sys

from logmonitor.cli import main

if __name__ == "__main__":
    sys.exit(main())
