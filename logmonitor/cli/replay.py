"""`replay`: what the session machine sees in an existing log, as a table or as JSON lines."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from logmonitor.cli.output import folder
from logmonitor.display import visible
from logmonitor.errors import ConfigurationError, LogMonitorError
from logmonitor.profile import AUTO
from logmonitor.profile_folder import load_profile, load_profiles
from logmonitor.reader import BLOCK_BYTES, read_chunks
from logmonitor.reading.clock import first_date
from logmonitor.reading.recognition import CompiledProfile, compile_profile
from logmonitor.records import EventKind, Refusal, Session
from logmonitor.signing import parse_key
from logmonitor.watch import WatchState, choose_profile, finish, observe

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import date, tzinfo

    from logmonitor.profile import Profile
    from logmonitor.records import Chunk
    from logmonitor.watch import Observation

_SAMPLE_BYTES: Final = 1 << 20
_LONG_BYTES: Final = 32 << 20
_KEY_FILE_BYTES: Final = 1 << 10
_SHOWN_CHARACTERS: Final = 48
_COLUMNS: Final = ("line", "at", "event", "state", "qr", "user", "")
_STYLES: Final = {"scan": "yellow", "scanned": "yellow", "expired": "dim", "login": "green", "logout": "red"}

_REFUSED: Final = {
    Refusal.UNSIGNED: "refused: not signed",
    Refusal.WRONG: "refused: wrong signature",
    Refusal.REPLAYED: "refused: replayed",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command's arguments."""
    parser.add_argument("log", metavar="LOG", help="the log to read; a pipe is read to its end first")
    parser.add_argument(
        "--profile", metavar="NAME", default=AUTO, help="the bot's family (see `logmonitor profiles`); default: auto"
    )
    parser.add_argument("--profiles", metavar="DIR", type=folder, help="a folder with profiles of your own")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each event, in file order")
    parser.add_argument(
        "--timezone", metavar="ZONE", help="the zone of the log's times, such as Asia/Shanghai; default: this machine's"
    )
    parser.add_argument("--name", metavar="NAME", help="the bot's name, which it signs with; default: the log's")
    parser.add_argument(
        "--twin-key-file", metavar="FILE", type=Path, help="verify signed lines with the twins' key in FILE"
    )
    parser.add_argument("--require-signed", action="store_true", help="let only signed lines count; needs a key")


def run(arguments: argparse.Namespace) -> int:
    """Replay a log; return the exit code: 1 if no profile fits, 2 if something cannot be read."""
    log = Path(arguments.log)
    try:
        zone = _zone(arguments.timezone)
        twin = _twin(arguments, log)
        with _regular(log) as path:
            profile = _profile(arguments.profile, [arguments.profiles] if arguments.profiles else [], path)
            if profile is None:
                return 1
            compiled = compile_profile(profile, without=[EventKind.ERROR])
            observed = _replay(path, compiled, zone, twin)
            if arguments.json:
                _print_json(observed, is_verified=twin.key is not None)
            else:
                _print_table(observed)
    except LogMonitorError as error:
        return _fail(str(error))
    except OSError as error:
        if error.filename is None:  # it is the output that cannot be written
            raise
        return _fail(_unreadable(log, error))
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Twin:
    """Whose log it is, and what its lines are verified with."""

    name: str
    key: bytes | None = field(repr=False)
    require_signed: bool


def _twin(arguments: argparse.Namespace, log: Path) -> _Twin:
    """Read what the arguments say of signatures; the key stands in a file, for others see a command line."""
    path: Path | None = arguments.twin_key_file
    if arguments.require_signed and path is None:
        raise LogMonitorError("--require-signed needs a key; expected --twin-key-file FILE")
    key = _key(path) if path is not None else None
    return _Twin(name=arguments.name or log.stem, key=key, require_signed=arguments.require_signed)


def _key(path: Path) -> bytes:
    """Read a key from its file."""
    try:
        with path.open("rb") as file:
            return parse_key(file.read(_KEY_FILE_BYTES).decode("ascii", "replace").strip())
    except OSError as error:
        raise LogMonitorError(_unreadable(path, error)) from None
    except ConfigurationError as error:
        raise LogMonitorError(f"{str(path)!r}: {error}") from None


def _fail(sentence: str) -> int:
    print(visible(f"logmonitor replay: {sentence}", one_line=True), file=sys.stderr)
    return 2


def _unreadable(path: Path, error: OSError) -> str:
    return f"cannot read {str(path)!r}: {(error.strerror or str(error)).lower()}"


@contextmanager
def _regular(path: Path) -> Iterator[Path]:
    """Give a file that can be read more than once: the log itself, or a copy of what comes out of a pipe."""
    if not path.exists() or path.is_file() or path.is_dir():
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="logmonitor-") as copy:
        with path.open("rb") as pipe:
            shutil.copyfileobj(pipe, copy)
        copy.flush()
        yield Path(copy.name)


def _read(path: Path, *, start_offset: int = 0, block_bytes: int = BLOCK_BYTES) -> Iterator[Chunk]:
    """Read the log; what keeps it from being read is told apart from what keeps the output from being written."""
    try:
        yield from read_chunks(path, start_offset=start_offset, block_bytes=block_bytes)
    except OSError as error:
        raise LogMonitorError(_unreadable(path, error)) from None


def _zone(name: str | None) -> tzinfo | None:
    """Look a time zone up."""
    if name is None:
        return None
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones  # noqa: PLC0415  # only who names one pays

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from logmonitor.configuration.document import suggestion  # noqa: PLC0415  # 25 ms, for an error alone

        meant = suggestion(name, available_timezones())
        hint = f"did you mean {meant!r}?" if meant else "expected a name such as 'Asia/Shanghai'"
        raise LogMonitorError(f"unknown time zone {name!r}; {hint}") from None


def _profile(name: str, folders: Sequence[Path], path: Path) -> Profile | None:
    """Return the profile asked for or the one that fits; None, and a sentence on stderr, if none or several do."""
    if name != AUTO:
        return load_profile(name, *folders)
    profiles = load_profiles(*folders)
    if path.is_file() and not path.stat().st_size:
        print("logmonitor replay: the log is empty", file=sys.stderr)
        return None
    choice = choose_profile(profiles, _sample(path))
    if not choice.scores:
        for chunk in _read(path, block_bytes=_SAMPLE_BYTES):
            choice = choose_profile(profiles, [chunk])
            if choice.scores:
                break
    if choice.profile is None:
        print(f"logmonitor replay: {choice.reason}", file=sys.stderr)
        return None
    print(f"profile: {choice.profile.name} ({choice.profile.title})", file=sys.stderr)
    return choice.profile


def _sample(path: Path) -> list[Chunk]:
    """Read the beginning of a log, and its end if it is long."""
    chunks = list(islice(_read(path), _SAMPLE_BYTES // BLOCK_BYTES))
    size_bytes = path.stat().st_size
    if size_bytes > 2 * _SAMPLE_BYTES:
        chunks += list(_read(path, start_offset=size_bytes - _SAMPLE_BYTES))[:8]
    return chunks


def _replay(path: Path, profile: CompiledProfile, zone: tzinfo | None, twin: _Twin) -> Iterator[Observation]:
    """Yield what is observed in a log, and show how far the reading of a long one is."""
    file_date = _first_date(path, profile, zone) if zone is not None and profile.cycle else None
    state = WatchState(session=Session(watch=twin.name))
    now = datetime.now(UTC)
    with _progress(path) as advance:
        for chunk in _read(path):
            state, observed = observe(
                state,
                chunk,
                profile=profile,
                now=now,
                zone=zone,
                file_date=file_date,
                key=twin.key,
                require_signed=twin.require_signed,
            )
            yield from observed
            advance(chunk.end_offset)
    _, observed = finish(state, profile=profile)
    yield from observed


def _first_date(path: Path, profile: CompiledProfile, zone: tzinfo) -> date | None:
    """Return the date of a dateless log's first line, by when it was last written and the days its clock tells of."""
    state = WatchState(session=Session(watch=path.stem))
    for chunk in _read(path):
        state, _ = observe(state, chunk, profile=profile)
    clock = state.files[path].clock if path in state.files else None
    if clock is None or profile.cycle is None:
        return None
    last_written = datetime.fromtimestamp(path.stat().st_mtime, zone)
    return first_date(clock, cycle=profile.cycle, last_written=last_written)


@contextmanager
def _progress(path: Path) -> Iterator[Any]:
    """Show a progress bar for a long file on a terminal; yield what is told how far reading is."""
    size_bytes = path.stat().st_size
    if size_bytes < _LONG_BYTES or not sys.stderr.isatty():
        yield lambda _offset: None
        return
    from rich.console import Console  # noqa: PLC0415  # 60 ms that only a long file on a terminal costs
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(path.name, total=size_bytes)
        yield lambda offset: progress.update(task, completed=offset)


def _print_json(observed: Iterable[Observation], *, is_verified: bool) -> None:
    """Print each event; why it is refused is told where its signature was looked at."""
    encode = json.JSONEncoder().encode
    for observation in observed:
        event = observation.event
        record = {
            "line": event.line,
            "offset": event.offset,
            "kind": event.kind,
            "state": observation.session.state,
            "qr": event.qr.payload if event.qr is not None else None,
            "user": event.user,
            "at": event.at.isoformat() if event.at is not None else None,
            "trusted": event.trusted,
            "verified": event.verified,
        } | ({"refused": event.refused} if is_verified else {})
        sys.stdout.write(f"{encode(record)}\n")
    sys.stdout.flush()


def _print_table(observed: Iterable[Observation]) -> None:
    rows = [_row(observation) for observation in observed]
    if not rows:
        print("no session events in this log", file=sys.stderr)
        return
    if sys.stdout.isatty():
        from rich.console import Console  # noqa: PLC0415  # 60 ms that a pipe need not pay
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table(box=None, pad_edge=False)
        for column in _COLUMNS:
            table.add_column(column, justify="right" if column == "line" else "left", overflow="fold")
        for row in rows:
            style = (
                "strike dim" if row[-1].startswith(("untrusted", "refused", "signed, but")) else _STYLES.get(row[2], "")
            )
            table.add_row(*(Text(cell) for cell in row), style=style)
        Console().print(table)
        return
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    for row in (_COLUMNS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    sys.stdout.flush()


def _row(observation: Observation) -> tuple[str, ...]:
    """Return the cells of one event; what a log says of names and QRs is shown, not obeyed."""
    event, transition = observation.event, observation.transition
    remarks = []
    if event.verified:
        remarks.append("signed")
    if event.refused is not None:
        remarks.append(_REFUSED[event.refused])
    elif event.signature is not None and not event.verified:
        remarks.append("signed, but older than another, without effect")
    elif not event.trusted:
        remarks.append("untrusted, without effect")
    if transition is not None and transition.is_loss:
        remarks.append("loss")
    if transition is not None and transition.is_return:
        remarks.append("return")
    return (
        str(event.line),
        f"{event.at:%Y-%m-%d %H:%M:%S%z}" if event.at is not None else "",
        event.kind,
        observation.session.state,
        _shown_qr(observation),
        visible(event.user or "", one_line=True),
        ", ".join(remarks),
    )


def _shown_qr(observation: Observation) -> str:
    qr = observation.event.qr
    if qr is None:
        return ""
    if qr.payload is not None:
        text = visible(qr.payload, one_line=True)
        return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 1]}…"
    if qr.modules is not None:
        return f"drawn, {len(qr.modules)}x{len(qr.modules)}"
    return visible(str(qr.image_path), one_line=True)
