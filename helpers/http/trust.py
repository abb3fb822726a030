"""CA bundles that are read once for all connections: reading one takes longer than all else of a connection.

The 230 KB of certifi's take 17 ms of the processor and 0.7 MB for each.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import SSLError
from urllib3.util.ssl_ import create_urllib3_context

_LOCK = Lock()


@contextmanager
def shared_trust(connection: HTTPSConnection) -> Iterator[None]:
    """Let a connection that is made inside check certificates as others with the same CA bundle do.

    One with a certificate of its own, or to a proxy over TLS, is left alone. Raises SSLError where the bundle cannot
    be read.
    """
    bundle = connection.ca_certs
    if not bundle or connection.cert_file or (connection.proxy and connection.proxy.scheme == "https"):
        yield
        return
    connection.ssl_context, connection.ca_certs = _trusting(bundle), None
    try:
        yield
    finally:
        connection.ssl_context, connection.ca_certs = None, bundle


def _trusting(bundle: str) -> ssl.SSLContext:
    """Return what trusts the certificates in a file, as it is now: Azure's host runs the program for days."""
    try:
        state = Path(bundle).stat()
        with _LOCK:
            return _read(bundle, state.st_ino, state.st_size, state.st_mtime_ns)
    except OSError as error:
        raise SSLError(error) from error


@lru_cache(maxsize=4)
def _read(bundle: str, *_state: int) -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_verify_locations(bundle)
    return context
