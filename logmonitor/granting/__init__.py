"""Grants as people say them: dates, what is meant, the commands in the chat, and those of an XBot."""

from __future__ import annotations
