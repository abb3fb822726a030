"""Proxies that lead every host to this machine, so that names of Azure's mean the sandbox: HTTP's CONNECT, and SOCKS.

SOCKS is as in RFC 1928, RFC 1929 and OpenSSH's description of version 4 and 4A.
"""

from __future__ import annotations

import selectors
import socket
import socketserver
import struct
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

SIZE = 65536


class Tunnel(BaseHTTPRequestHandler):
    """Answers CONNECT and carries bytes to and fro until one side ends."""

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        with socket.create_connection(("127.0.0.1", self.server.lead_to), timeout=10) as host:
            self.send_response(200)
            self.end_headers()
            carry(self.connection, host)
        self.close_connection = True

    def log_message(self, *_):
        pass


def carry(client, host):
    """Carry bytes to and fro until one side ends."""
    opposite = {client: host, host: client}
    with selectors.DefaultSelector() as ready:
        for side in opposite:
            ready.register(side, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select(timeout=10):
                content = key.fileobj.recv(SIZE)
                if not content:
                    return
                opposite[key.fileobj].sendall(content)


class ConnectProxy(ThreadingHTTPServer):
    """A context: the proxy runs in it; ``asked`` are the hosts that were asked for."""

    daemon_threads = True

    def __init__(self, lead_to):
        super().__init__(("127.0.0.1", 0), Tunnel)
        self.lead_to = lead_to
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __exit__(self, *_):
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_):
        """Say nothing when a client goes away."""


class Target(NamedTuple):
    """What a SOCKS proxy was asked for: by which version, the host as a name or an address, the user."""

    version: int
    host: str
    port: int
    user: str = ""


class _Socks(socketserver.StreamRequestHandler):
    """Speaks SOCKS 5, 4 or 4A, whichever it is spoken to in, and carries bytes to and fro."""

    def handle(self):
        with suppress(OSError):
            for part in self.server.says():
                self.wfile.write(part)
                if self.server.ending.is_set():
                    return
            version = self.rfile.read(1)
            target = self._version_5() if version == b"\x05" else self._version_4()
            if target:
                self.server.asked.append(target)
                self._lead(target)

    def _version_5(self):
        methods = self.rfile.read(self._byte())
        chosen = 2 if self.server.user and 2 in methods else 0 if not self.server.user else 255
        self.wfile.write(bytes([5, chosen]))
        user = password = ""
        if chosen == 2:
            self._byte()
            user, password = (self.rfile.read(self._byte()).decode() for _ in range(2))
            self.wfile.write(bytes([1, (user, password) != self.server.user]))
        if chosen == 255 or (self.server.user and (user, password) != self.server.user):
            return None
        kind = self.rfile.read(4)[3]
        if kind == 3:
            host = self.rfile.read(self._byte()).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, self.rfile.read(size))
        return Target(5, host, *struct.unpack(">H", self.rfile.read(2)), user)

    def _version_4(self):
        _, port = struct.unpack(">BH", self.rfile.read(3))
        address = self.rfile.read(4)
        user, host = self._text(), socket.inet_ntoa(address)
        return Target(4, self._text() if host.startswith("0.0.0.") else host, port, user)

    def _lead(self, target):
        answer = bytes([5, self.server.refusal, 0, 1]) if target.version == 5 else bytes([0, 90 + self.server.refusal])
        if self.server.refusal:
            self.wfile.write(answer + bytes(6))
            return
        with socket.create_connection(("127.0.0.1", self.server.lead_to or target.port), timeout=10) as host:
            self.wfile.write(answer + bytes(6))
            carry(self.connection, host)

    def _byte(self):
        return self.rfile.read(1)[0]

    def _text(self):
        return b"".join(iter(lambda: self.rfile.read(1), b"\0")).decode()


class SocksProxy(socketserver.ThreadingTCPServer):
    """A context: a SOCKS proxy that leads every host to its port, or one, on this machine; ``asked`` are the targets.

    It wants ``user`` (name and password), if there is one, answers each request with ``refusal``, and says before
    everything else what ``says`` gives.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, user=None, refusal=0, says=(), lead_to=0):
        super().__init__(("127.0.0.1", 0), _Socks)
        self.user, self.refusal, self.lead_to = user, refusal, lead_to
        self.says = lambda: says
        self.asked = []
        self.ending = threading.Event()
        self.port = self.server_address[1]
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def url(self, scheme="socks5h", user=""):
        return f"{scheme}://{user and f'{user}@'}127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.ending.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, *_):
        """Say nothing when a client goes away."""
