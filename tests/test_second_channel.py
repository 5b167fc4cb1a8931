"""What goes past the chat arrives, and what goes wrong shows no URL."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from email import message_from_string
from typing import TYPE_CHECKING

import pytest

from logmonitor.channel import apprise_url
from logmonitor.channel.apprise_url import check_urls
from logmonitor.errors import ConfigurationError, RejectedError, TransportError
from logmonitor.second_channel import AppriseChannel
from tests.service import mail_service, web_service

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter22"  # noqa: S105  # nobody's
TEXT = "Your code for `sh uptime`: 0123 4567 <b>你好</b>"


def has_children() -> bool:
    """Tell whether a process that was started here is left, at work or not yet waited for."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


async def test_second_channel_sends_to_a_web_service() -> None:
    """Title and text arrive as they are, where the URL leads."""
    async with web_service() as service:
        channel = AppriseChannel({"AdminWeixin": f"json://u:{PASSWORD}@127.0.0.1:{service.port}/codes"})
        await channel.send(["AdminWeixin", "wxid_1"], TEXT, title="Alice")
    assert [(one["title"], one["message"]) for one in service.heard] == [("Alice", TEXT)]


async def test_second_channel_sends_mail() -> None:
    """A mail arrives at whom the URL names, with the text in it as text."""
    async with mail_service() as service:
        url = f"mailto://127.0.0.1:{service.port}?from=alice@example.org&to=admin@example.org&mode=insecure"
        await AppriseChannel({"AdminWeixin": url}).send(["AdminWeixin"], TEXT, title="Alice")
    ((recipients, text),) = service.heard
    mail = message_from_string(text.replace("\r\n", "\n"))
    payload = mail.get_payload(decode=True)
    assert recipients == ("admin@example.org",)
    assert mail["Subject"] == "Alice"
    assert mail.get_content_type() == "text/plain"
    assert isinstance(payload, bytes)
    assert TEXT in payload.decode()


async def test_second_channel_needs_one_way_of_several(caplog: pytest.LogCaptureFixture) -> None:
    """Somebody with two channels is reached if one of them works; the other is told to the operator."""
    async with web_service() as service, web_service(503) as broken:
        urls = {
            "AdminWeixin": f"json://127.0.0.1:{broken.port}/{PASSWORD}",
            "wxid_1": f"json://127.0.0.1:{service.port}",
        }
        channel = AppriseChannel(urls | {"other": f"json://127.0.0.1:{service.port}/other"})
        await channel.send(["AdminWeixin", "wxid_1", "unknown"], TEXT)
    assert [len(service.heard), len(broken.heard)] == [1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "one of several second channels did not take a message: json answered with status 503"
    ]


async def test_second_channel_reaches_whom_it_knows() -> None:
    """There is a way to somebody if there is one by any of his names; else sending is refused for good."""
    channel = AppriseChannel({"AdminWeixin": "json://127.0.0.1"})
    assert channel.reaches(["wxid_1", "AdminWeixin"])
    assert not channel.reaches(["wxid_1"])
    assert not channel.reaches([])
    with pytest.raises(RejectedError) as caught:
        await channel.send(["wxid_1", "Other"], TEXT)
    assert str(caught.value) == "there is no second channel to 'wxid_1' or 'Other'"


@pytest.mark.parametrize("status", [401, 404, 500])
async def test_second_channel_tells_how_a_service_refused(status: int, caplog: pytest.LogCaptureFixture) -> None:
    """A status is told; URL, password and text are not, neither in the error nor in any log."""
    caplog.set_level(logging.DEBUG)
    async with web_service(status) as service:
        channel = AppriseChannel({"AdminWeixin": f"json://u:{PASSWORD}@127.0.0.1:{service.port}/{PASSWORD}"})
        with pytest.raises(TransportError) as caught:
            await channel.send(["AdminWeixin"], TEXT)
    assert str(caught.value) == f"the second channel did not take the message: json answered with status {status}"
    assert not isinstance(caught.value, RejectedError)
    told = caplog.text + repr(caught.value.__cause__) + repr(caught.value.__context__)
    assert [secret for secret in (PASSWORD, "0123", "127.0.0.1") if secret in told] == []


async def test_second_channel_tells_that_nobody_listens(unused_tcp_port: int) -> None:
    """A service that is down is an error of the transport."""
    with pytest.raises(TransportError) as caught:
        await AppriseChannel({"a": f"json://u:{PASSWORD}@127.0.0.1:{unused_tcp_port}"}).send(["a"], TEXT)
    assert str(caught.value) == "the second channel did not take the message: json refused the connection"


async def test_second_channel_gives_up_a_service_that_hangs() -> None:
    """A service that never answers is given up in time, and neither thread nor process is left behind."""
    before = threading.active_count()
    async with web_service(hangs=True) as service:
        url = f"json://127.0.0.1:{service.port}?rto=3600"
        with pytest.raises(TransportError) as caught:
            await AppriseChannel({"a": url}, seconds=2).send(["a"], TEXT)
    assert str(caught.value) == "the second channel did not take the message: json has not taken it within 2 s"
    async with asyncio.timeout(10):
        while threading.active_count() > before:  # noqa: ASYNC110  # what waits for the process ends behind it
            await asyncio.sleep(0.01)
    assert not has_children()


async def test_second_channel_stops_at_once_when_cancelled() -> None:
    """Whoever no longer waits leaves nothing behind."""
    async with web_service(hangs=True) as service:
        sending = asyncio.create_task(
            AppriseChannel({"a": f"json://127.0.0.1:{service.port}?rto=3600"}).send(["a"], TEXT)
        )
        async with asyncio.timeout(30):
            await service.called.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
    assert not has_children()


async def test_second_channel_tells_of_what_kind_a_failure_was(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A broken installation is named by the type of its error alone, and one that is gone by its reason."""
    (tmp_path / "apprise.py").write_text(f"raise ImportError('no {PASSWORD}')\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(TransportError) as failed:
        await AppriseChannel({"a": f"json://{PASSWORD}"}).send(["a"], TEXT)
    with pytest.raises(ConfigurationError) as unchecked:
        check_urls([f"json://{PASSWORD}"])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(TransportError) as gone:
        await AppriseChannel({"a": PASSWORD}).send(["a"], TEXT)
    with pytest.raises(ConfigurationError) as unstarted:
        check_urls([f"json://{PASSWORD}"])
    start = "the second channel did not take the message: "
    assert [str(error.value) for error in (failed, unchecked, gone, unstarted)] == [
        f"{start}json failed with ImportError",
        "Apprise failed with ImportError",
        f"{start}it could not be started: no such file or directory",
        "Apprise could not be started: no such file or directory",
    ]


def test_check_urls_gives_up_what_hangs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A configuration is read in time whatever Apprise does."""
    (tmp_path / "apprise.py").write_text("import threading\nthreading.Event().wait()\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(apprise_url, "_CHECK_SECONDS", 1.0)
    with pytest.raises(ConfigurationError) as caught:
        check_urls(["json://127.0.0.1"])
    assert str(caught.value) == "Apprise has not answered within 1 s"


def test_check_urls_tells_what_is_wrong_with_each() -> None:
    """Each URL is one that Apprise takes, or is told why not, and is quoted in no sentence."""
    example = "expected an Apprise URL, such as 'ntfys://<HOST>/<TOPIC>' or 'mailtos://<USER>:<PASSWORD>@<HOST>'"
    cases = {
        "json://127.0.0.1": "",
        f"mailtos://u:{PASSWORD}@example.org": "",
        f"tgram://123456789:{PASSWORD}abcdefghijklm/12345": "",
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ": "",
        f"mailot://u:{PASSWORD}@example.org": "unknown service; did you mean 'mailto://'?",
        f"twilio://u:{PASSWORD}@1/2": (
            "no URL that the service 'twilio' takes; Apprise's page about it tells its form"
        ),
        f"https://example.org/{PASSWORD}": f"unknown service; {example}",
        f"zzzzzz://{PASSWORD}": f"unknown service; {example}",
        PASSWORD: example,
        f"{PASSWORD * 10}://x": example,
    }
    assert dict(zip(cases, check_urls(list(cases)), strict=True)) == cases
    assert check_urls([]) == ()


def test_apprise_is_not_loaded_into_this_process() -> None:
    """What Apprise does it does elsewhere."""
    assert "apprise" not in sys.modules
