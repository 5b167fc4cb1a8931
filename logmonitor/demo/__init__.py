"""Two bots that rescue each other, as real processes on this machine, with everything around them played."""

from __future__ import annotations
