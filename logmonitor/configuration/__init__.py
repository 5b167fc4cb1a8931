"""What a configuration is read with: documents, tables bound to signatures, factories."""

from __future__ import annotations
