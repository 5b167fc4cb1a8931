"""Operations and transports by the names a configuration gives them: found, checked against their contract, made."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from logmonitor.configuration.document import expected, suggestion
from logmonitor.errors import BrokenCodeError, ConfigurationError, LogMonitorError
from logmonitor.isolation import isolated
from logmonitor.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from importlib.metadata import EntryPoint
    from pathlib import Path

    from logmonitor.operation import OperationConfig
    from logmonitor.transport import Transport

GROUP: Final = "logmonitor.operations"

_OURS: Final = "logmonitor"
_REFUSALS: Final = (LogMonitorError, ValueError)
_Result = TypeVar("_Result")
_TRANSPORT_PARTS: Final = ("__aenter__", "__aexit__", "health", "limits", "messages", "resolve", "send")


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTransport:
    """A transport of ours: where its class is, the extra that installs its SDK, whether it connects to anything."""

    target: str
    extra: str | None = None
    connects: bool = True


TRANSPORTS: Final = {
    "console": KnownTransport(target="logmonitor.transports.console:Console", connects=False),
    "stdio": KnownTransport(target="logmonitor.transports.stdio:Stdio", connects=False),
    "wechaty": KnownTransport(target="logmonitor.transports.wechaty:Wechaty"),
}


def find_operation(use: str, *, folder: Path) -> Callable[..., object]:
    """Return the factory that `use` names: an entry point's short name, or `package.module:function`.

    A module may lie in `folder`, behind all that is installed. Of the names that we give, nobody else can take one.

    Raises:
        ConfigurationError: there is none.
        BrokenCodeError: its module cannot be imported, or what is installed is no function.
    """
    if ":" in use:
        _make_importable(folder)
        return _callable(use)
    installed = entry_points(group=GROUP)
    named = [point for point in installed if point.name == use]
    named = [point for point in named if point.dist is not None and point.dist.name == _OURS] or named
    if not named:
        hint = expected(use, {point.name for point in installed}, other="package.module:function")
        raise ConfigurationError(f"unknown operation; {hint}")
    targets = sorted({point.value for point in named})
    if len(targets) > 1:
        raise ConfigurationError(
            f"claimed by {' and '.join(map(_origin, named))}; expected the one that is meant, as {targets[0]!r}"
        )
    try:
        return _callable(named[0].value.partition("[")[0].strip())
    except ConfigurationError as error:
        raise BrokenCodeError(f"broken in {_origin(named[0])}: {error}") from error


def find_transport(name: str, *, folder: Path) -> Callable[..., object]:
    """Return the class of the transport `name`: one of ours, or `package.module:Class`; its SDK is imported only now.

    Raises:
        ConfigurationError: there is none, or it or its SDK cannot be imported.
    """
    if ":" in name:
        _make_importable(folder)
        return _callable(name)
    known = TRANSPORTS.get(name)
    if known is None:
        raise ConfigurationError(f"unknown transport; {expected(name, TRANSPORTS, other='package.module:Class')}")
    return _callable(known.target, extra=known.extra)


def make_operation(
    factory: Callable[..., object], config: OperationConfig, parameters: Mapping[str, object]
) -> Operation:
    """Call an operation's factory.

    Raises:
        ConfigurationError: it refuses the parameters.
        BrokenCodeError: it fails, or returns something else.
    """
    made = _made(factory, config, **parameters)
    if not isinstance(made, Operation):
        raise BrokenCodeError(f"returned {type(made).__name__}; expected an Operation")
    return made


def make_transport(factory: Callable[..., object], parameters: Mapping[str, object]) -> Transport:
    """Call a transport's class.

    Raises:
        ConfigurationError: it refuses the parameters, fails, or makes something that is no transport.
    """
    made = _made(factory, **parameters)
    missing = [part for part in _TRANSPORT_PARTS if not hasattr(type(made), part) and not hasattr(made, part)]
    if missing:
        raise ConfigurationError(f"makes {type(made).__name__}, which is no transport: it lacks {', '.join(missing)}")
    return cast("Transport", made)


def _made(factory: Callable[..., object], /, *positional: object, **parameters: object) -> object:
    def failure(error: BaseException) -> ConfigurationError:
        if isinstance(error, _REFUSALS):
            return ConfigurationError(str(error))
        return BrokenCodeError(f"failed with {type(error).__name__}: {error}")

    return _tried(lambda: factory(*positional, **parameters), failure)


def _callable(target: str, *, extra: str | None = None) -> Callable[..., object]:
    """Import what `package.module:name` means."""
    module_name, _, path = target.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), *path.split("."))):
        raise ConfigurationError("bad name; expected package.module:name")

    def import_failure(error: BaseException) -> ConfigurationError:
        if not isinstance(error, ModuleNotFoundError):
            return BrokenCodeError(f"module {module_name!r} failed with {type(error).__name__}: {error}")
        missing = error.name or ""
        if f"{module_name}.".startswith(f"{missing}."):
            return ConfigurationError(f"there is no module {missing!r}")
        remedy = f"pip install 'logmonitor[{extra}]'" if extra else "install it"
        return BrokenCodeError(f"needs the package {missing!r}, which is not installed: {remedy}")

    module = _tried(lambda: import_module(module_name), import_failure)

    def look_up_failure(error: BaseException) -> ConfigurationError:
        if not isinstance(error, AttributeError):
            return BrokenCodeError(f"{path!r} in module {module_name!r} failed with {type(error).__name__}: {error}")
        public = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        meant = suggestion(path, public)
        hint = f"; did you mean {meant!r}?" if meant else ""
        return ConfigurationError(f"there is no {path!r} in module {module_name!r}{hint}")

    found: Any = _tried(lambda: reduce(getattr, path.split("."), module), look_up_failure)
    if not callable(found):
        raise ConfigurationError(f"is of type {type(found).__name__}; expected a function")
    return cast("Callable[..., object]", found)


def _tried(action: Callable[[], _Result], failure: Callable[[BaseException], ConfigurationError]) -> _Result:
    """Return what others' code gives; whatever it raises, or ends the program with, becomes what `failure` makes.

    What it prints goes to standard error: standard output may be a protocol's.
    """
    caught: list[BaseException] = []
    try:
        with redirect_stdout(sys.stderr), isolated(caught.append):
            return action()
    except SystemExit as error:  # a script that ends where it should be imported
        caught.append(error)
    raise failure(caught[0]) from caught[0]


def _origin(point: EntryPoint) -> str:
    distribution = point.dist
    return f"{point.value} of {distribution.name}" if distribution is not None else point.value


def _make_importable(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
