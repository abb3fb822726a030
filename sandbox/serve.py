"""Sandbox: its services on real sockets, on loopback, with TLS where the real ones have it."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from types import TracebackType
from typing import Any, NamedTuple

from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.test import run_wsgi_app

from sandbox.azure.app import AzureState
from sandbox.azure.app import create_app as azure_app
from sandbox.azure.identity import create_app as identity_app
from sandbox.certificates import server_context
from sandbox.misp.app import MispState
from sandbox.misp.app import create_app as misp_app

HOST = "127.0.0.1"
LOG = logging.getLogger("sandbox")


class Exchange(NamedTuple):
    """A request that was answered: when it had arrived and when its answer was made, and that one's size in bytes."""

    begin: float
    end: float
    size: int


class Handler(WSGIRequestHandler):
    """HTTP/1.1 with keep-alive, which werkzeug's own handler does not do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def setup(self) -> None:
        """Remember the connection so that closing the server ends it."""
        self.server.opened(self.request)
        super().setup()

    def finish(self) -> None:
        """Forget the connection."""
        super().finish()
        self.server.ended(self.request)

    def run_wsgi(self) -> None:
        """Answer one request; an app that raises a connection error breaks the connection."""
        begin = time.time()
        environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        try:
            parts, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except (ConnectionError, TimeoutError):
            self._reset()
        except Exception:
            LOG.exception("the sandbox failed on %s %s", self.command, self.path)
            self.send_error(500)
        else:
            body = b"".join(parts)
            self.server.exchanges.append(Exchange(begin, time.time(), len(body)))
            self._answer(status, headers.to_wsgi_list(), body)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing on the console about requests."""

    def _answer(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _reset(self) -> None:
        """Close with linger 0, so that the client sees RST and not an orderly end."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        os.close(self.connection.detach())


class Server(ThreadedWSGIServer):
    """One service in threads; knows its open connections."""

    def __init__(self, port: int, app: Flask, context: ssl.SSLContext | None) -> None:
        """Serve ``app`` on ``port`` (0: a free one) at once; without ``context`` in the clear."""
        self.exchanges: list[Exchange] = []
        self._connections: set[socket.socket] = set()
        self._lock = Lock()
        super().__init__(HOST, port, app, Handler, ssl_context=context)
        if context:  # the handshake belongs to the connection's own thread, not to the one that accepts
            vars(self.socket)["do_handshake_on_connect"] = False
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def opened(self, connection: socket.socket) -> None:
        """Note a connection that a handler takes up."""
        with self._lock:
            self._connections.add(connection)

    def ended(self, connection: socket.socket) -> None:
        """Forget a connection that its handler is done with."""
        with self._lock:
            self._connections.discard(connection)

    def close(self) -> None:
        """Stop, and end every connection."""
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._connections:
                _end(connection)


def _end(connection: socket.socket) -> None:
    try:
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        LOG.debug("a connection had ended already")


class Sandbox:
    """A MISP and an Azure, served from entering to leaving the context."""

    def __init__(
        self,
        state_azure: AzureState | None = None,
        state_misp: MispState | None = None,
        misp_port: int = 0,
        azure_port: int = 0,
        directory: Path | None = None,
    ) -> None:
        """Take states or start with fresh ones; the CA's certificate goes to ``directory``."""
        self.azure = state_azure or AzureState()
        self.misp = state_misp or MispState()
        self.ca_file = ""
        self._ports = (misp_port, azure_port)
        self._directory = directory
        self._servers: list[Server] = []
        self._temporary: TemporaryDirectory[str] | None = None

    @property
    def misp_url(self) -> str:
        """Where the MISP answers."""
        return f"https://localhost:{self._servers[0].port}"

    @property
    def azure_url(self) -> str:
        """Where the login and the upload API answer."""
        return f"https://localhost:{self._servers[1].port}"

    @property
    def misp_exchanges(self) -> list[Exchange]:
        """What MISP answered."""
        return self._servers[0].exchanges

    @property
    def azure_exchanges(self) -> list[Exchange]:
        """What the login and the upload API answered."""
        return self._servers[1].exchanges

    @property
    def identity_url(self) -> str:
        """Where the endpoints for managed identities answer, in the clear as the real ones do."""
        return f"http://{HOST}:{self._servers[2].port}"

    def __enter__(self) -> Sandbox:
        """Start the servers."""
        ca_file = self._place() / "ca.pem"
        context = server_context(ca_file)
        self.ca_file = str(ca_file)
        apps = (misp_app(self.misp), azure_app(self.azure))
        for port, app in zip(self._ports, apps, strict=True):
            self._servers.append(Server(port, app, context))
        self._servers.append(Server(0, identity_app(self.azure), None))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of hanging requests and stop the servers."""
        for state in (self.misp, self.azure):
            state.faults.close()
        for server in self._servers:
            server.close()
        if self._temporary:
            self._temporary.cleanup()

    def _place(self) -> Path:
        if self._directory is None:
            self._temporary = TemporaryDirectory(prefix="sandbox-")
            return Path(self._temporary.name)
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory
