"""Azure: what the sandbox's Azure holds, and its Flask app."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from threading import RLock
from typing import Any, NamedTuple

from flask import Flask

from sandbox.azure.graph import Graph
from sandbox.azure.key_vault import KeyVault
from sandbox.azure.logs.alerts import SecurityTables
from sandbox.azure.logs.endpoints import LogQueries
from sandbox.azure.overview import Overview
from sandbox.azure.query import Query
from sandbox.azure.rules import observable
from sandbox.azure.token import AUDIENCES, SCOPE, Login
from sandbox.azure.upload import Upload
from sandbox.faults import Faults

TENANT = "11111111-1111-4111-8111-111111111111"
CLIENT = "22222222-2222-4222-8222-222222222222"
IDENTITY = "88888888-8888-4888-8888-888888888888"
WORKSPACE = "33333333-3333-4333-8333-333333333333"
SUBSCRIPTION = "77777777-7777-4777-8777-777777777777"
RESOURCE_GROUP = "sandbox"
WORKSPACE_NAME = "sandbox-sentinel"
RATE_WINDOW = 60.0
QUERY_WINDOW = 30.0

Stored = dict[str, dict[str, Any]]


class Kept(NamedTuple):
    """A stored object with its source system, and when it came first and last."""

    source: str
    object_: dict[str, Any]
    first: float
    last: float


@dataclass(frozen=True)
class Customer:
    """Somebody else: their tenant, the secret of their client, and the workspaces that it may write to."""

    tenant: str
    secret: str
    workspaces: set[str]


class AzureState(SecurityTables):
    """One tenant, one client, its workspaces and the STIX objects in them; others, each with theirs, may be added."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Start with one workspace that the client may write to; ``clock`` gives seconds.

        ``management_names`` says which workspace a subscription, a resource group and a name
        mean to the management API; the one entry at the start names the first workspace. The client may
        sign in with its secret, with one of ``certificates`` (PEM) and with ``federated_token``, if there is
        one. ``identities`` are the managed ones, by the client id that asks for them ("": system-assigned);
        ``vaults`` holds secrets by name, by the vault's name, for ``vault_readers``, ``secret_expiries`` when they
        expire, in seconds since 1970. ``ti_indicators`` are those
        of the Graph API by the id that it gave them, ``graph_permission`` says whether the client may write them.
        ``uploads`` has each request with how many objects of which ``kinds`` it held. What ``refused`` names, an
        object's id or a kind ("threat-actor"), is refused record by record.

        The client may query the logs of the workspaces in ``readable``, and at Log Analytics itself, where
        ``logs_permission`` says whether it has that API's permission; ``log_queries`` has each question. An answer of
        more than ``rows_per_answer`` is a partial one.
        """
        super().__init__()
        self.clock = clock
        self.tenant = TENANT
        self.client_id = CLIENT
        self.client_secret = "sandbox-secret"  # noqa: S105 - a fake
        self.other_clients: set[str] = set()
        self.customers: dict[str, Customer] = {}
        self.certificates: list[str] = []
        self.federated_token = ""
        self.identities = {"": IDENTITY}
        self.identity_header = "sandbox-identity-header"
        self.vaults: dict[str, dict[str, str]] = {}
        self.secret_expiries: dict[str, Any] = {}
        self.vault_readers = {CLIENT, IDENTITY}
        self.scopes = set(AUDIENCES)
        self.workspace_id = WORKSPACE
        self.allowed: set[str] = set()
        self.readable: set[str] = set()
        self.workspaces: set[str] = set()
        self.management_names = {(SUBSCRIPTION, RESOURCE_GROUP, WORKSPACE_NAME): WORKSPACE}
        self.requests_per_minute = 100
        self.objects_per_request = 100
        self.token_lifetime = 3600
        self.error_key = "errorMessages"
        self.uploads: list[dict[str, Any]] = []
        self.refused: set[str] = set()
        self.ti_indicators: Stored = {}
        self.graph_requests: list[dict[str, Any]] = []
        self.graph_permission = True
        self.logs_permission = True
        self.log_queries: list[dict[str, Any]] = []
        self.rows_per_answer = 500_000
        self.queries_per_half_minute = 200
        self.faults = Faults()
        self.lock = RLock()
        self._tokens: dict[str, tuple[str, float, str]] = {}
        self._calls: dict[str, deque[float]] = {}
        self._stored: dict[tuple[str, str], Stored] = {}
        self._times: dict[tuple[str, str, str], tuple[float, float]] = {}
        self.add_workspace(WORKSPACE)

    def add_workspace(self, workspace_id: str) -> None:
        """Add a workspace that the client may write to and read."""
        self.workspaces.add(workspace_id)
        self.allowed.add(workspace_id)
        self.readable.add(workspace_id)

    def add_customer(self, tenant: str, client_id: str, secret: str, workspace_id: str) -> None:
        """Add a client of a tenant with a secret of its own, and a workspace that it alone may write to.

        Its requests are counted apart from those of other clients, as Microsoft does for each calling principal.
        """
        self.workspaces.add(workspace_id)
        self.customers.setdefault(client_id, Customer(tenant, secret, set())).workspaces.add(workspace_id)

    def may_write(self, client_id: str, workspace_id: str) -> bool:
        """Say whether a client has the role that writing to a workspace takes."""
        customer = self.customers.get(client_id)
        return workspace_id in (customer.workspaces if customer else self.allowed)

    def may_read(self, client_id: str, workspace_id: str) -> bool:
        """Say whether a client has a role that querying a workspace's logs takes."""
        customer = self.customers.get(client_id)
        return workspace_id in (customer.workspaces if customer else self.readable)

    def secrets_of(self, tenant: str) -> dict[str, str]:
        """Give the secrets of a tenant's clients, by client; none for a tenant that is not known."""
        ours = dict.fromkeys((self.client_id, *self.other_clients), self.client_secret)
        theirs = {client: other.secret for client, other in self.customers.items() if other.tenant == tenant}
        return {**ours, **theirs} if tenant == self.tenant else theirs

    def objects(
        self, workspace_id: str | None = None, sourcesystem: str = "MISP", kind: str | None = "indicator"
    ) -> Stored:
        """Give all objects of a workspace by id, revoked ones too; of one kind ("threat-actor"), or of all (None)."""
        with self.lock:
            stored = dict(self._stored.get((workspace_id or self.workspace_id, sourcesystem), {}))
        return {key: object_ for key, object_ in stored.items() if kind in (None, object_["type"])}

    def live(
        self, workspace_id: str | None = None, sourcesystem: str = "MISP", kind: str | None = "indicator"
    ) -> Stored:
        """Give the objects of a workspace that are not revoked, by id; of one kind, or of all (None)."""
        objects = self.objects(workspace_id, sourcesystem, kind)
        return {key: object_ for key, object_ in objects.items() if not object_.get("revoked")}

    def observable(self, object_: dict[str, Any]) -> tuple[str, str] | None:
        """Give what Sentinel would show as ObservableKey and ObservableValue."""
        return observable(object_)

    def sources(self, workspace_id: str) -> list[str]:
        """Give the source systems that wrote to a workspace."""
        with self.lock:
            return sorted(source for workspace, source in self._stored if workspace == workspace_id)

    def refusals(self, object_: dict[str, Any]) -> list[str]:
        """Say that an object is refused, if it or its kind is one that somebody wants refused."""
        named = self.refused.intersection((object_["id"], object_["type"]))
        return [f"Error for Property=id: Refused. Actual value: {object_['id']}."] if named else []

    def store(self, workspace_id: str, sourcesystem: str, object_: dict[str, Any]) -> str | None:
        """Keep an object, the newest upload winning; give an error when its id was revoked before."""
        kept = self._stored.setdefault((workspace_id, sourcesystem), {})
        before = kept.get(object_["id"])
        if before and before.get("revoked") and not object_.get("revoked"):
            return "Error for Property=revoked: A revoked object cannot be restored. Actual value: False."
        kept[object_["id"]] = object_
        now, key = self.clock(), (workspace_id, sourcesystem, object_["id"])
        self._times[key] = (self._times.get(key, (now, now))[0], now)
        return None

    def remove(self, ids: Iterable[str], sourcesystem: str = "MISP") -> None:
        """Take objects out of the workspace, as somebody may by hand."""
        with self.lock:
            for key in list(ids):
                self.delete(self.workspace_id, sourcesystem, key)

    def delete(self, workspace_id: str, sourcesystem: str, key: str) -> None:
        """Take an object out of a workspace. Raises KeyError where it is not there."""
        with self.lock:
            del self._stored[workspace_id, sourcesystem][key]

    def kept(self, workspace_id: str) -> list[Kept]:
        """Give all objects of a workspace, those of every source and revoked ones too."""
        with self.lock:
            return [
                Kept(source, object_, *self._times[workspace, source, key])
                for (workspace, source), objects in self._stored.items()
                if workspace == workspace_id
                for key, object_ in objects.items()
            ]

    def managed(self, *names: str) -> str | None:
        """Give the workspace that the management API knows by these names, in any case."""
        wanted = [name.casefold() for name in names]
        known = ((list(map(str.casefold, key)), workspace) for key, workspace in self.management_names.items())
        return next((workspace for key, workspace in known if key == wanted), None)

    def grant(self, token: str, scope: str = SCOPE, client: str = "") -> int:
        """Accept ``token`` for ``scope`` from now on for its lifetime, which is given back."""
        with self.lock:
            self._tokens[token] = (client or self.client_id, self.clock() + self.token_lifetime, scope)
        return self.token_lifetime

    def principal(self, token: str, audience: str = "management") -> str | None:
        """Give the client that a token belongs to, unless it is unknown, for others, or has expired."""
        client, expires, scope = self._tokens.get(token, (None, 0.0, ""))
        return client if self.clock() < expires and AUDIENCES.get(scope, "management") == audience else None

    def audience(self, token: str) -> str | None:
        """Give what a token is for, also one that has expired; None where it is unknown."""
        return AUDIENCES.get(self._tokens[token][2], "management") if token in self._tokens else None

    def wait(self, principal: str) -> int | None:
        """Count a request; give the seconds to wait when the last minute holds too many."""
        return self._wait(principal, self.requests_per_minute, RATE_WINDOW)

    def wait_for_query(self, principal: str) -> int | None:
        """Count a query of the logs; give the seconds to wait when the last half minute holds too many."""
        return self._wait(f"logs {principal}", self.queries_per_half_minute, QUERY_WINDOW)

    def _wait(self, what: str, most: int, window: float) -> int | None:
        now = self.clock()
        with self.lock:
            calls = self._calls.setdefault(what, deque())
            while calls and calls[0] <= now - window:
                calls.popleft()
            calls.append(now)
            if len(calls) <= most:
                return None
            calls.pop()
            return max(1, ceil(calls[0] + window - now)) if calls else ceil(window)

    def now_text(self) -> str:
        """Give the clock's time as Microsoft writes it in errors."""
        return f"{datetime.fromtimestamp(self.clock(), UTC):%Y-%m-%d %H:%M:%SZ}"


def create_app(state: AzureState) -> Flask:
    """Give the login, all APIs, the key vaults and the overview on one host."""
    app = Flask(__name__)
    recording = (Upload(state), Graph(state), LogQueries(state))
    for service in recording:
        service.record(app)
    state.faults.install(app)
    for service in recording:
        service.install(app)
    Query(state).install(app)
    Login(state).install(app)
    KeyVault(state).install(app)
    Overview(state).install(app)
    return app
