"""What the audit is made of: records, their chain, the copies that rotation leaves, and the verification."""

from __future__ import annotations
