"""What the plugin for the Python SDK of Wechaty is made of: the SDK mended, and the plugin's arguments read."""

from __future__ import annotations
