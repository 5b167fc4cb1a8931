"""What the machine is reached with: processes, shells, logs, the network."""

from __future__ import annotations
