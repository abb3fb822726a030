"""A server that answers each request with the bytes that a test gives, odd ones too, in the clear or over TLS."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import suppress
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def answer(status=200, body=b"{}", **headers):
    """An HTTP answer, with the length of its body; names of headers may have _ for -."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {"Content-Type": "application/json", "Content-Length": len(content)}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status} Odd", *(f"{name}: {value}" for name, value in named.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + content


class _Connection(socketserver.StreamRequestHandler):
    """One connection: requests in, bytes out, until one side ends it."""

    def handle(self):
        with suppress(OSError):
            while asked := self._read():
                self.server.asked.append(asked)
                parts = self.server.answers(asked)
                for part in [parts] if isinstance(parts, bytes) else parts:
                    self.connection.sendall(part)
                    if self.server.ending.is_set():
                        return
                if not isinstance(parts, bytes):
                    return

    def _read(self):
        line = self.rfile.readline().decode()
        if not line:
            return None
        headers = {}
        while (header := self.rfile.readline().decode("latin-1").strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        method, path, _ = line.split()
        return Asked(method, path, headers, self.rfile.read(int(headers.get("content-length", 0))))


class WireServer(socketserver.ThreadingTCPServer):
    """A context: ``answers`` gives bytes for each request, or an iterable of bytes, after which the connection ends.

    ``asked`` are the requests that arrived.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, answers, context=None):
        super().__init__(("127.0.0.1", 0), _Connection)
        self.answers, self.context = answers, context
        self.asked = []
        self.ending = threading.Event()
        self.port = self.server_address[1]
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def finish_request(self, request, client_address):
        with suppress(OSError):
            if self.context:  # the handshake is for the connection's own thread
                request = self.context.wrap_socket(request, server_side=True)
            self.RequestHandlerClass(request, client_address, self)
            request.close()

    def handle_error(self, *_):
        """Say nothing when a client goes away."""

    def __exit__(self, *_):
        self.ending.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
