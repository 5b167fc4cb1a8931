"""What log_alert decides: which lines are alerts, what is alike, what is said and kept of them."""

from __future__ import annotations
