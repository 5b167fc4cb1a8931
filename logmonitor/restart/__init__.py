"""What a restart is made of: how a process is started again, in which order, and how its keeper is asked."""

from __future__ import annotations
