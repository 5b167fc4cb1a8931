"""What an escalation is made of: whose turn it is, what goes past the chat, and the ways there are."""

from __future__ import annotations
