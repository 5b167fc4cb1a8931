"""Services asked whether they answer: over HTTP, or by a TCP port that accepts.

Whatever is on the other side, an answer is bound in size and, as a whole, in time. Names are looked up so that a
resolver that hangs holds nothing but who asks for that name. Nothing of a URL but its host and port is in an error: the
rest may hold a key.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast
from urllib.parse import unquote

from logmonitor.errors import HostError
from logmonitor.hosting.look_up import look_up
from logmonitor.machine import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

    import httpcore
    import httpx

_HEADERS: Final = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", "User-Agent": "logmonitor"}
_BAD_URL: Final = "bad URL; expected http://HOST/... or https://HOST/..."
_NO_ANSWER: Final = "what comes is no whole answer in HTTP"
_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65535
_T = TypeVar("_T")


async def fetch(url: str, *, timeout: float, limit_bytes: int) -> Response:  # noqa: ASYNC109  # of all of it
    """Ask for a URL by HTTP's GET, once and directly: no redirection is followed and no proxy asked.

    A user and password in the URL are sent as basic authentication. A certificate has to be one that the machine
    trusts. `timeout` is for all of it, from the name's look-up to the end of the answer or the first `limit_bytes` of
    its body, which are returned as they come: it is asked for without compression. For 0 no body is waited for.

    Raises:
        HostError: the URL is none, or there is no answer, or none that is HTTP.
    """
    context, request = await asyncio.to_thread(_prepare, url)
    place = _place(request.url.host, request.url.port or _PORTS[request.url.scheme])
    began = time.monotonic()
    host = request.url.raw_host.decode("ascii")
    request.extensions["sni_hostname"] = host  # the name is asked for and proved, also where an address is called

    async def ask(address: str, seconds: float | None) -> Response:
        request.url = request.url.copy_with(host=address)
        request.extensions["timeout"] = {"connect": seconds}
        return await _exchange(context, request, limit_bytes, began)

    try:
        async with asyncio.timeout(timeout):
            return await _first(await _addresses(host), ask, end=began + timeout, failures=_failures())
    except TimeoutError:
        raise HostError(f"{place} does not answer within {timeout:g} s") from None
    except _errors() as error:
        raise HostError(f"{place} does not answer: {_reason(error, otherwise=_NO_ANSWER)}") from None


async def connect(host: str, port: int, *, timeout: float) -> float:  # noqa: ASYNC109  # of all of it
    """Connect to a TCP port and leave; return the seconds it took.

    Raises:
        HostError: nobody answers.
    """
    place = _place(host, port)
    if not 0 < port <= _LAST_PORT:
        raise HostError(f"bad port {port!r}; expected 1 to {_LAST_PORT}")
    began = time.monotonic()

    async def ask(address: str, seconds: float | None) -> asyncio.StreamWriter:
        async with asyncio.timeout(seconds):
            _reader, writer = await asyncio.open_connection(address, port)
        return writer

    try:
        async with asyncio.timeout(timeout):
            writer = await _first(await _addresses(host), ask, end=began + timeout, failures=(OSError,))
    except TimeoutError:
        raise HostError(f"{place} does not answer within {timeout:g} s") from None
    except (OSError, ValueError) as error:
        raise HostError(f"{place} does not answer: {_reason(error, otherwise='it cannot be reached')}") from None
    seconds = time.monotonic() - began
    # A port of this machine where nobody listens may, very rarely, be the one that was given to us to call from.
    is_self = writer.get_extra_info("sockname") == writer.get_extra_info("peername")
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()
    if is_self:
        raise HostError(f"{place} does not answer: {os.strerror(errno.ECONNREFUSED).lower()}")
    return seconds


async def _addresses(host: str) -> tuple[str, ...]:
    """Return the addresses of a host, the preferred one first.

    Event loops look names up in the threads that all else shares, and some seconds without a resolver hold them all.
    """
    found = await look_up(("host", host), partial(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM))
    return tuple(dict.fromkeys(str(address[0]) for *_kind, address in found))


async def _first(
    addresses: tuple[str, ...],
    ask: Callable[[str, float | None], Awaitable[_T]],
    *,
    end: float,
    failures: tuple[type[Exception], ...],
) -> _T:
    """Return what the first address that can be reached gives; none may take the time of those behind it."""
    for index, address in enumerate(addresses[:-1]):
        with suppress(*failures):
            return await ask(address, (end - time.monotonic()) / (len(addresses) - index))
    return await ask(addresses[-1], None)


def _prepare(url: str) -> tuple[ssl.SSLContext, httpx.Request]:
    """Load what is needed, which takes a moment; make the request.

    The certificates are loaded for each request, so that new ones count at once.
    """
    import httpx  # noqa: PLC0415  # a third of a second, for those who ask for a URL only

    try:
        request = httpx.Request("GET", url, headers=_HEADERS)
    except (httpx.InvalidURL, ValueError):
        raise HostError(_BAD_URL) from None
    port = request.url.port
    is_possible = port is None or 0 < port <= _LAST_PORT
    if request.url.scheme not in _PORTS or not request.url.host or not is_possible:
        raise HostError(_BAD_URL)
    if request.url.userinfo:
        user, _, password = request.url.userinfo.decode("ascii").partition(":")
        request = next(httpx.BasicAuth(unquote(user), unquote(password)).auth_flow(request))
    context = _trust() if request.url.scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context, request


def _trust() -> ssl.SSLContext:
    """Trust whom the machine trusts, also as `SSL_CERT_FILE` says; where it says nothing, those that httpx brings."""
    import httpx  # noqa: PLC0415  # as above

    paths = ssl.get_default_verify_paths()
    is_told = bool(paths.cafile or paths.capath)
    return ssl.create_default_context() if is_told else httpx.create_ssl_context(trust_env=False)


async def _exchange(context: ssl.SSLContext, request: httpx.Request, limit_bytes: int, began: float) -> Response:
    """Send the request, and read the answer as far as it is wanted."""
    import httpx  # noqa: PLC0415  # as above

    client = httpx.AsyncHTTPTransport(verify=context, trust_env=False)
    opened: list[httpcore.AsyncNetworkStream] = []

    async def note(step: str, about: Mapping[str, object]) -> None:
        if step == "connection.connect_tcp.complete":
            opened.append(cast("httpcore.AsyncNetworkStream", about["return_value"]))

    request.extensions["trace"] = note
    body = bytearray()
    try:
        async with client:
            response = await client.handle_async_request(request)
            async with aclosing(response), aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw())) as pieces:
                while len(body) < limit_bytes and (piece := await anext(pieces, b"")):
                    body += piece[: limit_bytes - len(body)]
    finally:
        for stream in opened:  # who is cancelled in the middle of a handshake leaves it open
            await stream.aclose()
    return Response(status=response.status_code, body=bytes(body), seconds=time.monotonic() - began)


def _failures() -> tuple[type[Exception], ...]:
    """Return what an exchange ends with that has not begun."""
    import httpx  # noqa: PLC0415  # as above

    return httpx.ConnectError, httpx.ConnectTimeout


def _errors() -> tuple[type[Exception], ...]:
    """Return what an exchange may end with."""
    import httpx  # noqa: PLC0415  # as above

    return httpx.HTTPError, OSError, ValueError


def _reason(error: BaseException, *, otherwise: str) -> str:
    """Say what an exchange ended with, in the words of the deepest layer that has some, none of them of the peer."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"no TLS: {(cause.reason or 'it is cut off').replace('_', ' ').lower()}"
        if isinstance(cause, socket.gaierror):
            return str(cause.strerror).lower()
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno).lower()
    return otherwise


def _causes(error: BaseException) -> tuple[BaseException, ...]:
    """Return what lies below an error, the deepest first, and the error itself."""
    below = error.__cause__ or error.__context__
    others = error.exceptions if isinstance(error, BaseExceptionGroup) else () if below is None else (below,)
    return (*(cause for one in others for cause in _causes(one)), error)


def _place(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
