"""What a service's user finds in a configuration: said by a process of that user's own.

A configuration may name code of its own, which is run when it is read. So whoever installs a service for somebody else
never reads that one's configuration, and is told these facts instead; they are as little to be trusted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final

from pydantic import TypeAdapter, ValidationError

from logmonitor.cli.row import reason_of
from logmonitor.cli.variable_file import read_variables, variables_path
from logmonitor.config import build_operations, load
from logmonitor.configuration.consistency import own_files
from logmonitor.configuration.document import variables_in
from logmonitor.configuration.factory import TRANSPORTS
from logmonitor.errors import ConfigurationError
from logmonitor.needs import Need, Use, needs_of
from logmonitor.unit_file import Hardening

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from logmonitor.cli.service_plan import Account
    from logmonitor.config import Config
    from logmonitor.operation import Operation

_SECONDS: Final = 120.0
_LIMITED: Final = """\
import resource
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
most = 1 << 24 if hard == resource.RLIM_INFINITY else min(hard, 1 << 24)
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
"""
_TELLING: Final = "from logmonitor.cli.service_facts import tell_facts; tell_facts()"
_PATTERN: Final = frozenset("*?[")
_ONLY_READ: Final = "key_file"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a configuration is, as far as a service of it is concerned; every text is a name or an absolute path.

    `written` are the files that the program writes, `seen` is all that has to be there for it. `unread` and `unwritten`
    are the files and folders among them that the user cannot read and write. `variables` are the names of those that it
    takes from the environment, `kept` of those that stand in its file of them.
    """

    bot: str
    chat: str
    connects: bool
    needs: tuple[Need, ...]
    written: tuple[str, ...]
    seen: tuple[str, ...]
    unread: tuple[str, ...] = ()
    unwritten: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def facts_of(config: Config, operations: Sequence[Operation]) -> Facts:
    """Look at a configuration, and at what the user of this process may do with the files that it names."""
    known = TRANSPORTS.get(config.chat.transport)
    written = [*map(_real, _written(config))]
    folders = {path.parent for path in written}
    needed = {config.path.absolute(), *map(_nearest, _logs(config))}
    return Facts(
        bot=config.bot.name,
        chat=config.chat.transport,
        connects=known is None or known.connects,
        needs=(*needs_of(_uses(config, operations)), *_transport_needs(config)),
        written=_texts(written),
        seen=_texts(_seen(config)),
        unread=_texts(path for path in needed if not os.access(path, os.R_OK)),
        unwritten=_texts(path for path in folders if path.is_dir() and not os.access(path, os.W_OK | os.X_OK)),
    )


def ask_facts(configuration: Path, given_here: Mapping[str, str] | None, account: Account) -> Facts:
    """Have a process of a service's user look at its configuration.

    `given_here` are the environment variables that it is given from here besides those in its file; None if none may.

    Raises:
        ConfigurationError: it cannot be read or is not valid, or the user cannot run this program.
    """
    given = {"configuration": str(configuration.absolute()), "environ": dict(given_here or {})}
    said = run_as(account, _TELLING, given=json.dumps(given).encode())
    try:
        answer = json.loads(said)
        if isinstance(answer, dict) and "error" in answer:
            hint = _hint(answer.get("lacking"), configuration, None if given_here is not None else account)
            raise ConfigurationError(f"{answer['error']}{hint}")
        return TypeAdapter(Facts).validate_json(said)
    except (ValueError, ValidationError) as error:
        raise ConfigurationError(f"{configuration}: nothing is told of it as {account.name}: {error}") from None


def tell_facts() -> None:
    """Look at the configuration that standard input names, and say what is found as JSON."""
    asked = json.load(sys.stdin)
    path = Path(asked["configuration"])
    names: tuple[str, ...] = ()
    with redirect_stdout(sys.stderr):
        try:
            file = variables_path(path)
            kept = read_variables(file) if file.exists() else {}
            os.environ.update(asked["environ"] | kept)
            names = _taken(path)
            config = load(path)
            facts = facts_of(config, build_operations(config))
            answer: dict[str, object] = asdict(facts) | {"variables": names, "kept": tuple(kept)}
        except ConfigurationError as error:
            answer = {"error": str(error), "lacking": [name for name in names if name not in os.environ]}
    print(json.dumps(answer))


def run_as(account: Account, script: str, *words: str, given: bytes) -> str:
    """Have this very Python run a script as a user, with nothing of our environment; return what it says.

    It is waited for two minutes, and can say no more than 16 MiB.

    Raises:
        ConfigurationError: it cannot, or the script fails.
    """
    with TemporaryFile() as said, TemporaryFile() as complained:
        exit_code = _run_as(account, f"{_LIMITED}{script}", words, given, outputs=(said, complained))
        said.seek(0)
        complained.seek(0)
        if exit_code:
            last = (complained.read().decode("utf-8", "replace").strip().splitlines() or ["no reason"])[-1]
            raise ConfigurationError(f"{sys.executable} fails as {account.name}: {last}")
        return said.read().decode("utf-8", "replace")


def _run_as(
    account: Account, script: str, words: tuple[str, ...], given: bytes, *, outputs: tuple[IO[bytes], IO[bytes]]
) -> int:
    argv = (sys.executable, "-P", "-c", script, *words)
    environ = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": account.home}
    is_other = os.geteuid() == 0 and account.uid != 0
    try:
        done = subprocess.run(
            argv,
            input=given,
            stdout=outputs[0],
            stderr=outputs[1],
            check=False,
            cwd="/",
            env=environ,
            timeout=_SECONDS,
            user=account.uid if is_other else None,
            group=account.gid if is_other else None,
            start_new_session=is_other,  # else it could type at our terminal
            extra_groups=os.getgrouplist(account.name, account.gid) if is_other else None,
        )
    except OSError as error:
        raise ConfigurationError(
            f"{account.name} cannot run {sys.executable}: {reason_of(error)}; install logmonitor where that user can"
        ) from None
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"{sys.executable} did not end within {_SECONDS:g} s as {account.name}") from None
    return done.returncode


def _taken(path: Path) -> tuple[str, ...]:
    """Return the variables that a configuration takes; that it cannot be read is told by who reads all of it."""
    try:
        return variables_in(path.read_text("utf-8-sig", "replace"))
    except OSError:
        return ()


def _hint(lacking: object, configuration: Path, user: Account | None) -> str:
    """Return what to do about variables that are not set; `user` has to do it, None for whoever is here."""
    if not isinstance(lacking, list) or not lacking:
        return ""
    names, path = ", ".join(map(str, lacking)), variables_path(configuration)
    if user is None:
        return f"\nset {names} here, or write NAME=VALUE into {path}"
    return f"\nwrite NAME=VALUE into {path} as {user.name}, for {names}; what is set here is not given to {user.name}"


def _uses(config: Config, operations: Sequence[Operation]) -> tuple[Use, ...]:
    """Return the operations as they are named, those that fail behind the others."""
    return (
        *(
            Use(use=entry.use, name=entry.config.name, operation=operation, parameters=entry.parameters)
            for entry, operation in zip(config.operations, operations, strict=True)
        ),
        *(Use(use=broken.use, name=broken.name, operation=None) for broken in config.broken),
    )


def _transport_needs(config: Config) -> Iterator[Need]:
    """Yield what chats need of which nothing is known."""
    names = (config.chat.transport, *(one.transport for one in config.fallbacks if one.transport is not None))
    for name in dict.fromkeys(names):
        if name not in TRANSPORTS:
            reason = "is not one of logmonitor's own, and may do anything"
            yield Need(subject=f"chat {name}", reason=reason, hardening=Hardening.NONE)


def _written(config: Config) -> Iterator[Path]:
    """Yield the files that the program writes."""
    yield from (file.path for file in own_files(config.bot, config.security, config.rescue) if file.field != _ONLY_READ)


def _seen(config: Config) -> Iterator[Path]:
    """Yield all that has to be there for the program, as it is named and as what it leads to."""
    own = (Path(sys.executable), Path(sys.prefix), Path(sys.base_prefix), Path(__file__))
    for path in (*own, *_logs(config), *_paths(config)):
        yield path
        yield _real(path)


def _paths(value: object) -> Iterator[Path]:
    """Yield every path in a configuration, wherever it stands."""
    if isinstance(value, Path):
        yield value.absolute()
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _paths(getattr(value, field.name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from _paths(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _paths(one)


def _without_pattern(log: str) -> Path:
    """Return the part of a log's path that is no pattern."""
    path = Path(log)
    return next((one for one in (path, *path.parents) if not _PATTERN & {*str(one)}), path)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _logs(config: Config) -> Iterator[Path]:
    """Yield the logs that are followed, without what is a pattern, and the folders that they are rotated into."""
    yield from (_without_pattern(log) for watch in config.watches for log in watch.logs)
    yield from (folder for watch in config.watches for folder in watch.archives)


def _nearest(path: Path) -> Path:
    """Return a file, or the folder in which it would be."""
    return next((one for one in (path, *path.parents) if one.exists()), path)


def _texts(paths: Iterable[Path]) -> tuple[str, ...]:
    """Return paths as texts, each once."""
    return tuple(dict.fromkeys(map(str, paths)))
