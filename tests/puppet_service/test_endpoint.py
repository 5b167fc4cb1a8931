"""Where a gateway is, as it is configured: what cannot be is refused in a sentence before anything is connected."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from grpclib.exceptions import StreamTerminatedError

from logmonitor.configuration.binding import parameters_of
from logmonitor.errors import ConfigurationError
from logmonitor.transports.puppet_service.endpoint import find_endpoint
from logmonitor.transports.wechaty import Wechaty

if TYPE_CHECKING:
    from pathlib import Path

    from tests.gateway.certificate import Certificate

CLEAR: dict[str, Any] = {"tls": False, "ca_file": None, "server_name": None, "insecure": False}


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:8788", "127.0.0.1", 8788, True),
        ("gateway.example:1", "gateway.example", 1, False),
        ("localhost:65535", "localhost", 65535, True),
        ("[::1]:8788", "::1", 8788, True),
        ("[2001:DB8:0::1]:8788", "2001:db8::1", 8788, False),
        ("10.0.0.1:8788", "10.0.0.1", 8788, False),
    ],
)
def test_endpoint_is_host_and_port(text: str, host: str, port: int, *, is_loopback: bool) -> None:
    """Names and addresses of both kinds are read, and shown as they are written."""
    endpoint = find_endpoint(text, **CLEAR)
    assert (endpoint.host, endpoint.port, endpoint.is_loopback, endpoint.context) == (host, port, is_loopback, None)
    assert str(endpoint) == (f"[{host}]:{port}" if ":" in host else text)


@pytest.mark.parametrize(
    "text",
    [
        "", "host", "host:", ":8788", "host:0", "host:65536", "host:port", "::1:8788", "http://host:8788", "host:8788/",
        "ho st:8788", "host:8788\n", "[::g]:8788", "[1]:8788", "user@host:8788", "-host:8788", "h\u00f6st:8788",
    ],
)  # fmt: skip
def test_endpoint_of_any_other_form_is_refused(text: str) -> None:
    """What is no host and port is refused with what was expected."""
    with pytest.raises(ConfigurationError, match=r"^bad endpoint .*; expected "):
        find_endpoint(text, **CLEAR)


@pytest.mark.parametrize(
    ("token", "expected"),
    [("", "is empty"), ("a b", "white space"), ("a\n", "white space"), ("schl\u00fcssel", "outside of")],
)
def test_endpoint_token_that_cannot_be_sent_is_refused(token: str, expected: str) -> None:
    """A token that no header can carry is refused, and not shown."""
    with pytest.raises(ConfigurationError, match=expected) as caught:
        Wechaty(endpoint="127.0.0.1:8788", token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"tls": False, "server_name": "gateway.test"}, "server_name has no meaning with tls = false"),
        ({"tls": False, "insecure": True}, "insecure has no meaning with tls = false"),
        ({"insecure": True, "server_name": "gateway.test"}, "server_name has no meaning with insecure = true"),
        ({"server_name": "gateway test"}, "bad server_name 'gateway test'"),
        ({"server_name": ""}, "bad server_name ''"),
    ],
)
def test_endpoint_refuses_keys_that_contradict_each_other(parameters: dict[str, Any], expected: str) -> None:
    """A key that would not be looked at is refused."""
    with pytest.raises(ConfigurationError, match=f"^{expected}"):
        Wechaty(endpoint="127.0.0.1:8788", token="t", **parameters)  # noqa: S106  # it opens nothing


def test_endpoint_refuses_authorities_that_are_none(tmp_path: Path, certificate: Certificate) -> None:
    """A file of authorities is there, readable, and holds certificates; beside `insecure` it has no meaning."""
    empty, key = tmp_path / "empty.pem", certificate.key_path
    empty.touch()
    for ca_file, expected in (
        (tmp_path / "none.pem", "cannot be read: no such file or directory"),
        (tmp_path, "cannot be read: is a directory|holds no certificates"),
        (empty, "holds no certificates; expected some in PEM"),
        (key, "holds no certificates; expected some in PEM"),
    ):
        with pytest.raises(ConfigurationError, match=expected):
            find_endpoint("host:1", tls=True, ca_file=ca_file, server_name=None, insecure=False)
    with pytest.raises(ConfigurationError, match=r"^ca_file has no meaning with insecure = true"):
        find_endpoint("host:1", tls=True, ca_file=certificate.ca_path, server_name=None, insecure=True)


def test_endpoint_context_asks_for_what_is_safe(certificate: Certificate) -> None:
    """TLS is 1.2 or newer and for HTTP/2, checks the name, and checks nothing only when told to."""
    checked = find_endpoint("host:1", tls=True, ca_file=certificate.ca_path, server_name="a.test", insecure=False)
    unchecked = find_endpoint("host:1", tls=True, ca_file=None, server_name=None, insecure=True)
    if checked.context is None or unchecked.context is None:
        raise AssertionError("both speak TLS")
    assert checked.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert (checked.context.check_hostname, checked.context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert len(checked.context.get_ca_certs()) == 1
    assert (unchecked.context.check_hostname, unchecked.context.verify_mode) == (False, ssl.CERT_NONE)


def test_endpoint_keys_are_those_of_a_configuration() -> None:
    """The transport's parameters can be read from its signature, two of them required."""
    parameters = parameters_of(Wechaty)
    of_budgets = ["per_period", "period", "per_inbound"]
    names = ["endpoint", "token", "tls", "ca_file", "server_name", "insecure", *of_budgets]
    assert [one.name for one in parameters] == names
    assert [one.name for one in parameters if one.is_required] == ["endpoint", "token"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"), "cannot be reached: connection refused"),
        (OSError("Multiple exceptions: ..."), "cannot be reached: multiple exceptions: ..."),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host (name or service not known)"),
        (TimeoutError(), "host:1 does not answer"),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] ..."), "host:1 does not agree on TLS: "),
        (StreamTerminatedError("Connection lost"), "host:1 ends the connection at once"),
    ],
)
def test_endpoint_explains_what_went_wrong(error: Exception, expected: str) -> None:
    """Each failure to connect is one sentence with the endpoint in it."""
    endpoint = find_endpoint("host:1", tls=True, ca_file=None, server_name=None, insecure=False)
    assert expected in endpoint.explain(error)
    assert endpoint.explain(error).startswith("host:1 ")


def test_endpoint_explains_an_unknown_error_number() -> None:
    """An error of the system is told in the system's words."""
    assert find_endpoint("host:1", **CLEAR).explain(OSError(errno.EHOSTUNREACH, "?")) == (
        f"host:1 cannot be reached: {os.strerror(errno.EHOSTUNREACH).lower()}"
    )
