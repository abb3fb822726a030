"""A certificate authority of the sandbox's own, and TLS for its servers."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme

# Key vaults have a host name each, and their SDK checks it.
NAMES = ("localhost", "127.0.0.1", "*.vault.azure.net", "*.vault.usgovcloudapi.net")


def server_context(ca_file: Path) -> ssl.SSLContext:
    """Make a CA, write its certificate to ``ca_file`` and give TLS for this host's names signed by it."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*NAMES).configure_cert(context)
    return context
