"""What keeps `wechaty` 0.10.7 from being imported on today's Python and libraries, mended before its import.

Each mend checks first whether it is needed, and puts back no more than the SDK uses.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import ModuleType

_REMEDY: Final = "pip install 'logmonitor[wechaty]'"


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
