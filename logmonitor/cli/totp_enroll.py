"""`logmonitor totp enroll`: a secret is shown, and counts once a code shows that it arrived."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Final

import segno
from rich.console import Console
from rich.text import Text

from logmonitor.cli.registry import ask, now
from logmonitor.cli.row import reason_of
from logmonitor.cli.telling import tell
from logmonitor.configuration.document import expected
from logmonitor.display import visible
from logmonitor.errors import CodeError, ConfigurationError
from logmonitor.qr import render_terminal
from logmonitor.records import Qr
from logmonitor.sealing import make_key_file

if TYPE_CHECKING:
    from pathlib import Path

    from logmonitor.cli.registry import Registry
    from logmonitor.totp import Enrolling

_TRIES: Final = 3
_BORDER: Final = 2
_QR_STYLE: Final = "#000000 on #ffffff"
_USUAL: Final = (80, 24)
_BELOW_LINES: Final = 2  # the key and the question
_INKS: Final = "█▀▄ "
_INTRODUCTION: Final = (
    "{user} gets codes of an authenticator (Google Authenticator, Authy, 1Password and others). Who sees what follows"
    " can make these codes. Do this on the bot's machine or over SSH, never through the chat, where it would stay for"
    " whoever reads along or holds the phone."
)
_SCAN: Final = "Scan the QR with the authenticator, or type this by hand, with the key below the QR:"
_TYPE: Final = "Type this into the authenticator:"
_ACCOUNT: Final = "  account  {account}"
_KIND: Final = "  kind     time-based, 6 digits, every 30 seconds"
_KEY: Final = "  key      {key}"
_RECOVERY: Final = (
    "{user} is enrolled: from now on their codes count, each once.",
    (
        "These are their recovery codes, for when the authenticator is lost. Each works once in place of a code. They"
        " are not shown again: keep them on paper or in a password manager, apart from the phone."
    ),
)
_AFTERWARDS: Final = "\nThen clear this window, whose history still shows the key."
_RESTART: Final = (
    "A key was made: {path}. If the bot is running now, stop it and start it again: until then it refuses every"
    " one-time code. Keep a copy of the key in another place."
)


def enroll(registry: Registry, user: str, *, is_replacing: bool) -> int:
    """Enrol `user`; return 0, or 1 where it is refused or given up.

    Raises:
        ConfigurationError: nobody can be enrolled under that name, or the key cannot be used.
        StoreError: the store cannot be used.
        AuditError: it could not be put on record, so that it was not done.
    """
    _require_known(registry, user)
    _require_key(registry.key_file, registry)
    if not is_replacing and not _may_replace(registry, user):
        return 1
    registry.probe()
    begun = registry.reader().begin(user, issuer=f"logmonitor {registry.config.bot.name}")
    _show(begun, account=f"logmonitor {registry.config.bot.name}: {user}")
    is_new_key = registry.key_file is not None and not registry.key_file.exists()
    recovery = _finished(registry, begun)
    if recovery is None:
        _say("nobody was enrolled")
        return 1
    for paragraph in _RECOVERY:
        tell(paragraph.format(user=visible(user, one_line=True)) + "\n")
    for pair in zip(recovery[::2], recovery[1::2], strict=True):
        print(f"  {pair[0]}    {pair[1]}")
    if sys.stdout.isatty():
        tell(_AFTERWARDS)
    if is_new_key:
        tell("\n" + visible(_RESTART.format(path=registry.key_file)))
    return 0


def _finished(registry: Registry, begun: Enrolling) -> tuple[str, ...] | None:
    """Ask for a code until one shows that the secret arrived, a few times; return the recovery codes, None if none."""
    for left in reversed(range(_TRIES)):
        try:
            code = ask("The code that it shows now:")
        except KeyboardInterrupt:
            _say("nobody was enrolled")
            raise
        if code is None:
            _say("no code was given")
            return None
        try:
            registry.reader().check(begun, code)
            if registry.key_file is not None and not registry.key_file.exists():
                make_key_file(registry.key_file)
            with registry.store.transaction():
                recovery = registry.totp().finish(begun, code)
                registry.record("enrolled", f"totp enroll {begun.user}")
        except CodeError as error:
            _say(f"{error}{'' if left else '; that was the last try'}")
        else:
            return recovery
    return None


def _require_known(registry: Registry, user: str) -> None:
    """Refuse who could never be asked for a code: most likely a name that was mistyped."""
    config = registry.config
    admins = {*config.chat.admins, *(name for one in config.operations for name in one.config.admins or ())}
    granted = {
        grant.user
        for grant in registry.store.grants()
        if not grant.is_denial and (grant.until is None or now() < grant.until)
    }
    if user not in admins | granted or "*" in user or "?" in user:
        raise ConfigurationError(
            f"{user!r} is no admin in {config.path}, and no stable id with a grant;"
            f" {expected(user, admins | granted, other='an id that was granted something')}"
        )


def _require_key(key_file: Path | None, registry: Registry) -> None:
    """Refuse a key that cannot be used before anything is shown, and a folder where none can be made."""
    if key_file is None or os.path.lexists(key_file):
        registry.totp()
        return
    try:
        with TemporaryFile(dir=key_file.parent):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"key file {str(key_file)!r} cannot be made: {reason_of(error)}; expected a folder that is there and can be"
            " written to"
        ) from None


def _may_replace(registry: Registry, user: str) -> bool:
    """Ask, where somebody is there to answer, whether an enrolment that counts now is to be replaced."""
    earlier = next((one for one in registry.store.enrolments() if one.user == user), None)
    if earlier is None:
        return True
    since = f"{visible(user, one_line=True)} is enrolled since {registry.local(earlier.enrolled_at)}"
    if not (sys.stdin is not None and sys.stdin.isatty()):
        _say(f"{since}; expected --replace, if what they have is to count no more")
        return False
    answer = ask(f"{since}. Once the new authenticator gave a code, the old one counts no more. Go on? [y/N]")
    if (answer or "").strip().casefold() in {"y", "yes"}:
        return True
    _say("nothing was changed")
    return False


def _show(begun: Enrolling, *, account: str) -> None:
    """Show the secret: as a QR if that can be drawn, and always as text, which stands last to be seen with the QR."""
    groups = " ".join(begun.secret[start : start + 4] for start in range(0, len(begun.secret), 4))
    user, account = (visible(text, one_line=True) for text in (begun.user, account))
    console = Console(highlight=False, markup=False, emoji=False)
    rows, obstacles = _drawn(begun.uri, console)
    tell(_INTRODUCTION.format(user=user) + "\n")
    tell(_SCAN if rows else _TYPE)
    tell(_ACCOUNT.format(account=account))
    tell(_KIND)
    for row in rows:
        console.print(Text(row, style=_QR_STYLE if _is_coloured(console) else ""), soft_wrap=True)
    tell(_KEY.format(key=groups))
    for obstacle in obstacles:
        tell("\n" + obstacle)
    if not console.is_terminal:
        print(begun.uri)


def _drawn(uri: str, console: Console) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the rows of the QR; none, and sentences that say why, where a camera could not read it."""
    if not console.is_terminal:
        return (), ("The QR is drawn in a terminal alone; this is what it holds:",)
    try:
        _INKS.encode(console.encoding)
    except UnicodeEncodeError:
        return (), (f"The QR is not drawn: {console.encoding}, the encoding of this output, lacks its characters.",)
    try:
        # Of the lowest error correction, which a screen can do with, so that it fits into 24 lines.
        matrix = segno.make(uri, error="l", boost_error=False, micro=False).matrix
    except segno.DataOverflowError:
        return (), ("The QR is not drawn: the names of bot and user are too long for one.",)
    modules = tuple(bytes(row) for row in matrix)
    rows = render_terminal(Qr(modules=modules), border=_BORDER, dark_blocks=_is_coloured(console))
    size = os.get_terminal_size(sys.stdout.fileno())
    columns, height = (size.columns or _USUAL[0], size.lines or _USUAL[1])
    if columns < len(rows[0]) or height <= len(rows):
        return (), (
            (
                f"The QR is not drawn: it takes {len(rows[0])} × {len(rows) + 1} characters, and this window has"
                f" {columns} × {height}."
            ),
            "Type the key by hand, or end with Ctrl-C, enlarge the window and begin anew.",
        )
    is_tight = height < len(rows) + _BELOW_LINES
    return rows[:-1] if is_tight else rows, ()  # the last is half of the border, and a camera can do with the rest


def _is_coloured(console: Console) -> bool:
    """Tell whether black can be drawn on white, whatever the colours of the terminal are."""
    return console.color_system is not None and not console.no_color


def _say(sentence: str) -> None:
    tell(f"logmonitor totp: {visible(sentence, one_line=True)}", stream=sys.stderr)
