"""The numbers in a chat's configuration: what is not above 0 is refused with the key that has it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Seconds = Annotated[float, Field(gt=0)]
"""A duration in seconds."""

Count = Annotated[int, Field(gt=0)]
"""How many there are, of bytes too."""
