"""MISP: what the sandbox's MISP holds, and its Flask app (measured on MISP 2.5.1)."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from typing import Any
from uuid import UUID

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from sandbox.faults import Faults
from sandbox.misp.accounts import Account, account, organisation
from sandbox.misp.answers import View, answer, error, row, search_answer
from sandbox.misp.clusters import ClusterEdits, Clusters
from sandbox.misp.edits import Edits
from sandbox.misp.lists import DecayingModels, Tags, Warninglists
from sandbox.misp.queries import query_of, refusal
from sandbox.misp.records import ORGANISATION, Record
from sandbox.misp.search import Page, cannot_be_read, pick_attributes, pick_events, pick_objects, stays
from sandbox.misp.sightings import Sightings
from sandbox.misp.writes.events import Writes
from sandbox.misp.writes.parts import PartWrites
from sandbox.misp.writes.proposals import Proposals

ADMIN_KEY = "sandboxAdminKey".ljust(40, "0")
READONLY_KEY = "sandboxReadOnlyKey".ljust(40, "0")
INSTANCE = "66666666-6666-4666-8666-666666666666"
VERSION = "2.5.1"
RATE_WINDOW = 900
# Nothing else is counted.
LIMITED = frozenset({"/events/restSearch", "/attributes/restSearch"})
WRITES = frozenset({"add", "edit", "delete", "publish", "unpublish", "attachTagToObject", "removeTagFromObject"})
UNAUTHENTICATED = (
    "Authentication failed. Please make sure you pass the API key of an API enabled user along in the"
    " Authorization header."
)
FROM_ELSEWHERE = "It is not possible to use this Auth key from your IP address"


class MispState(Edits, ClusterEdits):
    """Events, the keys that may read them, and a warninglist of plain values.

    ``decaying_models`` says of models that have scored nothing whether they are enabled; keys ``for_elsewhere`` may not
    be used from this address.
    """

    def __init__(self, events: Iterable[Record] | None = None, clock: Callable[[], float] = time.time) -> None:
        """Start with ``events``; ``clock`` gives seconds."""
        ClusterEdits.__init__(self)
        Edits.__init__(self, events, clock)
        self.uuid = INSTANCE
        self.key = ADMIN_KEY
        self.readonly_key = READONLY_KEY
        self.organisation_uuid = ORGANISATION["uuid"]
        self.unpublishedprivate = False
        self.warninglist: set[str] = set()
        self.warninglists: list[Record] = []
        self.users: dict[str, Account] = {}
        self.sharing_groups: dict[str, Record] = {}
        self.organisations: dict[str, Record] = {ORGANISATION["id"]: ORGANISATION}
        self.sightings: list[Record] = []
        self.tags: set[str] = set()
        self.decaying_models: dict[str, bool] = {}
        self.model_details: dict[str, Record] = {}
        self.for_elsewhere: set[str] = set()
        self.utf8mb4 = False
        self.rate_limit: int | None = None
        self.maintenance = False
        self.requests: list[tuple[str, str, Any]] = []
        self.faults = Faults()
        self._calls: deque[float] = deque()

    def user(self, key: str | None) -> Account | None:
        """Give whose key it is: the administrator's, the reader's, or that of a user who was added."""
        if key == self.key:
            return Account("1", "admin@sandbox.example", "admin", ORGANISATION)
        if key == self.readonly_key:
            readers = organisation(2, "Readers", self.organisation_uuid)
            own = ORGANISATION if self.organisation_uuid == ORGANISATION["uuid"] else readers
            return Account("2", "reader@sandbox.example", "Read Only", own)
        return self.users.get(key or "")

    def add_user(self, role: str, of: Record = ORGANISATION, *, read_only: bool = False) -> str:
        """Add a user with one of MISP's roles, of an organisation; give the key, which may be one for reading alone."""
        number = len(self.users) + 3
        key = f"sandboxUser{number}Key".ljust(40, "0")
        self.users[key] = Account(str(number), f"user{number}@sandbox.example", role, of, read_only=read_only)
        return key

    def add_tag(self, tag: Record) -> None:
        """Let there be a tag, whether or not something carries it."""
        self.tags.add(self.tag(tag["name"], tag)["name"])

    def tag(self, name: str, fields: Record | None = None) -> Record:
        """Give a tag by its name, with its number."""
        return self._filler.tag({**(fields or {}), "name": name})

    def add_sharing_group(self, name: str, *organisations: Record) -> str:
        """Add a sharing group of these organisations; give its id."""
        number = str(len(self.sharing_groups) + 1)
        uuids = [member["uuid"] for member in organisations]
        self.sharing_groups[number] = {"id": number, "name": name, "organisations": uuids}
        return number

    def organisation_of(self, number: str) -> Record:
        """Give an organisation by its id."""
        homes = (user.organisation for user in self.users.values())
        known = {member["id"]: member for member in homes} | self.organisations
        return known.get(number) or organisation(int(number), f"ORG-{number}", str(UUID(int=int(number))))

    def shown_sightings(self, user: Account) -> Iterator[Record]:
        """Give the sightings that a user sees: of events that its organisation does not own, its own alone.

        That is what MISP does where its setting Sightings_policy is left as it is (MISP's source).
        """
        for sighting in self.sightings:
            event = self.event(sighting["event_id"]) or {}
            if user.admin or user.organisation["id"] in (event.get("org_id"), sighting["org_id"]):
                yield sighting

    def sightings_by_attribute(self, user: Account) -> dict[str, list[Record]]:
        """Give the sightings that a user sees, each with its organisation, of each attribute by its id."""
        by_attribute: dict[str, list[Record]] = {}
        for sighting in self.shown_sightings(user):
            owner = self.organisation_of(sighting["org_id"])
            brief = {name: owner[name] for name in ("id", "uuid", "name")}
            by_attribute.setdefault(sighting["attribute_id"], []).append({**sighting, "Organisation": brief})
        return by_attribute

    def shows(self, event: Record, user: Account) -> bool:
        """Say whether a user sees an event; with unpublishedprivate, others' only while published.

        Measured on MISP 2.5.1: a site administrator sees everything, and whose event it is
        depends on its Orgc. The distribution hides nothing from the reader, whose view tests set
        themselves; from users that were added it hides what their organisation may not see.
        """
        if user.admin or event["Orgc"]["uuid"] == user.organisation["uuid"]:
            return True
        if self.unpublishedprivate and not event["published"]:
            return False
        if user not in self.users.values() or event["distribution"] not in ("0", "4"):
            return True
        group = self.sharing_groups.get(event["sharing_group_id"], {})
        return event["distribution"] == "4" and user.organisation["uuid"] in group.get("organisations", ())

    def calls_left(self) -> tuple[int, int]:
        """Count a call; give the calls left in the window (-1: refused) and seconds until it ends."""
        now = self.clock()
        if self._calls and now - self._calls[0] >= RATE_WINDOW:
            self._calls.clear()
        self._calls.append(now)
        remaining = (self.rate_limit or 0) - len(self._calls)
        return max(remaining, -1), RATE_WINDOW - int(now - self._calls[0])


class Api:
    """The routes that a reader of MISP uses."""

    def __init__(self, state: MispState) -> None:
        self.state = state

    def install(self, app: Flask) -> None:
        """Add the routes and what guards them to ``app``."""
        app.before_request(self._note)
        self.state.faults.install(app)
        app.before_request(self._admit)
        app.after_request(_limit_headers)
        app.register_error_handler(HTTPException, self._no_route)
        others = (Tags, DecayingModels, Warninglists, Clusters, Sightings, Writes, PartWrites, Proposals)
        parts = (self, *(part(self.state) for part in others))
        for path, view in (pair for part in parts for pair in part.routes().items()):
            app.add_url_rule(path, path, view, methods=["GET", "POST"])

    def routes(self) -> dict[str, Callable[..., Response]]:
        """Give each path with what answers it."""
        plain = {
            "/servers/getVersion": self.version,
            "/servers/getPyMISPVersion": self.pymisp_version,
            "/attributes/describeTypes": self.describe_types,
            "/users/view/me": self.me,
            "/events/index": self.index,
            "/events/restSearch": self.search_events,
            "/attributes/restSearch": self.search_attributes,
            "/objects/restSearch": self.search_objects,
        }
        with_suffix = {path + ".json": view for path, view in plain.items()}
        searches = {path + "/<path:_named>": plain[path] for path in list(plain)[-3:]}
        return plain | with_suffix | searches | {"/events/view/<identifier>": self.view}

    def version(self) -> Response:
        """servers/getVersion."""
        body = {"version": VERSION, "pymisp_recommended_version": VERSION}
        flags = ("perm_sync", "perm_sighting", "perm_galaxy_editor", "perm_analyst_data")
        body |= {flag: g.user.may(flag) for flag in flags}
        return answer(body | {"uuid": self.state.uuid, "request_encoding": ["gzip"], "filter_sightings": True})

    def pymisp_version(self) -> Response:
        """servers/getPyMISPVersion."""
        return answer({"version": VERSION})

    def describe_types(self) -> Response:
        """attributes/describeTypes, from the copy that comes with PyMISP."""
        return answer(json.loads((files("pymisp") / "data" / "describeTypes.json").read_bytes()))

    def me(self) -> Response:
        """users/view/me."""
        return answer(account(g.user))

    def index(self) -> Response:
        """events/index, in its minimal form only."""
        query = query_of()
        if not query.get("minimal"):
            return error(501, "The sandbox knows the minimal index only.")
        listed = pick_events(filter(_in_index, self._seen(self.state.events())), query, self.state.clock())
        rows = [row(event) for event in Page.of(query).cut(listed)]
        return answer(rows, {"X-Result-Count": str(len(listed))})

    def view(self, identifier: str) -> Response:
        """events/view by id or uuid; warninglist hits come along as on a real MISP."""
        event = self.state.event(identifier.removesuffix(".json"))
        if event is None or not self.state.shows(event, g.user):
            return error(404, "Invalid event")
        return answer({"Event": self._view({"includeWarninglistHits": 1} | query_of()).event(event)})

    def search_events(self, _named: str = "") -> Response:
        """events/restSearch."""
        query = query_of()
        refused = refusal(query)
        if refused:
            return refused
        view = self._view(query)
        if view.fails or cannot_be_read(query):
            return error(500, "An Internal Error Has Occurred.")
        now = self.state.clock()
        picked = pick_events(self._seen(self.state.candidates(query)), query, now)
        page = [event for event in Page.of(query).cut(picked) if stays(query, event, now)]
        named = query.get("eventid")
        name = f"misp.event.{named if isinstance(named, str | int) else 'list'}.json"
        return search_answer([{"Event": view.event(event)} for event in page], len(picked), name=name)

    def search_attributes(self, _named: str = "") -> Response:
        """attributes/restSearch; the warninglist is enforced on the page already cut."""
        query = query_of()
        refused = refusal(query)
        if refused:
            return refused
        view, page = self._view(query), Page.of(query)
        picked = pick_attributes(self._seen(self.state.candidates(query)), query, self.state.clock())
        cut = page.cut(picked)
        kept = [attribute for attribute in cut if not (view.flag("enforceWarninglist") and view.listed(attribute))]
        shown = [view.attribute(attribute, self.state.owner(attribute)) for attribute in kept]
        return search_answer({"Attribute": shown}, _attribute_count(page, cut), len(cut) - len(kept))

    def search_objects(self, _named: str = "") -> Response:
        """objects/restSearch."""
        query = query_of()
        refused = refusal(query)
        if refused:
            return refused
        if query.get("deleted") is not None:
            return error(500, "An Internal Error Has Occurred.")
        view, page = self._view(query), Page.of(query)
        cut = page.cut(pick_objects(self._seen(self.state.candidates(query)), query, self.state.clock()))
        return search_answer([{"Object": view.object(object_, self.state.owner(object_))} for object_ in cut], len(cut))

    def _view(self, query: Record) -> View:
        sightings = self.state.sightings_by_attribute(g.user)
        return View(query, self.state.warninglist, g.user, self.state.scores, sightings)

    def _seen(self, events: Iterable[Record]) -> Iterator[Record]:
        return (event for event in events if self.state.shows(event, g.user))

    def _note(self) -> None:
        body = request.get_json(force=True, silent=True) if request.get_data() else None
        self.state.requests.append((request.method, request.path, body))

    def _admit(self) -> Response | None:
        key = request.headers.get("Authorization", request.headers.get("X-MISP-AUTH"))
        user = self.state.user(key)
        if user is None:
            return error(403, UNAUTHENTICATED)
        if key in self.state.for_elsewhere:
            return error(403, FROM_ELSEWHERE)
        if user.refused:
            return error(403, user.refused)
        g.user, g.admin = user, user.admin
        if self.state.maintenance and not user.admin:
            return Response("", 302, {"Location": f"{request.host_url}users/login"})
        if self.state.rate_limit is None or request.path not in LIMITED:
            return None
        remaining, seconds = self.state.calls_left()
        g.limits = {"Limit": self.state.rate_limit, "Remaining": max(remaining, 0), "Reset": seconds}
        return error(429, "Rate limit exceeded.") if remaining < 0 else None

    def _no_route(self, cause: HTTPException) -> Response:
        action = request.path.removesuffix(".json").split("/")[2:3]
        if not WRITES.intersection(action):
            return error(cause.code or 500, cause.name)
        if g.user.may("perm_add"):
            return error(501, "The sandbox does not write this.")
        return error(403, "You do not have permission to use this functionality.")


def _build_no_address(rule: Rule) -> None:
    raise NotImplementedError(f"no address is built by {rule.rule}")


class _MatchedRule(Rule):
    """A rule that is matched, and that no address is built by: what would build it takes most of making an app."""

    def _compile_builder(self, append_unknown: bool = True) -> Any:
        del append_unknown
        return _build_no_address


def create_app(state: MispState) -> Flask:
    """Give the MISP that holds ``state``."""
    app = Flask(__name__, static_folder=None)
    app.url_rule_class = _MatchedRule
    Api(state).install(app)
    return app


def _in_index(event: Record) -> bool:
    return not event["protected"] and (int(event["attribute_count"]) > 0 or bool(event["EventReport"]))


def _attribute_count(page: Page, cut: list[Record]) -> int:
    """X-Result-Count is no total once a limit is given: limit+1, the short page's own, or 1."""
    if page.limit is None:
        return len(cut)
    return page.limit + 1 if len(cut) == page.limit > 0 else max(len(cut), 1)


def _limit_headers(response: Response) -> Response:
    for name, value in g.get("limits", {}).items():
        response.headers[f"X-Rate-Limit-{name}"] = str(value)
    return response
