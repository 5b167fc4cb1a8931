"""What a name in a configuration stands for, and the keys that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from logmonitor.configuration.binding import Parameter, parameters_of
from logmonitor.errors import BrokenCodeError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from logmonitor.configuration.document import Location
    from logmonitor.configuration.finder import Finder


def take_factory(
    finder: Finder,
    table: Mapping[str, object],
    location: Location,
    find: Callable[..., Callable[..., object]],
    general: Sequence[Parameter],
    *,
    positional: int,
    on_broken: Callable[[BrokenCodeError], None] | None = None,
) -> tuple[Callable[..., object] | None, tuple[Parameter, ...]]:
    """Return what the name at `location` stands for and the keys it takes besides `general`; None where it is not had.

    With `on_broken` a signature that cannot be used is not the fault of who wrote the short name of a package's.
    """
    name = table.get(str(location[-1]))
    if not isinstance(name, str) or not name.strip() or finder.document.is_unset(location):
        return None, ()

    def found() -> tuple[Callable[..., object], tuple[Parameter, ...]]:
        factory = find(name, folder=finder.folder)
        try:
            return factory, _own_parameters(factory, general, positional=positional)
        except ConfigurationError as error:
            if ":" in name:
                raise
            raise BrokenCodeError(*error.args) from error

    return finder.attempt(found, location, on_broken=on_broken) or (None, ())


def _own_parameters(
    factory: Callable[..., object], general: Sequence[Parameter], *, positional: int
) -> tuple[Parameter, ...]:
    """Return the keys that a factory takes besides the general ones.

    Raises:
        ConfigurationError: it is none, or takes one of these too.
    """
    own = parameters_of(factory, positional=positional)
    clash = next((one.name for one in own if any(one.name == other.name for other in general)), None)
    if clash is not None:
        raise ConfigurationError(f"has the parameter {clash!r}, which is taken; expected another")
    return own
