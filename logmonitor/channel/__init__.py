"""Ways to people beside the chat, by the services that Apprise knows."""

from __future__ import annotations
