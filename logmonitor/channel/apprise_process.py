"""The process in which Apprise runs for one message: `python -m logmonitor.channel.apprise_process`.

It is asked on standard input and answers on standard output, both JSON. What it may hold of secrets, in what it raises
or logs, ends with it.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from logmonitor.channel.trouble import trouble_in
from logmonitor.channel.verdict import Answer, Outcome, Verdict, has_own_code, judge, worst
from logmonitor.configuration.document import suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType

_SERVICE: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{0,23})://")
_PAGES: Final = ("http", "https")
_EXAMPLE: Final = "expected an Apprise URL, such as 'ntfys://<HOST>/<TOPIC>' or 'mailtos://<USER>:<PASSWORD>@<HOST>'"
_FEW: Final = 500
"""Below that many characters a service sends SMS, and cuts longer texts itself."""

_NOT_TAKEN: Final = Verdict(outcome=Outcome.FAILED, problem="did not take it")


def main() -> None:
    """Do what standard input asks for, and print a list with what became of it for each URL, and nothing else."""
    with redirect_stdout(sys.stderr):
        told = _told()
    print(json.dumps(told), flush=True)  # noqa: T201  # this is how it answers


def _told() -> list[dict[str, Any]]:
    """Return what became of each URL."""
    import apprise  # noqa: PLC0415  # only this process has use for it

    asked = json.load(sys.stdin)
    asset = apprise.AppriseAsset(
        app_id="logmonitor", app_desc="logmonitor", image_url_mask="", image_url_logo="", image_path_mask=""
    )
    heard, logged = _heard(), _logged()
    told = []
    for url in asked["urls"]:
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None:
            verdict = Verdict(outcome=Outcome.REFUSED, problem=_fault(url, apprise))
        elif asked["text"] is None:
            verdict = Verdict(outcome=Outcome.TAKEN)
        else:
            way = apprise.Apprise(service, asset=asset)
            verdict = _sent(way, _schemes(service), asked, (heard, logged), apprise)
        told.append({**asdict(verdict), "carries_files": bool(getattr(service, "attachment_support", False))})
    return told


def _sent(
    way: Any,  # noqa: ANN401  # Apprise's own types are loaded by `main` alone
    schemes: Iterable[str],
    asked: Mapping[str, Any],
    told: tuple[list[Answer], list[str]],
    apprise: ModuleType,
) -> Verdict:
    """Send; what a service refuses with its file goes once more as a text."""
    (heard, logged), file, schemes = told, asked["file"], tuple(schemes)
    service = next(iter(way))
    carries_files = file is not None and service.attachment_support
    if _FEW <= service.body_maxlen < max(len(asked["text"]), len(asked["plain"])):
        service.overflow_mode = apprise.OverflowMode.SPLIT

    def send(text: str, attached: object) -> Verdict:
        heard.clear()
        logged.clear()
        is_taken = way.notify(text, title=asked["title"], body_format=apprise.NotifyFormat.TEXT, attach=attached)
        return _verdict(schemes, heard, logged, is_taken=bool(is_taken))

    if not carries_files:
        return send(asked["text"] if file is None else asked["plain"], None)
    data = base64.b64decode(file["data"])
    memory = apprise.attachment.memory.AttachMemory(content=data, name=file["name"], mimetype=file["type"])
    verdict = send(asked["text"], apprise.AppriseAttachment(memory))
    return send(asked["plain"], None) if verdict.outcome is Outcome.REFUSED else verdict


def _verdict(schemes: tuple[str, ...], heard: Iterable[Answer], logged: Iterable[str], *, is_taken: bool) -> Verdict:
    """Weigh what the service answered, and what Apprise makes of it, who believes a status."""
    verdict = worst(judge(schemes, answer) for answer in heard)
    if is_taken:
        return verdict if verdict is not None and has_own_code(schemes) else Verdict(outcome=Outcome.TAKEN)
    if verdict is not None and verdict.outcome is not Outcome.TAKEN:
        return verdict
    return trouble_in(logged) or _NOT_TAKEN


def _heard() -> list[Answer]:
    """Return a list to which every answer of HTTP is added from now on."""
    import requests  # noqa: PLC0415  # what Apprise speaks HTTP with, here alone

    heard: list[Answer] = []
    ask = requests.Session.request

    def listen(session: requests.Session, *positional: Any, **named: Any) -> requests.Response:  # noqa: ANN401  # passed on
        response = ask(session, *positional, **named)
        wait = response.headers.get("Retry-After", "")
        retry_after = float(wait) if wait.isascii() and wait.isdigit() else None
        heard.append(Answer(status=response.status_code, text=response.text, retry_after=retry_after))
        return response

    requests.Session.request = listen  # type: ignore[assignment, method-assign]  # there is no other place to listen
    return heard


def _logged() -> list[str]:
    """Return a list to which everything is added that Apprise logs from now on, and that nobody else sees."""
    logged: list[str] = []

    class Listener(logging.Handler):
        """Keeps what is logged in this process."""

        def emit(self, record: logging.LogRecord) -> None:
            """Keep it."""
            logged.append(record.getMessage())

    logger = logging.getLogger("apprise")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.handlers[:] = [Listener()]
    return logged


def _schemes(service: Any) -> tuple[str, ...]:  # noqa: ANN401  # as above
    """Return the schemes that a service goes by, of which it may have one, several or none."""
    named = (service.secure_protocol, service.protocol)
    return tuple(one for some in named for one in ((some,) if isinstance(some, str) else some or ()))


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
