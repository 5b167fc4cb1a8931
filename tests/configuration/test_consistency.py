"""What has to hold between the records of a configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from logmonitor.configuration.consistency import Conflict, OwnFile, find_conflicts, own_files
from logmonitor.configuration.record import BotConfig, SecurityConfig, WatchConfig

KEY: Final = bytes(range(32))
OWN_LOG: Final = Path("/srv/alice.log")
BOT: Final = BotConfig(name="alice", self_log=OWN_LOG, twin_key=KEY)
BOB: Final = WatchConfig(name="bob", logs=("/srv/bob.log", "/srv/bob.err"), profile="cow", require_signed=True)
CAROL: Final = WatchConfig(name="carol", logs=("/srv/carol.log",))


def reaches(pattern: str, path: Path) -> bool:
    """Tell whether a pattern without wildcards is a path."""
    return pattern == str(path)


def found(
    bot: BotConfig | None = BOT,
    watches: tuple[WatchConfig, ...] = (BOB, CAROL),
    operations: tuple[str, ...] = ("qr_rescue",),
    profiles: tuple[str, ...] | None = ("cow",),
    files: tuple[OwnFile, ...] = (),
) -> list[tuple[str, int, str, str]]:
    """Return the conflicts of a configuration that has none but for what is given."""
    conflicts = find_conflicts(
        bot,
        watches,
        operations,
        profiles=profiles,
        files=files or own_files(bot, None),
        covers=reaches,
        resolved=lambda path: Path(str(path).replace("/link/", "/srv/")),
    )
    assert all(isinstance(one, Conflict) for one in conflicts)
    return [(one.record, one.index, one.field, one.text) for one in conflicts]


def test_conflict_is_none_where_all_fits() -> None:
    """Twins with two names, one key and logs of their own stand side by side; so does nothing at all."""
    assert found() == []
    assert found(None, (), (), None) == []


@pytest.mark.parametrize("name", ["our alice", "alice.2", ""])
def test_conflict_of_a_name_needs_a_key_and_a_log(name: str) -> None:
    """Only under a name that is a word a bot signs its own log; without a log or a key any name does."""
    text = (
        "with twin_key its lines are signed under this name, by which its twin has to watch it;"
        " expected one word of letters, digits, '-' and '_'"
    )
    assert found(BotConfig(name=name, self_log=OWN_LOG, twin_key=KEY)) == [("bot", 0, "name", text)]
    assert found(BotConfig(name=name, twin_key=KEY)) == []
    assert found(BotConfig(name=name, self_log=OWN_LOG), (CAROL,)) == []


def test_conflict_of_names_is_the_laters() -> None:
    """Names are the same in any case and width; each watch but the first of a name has to change."""
    watches = tuple(WatchConfig(name=name, logs=("x",)) for name in ("bob", "carol", "ＢＯＢ", "Bob"))
    text = "is the name of another watch, 'bob'; expected one of its own"
    assert found(watches=watches) == [("watch", 2, "name", text), ("watch", 3, "name", text)]


def test_conflict_of_a_watch_on_the_bots_own_log() -> None:
    """None of a watch's logs may be the one that this bot writes."""
    watch = WatchConfig(name="dave", logs=("/srv/dave.log", str(OWN_LOG)))
    text = "this bot writes there itself (self_log); expected another bot's log"
    assert found(watches=(BOB, watch)) == [("watch", 1, "logs", text)]
    assert found(BotConfig(name="alice"), (watch,)) == []


STORE: Final = Path("/srv/alice.db")


def test_own_files_are_those_that_are_named() -> None:
    """A bot's log, its store with what SQLite puts beside it, its audit and its key are its own."""
    bot = BotConfig(name="alice", self_log=OWN_LOG, store=STORE)
    security = SecurityConfig(audit=Path("/srv/audit"), key_file=Path("/srv/key"))
    files = own_files(bot, security)
    assert [(file.record, file.field, len(file.paths())) for file in files] == [
        ("bot", "self_log", 1),
        ("bot", "store", 4),
        ("security", "audit", 1),
        ("security", "key_file", 1),
    ]
    assert files[1].paths()[1] == Path("/srv/alice.db-wal")
    assert own_files(None, None) == own_files(BotConfig(name="a"), SecurityConfig()) == ()


@pytest.mark.parametrize("path", [STORE, Path("/link/alice.db"), Path("/srv/alice.db-wal")])
def test_conflict_of_two_files_that_are_one(path: Path) -> None:
    """The later of two names for one file, or for one that SQLite keeps beside it, has to change."""
    store = own_files(BotConfig(name="a", store=STORE), None)
    audit = own_files(None, SecurityConfig(audit=path))
    assert found(files=(*store, *audit)) == [("security", 0, "audit", "is the store too; expected a file of its own")]
    assert found(files=(*audit, *store)) == [("bot", 0, "store", "is the audit too; expected a file of its own")]


def test_conflict_of_a_file_with_the_configuration() -> None:
    """Nothing is written over the configuration, which may itself be where a log pattern reaches."""
    configuration = OwnFile(record=None, field="", path=Path("/srv/bob.log"))
    key = own_files(None, SecurityConfig(key_file=Path("/srv/bob.log")))
    text = "is the configuration itself; expected a file of its own"
    assert found(files=(configuration,)) == []
    assert found(watches=(CAROL,), files=(configuration, *key)) == [("security", 0, "key_file", text)]


def test_conflict_of_a_watch_on_several_of_the_bots_files() -> None:
    """A log that reaches several of the bot's own files is one conflict that names them."""
    watch = WatchConfig(name="dave", logs=("/srv/alice.db-shm", str(OWN_LOG)))
    files = own_files(BotConfig(name="alice", self_log=OWN_LOG, store=STORE), None)
    text = "this bot writes there itself (self_log, store); expected another bot's log"
    assert found(watches=(watch,), files=files) == [("watch", 0, "logs", text)]


def test_conflict_of_signatures_without_a_key() -> None:
    """A watch that requires signatures needs the key; what is not known of the bot is not held against it."""
    text = "no signature holds without this bot's twin_key; expected the key that it shares with its twin"
    assert found(BotConfig(name="alice")) == [("watch", 0, "require_signed", text)]
    assert found(None) == []


@pytest.mark.parametrize("name", ["Bob", "ｂｏｂ"])
def test_conflict_of_a_watch_by_the_bots_own_name(name: str) -> None:
    """Twins with one key need two names; without a key a name is nobody's matter."""
    text = f"is this bot's own name, {name!r}; expected another, as twins with one key are told apart by name"
    assert found(BotConfig(name=name, twin_key=KEY)) == [("watch", 0, "name", text)]
    assert found(BotConfig(name="carol"), (CAROL,)) == []


def test_conflict_of_a_profile_that_is_not_there() -> None:
    """A profile is one of those that there are, or `auto`; where they could not be read each may be there."""
    assert found(profiles=("cows",)) == [("watch", 0, "profile", "unknown profile; did you mean 'cows'?")]
    assert found(profiles=("x",)) == [("watch", 0, "profile", "unknown profile; expected 'auto' or 'x'")]
    assert found(profiles=None) == []


def test_conflict_of_an_operation_by_the_programs_name() -> None:
    """The runtime's own commands run under its name, which no operation may have."""
    text = "is the program's own name; expected another"
    assert found(operations=("qr_rescue", "logmonitor")) == [("operation", 1, "name", text)]
