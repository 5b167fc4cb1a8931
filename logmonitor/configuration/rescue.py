"""`[rescue]`: how several rescuers agree on which of them speaks, read into its record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.configuration.binding import parameters_of
from logmonitor.configuration.keys import File, Term  # noqa: TC001  # read at run time, to check what is given
from logmonitor.configuration.record import RescueConfig

if TYPE_CHECKING:
    from logmonitor.configuration.finder import Finder


def _rescue(*, lease: File, term: Term = 30.0) -> RescueConfig:
    return RescueConfig(lease=lease, term=term)


def read_rescue(finder: Finder) -> RescueConfig | None:
    """Read `[rescue]`; without it, or where it is wrong, nothing is shared."""
    table = finder.single("rescue", is_required=False)
    values = None if table is None else finder.bound(table, ("rescue",), parameters_of(_rescue))
    return None if values is None else _rescue(**values)
