"""Rescue, restart, alert: what an admin can ask of a server, one operation per file."""

from __future__ import annotations
