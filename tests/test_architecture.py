"""Who may import whom stays as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
from pathlib import Path

import logmonitor

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "logmonitor"
SHELL = (
    "approver",
    "audit",
    "auditing.copies",
    "auditing.reader",
    "authority",
    "channel.apprise_process",
    "channel.apprise_url",
    "checkpoint",
    "cli",
    "clock",
    "config",
    "configuration.factory",
    "configuration.fallback",
    "configuration.log_pattern",
    "configuration.security",
    "configuration.tables",
    "demo",
    "directory",
    "dispatcher",
    "escalating.assembly",
    "escalating.way",
    "escalation",
    "follower",
    "following",
    "granting.commands",
    "handler_context",
    "host",
    "hosting",
    "inbox",
    "jobs",
    "language",
    "lasting",
    "news",
    "notify",
    "outbox",
    "overview",
    "own_account",
    "own_commands",
    "pacer",
    "pid_file",
    "plot.chart",
    "plot.plotting",
    "profile_folder",
    "reader",
    "recorder",
    "remarks",
    "rescuer",
    "runtime",
    "sealing",
    "second_channel",
    "self_log",
    "sending.budget",
    "sending.courier",
    "sending.lane",
    "sending.ledger",
    "sending.postbox",
    "sending.readiness",
    "sending.recalling",
    "storage",
    "store",
    "restart.succession",
    "testing",
    "totp",
    "transports",
    "watcher",
    "worker",
)
FORBIDDEN_IN_CORE = {
    "asyncio",
    "logging",
    "os",
    "random",
    "socket",
    "subprocess",
    "threading",
    "time",
    "watchdog",
    "rich",
}
PLUGIN = ("transports.wechaty_plugin", "transports.wechaty_sdk")
SOLE_IMPORTERS = {
    "apprise": ("channel.apprise_process",),
    "cryptography": ("sealing",),
    "grpclib": ("transports.puppet_service",),
    "httpcore": ("hosting.network",),
    "httpx": ("hosting.network",),
    "matplotlib": ("plot.chart",),
    "prompt_toolkit": ("transports",),
    "psutil": ("host",),
    "pyee": PLUGIN,
    "pyotp": ("totp",),
    "requests": ("channel.apprise_process",),
    "sqlite3": ("storage",),
    "telnetlib": PLUGIN,
    "urllib3": PLUGIN,
    "watchdog": ("following.observing",),
    "wechaty": PLUGIN,
    "wechaty_grpc": ("transports.puppet_service",),
    "wechaty_puppet": PLUGIN,
    "wechaty_puppet_service": PLUGIN,
}


def imports(path: Path) -> set[str]:
    """Return the dotted names that a module imports while it runs, whatever is only for the type checker left out."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return found


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name below `logmonitor`."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name not in ("__init__.py", "__main__.py") or path.parent != PACKAGE
    }


def is_shell(name: str) -> bool:
    """Tell whether a module, by its dotted name below `logmonitor`, is shell or stands in a package that is."""
    return any(name == shell or name.startswith(f"{shell}.") for shell in SHELL)


def test_core_imports_no_shell() -> None:
    """A module that is not listed as shell imports neither the shell nor what does I/O."""
    wrong = [
        (name, target)
        for name, path in modules().items()
        if not is_shell(name)
        for target in sorted(imports(path))
        if target.partition(".")[0] in FORBIDDEN_IN_CORE
        or (target.startswith("logmonitor.") and is_shell(target.removeprefix("logmonitor.")))
    ]
    assert wrong == []


def test_package_imports_no_operation() -> None:
    """`logmonitor` never imports `operations`: they come by dotted path or entry point."""
    assert [name for name, path in modules().items() if any(t.startswith("operations") for t in imports(path))] == []


def test_operations_import_only_the_public_api() -> None:
    """An operation imports `logmonitor` itself and none of its modules."""
    wrong = [
        (path.name, target)
        for path in (ROOT / "operations").glob("*.py")
        for target in imports(path)
        if target.startswith("logmonitor.")
    ]
    assert wrong == []


def test_sdk_has_one_importer() -> None:
    """What is meant to stand behind one module or package, or the two of the plugin, is imported there alone."""
    wrong = [
        (name, target)
        for name, path in modules().items()
        for target in imports(path)
        for sdk, owners in SOLE_IMPORTERS.items()
        if target.partition(".")[0] == sdk and not any(f"{name}.".startswith(f"{owner}.") for owner in owners)
    ]
    assert wrong == []


def test_public_names_are_sorted_and_there() -> None:
    """`__all__` is sorted, and every name in it can be imported."""
    assert list(logmonitor.__all__) == sorted(logmonitor.__all__)
    assert [name for name in logmonitor.__all__ if not hasattr(logmonitor, name)] == []


def test_shell_list_names_what_there_is() -> None:
    """Nothing is listed as shell that is no module any more."""
    assert [
        shell for shell in SHELL if not any(name == shell or name.startswith(f"{shell}.") for name in modules())
    ] == []
