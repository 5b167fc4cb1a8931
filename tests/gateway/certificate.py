"""A certificate for a gateway, from an authority of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trustme

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Where a server's certificate for `name` is, its key, and the authority that vouches for it."""

    name: str
    ca_path: Path
    certificate_path: Path
    key_path: Path

    @property
    def pair(self) -> tuple[Path, Path]:
        """The two files that a server needs."""
        return self.certificate_path, self.key_path


def make_certificate(folder: Path, *, name: str = "gateway.test") -> Certificate:
    """Make an authority and a certificate for `name`, as files in `folder`."""
    made = Certificate(
        name=name,
        ca_path=folder / "ca.pem",
        certificate_path=folder / "server.pem",
        key_path=folder / "server.key",
    )
    authority = trustme.CA()
    issued = authority.issue_cert(name)
    authority.cert_pem.write_to_path(str(made.ca_path))
    issued.cert_chain_pems[0].write_to_path(str(made.certificate_path))
    issued.private_key_pem.write_to_path(str(made.key_path))
    return made
