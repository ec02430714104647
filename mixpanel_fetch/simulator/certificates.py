"""A private certificate authority for TLS on loopback."""

from __future__ import annotations

import ssl
from pathlib import Path


def loopback_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a certificate for 127.0.0.1 and localhost.

    Gives the server's TLS context and, in `folder`, the PEM file of the authority that clients
    must trust. Raises RuntimeError if trustme is not installed.
    """
    try:
        import trustme
    except ImportError as error:
        raise RuntimeError(
            "tls=True needs trustme: install mixpanel-fetch[simulator-tls]"
        ) from error
    authority = trustme.CA(organization_name="mixpanel-fetch simulator")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    ca_bundle = folder / "simulator-ca.pem"
    authority.cert_pem.write_to_path(str(ca_bundle))
    return context, ca_bundle
