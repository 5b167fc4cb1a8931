"""From the lines of a log to events: whose log it is, what its lines say, and which of them to trust."""

from __future__ import annotations
