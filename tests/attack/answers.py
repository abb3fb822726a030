"""Odd answers: what a service, or a proxy before it, may say instead of what it should, byte by byte."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from itertools import repeat

from werkzeug.test import run_wsgi_app

from sandbox.serve import Handler, Sandbox

MIB = 2**20
# Larger than any answer may be.
BOMB, ENDLESS = 700, 700
TRAP = "/trap"
DEEP, DIGITS, DRIPS = 100_000, 10_000, 500


@dataclass
class Odd:
    """An answer: its status line, its headers, its body in pieces, and whether the request is carried out first."""

    name: str
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    body: Callable[[], object] | bytes = b""
    raw: bool = False
    pause: float = 0

    def pieces(self):
        """The body."""
        return self.body() if callable(self.body) else [self.body]

    @property
    def succeeds(self):
        """Whether it says that all went well."""
        return self.status.startswith("2")


def said(name, content, status="200 OK", **headers):
    """An answer in JSON, or of the text as it is."""
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    body = text if isinstance(text, bytes) else text.encode(errors="surrogatepass")
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return Odd(name, status, {"Content-Type": "application/json", "Content-Length": str(len(body)), **named}, body)


def _refused(status, **headers):
    return said(f"{status} {headers}", {"message": "x"}, status, **headers)


@cache
def _bomb():
    squeezed = BytesIO()
    with gzip.GzipFile(fileobj=squeezed, mode="wb", compresslevel=1) as file:
        for _ in range(BOMB):
            file.write(b" " * MIB)
    return [squeezed.getvalue()]


CHUNKED = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
PACKED = {"Content-Encoding": "gzip", "Connection": "close"}
PAGE = "<html><head><title>Sign in</title></head><body>\x1b[31m<form action='//192.0.2.1'></body></html>"
WAITS = ["99999999999", "-5", "soon", "1e400", "NaN", "Fri, 31 Dec 9999 23:59:59 GMT", "", "0", "\u0661"]
CONTENTS = [
    *(None, [], {}, 0, "text", True, [[[]]], [None, 1, "x", [], {}], {"response": None}, {"response": {"a": 1}}),
    *({"errors": {}}, {"errors": [None]}, {"response": [None, 1, "x", [], {"Event": None}, {"Event": [1]}]}),
    *({"Event": []}, {"value": 1, "nextLink": 5}, {"error": {"code": [], "message": {}}}, {"response": "x"}),
]
COMMON = [
    *(said(f"content {content!r}", content) for content in CONTENTS),
    *(_refused(status) for status in ("400 Bad", "401 No", "403 No", "404 None", "405 No", "413 Large", "418 Tea")),
    *(_refused(status) for status in ("500 Broken", "502 Bad", "504 Late", "599 Odd", "226 Odd", "206 Part")),
    *(_refused("429 Later", Retry_After=wait) for wait in WAITS if wait.isascii()),
    *(_refused("503 Later", Retry_After=wait) for wait in WAITS[:3]),
    *(_refused("429 Later", X_Rate_Limit_Reset=wait, X_Rate_Limit_Remaining="0") for wait in WAITS[:4]),
    said("page", PAGE, Content_Type="text/html"),
    said("page with 500", PAGE, "500 Broken", Content_Type="text/html"),
    said("page with 403", PAGE, "403 No", Content_Type="text/html"),
    said("nothing", ""),
    Odd("no content", "204 No Content"),
    said("half", '{"response": [{"Event": {"uu'),
    said("half with 400", '{"errors": [{"recordIn', "400 Bad"),
    said("huge number", '{"response": 1' + "0" * DIGITS + "}"),
    said("huge number with 400", '{"errors": [{"recordIndex": 1' + "0" * DIGITS + "}]}", "400 Bad"),
    said("deep", "[" * DEEP),
    said("deep and whole", '{"response":' + "[" * DEEP + "]" * DEEP + "}"),
    said("deep with 400", '{"errors":' * 5000, "400 Bad"),
    said("not numbers", '{"response": NaN, "expires_in": Infinity, "errors": -Infinity}'),
    said("bytes", b"\xff\xfe\x00\x01\x80"),
    said("UTF-16", '{"response": []}'.encode("utf-16")),
    said("surrogates", '{"response": "\\ud800", "message": "\\udfff\\u0000\\u001b[2J"}'),
    said("escapes with 400", {"message": "\x1b]0;x\x07\r\nforged line\u202e", "errorMessages": ["\0"]}, "400 Bad"),
    said("long words with 400", {"message": "x" * MIB, "errors": ["y" * MIB]}, "400 Bad"),
    said("charset", "{}", Content_Type="application/json; charset=no-such"),
    said("no gzip", "{}", Content_Encoding="gzip"),
    said("no deflate", "xyz", Content_Encoding="deflate, gzip, br"),
    Odd("bomb", headers=PACKED, body=_bomb),
    Odd("bomb with 500", "500 Broken", PACKED, _bomb),
    Odd("endless", headers={"Connection": "close"}, body=lambda: repeat(b"[" + b" " * (MIB - 1), ENDLESS)),
    Odd("endless, chunked", headers=CHUNKED, body=lambda: repeat(b"100000\r\n" + b" " * MIB + b"\r\n", ENDLESS)),
    Odd("endless with 400", "400 Bad", {"Connection": "close"}, lambda: repeat(b'"' + b"x" * MIB, ENDLESS)),
    Odd("drip", headers={"Connection": "close"}, body=lambda: repeat(b" ", DRIPS), pause=0.2),
    Odd("drip with 400", "400 Bad", {"Connection": "close"}, lambda: repeat(b"x", DRIPS), pause=0.2),
    Odd("cut short", headers={"Content-Length": "1000"}, body=b'{"response": ['),
    Odd("no chunk", headers=CHUNKED, body=b"zz\r\n{}\r\n0\r\n\r\n"),
    Odd("chunk without end", headers=CHUNKED, body=b"2\r\n{}\r\n"),
    Odd("length below zero", headers={"Content-Length": "-5"}, body=b"{}"),
    Odd("two lengths", headers={"Content-Length": "2, 9"}, body=b"{}"),
    Odd("silent end", raw=True),
    Odd("no HTTP", raw=True, body=b"SSH-2.0-OpenSSH\r\n"),
    Odd("status of letters", raw=True, body=b"HTTP/1.1 abc OK\r\n\r\n"),
    Odd("status of ten", raw=True, body=b"HTTP/1.1 1000000000 OK\r\nContent-Length: 0\r\n\r\n"),
    Odd("many headers", raw=True, body=b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 5000 + b"\r\n{}"),
    Odd("long header", raw=True, body=b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 200_000 + b"\r\n\r\n{}"),
    Odd(
        "header of bytes", raw=True, body=b"HTTP/1.1 500 \xff\xfe\x1b[2J\r\nX: \x00\xff\r\nContent-Length: 2\r\n\r\n{}"
    ),
    Odd("many continues", raw=True, body=b"HTTP/1.1 100 Continue\r\n\r\n" * 500 + b"HTTP/1.1 200 OK\r\n\r\n{}"),
]


def redirects(elsewhere):
    """Answers that send a request on: to another host, to itself, or nowhere."""
    targets = [f"{elsewhere}{TRAP}", f"{elsewhere.replace('https', 'http')}{TRAP}", "", "//[", "file:///etc/passwd"]
    statuses = ("301 Moved", "302 Found", "303 See", "307 Again", "308 Moved")
    return [
        said(f"{status} to {target}", "", status, Location=target)
        for target in targets
        for status in (statuses if TRAP in target else statuses[:2])
    ]


class OddHandler(Handler):
    """Answers as it should, or oddly where that was ordered."""

    def run_wsgi(self):
        server = self.server
        if self.path.startswith(TRAP):
            server.trapped.append(f"{self.command} {self.path} with {sorted(self.headers)}")
        odd = server.odd(self.path) if server.odd else None
        if odd is None:
            super().run_wsgi()
            return
        environ = self.make_environ()
        environ["wsgi.input"] = BytesIO(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if odd.succeeds or server.processed:
            run_wsgi_app(server.app, environ, buffered=True)
        self.close_connection = True
        self._write(odd)

    def _write(self, odd):
        lines = [f"HTTP/1.1 {odd.status}", *(f"{name}: {value}" for name, value in odd.headers.items()), "", ""]
        try:
            self.wfile.write(b"" if odd.raw else "\r\n".join(lines).encode())
            for piece in odd.pieces():
                self.wfile.write(piece)
                time.sleep(odd.pause)
            if odd.name.startswith("endless"):
                self.server.swallowed.append(odd.name)
        except (OSError, ValueError):  # whoever asked has heard enough
            return


class OddSandbox(Sandbox):
    """A sandbox whose MISP and Azure answer oddly where ``odd``, asked with the path, gives an answer."""

    def __enter__(self):
        super().__enter__()
        for server in self._servers[:2]:
            server.RequestHandlerClass = OddHandler
            server.odd, server.processed, server.trapped, server.swallowed = None, False, [], []
        self.misp_server, self.azure_server = self._servers[:2]
        return self
