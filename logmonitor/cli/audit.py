"""`logmonitor audit`: who asked for what, what was decided and why; and whether anything of it is missing."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from logmonitor.audit import ANCHOR_KEY, ANCHOR_OWNER
from logmonitor.auditing.chain import parse_anchor
from logmonitor.auditing.reader import read_entries, verify_audit
from logmonitor.cli.audit_table import show
from logmonitor.cli.configured import add_config_option, config_path
from logmonitor.cli.telling import tell
from logmonitor.config import load
from logmonitor.display import visible
from logmonitor.errors import AuditError, ConfigurationError, LogMonitorError
from logmonitor.store import read_kept

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from zoneinfo import ZoneInfo

    from logmonitor.auditing.chain import Link
    from logmonitor.auditing.verification import Verdict

_NEWEST: Final = 20
_SPAN: Final = re.compile(r"(?P<count>\d{1,6})(?P<unit>[smhdw])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where an audit stands, and unless it is a copy from elsewhere the store that knows its newest record."""

    path: Path
    zone: ZoneInfo | None = None
    is_anchored: bool = False
    store: Path | None = None

    def anchor(self) -> Link | None:
        """Return the newest record that the store knows of; the store is only looked at.

        Raises:
            StoreError: it cannot be read.
        """
        return None if self.store is None else parse_anchor(read_kept(self.store, ANCHOR_OWNER, ANCHOR_KEY))


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "--verify", action="store_true", help="tell whether a record was removed, changed, moved or inserted"
    )
    parser.add_argument("--since", metavar="WHEN", help="show all from then on: 2h, 3d, 2026-11-20 or 2026-11-20T10:00")
    parser.add_argument("--json", action="store_true", help="write the lines as they are; all, without --since")
    parser.add_argument(
        "--file", type=Path, metavar="PATH", help="read this audit, such as a copy from another machine, without store"
    )
    add_config_option(parser)
    parser.epilog = (
        f"Without options the newest {_NEWEST} records are shown; with --verify alone, none. Rotated copies beside the"
        " file are read too, also compressed by gzip. Exit codes: 0 nothing found, 1 something found by --verify,"
        " 2 the audit or its configuration cannot be read."
    )


def run(arguments: argparse.Namespace) -> int:
    """Show records, verify them, or both; return 0, 1 if something was done to them, 2 if they cannot be read."""
    try:
        source = _source(arguments)
        since = None if arguments.since is None else moment_of(arguments.since, now=datetime.now(UTC), zone=source.zone)
        if since is not None or arguments.json or not arguments.verify:
            newest = _NEWEST if since is None and not arguments.json else None
            entries = read_entries(source.path, since=since, newest=newest)
            if arguments.json:
                _write_lines(line for _, line in entries)
            else:
                show([entry for entry, _ in entries], zone=source.zone)
            if not entries:
                tell(_nothing(source, since), stream=sys.stderr)
        if not arguments.verify:
            return 0
        verdict = verify_audit(source.path, read_anchor=source.anchor if source.is_anchored else None)
    except LogMonitorError as error:
        tell(visible(f"logmonitor audit: {error}"), stream=sys.stderr)
        return 2
    _tell(verdict, source, is_apart=arguments.json)
    return 0 if verdict.is_intact else 1


def moment_of(text: str, *, now: datetime, zone: ZoneInfo | None) -> datetime:
    """Return the time that is meant: so long before `now`, or a date or time in `zone`, by default the machine's.

    Raises:
        ConfigurationError: it is none.
    """
    span = _SPAN.fullmatch(text)
    try:
        if span is not None:
            return now - timedelta(**{_UNITS[span["unit"]]: int(span["count"])})
        moment = datetime.fromisoformat(text)
        if moment.utcoffset() is None:
            moment = moment.astimezone() if zone is None else moment.replace(tzinfo=zone)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigurationError(f"bad time {text!r}; expected 2h, 3d, 2026-11-20 or 2026-11-20T10:00") from None


def _source(arguments: argparse.Namespace) -> _Source:
    if arguments.file is not None:
        if getattr(arguments, "config", None) is not None:
            raise ConfigurationError("both --file and --config are given; expected one of them")
        path = Path(arguments.file).resolve()
        if not path.exists():
            raise ConfigurationError(f"{path}: no such file")
        if not read_entries(path, newest=1):
            raise AuditError(f"{path}: holds no record of an audit; expected a file that one was written to, or a copy")
        return _Source(path=path)
    config = load(config_path(arguments), is_enrolling=True)
    if config.security.audit is None:
        raise ConfigurationError(f"{config.path}: [security] audit is false, so that nothing is put on record")
    return _Source(path=config.security.audit, zone=config.bot.timezone, is_anchored=True, store=config.bot.store)


def _nothing(source: _Source, since: datetime | None) -> str:
    """Say that there is nothing to be shown, and where it was looked for."""
    if since is not None and read_entries(source.path, newest=1):
        text = f"no record since {since.astimezone(source.zone):%Y-%m-%d %H:%M:%S} in {source.path}"
    elif source.path.exists():
        text = f"no record in {source.path} yet"
    else:
        text = f"no record: there is no {source.path}; --verify tells whether there was one"
    return visible(f"logmonitor audit: {text}", one_line=True)


def _write_lines(lines: Iterable[bytes]) -> None:
    """Write lines byte for byte, but to a terminal nothing that it would obey."""
    sys.stdout.flush()
    for line in lines:
        if sys.stdout.isatty():
            print(visible(line.decode("utf-8", "replace"), one_line=True))
        else:
            sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


def _tell(verdict: Verdict, source: _Source, *, is_apart: bool) -> None:
    """Print what was found and a sentence about all of it; on standard error if that is to be kept apart."""
    stream = sys.stderr if is_apart else sys.stdout
    for finding in verdict.findings:
        place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
        kind = "remark" if finding.is_remark else "finding"
        tell(visible(f"{kind}: {place}: {finding.text}", one_line=True), stream=stream)
    if not verdict.records:
        if verdict.is_intact:
            tell(visible(f"No records yet in {source.path}.", one_line=True), stream=stream)
        return
    first, last = (
        f"{one.at.astimezone(source.zone):%Y-%m-%d %H:%M:%S}" for one in (verdict.records[0], verdict.records[-1])
    )
    count = len(verdict.records)
    records = f"{count} record{'s' * (count > 1)} from {first} to {last}"
    found = sum(not finding.is_remark for finding in verdict.findings)
    if found:
        tell(f"{found} finding{'s' * (found > 1)} in {records}.", stream=stream)
    elif source.is_anchored:
        tell(f"{records}, nothing missing.", stream=stream)
    else:
        tell(
            f"{records}, nothing missing between them; what was cut off behind shows only beside the store.",
            stream=stream,
        )
