"""An Apprise URL from outside: looked at, and sent to, in a process of its own for each message.

Apprise can then hang, leave threads behind, or log a URL with its password, and nothing of that reaches the bot.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.channel.verdict import Outcome, Verdict
from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logmonitor.records import Attachment

SEND_SECONDS: Final = 30.0
_CHECK_SECONDS: Final = 30.0
_ARGV: Final = ("-P", "-m", "logmonitor.channel.apprise_process")
_SERVICE: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{0,23})://")
_ERROR_TYPE: Final = re.compile(r"^(?:\w+\.)*(\w+(?:Error|Exception))\b", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """What is to be sent: a text, and with it a `file` where the service carries one.

    Where it does not, `plain` goes in place of both; without a file that has no meaning.
    """

    text: str
    title: str = ""
    file: Attachment | None = None
    plain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What Apprise makes of a URL: the `problem` with it, empty where there is none, and whether it carries files."""

    problem: str
    carries_files: bool


async def deliver(url: str, errand: Errand, /, *, seconds: float = SEND_SECONDS) -> Verdict:
    """Send by a URL; what has not been taken after `seconds` is given up, and its process killed."""
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *_ARGV), stdin=pipe, stdout=pipe, stderr=pipe, env=_environ(), start_new_session=True
        )
    except OSError as error:
        return _failed(f"could not be started: {(error.strerror or str(error)).lower()}")
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate(_request([url], errand))
    except TimeoutError:
        return _failed(f"has not taken it within {seconds:g} s")
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it has started
            await process.communicate()
    return _answers(out, err, count=1)[0][0]


def look_at(urls: Sequence[str], /) -> tuple[Look, ...]:
    """Tell what Apprise makes of each URL; none is connected to, and none is quoted.

    Raises:
        ConfigurationError: Apprise itself does not work.
    """
    if not urls:
        return ()
    try:
        process = subprocess.run(
            (sys.executable, *_ARGV),
            input=_request(urls, None),
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
        raise ConfigurationError(f"Apprise {answers[0][0].problem}")
    return tuple(Look(problem=verdict.problem, carries_files=carries_files) for verdict, carries_files in answers)


def check_urls(urls: Sequence[str], /) -> tuple[str, ...]:
    """Tell what is wrong with each URL, nothing where nothing is; none is connected to, and none is quoted.

    Raises:
        ConfigurationError: Apprise itself does not work.
    """
    return tuple(look.problem for look in look_at(urls))


def service_of(url: str, /) -> str:
    """Return what a URL may be called by where it may not be shown: the service that it is for."""
    match = _SERVICE.match(url)
    return match[1].lower() if match else "it"


def _failed(problem: str) -> Verdict:
    return Verdict(outcome=Outcome.FAILED, problem=problem)


def _environ() -> dict[str, str]:
    """Return the environment in which what can be imported here can be imported too, and nothing from where we are."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _request(urls: Sequence[str], errand: Errand | None) -> bytes:
    request: dict[str, object] = {"urls": list(urls), "text": None, "file": None}
    if errand is not None:
        request |= {"text": errand.text, "title": errand.title, "plain": errand.plain}
        if errand.file is not None:
            data = base64.b64encode(errand.file.data).decode()
            request["file"] = {"name": errand.file.filename, "type": errand.file.content_type, "data": data}
    return json.dumps(request).encode()


def _answers(out: bytes, err: bytes, *, count: int) -> tuple[tuple[Verdict, bool], ...]:
    """Read what the process said; where it failed, of what kind its error was and no more: its text may hold a URL."""
    try:
        answers = tuple(
            (
                Verdict(outcome=Outcome(one["outcome"]), problem=one["problem"], retry_after=one["retry_after"]),
                bool(one["carries_files"]),
            )
            for one in json.loads(out)
        )
    except (ValueError, TypeError, KeyError):
        answers = ()
    if len(answers) == count:
        return answers
    kinds = _ERROR_TYPE.findall(err.decode(errors="replace"))
    problem = f"failed with {kinds[-1]}" if kinds else "ended without an answer"
    if kinds and kinds[-1] == ModuleNotFoundError.__name__:
        problem = "is not installed, or not whole; install logmonitor anew"
    return ((_failed(problem), False),) * count
