"""Faults: what can go wrong between a client and a server, ordered by a test or an operator."""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event, Lock
from typing import Any

from flask import Flask, Response, g, request

HANG_SECONDS = 5.0
POLL_SECONDS = 0.05
KINDS = frozenset({"status", "html", "body", "reset-before", "reset-after", "truncate", "hang"})


@dataclass
class Fault:
    """One thing that goes wrong on requests whose path contains ``path``.

    Kinds, by what the client sees:
    ``status``        an answer with ``status`` and the JSON (or str) ``body``, not processed
    ``html``          the same as a web page, as from a proxy in between
    ``body``          ``body`` with status 200 (or ``status``, when it is not 500), not processed
    ``reset-before``  a broken connection, not processed
    ``reset-after``   a broken connection, although the request was processed
    ``truncate``      processed; half of the answer under its full Content-Length, then the end.
                      In process: half of the answer. An empty answer is cut to ``{``.
    ``hang``          no answer until the client or the sandbox goes away, or some seconds pass

    In process (no socket) the resets raise ConnectionResetError, ``hang`` raises TimeoutError.
    """

    path: str
    kind: str
    status: int = 500
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: int = 0
    times: int | None = 1
    when: Callable[[Any], bool] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"no such kind of fault: {self.kind}")

    def takes(self, path: str, body: Any) -> bool:
        """Say whether this request is to fail; a request that matches is counted."""
        if self.path not in path or self.times == 0 or (self.when and not self.when(body)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


class Faults:
    """The faults a server is to show, first match first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()
        self._closed = Event()

    def add(self, fault: Fault) -> Fault:
        """Order a fault."""
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._faults.clear()

    def close(self) -> None:
        """Let go of every request that hangs."""
        self._closed.set()

    def install(self, app: Flask) -> None:
        """Make ``app`` show these faults; exceptions leave the app as they are."""
        self._closed.clear()
        app.config["PROPAGATE_EXCEPTIONS"] = True
        app.before_request(self._before)
        app.after_request(self._after)

    def _before(self) -> Response | None:
        g.fault = self._pick(request.path, _json_body())
        if g.fault is None:
            return None
        if g.fault.kind == "reset-before":
            raise ConnectionResetError("sandbox: connection reset before processing")
        if g.fault.kind == "hang":
            self._hang(request.environ.get("werkzeug.socket"))
        return _answer(g.fault)

    def _after(self, response: Response) -> Response:
        fault = g.get("fault")
        if fault is not None and fault.kind == "reset-after":
            raise ConnectionResetError("sandbox: connection reset after processing")
        if fault is not None and fault.kind == "truncate":
            _truncate(response)
        return response

    def _pick(self, path: str, body: Any) -> Fault | None:
        with self._lock:
            return next((fault for fault in self._faults if fault.takes(path, body)), None)

    def _hang(self, connection: socket.socket | None) -> None:
        for _ in range(int(HANG_SECONDS / POLL_SECONDS)):
            if connection is None or self._closed.wait(POLL_SECONDS) or _readable(connection):
                break
        raise TimeoutError("sandbox: no answer")


def _json_body() -> Any:
    return request.get_json(force=True, silent=True) if request.get_data() else None


def _readable(connection: socket.socket) -> bool:
    return bool(select.select([connection], [], [], 0)[0])


def _answer(fault: Fault) -> Response | None:
    makers = {"status": _plain_answer, "html": _html_answer, "body": _plain_answer}
    maker = makers.get(fault.kind)
    return maker(fault) if maker else None


def _plain_answer(fault: Fault) -> Response:
    status = 200 if fault.kind == "body" and fault.status == 500 else fault.status
    body = {"message": HTTPStatus(status).phrase} if fault.body is None else fault.body
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(text, status, fault.headers, mimetype="application/json")


def _html_answer(fault: Fault) -> Response:
    title = f"{fault.status} {HTTPStatus(fault.status).phrase}"
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"
    return Response(
        fault.body if isinstance(fault.body, str) else page, fault.status, fault.headers, mimetype="text/html"
    )


def _truncate(response: Response) -> None:
    content = response.get_data()
    response.set_data(content[: len(content) // 2] or b"{")
    if "werkzeug.socket" in request.environ:
        response.headers["Content-Length"] = str(max(len(content), 2))
        response.headers["Connection"] = "close"
