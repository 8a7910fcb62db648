"""TLS with a certificate that this emulator made, and how clients come to trust it."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from b2emulator.settings import Settings


class TrustmeMissing(OSError):
    """The package that makes certificates is not installed."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the server shows, and the file that makes it believable."""

    context: ssl.SSLContext
    ca: Path

    def how_to_trust(self) -> str:
        """For people, with the variables and options of the usual clients."""
        return (
            f"TLS: clients trust it by {self.ca}\n"
            f"  b2 tool, b2sdk, requests: REQUESTS_CA_BUNDLE={self.ca}\n"
            f"  other programs: SSL_CERT_FILE={self.ca}\n"
            f"  rclone: --ca-cert, restic and curl: --cacert {self.ca}\n"
        )


def make_certificate(folder: Path, settings: Settings) -> Certificate:
    """A certificate for this machine, in `tls/` of *folder*; made once, then found again.

    Only the authority's certificate is kept, not its key: nobody can make others with it.

    Raises:
        TrustmeMissing: trustme is not installed. OSError: the files cannot be written.
    """
    place = folder / "tls"
    ca, chain = place / "ca.pem", place / "server.pem"
    if not (ca.exists() and chain.exists()):
        try:
            import trustme
        except ImportError:
            raise TrustmeMissing(
                "--tls makes a certificate with trustme; pip install 'b2jobs[tls]'"
            ) from None
        place.mkdir(mode=0o700, exist_ok=True)
        authority = trustme.CA(organization_name="b2emulator", key_type=trustme.KeyType.ECDSA)
        issued = authority.issue_cert(*_names(settings), key_type=trustme.KeyType.ECDSA)
        chain.touch(mode=0o600)
        chain.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        authority.cert_pem.write_to_path(os.fspath(ca))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Certificate(context, ca.absolute())


def _names(settings: Settings) -> list[str]:
    """Every name a client may call this machine by."""
    public = urlsplit(settings.public_url).hostname if settings.public_url else None
    host = settings.host if settings.host not in ("0.0.0.0", "::") else None
    wanted = ("localhost", "127.0.0.1", "::1", host, public)
    return list(dict.fromkeys(name for name in wanted if name))
