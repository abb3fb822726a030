"""Connections whose answers have an end: each read of the socket waits as long as the answer may still take.

requests and urllib3 know the longest silence only, so a byte a second would go on for ever; and a status line, headers,
chunks, trailers and the answer to a proxy's CONNECT are read in loops of their own. What all of them read from is this.
"""

from __future__ import annotations

import copy
import http.client
import io
import socket
import ssl
from functools import cache
from typing import Any

from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.connection import HTTPSConnection
from urllib3.contrib.socks import SOCKSConnection
from urllib3.exceptions import HTTPError

from helpers.http.certificate_faults import OTHER_NAMES, CertificateOfAnotherName, names_of
from helpers.http.limits import AnswerTime, answer_time
from helpers.http.socks_connection import ThroughSocks
from helpers.http.trust import shared_trust


def time_answers(manager: PoolManager) -> None:
    """Make a manager's connections read answers in their time."""
    pools = manager.pool_classes_by_scheme
    manager.pool_classes_by_scheme = {scheme: _timed(pool) for scheme, pool in pools.items()}


@cache
def _timed(pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
    """Return a kind of pool with connections like its own, whose answers are timed, a SOCKS proxy's too."""
    kind = pool.ConnectionCls
    if issubclass(getattr(kind, "response_class", object), TimedResponse):
        return pool
    kinds = [
        *([NamingCertificates] if issubclass(kind, HTTPSConnection) else []),
        *([ThroughSocks] if issubclass(kind, SOCKSConnection) else []),
        kind,
    ]
    connection = type(f"Timed{kind.__name__}", tuple(kinds), {"response_class": TimedResponse})
    return type(f"Timed{pool.__name__}", (pool,), {"ConnectionCls": connection})


class NamingCertificates(HTTPSConnection):
    """A connection that says which names a certificate is for when it is not for the host."""

    def connect(self) -> None:
        """Connect. Raises CertificateOfAnotherName, and ssl's and urllib3's errors."""
        again = copy.copy(self)  # before anything is connected; what leads through a proxy is in it too
        try:
            with shared_trust(self):
                super().connect()
        except ssl.SSLCertVerificationError as error:
            if error.verify_code not in OTHER_NAMES:
                raise
            host = again._tunnel_host or again.host  # through a proxy, the connection's own host is the proxy
            raise CertificateOfAnotherName(error, host, again._names()) from error

    def _names(self) -> tuple[str, ...] | None:
        """Connect once more, for any name, to look at the certificate alone: nothing is sent.

        What others share is not used: urllib3 would have it take any name from then on.
        """
        self.assert_hostname, self.ssl_context = False, None
        try:
            super().connect()
            return names_of(self.sock.getpeercert() or {}) if isinstance(self.sock, ssl.SSLSocket) else None
        except (OSError, http.client.HTTPException, HTTPError):
            return None
        finally:
            self.close()


class TimedResponse(http.client.HTTPResponse):
    """An answer that is read from a socket in its time."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        as_file: Any = _TimedSocket(sock)
        super().__init__(as_file, *arguments, **options)


class _TimedSocket:
    """The part of a socket that http.client reads an answer from."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedFile(self._socket, answer_time()))


class _TimedFile(io.RawIOBase):
    """A socket's bytes, each read of which waits no longer than the answer may still take."""

    def __init__(self, sock: socket.socket, time: AnswerTime) -> None:
        super().__init__()
        self._socket, self._time = sock, time
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._socket.settimeout(self._time.seconds_to_wait())
        try:
            count = self._file.readinto(buffer)
        except TimeoutError:
            self._time.seconds_to_wait()  # it was the answer's end that was waited for, and not the silence's
            raise
        self._time.heard()
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
