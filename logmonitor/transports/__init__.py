"""Chats, one per file: the only importers of their SDKs."""

from __future__ import annotations
