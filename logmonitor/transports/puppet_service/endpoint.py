"""Where a Wechaty gateway is and how it is trusted: checked when configured, told in one sentence when it fails."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logmonitor.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

_ENDPOINT: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9](?:[A-Za-z0-9._-]*))):(?P<port>\d{1,5})"
)
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*)")
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")
_LAST_PORT: Final = 65535
_NO_TLS: Final = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_OTHER_NAME: Final = (62, 64)
"""`X509_V_ERR_HOSTNAME_MISMATCH` and `X509_V_ERR_IP_ADDRESS_MISMATCH`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a gateway listens, and how: without `context` in the clear. `authority` is who vouches for it, in words."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    server_name: str | None = None
    authority: str = ""

    def __str__(self) -> str:
        """Show it as it is configured."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nothing leaves this machine on the way there."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def explain(self, error: BaseException, /) -> str:
        """Tell in one sentence why it could not be connected to."""
        match error:
            case ssl.SSLCertVerificationError(verify_code=code) if code in _OTHER_NAME:
                name = self.server_name or self.host
                text = f"the certificate of {self} is not for {name!r}; server_name says which name it is for"
            case ssl.SSLCertVerificationError():
                text = f"the certificate of {self} is not trusted by {self.authority}: {error.verify_message}"
            case ssl.SSLError(reason=reason) if reason in _NO_TLS:
                text = f"{self} does not speak TLS; tls = false speaks to it in the clear"
            case ssl.SSLError():
                reason = getattr(error, "reason", None) or str(error)
                text = f"{self} does not agree on TLS: {reason.lower().replace('_', ' ')}"
            case TimeoutError():
                text = f"{self} does not answer"
            case socket.gaierror():
                text = f"{self} cannot be reached: no such host ({(error.strerror or 'unknown').lower()})"
            case OSError(errno=int(number)):
                text = f"{self} cannot be reached: {os.strerror(number).lower()}"
            case OSError():
                text = f"{self} cannot be reached: {str(error).lower() or type(error).__name__}"
            case _ if self.context is None:
                text = f"{self} ends the connection at once, as one that speaks TLS does; tls = true speaks TLS to it"
            case _:
                text = f"{self} ends the connection at once"
        return text


def find_endpoint(
    text: str, /, *, tls: bool, ca_file: Path | None, server_name: str | None, insecure: bool
) -> Endpoint:
    """Return where and how a configuration means to connect; nothing is connected.

    Raises:
        ConfigurationError: it contradicts itself, or the authorities cannot be read.
    """
    found = _ENDPOINT.fullmatch(text)
    port = int(found["port"]) if found else 0
    if found is None or not 0 < port <= _LAST_PORT:
        raise ConfigurationError(
            f"bad endpoint {text!r}; expected host:port, as '127.0.0.1:8788', 'gateway.example:8788' or '[::1]:8788'"
        )
    host = found["host"] or _address(found["v6"])
    given = [key for key, value in (("ca_file", ca_file), ("server_name", server_name)) if value is not None]
    if not tls:
        given += ["insecure"] * insecure
        if given:
            raise ConfigurationError(f"{given[0]} has no meaning with tls = false; expected one of them")
        return Endpoint(host=host, port=port)
    if insecure and given:
        raise ConfigurationError(f"{given[0]} has no meaning with insecure = true; expected one of them")
    if server_name is not None and not _NAME.fullmatch(server_name):
        raise ConfigurationError(f"bad server_name {server_name!r}; expected the name that the certificate is for")
    authority = "the system's authorities" if ca_file is None else f"the authorities in {str(ca_file)!r}"
    context = _context(ca_file, insecure=insecure)
    return Endpoint(host=host, port=port, context=context, server_name=server_name, authority=authority)


def check_token(token: str, /) -> str:
    """Return a token that can be sent.

    Raises:
        ConfigurationError: it cannot; the text does not show it.
    """
    if not token:
        raise ConfigurationError("the token is empty; expected the gateway's")
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError("the token holds white space or characters outside of ASCII; expected the gateway's")
    return token


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ConfigurationError(f"bad endpoint '[{text}]'; expected an IPv6 address in the brackets") from None


def _context(ca_file: Path | None, *, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ConfigurationError(f"ca_file {str(ca_file)!r} holds no certificates; expected some in PEM") from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ConfigurationError(f"ca_file {str(ca_file)!r} cannot be read: {reason}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
