"""What the chat of a Wechaty account is made of: the puppet service that is spoken to, and what it makes known."""

from __future__ import annotations
