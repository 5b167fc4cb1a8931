"""The last day of the bots: as samples, and as an image."""

from __future__ import annotations
