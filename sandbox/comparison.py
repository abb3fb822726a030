"""Comparison: one exchange with a real MISP beside what the sandbox answers to the same request."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from itertools import zip_longest
from typing import Any
from urllib.parse import urlsplit

from sandbox.misp.app import MispState, create_app

NOTHING = object()
# The headers that the program reads, and those that come with them.
LIMITS = ("Limit", "Remaining", "Reset")
HEADERS = ("Location", "X-Skipped-Elements-Count", *(f"X-Rate-Limit-{name}" for name in LIMITS))
WRITES = re.compile(r"/(add|edit|delete|publish|unpublish|attachTagToObject|removeTagFromObject|accept)(/|$)")
# What is another one in each MISP; of these, the type is compared.
OWN = frozenset(
    {"email", "authkey", "password", "nids_sid", "invited_by", "change_pw", "termsaccepted", "gpgkey", "newsread"}
    | {"date_created", "date_modified", "last_api_access", "last_login", "current_login", "last_pw_change", "contacts"}
    | {"created", "modified", "created_by", "default_role", "warninglist_id", "warninglist_name", "event_creator_email"}
    | {"match", "matched", "nationality", "external_auth_key"}
)
# What is never shown, only that it is there.
SECRET = frozenset({"authkey", "password"})
# What is another one each time that something is written.
WRITTEN = OWN | {"id", "uuid", "timestamp", "event_id", "object_id", "old_id", "publish_timestamp", "user_id", "date"}
WRITTEN |= {"attribute_id", "org_uuid", "event_uuid", "old_uuid", "org_id", "orgc_id", "event_org_id", "colour"}


@dataclass(frozen=True)
class Answer:
    """What came back: the JSON, or the text where it is none."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Exchange:
    """A request, whose key is that of ``user``, and what a real MISP answered."""

    name: str
    user: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: Any
    answer: Answer

    @classmethod
    def recorded(cls, recording: Mapping[str, Any]) -> Exchange:
        """Read a recording; where a long list was cut, the mark that says so is taken off."""
        asked, answered = recording["request"], recording["response"]
        url = urlsplit(asked["url"])
        answer = Answer(answered["status"], answered["headers"], _unmarked(answered.get("json", answered.get("text"))))
        path = f"{url.path}?{url.query}" if url.query else url.path
        headers = {name: value for name, value in asked["headers"].items() if name != "Authorization"}
        return cls(recording["name"], recording["as"], asked["method"], path, headers, asked["body"], answer)

    @property
    def route(self) -> str:
        """The method and the path, as ``GET /events/view/*``: what names a record in it is a star."""
        parts = self.path.partition("?")[0].split("/")
        return f"{self.method} {'/'.join(parts[:3] + ['*' for _ in parts[3:]])}"

    @property
    def writes(self) -> bool:
        """Say whether it changes something."""
        return self.method != "GET" and WRITES.search(self.path) is not None

    @property
    def moment(self) -> float:
        """When it was answered, by MISP's clock where it says so."""
        date = self.answer.headers.get("Date")
        return parsedate_to_datetime(date).timestamp() if date else time.time()


@dataclass(frozen=True)
class Difference:
    """Where the sandbox answers otherwise; ``path`` leads into the answer, ``[]`` is each element of a list."""

    path: str
    real: str
    sandbox: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.path}: MISP {self.real}, sandbox {self.sandbox}"


@dataclass(frozen=True)
class Meant:
    """A difference that is meant. ``where`` matches the names of recordings, or routes; ``path`` matches paths."""

    where: str
    path: str
    reason: str

    def covers(self, exchange: Exchange, difference: Difference) -> bool:
        """Say whether it is about this difference."""
        return self.concerns(exchange) and fnmatchcase(difference.path, self.path.replace("[]", "[[]]"))

    def concerns(self, exchange: Exchange) -> bool:
        """Say whether it is about this exchange."""
        return fnmatchcase(exchange.name, self.where) or fnmatchcase(exchange.route, self.where)


MEANT = (
    Meant("events_restSearch_csv", "status", "the sandbox answers in JSON alone, which is what the program asks for"),
    Meant("events_restSearch_stix2*", "status", "the same"),
    Meant("*", "*.warnings[]", "the sandbox has one warninglist; at MISP a value is on as many as hold it"),
    Meant("*", "*.warninglist_id", "a number, or a text when MISP has it from its cache"),
    Meant("POST /warninglists/checkValue", "*[].id", "the sandbox's one warninglist has a number of its own"),
    Meant("POST /warninglists/checkValue", "*[].name", "and a name"),
    Meant("GET /attributes/describeTypes.json", "result.*", "PyMISP's copy, which the sandbox gives, is later"),
    Meant("POST /events/add", "Event.RelatedEvent[]", "the sandbox does not correlate"),
    Meant("POST /objects/add/*", "Object.description", "MISP has the template itself and takes its words"),
    Meant("POST /tags/search", "[].Taxonomy*", "the sandbox has no taxonomies"),
    Meant("POST /tags/search", "[].GalaxyCluster", "nor clusters beside its tags"),
    Meant("GET /users/view/*", "User.authkey", "the sandbox keeps keys as advanced_authkeys does, and shows none"),
    Meant("GET /users/view/*", "Organisation.restricted_to_domain", "nothing, or an empty list once it was edited"),
)


@dataclass
class Compared:
    """An exchange, where the sandbox answers otherwise, and what of that is meant, and why."""

    exchange: Exchange
    differences: list[Difference] = field(default_factory=list)
    meant: list[tuple[Difference, Meant]] = field(default_factory=list)


def compare(state: MispState, exchange: Exchange, meant: Sequence[Meant] = MEANT) -> Compared:
    """Send the same request to a sandbox that holds ``state``, and compare the answers."""
    ours = _ask(state, exchange)
    own = WRITTEN if exchange.writes else OWN
    compared = Compared(exchange)
    for difference in _once(_all_differences(exchange.answer, ours, own)):
        why = next((entry for entry in meant if entry.covers(exchange, difference)), None)
        if why is None:
            compared.differences.append(difference)
        else:
            compared.meant.append((difference, why))
    return compared


def _ask(state: MispState, exchange: Exchange) -> Answer:
    body = exchange.body
    data = body if body is None or isinstance(body, str) else json.dumps(body)
    headers = {**exchange.headers, **({"Authorization": exchange.user} if exchange.user in state.users else {})}
    client = create_app(state).test_client()
    answer = client.open(exchange.path, method=exchange.method, headers=headers, data=data)
    content = answer.get_json(force=True, silent=True) if answer.is_json else answer.text
    return Answer(answer.status_code, answer.headers, content)


def _all_differences(real: Answer, ours: Answer, own: Collection[str]) -> Iterator[Difference]:
    if real.status != ours.status:
        yield Difference("status", str(real.status), f"{ours.status} {str(ours.body)[:100]}")
        return
    for name in (*HEADERS, *(["X-Result-Count"] if _shows_all(real) else [])):
        real_value, our_value = (_path_of(answer.headers.get(name)) for answer in (real, ours))
        if real_value != our_value:
            yield Difference(f"header {name}", str(real_value), str(our_value))
    yield from differences(real.body, ours.body, own)


def _shows_all(answer: Answer) -> bool:
    """Say whether an answer has all that was found, by its own count: a page, or a list that was cut, has not."""
    records = answer.body.get("response") if isinstance(answer.body, dict) else None
    return isinstance(records, list) and answer.headers.get("X-Result-Count") == str(len(records))


def differences(real: Any, ours: Any, own: Collection[str], path: str = "") -> Iterator[Difference]:
    """Compare two values: fields, types, and, but for names that are in ``own``, values."""
    if _kind(real) != _kind(ours):
        say = _kind if path.rpartition(".")[2] in SECRET else _shown
        yield Difference(path or "body", say(real), say(ours))
    elif isinstance(real, dict):
        for name in sorted(real.keys() | ours.keys()):
            inner = f"{path}.{name}" if path else name
            yield from differences(real.get(name, NOTHING), ours.get(name, NOTHING), own, inner)
    elif isinstance(real, list):
        for real_item, our_item in _pairs(real, ours, own):
            yield from differences(real_item, our_item, own, f"{path}[]")
    elif _path_of(real) != _path_of(ours) and path.rpartition(".")[2] not in own:
        yield Difference(path or "body", _shown(real), _shown(ours))


def _pairs(real: list[Any], ours: list[Any], own: Collection[str]) -> Iterator[tuple[Any, Any]]:
    """Pair what has the same UUID; the rest, and what is in another order, as it comes."""
    names = [[_identity(record, own) for record in records] for records in (real, ours)]
    if sorted(names[0]) == sorted(names[1]) or not all(names[0] + names[1]):
        yield from zip_longest(real, ours, fillvalue=NOTHING)
        return
    ours_by_name = dict(zip(names[1], ours, strict=True))
    yield from ((record, ours_by_name.pop(name, NOTHING)) for name, record in zip(names[0], real, strict=True))
    yield from ((NOTHING, record) for record in ours_by_name.values())


def _identity(record: Any, own: Collection[str]) -> str:
    if "uuid" in own or not isinstance(record, dict):
        return ""
    inner = next(iter(record.values())) if len(record) == 1 else record
    return str(inner.get("uuid", "")) if isinstance(inner, dict) else ""


def _once(differences: Iterator[Difference]) -> list[Difference]:
    """Keep the first difference of each path and kind."""
    first: dict[tuple[str, bool, bool], Difference] = {}
    for difference in differences:
        first.setdefault((difference.path, difference.real == "absent", difference.sandbox == "absent"), difference)
    return list(first.values())


def _kind(value: Any) -> str:
    if value is NOTHING:
        return "absent"
    kinds = {dict: "object", list: "list", str: "text", bool: "flag", int: "number", float: "number"}
    return kinds.get(type(value), "null")


def _shown(value: Any) -> str:
    """Say what a value is in few words."""
    kind = _kind(value)
    if kind in ("absent", "null"):
        return kind
    if kind == "object":
        return f"object of {', '.join(sorted(value))[:60]}"
    return f"list of {len(value)}" if kind == "list" else f"{kind} {str(value)[:80]!r}"


def _path_of(value: Any) -> Any:
    """Leave out of the address of a page of MISP what is another one in each MISP: its host."""
    return _ADDRESS.sub("", value) if isinstance(value, str) else value


_ADDRESS = re.compile(r"^https?://[^/]+(?=/(events|shadow_attributes|users)/)")
_MARK = re.compile(r"<\d+ more of \d+>")


def _unmarked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _unmarked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unmarked(item) for item in value if not (isinstance(item, str) and _MARK.fullmatch(item))]
    return value
