"""A proxy that leads every host to one port on this machine, so that names of Azure's mean the sandbox."""

from __future__ import annotations

import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SIZE = 65536


class Tunnel(BaseHTTPRequestHandler):
    """Answers CONNECT and carries bytes to and fro until one side ends."""

    def do_CONNECT(self):
        self.server.asked.append(self.path)
        with socket.create_connection(("127.0.0.1", self.server.lead_to), timeout=10) as host:
            self.send_response(200)
            self.end_headers()
            self._carry(self.connection, host)
        self.close_connection = True

    def log_message(self, *_):
        pass

    @staticmethod
    def _carry(client, host):
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
