"""Operations and transports by their names."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from logmonitor.configuration.factory import TRANSPORTS, find_operation, find_transport, make_operation, make_transport
from logmonitor.errors import BrokenCodeError, ConfigurationError, OperationError
from logmonitor.operation import Operation, OperationConfig
from logmonitor.testing import MemoryTransport

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose modules can be imported until the test ends."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "modules", sys.modules.copy())
    return tmp_path


def install(folder: Path, *lines: str, name: str = "others") -> None:
    """Install a distribution that claims entry points."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(["[logmonitor.operations]", *lines, ""]))
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def refused(find: Callable[..., object], name: str, folder: Path) -> str:
    """Return why a name is refused."""
    with pytest.raises(ConfigurationError) as caught:
        find(name, folder=folder)
    return str(caught.value)


def test_find_operation_by_dotted_path_beside_the_configuration(folder: Path) -> None:
    """A module in the configuration's folder needs no installation, and hides none that is installed."""
    (folder / "my_alerts.py").write_text("def alert(config): ...\nclass Kit:\n    def make(config): ...\n")
    (folder / "json.py").write_text("raise AssertionError\n")
    assert find_operation("my_alerts:alert", folder=folder).__name__ == "alert"
    assert find_operation("my_alerts:Kit.make", folder=folder).__name__ == "make"
    assert find_operation("json:dumps", folder=folder).__module__ == "json"


def test_find_operation_by_entry_point(folder: Path) -> None:
    """What is installed in the group is found by its short name."""
    (folder / "some_alerts.py").write_text("def alert(config): ...\n")
    install(folder, "alert = some_alerts:alert")
    assert find_operation("alert", folder=folder).__module__ == "some_alerts"


def test_find_operation_leaves_our_names_to_us(folder: Path) -> None:
    """A package that claims the name of one of ours does not get it, nor keep the program from starting."""
    install(folder, "qr_rescue = some_alerts:alert")
    assert find_operation("qr_rescue", folder=folder).__module__ == "operations.qr_rescue"


def test_find_operation_tells_code_that_fails_from_names(folder: Path) -> None:
    """What a module or a name in it raises, an end of the program too, is broken code; a name alone is not."""
    (folder / "ending.py").write_text("raise SystemExit(3)\n")
    (folder / "lazy.py").write_text("def __getattr__(name): raise RuntimeError('not now')\n")
    (folder / "own_error.py").write_text("raise type('Own', (Exception,), {})\n")
    for name, sentence in (
        ("ending:alert", "module 'ending' failed with SystemExit: 3"),
        ("lazy:alert", "'alert' in module 'lazy' failed with RuntimeError: not now"),
        ("own_error:alert", "module 'own_error' failed with Own: "),
    ):
        with pytest.raises(BrokenCodeError) as caught:
            find_operation(name, folder=folder)
        assert str(caught.value) == sentence
    with pytest.raises(ConfigurationError) as caught_too:
        find_operation("json:alert", folder=folder)
    assert type(caught_too.value) is ConfigurationError


def test_find_operation_says_what_is_wrong_with_a_name(folder: Path) -> None:
    """A name that leads nowhere is told with what was meant."""
    (folder / "half.py").write_text("import nowhere_at_all\n")
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "syntax.py").write_text("def\n")
    (folder / "values.py").write_text("number = 3\ndef alert(config): ...\n")
    assert refused(find_operation, "qr_rescu", folder) == "unknown operation; did you mean 'qr_rescue'?"
    assert refused(find_operation, "zzz", folder).startswith("unknown operation; expected ")
    assert refused(find_operation, "zzz", folder).endswith(" or package.module:function")
    assert refused(find_operation, "nowhere:alert", folder) == "there is no module 'nowhere'"
    assert refused(find_operation, "json.nowhere:alert", folder) == "there is no module 'json.nowhere'"
    assert refused(find_operation, "half:alert", folder) == (
        "needs the package 'nowhere_at_all', which is not installed: install it"
    )
    assert refused(find_operation, "broken:alert", folder) == (
        "module 'broken' failed with ZeroDivisionError: division by zero"
    )
    assert refused(find_operation, "syntax:alert", folder).startswith("module 'syntax' failed with SyntaxError: ")
    assert refused(find_operation, "values:alrt", folder) == (
        "there is no 'alrt' in module 'values'; did you mean 'alert'?"
    )
    assert refused(find_operation, "values:zzz", folder) == "there is no 'zzz' in module 'values'"
    assert refused(find_operation, "values:number", folder) == "is of type int; expected a function"
    for bad in (":alert", "values:", "a b:c", "values:alert:x"):
        assert refused(find_operation, bad, folder) == "bad name; expected package.module:name"


def test_find_operation_names_a_broken_entry_point(folder: Path) -> None:
    """What another's distribution breaks is told with its name."""
    install(folder, "broken_alert = not_installed.alert:alert", "twice = one:f", name="others")
    install(folder, "twice = two:f", name="more")
    assert refused(find_operation, "broken_alert", folder) == (
        "broken in not_installed.alert:alert of others: there is no module 'not_installed'"
    )
    sentence = refused(find_operation, "twice", folder)
    assert "one:f of others" in sentence
    assert "two:f of more" in sentence
    assert sentence.endswith("expected the one that is meant, as 'one:f'")


@pytest.mark.parametrize("name", sorted(TRANSPORTS))
def test_find_transport_knows_ours(name: str, tmp_path: Path) -> None:
    """Every transport in the table is there, and what it makes is one."""
    needed = {"endpoint": "127.0.0.1:8788", "token": "hunter22"} if name == "wechaty" else {}
    make_transport(find_transport(name, folder=tmp_path), needed)


def test_find_transport_says_what_is_wrong_with_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that leads nowhere is told with what was meant, a missing SDK with the extra that brings it."""
    assert refused(find_transport, "consle", folder) == "unknown transport; did you mean 'console'?"
    assert refused(find_transport, "zzz", folder) == (
        "unknown transport; expected 'console', 'stdio', 'wechaty' or package.module:Class"
    )
    assert refused(find_transport, "nowhere:Chat", folder) == "there is no module 'nowhere'"
    (folder / "fancy.py").write_text("import fancy_sdk.client\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(TRANSPORTS, "fancy", type(TRANSPORTS["console"])(target="fancy:Fancy", extra="fancy"))
    assert refused(find_transport, "fancy", folder) == (
        "needs the package 'fancy_sdk', which is not installed: pip install 'logmonitor[fancy]'"
    )


def made(factory: Callable[..., object], **parameters: object) -> str:
    """Return why an operation cannot be made."""
    with pytest.raises(ConfigurationError) as caught:
        make_operation(factory, OperationConfig(), parameters)
    return str(caught.value)


def test_make_operation_calls_the_factory() -> None:
    """Config first, then the parameters by name."""

    def factory(config: OperationConfig, *, name: str) -> Operation:
        return Operation(name=name, config=config)

    config = OperationConfig(name="mine")
    assert make_operation(factory, config, {"name": "alert"}) == Operation(name="alert", config=config)


def test_make_operation_says_why_it_cannot() -> None:
    """A refusal is told in its own words, a fault with its kind, and anything but an operation by its type."""

    def refusing(_: OperationConfig, *, error: Exception) -> Operation:
        raise error

    assert made(refusing, error=OperationError("bad quiet -1")) == "bad quiet -1"
    assert made(refusing, error=ValueError("bad quiet -1")) == "bad quiet -1"
    assert made(refusing, error=KeyError("x")) == "failed with KeyError: 'x'"
    assert made(lambda _: 3) == "returned int; expected an Operation"


def test_make_transport_refuses_what_is_none() -> None:
    """A class that lacks a part of a transport is told which."""
    assert isinstance(make_transport(MemoryTransport, {}), MemoryTransport)
    anything: Any = Path
    with pytest.raises(ConfigurationError) as caught:
        make_transport(anything, {})
    assert str(caught.value) == (
        f"makes {type(Path()).__name__}, which is no transport: "
        "it lacks __aenter__, __aexit__, health, limits, messages, send"
    )
