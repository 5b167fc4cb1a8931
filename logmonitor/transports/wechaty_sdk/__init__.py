"""What the plugin for the Python SDK of Wechaty is made of: the SDK mended and heard, the runtime kept at work."""

from __future__ import annotations
