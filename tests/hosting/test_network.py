"""Services on this machine, well-behaved and not, asked whether they answer."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
import trustme

from logmonitor.errors import HostError
from logmonitor.hosting.network import connect, fetch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from logmonitor.machine import Response

DEADLINE = 20.0
OK = b"HTTP/1.1 200 OK\r\n"
HELLO = OK + b"Content-Length: 5\r\n\r\nhello"


@asynccontextmanager
async def serving(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    context: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[int]:
    """Listen, by default on a free port, and talk so to whoever connects; give it, and end every talk at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(OSError, EOFError):
                await talk(reader, writer)
        except asyncio.CancelledError:
            pass  # the task is this talk's own, and is ended with it
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(meet, host, port, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def saying(answer: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Answer any request with these bytes, and leave."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()

    return talk


async def answer_to(path: str, answer: bytes) -> Response:
    """Return what is made of an answer."""
    async with serving(saying(answer)) as port:
        return await fetch(f"http://127.0.0.1:{port}{path}", timeout=DEADLINE, limit_bytes=1000)


async def failure_of(url: str, *, timeout: float = DEADLINE) -> str:  # noqa: ASYNC109  # what is tested
    """Return the error that a URL gives."""
    with pytest.raises(HostError) as caught:
        await fetch(url, timeout=timeout, limit_bytes=1000)
    return str(caught.value)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def test_fetch_returns_status_and_body() -> None:
    """An answer is its status, its body and how long it took."""
    response = await answer_to("/", HELLO)
    assert (response.status, response.body) == (200, b"hello")
    assert 0 < response.seconds < DEADLINE


@pytest.mark.parametrize("status", [204, 304, 404, 500, 503])
async def test_fetch_returns_any_status(status: int) -> None:
    """A status that tells of an error is an answer, too."""
    response = await answer_to("/", b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status)
    assert (response.status, response.body) == (status, b"")


@pytest.mark.parametrize("location", [b"http://127.0.0.1:1/", b"http://[::", b"", b"\xff"])
async def test_fetch_follows_no_redirection(location: bytes) -> None:
    """A redirection is an answer, wherever it leads."""
    response = await answer_to("/", b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 2\r\n\r\nno" % location)
    assert (response.status, response.body) == (302, b"no")


async def test_fetch_reads_a_body_in_chunks_and_up_to_the_end_of_the_connection() -> None:
    """A body's length may be said in any of the ways that there are."""
    chunked = OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    assert (await answer_to("/", chunked)).body == b"hello"
    assert (await answer_to("/", OK + b"\r\nhello")).body == b"hello"


async def test_fetch_asks_plainly() -> None:
    """What is asked is one GET of the path, by a connection of its own, for bytes that are not compressed."""
    heard: list[bytes] = []
    left = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HELLO)
        heard.append(await reader.read())
        left.set()

    async with serving(talk) as port, asyncio.timeout(DEADLINE):
        await fetch(f"http://127.0.0.1:{port}/a/b?c=d", timeout=DEADLINE, limit_bytes=10)
        await left.wait()
        lines = heard[0].splitlines()
        assert lines[0] == b"GET /a/b?c=d HTTP/1.1"
        assert {b"Host: 127.0.0.1:%d" % port, b"Accept-Encoding: identity", b"Connection: close"} <= set(lines)
    assert heard[1:] == [b""]


async def test_fetch_sends_user_and_password_of_the_url() -> None:
    """They go as basic authentication, with what is escaped in a URL as it is meant."""
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HELLO)

    async with serving(talk) as port:
        await fetch(f"http://ann:s%40fe@127.0.0.1:{port}/", timeout=DEADLINE, limit_bytes=10)
    assert b"Authorization: Basic YW5uOnNAZmU=" in heard[0].splitlines()


async def test_fetch_takes_a_bounded_part_of_an_endless_body() -> None:
    """Of a body without end the beginning is returned, and the connection closed."""
    closed = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        finally:
            closed.set()

    async with serving(talk) as port:
        response = await fetch(f"http://127.0.0.1:{port}/", timeout=DEADLINE, limit_bytes=100_000)
        assert response.body == b"x" * 100_000
        async with asyncio.timeout(DEADLINE):
            await closed.wait()


async def test_fetch_waits_for_no_body_where_none_is_wanted() -> None:
    """A service that says its status and then streams, or hangs, has answered who asks for nothing more."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n")
        await reader.read()

    async with serving(talk) as port:
        response = await fetch(f"http://127.0.0.1:{port}/", timeout=DEADLINE, limit_bytes=0)
    assert (response.status, response.body) == (200, b"")


@pytest.mark.parametrize(
    "drips", [(), (OK,), (OK, b"\r\n"), (b"HTTP/1.1 100 Continue\r\n\r\n",)], ids=["none", "head", "body", "never"]
)
async def test_fetch_is_bound_in_time_as_a_whole(drips: tuple[bytes, ...]) -> None:
    """A service that hangs, or that goes on saying a little at any point of its answer, is left at the deadline."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.writelines(drips)
        for number in count():
            if drips:
                writer.write(b"%d: x\r\n" % number if drips[0] == OK else drips[0])
            await writer.drain()
            await asyncio.sleep(0.02)

    async with serving(talk) as port:
        problem = await failure_of(f"http://127.0.0.1:{port}/", timeout=0.5)
        assert problem == f"127.0.0.1:{port} does not answer within 0.5 s"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\x00\xff\x00",
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 9999 What\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: what\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
        OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        OK + b"X: y\r\n" * 100_000,
        OK + b"X: " + b"y" * 1_000_000,
        b"\xff" * 1_000_000,
    ],
)
async def test_fetch_refuses_what_is_no_answer(answer: bytes) -> None:
    """What is no HTTP, cut off, or has no end is told in one sentence, in which nothing of it stands."""
    async with serving(saying(answer)) as port:
        problem = await failure_of(f"http://127.0.0.1:{port}/")
    said = "what comes is no whole answer in HTTP", "connection reset by peer", "broken pipe"
    assert problem in [f"127.0.0.1:{port} does not answer: {one}" for one in said]


async def test_fetch_tells_that_nobody_listens() -> None:
    """A closed port and an unknown name have their reasons, in the machine's words."""
    port = free_port()
    assert await failure_of(f"http://127.0.0.1:{port}/") == f"127.0.0.1:{port} does not answer: connection refused"
    assert goes_on(await failure_of("http://nobody.invalid/"), "nobody.invalid:80 does not answer: ")


async def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses answers by any of them; where none does, there is one reason."""

    def addresses(_host: str, port: int, *_arguments: object, **_keywords: object) -> list[tuple[object, ...]]:
        found = [(one, port) for one in ("127.0.0.2", "127.0.0.1")]
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", one) for one in found]

    monkeypatch.setattr(socket, "getaddrinfo", addresses)
    async with serving(saying(HELLO)) as port:
        url = f"http://twice.example.org:{port}/"
        assert (await fetch(url, timeout=DEADLINE, limit_bytes=10)).body == b"hello"
        assert await connect("twice.example.org", port, timeout=DEADLINE) > 0
    assert await failure_of(url) == f"twice.example.org:{port} does not answer: connection refused"
    with pytest.raises(HostError, match=rf"^twice\.example\.org:{port} does not answer: "):
        await connect("twice.example.org", port, timeout=DEADLINE)


async def test_service_is_asked_by_its_name(authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> None:
    """Although an address is called, the name stands in the request and has to be the certificate's."""
    heard: list[bytes] = []
    look_up_of = socket.getaddrinfo

    def here(host: str, *arguments: object, **keywords: object) -> object:
        return look_up_of("127.0.0.1" if host.endswith(".example.org") else host, *arguments, **keywords)  # type: ignore[arg-type]  # as it came

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HELLO)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    async with serving(talk, context=tls(authority, "one.example.org")) as port:
        url = f"https://one.example.org:{port}/"
        assert (await fetch(url, timeout=DEADLINE, limit_bytes=10)).body == b"hello"
        other = await failure_of(f"https://other.example.org:{port}/")
    assert b"Host: one.example.org:%d" % port in heard[0].splitlines()
    assert goes_on(other, f"other.example.org:{port} does not answer: its certificate is not trusted: ")


async def test_resolver_that_hangs_holds_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many names are waited for, the threads that all else shares are free, and the deadline holds."""
    released = threading.Event()

    def hang(*_arguments: object, **_keywords: object) -> None:
        released.wait()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    try:
        async with asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
            asking = [
                *(tasks.create_task(failure_of(f"http://s{number}.invalid/", timeout=0.5)) for number in range(40)),
                *(tasks.create_task(failure_of_connect(f"t{number}.invalid")) for number in range(40)),
            ]
        assert await asyncio.wait_for(asyncio.to_thread(int), DEADLINE) == 0
        assert all(task.result().endswith(" does not answer within 0.5 s") for task in asking)
    finally:
        released.set()


async def test_address_that_says_nothing_leaves_time_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose queue is full does not keep a service from being reached at its other address."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)  # noqa: FBT003  # that is the socket's own signature
            with suppress(BlockingIOError):
                one.connect(full.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: found)
        async with serving(saying(HELLO), port=full.getsockname()[1]) as port:
            assert (await fetch(f"http://a.invalid:{port}/", timeout=4, limit_bytes=0)).status == 200
            assert await connect("a.invalid", port, timeout=4) > 0


async def failure_of_connect(host: str) -> str:
    """Return the error that a host gives."""
    with pytest.raises(HostError) as caught:
        await connect(host, 80, timeout=0.5)
    return str(caught.value)


def goes_on(text: str, start: str) -> bool:
    """Tell whether a text starts so and goes on."""
    return text.startswith(start) and len(text) > len(start)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "secret",
        "http://",
        "http:///secret",
        "ftp://127.0.0.1/secret",
        "file:///etc/passwd",
        "http://[::/secret",
        "http://a\x00/secret",
        "http://xn--a/secret",
        "http://127.0.0.1:1/secret\r\nHost: x",
        "http://127.0.0.1:x/secret",
        "http://127.0.0.1:99999/secret",
        "http://127.0.0.1:0/secret",
    ],
)
async def test_fetch_refuses_what_is_no_url(url: str) -> None:
    """A text that is no URL of HTTP is refused, without its being repeated."""
    assert await failure_of(url) == "bad URL; expected http://HOST/... or https://HOST/..."


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 300}.invalid/"])
async def test_fetch_tells_of_an_address_that_cannot_be(url: str) -> None:
    """What no address can be is a service that does not answer."""
    assert " does not answer: " in await failure_of(url)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_errors_hold_nothing_secret_of_the_url(scheme: str) -> None:
    """User, password, path and query of a URL are in no error."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"garbage\r\n")

    async with serving(talk) as port:
        for url_port in (port, free_port()):
            url = f"{scheme}://ann:hidden@127.0.0.1:{url_port}/hidden?key=hidden"
            problem = await failure_of(url)
            assert problem.startswith(f"127.0.0.1:{url_port} does not answer: ")
            assert "hidden" not in problem


async def test_fetch_asks_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies, passwords of hosts too, counts for nothing."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert (await answer_to("/", HELLO)).body == b"hello"


async def test_cancelling_leaves_nothing() -> None:
    """A request that is cancelled closes its connection."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        begun.set()
        await reader.read()
        ended.set()

    async with serving(talk) as port, asyncio.timeout(DEADLINE):
        asking = asyncio.create_task(fetch(f"http://127.0.0.1:{port}/", timeout=DEADLINE, limit_bytes=10))
        await begun.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await ended.wait()


def tls(authority: trustme.CA, name: str, *, expired: bool = False) -> ssl.SSLContext:
    """Make what a server of that name needs."""
    end = datetime(2021, 1, 1, tzinfo=UTC) if expired else None
    certificate = authority.issue_cert(name, not_after=end, not_before=datetime(2020, 1, 1, tzinfo=UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """Return an authority that the machine trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    return authority


async def test_fetch_speaks_tls(authority: trustme.CA) -> None:
    """A certificate that the machine trusts is as good as none needed."""
    async with serving(saying(HELLO), context=tls(authority, "127.0.0.1")) as port:
        response = await fetch(f"https://127.0.0.1:{port}/", timeout=DEADLINE, limit_bytes=10)
    assert (response.status, response.body) == (200, b"hello")


async def test_fetch_refuses_certificates_that_prove_nothing(
    authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for another name, one that has ended and one of an authority that nobody trusts are no answer."""
    refused = "its certificate is not trusted: "
    for context in (
        tls(authority, "other.example.org"),
        tls(authority, "127.0.0.1", expired=True),
        tls(trustme.CA(), "127.0.0.1"),
    ):
        async with serving(saying(HELLO), context=context) as port:
            problem = await failure_of(f"https://127.0.0.1:{port}/")
            assert goes_on(problem, f"127.0.0.1:{port} does not answer: {refused}")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nothing"))
    async with serving(saying(HELLO), context=tls(authority, "127.0.0.1")) as port:
        assert refused in await failure_of(f"https://127.0.0.1:{port}/")


async def test_fetch_tells_that_there_is_no_tls() -> None:
    """A port that speaks HTTP and no TLS, or leaves without a word, says so."""

    async def leave(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        pass

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(HELLO)

    for talk in (leave, answer):
        async with serving(talk) as port:
            problem = await failure_of(f"https://127.0.0.1:{port}/")
        assert goes_on(problem, f"127.0.0.1:{port} does not answer: ")


async def test_handshake_that_hangs_is_left_at_the_deadline() -> None:
    """A port that accepts and never begins to speak TLS does not answer in time, and is left."""
    left = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        left.set()

    async with serving(hang) as port, asyncio.timeout(DEADLINE):
        problem = await failure_of(f"https://127.0.0.1:{port}/", timeout=0.5)
        await left.wait()
    assert problem == f"127.0.0.1:{port} does not answer within 0.5 s"


async def test_connect_tells_how_long_it_took() -> None:
    """A port that accepts answers, whatever it then says."""
    async with serving(saying(HELLO)) as port:
        for host in ("127.0.0.1", "localhost"):
            assert 0 < await connect(host, port, timeout=DEADLINE) < DEADLINE


async def test_connect_tells_that_nobody_listens() -> None:
    """A closed port is refused, of any kind of address and of several."""
    port = free_port()
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(HostError, match=rf"^{host}:{port} does not answer: (connection refused|it cannot be)"):
            await connect(host, port, timeout=DEADLINE)


@pytest.mark.parametrize("host", ["nobody.invalid", "", "a" * 300, "a..b", "a\x00b", "::g"])
async def test_connect_tells_of_a_host_that_cannot_be(host: str) -> None:
    """A name that is nobody's is one sentence."""
    with pytest.raises(HostError, match=r":80 does not answer"):
        await connect(host, 80, timeout=2)


@pytest.mark.parametrize("port", [0, -1, 65536])
async def test_connect_refuses_a_port_that_cannot_be(port: int) -> None:
    """A number that is no port's is told so."""
    with pytest.raises(HostError, match=rf"^bad port {port}; expected 1 to 65535$"):
        await connect("127.0.0.1", port, timeout=DEADLINE)


async def test_connect_leaves_at_the_deadline() -> None:
    """A port whose queue is full, so that nobody answers at all, is left in time."""
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for one in (first, second):
            one.setblocking(False)  # noqa: FBT003  # that is the socket's own signature
            with suppress(BlockingIOError):
                one.connect(full.getsockname())
        port = full.getsockname()[1]
        with pytest.raises(HostError, match=rf"^127\.0\.0\.1:{port} does not answer within 0\.3 s$"):
            await connect("127.0.0.1", port, timeout=0.3)


async def test_connect_is_not_deceived_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that the system makes from a port to itself, as it may where nobody listens, is no answer."""
    port = free_port()
    connecting = asyncio.BaseEventLoop.create_connection

    async def from_same_port(loop: asyncio.BaseEventLoop, *arguments: object, **keywords: object) -> object:
        return await connecting(loop, *arguments, **keywords, local_addr=("127.0.0.1", port))  # type: ignore[call-overload]  # as it came

    monkeypatch.setattr(asyncio.BaseEventLoop, "create_connection", from_same_port)
    with pytest.raises(HostError, match=rf"^127\.0\.0\.1:{port} does not answer: connection refused$"):
        await connect("127.0.0.1", port, timeout=DEADLINE)
