"""What keeps `wechaty` 0.10.7 from being imported on today's Python and libraries, mended before its import.

Each mend checks first whether it is needed, and puts back no more than the SDK uses. What the SDK's import warns of,
and no author of a bot can cure, is kept from him; nothing else is.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_REMEDY: Final = "pip install 'logmonitor[wechaty]'"
_KNOWN_WARNINGS: Final[tuple[tuple[type[Warning], str, str], ...]] = (
    # `wechaty.plugin` imports telnetlib (PEP 594); what brings it back on Python 3.13 warns in words of its own
    (DeprecationWarning, r"'telnetlib' is deprecated|telnetlib was removed in Python 3\.13", r"wechaty\.plugin\Z"),
    # `stringcase` 1.2.0, which the SDK's protocol needs, when it is compiled: 3.11 gives one, 3.12 and later the other
    (DeprecationWarning, r"invalid escape sequence '\\W'", r"(?:.*[/\\])?stringcase\Z"),
    (SyntaxWarning, r"invalid escape sequence '\\W'", r"(?:.*[/\\])?stringcase\Z"),
)
"""Category, message and module of what is warned of while the SDK is imported."""


@contextmanager
def without_known_warnings() -> Iterator[None]:
    """Keep what the SDK's import is known to warn of from being shown, or from being made an error."""
    with warnings.catch_warnings():
        for category, message, module in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=category, module=module)
        yield


def mend() -> None:
    """Make `import wechaty` work, as far as it is installed.

    Raises:
        ModuleNotFoundError: it is not, or something that it needs; the text tells the remedy.
    """
    mend_emitter(_installed("pyee"))
    mend_host(_installed("urllib3"))
    check_telnet()
    mend_options(_installed("wechaty_puppet").PuppetOptions)


def mend_emitter(pyee: ModuleType) -> None:
    """Bring `pyee.AsyncIOEventEmitter` back, which pyee 12 left in `pyee.asyncio` alone."""
    if not hasattr(pyee, "AsyncIOEventEmitter"):
        vars(pyee)["AsyncIOEventEmitter"] = import_module("pyee.asyncio").AsyncIOEventEmitter


def mend_host(urllib3: ModuleType) -> None:
    """Bring `urllib3.get_host` back, which urllib3 2 dropped for `urllib3.util.parse_url`."""
    if not hasattr(urllib3, "get_host"):
        vars(urllib3)["get_host"] = _host


def mend_options(options: Any) -> None:  # noqa: ANN401  # a class, which cannot be said of one without a hash
    """Let `PuppetOptions` be hashed: Python 3.11 takes no dataclass default that cannot be (bpo-44674)."""
    if options.__hash__ is None:
        options.__hash__ = object.__hash__


def check_telnet() -> None:
    """Find `telnetlib`, which Python 3.13 dropped (PEP 594) and the extra's `standard-telnetlib` brings back.

    Raises:
        ModuleNotFoundError: it is not there.
    """
    if "telnetlib" not in sys.modules and find_spec("telnetlib") is None:
        raise ModuleNotFoundError(
            f"wechaty needs the module 'telnetlib', which Python 3.13 dropped: {_REMEDY}", name="telnetlib"
        )


def _host(url: str) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port of `url`."""
    parts = import_module("urllib3.util").parse_url(url)
    return parts.scheme or "http", parts.host, parts.port


def _installed(name: str) -> Any:  # noqa: ANN401  # a module of which no more is known
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"WechatyLogMonitor needs the package {error.name!r}, which is not installed: {_REMEDY}", name=error.name
        ) from error
