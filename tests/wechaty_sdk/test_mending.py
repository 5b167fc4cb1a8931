"""What keeps the Wechaty SDK from being imported is mended, and nothing else is touched."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass, make_dataclass
from types import ModuleType

import pytest
from pyee.asyncio import AsyncIOEventEmitter

from logmonitor.transports.wechaty_sdk import mending
from logmonitor.transports.wechaty_sdk.mending import (
    check_telnet,
    mend,
    mend_emitter,
    mend_host,
    mend_options,
    without_known_warnings,
)


def test_emitter_is_brought_back() -> None:
    """A pyee without the emitter at its top has it there."""
    pyee = ModuleType("pyee")
    mend_emitter(pyee)
    assert pyee.AsyncIOEventEmitter is AsyncIOEventEmitter


def test_emitter_that_is_there_stays() -> None:
    """A pyee that has it keeps its own."""
    pyee, own = ModuleType("pyee"), object()
    vars(pyee)["AsyncIOEventEmitter"] = own
    mend_emitter(pyee)
    assert pyee.AsyncIOEventEmitter is own


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://example.com:8443/a?b", ("https", "example.com", 8443)),
        ("http://[::1]/", ("http", "[::1]", None)),
        ("example.com/a", ("http", "example.com", None)),
    ],
)
def test_host_is_brought_back(url: str, parts: tuple[str, str, int | None]) -> None:
    """A urllib3 without `get_host` tells scheme, host and port again, as the one of 1.26 did."""
    urllib3 = ModuleType("urllib3")
    mend_host(urllib3)
    assert urllib3.get_host(url) == parts


def test_host_that_is_there_stays() -> None:
    """A urllib3 that has it keeps its own."""
    urllib3, own = ModuleType("urllib3"), object()
    vars(urllib3)["get_host"] = own
    mend_host(urllib3)
    assert urllib3.get_host is own


def test_options_become_a_default_that_a_dataclass_takes() -> None:
    """Options that a dataclass refuses as a default, since they cannot be hashed, are taken."""

    @dataclass
    class Options:
        token: str | None = None

    def use_as_default() -> object:
        return make_dataclass("Using", [("options", Options, Options())])().options

    with pytest.raises(ValueError, match="mutable default"):
        use_as_default()
    mend_options(Options)
    assert use_as_default() == Options()


def test_options_with_a_hash_keep_it() -> None:
    """Options that can be hashed keep the way they are."""

    @dataclass(frozen=True)
    class Options:
        token: str | None = None

    own = Options.__hash__
    mend_options(Options)
    assert Options.__hash__ is own


def test_telnetlib_that_is_missing_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without telnetlib there is one sentence that says what to install."""
    monkeypatch.delitem(sys.modules, "telnetlib", raising=False)
    monkeypatch.setattr(mending, "find_spec", lambda _name: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        check_telnet()
    assert str(caught.value) == (
        "wechaty needs the module 'telnetlib', which Python 3.13 dropped: pip install 'logmonitor[wechaty]'"
    )
    assert caught.value.name == "telnetlib"


def test_telnetlib_that_is_there_is_not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for telnetlib does not import it, which would warn on Python 3.11 and 3.12."""
    monkeypatch.delitem(sys.modules, "telnetlib", raising=False)
    check_telnet()
    assert "telnetlib" not in sys.modules


@pytest.mark.parametrize("name", ["pyee", "urllib3", "wechaty_puppet"])
def test_missing_extra_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Without the extra there is one sentence that says what to install, for whatever is missing first."""
    for module in ("pyee", "urllib3", "wechaty_puppet"):
        monkeypatch.setitem(sys.modules, module, None if module == name else ModuleType(module))
    with pytest.raises(ModuleNotFoundError) as caught:
        mend()
    assert str(caught.value) == (
        f"WechatyLogMonitor needs the package {name!r}, which is not installed: pip install 'logmonitor[wechaty]'"
    )
    assert caught.value.name == name


@pytest.mark.parametrize(
    "message",
    [
        "'telnetlib' is deprecated and slated for removal in Python 3.13",
        "telnetlib was removed in Python 3.13. Please be aware that you are currently NOT using standard 'telnetlib'",
    ],
)
def test_warning_of_the_sdks_telnetlib_is_not_shown(message: str) -> None:
    """That the SDK imports telnetlib is passed over, not that others do, nor whatever else is deprecated in the SDK."""

    def warn(text: str, module: str, category: type[Warning] = DeprecationWarning) -> None:
        warnings.warn_explicit(text, category, f"{module}.py", 1, module=module)

    with without_known_warnings():
        warn(message, "wechaty.plugin")
        for wrong in ((message, "my_bot"), (message, "wechaty.plugins"), ("x is deprecated", "wechaty.plugin")):
            with pytest.raises(DeprecationWarning):
                warn(*wrong)
        with pytest.raises(UserWarning):
            warn(message, "wechaty.plugin", UserWarning)
    with pytest.raises(DeprecationWarning):
        warn(message, "wechaty.plugin")


def test_warning_of_an_escape_is_not_shown_in_its_one_module() -> None:
    """The escape that stringcase gets wrong is passed over when that is compiled, and nothing in other modules is."""
    with without_known_warnings():
        compile(r"'\W'", "/site-packages/stringcase.py", "exec")
        for text, path in ((r"'\W'", "/site-packages/mystringcase.py"), (r"'\d'", "/site-packages/stringcase.py")):
            with pytest.raises(SyntaxError, match="invalid escape sequence"):
                compile(text, path, "exec")
