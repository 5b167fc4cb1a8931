"""`logmonitor outbox`: what waits to be sent and what failed for good; a failed one sent after all, or dropped."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from logmonitor.cli.configured import add_config_argument, named_path
from logmonitor.cli.telling import tell
from logmonitor.config import load
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, LogMonitorError, StoreError
from logmonitor.redact import redact
from logmonitor.store import Store, read_undelivered
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from logmonitor.config import Config
    from logmonitor.sending.letter import Undelivered


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    add_config_argument(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--retry", type=int, metavar="ID", help="have a message sent after all that failed for good")
    what.add_argument("--drop", type=int, metavar="ID", help="forget a message, so that it is never sent")
    what.add_argument("--json", action="store_true", help="print one JSON object for each message, by id")
    parser.epilog = (
        "It works beside a bot that runs, which heeds it within seconds. Nothing of what is in a message is shown."
        " Exit codes: 0 done, or nothing failed; 1 not done, or messages have failed for good; 2 the configuration"
        " cannot be read or names no store."
    )


def run(arguments: argparse.Namespace) -> int:
    """Show what is not delivered, or change it; return 0, 1 if something failed, 2 for a bad configuration."""
    try:
        config = load(named_path(arguments), is_enrolling=True)
        path = config.bot.store
        if path is None:
            raise ConfigurationError(f"{config.path}: no store is named, so that nothing waits but in memory")
        if arguments.retry is not None:
            return _retry(path, arguments.retry)
        if arguments.drop is not None:
            return _drop(path, arguments.drop)
        return _show(config, read_undelivered(path), is_json=arguments.json)
    except LogMonitorError as error:
        tell(visible(f"logmonitor outbox: {error}"), stream=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1


def _show(config: Config, letters: tuple[Undelivered, ...], *, is_json: bool) -> int:
    """Print all there are, those that wait first."""
    now = datetime.now(UTC)
    for letter in letters if is_json else sorted(letters, key=lambda one: one.failed_at is not None):
        if is_json:
            print(json.dumps(_facts(letter, config)))
        else:
            print(visible(_row(letter, config, now=now), one_line=True))
    failed = sum(letter.failed_at is not None for letter in letters)
    if not letters and not is_json:
        tell("nothing waits to be sent, and nothing failed")
    if failed and not is_json:
        tell("`logmonitor outbox --retry ID` has one sent after all, `--drop ID` forgets it")
    return 1 if failed else 0


def _row(letter: Undelivered, config: Config, *, now: datetime) -> str:
    """Tell of a letter in one line."""
    written = _age(letter.written_at, now)
    what = f"{letter.id}: {letter.priority.name.lower()} to {letter.to}, written {written} ago"
    reason = redact(letter.reason, config.secrets)
    if letter.failed_at is not None:
        return f"{what}: failed for good {_age(letter.failed_at, now)} ago after {_tried(letter)}: {reason}"
    if letter.expires_at is not None and letter.expires_at <= now:
        return f"{what}: not sent any more, as it is of no use"
    return f"{what}: waits" if not letter.attempts else f"{what}: waits after {_tried(letter)}: {reason}"


def _tried(letter: Undelivered) -> str:
    return "1 attempt" if letter.attempts == 1 else f"{letter.attempts} attempts"


def _age(moment: datetime, now: datetime) -> str:
    return duration_text(max(0.0, (now - moment).total_seconds()), str)


def _facts(letter: Undelivered, config: Config) -> dict[str, object]:
    """Return what is shown of a letter, for other programs."""
    return {
        "id": letter.id,
        "to": letter.to,
        "priority": letter.priority.name.lower(),
        "written_at": letter.written_at.isoformat(),
        "expires_at": None if letter.expires_at is None else letter.expires_at.isoformat(),
        "attempts": letter.attempts,
        "reason": redact(letter.reason, config.secrets),
        "failed_at": None if letter.failed_at is None else letter.failed_at.isoformat(),
    }


def _retry(path: Path, id_: int) -> int:
    """Have a failed letter sent."""
    letter = _found(path, id_)
    if letter.failed_at is None:
        raise StoreError(f"message {id_} has not failed: it waits to be sent")
    if letter.expires_at is not None and letter.expires_at <= datetime.now(UTC):
        raise StoreError(f"message {id_} is of no use any more, so it is not sent; --drop forgets it")
    with Store(path) as store:
        is_done = store.letters.retry(id_)
    return _told(id_, f"message {id_} to {letter.to} is to be sent", is_done=is_done)


def _drop(path: Path, id_: int) -> int:
    """Forget a letter."""
    letter = _found(path, id_)
    with Store(path) as store:
        is_done = store.letters.remove(id_)
    return _told(id_, f"message {id_} to {letter.to} is forgotten", is_done=is_done)


def _found(path: Path, id_: int) -> Undelivered:
    """Return the letter of that id.

    Raises:
        StoreError: there is none, or the store cannot be read.
    """
    letter = next((one for one in read_undelivered(path) if one.id == id_), None)
    if letter is None:
        raise _unknown(id_)
    return letter


def _told(id_: int, text: str, *, is_done: bool) -> int:
    if not is_done:
        raise _unknown(id_)
    tell(visible(text, one_line=True))
    return 0


def _unknown(id_: int) -> StoreError:
    return StoreError(f"there is no message {id_}; `logmonitor outbox` shows those there are")
