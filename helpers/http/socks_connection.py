"""Connections through a SOCKS proxy, with PySocks: its answers end in their time, and its failures are a proxy's."""

from __future__ import annotations

import socket
from typing import Any

import socks
from urllib3.connection import HTTPConnection
from urllib3.exceptions import ProxyError

from helpers.http.limits import AnswerTime, answer_time

_CREDENTIALS = "user and password stand in its address: socks5h://USER:PASSWORD@HOST:PORT"


class SocksSocket(socks.socksocket):  # type: ignore[misc]  # PySocks has no types
    """A socket that reads what its proxy answers in the time of an answer."""

    _answer: AnswerTime | None = None

    def connect_within(self, seconds: float, target: tuple[str, int]) -> None:
        """Connect to a host and port; the proxy may be silent for so many seconds. Raises OSError."""
        self._answer = answer_time()
        self.settimeout(seconds)
        try:
            self.connect(target)
        except BaseException:
            self.close()
            raise
        self._answer = None

    def recv_into(self, *arguments: Any) -> int:
        """Read what has come; while connecting, no longer than the proxy's answers may still take."""
        if self._answer is None:
            return int(super().recv_into(*arguments))
        socket.socket.settimeout(self, min(self.gettimeout(), self._answer.seconds_to_wait()))
        count = int(super().recv_into(*arguments))
        self._answer.heard()
        return count


class ThroughSocks(HTTPConnection):
    """What urllib3's connections through a SOCKS proxy do in another way here."""

    _socks_options: dict[str, Any]

    def _new_conn(self) -> socket.socket:
        """Connect through the proxy. Raises ProxyError, as for any other proxy."""
        try:
            return self._through_proxy()
        except OSError as error:  # those of PySocks are OSErrors too
            raise ProxyError("Unable to connect to proxy", OSError(_in_words(error, self.host))) from error

    def _through_proxy(self) -> SocksSocket:
        """Connect through the first of the proxy's addresses that answers."""
        proxy = self._socks_options
        host, port = proxy["proxy_host"].strip("[]"), proxy["proxy_port"]
        failure = OSError(f"{host} has no address")
        for family, kind, protocol, *_ in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
            connection = SocksSocket(family, kind, protocol)
            for option in self.socket_options or ():
                connection.setsockopt(*option)
            connection.set_proxy(
                proxy["socks_version"], host, port, proxy["rdns"], proxy["username"], proxy["password"]
            )
            try:
                connection.connect_within(float(self.timeout or 0), (self.host.strip("[]"), int(self.port or 0)))
            except socks.ProxyConnectionError as error:
                failure = error
            else:
                return connection
        raise failure


def _in_words(error: OSError, target: str) -> str:
    """Say what a proxy's failure is, and what to do about one that the settings can end."""
    if isinstance(getattr(error, "socket_err", None), socket.gaierror):
        return f"this host does not know {target}: with socks5h:// the proxy looks names up ({error})"
    return f"{error} ({_CREDENTIALS})" if isinstance(error, socks.SOCKS5AuthError) else str(error)
