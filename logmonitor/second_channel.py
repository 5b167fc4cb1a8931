"""A second way to an admin, beside the chat: SMS, mail, ntfy or whatever else Apprise has a service for.

Apprise runs in a process of its own, for one message: it can then hang, leave threads behind, or log a URL with its
password, and nothing of that reaches the bot. `python -m logmonitor.second_channel` is that process.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from logmonitor.configuration.document import suggestion
from logmonitor.errors import ConfigurationError, RejectedError, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

_log = logging.getLogger(__name__)
SEND_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 30.0
_ARGV: Final = ("-P", "-m", "logmonitor.second_channel")
_SERVICE: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{0,23})://")
_ERROR_TYPE: Final = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception))\b", re.MULTILINE)
_STATUS: Final = re.compile(r"\berror=([1-5]\d\d)\b")
_PAGES: Final = ("http", "https")
_EXAMPLE: Final = "expected an Apprise URL, such as 'ntfys://<HOST>/<TOPIC>' or 'mailtos://<USER>:<PASSWORD>@<HOST>'"


class SecondChannel(Protocol):
    """A way to people beside the chat; they are known by configured names and stable ids."""

    def reaches(self, names: Sequence[str], /) -> bool:
        """Tell whether there is a way to whom one of these names means."""

    async def send(self, names: Sequence[str], text: str, /, *, title: str = "") -> None:
        """Send `text` to whom these names mean.

        Raises:
            TransportError: it did not arrive; the text tells no secret.
        """


class AppriseChannel:
    """Sends text past the chat, by the URLs of whom it is for."""

    def __init__(self, urls: Mapping[str, str], *, seconds: float = SEND_SECONDS) -> None:
        """Know people by names and ids; a service that has not taken a message after `seconds` is given up."""
        self._urls = dict(urls)
        self._seconds = seconds

    def reaches(self, names: Sequence[str], /) -> bool:
        """Tell whether there is a way to whom one of these names means."""
        return any(name in self._urls for name in names)

    async def send(self, names: Sequence[str], text: str, /, *, title: str = "") -> None:
        """Send `text` by every way there is to whom these names mean; one that takes it is enough.

        Raises:
            RejectedError: there is no way.
            TransportError: none took it in time; the text holds no URL.
        """
        urls = list(dict.fromkeys(self._urls[name] for name in names if name in self._urls))
        if not urls:
            raise RejectedError(f"there is no second channel to {' or '.join(map(repr, names))}")
        problems = await asyncio.gather(*(self._send(url, text, title) for url in urls))
        failed = [f"{service_of(url)} {problem}" for url, problem in zip(urls, problems, strict=True) if problem]
        if len(failed) == len(urls):
            raise TransportError(f"the second channel did not take the message: {'; '.join(failed)}")
        for sentence in failed:
            _log.warning("one of several second channels did not take a message: %s", sentence)

    async def _send(self, url: str, text: str, title: str) -> str:
        """Send by one URL; return what went wrong, nothing where nothing did."""
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_ARGV), stdin=pipe, stdout=pipe, stderr=pipe, env=_environ(), start_new_session=True
            )
        except OSError as error:
            return f"could not be started: {(error.strerror or str(error)).lower()}"
        try:
            async with asyncio.timeout(self._seconds):
                out, err = await process.communicate(_request([url], text=text, title=title))
        except TimeoutError:
            return f"has not taken it within {self._seconds:g} s"
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()
        return _answers(out, err, count=1)[0]


def check_urls(urls: Sequence[str], /) -> tuple[str, ...]:
    """Tell what is wrong with each URL, nothing where nothing is; none is connected to, and none is quoted.

    Raises:
        ConfigurationError: Apprise itself does not work.
    """
    if not urls:
        return ()
    try:
        process = subprocess.run(
            (sys.executable, *_ARGV),
            input=_request(urls),
            capture_output=True,
            timeout=_CHECK_SECONDS,
            env=_environ(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(f"Apprise has not answered within {_CHECK_SECONDS:g} s") from None
    except OSError as error:
        raise ConfigurationError(f"Apprise could not be started: {(error.strerror or str(error)).lower()}") from None
    answers = _answers(process.stdout, process.stderr, count=len(urls))
    if process.returncode:
        raise ConfigurationError(f"Apprise {answers[0]}")
    return answers


def service_of(url: str, /) -> str:
    """Return what a URL may be called by where it may not be shown: the service that it is for."""
    match = _SERVICE.match(url)
    return match[1].lower() if match else "it"


def _environ() -> dict[str, str]:
    """Return the environment in which what can be imported here can be imported too, and nothing from where we are."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _request(urls: Sequence[str], *, text: str | None = None, title: str = "") -> bytes:
    return json.dumps({"urls": list(urls), "text": text, "title": title}).encode()


def _answers(out: bytes, err: bytes, *, count: int) -> tuple[str, ...]:
    """Read what the process said; where it failed, of what kind its error was and no more: its text may hold a URL."""
    try:
        answers = tuple(map(str, json.loads(out)))
    except ValueError:
        answers = ()
    if len(answers) == count:
        return answers
    kinds = _ERROR_TYPE.findall(err.decode(errors="replace"))
    return (f"failed with {kinds[-1]}" if kinds else "ended without an answer",) * count


def main() -> None:
    """Do what standard input asks for, and print a list with what went wrong for each URL."""
    import apprise  # noqa: PLC0415  # only this process has use for it

    request = json.load(sys.stdin)
    asset = apprise.AppriseAsset(
        app_id="logmonitor", app_desc="logmonitor", image_url_mask="", image_url_logo="", image_path_mask=""
    )
    heard = _Hearing()
    logging.getLogger("apprise").addHandler(heard)
    answers = []
    for url in request["urls"]:
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            answers.append(_fault(url, apprise))
        elif request["text"] is None:
            answers.append("")
        else:
            way = apprise.Apprise(service, asset=asset)
            is_taken = way.notify(request["text"], title=request["title"], body_format=apprise.NotifyFormat.TEXT)
            answers.append("" if is_taken else heard.problem)
    print(json.dumps(answers), flush=True)  # noqa: T201  # this is how it answers


class _Hearing(logging.Handler):
    """Takes from what Apprise logs the one thing that tells why and is no secret: a status."""

    problem = "did not take it"

    def emit(self, record: logging.LogRecord) -> None:
        """Note a status."""
        found = _STATUS.search(record.getMessage())
        if found is not None:
            self.problem = f"answered with status {found[1]}"


def _fault(url: str, apprise: ModuleType) -> str:
    """Tell why a URL is none of Apprise's."""
    named = _SERVICE.match(url)
    if named is None:
        return _EXAMPLE
    services = apprise.manager_plugins.NotificationManager()
    name = named[1].lower()
    if name not in services:
        meant = None if name in _PAGES else suggestion(name, services.schemas())
        return f"unknown service; did you mean '{meant}://'?" if meant else f"unknown service; {_EXAMPLE}"
    if not services[name].enabled:
        packages = services[name].requirements.get("packages_required", "a package")
        needed = packages if isinstance(packages, str) else ", ".join(packages)
        return f"the service {name!r} needs what is not installed here: {needed}"
    return f"no URL that the service {name!r} takes; Apprise's page about it tells its form"


if __name__ == "__main__":
    main()
