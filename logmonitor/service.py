"""Services beside bots: how each is asked, what it has to answer, and when it counts as failing or working again."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import urlsplit

from logmonitor.display import visible
from logmonitor.errors import OperationError, PatternError
from logmonitor.pattern import compile_pattern
from logmonitor.wording import duration_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from logmonitor.machine import Completed, Response

LONGEST_TIMEOUT: Final = 45.0
"""How many seconds a check may take, so that it ends before the handler that makes it."""

_LAST_PORT: Final = 65535
_FIRST_ERROR: Final = 400
_LONGEST_NAME: Final = 60
_LONGEST_OUTPUT: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a service is checked, how long that may take, and how many checks in a row count; times in seconds."""

    interval: float = 60.0
    timeout: float = 10.0
    failures: int = 3
    successes: int = 1

    def __post_init__(self) -> None:
        """Refuse what would check without end, or never tell anything."""
        if not self.interval >= 1:
            raise OperationError(f"bad interval {self.interval!r}; expected at least 1 second")
        if not 0 < self.timeout <= LONGEST_TIMEOUT:
            raise OperationError(f"bad timeout {self.timeout!r}; expected up to {LONGEST_TIMEOUT:g} seconds")
        for name in ("failures", "successes"):
            if not getattr(self, name) >= 1:
                raise OperationError(f"bad {name} {getattr(self, name)!r}; expected at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service, and what is expected of its URL, of its TCP port on `host` (this machine without), or of a program.

    A URL has to answer with one of `status`, without with any below 400; a program, whose words `command` are, has to
    end with exit code 0. In a line of what either says the pattern `contains` (RE2 syntax) has to be found. What is
    given of the other fields stands before that of the `Pace` of all services.

    Raises:
        OperationError: it cannot be asked so.
        PatternError: `contains` is refused.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # a configuration's slip of the pen is found

    name: str
    url: str | None = None
    port: int | None = None
    host: str | None = None
    command: tuple[str, ...] | None = None
    status: int | tuple[int, ...] | None = None
    contains: str | None = None
    interval: float | None = None
    timeout: float | None = None
    failures: int | None = None
    successes: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be asked, and what cannot be expected of it."""
        shown = visible(self.name, one_line=True)
        if shown != self.name or not 0 < len(self.name.strip()) <= _LONGEST_NAME:
            raise OperationError(f"bad name {shown!r} of a service; expected a line of 1 to {_LONGEST_NAME} characters")
        try:
            problem = self._problem()
            self.pace(Pace())
        except (OperationError, PatternError) as error:
            raise type(error)(f"service {self.name!r}: {error}") from None
        if problem:
            raise OperationError(f"service {self.name!r}: {problem}")

    @property
    def statuses(self) -> tuple[int, ...]:
        """The statuses that a URL may answer with; none where any will do that tells of no error."""
        return (self.status,) if isinstance(self.status, int) else self.status or ()

    def pace(self, general: Pace) -> Pace:
        """Return how it is checked, as far as it is not as all others are."""
        return Pace(
            interval=general.interval if self.interval is None else self.interval,
            timeout=general.timeout if self.timeout is None else self.timeout,
            failures=general.failures if self.failures is None else self.failures,
            successes=general.successes if self.successes is None else self.successes,
        )

    def _problem(self) -> str:
        """Say what cannot be of what is given, nothing where all can."""
        given = [name for name in ("url", "port", "command") if getattr(self, name) is not None]
        if len(given) != 1:
            return f"expected one of url, port and command; found {' and '.join(given) or 'none'}"
        (way,) = given
        only = {"host": "port", "status": "url"}
        odd = next((name for name, of in only.items() if getattr(self, name) is not None and of != way), None)
        if odd is not None:
            return f"{odd} is only for a service with a {only[odd]}"
        if self.contains is not None:
            if way == "port":
                return "contains is for a service that says something, with a url or a command"
            compile_pattern(self.contains)
        match way:
            case "url":
                return "" if _is_url(self.url or "") else "bad url; expected http://HOST/... or https://HOST/..."
            case "port":
                is_port = 0 < (self.port or 0) <= _LAST_PORT
                return "" if is_port else f"bad port {self.port!r}; expected 1 to {_LAST_PORT}"
            case _:
                is_program = bool(self.command and self.command[0])
                return "" if is_program else "bad command; expected the words of a program, such as ['pg_isready']"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How a check went: what is wrong, nothing where all is well, and how many seconds it took."""

    problem: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a service stands: what its admins believe, and what speaks against it.

    `since` is when it began to fail, None while it works. `against` counts the checks in a row that say otherwise,
    `against_since` is when the first of them was. `last` is the last check, at `checked_at`, both None before the
    first. Times are aware UTC.
    """

    since: datetime | None = None
    against: int = 0
    against_since: datetime | None = None
    last: Check | None = None
    checked_at: datetime | None = None


def weigh(standing: Standing, check: Check, *, now: datetime, pace: Pace) -> tuple[Standing, bool]:
    """Take a check into account; tell whether it is news that the service fails now, or works again."""
    is_failing = standing.since is not None
    standing = replace(standing, last=check, checked_at=now)
    if bool(check.problem) == is_failing:
        return replace(standing, against=0, against_since=None), False
    begun = standing.against_since or now
    if standing.against + 1 < (pace.successes if is_failing else pace.failures):
        return replace(standing, against=standing.against + 1, against_since=begun), False
    return replace(standing, since=None if is_failing else begun, against=0, against_since=None), True


def problem_of_response(service: Service, response: Response, *, translate: Callable[[str], str]) -> str:
    """Return what is wrong with the answer of a URL, nothing where nothing is."""
    statuses = service.statuses
    is_expected = response.status in statuses if statuses else response.status < _FIRST_ERROR
    if not is_expected:
        return translate("it answers with status {status}").format(status=response.status)
    return _problem_of_text(service, response.body.decode("utf-8", "replace"), translate)


def problem_of_program(service: Service, completed: Completed, *, translate: Callable[[str], str]) -> str:
    """Return what is wrong with how a program ended, nothing where nothing is; it may have said what."""
    if completed.exit_code == 0:
        return _problem_of_text(service, completed.stdout, translate)
    said = next(filter(None, map(str.strip, completed.stdout.splitlines())), "")
    said = said or next(filter(None, map(str.strip, reversed(completed.stderr.splitlines()))), "")
    text = translate("exit code {code}").format(code=completed.exit_code)
    return f"{text}: {_cut(said)}" if said else text


def news_text(
    service: Service, before: Standing, after: Standing, now: datetime, translate: Callable[[str], str]
) -> str:
    """Return what admins are told when a service fails, or works again."""
    if after.since is not None:
        problem = after.last.problem if after.last else ""
        return translate("{service} is failing: {problem}").format(service=service.name, problem=problem)
    lasted = duration_text((now - (before.since or now)).total_seconds(), translate)
    return translate("{service} works again, after {duration}").format(service=service.name, duration=lasted)


def check_text(service: Service, check: Check, translate: Callable[[str], str]) -> str:
    """Return how one check went."""
    if check.problem:
        return translate("{service} does not work: {problem}").format(service=service.name, problem=check.problem)
    return translate("{service} works ({seconds:.2f} s)").format(service=service.name, seconds=check.seconds)


def standing_text(service: Service, standing: Standing, now: datetime, translate: Callable[[str], str]) -> str:
    """Return how a service stands, in one row."""
    _ = translate
    if standing.last is None or standing.checked_at is None:
        text = _("{service}: not checked yet") if standing.since is None else _("{service}: failing, not checked yet")
        return text.format(service=service.name)
    ago = duration_text((now - standing.checked_at).total_seconds(), _)
    if standing.since is not None:
        text = _("{service}: failing for {duration}, checked {ago} ago: {problem}")
        lasted = duration_text((now - standing.since).total_seconds(), _)
        problem = standing.last.problem or _("it works, but not for long enough")
        return text.format(service=service.name, duration=lasted, ago=ago, problem=problem)
    if standing.last.problem:
        text = _("{service}: not working, checked {ago} ago, {count} times so far: {problem}")
        return text.format(service=service.name, ago=ago, count=standing.against, problem=standing.last.problem)
    text = _("{service}: works ({seconds:.2f} s), checked {ago} ago")
    return text.format(service=service.name, seconds=standing.last.seconds, ago=ago)


def find_service(services: Sequence[Service], asked: str) -> Service | None:
    """Return the service that is called so, in any case and width; the only one where no name is given."""
    named = {name_key(service.name): service for service in services}
    return services[0] if not asked and len(services) == 1 else named.get(name_key(asked))


def name_key(name: str) -> str:
    """Return what two names have in common that a person could not tell apart."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0


def _problem_of_text(service: Service, text: str, translate: Callable[[str], str]) -> str:
    if service.contains is None:
        return ""
    pattern = compile_pattern(service.contains)
    if any(map(pattern.search, text.splitlines() or [""])):
        return ""
    return translate("{pattern} is not in what it says").format(pattern=_cut(service.contains))


def _cut(text: str) -> str:
    """Return a text of others on one line, at most 200 characters of it."""
    shown = visible(text, one_line=True)
    return shown if len(shown) <= _LONGEST_OUTPUT else f"{shown[:_LONGEST_OUTPUT]}…"
